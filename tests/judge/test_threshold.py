import pytest

from analyzer.judge.threshold import Threshold


@pytest.mark.parametrize(
    ("values", "failed", "passes"),
    [
        ([], False, False),
        ([None, None], False, False),
        ([1.0, 2.0], False, True),
        ([6.0, 6.0, 1.0], False, True),
        ([6.0, 6.0], False, False),
        ([6.0, 6.0, 6.0], True, False),
        ([6.0, None, 6.0, None, 6.0], True, False),
        ([6.0, 6.0, 6.0, 1.0, 1.0], True, False),
        ([6.0, 1.0, 6.0, 6.0, 1.0], False, True),
        ([5.0, 5.0, 5.0], False, True),
    ],
)
def test_so_many_readings_in_a_row_beyond_the_limit_fail(
    values: list[float | None], *, failed: bool, passes: bool
) -> None:
    state = Threshold(limit=5.0, consecutive=3)
    for value in values:
        state = state.advance(value)
    assert state.failed is failed
    assert state.passes_at_deadline is passes
