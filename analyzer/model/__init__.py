"""The nouns of the analyzer as frozen pydantic models. No I/O, no clock, no randomness.

base        what all models share
units       percentages, durations and sizes as people write them
ruleset     the YAML schema of a rule set
parameters  filling `${…}` from the rule set and from outside
document    YAML text into a rule set, every mistake with its line
target      what is deployed: releases, revisions, the way back
reading     what one window gave for one metric
plan        one analysis as it will be done: every query, both sides, all times
judgement   what a rule says of all readings so far
report      the verdict, the action and its result, with the evidence
event       what an analysis saw and did, as it is recorded
"""
