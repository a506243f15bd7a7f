"""The supervisor in a process of its own."""

import asyncio
import os
import shutil
import signal
import socket
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from pydantic import SecretStr

from analyzer.errors import CanaryError, StoreError
from analyzer.service import working
from analyzer.service.alone import alone
from analyzer.service.apart import LOST, SILENT, Apart
from analyzer.service.channel import Alone, Begin, Channel, Ended, Measure, Measured, Standing
from analyzer.service.settings import Settings
from analyzer.store.database import Database

LONG = 30.0
"""Seconds after which a test has failed."""
FEW = [Metric("canary_windows", "Windows.", "counter")]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(database=SecretStr(f"sqlite:///{tmp_path / 'canary.db'}"))


async def ready(supervisor: Apart) -> None:
    while supervisor.troubles():  # noqa: ASYNC110 -- it is told by no event
        await asyncio.sleep(0.01)


def test_it_works_and_ends_when_it_is_told(settings: Settings) -> None:
    supervisor, stop = Apart.forked(settings), asyncio.Event()

    async def main() -> None:
        supervisor.wake()  # nobody hears it yet
        assert supervisor.troubles(), "it is not ready before it has begun"
        await supervisor.claimed()
        async with Database.open(settings.database.get_secret_value()):
            running = asyncio.create_task(supervisor.run(stop))
            await ready(supervisor)
            supervisor.wake()
            first, second = await asyncio.gather(supervisor.metrics(), supervisor.metrics())
            assert "canary_lag_seconds" in {metric.name for metric in first} == {metric.name for metric in second}
            stop.set()
            await running
        await supervisor.close()
        supervisor.wake()  # it is no more

    asyncio.run(asyncio.wait_for(main(), LONG))
    supervisor.end()
    with pytest.raises(ChildProcessError):
        os.waitpid(supervisor._pid, os.WNOHANG)


def test_told_to_stop_before_it_has_begun(settings: Settings) -> None:
    supervisor, stop = Apart.forked(settings), asyncio.Event()
    stop.set()

    async def main() -> None:
        await supervisor.claimed()
        async with Database.open(settings.database.get_secret_value()):
            await supervisor.run(stop)
        await supervisor.close()

    asyncio.run(asyncio.wait_for(main(), LONG))
    supervisor.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_of_a_group_is_for_the_other_process(settings: Settings, number: signal.Signals) -> None:
    supervisor, stop = Apart.forked(settings), asyncio.Event()

    async def main() -> None:
        await supervisor.claimed()
        async with Database.open(settings.database.get_secret_value()):
            running = asyncio.create_task(supervisor.run(stop))
            await ready(supervisor)
            os.kill(supervisor._pid, number)
            await supervisor.metrics()  # it still answers
            assert not running.done()
            stop.set()
            await running
        await supervisor.close()

    asyncio.run(asyncio.wait_for(main(), LONG))
    supervisor.end()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_all_of_a_group_at_its_very_beginning(settings: Settings, number: signal.Signals) -> None:
    supervisor, stop = Apart.forked(settings), asyncio.Event()
    os.kill(supervisor._pid, number)
    stop.set()

    async def main() -> None:
        await supervisor.claimed()
        async with Database.open(settings.database.get_secret_value()):
            await supervisor.run(stop)
        await supervisor.close()

    try:
        asyncio.run(asyncio.wait_for(main(), LONG))
    finally:
        supervisor.end()
    assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, ()), "ours come as before"


def test_one_whose_last_word_is_lost_has_ended_well_with_exit_code_0() -> None:
    """It is lost where we tell it something in the moment in which it ends."""
    program = shutil.which("true")
    assert program
    ours, theirs = socket.socketpair()
    supervisor = Apart(os.posix_spawn(program, [program], {}), ours)

    async def main() -> None:
        other = await Channel.over(theirs)
        other.tell(Alone())
        await supervisor.claimed()
        await other.close()
        await supervisor.run(asyncio.Event())
        await supervisor.close()

    asyncio.run(asyncio.wait_for(main(), LONG))
    supervisor.end()


def test_one_that_is_killed_is_told(settings: Settings) -> None:
    supervisor = Apart.forked(settings)

    async def main() -> None:
        await supervisor.claimed()
        async with Database.open(settings.database.get_secret_value()):
            running = asyncio.create_task(supervisor.run(asyncio.Event()))
            await ready(supervisor)
            os.kill(supervisor._pid, signal.SIGKILL)
            with pytest.raises(CanaryError, match="was ended by signal 9"):
                await running
        await supervisor.close()

    asyncio.run(asyncio.wait_for(main(), LONG))
    supervisor.end()


def test_a_database_that_another_one_works_on(settings: Settings) -> None:
    async def main(supervisor: Apart) -> None:
        try:
            await supervisor.claimed()
        finally:
            await supervisor.close()

    with alone(settings.database.get_secret_value()):
        supervisor = Apart.forked(settings)
        with pytest.raises(CanaryError, match="another canary serve works on it"):
            asyncio.run(asyncio.wait_for(main(supervisor), LONG))
        supervisor.end()


def test_one_that_is_not_needed_any_more_leaves_nothing(settings: Settings) -> None:
    supervisor = Apart.forked(settings)
    supervisor.end()
    with alone(settings.database.get_secret_value()):
        pass
    with pytest.raises(ChildProcessError):
        os.waitpid(supervisor._pid, os.WNOHANG)


def test_an_orphan_does_nothing(settings: Settings) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        before = signal.getsignal(signal.SIGTERM)
        assert working.work(settings, theirs, parent=0) == 1
        assert signal.getsignal(signal.SIGTERM) == before


def test_silence_is_told_and_in_the_end_it_is_lost() -> None:
    ours, theirs = socket.socketpair()
    now = [0.0]
    supervisor, stop = Apart(0, ours, lambda: now[0]), asyncio.Event()

    async def main() -> None:
        other = await Channel.over(theirs)
        other.tell(Alone())
        await supervisor.claimed()
        running = asyncio.create_task(supervisor.run(stop))
        other.tell(Standing(["the disk is full"]))
        while supervisor.troubles() != ["the disk is full"]:  # noqa: ASYNC110 -- it is told by no event
            await asyncio.sleep(0.01)
        now[0] = SILENT + 1
        assert supervisor.troubles() == ["the process that works on analyses has said nothing for 16 s"]
        assert not supervisor.is_lost()
        now[0] = LOST + 1
        assert supervisor.is_lost()
        other.tell(Ended(StoreError("no")))
        with pytest.raises(CanaryError, match="no"):
            await running
        await other.close()
        await supervisor.close()

    asyncio.run(asyncio.wait_for(main(), LONG))


def test_metrics_that_do_not_come_are_those_of_the_last_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyzer.service.apart.PATIENCE", 0.05)
    ours, theirs = socket.socketpair()
    supervisor = Apart(0, ours)

    async def main() -> None:
        other = await Channel.over(theirs)
        other.tell(Alone())
        await supervisor.claimed()
        running = asyncio.create_task(supervisor.run(asyncio.Event()))
        assert await other.hear() == Begin()
        asked = asyncio.create_task(supervisor.metrics())
        assert await other.hear() == Measure(1)
        other.tell(Measured(1, FEW))
        assert await asked == FEW
        assert await supervisor.metrics() == FEW
        other.tell(Ended(None))
        await running
        await other.close()
        await supervisor.close()

    asyncio.run(asyncio.wait_for(main(), LONG))
