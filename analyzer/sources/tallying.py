"""What was counted on one side of one window, as a side of the reading. Pure."""

from collections.abc import Iterable, Mapping

from analyzer.model.reading import Buckets, Events, Reading, Side, Window
from analyzer.sources import classic, native
from analyzer.sources.classic import Classic, ClassicBuckets
from analyzer.sources.counting import total
from analyzer.sources.ledger import Ledger, Tally
from analyzer.sources.native import Native, NativeBuckets
from analyzer.sources.querying import BASELINE, CANARY

Told = tuple[Side, tuple[str, ...]]
"""A side of a reading, and what is to be said of it."""


def events(bad: Tally[float], everything: Tally[float], ledger: Ledger, side: str) -> Told:
    """The events of one side. Without bad series there are no bad events; without any series, nothing is known.

    More bad events than events come from a scrape that was stored between the two queries, or whose target was lost in
    between. The excess is carried into the next window, so that sums stay exact.
    """
    if (missing := everything.absence()) or ((missing := bad.absence()) and bad.broken):
        # What was counted all the same is not lost: it belongs to the next window that has numbers.
        _carry(ledger, f"bad/{side}", sum(bad.amounts, _carried(ledger, f"bad/{side}")))
        _carry(ledger, f"total/{side}", sum(everything.amounts, _carried(ledger, f"total/{side}")))
        return missing, ()
    in_all = sum(everything.amounts, _carried(ledger, f"total/{side}"))
    of_bad = sum(bad.amounts, _carried(ledger, f"bad/{side}"))
    _carry(ledger, f"total/{side}", 0.0)
    return settled(of_bad, in_all, ledger, side, (*everything.remarks(), *bad.remarks()))


def settled(bad: float, in_all: float, ledger: Ledger, side: str, remarks: tuple[str, ...] = ()) -> Told:
    """The events of one side, an excess of bad ones carried over."""
    excess = max(0.0, bad - in_all)
    _carry(ledger, f"bad/{side}", excess)
    if excess:
        remark = f"{side}: {excess:g} more bad events than events in all: they count in the next window"
        remarks = (*remarks, f"{remark}. If this goes on, the bad events are no part of the total")
    return Events(total=in_all, bad=bad - excess), remarks


def _carried(ledger: Ledger, what: str) -> float:
    return float(ledger.extra.get(f"carry/{what}", 0.0))


def _carry(ledger: Ledger, what: str, amount: float) -> None:
    if amount:
        ledger.extra[f"carry/{what}"] = repr(amount)
    else:
        ledger.extra.pop(f"carry/{what}", None)


def classic_side(tally: Tally[Classic], factor: float) -> Told:
    """The observations of one side by classic bucket."""
    if missing := tally.absence():
        return missing, ()
    counted = total(tally.amounts, ClassicBuckets().add, classic.NOTHING)
    bounds, counts, smoothed = classic.buckets_of(counted, factor)
    remarks = ("the buckets are not cumulative: the exposition is not of one moment",) if smoothed else ()
    return Buckets(bounds=bounds, counts=counts), (*tally.remarks(), *remarks)


def native_side(tally: Tally[Native], factor: float) -> Told:
    """The observations of one side by native bucket, in the coarsest schema of its series."""
    if missing := tally.absence():
        return missing, ()
    counted = total(tally.amounts, NativeBuckets().add, native.NOTHING)
    bounds, counts, scale = native.buckets_of(counted, factor)
    return Buckets(bounds=bounds, counts=counts, scale=scale), tally.remarks()


def reading_of(metric: str, window: Window, sides: Mapping[str, Told], remarks: Iterable[str] = ()) -> Reading:
    """The reading of one window, made of its sides by name; what is said of them, and `remarks`, are told once."""
    baseline = sides[BASELINE][0] if BASELINE in sides else None
    warnings = tuple(dict.fromkeys((*(remark for _, of_side in sides.values() for remark in of_side), *remarks)))
    return Reading(metric=metric, window=window, canary=sides[CANARY][0], baseline=baseline, warnings=warnings)
