"""Where readings come from. Adapters return readings and never judge.

promql      selectors, matchers and expressions: parsed, checked, the sides put into them
nesting     how deep a query may be nested
patterns    what a regular expression costs its parser
rendering   parsed PromQL back into text, with everything escaped
querying    a metric of a rule set into a query with every expression rendered
checking    the PromQL of a whole rule set, checked before anything is asked
counting    raw samples into what was counted in a window: exact, reset-aware, pure
classic     the buckets of classic histograms, as something to be counted
native      the buckets of native histograms, likewise
lifetime    since when targets and their processes are known: which series counts from zero
ledger      what a cursor carries, open while windows are counted
tallying    what was counted into a side of a reading
gauging     the values of a gauge's series into the level of a side
endpoint    one /metrics endpoint, read once
prometheus  the source that asks a server with the Prometheus HTTP API
scrape      the source that reads /metrics endpoints itself
pods        the health of pods, as whoever knows them tells it
combined    metrics from one source and the health of pods from another
recording   the source that gives again what an analysis has recorded
"""
