import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.model.document import read_rule_set
from analyzer.model.ruleset import RuleSet
from analyzer.model.units import (
    parse_duration,
    parse_quantity,
    parse_share,
    show_duration,
    show_level,
    show_share,
    write_duration,
    write_share,
)


@pytest.mark.parametrize(
    ("text", "share"),
    [("10%", 0.1), ("0.05 %", 0.0005), (0.1, 0.1), ("1", 1.0), (0, 0.0), ("1e1%", 0.1), ("310%", 3.1), (".5%", 0.005)],
)
def test_shares(text: object, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (5, "5 is a share above 1: write 5% if percent is meant"),
        ("ten", "'ten' is not a share: write a percentage, such as 10%"),
        ("10 ms", "'10 ms' is not a share: write a percentage, such as 10%"),
        (True, "True is not a share: write a percentage, such as 10%"),
        (None, "None is not a share: write a percentage, such as 10%"),
        ("1e999%", "'1e999%' is not a finite number"),
        ("nan", "'nan' is not a share: write a percentage, such as 10%"),
    ],
)
def test_no_shares(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=r"share|finite") as caught:
        parse_share(value)
    assert str(caught.value) == said


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1h30m", 5400), ("800ms", 0.8), ("1d", 86400), ("1.5m", 90), (0, 0), ("0", 0)],
)
def test_durations(text: object, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [30, "30", 1.5, "1:30", "30 seconds", "-5s", "", "s", True, [1], "1e999s", "5m3"])
def test_no_durations(value: object) -> None:
    with pytest.raises(ValueError, match=r"unit|duration|negative|finite"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("2s", 2),
        ("800ms", 0.8),
        ("1.5GiB", 1.5 * 2**30),
        ("90%", 0.9),
        (42, 42),
        ("-3", -3),
        ("512Mi", 2**29),
        ("5m", 300),
    ],
)
def test_levels(text: object, level: float) -> None:
    assert parse_quantity(text) == pytest.approx(level)


@pytest.mark.parametrize("value", ["2 apples", "", "s", True, None, "1e999", "inf"])
def test_no_levels(value: object) -> None:
    with pytest.raises(ValueError, match=r"level|finite"):
        parse_quantity(value)


@given(st.floats(0, 1000))
def test_shares_come_back_exactly(number: float) -> None:
    share = parse_share(f"{number!r}%")
    assert parse_share(write_share(share)) == share


@given(st.floats(0, 1e9))
def test_durations_come_back_exactly(seconds: float) -> None:
    assert parse_duration(write_duration(seconds)) == seconds


def test_a_rule_set_comes_back_from_a_record() -> None:
    text = """
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: web}
spec:
  schedule: {interval: 333ms, deadline: 1h7m}
  metrics:
    e: {ratio: {bad: x, total: {promql: 'sum(increase(x{${selector}}[${window}]))'}}}
    h: {histogram: y, unit: milliseconds}
  rules:
    - {metric: e, tolerance: {relative: 310.7%, absolute: 0.05%}, passWithin: {relative: 999.9%, absolute: 1%}}
    - {metric: h, limit: 800ms}
    - health: targets
""".replace("333ms", "1.333s")
    rules = read_rule_set(text).rule_set
    assert RuleSet.model_validate_json(rules.model_dump_json()) == rules
    assert RuleSet.model_validate_json(rules.model_dump_json(by_alias=True)) == rules
    assert RuleSet.model_validate(rules.model_dump(mode="json")) == rules


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (show_share(0.0193), "1.93 %"),
        (show_share(0), "0 %"),
        (show_duration(0.85), "850 ms"),
        (show_duration(4.25), "4.25 s"),
        (show_duration(42), "42 s"),
        (show_duration(200), "3 min 20 s"),
        (show_duration(120), "2 min"),
        (show_duration(7500), "2 h 5 min"),
        (show_duration(7200), "2 h"),
        (show_level(1.5 * 2**30, "bytes"), "1.5 GiB"),
        (show_level(12, "bytes"), "12 B"),
        (show_level(0.5, "share"), "50 %"),
        (show_level(2, "seconds"), "2 s"),
        (show_level(1234.5, None), "1234"),
    ],
)
def test_numbers_for_people(shown: str, text: str) -> None:
    assert shown == text
