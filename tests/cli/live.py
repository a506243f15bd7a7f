"""A service of two revisions with load on it, scraped by a real Prometheus, all in a thread of its own."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from analyzer.demo import control
from analyzer.demo.behaviour import GOOD, Behaviour
from analyzer.demo.fleet import Fleet
from analyzer.demo.load import Load
from analyzer.demo.prometheus import Job, Prometheus, Settings

BAD = Behaviour(error_rate=0.2)
RATE = 100


@dataclass
class Live:
    """What runs. `call` runs a function in the thread of the service and waits for what it returns."""

    prometheus: str
    take_back: str
    metrics: Callable[[str], list[str]]
    taken_back: Callable[[], int]


@contextmanager
def serving(folder: Path, second: Behaviour) -> Iterator[Live]:
    ready: Queue = Queue()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(folder, second, ready)), daemon=True)
    thread.start()
    live, stop = ready.get()
    try:
        yield live
    finally:
        stop()
        thread.join(30)
        assert not thread.is_alive(), "the service did not end"


class Queue:
    """One value from the service's thread to the test's."""

    def __init__(self) -> None:
        self._value: tuple[Live, Callable[[], None]] | BaseException | None = None
        self._set = threading.Event()

    def put(self, value: tuple[Live, Callable[[], None]] | BaseException) -> None:
        self._value = value
        self._set.set()

    def get(self) -> tuple[Live, Callable[[], None]]:
        assert self._set.wait(60), "the service did not start"
        if isinstance(self._value, BaseException):
            raise self._value
        assert self._value is not None
        return self._value


async def _serve(folder: Path, second: Behaviour, ready: Queue) -> None:
    loop, stopped, taken_back = asyncio.get_running_loop(), asyncio.Event(), []
    try:
        async with AsyncExitStack() as stack:
            fleet = await stack.enter_async_context(Fleet(folder))
            await fleet.deploy("1", GOOD)
            await fleet.deploy("2", second)
            await stack.enter_async_context(Load(fleet.endpoints, RATE))

            async def take_back() -> str:
                taken_back.append(1)
                if len(fleet.history) == 1:
                    return "revision 1 serves already"
                return (await fleet.take_back()).name

            url = await stack.enter_async_context(control.listening(take_back))
            prometheus = await stack.enter_async_context(Prometheus.start(Settings(jobs=[Job("web", fleet.targets)])))
            live = Live(
                prometheus=prometheus.url,
                take_back=url,
                metrics=lambda revision: [f"{each}/metrics" for each in fleet.urls(revision)],
                taken_back=lambda: len(taken_back),
            )
            ready.put((live, lambda: loop.call_soon_threadsafe(stopped.set)))
            await stopped.wait()
    except BaseException as error:
        ready.put(error)
        raise
