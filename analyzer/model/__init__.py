"""The nouns of the analyzer as frozen pydantic models. No clock, no randomness; no I/O but reading a rule set's file.

base         what all models share
units        percentages, durations and sizes as people write them
ruleset      the YAML schema of a rule set
defaults     what a rule says that says nothing
editor       the JSON Schema of a rule set, for editors

document     a rule set in a file, every mistake with its line; it rests on
  outline      YAML text as plain values with their lines
  validation   values into models
  complaint    what pydantic finds wrong, in sentences
  place        which keys are known where
  consistency  what only the whole tells: rules against metrics, units, schedule
  suggestion   did you mean
parameters   filling `${…}` from the rule set and from outside; it rests on
  template     one selector, scanned and filled
  literal      one string of PromQL, with values that stay values

order        what somebody orders from the service
target       what is deployed: releases, revisions, the way back
gitops       how what a GitOps tool brings out is taken back
reading      what one window gave for one metric
plan         one analysis as it will be done: every query, both sides, all times
judgement    what a rule says of all readings so far
guard        reasons not to act
report       the verdict, the action and its result, with the evidence
event        what an analysis saw and did, as it is recorded
"""
