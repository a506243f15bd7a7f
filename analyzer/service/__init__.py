"""Many analyses at once, in one process or in several that share a database.

settings     everything that can be set, from flags, environment and file
assembly     from an order in the store to an analysis that can run
supervisor   claims analyses, keeps their leases, runs a worker for each, hands them on
worker       one analysis under a lease
brakes       what holds all acts: the switch, dry-run, so many an hour
identity     who asks, and what they may do
telemetry    metrics, logs and traces of the service itself
running      the parts together, as the API finds them
"""
