"""Who asks next, and how many at once: the fairness and the caution of a shared client, without a server."""

import asyncio
from collections.abc import Callable
from functools import wraps

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.sources.prometheus.pace import NEVER_SLOW, RUN, Pace
from analyzer.sources.prometheus.turns import Turn, Turns


def in_a_loop(test: Callable[[], None]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        async def running() -> None:
            test()

        asyncio.run(running())

    return run


def lined_up(turns: Turns, *askers: str) -> Turn:
    turn = Turn()
    for asker in askers:
        turns.line_up(turn, asker)
    return turn


# ---------------------------------------------------------------------- turns


@in_a_loop
def test_as_many_turns_as_the_limit_come_at_once() -> None:
    turns = Turns(lambda: 2)
    first, second, third = (lined_up(turns, "a") for _ in range(3))
    assert (first.has_come, second.has_come, third.has_come) == (True, True, False)
    assert (turns.under_way, turns.waiting) == (2, 1)
    turns.end(first)
    assert third.has_come
    assert (turns.under_way, turns.waiting) == (2, 0)


@in_a_loop
def test_one_who_asks_much_does_not_hold_up_one_who_asks_little() -> None:
    turns = Turns(lambda: 1)
    running = lined_up(turns, "much")
    much = [lined_up(turns, "much") for _ in range(300)]
    little = [lined_up(turns, "little") for _ in range(2)]
    order = []
    waiting = [*much, *little]
    while waiting:
        turns.end(running)
        (running,) = [turn for turn in waiting if turn.has_come]
        waiting.remove(running)
        order.append("little" if running in little else "much")
    assert order[:5] == ["much", "little", "much", "little", "much"]
    assert order.count("much") == 300


@in_a_loop
def test_a_question_of_two_is_put_when_the_first_of_them_has_a_turn() -> None:
    turns = Turns(lambda: 1)
    running = lined_up(turns, "much")
    several = [lined_up(turns, "much") for _ in range(5)]
    common = lined_up(turns, "much", "little")
    turns.end(running)
    turns.end(several[0])
    assert common.has_come
    turns.end(common)
    assert [turn.has_come for turn in several] == [True, True, False, False, False]


@in_a_loop
def test_a_turn_that_nobody_waits_for_any_more_is_passed_on() -> None:
    turns = Turns(lambda: 1)
    running, gone, last = (lined_up(turns, asker) for asker in ("a", "b", "c"))
    turns.end(gone)
    assert turns.waiting == 1
    turns.end(running)
    assert (gone.has_come, last.has_come) == (False, True)
    turns.end(last)
    assert (turns.under_way, turns.waiting, len(turns._lines)) == (0, 0, 0)


@in_a_loop
def test_a_higher_limit_lets_more_come_and_a_lower_one_fewer() -> None:
    limit = 1
    turns = Turns(lambda: limit)
    waiting = [lined_up(turns, "a") for _ in range(6)]
    limit = 4
    turns.serve()
    assert turns.under_way == 4
    limit = 2
    for turn in waiting[:2]:
        turns.end(turn)
    assert [turn.has_come for turn in waiting] == [True] * 4 + [False] * 2
    turns.end(waiting[2])
    assert waiting[4].has_come


@given(st.lists(st.tuples(st.sampled_from("lle"), st.sampled_from("abcd"), st.integers(0, 30)), max_size=80))
def test_no_turn_is_lost_and_none_is_given_twice(steps: list[tuple[str, str, int]]) -> None:
    async def going() -> None:
        turns, open_ones = Turns(lambda: 3), list[Turn]()
        for what, asker, number in steps:
            if what == "l":
                known = open_ones[number : number + 1]
                turn = known[0] if known else Turn()
                turns.line_up(turn, asker)
                open_ones += [] if known else [turn]
            elif open_ones:
                turns.end(open_ones.pop(number % len(open_ones)))
            assert turns.under_way == sum(turn.has_come for turn in open_ones) == min(3, len(open_ones))
            assert turns.under_way + turns.waiting == len(open_ones)
        while open_ones:
            come = [turn for turn in open_ones if turn.has_come]
            assert come
            turns.end(come[0])
            open_ones.remove(come[0])
        assert (turns.under_way, turns.waiting, len(turns._lines)) == (0, 0, 0)

    asyncio.run(going())


# ---------------------------------------------------------------------- pace


def test_what_was_under_way_together_lowers_the_pace_once() -> None:
    pace = Pace(8)
    together = pace.cuts
    for _ in range(8):
        pace.overloaded(together)
    assert pace.limit == 4


def test_never_fewer_than_one_and_then_pauses_that_grow_and_end() -> None:
    pace = Pace(8)
    for _ in range(3):
        pace.overloaded(pace.cuts)
    assert (pace.limit, pace.pause) == (1, 0)
    pauses = []
    for _ in range(8):
        pace.overloaded(pace.cuts)
        pauses.append(pace.pause)
    assert pauses == [0.5, 1, 2, 4, 8, 10, 10, 10]
    assert pace.limit == 1
    pace.answered(pace.cuts, 0.01)
    assert pace.pause == 0


def test_one_more_after_each_run_of_answers_and_never_more_than_at_first() -> None:
    pace = Pace(4)
    pace.overloaded(pace.cuts)
    for _ in range(RUN - 1):
        pace.answered(pace.cuts, 0.01)
    assert pace.limit == 2
    pace.answered(pace.cuts, 0.01)
    assert pace.limit == 3
    for _ in range(10 * RUN):
        pace.answered(pace.cuts, 0.01)
    assert pace.limit == 4


def test_a_failure_begins_the_run_anew() -> None:
    pace = Pace(4)
    pace.overloaded(pace.cuts)
    for _ in range(RUN - 1):
        pace.answered(pace.cuts, 0.01)
    pace.overloaded(pace.cuts)
    for _ in range(RUN - 1):
        pace.answered(pace.cuts, 0.01)
    assert pace.limit == 1


def test_a_server_that_slows_gets_fewer_until_that_is_its_usual_time() -> None:
    pace = Pace(8)
    for _ in range(100):
        pace.answered(pace.cuts, 0.2)
    assert pace.limit == 8
    lowest = 8
    for _ in range(20):
        pace.answered(pace.cuts, 5.0)
        lowest = min(lowest, pace.limit)
    assert lowest < 8
    for _ in range(1000):
        pace.answered(pace.cuts, 5.0)
    assert pace.limit == 8


def test_what_is_fast_is_never_slow() -> None:
    pace = Pace(8)
    for seconds in [0.001] * 100 + [NEVER_SLOW / 2] * 50:
        pace.answered(pace.cuts, seconds)
    assert pace.limit == 8


def test_a_pace_needs_one_question_at_least() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Pace(0)
