"""Native histograms: the schema inferred, schemas brought together, every bucket counted."""

import itertools
import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.sources.counting import total
from analyzer.sources.native import CUSTOM, NOTHING, Native, NativeBuckets, buckets_of, parse_native, upper_bound

INF = math.inf
BUCKETS = NativeBuckets()
Shape = tuple[int, dict[int, int]]


def as_json(
    schema: int, counts: Mapping[Any, float], low: int = 0, count: int | None = None, threshold: float = 1e-128
) -> dict[str, Any]:
    """As the HTTP API writes it: populated buckets by their bounds, numbers as texts."""
    rows = [[3, repr(-threshold), repr(threshold), str(low)]] if low else []
    for index, number in sorted(counts.items()):
        lower, upper = 2.0 ** ((index - 1) * 2.0**-schema), 2.0 ** (index * 2.0**-schema)
        rows.append([0, repr(lower), repr(upper), str(number)])
    return {"count": str(sum(counts.values()) + low if count is None else count), "sum": "1", "buckets": rows}


@pytest.mark.parametrize("schema", range(-4, 9))
def test_the_schema_is_inferred_from_one_bucket(schema: int) -> None:
    for index in (-3, 0, 1, 7):
        parsed = parse_native(as_json(schema, {index: 4}))
        assert (parsed.schema, parsed.buckets, parsed.count) == (schema, {index: 4}, 4)


def test_zero_and_negative_buckets_are_low() -> None:
    raw = {"count": "9", "sum": "1", "buckets": [[1, "-2", "-1", "2"], [3, "-0.001", "0.001", "3"], [0, "1", "2", "4"]]}
    parsed = parse_native(raw)
    assert (parsed.low, parsed.floor, parsed.buckets) == (5, 0.001, {1: 4})


def test_an_empty_histogram() -> None:
    parsed = parse_native({"count": "0", "sum": "0"})
    assert (parsed.count, parsed.low, parsed.buckets) == (0, 0, {})
    assert BUCKETS.increase(parsed, parse_native(as_json(3, {1: 4}))).buckets == {1: 4}


def test_the_last_bucket_has_no_bound() -> None:
    raw = {"count": "3", "sum": "1", "buckets": [[0, "1", "2", "2"], [0, repr(2.0**1023), "+Inf", "1"]]}
    parsed = parse_native(raw)
    assert parsed.schema == 0
    assert parsed.buckets == {1: 2, 1024: 1}
    assert upper_bound(1024, 0) == INF


def test_custom_bounds() -> None:
    raw = {"count": "6", "sum": "1", "buckets": [[0, "-Inf", "0.1", "3"], [0, "0.5", "1", "2"], [0, "1", "+Inf", "1"]]}
    parsed = parse_native(raw)
    assert parsed.schema == CUSTOM
    assert buckets_of(parsed, 1) == ((0.1, 1, INF), (3, 2, 1), None)


@pytest.mark.parametrize(
    "raw", [None, [], "x", {"buckets": []}, {"count": "x"}, {"count": "1", "buckets": [[0, 1, 2]]}]
)
def test_what_is_no_histogram(raw: object) -> None:
    with pytest.raises((ValueError, KeyError)):
        parse_native(raw)


def truth(values: list[float], schema: int) -> dict[float, float]:
    """Counts by bucket, straight from the definition: the smallest i with value <= base^i."""
    counts: dict[float, float] = {}
    for value in values:
        index = math.ceil(math.log2(value) * 2.0**schema - 1e-12)
        counts[index] = counts.get(index, 0) + 1
    return counts


@given(st.integers(0, 4), st.integers(0, 4), st.integers(0, 2**32))
def test_a_histogram_in_a_coarser_schema_is_the_histogram_of_the_coarser_schema(
    schema: int, coarser: int, seed: int
) -> None:
    rng = random.Random(seed)
    values = [rng.lognormvariate(0, 2) for _ in range(30)]
    low = min(schema, coarser)
    added = BUCKETS.add(Native(schema, 30, 0, 0, truth(values, schema)), Native(low, 0, 0, 0, {}))
    assert added.schema == low
    assert added.buckets == truth(values, low)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((3, {1: 4, 2: 5}), (3, {1: 6, 2: 5, 9: 1}), {1: 2, 9: 1}),
        ((3, {1: 4, 2: 5}), (3, {1: 3, 2: 9}), {1: 3, 2: 9}),  # a bucket dropped: all anew
        ((3, {1: 4}), (3, {2: 2}), {2: 2}),  # the count dropped
        ((1, {1: 4, 2: 5}), (0, {1: 12}), {1: 3}),  # the schema became coarser: buckets 1 and 2 are the new 1
    ],
)
def test_differences(before: Shape, after: Shape, expected: dict[int, int]) -> None:
    grown = BUCKETS.increase(parse_native(as_json(*before)), parse_native(as_json(*after)))
    assert grown.buckets == expected


def test_buckets_that_a_wider_zero_bucket_swallows_have_not_dropped() -> None:
    before = parse_native(as_json(0, {-5: 4, 1: 5}, low=2, threshold=1e-9))
    after = parse_native(as_json(0, {1: 6}, low=7, threshold=2.0**-5))
    grown = BUCKETS.increase(before, after)
    assert (grown.low, grown.buckets) == (1, {1: 1})


def test_a_zero_bucket_that_dropped_began_anew() -> None:
    before, after = parse_native(as_json(0, {1: 1}, low=5)), parse_native(as_json(0, {1: 9}, low=2))
    assert BUCKETS.increase(before, after) == after


def test_packed_and_unpacked_it_is_the_same() -> None:
    value = parse_native(as_json(3, {-2: 4, 7: 1}, low=3))
    assert BUCKETS.unpack(BUCKETS.pack(value)) == value


def test_bounds_hold_what_is_in_the_buckets() -> None:
    counted = total([parse_native(as_json(0, {2: 4, 3: 1, 9: 2}, low=5))], BUCKETS.add, NOTHING)
    bounds, counts, scale = buckets_of(counted, 1)
    assert (bounds, counts, scale) == ((2, 4, 8, 256, 512, INF), (5, 4, 1, 0, 2, 0), 0)


def test_only_low_ones() -> None:
    assert buckets_of(parse_native({"count": "5", "buckets": [[3, "-0.5", "0.5", "5"]]}), 1) == (
        (0.5, INF),
        (5, 0),
        None,
    )


@given(st.integers(0, 2**32), st.integers(0, 3))
def test_counts_at_every_power_equal_the_truth(seed: int, schema: int) -> None:
    rng = random.Random(seed)
    values = [rng.lognormvariate(0, 3) for _ in range(40)]
    bounds, counts, _ = buckets_of(parse_native(as_json(schema, truth(values, schema))), 1)
    cumulative = list(itertools.accumulate(counts))
    for power in range(-20, 20):
        bound = 2.0**power
        known = [count for edge, count in zip(bounds, cumulative, strict=True) if edge <= bound]
        assert (known[-1] if known else 0) == sum(value <= bound for value in values)


@pytest.mark.parametrize("broken", [-1.0, math.nan, INF])
def test_a_histogram_with_a_negative_bucket_cannot_be_counted_with(broken: float) -> None:
    assert BUCKETS.is_finite(Native(0, 3.0, 0.0, 0.0, {1: 3.0}))
    assert not BUCKETS.is_finite(Native(0, 3.0, 0.0, 0.0, {1: broken}))
