import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analyzer.judge.merging import Gathering, gather, gathering

windows = st.lists(st.tuples(*[st.integers(0, 30)] * 4), min_size=1, max_size=40)


@given(windows=windows, baseline=st.booleans())
def test_nothing_is_lost_and_enough_is_gathered(windows: list[tuple[int, int, int, int]], *, baseline: bool) -> None:
    waiting, total, span = gathering(), np.zeros(4), 0.0
    for window in windows:
        span += 15.0
        waiting, judged = gather(waiting, window, 15.0, baseline=baseline)
        total += judged
        if judged.any():
            least = min(judged[0], judged[2]) if baseline else judged[0]
            assert least >= 20 or span == 60
        assert waiting.seconds < 60
        if waiting.seconds == 0:
            span = 0.0
        assert waiting.seconds == span
    np.testing.assert_array_equal(total + waiting.counts, np.sum(windows, axis=0))


def test_busy_windows_pass_straight_through() -> None:
    waiting, judged = gather(gathering(), (20, 3, 25, 0), 15.0)
    np.testing.assert_array_equal(judged, [20, 3, 25, 0])
    assert waiting.seconds == 0


def test_a_quiet_side_is_waited_for_a_minute_at_most() -> None:
    waiting = gathering()
    for _ in range(3):
        waiting, judged = gather(waiting, (100, 1, 2, 0), 15.0)
        assert not judged.any()
    waiting, judged = gather(waiting, (100, 1, 2, 0), 15.0)
    np.testing.assert_array_equal(judged, [400, 4, 8, 0])


def test_without_a_baseline_the_canary_decides() -> None:
    _, judged = gather(gathering(), (100, 1, 0, 0), 15.0, baseline=False)
    assert judged[0] == 100


def test_a_batch_gathers_run_by_run_and_survives_json() -> None:
    waiting, judged = gather(gathering((2,)), [[5, 0, 5, 1], [50, 1, 50, 1]], 15.0)
    np.testing.assert_array_equal(judged, [[0, 0, 0, 0], [50, 1, 50, 1]])
    again = Gathering.from_json(json.loads(json.dumps(waiting.to_json())))
    np.testing.assert_array_equal(again.counts, waiting.counts)
    np.testing.assert_array_equal(again.seconds, [15, 0])
