"""The buckets of classic histograms: counted as one value, over the bounds that are common."""

import math

import pytest

from analyzer.sources.classic import NOTHING, Classic, ClassicBuckets, buckets_of, histograms_of, scaled
from analyzer.sources.counting import Series, total

INF = math.inf
BUCKETS = ClassicBuckets()


def classic(*pairs: tuple[float, float]) -> Classic:
    return Classic(tuple(bound for bound, _ in pairs), tuple(count for _, count in pairs))


def test_the_difference_of_each_bucket() -> None:
    before, after = classic((0.1, 5), (1, 8), (INF, 9)), classic((0.1, 7), (1, 12), (INF, 14))
    assert BUCKETS.increase(before, after) == classic((0.1, 2), (1, 4), (INF, 5))


def test_when_one_bucket_drops_all_began_anew() -> None:
    # The smallest has grown past its old value since the reset: by itself it would be counted as 1.
    before, after = classic((0.1, 5), (1, 80), (INF, 90)), classic((0.1, 6), (1, 20), (INF, 30))
    assert BUCKETS.increase(before, after) == after


def test_a_reset_shows_in_any_bucket() -> None:
    # Since the reset there was more than before it, but of another kind: the total has not dropped.
    before, after = classic((0.1, 5), (1, 8), (INF, 9)), classic((0.1, 1), (1, 12), (INF, 20))
    assert BUCKETS.increase(before, after) == after


def test_other_bounds_are_counted_where_they_are_common() -> None:
    before, after = classic((0.1, 5), (1, 8), (INF, 9)), classic((0.5, 7), (1, 12), (INF, 14))
    assert BUCKETS.increase(before, after) == classic((1, 4), (INF, 5))


def test_the_sum_is_over_common_bounds() -> None:
    amounts = [classic((0.1, 1), (1, 2), (INF, 3)), classic((0.1, 1), (0.5, 1), (1, 4), (INF, 4))]
    assert total(amounts, BUCKETS.add, NOTHING) == classic((0.1, 2), (1, 6), (INF, 7))


def test_packed_and_unpacked_it_is_the_same() -> None:
    value = classic((0.1, 5), (1, 8), (INF, 9))
    assert BUCKETS.unpack(BUCKETS.pack(value)) == value


def series(le: str, times: list[int], values: list[int], **labels: str) -> Series[float]:
    return Series({**labels, "__name__": "x_bucket", "le": le}, times, [float(value) for value in values])


def test_series_are_joined_by_everything_but_le() -> None:
    found, left_out = histograms_of(
        [
            series("+Inf", [1, 2], [9, 14], pod="a"),
            series("0.1", [1, 2], [5, 7], pod="a"),
            series("1.0", [1, 2], [8, 12], pod="a"),
            series("+Inf", [1], [3], pod="b"),
            series("0.1", [1, 2], [5, 7], pod="c"),  # no total
            series("nonsense", [1, 2], [5, 7], pod="a"),
        ]
    )
    by_pod = {each.labels["pod"]: each for each in found}
    assert set(by_pod) == {"a", "b"}
    assert left_out == 1
    assert by_pod["a"].labels == {"__name__": "x_bucket", "pod": "a"}
    assert by_pod["a"].times == [1, 2]
    assert by_pod["a"].values == [classic((0.1, 5), (1, 8), (INF, 9)), classic((0.1, 7), (1, 12), (INF, 14))]


def test_a_scrape_without_the_total_is_left_out() -> None:
    found, _ = histograms_of([series("+Inf", [2], [9]), series("1", [1, 2], [3, 4])])
    assert found[0].times == [2]


def test_buckets_by_themselves_in_base_units() -> None:
    assert buckets_of(classic((100, 2), (250, 6), (INF, 7)), 1e-3) == ((0.1, 0.25, INF), (2, 4, 1), False)


def test_counts_that_do_not_ascend_are_smoothed_and_told() -> None:
    assert buckets_of(classic((0.1, 5), (1, 4), (INF, 7)), 1) == ((0.1, 1, INF), (5, 0, 2), True)


@pytest.mark.parametrize(
    ("bound", "factor", "expected"), [(250, 1e-3, 0.25), (0.3, 1, 0.3), (INF, 1e-3, INF), (7, 1e-6, 7e-6)]
)
def test_scaled_bounds_are_tidy(bound: float, factor: float, expected: float) -> None:
    assert scaled(bound, factor) == expected


def test_a_histogram_with_a_negative_bucket_cannot_be_counted_with() -> None:
    assert BUCKETS.is_finite(classic((0.1, 0), (INF, 3)))
    for broken in (-1.0, math.nan, INF):
        assert not BUCKETS.is_finite(classic((0.1, broken), (INF, 3)))
