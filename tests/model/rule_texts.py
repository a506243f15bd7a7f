"""Rule sets as text, for the tests of this room."""

import textwrap

from analyzer.errors import RuleSetError
from analyzer.model.document import read_rule_set

HEAD = """\
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: web}
spec:
"""
METRICS = """\
metrics:
  errors: {ratio: {bad: 'requests_total{code=~"5.."}', total: requests_total}}
  latency: {histogram: request_seconds}
  memory: {gauge: memory_bytes, unit: bytes}
"""


def rule_set(spec: str) -> str:
    """A rule set with this under `spec:`, whose first line is line 5."""
    return HEAD + textwrap.indent(textwrap.dedent(spec), "  ")


def with_rules(rules: str, more: str = "") -> str:
    """A rule set with three metrics and these rules, the first line of which is line 10."""
    rules = textwrap.indent(textwrap.dedent(rules), "  ")
    return rule_set(f"{METRICS}rules:\n{rules}\n{textwrap.dedent(more)}")


def mistakes(text: str) -> list[str]:
    """Every mistake of a rule set as `LINE: KEY: SENTENCE`; empty when there is none."""
    try:
        read_rule_set(text, "r.yaml")
    except RuleSetError as error:
        return [str(mistake).removeprefix("r.yaml:") for mistake in error.mistakes]
    return []
