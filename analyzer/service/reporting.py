"""Reports of analyses in the store: folded from their events, and judged again by other rules."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyzer.composition.planning import replanned
from analyzer.composition.rules import finish_rules
from analyzer.engine.analysis import Analysis, advance
from analyzer.engine.replay import judge_by, planned
from analyzer.engine.resumption import restored
from analyzer.engine.summary import report
from analyzer.errors import UsageError
from analyzer.model.document import read_rule_set
from analyzer.model.event import Event, Planned
from analyzer.model.guard import Guard
from analyzer.model.order import Ordered
from analyzer.model.report import Action, ActionResult, Report, Verdict
from analyzer.model.target import ActionKind, PlatformKind, Revision, Target
from analyzer.store.analyses import Analyses
from analyzer.store.entry import Entry, Numbered

PAGE = 500
"""Events in one question to the database."""
MOST_EVENTS = 200_000
"""Events of one analysis beyond which it is not judged again."""
KEPT = 64
"""Analyses of which is kept where they stood."""
FOLDED_AT_ONCE = 2
"""Analyses that are folded at a time: that is work for a processor, and running analyses need it, too."""


@dataclass(frozen=True)
class _Folded:
    """An analysis after its first `seq` events; None: they do not begin with a plan."""

    seq: int
    analysis: Analysis | None


class Reports:
    """The reports of a store's analyses.

    Where an analysis stood is kept for those that were asked for last: the next report folds what came since.
    """

    def __init__(self, analyses: Analyses) -> None:
        self._analyses = analyses
        self._kept: OrderedDict[str, _Folded] = OrderedDict()
        self._asked: dict[str, asyncio.Lock] = {}
        self._turn = asyncio.Semaphore(FOLDED_AT_ONCE)

    async def of(self, entry: Entry) -> Report | None:
        """The report as the analysis stands; None before its plan.

        Raises:
            RecordError: its events cannot be read.
            StoreError: the database does not answer.
        """
        # Many who follow one analysis ask at the same time: the first one folds, the others find it done.
        lock = self._asked.setdefault(entry.id, asyncio.Lock())
        try:
            async with lock:
                folded = await self._folded(entry)
                if folded.analysis is not None:
                    return await asyncio.to_thread(report, folded.analysis)
        finally:
            if not lock.locked():
                self._asked.pop(entry.id, None)
        return None if entry.ended_at is None else without_plan(entry)

    async def _folded(self, entry: Entry) -> _Folded:
        folded = self._kept.get(entry.id, _Folded(0, None))
        async for events in self._analyses.pages(entry.id, folded.seq, PAGE):
            async with self._turn:
                folded = await asyncio.to_thread(_fold, folded, events)
        self._kept[entry.id] = folded
        self._kept.move_to_end(entry.id)
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return folded

    async def judged_by(self, entry: Entry, text: str, name: str, parameters: Mapping[str, str]) -> Report:
        """What another rule set (its text, and how mistakes name it) says of the recorded readings.

        Raises:
            UsageError: it cannot be used on them, or there are none; RuleSetError with every mistake in it.
            RecordError: the events cannot be read.
            StoreError: the database does not answer.
        """
        async with self._turn:
            events = await self._all_events(entry)
            return await asyncio.to_thread(_judge_by, events, text, name, dict(parameters))

    async def _all_events(self, entry: Entry) -> Sequence[Event]:
        events: list[Event] = []
        async for page in self._analyses.pages(entry.id, limit=PAGE):
            events += [numbered.event for numbered in page]
            if len(events) > MOST_EVENTS:
                raise UsageError(f"analysis {entry.id} has more than {MOST_EVENTS} events: too many to judge again")
        if not events or not isinstance(events[0], Planned):
            raise UsageError(f"analysis {entry.id} has read nothing: there is nothing to judge again")
        return events


def _fold(folded: _Folded, events: Sequence[Numbered]) -> _Folded:
    analysis, last = folded.analysis, events[-1].seq
    if folded.seq == 0:
        if not isinstance(events[0].event, Planned):
            return _Folded(last, None)
        return _Folded(last, restored([numbered.event for numbered in events]))
    if analysis is not None:
        for numbered in events:
            analysis = advance(analysis, numbered.event)
    return _Folded(last, analysis)


def _judge_by(events: Sequence[Event], text: str, name: str, parameters: dict[str, str]) -> Report:
    rule_set = finish_rules(read_rule_set(text, name), parameters)
    return judge_by(events, replanned(planned(events), events, rule_set, parameters))


def without_plan(entry: Entry) -> Report:
    """The report of an analysis that ended before it had a plan: what its row says, in the form that all reports have.

    Nobody has asked the platform for its revision: it is what the order says, or `?`.
    """
    order = Ordered.model_validate_json(entry.ordered).order
    summary, ended_at = entry.summary, entry.ended_at or entry.changed_at
    upgraded_at = order.since or entry.created_at
    return Report(
        verdict=Verdict.ERROR if summary.verdict == Verdict.PENDING else Verdict(summary.verdict),
        action=Action(kind=ActionKind(summary.action), result=ActionResult(summary.result)),
        held_by=Guard(summary.held_by) if summary.held_by else None,
        reason=summary.reason or "it ended before it began",
        analysis=entry.id,
        target=Target(kind=PlatformKind(entry.kind), name=entry.name, namespace=entry.namespace),
        revision=Revision(number=order.revision or "?"),
        rule_set=order.rules,
        upgraded_at=upgraded_at,
        started_at=entry.created_at,
        ended_at=ended_at,
        as_of=ended_at,
        deadline_at=ended_at,
    )
