"""All analyses of one process: claims them, holds their leases, runs a worker for each, and hands them on."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager

from analyzer.engine.clock import SystemClock
from analyzer.engine.ports import Clock, Observer
from analyzer.errors import StoreError
from analyzer.model.event import Event
from analyzer.service.assembly import Assembly
from analyzer.service.brakes import Brakes
from analyzer.service.lease import Lease
from analyzer.service.logs import bound, logger
from analyzer.service.observing import Observing
from analyzer.service.retention import keep_tidy
from analyzer.service.settings import Settings
from analyzer.service.telemetry import Telemetry
from analyzer.service.telling import Tellings
from analyzer.service.worker import Assembles, Means, Worker
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit
from analyzer.store.database import Database
from analyzer.store.switch import Switch

Assemble = Callable[[Settings, Telemetry], AbstractAsyncContextManager[Assembles]]
LOG = logger(__name__)

TURN = 1.0
"""Seconds between two looks for orders and decisions; those made through this process wake it at once."""
AT_ONCE = 200
"""Analyses that are claimed in one transaction."""
UNREACHABLE = "the database cannot be read or written now: the log says why"
"""For everybody: where the database is concerns only who runs the service."""
STUCK = 15.0
"""Seconds without a look at the database after which this replica is not ready."""


class Supervisor:
    """Runs the analyses of a database, as one of the processes that share them.

    A replica that dies is missed when its leases end; one that is cut off from the database, or frozen, begins no act
    before it has renewed them.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        analyses: Analyses,
        audit: Audit,
        telemetry: Telemetry,
        *,
        assemble: Assemble = Assembly.opened,
        clock: Clock | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._database = database
        self._analyses = analyses
        self._audit = audit
        self._telemetry = telemetry
        self._assemble = assemble
        self._clock = clock or SystemClock()
        self._monotonic = monotonic
        self._owner = uuid.uuid4().hex
        self._awake = asyncio.Event()
        self._workers: dict[str, tuple[Worker, asyncio.Task[None]]] = {}
        self._leaving: set[asyncio.Task[None]] = set()  # of lost leases, ending
        self._renewed_at = self._looked_at = monotonic()
        self._trouble = ""

    def wake(self) -> None:
        """Look for new orders and decisions now."""
        self._awake.set()

    def troubles(self) -> Sequence[str]:
        """Why this replica is not ready, a sentence each."""
        found = [self._trouble] if self._trouble else []
        silent = self._monotonic() - self._looked_at
        if silent > STUCK:
            found.append(f"the database has not been looked at for {silent:.0f} s")
        return found

    @property
    def running(self) -> int:
        """How many analyses this process works on."""
        return len(self._workers)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set: then every analysis is handed on, after an act under way has come to its end.

        Raises:
            UsageError: the settings cannot be used.
        """
        async with self._assemble(self._settings, self._telemetry) as assembly:
            switch = Switch(self._database)
            brakes = Brakes(switch, self._settings, self._database.time)
            means = Means(
                analyses=self._analyses,
                assembly=assembly,
                brakes=brakes,
                observer=self._observer,
                complain=self._complain,
                telemetry=self._telemetry,
                tellings=Tellings(assembly.cluster, self._settings.watch, self._clock, self._complain),
                clock=self._clock,
            )
            async with asyncio.TaskGroup() as group:
                tidying = keep_tidy(
                    self._analyses, self._audit, switch, self._settings, self._clock, stop, self._complain_of_tidying
                )
                group.create_task(tidying)
                while not stop.is_set():
                    more = await self._turn(group, means)
                    if not more:
                        await self._rest(stop)
                await self._hand_on_all()

    # ------------------------------------------------------------------ one turn

    async def _turn(self, group: asyncio.TaskGroup, means: Means) -> bool:
        """Renew, claim, and bring decisions; whether there may be more to claim at once."""
        self._awake.clear()
        asked_at = self._monotonic()
        try:
            now = await self._database.time()
            await self._renew(now, asked_at)
            claimed = await self._claim(group, means, now, asked_at)
            for id_, decision in (await self._analyses.asked_of(self._owner)).items():
                if id_ in self._workers:
                    await self._workers[id_][0].decide(decision)
        except StoreError as error:
            if not self._trouble:
                LOG.warning("trouble", detail=str(error))
            self._trouble = UNREACHABLE
            self._telemetry.store_failed(error)
            return False
        self._trouble = ""
        self._looked_at = self._monotonic()
        return claimed == AT_ONCE

    async def _renew(self, now: float, asked_at: float) -> None:
        """In a third of a lease's time, and first of all when that has passed."""
        if asked_at < self._renewed_at + self._settings.lease / 3:
            return
        ids = list(self._workers)
        held = await self._analyses.renew(self._owner, ids, now, self._settings.lease) if ids else set()
        self._renewed_at = asked_at
        for id_ in ids:
            if id_ not in self._workers:
                continue  # it has ended meanwhile
            if id_ in held:
                self._workers[id_][0].lease.until = self._until(asked_at)
            elif not self._workers[id_][1].done():
                self._lose(id_)
        self._telemetry.lease("renewed", len(held))

    async def _claim(self, group: asyncio.TaskGroup, means: Means, now: float, asked_at: float) -> int:
        room = min(AT_ONCE, self._settings.most_analyses - len(self._workers))
        if room <= 0:
            return 0
        claims = await self._analyses.claim(self._owner, now, self._settings.lease, room)
        for claim in claims:
            if claim.id in self._workers:  # our own lease had run out before it was renewed
                self._lose(claim.id)
            worker = Worker(Lease(claim, self._until(asked_at), self._settings.lease, self._monotonic), means)
            task = group.create_task(self._work(worker, [*self._leaving]), name=f"analysis {claim.id}")
            self._workers[claim.id] = worker, task
            self._telemetry.lease("claimed" if claim.lease == 1 else "taken_over")
        self._telemetry.analyses("running", len(self._workers))
        return len(claims)

    async def _work(self, worker: Worker, leaving: Sequence[asyncio.Task[None]]) -> None:
        try:
            if mine := [task for task in leaving if task.get_name() == f"analysis {worker.lease.id}"]:
                await asyncio.wait(mine)
            with bound(analysis=worker.lease.id), self._telemetry.traces.span("analysis", analysis=worker.lease.id):
                await worker.run()
        except asyncio.CancelledError:
            return  # handed on, or lost
        finally:
            task = asyncio.current_task()
            if self._workers.get(worker.lease.id, (None, None))[1] is task:
                del self._workers[worker.lease.id]
            self._telemetry.forget(worker.lease.id)
            self._telemetry.analyses("running", len(self._workers))

    def _lose(self, id_: str) -> None:
        """Another process works on it: ours stops, after an act that is under way."""
        worker, task = self._workers.pop(id_)
        worker.hand_on()
        task.cancel()
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
        self._telemetry.lease("lost")

    def _until(self, asked_at: float) -> float:
        """Alone on its database, a process needs to fear nobody."""
        return asked_at + self._settings.lease if self._database.is_shared else float("inf")

    async def _rest(self, stop: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (stop, self._awake)]
        try:
            await asyncio.wait(waits, timeout=TURN, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    # ------------------------------------------------------------------ the end

    async def _hand_on_all(self) -> None:
        """Leases are held until the last act has come to its end."""
        for worker, task in list(self._workers.values()):
            worker.hand_on()
            task.cancel()
        while tasks := [task for _, task in self._workers.values()] + list(self._leaving):
            await asyncio.wait(tasks, timeout=TURN)
            try:
                await self._renew(await self._database.time(), self._monotonic())
            except StoreError as error:
                self._telemetry.store_failed(error)

    def _observer(self, analysis: str, past: Sequence[Event]) -> Observer:
        return Observing(self._telemetry, analysis, past)

    def _complain(self, analysis: str, sentence: str) -> None:
        LOG.warning("trouble", analysis=analysis, detail=sentence)

    def _complain_of_tidying(self, sentence: str) -> None:
        LOG.warning("trouble", detail=sentence)
