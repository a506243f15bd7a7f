"""Statistics: what counts of two sides say, however often one looks. Pure and deterministic, everything in logs.

arrays        their type, sums in log space, their way to JSON
null          what a rule tolerates, and the projection of an alternative on it
bets          bets of one interval against a null: likelihood bets and share bets
dispersion    how much noisier than independent requests the service is: learned from history, corrected in the run
ledger        what the bets of one side have gained, and the mixture of them
process       the e-process of one rule: a fold over intervals
merging       short windows gathered until there is something to compare
intervals     anytime-valid confidence intervals for the ratio of two rates, and for one rate
before_after  a baseline that served before the canary: limits from its history
histogram     buckets: tails beyond boundaries, pooling
stretch       how much more of the tail a stretched distribution has; which boundaries to judge
latency       the e-process of a latency rule, over several boundaries
gauge         the e-process of a gauge: log-ratio of two levels
combination   several rules, one verdict
planner       how long a verdict will take
threshold     a plain limit, several readings in a row
assessment    all rules of an analysis together, a fold over what was read
poisson       counts of rare events

Two of these words come back in every signature. `n_c, e_c, n_b, e_b` are requests and bad events of canary and
baseline within one interval. Arrays may have leading batch dimensions, `shape`: () in an analysis, boundaries for
latency, runs in the benchmark; it is one code path.
"""
