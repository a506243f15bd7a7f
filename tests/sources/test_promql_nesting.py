"""Queries that would end the parser's process, or stop it for long, are refused with a sentence."""

import pytest

from analyzer.composition.rules import finish_rules
from analyzer.errors import RuleSetError, UsageError
from analyzer.model.document import read_rule_set
from analyzer.sources.nesting import DEEPEST
from analyzer.sources.promql import parse
from analyzer.sources.rendering import quote

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


COSTLY = [
    r"\w{90}", r"\W{90}", r"[\w-]{90}", r"(((\w){10}){3}){3}", r"(\w){2,90}?", r"\pL{90}", r"\p{Greek}{90}", r"\d{600}",
    "(?i:[\u01c5-\ufb17])" * 3, r"((a{100}){100}){100}", r"[a[\w]]{90}", ".{20000}", r"[]\w]{90}", r"[\]\w]{90}",
]  # fmt: skip


@pytest.mark.parametrize("pattern", COSTLY)
def test_costly_pattern(pattern: str) -> None:
    with pytest.raises(UsageError, match="too much work"):
        parse(f"up{{pod=~{quote(pattern)}}}")


def test_costs_of_a_query_are_added_up() -> None:
    parse(r'up{a=~"\\w{20}"}')
    with pytest.raises(UsageError, match="too much work"):
        parse("up{" + r'a=~"\\w{20}",' * 3 + "}")


@pytest.mark.parametrize("backslash", ["\\\\", r"\x5c", r"\u005c", r"\U0000005C", r"\134"])
def test_costs_however_a_string_is_written(backslash: str) -> None:
    for sign in "\"'`":
        with pytest.raises(UsageError, match="too much work"):
            parse(f"up{{pod=~{sign}{backslash}w{{90}}{sign}}}")


@pytest.mark.parametrize(
    "pattern",
    [
        r"web-\w+-\d{8,10}-[a-z0-9]{5}", "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}",
        "(?i).*(error|timeout).*", "(?i)[a-z]+[^/]*", r"\p{Lu}.*", "/api/v[0-9]{1,3}/.{0,200}", "[[:alpha:]]{3}",
    ],
)  # fmt: skip
def test_patterns_of_every_day(pattern: str) -> None:
    parse(f"up{{pod=~{quote(pattern)}}}")
