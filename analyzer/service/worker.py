"""One analysis under a lease: from what the store has of it to its end, or until another process goes on with it."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import ParamSpec, Protocol, TypeVar

from analyzer.engine.analysis import advance, begin
from analyzer.engine.clock import SystemClock
from analyzer.engine.ports import Clock, Observer, Ports, Record
from analyzer.engine.replay import planned
from analyzer.engine.resumption import restored
from analyzer.engine.runner import Runner
from analyzer.engine.summary import report
from analyzer.errors import CanaryError, LeaseLost, PlatformUnavailable, SourceUnavailable, StoreError, StoreUnavailable
from analyzer.model.event import (
    Command,
    Commanded,
    Ended,
    Event,
    HistoryRead,
    Planned,
    Regrouped,
    Staged,
    Troubled,
    WindowRead,
)
from analyzer.model.plan import Plan
from analyzer.model.report import Report, Verdict
from analyzer.model.target import Intent
from analyzer.platforms.cluster import Cluster
from analyzer.service.assembly import Prepared
from analyzer.service.brakes import Brakes
from analyzer.service.lease import Lease
from analyzer.service.settings import Actions
from analyzer.service.telemetry import Telemetry
from analyzer.service.telling import Telling, Tellings
from analyzer.store.analyses import Analyses
from analyzer.store.entry import Decision, DecisionKind, Entry, Summary
from analyzer.store.record import SqlRecord

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 600.0
"""Seconds after the order in which a platform or a Prometheus that is away is waited for, before there is a plan."""
LONGEST_PAUSE = 15.0
"""Seconds between two tries."""
TRIES = 3
"""How often an analysis goes on after an error that nobody foresaw."""
_SMALL = (HistoryRead, WindowRead, Regrouped, Staged, Troubled)
"""Events after which the list of analyses says what it said before."""


class Assembles(Protocol):
    """Makes what an analysis needs; see `Assembly`."""

    @property
    def cluster(self) -> Cluster:
        """Where analyses are told."""
        ...

    def prepared(self, entry: Entry, *, dry_run: bool) -> AbstractAsyncContextManager[Prepared]:
        """What the analysis of this order needs."""
        ...


@dataclass(frozen=True)
class Means:
    """What all workers of a process work with. `complain` is told what goes wrong with which analysis, `observer` makes
    who is told of each of its events, `tellings` tells the cluster."""

    analyses: Analyses
    assembly: Assembles
    brakes: Brakes
    observer: Callable[[str, Sequence[Event]], Observer]
    complain: Callable[[str, str], None]
    telemetry: Telemetry
    tellings: Tellings
    clock: Clock = field(default_factory=SystemClock)


class Worker:
    """Works on one analysis. Never raises: what goes wrong with one must not hurt the others."""

    def __init__(self, lease: Lease, means: Means) -> None:
        self.lease = lease
        self._means = means
        self._runner: Runner | None = None
        self._decision: Decision | None = None  # the newest that was heard of
        self._called_off = asyncio.Event()
        self._handed_on = False

    async def run(self) -> None:
        """To its end; cancelled after `hand_on`, it leaves the rest to another process."""
        for attempt in range(1, TRIES + 1):
            try:
                await self._work()
            except LeaseLost as error:
                self._complain(str(error))
            except asyncio.CancelledError:
                await self._give_back()
                raise
            except CanaryError as error:
                await self._end(f"could not analyse: {error}")
            except Exception as error:  # noqa: BLE001 -- whatever it is: the other analyses go on, and this one is told
                self._complain(f"{type(error).__name__}: {error}")
                if attempt < TRIES:
                    await self._means.clock.sleep(min(LONGEST_PAUSE, 5.0**attempt / 5))
                    continue
                await self._end(f"could not analyse: an error in the analyzer itself ({type(error).__name__})")
            return

    def hand_on(self) -> None:
        """Leave the analysis to another process: to be called before the task of `run` is cancelled."""
        self._handed_on = True
        if self._runner is not None:
            self._runner.hand_on()

    async def decide(self, decision: Decision) -> None:
        """Somebody has decided by hand. The same decision may be brought any number of times.

        Raises:
            StoreError: that it is carried out already cannot be kept now.
        """
        done = self._runner.commanded if self._runner is not None else None
        if done is not None and done.asked_at == decision.at:
            await self._answer()
        elif self._decision is None or self._decision.at != decision.at:
            self._decision = decision
            self._called_off.set()
            if self._runner is not None:
                self._runner.command(_commanded(decision))

    # ------------------------------------------------------------------ one try

    async def _work(self) -> None:
        self._runner = None
        entry = await self._patiently(self._means.analyses.get, self.lease.id)
        past = await self._past(entry)
        if past and isinstance(past[-1], Ended):
            return
        dry_run = await self._patiently(self._means.brakes.dry_run)
        async with (
            self._means.assembly.prepared(entry, dry_run=dry_run) as prepared,
            self._means.tellings.of(entry, self.lease, past) as telling,
        ):
            plan = planned(past).plan if past else await self._plan(entry, await self._braked(prepared))
            if plan is None:
                return
            record = SqlRecord(
                self._means.analyses,
                self.lease.id,
                self.lease.number,
                last_seq=len(past),
                summarise=self._summarise,
                complain=lambda error: self._complain(str(error)),
            )
            course = _Course(
                await prepared.record(record, self._complain, past),
                self._means.observer(self.lease.id, past),
                self._answer,
                self._means.telemetry.judged,
                telling,
                self._summarise,
            )
            permission = _Permission(self.lease, self._means.brakes, entry.created_at)
            ports = Ports(
                prepared.source,
                prepared.platform,
                course,
                course,
                self._means.clock,
                permission=permission,
            )
            self._runner = Runner(plan, ports, past)
            del past
            if self._handed_on:
                self._runner.hand_on()
            if self._decision is not None:
                self._runner.command(_commanded(self._decision))
            await self._runner.run()

    async def _past(self, entry: Entry) -> Sequence[Event]:
        events: list[Event] = []
        while len(events) < entry.last_seq:
            page = await self._patiently(self._means.analyses.events, entry.id, len(events))
            if not page:
                break
            events += [each.event for each in page]
        return events

    async def _braked(self, prepared: Prepared) -> Prepared:
        """As the brakes stand: a retry changes its target before there is an act that they could hold."""
        if not prepared.order.retry:
            return prepared
        state = await self._patiently(self._means.brakes.state)
        return replace(prepared, order=replace(prepared.order, actions_on=state.actions == Actions.ON))

    async def _plan(self, entry: Entry, prepared: Prepared) -> Plan | None:
        """The plan; None if the analysis was called off before it was there."""
        pause = 0.5
        while not (called_off := self._is_called_off()):
            try:
                return await prepared.plan(self._complain)
            except (PlatformUnavailable, SourceUnavailable) as error:
                if self._means.clock.now() >= entry.created_at + PATIENCE:
                    raise
                self._complain(str(error))
                pause = min(2 * pause, LONGEST_PAUSE)
                await _either(self._called_off, pause)
        await self._end(called_off, Verdict.INCONCLUSIVE)
        return None

    def _is_called_off(self) -> str:
        """Why, if a person wants no verdict any more; any other decision waits for the plan."""
        self._called_off.clear()
        decision = self._decision
        if decision is None or decision.kind != DecisionKind.CANCEL:
            return ""
        return f"cancelled by {decision.by}: {decision.why}"

    # ------------------------------------------------------------------ the store

    async def _patiently(self, ask: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        """The store's answer, however long it is away: without it nothing can be done."""
        pause = 0.2
        while True:
            try:
                return await ask(*args, **kwargs)
            except StoreUnavailable as error:
                self._complain(str(error))
                await asyncio.sleep(pause)
                pause = min(2 * pause, 5.0)

    def _summarise(self, event: Event) -> Summary | None:
        """What the list says after this event, which is kept before it is folded."""
        if isinstance(event, _SMALL) or self._runner is None:
            return None
        analysis = begin(event) if isinstance(event, Planned) else advance(self._runner.analysis, event)
        return Summary.of(report(analysis))

    async def _answer(self) -> None:
        await self._patiently(self._means.analyses.answer, self.lease.id, self.lease.number)

    async def _end(self, cause: str, verdict: Verdict = Verdict.ERROR) -> None:
        """End it where the engine cannot; what was recorded is told as it stands."""
        try:
            entry = await self._patiently(self._means.analyses.get, self.lease.id)
            past = await self._past(entry)
            ended = Ended(at=self._means.clock.now(), cause=cause)
            summary = Summary(verdict=verdict, reason=cause)
            if past:
                summary = Summary.of(report(advance(restored(past), ended)))
            async with self._means.tellings.of(entry, self.lease, past) as telling:
                await telling.finish(summary)
            await self._patiently(_append, self._means.analyses, self.lease, ended, len(past), summary)
            self._means.telemetry.verdict(summary.verdict)
            self._means.telemetry.ended()
        except CanaryError as error:
            self._complain(f"it could not be ended: {error}")

    async def _give_back(self) -> None:
        """Another process may claim it at once; if not, the lease runs out."""
        if self._handed_on:
            try:
                if await self._means.analyses.release(self.lease.id, self.lease.number):
                    self._means.telemetry.lease("released")
            except StoreError as error:
                self._complain(str(error))

    def _complain(self, sentence: str) -> None:
        self._means.complain(self.lease.id, sentence)


async def _append(analyses: Analyses, lease: Lease, event: Event, after: int, summary: Summary) -> None:
    await analyses.append(lease.id, lease.number, [event], after=after, summary=summary)


async def _either(event: asyncio.Event, seconds: float) -> None:
    """Until it happens, for so many seconds at most."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return


def _commanded(decision: Decision) -> Commanded:
    command = Command(decision.kind.value)
    return Commanded(at=decision.at, command=command, by=decision.by, why=decision.why, asked_at=decision.at)


class _Course:
    """Record and observer of one analysis: tells the store when a decision by hand is recorded, and the cluster what
    was recorded (its end before that), and times the fold, which the engine does between the two."""

    def __init__(
        self,
        record: Record,
        observer: Observer,
        answer: Callable[[], Awaitable[None]],
        judged: Callable[[float], None],
        telling: Telling,
        summarise: Callable[[Event], Summary | None],
    ) -> None:
        self._record = record
        self._observer = observer
        self._answer = answer
        self._judged = judged
        self._telling = telling
        self._summarise = summarise
        self._kept_at = 0.0

    async def append(self, event: Event) -> None:
        """Keep one event; see the port."""
        if isinstance(event, Ended) and (summary := self._summarise(event)) is not None:
            await self._telling.finish(summary)
        await self._record.append(event)
        self._telling.hear(event)
        if isinstance(event, Commanded):
            await self._answer()
        self._kept_at = time.perf_counter()

    def changed(self, report: Callable[[], Report], event: Event) -> None:
        """Show one event; see the port."""
        if isinstance(event, WindowRead):
            self._judged(time.perf_counter() - self._kept_at)
        self._observer.changed(report, event)


class _Permission:
    """Acts are allowed by the brakes of the service, and while the lease holds."""

    def __init__(self, lease: Lease, brakes: Brakes, ordered_at: float) -> None:
        self._lease = lease
        self._brakes = brakes
        self._ordered_at = ordered_at

    async def withheld(self, intent: Intent) -> str:
        """See the port."""
        self._lease.confirm()
        target = intent.target
        return await self._brakes.withheld(
            self._lease.id, target.namespace, str(target), intent.kind.value, ordered_at=self._ordered_at
        )

    def confirm(self) -> float:
        """See the port."""
        return self._lease.confirm()
