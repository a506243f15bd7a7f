"""One instance of the simulated service, in the running event loop: it serves, dies, and comes back at its address."""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from random import Random
from typing import Final, Self

from analyzer.demo.application import Application
from analyzer.demo.behaviour import MEBIBYTE, Behaviour, Outcome
from analyzer.demo.metrics import Metrics
from analyzer.demo.port import LOOPBACK, Port
from analyzer.demo.server import Server
from analyzer.demo.tally import Tally

_MEMORY_PER_REQUEST: Final = 0.25 * MEBIBYTE


class Instance:
    """A pod of the service: real sockets, metrics of its own, one life after the other. Use it as `async with`.

    What happens to its requests is drawn from the seed. `behaviour` can be set at any time. Its port is the system's
    choice unless given, and stays the same over all lives. If its behaviour makes it crash it comes back with counters
    at zero, unless `restarts` is off; `dead` is set while it is down. With `scrapeable` off, /metrics answers 503.
    """

    def __init__(
        self,
        behaviour: Behaviour,
        *,
        seed: int | str = 1,
        port: int = 0,
        native_schema: int | None = None,
        labels: Mapping[str, str] | None = None,
        restarts: bool = True,
    ) -> None:
        self.lives: list[Metrics] = []
        self.scrapeable = True
        self.dead = asyncio.Event()
        self.died_at: float | None = None  # in the loop's time
        self._behaviour, self._changed = behaviour, asyncio.Event()
        self._luck, self._fate = Random(f"{seed}/requests"), Random(f"{seed}/lives")  # noqa: S311 -- no secrets
        self._native_schema, self._labels, self._restarts = native_schema, labels, restarts
        self._port = Port(port)
        self._server: Server | None = None
        self._supervisor: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it serves, without a slash at the end."""
        return f"http://{self.address}"

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{LOOPBACK}:{self._port.number}"

    @property
    def alive(self) -> bool:
        """Whether it accepts connections."""
        return self._server is not None

    @property
    def restarts(self) -> int:
        """How often it has come back."""
        return max(0, len(self.lives) - 1)

    @property
    def behaviour(self) -> Behaviour:
        """How it behaves now."""
        return self._behaviour

    @behaviour.setter
    def behaviour(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._changed.set()

    @property
    def metrics(self) -> Metrics:
        """The metrics of this life, or of the last one while it is down. It must have been started."""
        return self.lives[-1]

    @property
    def tally(self) -> Tally:
        """What it has served in this life; what its counters should show."""
        return self.metrics.tally

    @property
    def served(self) -> Tally:
        """What it has served in all its lives."""
        return Tally.sum(life.tally for life in self.lives)

    def draw(self) -> Outcome:
        """What becomes of the next request."""
        return self._behaviour.draw(self._luck, time.time())

    async def start(self) -> None:
        """Serve, and from now on crash as the behaviour says. Raises DemoError if that cannot be."""
        await self.rise()
        self._supervisor = asyncio.create_task(self._supervise())

    async def rise(self) -> None:
        """Begin a new life, counters at zero, at the same address; nothing if it is alive."""
        if self._server is not None:
            return
        metrics = Metrics(time.time(), self._memory, native_schema=self._native_schema, labels=self._labels)
        self._application = Application(self, metrics)
        server = Server(self._application.app, self._port.listener())
        await server.start()
        self.lives.append(metrics)
        self._server, self.died_at = server, None
        self.dead.clear()

    async def die(self) -> None:
        """End this life as a killed process does; connections are refused until `rise`."""
        if self._server is None:
            return
        server, self._server = self._server, None
        self.died_at = asyncio.get_running_loop().time()
        self.dead.set()
        await server.die()

    async def stop(self) -> None:
        """Answer what is under way and end for good. Raises what has gone wrong while it ran."""
        try:
            if self._supervisor is not None:
                self._supervisor.cancel()
                with suppress(asyncio.CancelledError):
                    await self._supervisor
        finally:
            if self._server is not None:
                server, self._server = self._server, None
                self.dead.set()
                await server.stop()
            self._port.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _supervise(self) -> None:
        while True:
            await self._crash_is_due()
            await self.die()
            if not self._restarts:
                return
            await asyncio.sleep(self._behaviour.crashes.back_off if self._behaviour.crashes else 0)
            await self.rise()

    async def _crash_is_due(self) -> None:
        """Return when a life has come to its end; a change of behaviour gives it a new end, or none."""
        while True:
            self._changed.clear()
            crashes = self._behaviour.crashes
            try:
                async with asyncio.timeout(crashes.draw_life(self._fate) if crashes else None):
                    await self._changed.wait()
            except TimeoutError:
                return

    def _memory(self) -> float:
        return self._behaviour.memory + _MEMORY_PER_REQUEST * self._application.in_flight
