"""Tells analyses in the cluster, beside them: none waits for it while it goes on.

What is told is a function of the record, and is the same from whoever tells it: Events have names that can be made only
once, and the last annotation is written before the end of the analysis is recorded. So whoever goes on after a crash
tells what was not told, and nothing twice.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from pydantic import ValidationError

from analyzer.engine.ports import Clock
from analyzer.errors import LeaseLost, PlatformError, PlatformUnavailable
from analyzer.model.event import Decided, Event, Planned
from analyzer.model.order import CONTROLLER, Order, Ordered
from analyzer.model.report import Verdict
from analyzer.model.target import PlatformKind
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.telling import Board, Notice, Result
from analyzer.service.lease import Lease
from analyzer.service.notices import Notices
from analyzer.service.watch_settings import Watch
from analyzer.store.entry import Entry, Summary

PATIENCE: Final = 600.0
"""Seconds for which the end of an analysis waits for an API server that is away: nobody else would tell it then."""
ONE: Final = 30.0
"""Seconds for one word on all workloads."""
LONGEST_PAUSE: Final = 15.0
"""Seconds between two tries."""
STALE: Final = 1800.0
"""Seconds after which an Event of the past is not told any more: Kubernetes forgets after an hour that it was."""
_MOST_COMPLAINTS = 1000

Job = Callable[[], Awaitable[None]]


class Tellings:
    """Tells the analyses of one process; what cannot be told is complained of once."""

    def __init__(self, cluster: Cluster, watch: Watch, clock: Clock, complain: Callable[[str, str], None]) -> None:
        self.cluster = cluster
        self.clock = clock
        self.events = watch.events
        self.annotate = watch.annotate
        self._complain = complain
        self._complained: set[str] = set()

    @asynccontextmanager
    async def of(self, entry: Entry, lease: Lease, past: Sequence[Event]) -> AsyncIterator["Telling"]:
        """That of one analysis under its lease; `past` is what was recorded before."""
        telling = Telling(self, entry, lease, past)
        try:
            yield telling
        finally:
            await telling.close()

    def complain(self, analysis: str, sentence: str) -> None:
        """Say it, if it is new: what one analysis may not write, another may not either."""
        if sentence not in self._complained:
            self._complained = self._complained if len(self._complained) < _MOST_COMPLAINTS else set()
            self._complained.add(sentence)
            self._complain(analysis, f"the analysis could not be told in the cluster, and goes on: {sentence}")


class Telling:
    """Tells one analysis, one word after the other; nothing where nobody has seen an upgrade. To be closed."""

    def __init__(self, tellings: Tellings, entry: Entry, lease: Lease, past: Sequence[Event]) -> None:
        ordered = _ordered(entry)
        self._tellings = tellings
        self._entry = entry
        self._lease = lease
        self._notices = Notices(entry, ordered)
        self._board = Board(tellings.cluster, ordered.workloads)
        self._is_on = bool(self._board) and (tellings.events or tellings.annotate)
        self._jobs: asyncio.Queue[Job] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        if self._is_on:
            stale = tellings.clock.now() - STALE
            for event in past:
                self._listen(event, is_told=event.at < stale)

    def hear(self, event: Event) -> None:
        """Something was recorded."""
        if self._is_on:
            self._listen(event)

    async def finish(self, summary: Summary) -> None:
        """The analysis is about to end with this: returns when it is told, or when nobody can be told."""
        if not self._is_on:
            return
        self._post(self._notices.ending(summary, self._tellings.clock.now()))
        self._mark(summary.verdict, summary.reason)
        waits = [asyncio.ensure_future(each) for each in (self._jobs.join(), self._tellings.clock.sleep(PATIENCE))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    async def close(self) -> None:
        """Tell nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _listen(self, event: Event, *, is_told: bool = False) -> None:
        try:
            self._hear(event, is_told=is_told)
        except Exception as error:  # noqa: BLE001 -- whatever it is, the analysis goes on
            self._complain(f"{type(error).__name__}: {error}")

    def _hear(self, event: Event, *, is_told: bool) -> None:
        notice = self._notices.notice(event)
        if not is_told:
            self._post(notice)
        if isinstance(event, Planned):
            self._mark(Verdict.PENDING, notice.message if notice else "")
        elif isinstance(event, Decided):
            self._mark(event.verdict, "; ".join(filter(None, (event.reason, self._notices.instead))))

    def _post(self, notice: Notice | None) -> None:
        if notice is not None and self._tellings.events:
            self._do(lambda: self._board.post(notice, self._entry.id))

    def _mark(self, verdict: str, reason: str) -> None:
        if self._tellings.annotate:
            result = Result(verdict, self._notices.subject, reason, self._entry.id, self._entry.created_at)
            self._do(lambda: self._board.mark(result))

    def _do(self, job: Job) -> None:
        self._jobs.put_nowait(job)
        if self._task is None:
            self._task = asyncio.create_task(self._work(), name=f"telling {self._entry.id}")

    async def _work(self) -> None:
        while True:
            job = await self._jobs.get()
            try:
                await self._done(job)
            except Exception as error:  # noqa: BLE001 -- whatever it is, the analysis goes on
                self._complain(f"{type(error).__name__}: {error}")
            finally:
                self._jobs.task_done()

    async def _done(self, job: Job) -> None:
        """Do it under the lease; while that is in doubt, or the API server away, again and again."""
        pause = 1.0
        while True:
            try:
                self._lease.confirm()
                return await asyncio.wait_for(job(), ONE)
            except (PlatformUnavailable, TimeoutError) as error:
                self._complain(str(error) or "the Kubernetes API server did not answer in time")
            except PlatformError as error:
                return self._complain(str(error))
            except LeaseLost:
                pass  # if it stays so, we are closed, and who has it tells it
            await self._tellings.clock.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _complain(self, sentence: str) -> None:
        self._tellings.complain(self._entry.id, sentence)


def _ordered(entry: Entry) -> Ordered:
    """What was ordered, with the workloads on which it is told: none, unless an upgrade was seen. A Rollout is its own.

    One that cannot be read (a later version has written it) is told nowhere.
    """
    nothing = Ordered(order=Order(target=f"{entry.kind}/{entry.name}"), by="")
    try:
        ordered = Ordered.model_validate_json(entry.ordered)
    except ValidationError:
        return nothing
    if ordered.by != CONTROLLER:
        return nothing
    own = (f"Rollout {entry.namespace}/{entry.name}",) if entry.kind == PlatformKind.ROLLOUT else ()
    return ordered.model_copy(update={"workloads": ordered.workloads or own})
