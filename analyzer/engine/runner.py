"""One live analysis: read, fold, decide, act, verify. All of its state is in the events that it records."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from typing import TypeVar

from analyzer.concurrency import together
from analyzer.engine import action, recovery, regrouping, resumption
from analyzer.engine.analysis import Analysis, advance, begin
from analyzer.engine.decision import decide, is_due, is_over
from analyzer.engine.guards import superseding
from analyzer.engine.planning import PODS
from analyzer.engine.ports import Ports
from analyzer.engine.summary import report
from analyzer.errors import NoRelease, PlatformError, QueryRefused, SourceError, SourceUnavailable
from analyzer.model.event import (
    Commanded,
    Dropped,
    Ended,
    Event,
    Held,
    HistoryRead,
    Planned,
    Regrouped,
    Staged,
    Troubled,
    WindowRead,
)
from analyzer.model.plan import Plan, Query
from analyzer.model.reading import Absence, History, Window
from analyzer.model.report import Guard, Report

T = TypeVar("T")

LONGEST_PAUSE = 5.0
"""Seconds between two tries of a source that is away, at most; the first tries come sooner."""
LOOKS_AWAY = 15.0
"""Seconds between two looks at the platform while the analysis runs, at most."""
HEALTH_EVERY = 5.0
"""Seconds between two looks at the health of pods, at most: a crash loop needs no request to be seen."""


class Runner:
    """Runs one analysis to its end; `run` returns the final report, also when it is cancelled.

    `past` are the events that the record has already: an analysis whose process was ended goes on from there.

    Raises:
        RecordError: the past does not begin with a plan.
    """

    def __init__(self, plan: Plan, ports: Ports, past: Sequence[Event] = ()) -> None:
        self._plan = plan
        self._ports = ports
        self._analysis: Analysis | None = None
        self._lags: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        self._try_again_at: dict[str, float] = {}
        self._looked_at = self._last_at = plan.started_at
        self._unlearned = {query.metric: query for query in plan.queries}
        self._commands: list[Commanded] = []
        self._commanded = asyncio.Event()
        self._handed_on = False
        if past:
            self._analysis = resumption.restored(past)
            self._unlearned = resumption.unlearned(self._analysis, past)
            self._last_at = past[-1].at

    @property
    def analysis(self) -> Analysis:
        """The state of the analysis.

        Raises:
            RuntimeError: it has not begun.
        """
        if self._analysis is None:
            raise RuntimeError("the analysis has not begun")
        return self._analysis

    @property
    def commanded(self) -> Commanded | None:
        """The newest decision by hand that is recorded."""
        return self._analysis.commanded if self._analysis else None

    def command(self, commanded: Commanded) -> None:
        """A person has decided by hand: it is recorded, and obeyed, as soon as no act is under way."""
        self._commands.append(commanded)
        self._commanded.set()

    def hand_on(self) -> None:
        """Another process goes on from the record: when `run` is stopped now, the analysis is not ended."""
        self._handed_on = True

    async def run(self, cause_of_stop: asyncio.Future[str] | None = None) -> Report:
        """Run to the end. When `cause_of_stop` is set, stop at the next safe point: an act is never cut in half."""
        if self._analysis is None:
            await self._append(Planned(at=self._ports.clock.now(), plan=self._plan))
        elif self._analysis.ended is not None:
            return report(self._analysis)
        else:
            await self._resume()
        work = asyncio.ensure_future(self._work())
        work.add_done_callback(_look_at)
        waits: set[asyncio.Future[None] | asyncio.Future[str]] = {work}
        if cause_of_stop is not None:
            waits.add(cause_of_stop)
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            cause = ""
            if not work.done():
                cause = cause_of_stop.result() if cause_of_stop is not None and cause_of_stop.done() else "cancelled"
                await self._stop(work)
            # After an error it has not ended: whoever runs it may try again, or another process go on with it.
            if not self._handed_on and (work.cancelled() or work.exception() is None):
                await self._append(Ended(at=self._ports.clock.now(), cause=cause))
        if not work.cancelled():
            work.result()  # an error in the work is the caller's to see
        return report(self.analysis)

    async def _resume(self) -> None:
        """Go on: a decision that was not recorded any more follows from the last event, as in a replay; what became of
        an act that was begun, the platform knows."""
        self._lags = await resumption.lags(self._learned, self._interval, self._ports)
        missed = decide(self.analysis, self._last_at)
        if missed is not None:
            await self._append(missed)
        if self.analysis.intended is not None and self.analysis.acted is None:
            acted = await resumption.settle(self.analysis, self._ports)
            await self._append(acted or Dropped(at=self._now))

    async def _stop(self, work: asyncio.Future[None]) -> None:
        """Let a running act end; cancel everything else."""
        while not work.done() and self.analysis.intended is not None and self.analysis.acted is None:
            await asyncio.wait([work], timeout=0.05)
        work.cancel()
        await asyncio.wait([work])

    async def _append(self, event: Event) -> None:
        """Keep the event, fold it, show it, and decide on it: a replay of the record does the same, in this order."""
        await self._ports.record.append(event)
        self._analysis = begin(event) if isinstance(event, Planned) else advance(self.analysis, event)
        analysis = self.analysis
        self._ports.observer.changed(lambda: report(analysis), event)
        decision = decide(self.analysis, event.at)
        if decision is not None:
            await self._append(decision)

    async def _work(self) -> None:
        while not is_over(self.analysis, self._now):
            await self._obey()
            for events in await self._unless_commanded(self._read_all()) or ():
                for event in events:
                    await self._append(event)
            await self._decide()
            await self._look_at_platform()
            await self._act_and_verify()
            if not is_over(self.analysis, self._now) and not self._due() and not self._histories_due():
                await self._unless_commanded(self._ports.clock.sleep(self._until_next()))

    async def _read_all(self) -> Sequence[Sequence[Event]]:
        """All that is due now."""
        histories = [self._read_history(query) for query in self._histories_due()]
        windows = [self._read(query, window) for query, window in self._due()]
        return await together(*histories, *windows)

    async def _unless_commanded(self, work: Coroutine[None, None, T]) -> T | None:
        """Its result; None, and it is broken off, when a command comes: a person does not wait for a slow source."""
        working, commanded = asyncio.ensure_future(work), asyncio.ensure_future(self._commanded.wait())
        try:
            await asyncio.wait({working, commanded}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            for task in (working, commanded):
                task.cancel()
            await asyncio.gather(working, commanded, return_exceptions=True)

    async def _obey(self) -> None:
        self._commanded.clear()
        commands, self._commands = self._commands, []
        for commanded in commands:
            before = self.analysis.commanded
            if before is not None and before.asked_at == commanded.asked_at:
                continue  # recorded by a process that was ended right after
            if not is_over(self.analysis, self._now):
                await self._append(commanded.model_copy(update={"at": self._now}))

    @property
    def _now(self) -> float:
        return self._ports.clock.now()

    @property
    def _interval(self) -> float:
        return self._plan.rule_set.spec.schedule.interval

    def _histories_due(self) -> Sequence[Query]:
        """The metrics whose past is to be asked for (again). A metric that has none yet does not hold up the others."""
        return [query for query in self._wanted_histories if self._try_again_at.get(query.metric, 0.0) <= self._now]

    @property
    def _wanted_histories(self) -> Sequence[Query]:
        decided = self.analysis.decided is not None and not self.analysis.is_watching
        return [] if decided else list(self._unlearned.values())

    async def _read_history(self, query: Query) -> tuple[HistoryRead | Troubled, ...]:
        """The baseline's past of a metric, before its first window: the prior is frozen by it."""
        upgraded_at = self._plan.upgraded_at
        end = min(upgraded_at, self._plan.deployment.served_until or upgraded_at)
        span = Window(start=end - self._plan.rule_set.spec.schedule.baseline, end=end)
        try:
            self._lags[query.metric] = await self._ports.source.lag(query)
            history = await self._ports.source.history(query, span, self._interval)
        except SourceUnavailable as error:
            return (self._trouble(query.metric, error),)
        except QueryRefused as error:
            # Refused for good: unless all are, the others go on, and this one's rules end without data.
            self._lags.setdefault(query.metric, 0.0)
            trouble = Troubled(at=self._now, metric=query.metric, why=Absence.REFUSED, detail=str(error))
            nothing = History(metric=query.metric, span=span, readings=(), note=str(error))
            self._unlearned.pop(query.metric)
            return trouble, HistoryRead(at=self._now, history=nothing)
        self._unlearned.pop(query.metric)
        self._forget_trouble(query.metric)
        return (HistoryRead(at=self._now, history=history),)

    async def _read(self, query: Query, window: Window) -> tuple[WindowRead | Troubled]:
        cursor = self.analysis.progress[query.metric].cursor
        sides = regrouping.sides_of(self.analysis, query)
        if self.analysis.acted is None and sides.told_since is not None and window.start < sides.told_since:
            # Without a cursor counting begins anew: what this window counted is not carried into the next.
            return (WindowRead(at=self._now, reading=regrouping.mixed(query.metric, window)),)
        sides = sides.beginning(window.start) if self.analysis.acted is None else sides.afterwards
        try:
            asked = query.model_copy(update={"sides": sides})
            reading, cursor = await self._ports.source.read(asked, window, cursor)
        except SourceError as error:
            return (self._trouble(query.metric, error),)
        self._forget_trouble(query.metric)
        return (WindowRead(at=self._now, reading=reading, cursor=cursor),)

    def _trouble(self, metric: str, error: SourceError) -> Troubled:
        pause = min(LONGEST_PAUSE, self._pauses.get(metric, self._interval / 16) * 2)
        self._pauses[metric] = pause
        self._try_again_at[metric] = self._now + pause
        why = Absence(error.kind) if isinstance(error, SourceUnavailable) else Absence.MALFORMED
        return Troubled(at=self._now, metric=metric, why=why, detail=str(error))

    def _forget_trouble(self, metric: str) -> None:
        self._pauses.pop(metric, None)
        self._try_again_at.pop(metric, None)

    def _next_window(self, query: Query) -> Window:
        progress = self.analysis.progress[query.metric]
        length = min(self._interval, HEALTH_EVERY) if query.kind == PODS else self._interval
        end = progress.read_to + length
        if self._plan.on_grid:  # the first is between a half and one and a half of the others
            end = math.ceil(progress.read_to / length + 0.5) * length
        if self.analysis.decided is None and progress.read_to < self.analysis.deadline_at:
            end = min(end, self.analysis.deadline_at)  # a shorter last window: nothing before the deadline is left out
        return Window(start=progress.read_to, end=end)

    def _may_read(self, window: Window) -> bool:
        """While undecided: up to the deadline. After a pass: while it is watched. After an act: to verify it."""
        analysis = self.analysis
        if analysis.decided is None:
            return window.start < analysis.deadline_at
        return analysis.is_watching or (analysis.acted is not None and analysis.verified is None)

    def _due(self) -> Sequence[tuple[Query, Window]]:
        due = []
        for query in self._learned:
            window = self._next_window(query)
            ready_at = max(window.end + self._lags.get(query.metric, 0.0), self._try_again_at.get(query.metric, 0.0))
            if ready_at <= self._now and self._may_read(window):
                due.append((query, window))
        return due

    def _until_next(self) -> float:
        times = [
            max(window.end + self._lags.get(query.metric, 0.0), self._try_again_at.get(query.metric, 0.0))
            for query in self._learned
            if self._may_read(window := self._next_window(query))
        ]
        times += [self._try_again_at.get(query.metric, 0.0) for query in self._wanted_histories]
        return max(0.01, min([*times, self._now + self._interval]) - self._now)

    @property
    def _learned(self) -> Sequence[Query]:
        """The metrics whose past is known, or known not to be had: their windows are read. After an act all of them:
        what is read then is not compared with a past."""
        if self.analysis.acted is not None:
            return self._plan.queries
        return [query for query in self._plan.queries if query.metric not in self._unlearned]

    async def _decide(self) -> None:
        """Time alone can decide as well: a deadline passes also when nothing is heard."""
        event = decide(self.analysis, self._now)
        if event is not None:
            await self._append(event)

    async def _look_at_platform(self) -> None:
        """Has a newer upgrade taken the subject away? A platform that is away is asked again at the next look."""
        analysis = self.analysis
        if self._now < self._looked_at + self._looks_away or (
            analysis.decided is not None and not analysis.is_watching
        ):
            return
        self._looked_at = self._now
        try:
            deployment = await self._ports.platform.look()
        except NoRelease as error:
            await self._append(Held(at=self._now, guard=Guard.SUPERSEDED, reason=str(error)))
            return
        except PlatformError as error:
            await self._append(Troubled(at=self._now, metric="", why=Absence.UNREACHABLE, detail=str(error)))
            return
        if reason := superseding(self._plan, deployment):
            await self._append(Held(at=self._now, guard=Guard.SUPERSEDED, reason=reason))
            return
        if deployment.stage != self.analysis.stage:
            await self._append(Staged(at=self._now, stage=deployment.stage))
        if (sides := regrouping.told_apart(self.analysis, deployment, self._now)) is not None:
            await self._append(Regrouped(at=self._now, sides=sides))

    @property
    def _looks_away(self) -> float:
        return min(LOOKS_AWAY, self._interval) if regrouping.is_rolling(self.analysis) else LOOKS_AWAY

    async def _act_and_verify(self) -> None:
        decided = self.analysis.decided
        if decided is None or not (is_due(self.analysis, self._now) or self.analysis.acted is not None):
            return
        if self.analysis.acted is None:
            async for event in action.carry_out(self._plan, decided, self._ports):
                await self._append(event)
        verified = recovery.verify(self.analysis, self._now)
        if verified is not None:
            await self._append(verified)


def _look_at(work: asyncio.Future[None]) -> None:
    """An error in the work is told by the one who waits for it, not by asyncio as well."""
    if not work.cancelled():
        work.exception()
