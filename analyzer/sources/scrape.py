"""The source that reads /metrics endpoints itself, where there is no Prometheus.

Which endpoint belongs to which side is told by the caller. There is no history, and nothing evaluates PromQL: ratios,
classic histograms and gauges that are plain selectors can be read.
"""

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Self, TypeVar

import httpx

from analyzer.concurrency import together
from analyzer.errors import SourceUnavailable, UsageError
from analyzer.model.plan import Query, SideMatchers
from analyzer.model.reading import Absence, Cursor, History, Missing, Reading, Targets, Window
from analyzer.model.ruleset import Comparison, Metric
from analyzer.sources import gauging
from analyzer.sources.classic import ClassicBuckets, histograms_of
from analyzer.sources.counting import Algebra, Counters, Series, Starts
from analyzer.sources.endpoint import PATIENCE, Scrape, checked, scrape
from analyzer.sources.ledger import Ledger, Tally, milliseconds
from analyzer.sources.lifetime import INSTANCE, Lifetimes
from analyzer.sources.promql import Selector, matches, parse_selector
from analyzer.sources.querying import (
    BAD,
    BASELINE,
    CANARY,
    CLASSIC,
    GAUGE,
    HISTOGRAM,
    STARTED,
    TARGETS,
    TOTAL,
    counted,
    make_query,
)
from analyzer.sources.tallying import Told, classic_side, events, reading_of

V = TypeVar("V")

_KEPT = 2
"""Scrapes of an endpoint that are kept: the first window counts from the one before it."""


class ScrapeSource:
    """Readings from endpoints; each read scrapes them now. Use as an asynchronous context manager, or close it."""

    def __init__(self, canary: Sequence[str], baseline: Sequence[str] = (), timeout: float = PATIENCE) -> None:
        """Endpoints of both sides, as URLs; `timeout` in seconds, for a whole answer of one.

        Raises:
            UsageError: one is no URL, or there is none of the canary.
        """
        self._urls = {CANARY: [checked(url) for url in canary], BASELINE: [checked(url) for url in baseline]}
        if not canary:
            raise UsageError("no endpoint of the canary to scrape: give at least one")
        self._timeout = timeout
        self._client = httpx.AsyncClient(timeout=None, follow_redirects=False)  # noqa: S113 -- each scrape has its own
        self._scrapes: dict[str, list[Scrape]] = {}
        self._turns: dict[str, asyncio.Lock] = {url: asyncio.Lock() for urls in self._urls.values() for url in urls}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query:
        """A metric as it is read from endpoints; see the port.

        Raises:
            UsageError: it needs a Prometheus.
        """
        query = make_query(name, metric, sides)
        if query.own:
            raise UsageError(f"{name}: a `promql:` query needs a Prometheus, and endpoints are scraped here")
        selectors = _selectors(query)
        for selector in selectors.values():
            matches(selector.matchers, {})  # patterns are tried out now, not in the first window
        rendered = {
            f"{role}/{side}": f"{selector} at {', '.join(self._urls[side])}"
            for role, selector in selectors.items()
            for side in self._sides(query)
        }
        return query.model_copy(update={"rendered": rendered})

    def _sides(self, query: Query) -> list[str]:
        both = bool(self._urls[BASELINE]) and query.sides.comparison == Comparison.SIDE_BY_SIDE
        return [CANARY, BASELINE] if both else [CANARY]

    async def lag(self, query: Query) -> float:
        """None: each read scrapes. The scrape that this makes is what the first window counts from.

        Raises:
            SourceUnavailable: no endpoint at all can be read.
        """
        scrapes = await self._scrape(query, milliseconds(time.time()))
        found = [each for of_side in scrapes.values() for each in of_side]
        if not any(each.is_up for each in found):
            raise SourceUnavailable(f"no endpoint can be read: {_troubles(found)}", Absence.UNREACHABLE.value)
        return 0.0

    async def history(self, query: Query, span: Window, interval: float) -> History:
        """There is none."""
        _ = interval
        return History(metric=query.metric, span=span, readings=(), note="endpoints are scraped: they have no history")

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        """Scrape now, and count what has come since the last time; see the port."""
        scrapes = await self._scrape(query, milliseconds(window.end))
        ledger = Ledger.opened(cursor, window.start)
        sides: dict[str, Told] = {}
        for side, of_side in scrapes.items():
            sides[side] = self._told(query, side, of_side, ledger)
            for each in of_side:
                if each.is_up:
                    ledger.extra[f"scraped/{each.url}"] = str(each.time)
        return reading_of(query.metric, window, sides), ledger.closed(window.end)

    # ------------------------------------------------------------------ scraping

    async def _scrape(self, query: Query, end: int) -> dict[str, list[Scrape]]:
        """The newest scrape of each endpoint, made after `end` (ms): several metrics share it."""
        sides = self._sides(query)
        urls = [url for side in sides for url in self._urls[side]]
        await together(*(self._renew(url, end) for url in urls))
        return {side: [self._scrapes[url][-1] for url in self._urls[side]] for side in sides}

    async def _renew(self, url: str, end: int) -> None:
        async with self._turns[url]:
            known = self._scrapes.get(url, [])
            if not known or known[-1].time < end:
                self._scrapes[url] = [*known, await scrape(self._client, url, self._timeout)][-_KEPT:]

    def _series(self, url: str, selector: Selector) -> list[Series[float]]:
        """The kept samples of an endpoint's series."""
        found: dict[frozenset[tuple[str, str]], Series[float]] = {}
        for each in self._scrapes[url]:
            for labels, value in each.samples.get(selector.name, ()):
                if matches(selector.matchers, labels):
                    key = frozenset(labels.items())
                    series = found.setdefault(key, Series({**labels, "job": "", INSTANCE: url}, [], []))
                    if series.times[-1:] != [each.time]:  # a series that is exposed twice counts once
                        series.times.append(each.time)
                        series.values.append(value)
        return list(found.values())

    def _lifetimes(self, url: str, ledger: Ledger) -> Lifetimes:
        """Since when an endpoint is known to answer, and when its process began."""
        labels = {"job": "", INSTANCE: url}
        up = [(each.time, 1.0) for each in self._scrapes[url] if each.is_up]
        if before := ledger.extra.get(f"scraped/{url}"):
            up.insert(0, (int(before), 1.0))
        scrapes = Series(labels, [at for at, _ in up], [value for _, value in up])
        return Lifetimes(up=[scrapes], processes=self._series(url, Selector(STARTED)))

    # ------------------------------------------------------------------ telling

    def _told(self, query: Query, side: str, scrapes: Sequence[Scrape], ledger: Ledger) -> Told:
        if query.kind == TARGETS:
            return self._health(side, scrapes, ledger), ()
        failed = [each for each in scrapes if not each.is_up]
        if len(failed) == len(scrapes):
            return Missing(why=Absence.NO_SAMPLES, detail=f"no endpoint can be read: {_troubles(failed)}"), ()
        told, remarks = self._of_kind(query, side, ledger)
        return told, (*remarks, *((f"not read: {_troubles(failed)}",) if failed else ()))

    def _of_kind(self, query: Query, side: str, ledger: Ledger) -> Told:
        selectors = _selectors(query)
        if query.kind == GAUGE:
            return self._level(query, side, selectors[GAUGE])
        if query.kind == HISTOGRAM:
            tally = self._tally(CLASSIC, side, selectors[CLASSIC], ledger, ClassicBuckets())
            return classic_side(tally, query.factor)
        bad = self._tally(BAD, side, selectors[BAD], ledger, Counters())
        everything = self._tally(TOTAL, side, selectors[TOTAL], ledger, Counters())
        return events(bad, everything, ledger, side)

    def _tally(self, role: str, side: str, selector: Selector, ledger: Ledger, algebra: Algebra[Any]) -> Tally[Any]:
        tally: Tally[Any] = Tally(str(selector), is_known=ledger.knows(f"{role}/{side}"))
        for url in self._urls[side]:
            lifetimes = self._lifetimes(url, ledger)
            series: Iterable[Series[Any]] = self._series(url, selector)
            if role == CLASSIC:
                series, _ = histograms_of(series)
            end = self._scrapes[url][-1].time
            for each in series:
                tally.take(ledger.count(f"{role}/{side}", each, algebra=algebra, end=end, lifetimes=lifetimes))
        return tally

    def _level(self, query: Query, side: str, selector: Selector) -> Told:
        values = [
            (series.labels, series.values[-1])
            for url in self._urls[side]
            for series in self._series(url, selector)
            if series.times[-1] == self._scrapes[url][-1].time
        ]
        if not values:
            return Missing(why=Absence.NO_SERIES, detail=f"no series matches {selector}"), ()
        return gauging.level(values, query.factor)

    def _health(self, side: str, scrapes: Sequence[Scrape], ledger: Ledger) -> Targets:
        restarts = self._tally(STARTED, side, Selector(STARTED), ledger, Starts())
        up = sum(each.is_up for each in scrapes)
        return Targets(up=up, down=len(scrapes) - up, restarts=int(sum(restarts.amounts)))


def _selectors(query: Query) -> dict[str, Selector]:
    """What is looked for in an exposition, by role.

    Raises:
        UsageError: a gauge's expression is more than a selector.
    """
    if query.kind == GAUGE:
        return {GAUGE: parse_selector(query.selectors[GAUGE], "a gauge that is read from endpoints")}
    return {role: selector for role, selector in counted(query).items() if role != "native"}


def _troubles(scrapes: Iterable[Scrape]) -> str:
    return "; ".join(f"{each.url}: {each.trouble}" for each in scrapes)
