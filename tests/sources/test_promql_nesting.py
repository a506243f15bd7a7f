"""Queries that would end the parser's process are refused with a sentence."""

import pytest

from analyzer.composition import finish_rules
from analyzer.errors import RuleSetError, UsageError
from analyzer.model.document import read_rule_set
from analyzer.sources.nesting import DEEPEST
from analyzer.sources.promql import parse

DEEP = ["-" * 8191 + "x", "(" * 4000 + "x" + ")" * 4000, "abs(" * 300 + "x" + ")" * 300, "x+" * 4000 + "x"]


@pytest.mark.parametrize("text", DEEP, ids=["signs", "brackets", "calls", "sums"])
def test_too_deep(text: str) -> None:
    with pytest.raises(UsageError, match=f"more than {DEEPEST} brackets and operators"):
        parse(text)


def test_a_rule_set_with_one_is_a_mistake_with_its_line() -> None:
    text = f"""\
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {{name: deep}}
spec:
  sides: {{canary: 'version="2"', baseline: 'version="1"'}}
  metrics:
    load:
      gauge: '{DEEP[0]}'
  rules: [{{metric: load, critical: true}}]
"""
    with pytest.raises(RuleSetError, match=r"deep.yaml:8: .*brackets and operators"):
        finish_rules(read_rule_set(text, "deep.yaml"), {})


def test_strings_nest_nothing() -> None:
    names = "|".join(f"web-{number}-[0-9a-z]+(x)" for number in range(2000))
    parse(f'up{{pod=~"{names}"}}')
