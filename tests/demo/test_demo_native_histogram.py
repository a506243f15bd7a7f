"""Native histograms: the right bucket for each value, and a layout that can be read back."""

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.demo.native_histogram import SCHEMAS, NativeHistogram

durations = st.floats(1e-6, 1e4)


def read_back(histogram: NativeHistogram) -> dict[int, int]:
    """Counts by bucket, as a reader of spans and deltas sees them."""
    indices, place = [], 0
    for span in histogram.spans():
        place += span.offset
        indices += range(place, place + span.length)
        place += span.length
    return dict(zip(indices, accumulate(histogram.deltas()), strict=True))


@given(value=durations, schema=st.sampled_from(SCHEMAS))
def test_each_value_is_in_its_bucket(value: float, schema: int) -> None:
    histogram = NativeHistogram(schema)
    index = histogram.index(value)
    slack = 1e-12  # bounds that are no powers of two are rounded
    assert histogram.upper_bound(index - 1) * (1 - slack) < value <= histogram.upper_bound(index) * (1 + slack)


@given(exponent=st.integers(-20, 20), schema=st.sampled_from(SCHEMAS))
def test_a_power_of_two_is_the_inclusive_upper_bound(exponent: int, schema: int) -> None:
    histogram, value = NativeHistogram(schema), 2.0**exponent
    index = histogram.index(value)
    assert histogram.upper_bound(index) == value
    assert histogram.index(math.nextafter(value, math.inf)) == index + 1


@given(values=st.lists(durations, max_size=200), schema=st.sampled_from(SCHEMAS))
def test_spans_and_deltas_tell_all_counts(values: list[float], schema: int) -> None:
    histogram = NativeHistogram(schema)
    for value in values:
        histogram.observe(value)
    assert read_back(histogram) == dict(histogram.buckets)
    assert histogram.count == len(values)
    assert histogram.sum == pytest.approx(math.fsum(values))


def test_the_layout_of_an_example() -> None:
    histogram = NativeHistogram(0)
    for value, times in ((1.5, 3), (3, 1), (20, 2)):  # buckets 1, 2 and 5
        for _ in range(times):
            histogram.observe(value)
    assert [(span.offset, span.length) for span in histogram.spans()] == [(1, 2), (2, 1)]
    assert histogram.deltas() == [3, -2, 1]


def test_an_empty_one_has_no_spans() -> None:
    assert NativeHistogram().spans() == []
    assert NativeHistogram().deltas() == []


def test_zero_and_almost_zero_are_in_the_zero_bucket() -> None:
    histogram = NativeHistogram(zero_threshold=0.001)
    for value in (0.0, 0.001, 0.0011):
        histogram.observe(value)
    assert histogram.zero_count == 2
    assert histogram.count == 3


@pytest.mark.parametrize("value", [-1.0, math.nan, math.inf])
def test_what_is_no_duration_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite values from zero on"):
        NativeHistogram().observe(value)


def test_an_unknown_schema_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 8 here, not 9"):
        NativeHistogram(9)
