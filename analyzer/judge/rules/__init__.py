"""From a rule of a rule set and its readings to a judgement. Pure.

rule        what all kinds of rules share
outlook     how long a verdict will take, and what is not found by the deadline
margins     tolerance, pass margin and limit of a rule, as lines in the plane of the two rates
strand      one line judged by one e-process, with what it takes to read it
ratio       bad events among all events
histogram   quantiles, by the share of events beyond boundaries
gauge       levels
threshold   a plain limit, several readings in a row
health      scrape targets down, or restarting again and again
sentences   numbers in words
"""
