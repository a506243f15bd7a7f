"""Every series of a query followed up to a time: fetched, told by side, counted from where the ledger stands."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from analyzer.concurrency import together
from analyzer.sources.classic import Classic, ClassicBuckets, histograms_of
from analyzer.sources.counting import Algebra, Counters, Labels, Series, Starts
from analyzer.sources.ledger import Followed, Ledger, Tally
from analyzer.sources.lifetime import Lifetimes
from analyzer.sources.native import Native, NativeBuckets
from analyzer.sources.prometheus.answer import float_series, native_series
from analyzer.sources.prometheus.asking import Asking
from analyzer.sources.prometheus.fetching import (
    FIRST_LOOKBACK,
    LATE,
    joined,
    lifetimes_of,
    narrowed,
    raw_series,
)
from analyzer.sources.promql import Selector
from analyzer.sources.querying import BAD, CLASSIC, NATIVE, STARTED, TOTAL, Asked

V = TypeVar("V")


async def _plain(client: Asking, selector: Selector, start: int, end: int) -> list[Series[float]]:
    return await raw_series(client, selector, start, end, float_series)


async def _classic(client: Asking, selector: Selector, start: int, end: int) -> list[Series[Classic]]:
    histograms, _ = histograms_of(await raw_series(client, selector, start, end, float_series))
    return histograms


async def _native(client: Asking, selector: Selector, start: int, end: int) -> list[Series[Native]]:
    return await raw_series(client, selector, start, end, native_series)


@dataclass(frozen=True)
class Kind(Generic[V]):
    """How the series of a role are loaded and counted; `births` is whether a new series may count from zero."""

    load: Callable[[Asking, Selector, int, int], Awaitable[list[Series[V]]]]
    algebra: Algebra[V]
    births: bool = True


KINDS: dict[str, Kind[Any]] = {
    BAD: Kind(_plain, Counters()),
    TOTAL: Kind(_plain, Counters()),
    CLASSIC: Kind(_classic, ClassicBuckets()),
    NATIVE: Kind(_native, NativeBuckets()),
    STARTED: Kind(_plain, Starts(), births=False),
}
"""How each role is counted."""


async def follow_series(
    client: Asking, role: str, asked: Sequence[Asked], ledger: Ledger, end: int
) -> dict[str, list[Followed[Any]]]:
    """What every series of this role gave from where the ledger stands up to `end` (Unix ms), by side.

    The ledger's series are moved on; its `read_to` is the caller's to move.

    Raises:
        SourceError: nothing was counted, and the ledger is not to be used any more.
    """
    kind = KINDS[role]
    start = ledger.read_to - (FIRST_LOOKBACK if ledger.is_fresh else LATE)
    loaded = await together(*(kind.load(client, each.selector, start, end) for each in asked))
    by_side = _told_by_side(asked, loaded)
    newcomers = [
        series.labels for side, found in by_side.items() for series in ledger.newcomers(f"{role}/{side}", found)
    ]
    lifetimes = Lifetimes()
    if newcomers and kind.births:
        long_ago = ledger.read_to - FIRST_LOOKBACK
        if long_ago < start:  # the same span for the series as for its target: or else old ones would look new
            by_side = await _with_past(client, kind, asked, by_side, newcomers, (long_ago, end))
        lifetimes = await lifetimes_of(client, newcomers, long_ago, end)
    return {
        side: [
            ledger.count(f"{role}/{side}", series, algebra=kind.algebra, end=end, lifetimes=lifetimes)
            for series in found
        ]
        for side, found in by_side.items()
    }


async def _with_past(
    client: Asking,
    kind: Kind[V],
    asked: Sequence[Asked],
    by_side: dict[str, list[Series[V]]],
    newcomers: Sequence[Labels],
    span: tuple[int, int],
) -> dict[str, list[Series[V]]]:
    longer = await together(*(kind.load(client, narrowed(each.selector, newcomers), *span) for each in asked))
    with_past = _told_by_side(asked, longer)
    return {side: joined(found, with_past.get(side, ())) for side, found in by_side.items()}


def _told_by_side(asked: Sequence[Asked], loaded: Sequence[list[Series[V]]]) -> dict[str, list[Series[V]]]:
    by_side: dict[str, list[Series[V]]] = {side: [] for each in asked for side in each.sides}
    for each, found in zip(asked, loaded, strict=True):
        for series in found:
            if (side := each.side_of(series.labels)) is not None:
                by_side[side].append(series)
    return by_side


def tally(role: str, selector: str, followed: Sequence[Followed[V]], ledger: Ledger, side: str) -> Tally[V]:
    """All series of one role and side together."""
    result: Tally[V] = Tally(selector, is_known=ledger.knows(f"{role}/{side}"))
    for each in followed:
        result.take(each)
    return result
