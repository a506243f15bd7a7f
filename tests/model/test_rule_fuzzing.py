"""Whatever stands in a rule set, it is read, or refused in sentences of one line each, with their places."""

import copy
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.composition.rules import finish_rules
from analyzer.errors import Mistake, RuleSetError, UsageError
from analyzer.model.document import read_rule_set
from analyzer.model.outline import outline

TEXT = """
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: web, description: all kinds}
spec:
  parameters: {requests: requests_total, matchers: '', version: '2'}
  schedule: {warmup: 30s, interval: 15s, minimum: 2m, deadline: 10m, watchAfterPass: 0s, baseline: 40m}
  sides: {canary: 'version="${version}"', baseline: 'version!="${version}"', comparison: side-by-side}
  confidence: {falseAlarm: 1%, missed: 5%}
  metrics:
    errors: {ratio: {bad: '${requests}{code=~"5..",${matchers}}', total: '${requests}'}}
    own:
      ratio:
        bad: {promql: 'sum(increase(x{${selector}}[${window}]))'}
        total: {promql: 'sum(increase(y{${selector}}[${window}]))'}
    latency: {histogram: seconds, unit: seconds}
    memory: {gauge: 'max by (pod) (memory)', unit: bytes}
  rules:
    - metric: errors
      judge: sequential
      direction: higher
      tolerance: {relative: 10%, absolute: 0.05%}
      passWithin: {relative: 50%, absolute: 1%}
      limit: 5%
      critical: true
      advisory: false
      weight: 3
    - {metric: own, name: my-own}
    - {metric: latency, quantile: 0.9, limit: 2s}
    - {metric: memory, judge: threshold, limit: 1GiB, consecutive: 3}
    - {health: targets, consecutive: 3}
  onFail: rollback
  onInconclusive: hold
  messages: [team]
"""
GOOD = outline(TEXT, "good")[0].value


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:  # noqa: ANN401 -- what YAML holds
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for name, below in items for found in places(below, (*path, name)))]


PLACES = [path for path in places(GOOD) if path]
KEYS = sorted({path[-1] for path in PLACES if isinstance(path[-1], str)})
printable = st.text(st.characters(max_codepoint=0xFFFD, exclude_categories=["Cs", "Cc"]) | st.just("\n"), max_size=12)
words = printable | st.sampled_from(
    [
        "10%",
        "-1%",
        "30s",
        "0",
        "1e999",
        "5..",
        "${requests}",
        "${x}",
        "${selector}",
        "a{b='c'}",
        "(",
        "rate(x[5m])",
        "targets",
    ]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(KEYS) | printable, below, max_size=3),
    max_leaves=6,
)


def told(value: object) -> list[str]:
    """The sentences about a rule set, or none when it is good."""
    text = json.dumps(value, indent=1).replace("-Infinity", "-.inf").replace("Infinity", ".inf").replace("NaN", ".nan")
    mistakes: list[Mistake] = []
    sentences: list[str] = []
    try:
        finish_rules(read_rule_set(text, "f"), {})
    except RuleSetError as error:
        mistakes = error.mistakes
        sentences = [str(mistake) for mistake in mistakes]
    except UsageError as error:
        sentences = [str(error)]
    assert all(0 <= mistake.line <= text.count("\n") + 1 for mistake in mistakes)
    return sentences


def test_the_rule_set_to_start_from_is_good() -> None:
    assert told(GOOD) == []


@given(path=st.sampled_from(PLACES), value=values, name=st.none() | st.sampled_from(KEYS) | printable)
@settings(max_examples=400)
def test_one_place_with_anything_in_it(path: tuple[Any, ...], value: object, name: str | None) -> None:
    changed = copy.deepcopy(GOOD)
    around = changed
    for part in path[:-1]:
        around = around[part]
    if name is not None and isinstance(around, dict):
        around[name] = around.pop(path[-1])  # a key of another name
    else:
        around[path[-1]] = value
    sentences = told(changed)
    assert all("\n" not in sentence and sentence.startswith("f:") for sentence in sentences)
    assert len(set(sentences)) == len(sentences)


@given(value=values)
def test_anything_at_all(value: object) -> None:
    assert all("\n" not in sentence for sentence in told({**GOOD, "spec": value}))
    assert told(value)
