"""Raw samples into counts: whatever the cut into windows, nothing is lost and nothing counts twice."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.sources.counting import Counters, Seen, Series, Starts, follow, identity, is_new

COUNTERS = Counters()
History = tuple[list[int], set[int], list[int], list[int]]


def increments(
    times: Sequence[int],
    values: Sequence[float],
    *,
    seen: Seen[float] | None = None,
    origin: int = 0,
    end: int = 10**9,
    from_zero: bool = False,
) -> tuple[list[tuple[int, float]], Seen[float] | None]:
    series = Series({"a": "b"}, list(times), list(values))
    found, now = follow(series, seen, algebra=COUNTERS, origin=origin, end=end, from_zero=from_zero)
    return [(each.time, each.amount) for each in found], now


def reset_aware_sum(values: Sequence[float], *, from_zero: bool) -> float:
    """Independent of the product's code: what a person would add up by hand."""
    total = values[0] if from_zero else 0.0
    for before, after in itertools.pairwise(values):
        total += after if after < before else after - before
    return total


@pytest.mark.parametrize(
    ("times", "values", "options", "expected"),
    [
        ([1, 2, 3], [10, 15, 15], {}, [(2, 5), (3, 0)]),
        ([1, 2, 3], [10, 15, 15], {"from_zero": True}, [(1, 10), (2, 5), (3, 0)]),
        ([1, 2, 3], [10, 4, 6], {}, [(2, 4), (3, 2)]),  # a reset: 4 since zero
        ([1, 2], [10, 10.5], {}, [(2, 0.5)]),  # float counters stay floats
        ([5, 6], [7, 9], {"seen": Seen(4, 5.0)}, [(5, 2), (6, 2)]),
        ([3, 4, 5], [4, 5, 8], {"seen": Seen(4, 5.0)}, [(5, 3)]),  # what was seen already does not count again
        ([90], [20], {"seen": Seen(4, 5.0)}, [(90, 15)]),  # a long gap is one long difference
        ([1, 2, 3], [10, math.nan, 12], {}, [(3, 2)]),
        ([1, 2, 3], [10, math.inf, 12], {}, [(3, 2)]),
        ([1, 2, 3], [10, -4, 12], {}, [(3, 2)]),  # no counter is negative
        ([1, 2, 3], [-10, -15, -18], {"from_zero": True}, []),
        ([1, 2, 3], [10, 15, 18], {"origin": 2}, [(3, 3)]),  # what is older than the origin is nobody's
        ([1, 2, 3], [10, 15, 18], {"end": 2}, [(2, 5)]),
        ([], [], {}, []),
    ],
)
def test_differences(times: list[int], values: list[float], options: dict[str, Any], expected: list[Any]) -> None:
    assert increments(times, values, **options)[0] == expected


def test_the_place_where_it_stands_is_the_last_finite_sample_up_to_the_end() -> None:
    assert increments([1, 2, 3, 4], [10, 15, math.nan, 20], end=3)[1] == Seen(2, 15)


def test_without_new_samples_it_stands_where_it_stood() -> None:
    assert increments([1, 2], [10, 15], seen=Seen(2, 15.0)) == ([], Seen(2, 15.0))


histories = st.lists(st.integers(0, 50), min_size=1, max_size=60).flatmap(
    lambda steps: st.tuples(
        st.just(steps),
        st.sets(st.integers(1, len(steps)), max_size=3),  # resets before these samples
        st.lists(st.integers(1, 20), min_size=len(steps), max_size=len(steps)),  # distances in time
        st.lists(st.integers(0, 700), max_size=12),  # where it is cut into windows
    )
)


def counter(steps: list[int], resets: set[int]) -> list[float]:
    value, values = 0, []
    for number, step in enumerate(steps):
        value = step if number in resets else value + step
        values.append(float(value))
    return values


@given(histories, st.booleans())
def test_any_cut_into_windows_gives_the_same_sum(history: History, from_zero: bool) -> None:
    steps, resets, distances, cuts = history
    values, times = counter(steps, resets), list(itertools.accumulate(distances))
    total, seen = 0.0, None
    for end in [*sorted(cuts), times[-1]]:
        # Each read fetches everything up to its end: also what the reads before it have counted.
        count = sum(time <= end for time in times)
        zero = from_zero and seen is None
        found, seen = increments(times[:count], values[:count], seen=seen, end=end, from_zero=zero)
        total += sum(amount for _, amount in found)
    assert total == pytest.approx(reset_aware_sum(values, from_zero=from_zero), abs=1e-9)


@given(histories, st.data())
def test_samples_that_come_late_count_in_the_next_window(history: History, data: st.DataObject) -> None:
    steps, _, distances, _ = history
    values, times = counter(steps, set()), list(itertools.accumulate(distances))
    # The first read sees only some of the samples; the second one sees all.
    visible = data.draw(st.integers(0, len(times)))
    first, seen = increments(times[:visible], values[:visible])
    second, _ = increments(times, values, seen=seen)
    both = sum(amount for _, amount in (*first, *second))
    assert both == pytest.approx(values[-1] - values[0])


def test_a_series_is_new_only_without_a_sample_up_to_the_origin() -> None:
    series = Series({}, [5, 6], [1.0, 2.0])
    assert is_new(series, None, 4)
    assert not is_new(series, None, 5)
    assert not is_new(series, Seen(1, 1.0), 4)
    assert not is_new(Series({}, [], []), None, 4)


def test_an_identity_is_of_all_labels_in_any_order() -> None:
    one = identity("bad/canary", {"a": "1", "b": "2"})
    assert one == identity("bad/canary", {"b": "2", "a": "1"})
    others = [{"a": "1"}, {"a": "1", "b": "3"}, {"a": "12", "b": ""}, {"ab": "12"}, {"a": "1\x00b\x012"}]
    assert len({one, *(identity("bad/canary", labels) for labels in others)}) == len(others) + 1
    assert one != identity("total/canary", {"a": "1", "b": "2"})


@pytest.mark.parametrize(
    ("before", "after", "restarts"), [(100, 100, 0), (100, 100.5, 0), (100, 130, 1), (130, 100, 0)]
)
def test_a_process_that_began_later_is_a_restart(before: float, after: float, restarts: float) -> None:
    assert Starts().increase(before, after) == restarts
