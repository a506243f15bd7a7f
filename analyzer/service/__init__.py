"""Many analyses at once, in one process or in several that share a database.

settings     everything that can be set; access: who may ask
             (configuration: from flags, environment and file; keys, values, wording: its parts)
assembly     from an order in the store to an analysis that can run
ordering     what is checked before an order is kept; placing: keeping it, once under its key
supervisor   claims analyses, keeps their leases, runs a worker for each, hands them on
worker       one analysis under a lease (lease)
brakes       what holds all acts: the switch, dry-run, so many an hour
polling      which analysis a question of Argo's controller is about
retention    what is old is removed
reporting    the report of an analysis from its record
identity     who asks, and what they may do (tokens; accounts, grants: ServiceAccounts)
telemetry    the service's own metrics (families, lateness, connections, watch_telemetry); observing feeds them
logs         one line for each thing that happened (masking, repeats, tracebacks)
traces       spans, where somebody collects them
alone        one process on an SQLite file
running      the parts together, as the API finds them
"""
