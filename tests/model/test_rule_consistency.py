import pytest
from rule_texts import mistakes, rule_set, with_rules

from analyzer.model.consistency import rule_name
from analyzer.model.document import read_rule_set


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("{metric: erors}", "10: spec.rules[0].metric: there is no metric 'erors': did you mean errors?"),
        ("{metric: xyz}", "10: spec.rules[0].metric: there is no metric 'xyz': describe it under spec.metrics"),
        (
            "{metric: errors, quantile: 0.9}",
            "10: spec.rules[0].quantile: a ratio has no quantiles: take it out, or name",
        ),
        (
            "{metric: latency, direction: lower}",
            "10: spec.rules[0].direction: of a histogram only higher is worse: take it out, or judge a ratio or a g",
        ),
        (
            "{metric: errors, direction: lower, tolerance: {relative: 100%}}",
            "10: spec.rules[0].tolerance.relative: 100% less leaves nothing to compare with: write less than 100%",
        ),
        (
            "{metric: errors, tolerance: {relative: 1001%}}",
            "10: spec.rules[0].tolerance.relative: 1001 % tolerates anything: at most 1000% is read",
        ),
        (
            "{metric: memory, critical: true, tolerance: {relative: 10%, absolute: 5}}",
            "10: spec.rules[0].tolerance.absolute: a gauge is compared by its relative change alone: write relative",
        ),
        (
            "{metric: latency, tolerance: {absolute: 50ms}}",
            "10: spec.rules[0].tolerance.absolute: a histogram is compared by its relative change alone: write rela",
        ),
        (
            "{metric: errors, tolerance: {absolute: 5}}",
            "10: spec.rules[0].tolerance.absolute: is more than 100% of all events: write a percentage, such as 0.05%",
        ),
        (
            "{metric: errors, tolerance: {absolute: 5ms}}",
            "10: spec.rules[0].tolerance.absolute: of a ratio it is a share of all events: write a percentage, such as",
        ),
        (
            "{metric: errors, tolerance: {relative: 10%}, passWithin: {relative: 5%}}",
            "10: spec.rules[0].passWithin: relative is 5 %, tighter than the tolerance of 10 %: write at least as m",
        ),
        (
            "{metric: errors, passWithin: {relative: 30%}}",
            "10: spec.rules[0].passWithin: absolute is 0 %, tighter than the default tolerance of 0.05 %: write at",
        ),
        (
            "{metric: errors, tolerance: {absolute: 1%}, passWithin: {relative: 50%, absolute: 0.5%}}",
            "10: spec.rules[0].passWithin: absolute is 0.5 %, tighter than the tolerance of 1 %: write at least as",
        ),
        (
            "{metric: errors, limit: 150%}",
            "10: spec.rules[0].limit: a ratio is between 0% and 100%, 150 % is not: write",
        ),
        ("{metric: errors, limit: -1%}", "10: spec.rules[0].limit: a ratio is between 0% and 100%, -1 % is not: write"),
        (
            "{metric: errors, limit: 500ms}",
            "10: spec.rules[0].limit: of a ratio it is a share: write a percentage, such",
        ),
        (
            "{metric: latency, limit: 2}",
            "10: spec.rules[0].limit: is a time: write it with its unit, such as 2s or 800ms",
        ),
        (
            "{metric: latency, limit: 5%}",
            "10: spec.rules[0].limit: is a time: write it with its unit, such as 2s or 800",
        ),
        ("{metric: latency, limit: 0}", "10: spec.rules[0].limit: is not above zero: write the longest time that is"),
        (
            "{metric: memory, judge: threshold, limit: 2s}",
            "10: spec.rules[0].limit: is a size: write it with its unit, such as 1.5GiB",
        ),
        (
            "{metric: errors, consecutive: 3}",
            "10: spec.rules[0].consecutive: is for judge: threshold, and for limits of gauges: take it out",
        ),
        (
            "{metric: errors, judge: threshold, limit: 5%, consecutive: 41}",
            "10: spec.rules[0].consecutive: 41 readings take 10 min 15 s, longer than the deadline: write fewer, or a",
        ),
        ("{metric: errors, advisory: true}", "9: spec.rules: no rule can decide, for every one is advisory"),
        ("{metric: memory}", "9: spec.rules: no rule can decide, for every one is advisory (so is a rule of a gauge"),
        ("{health: targets, advisory: true}", "9: spec.rules: no rule can decide, for every one is advisory"),
    ],
)
def test_what_does_not_fit_together_is_one_sentence(rules: str, said: str) -> None:
    told = mistakes(with_rules(f"- {rules}"))
    assert len(told) == 1, told
    assert told[0].startswith(said)


@pytest.mark.parametrize(
    "rules",
    [
        "{metric: errors, tolerance: {relative: 1000%}, passWithin: {relative: 1000%}}",
        "{metric: errors, tolerance: {absolute: 0.002}, limit: 0.05}",
        "{metric: errors, direction: lower, limit: 99.9%}",
        "{metric: errors, judge: threshold, limit: 5%, consecutive: 40}",
        "{metric: latency, limit: 800ms}",
        "{metric: latency, limit: 1m}",
        "{metric: memory, critical: true, limit: 1.5GiB, consecutive: 3}",
        "{metric: memory, judge: threshold, limit: 1000000}",
        "{health: targets}",
        "{metric: errors, passWithin: {relative: 10%, absolute: 0.05%}}",
    ],
)
def test_what_fits(rules: str) -> None:
    assert mistakes(with_rules(f"- {rules}")) == []


def test_two_rules_of_one_name() -> None:
    assert mistakes(with_rules("- metric: latency\n- {metric: latency, quantile: 0.99, limit: 2s}")) == [
        "11: spec.rules[1]: an earlier rule is called 'latency-p99' too: give one of them another name"
    ]
    assert mistakes(with_rules("- metric: latency\n- {metric: latency, name: hard-limit, limit: 2s}")) == []
    assert mistakes(with_rules("- metric: errors\n- {metric: latency, name: errors}"))[0].startswith(
        "11: spec.rules[1]"
    )


@pytest.mark.parametrize(
    ("metric", "limit", "said"),
    [
        ("{gauge: x}", "2s", "has a unit, and the metric none: write unit: seconds (or its multiple) with the metric"),
        ("{gauge: x}", "1GiB", "has a unit, and the metric none: write unit: bytes (or its multiple) with the metric"),
        ("{gauge: x, unit: milliseconds}", "500", "is a time: write it with its unit, such as 2s or 800ms"),
        ("{gauge: x, unit: share}", "2s", "is a share: write a percentage, such as 90%"),
        ("{gauge: x}", "90%", None),
        ("{gauge: x}", "42", None),
        ("{gauge: x, unit: share}", "0.9", None),
        ("{gauge: x, unit: milliseconds}", "500ms", None),
    ],
)
def test_limits_have_the_unit_of_their_metric(metric: str, limit: str, said: str | None) -> None:
    told = mistakes(rule_set(f"metrics: {{x: {metric}}}\nrules: [{{metric: x, judge: threshold, limit: {limit}}}]"))
    assert told == ([f"6: spec.rules[0].limit: {said}"] if said else [])


def test_queries_of_ones_own_must_tell_sides_and_windows_apart() -> None:
    bad = "{promql: 'sum(increase(x{${selector}}[${window}]))'}"
    text = f"metrics: {{e: {{ratio: {{bad: {bad}, total: {{promql: 'sum(x)'}}}}}}}}\nrules: [metric: e]"
    key = "5: spec.metrics.e.ratio.total.promql"
    assert mistakes(rule_set(text)) == [
        f"{key}: has no ${{selector}}: both sides would read the same; write name{{${{selector}}}}",
        f"{key}: has no ${{window}}: count the events of one window, as in increase(name[${{window}}])",
    ]
    gauge = "metrics: {e: {gauge: {promql: 'max(x{${selector}})'}}}\nrules: [{metric: e, critical: true}]"
    assert mistakes(rule_set(gauge)) == []


def test_names_of_rules() -> None:
    rules = "- metric: errors\n- metric: latency\n- {metric: latency, quantile: 0.999}\n- health: targets\n"
    document = read_rule_set(with_rules(rules + "- {metric: memory, name: mem}"))
    names = [rule_name(rule) for rule in document.rule_set.spec.rules]
    assert names == ["errors", "latency-p99", "latency-p999", "health:targets", "mem"]


def test_a_promotion_of_what_nobody_has_shown_to_be_good_is_refused() -> None:
    rules = "- {metric: errors}"
    assert mistakes(with_rules(rules, "onPass: promote")) == []
    assert mistakes(with_rules(rules, "onInconclusive: pass")) == []
    (told,) = mistakes(with_rules(rules, "onPass: promote\nonInconclusive: pass"))
    assert told.startswith("4: spec: onPass: promote with onInconclusive: pass would promote what nobody has shown")
    (unknown,) = mistakes(with_rules(rules, "onPass: promot"))
    assert unknown == "11: spec.onPass: 'promot' is not known: write none or promote: did you mean promote?"
