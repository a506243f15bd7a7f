"""From a rule of a rule set and its readings to a judgement. Pure.

rule          what all kinds of rules share
outlook       how long a verdict will take, and what is not found by the deadline
margins       tolerance, pass margin and limit of a rule, as lines in the plane of the two rates
counts        what a window has counted, made safe for the judge
strand        one line judged by one e-process, with what it takes to read it
selection     which kind of state judges a rule
past          the baseline's history as counts
ratio         bad events among all events
histogram     quantiles, by the share of events beyond boundaries
boundaries    what is judged at bucket boundaries, and the counts for it
latency_past  what is known of the baseline's distribution beforehand
latency_words the sentences of rules on histograms
quantile      quantiles of buckets, for people and plain limits
gauge         levels
gauge_past    how noisy levels were, and before-after what they were
threshold     a plain limit, several readings in a row
rolling       a rule while an upgrade rolls
health        scrape targets down, or restarting again and again
health_of_pods  crash loops, OOM kills, pods that do not become ready
sentences     numbers in words
"""
