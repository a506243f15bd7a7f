"""Everything that was seen and is not settled yet: each revision is looked at, and again where nobody can say yet."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from analyzer.controller.ordering import Ordering, Refused
from analyzer.controller.sighting import PROMPT, Candidate, Outcome, Place, Settled, Unsettled
from analyzer.controller.turns import Turns
from analyzer.engine.ports import Clock
from analyzer.errors import CanaryError, PlatformUnavailable, StoreUnavailable, TooManyAnalyses
from analyzer.service.logs import logger
from analyzer.service.watch_telemetry import WatchTelemetry

LOG = logger(__name__)

AT_ONCE: Final = 4
"""Revisions that are looked at at a time."""
SOON: Final = 1.0
"""Seconds until one is looked at again of which nobody can say yet; twice as many each time, up to `LATER`."""
LATER: Final = 30.0
MENDED: Final = 10.0
"""Seconds until one that was refused is looked at again, growing up to `MENDED_LATER`: somebody may have mended it."""
MENDED_LATER: Final = 60.0
_TOLD: Final = frozenset({Outcome.UNREADABLE})
_NOT_NOW: Final = (PlatformUnavailable, StoreUnavailable, TooManyAnalyses)


Look = Callable[[], Awaitable[Candidate | Settled | None]]
"""A closer look at what was seen; see `HelmLook`."""


@dataclass(eq=False)
class _Case:
    """One revision on the desk, `since` when (Unix seconds). `told` is what was told of it last,
    `owed` whether the workloads have not been told of that yet."""

    place: Place
    revision: int
    look: Look
    candidate: Candidate | None = None
    since: float = 0.0
    told: str = ""
    owed: bool = False
    tries: int = 0
    waiting: asyncio.Task[None] | None = field(default=None, repr=False)


class Desk:
    """Takes what was seen. A newer revision replaces one that is not settled. `catch_up` is in seconds."""

    def __init__(self, ordering: Ordering, telemetry: WatchTelemetry, clock: Clock, catch_up: float) -> None:
        self._ordering = ordering
        self._telemetry = telemetry
        self._clock = clock
        self._catch_up = catch_up
        self._cases: dict[Place, _Case] = {}
        self._due: Turns[_Case] = Turns()

    def put(self, place: Place, revision: int, look: Look) -> None:
        """It was seen, or has changed."""
        before = self._cases.get(place)
        self.drop(place)
        case = _Case(place, revision, look, since=self._clock.now())
        if before is not None and before.revision == revision:
            case.told, case.owed = before.told, before.owed
        self._cases[place] = case
        self._due.put(case.place, case)

    def drop(self, place: Place) -> None:
        """It is not there any more."""
        self._due.drop(place)
        case = self._cases.pop(place, None)
        if case is not None and case.waiting is not None:
            case.waiting.cancel()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(self._work(group))

    async def _work(self, group: asyncio.TaskGroup) -> None:
        while True:
            case = await self._due.get()
            if self._cases.get(case.place) is not case:
                continue  # replaced, or gone
            again = await self._consider(case)
            if self._cases.get(case.place) is not case:
                continue
            if again is None:
                del self._cases[case.place]
            else:
                case.tries += 1
                case.waiting = group.create_task(self._later(case, again))

    async def _later(self, case: _Case, seconds: float) -> None:
        await self._clock.sleep(seconds)
        case.waiting = None
        self._due.put(case.place, case)

    async def _consider(self, case: _Case) -> float | None:
        """Look at it; seconds until it is to be looked at again, None when it is settled."""
        try:
            try:
                found = await self._found(case)
            except Refused as refused:
                return await self._refuse(case, refused)
        except Unsettled as why:
            LOG.debug("not settled", target=str(case.place), detail=str(why))
        except _NOT_NOW as error:
            self._warn(case, "an upgrade waits", str(error))
        except CanaryError as error:
            if self._warn(case, "not analysed", str(error)):
                self._telemetry.upgrade(Outcome.REFUSED.value)
            return self._until_mended(case, case.since)
        except Exception:
            LOG.exception("an upgrade could not be looked at", target=str(case.place))
            return self._until_mended(case, case.since)
        else:
            self._settle(case, found)
            return None
        return _pause(case, SOON, LATER)

    def _warn(self, case: _Case, event: str, detail: str) -> bool:
        """Once, whatever number of tries meets the same; whether it was new."""
        if case.told == detail:
            return False
        LOG.warning(event, target=str(case.place), revision=case.revision, detail=detail)
        case.told = detail
        return True

    def _until_mended(self, case: _Case, since: float) -> float | None:
        """Somebody may mend it, as long as it would be analysed then."""
        if self._clock.now() - since > max(self._catch_up, PROMPT):
            return None
        return _pause(case, MENDED, MENDED_LATER)

    async def _found(self, case: _Case) -> Settled | None:
        if case.candidate is None:
            looked = await case.look()
            if not isinstance(looked, Candidate):
                return looked
            case.candidate = looked
        return await self._ordering.order(case.candidate)

    def _settle(self, case: _Case, found: Settled | None) -> None:
        if found is None:
            return  # its status will change
        self._telemetry.upgrade(found.outcome.value)
        place, revision = str(case.place), case.revision
        say = LOG.warning if found.outcome in _TOLD else LOG.debug
        say("not analysed" if found.why else found.outcome.value, target=place, revision=revision, detail=found.why)

    async def _refuse(self, case: _Case, refused: Refused) -> float | None:
        """Tell it once, and look again for as long as it would be analysed."""
        candidate = case.candidate
        assert candidate is not None, "only a candidate is refused"
        if self._warn(case, "not analysed", str(refused)):
            self._telemetry.upgrade(Outcome.REFUSED.value)
            case.owed = True
        if case.owed:
            case.owed = not await self._tell(candidate, refused)
        return self._until_mended(case, candidate.created_at)

    async def _tell(self, candidate: Candidate, refused: Refused) -> bool:
        """Whether that is done, so far as it can be."""
        try:
            not_told = await self._ordering.tell(candidate, refused)
        except PlatformUnavailable as error:
            LOG.debug("not told in the cluster yet", target=str(candidate.place), detail=str(error))
            return False
        except CanaryError as error:
            not_told = str(error)
        if not_told:
            LOG.warning("not told in the cluster", target=str(candidate.place), detail=not_told)
        return True


def _pause(case: _Case, first: float, longest: float) -> float:
    """Seconds until the next try, twice as many each time."""
    return min(first * 2.0 ** min(case.tries, 10), longest)
