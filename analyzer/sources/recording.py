"""The source that gives again what an analysis has recorded."""

from collections.abc import Iterable

from analyzer.errors import UsageError
from analyzer.model.event import Event, HistoryRead, Planned, WindowRead
from analyzer.model.plan import HEALTH_OF_PODS, Query, SideMatchers
from analyzer.model.reading import Absence, Cursor, History, Missing, Reading, Window
from analyzer.model.ruleset import Metric
from analyzer.sources.ledger import milliseconds
from analyzer.sources.pods import pods_query
from analyzer.sources.querying import live_sides, make_query

_Definition = tuple[object, ...]


def definition_of(query: Query) -> _Definition:
    """What a query asks, whatever its name: its kind, expressions, unit and sides."""
    return (
        query.kind,
        tuple(sorted(query.selectors.items())),
        tuple(sorted(query.own)),
        query.unit,
        query.factor,
        query.sides,
    )


class RecordingSource:
    """Readings from a recording. A query is found again by what it asks, whatever its metric is called."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._names: dict[_Definition, str] = {}
        self._readings: dict[str, dict[tuple[int, int], Reading]] = {}
        self._histories: dict[str, History] = {}
        for event in events:
            match event:
                case Planned():
                    self._names |= {definition_of(query): query.metric for query in event.plan.queries}
                case HistoryRead():
                    self._histories[event.history.metric] = event.history
                case WindowRead():
                    self._readings.setdefault(event.reading.metric, {})[_key(event.reading.window)] = event.reading

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query:
        """The query as it would be sent to a Prometheus; see the port.

        Raises:
            UsageError: an expression or a matcher cannot be used, or pods are asked for and were not looked at.
        """
        if name == HEALTH_OF_PODS:
            query = pods_query(name, sides)
            if definition_of(query) not in self._names:
                raise UsageError("nobody looked at pods when the recording was made")
            return query
        return make_query(name, metric, sides)

    async def lag(self, query: Query) -> float:
        """None: everything is there."""
        _ = query
        return 0.0

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        """The recorded reading of this window, under the query's own name."""
        _ = cursor
        recorded = self._readings.get(self._names.get(definition_of(query), ""), {}).get(_key(window))
        cursor = Cursor(read_to=window.end)
        if recorded is not None:
            return recorded.model_copy(update={"metric": query.metric}), cursor
        missing = self._missing(query)
        baseline = missing if len(live_sides(query.sides)) > 1 else None
        return Reading(metric=query.metric, window=window, canary=missing, baseline=baseline), cursor

    def readings(self, query: Query) -> tuple[Reading, ...]:
        """Every recorded reading of what this query asks, in the order of their windows, under its own name."""
        recorded = self._readings.get(self._names.get(definition_of(query), ""), {})
        return tuple(recorded[key].model_copy(update={"metric": query.metric}) for key in sorted(recorded))

    async def history(self, query: Query, span: Window, interval: float) -> History:
        """The recorded past, under the query's own name."""
        _ = interval
        recorded = self._histories.get(self._names.get(definition_of(query), ""))
        if recorded is None:
            return History(metric=query.metric, span=span, readings=(), note=self._missing(query).detail)
        readings = tuple(each.model_copy(update={"metric": query.metric}) for each in recorded.readings)
        return recorded.model_copy(update={"metric": query.metric, "readings": readings})

    def _missing(self, query: Query) -> Missing:
        asked = ", ".join(query.selectors.values())
        known = definition_of(query) in self._names
        detail = "this window is not in the recording" if known else f"the recording holds no readings of {asked}"
        return Missing(why=Absence.NOT_RECORDED, detail=detail)


def _key(window: Window) -> tuple[int, int]:
    return milliseconds(window.start), milliseconds(window.end)
