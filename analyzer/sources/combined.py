"""Metrics from one source and the health of pods from another."""

from typing import Protocol

from analyzer.model.plan import HEALTH_OF_PODS, PODS, Query, SideMatchers
from analyzer.model.reading import Cursor, History, Reading, Window
from analyzer.model.ruleset import Metric


class Part(Protocol):
    """One of the two: what the engine's port `Source` asks of a source."""

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query: ...

    async def lag(self, query: Query) -> float: ...

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]: ...

    async def history(self, query: Query, span: Window, interval: float) -> History: ...


class Combined:
    """Hands each call on to the source that it is for; errors are that source's own. Opens and closes neither."""

    def __init__(self, metrics: Part, pods: Part) -> None:
        self._metrics = metrics
        self._pods = pods

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query:
        """See the port."""
        part = self._pods if metric is None and name == HEALTH_OF_PODS else self._metrics
        return part.query(name, metric, sides)

    async def lag(self, query: Query) -> float:
        """See the port."""
        return await self._of(query).lag(query)

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        """See the port."""
        return await self._of(query).read(query, window, cursor)

    async def history(self, query: Query, span: Window, interval: float) -> History:
        """See the port."""
        return await self._of(query).history(query, span, interval)

    def _of(self, query: Query) -> Part:
        return self._pods if query.kind == PODS else self._metrics
