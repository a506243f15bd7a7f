"""What the records of analyses must show, whatever has happened to the processes that wrote them."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.model.event import EVENT, Acted, Decided, Ended, Event, HistoryRead, Intended, Planned, WindowRead
from analyzer.model.reading import Events, Missing, Window
from analyzer.model.report import Verdict
from tests.faults.acts import Act
from tests.sources.incidents import Raw

NOBODY_KNOWS = "nobody knows"
"""Of a receipt: the act was cut off, and whether it came to its end cannot be found out."""
_GIVEN = 1e-6  # seconds; times go through JSON


def read(items: Sequence[Mapping[str, Any]]) -> list[Event]:
    """The events of a record; their numbers have no gap."""
    assert [item["seq"] for item in items] == list(range(1, len(items) + 1)), "a gap, or a number given twice"
    return [EVENT.validate_python(item["event"]) for item in items]


def is_whole(events: Sequence[Event]) -> None:
    """One plan first, one verdict, one end at the end; the past of a metric is learned once."""
    kinds = Counter(type(event) for event in events)
    assert isinstance(events[0], Planned), events[0]
    assert isinstance(events[-1], Ended), events[-1]
    assert events[-1].cause == "", f"ended by {events[-1].cause}"
    assert kinds[Planned] == kinds[Decided] == kinds[Ended] == 1, kinds
    learned = Counter(event.history.metric for event in events if isinstance(event, HistoryRead))
    assert set(learned.values()) <= {1}, learned


def windows_of(events: Sequence[Event]) -> dict[str, list[WindowRead]]:
    """What was read, by metric."""
    found: dict[str, list[WindowRead]] = defaultdict(list)
    for event in events:
        if isinstance(event, WindowRead):
            found[event.reading.metric].append(event)
    return dict(found)


def windows_are_whole(events: Sequence[Event]) -> None:
    """From the upgrade on, each begins where the one before it has ended: none is lost, and none read twice."""
    planned = events[0]
    assert isinstance(planned, Planned)
    windows = windows_of(events)
    assert windows, "nothing was read"
    for metric, read_ in windows.items():
        spans = [event.reading.window for event in read_]
        assert abs(spans[0].start - planned.plan.upgraded_at) < _GIVEN, f"{metric} begins late: {spans[0]}"
        for one, other in itertools.pairwise(spans):
            assert one.end == other.start, f"{metric}: {other} does not follow on {one}"
            assert other.seconds > 0


def counts_are_true(events: Sequence[Event], series: Sequence[Raw], metric: str = "errors") -> None:
    """The sum of all windows is the difference of the counters, as Prometheus has scraped them, for both sides."""
    readings = [event.reading for event in windows_of(events)[metric]]
    span = Window(start=readings[0].window.start, end=readings[-1].window.end)
    for side, version in (("canary", "2"), ("baseline", "1")):
        counted = [getattr(reading, side) for reading in readings]
        assert all(isinstance(each, Events | Missing) for each in counted), counted
        total = sum(each.total for each in counted if isinstance(each, Events))
        bad = sum(each.bad for each in counted if isinstance(each, Events))
        mine = [one for one in series if one.labels["version"] == version]
        assert len(mine) == 2, [one.labels for one in mine]
        grown = {one.labels["code"]: _grown(one, span) for one in mine}
        assert abs(bad - grown["500"]) < 1e-9, f"{side}: {bad} bad counted, {grown['500']} were there in {span}"
        assert abs(total - sum(grown.values())) < 1e-9, f"{side}: {total} counted, {grown} were there in {span}"
        assert total > 0, f"{side}: nothing was counted"


def _grown(one: Raw, span: Window) -> float:
    """What the series counted in the samples of this span; the last one before it is the reference."""
    before = [value for at, value in one.samples if round(at * 1000) <= round(span.start * 1000)]
    within = [value for at, value in one.samples if round(at * 1000) <= round(span.end * 1000)]
    assert before, "Prometheus has no sample from before the analysis"
    return float(within[-1] - before[-1])


def acted_once(events: Sequence[Event], acts: Sequence[Act]) -> str:
    """What is recorded of the act is what was done, and it was done at most once; how it came out, in a word."""
    intents = [event for event in events if isinstance(event, Intended)]
    receipts = [event for event in events if isinstance(event, Acted)]
    begun = [act for act in acts if act.what == "begun"]
    done = [act for act in acts if act.what == "done"]
    assert len(begun) <= 1, f"a double act: {begun}"
    assert len(intents) == len(receipts), (intents, receipts)
    assert len(intents) <= 1, intents
    if not intents:
        assert not begun, f"an act that nobody has written down before it: {begun}"
        return "none"
    # An act that begins after its receipt is that of a process that had lost its lease.
    assert all(intents[0].at <= act.at + 0.01 for act in begun), (intents[0].at, begun)
    assert all(act.at <= receipts[0].at for act in begun), f"a late act: {begun}, settled at {receipts[0].at}"
    if receipts[0].receipt.ok:
        assert len(begun) == len(done) == 1, acts
        return "done"
    assert NOBODY_KNOWS in receipts[0].receipt.detail, receipts[0].receipt
    return "unknown"


def verdict_of(events: Sequence[Event]) -> Verdict:
    return next(event.verdict for event in events if isinstance(event, Decided))
