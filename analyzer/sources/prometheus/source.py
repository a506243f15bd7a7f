"""The source that asks a server with the Prometheus HTTP API."""

from typing import Self

from analyzer.errors import MalformedAnswer, QueryRefused, SourceUnavailable, UsageError
from analyzer.model.plan import Query, SideMatchers
from analyzer.model.reading import Absence, Cursor, History, Missing, Reading, Window
from analyzer.model.ruleset import Metric
from analyzer.sources.ledger import Ledger
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.asking import Asking
from analyzer.sources.prometheus.client import PrometheusClient
from analyzer.sources.prometheus.live import WindowReader
from analyzer.sources.prometheus.past import read_past
from analyzer.sources.prometheus.scope import Scoped, show_scoped
from analyzer.sources.prometheus.sharing import SharedClient
from analyzer.sources.prometheus.spacing import observed_interval
from analyzer.sources.promql import Matcher, parse_matchers
from analyzer.sources.querying import BASELINE, CANARY, live_sides, make_query
from analyzer.sources.tallying import Told, reading_of


class PrometheusSource:
    """Readings from a server with the Prometheus HTTP API. Use as an asynchronous context manager, or close it.

    With an access it has a client of its own; otherwise it asks through what it is given, and leaves that open.
    """

    def __init__(self, server: PrometheusAccess | Asking, scope: tuple[Matcher, ...] = ()) -> None:
        self._scope = scope
        self._own: PrometheusClient | None = None
        if isinstance(server, PrometheusAccess):
            server = self._own = PrometheusClient(server)
        self._client: Asking = Scoped(server, scope) if scope else server

    @classmethod
    def sharing(cls, shared: SharedClient, *, who: str, scope: str = "") -> Self:
        """The source of one analysis (`who`: its id) on a client that many share.

        `scope` are matchers, written without braces, that every selector of every query gets; see `fill_scope`.

        Raises:
            UsageError: the scope is something else than matchers.
        """
        return cls(shared.view(who), parse_matchers(scope))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections of its own."""
        if self._own is not None:
            await self._own.close()

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query:
        """Every query of a metric, rendered; see the port.

        Raises:
            UsageError: an expression or a matcher cannot be used, or both sides are the same, or a query cannot be
                kept within the scope.
        """
        query = make_query(name, metric, sides)
        told = live_sides(sides)
        if BASELINE in told and set(told[CANARY]) == set(told[BASELINE]):
            raise UsageError(
                f"canary and baseline are both {{{sides.canary}}}: write matchers of a label in which they differ"
            )
        return show_scoped(query, self._scope) if self._scope else query

    async def lag(self, query: Query) -> float:
        """One scrape interval as observed, in seconds; see the port.

        Raises:
            QueryRefused: the query is refused for good.
            SourceUnavailable: nothing can be said now.
        """
        try:
            return await observed_interval(self._client, query)
        except MalformedAnswer as error:
            raise _come_back(error) from error

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        """One window of both sides; see the port.

        Raises:
            SourceUnavailable: nothing was read; the same window and cursor can be asked for again.
        """
        ledger = Ledger.opened(cursor, window.start)
        reader = WindowReader(self._client, query, window, ledger)
        try:
            sides = await reader.read()
        except QueryRefused as error:
            # The cursor stays where it is: should a later window be answered, it counts what this one could not.
            refused: Told = (Missing(why=Absence.REFUSED, detail=str(error)), ())
            reading = reading_of(query.metric, window, dict.fromkeys(live_sides(query.sides), refused))
            return reading, cursor or ledger.closed(window.start)
        except MalformedAnswer as error:
            raise _come_back(error) from error
        return reading_of(query.metric, window, sides, reader.remarks), ledger.closed(window.end)

    async def history(self, query: Query, span: Window, interval: float) -> History:
        """The baseline's past in two halves of its pods; see the port.

        Raises:
            QueryRefused: the query is refused for good.
            SourceUnavailable: nothing can be read now.
        """
        try:
            return await read_past(self._client, query, span, interval)
        except MalformedAnswer as error:
            raise _come_back(error) from error


def _come_back(error: MalformedAnswer) -> SourceUnavailable:
    """What is malformed now may be whole the next time: a connection was cut, or something on the way was down."""
    return SourceUnavailable(str(error), Absence.MALFORMED.value)
