"""The source of the health of pods: whoever knows them is asked for how they fare now."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from analyzer.errors import PlatformError, PlatformUnavailable, SourceUnavailable, UsageError
from analyzer.model.plan import HEALTH_OF_PODS, PODS, Query, SideMatchers
from analyzer.model.reading import Absence, Cursor, History, Missing, Pods, Reading, Window
from analyzer.model.ruleset import Metric

Look = Callable[[], Awaitable[tuple[Pods | Missing, Pods | None]]]
"""How the pods of the canary and of the baseline fare now; raises PlatformError."""


@dataclass(frozen=True)
class _Seen:
    at: float
    canary: Pods | Missing
    baseline: Pods | None


def pods_query(name: str, sides: SideMatchers) -> Query:
    """The query of the health of pods: nothing is sent to a Prometheus."""
    return Query(metric=name, kind=PODS, selectors={}, sides=sides)


class PodSource:
    """The health of pods, of now: there is no past to ask for, and a window holds what was seen after its end.

    Windows that were all over at one look share it: they are read at once by an analysis that begins late.
    """

    def __init__(self, look: Look, now: Callable[[], float] = time.time) -> None:
        """`now` is the wall clock, in Unix seconds."""
        self._look = look
        self._now = now
        self._seen: _Seen | None = None

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query:
        """The one query that is answered here; see the port.

        Raises:
            UsageError: another metric is asked for.
        """
        if metric is not None or name != HEALTH_OF_PODS:
            raise UsageError(f"{name}: pods tell of their health alone")
        return pods_query(name, sides)

    async def lag(self, query: Query) -> float:
        """None: a look is of now."""
        _ = query
        return 0.0

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        """One look, as what this window has shown.

        What the platform refuses, for want of a permission, is Missing: nobody waits for what will not come.

        Raises:
            SourceUnavailable: the platform cannot be asked now.
        """
        _ = cursor
        if self._seen is None or self._seen.at < window.end:
            self._seen = await self._look_now()
        seen = self._seen
        reading = Reading(metric=query.metric, window=window, canary=seen.canary, baseline=seen.baseline)
        return reading, Cursor(read_to=window.end)

    async def _look_now(self) -> _Seen:
        at = self._now()
        try:
            canary, baseline = await self._look()
        except PlatformUnavailable as error:
            raise SourceUnavailable(str(error)) from error
        except PlatformError as error:
            return _Seen(at, Missing(why=Absence.REFUSED, detail=str(error)), None)
        if isinstance(canary, Pods):
            canary = canary.model_copy(update={"seen_at": at})
        return _Seen(at, canary, baseline)

    async def history(self, query: Query, span: Window, interval: float) -> History:
        """None."""
        _ = interval
        return History(metric=query.metric, span=span, readings=(), note="the health of pods is judged without one")
