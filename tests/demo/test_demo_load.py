"""The load's counts are the instances' own; bad answers are dated; nothing is sent after the end."""

import asyncio
import time

import pytest

from analyzer.demo.behaviour import ERRORS, GOOD, Behaviour, Latency
from analyzer.demo.instance import Instance
from analyzer.demo.load import NOWHERE, Counts, Load, Moment
from tests.demo.patience import until

pytestmark = pytest.mark.anyio


async def sent(load: Load, many: int) -> None:
    await until(lambda: load.total().sent >= many)


async def test_its_counts_are_the_truth_of_the_instances() -> None:
    async with Instance(GOOD, seed=1) as one, Instance(ERRORS, seed=2) as other:
        async with Load(lambda: [one.url, other.url], rate=300) as load:
            await sent(load, 400)
        for instance in (one, other):
            counts = load.counts[instance.url]
            assert counts.sent == counts.ok + counts.bad == instance.tally.total
            assert counts.bad == instance.tally.bad
        assert abs(one.tally.total - other.tally.total) <= 1
        assert other.tally.bad > 0


async def test_the_rate_is_kept_whatever_the_answers_take() -> None:
    slow = Behaviour(latency=Latency(median=0.4, sigma=0))
    async with Instance(slow) as instance, Load(lambda: [instance.url], rate=200) as load:
        begin = time.monotonic()
        await sent(load, 81)
        elapsed = time.monotonic() - begin
        assert elapsed >= 80 / 200 - 0.001  # never faster
        assert load.total().sent + load.shed >= int(elapsed * 200) - 50  # nor slower, but for what is not yet caught up
        assert elapsed < 10  # one after the other would take 32 seconds


async def test_what_was_due_while_the_process_could_not_run_is_shed() -> None:
    async with Instance(GOOD) as instance, Load(lambda: [instance.url], rate=100) as load:
        await sent(load, 1)
        before = load.total().sent + load.shed
        time.sleep(1)  # noqa: ASYNC251 -- this is the pause
        await sent(load, load.total().sent + 30)
        assert load.shed >= 70
        assert load.total().sent + load.shed >= before + 100


async def test_concurrency_is_bounded_and_what_is_above_it_is_counted() -> None:
    slow = Behaviour(base_error_rate=0, latency=Latency(median=0.5, sigma=0))
    async with Instance(slow) as instance:
        async with Load(lambda: [instance.url], rate=500, concurrency=4) as load:
            await sent(load, 8)
        assert load.shed > 50
        assert load.total() == Counts(sent=8, ok=8)
        assert instance.tally.total == 8


async def test_bad_requests_are_dated_on_both_clocks() -> None:
    async with Instance(Behaviour(base_error_rate=0)) as instance, Load(lambda: [instance.url], rate=200) as load:
        await sent(load, 20)
        assert load.total().first_bad is None
        begin = Moment.now()
        instance.behaviour = Behaviour(base_error_rate=1)
        await sent(load, load.total().sent + 30)
        instance.behaviour = Behaviour(base_error_rate=0)
        end = Moment.now()
        await sent(load, load.total().sent + 60)
        counts = load.total([instance.url])
        assert counts.first_bad is not None
        assert counts.last_bad is not None
        assert begin.monotonic <= counts.first_bad.monotonic < counts.last_bad.monotonic < end.monotonic + 1
        assert begin.wall <= counts.first_bad.wall < counts.last_bad.wall < end.wall + 1


async def test_a_dead_endpoint_gives_bad_requests() -> None:
    async with Instance(Behaviour(base_error_rate=0)) as instance:
        await instance.die()
        async with Load(lambda: [instance.url], rate=100) as load:
            await sent(load, 5)
        counts = load.total()
        assert counts.bad == counts.sent >= 5
        assert instance.served.total == 0


async def test_with_no_endpoint_requests_go_nowhere_and_are_bad() -> None:
    async with Load(list, rate=100) as load:
        await sent(load, 5)
    assert load.counts.keys() == {NOWHERE}
    assert load.total().bad == load.total().sent >= 5
    assert load.total(["http://127.0.0.1:1"]) == Counts()


async def test_endpoints_may_change_and_the_load_may_pause() -> None:
    async with Instance(GOOD, seed=1) as one, Instance(GOOD, seed=2) as other:
        ready = [one.url]
        async with Load(lambda: ready, rate=200) as load:
            await sent(load, 10)
            ready = [other.url]
            await sent(load, load.total().sent + 10)
            load.rate = 0
            await asyncio.sleep(0.1)  # longer than the pause takes to be seen
            paused = load.total().sent
            await asyncio.sleep(0.15)
            assert load.total().sent == paused
            load.rate = 200
            await sent(load, paused + 5)
        assert one.tally.total > 0
        assert other.tally.total > 0


async def test_after_the_end_nothing_is_sent_and_no_task_is_left() -> None:
    async with Instance(GOOD) as instance:
        before = asyncio.all_tasks()
        async with Load(lambda: [instance.url], rate=100) as load:
            await sent(load, 10)
        ended = load.total()
        await asyncio.sleep(0.1)
        assert load.total() == ended
        assert ended.sent == ended.ok + ended.bad
        assert {task for task in asyncio.all_tasks() - before if "Load" in repr(task)} == set()


def test_sums_keep_the_first_and_the_last_moment() -> None:
    one = Counts(3, 1, 2, Moment(1, 101), Moment(5, 105))
    other = Counts(4, 3, 1, Moment(2, 102), Moment(2, 102))
    assert Counts.sum([other, Counts(1, 1, 0), one]) == Counts(8, 5, 3, Moment(1, 101), Moment(5, 105))


async def test_a_mistake_of_the_caller_comes_out_at_the_end() -> None:
    def broken() -> list[str]:
        raise ZeroDivisionError

    load = Load(broken, rate=100)
    await load.start()
    await asyncio.sleep(0.05)
    with pytest.raises(ExceptionGroup) as caught:
        await load.stop()
    assert caught.group_contains(ZeroDivisionError)
