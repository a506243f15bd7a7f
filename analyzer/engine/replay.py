"""A recorded analysis judged again: by the same rules, or by others. Pure; nothing is asked and nothing is done."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from analyzer.engine.analysis import Analysis, advance, begin
from analyzer.engine.decision import decide
from analyzer.engine.summary import report
from analyzer.errors import RecordError
from analyzer.model.event import (
    Acted,
    Decided,
    Dropped,
    Ended,
    Event,
    Extended,
    Held,
    HistoryRead,
    Intended,
    Planned,
    Staged,
    Troubled,
    Verified,
    WindowRead,
)
from analyzer.model.plan import Plan, Query
from analyzer.model.reading import Absence, Missing, Reading
from analyzer.model.report import Report

_DAMAGE = (ValueError, ArithmeticError, LookupError, RuntimeError)
"""What comes of folding an event that no analysis can have recorded."""


def planned(events: Sequence[Event]) -> Planned:
    """The plan that a recording begins with.

    Raises:
        RecordError: it does not begin with one.
    """
    if not events or not isinstance(events[0], Planned):
        raise RecordError("the recording does not begin with the plan of an analysis")
    return events[0]


def judge_again(events: Sequence[Event]) -> Report:
    """The report, with every decision derived anew from what was seen.

    What was done then is told only where the decision that led to it is the same now.

    Raises:
        RecordError: it does not begin with a plan, or has an event that no analysis can have recorded.
    """
    first = planned(events)
    with _folding(1):
        analysis = _decide(begin(first), first.at)
    recorded: Decided | None = None
    for number, event in enumerate(events[1:], start=2):
        if isinstance(event, Decided | Extended):
            recorded = event if isinstance(event, Decided) else recorded
        elif isinstance(event, Held | Intended | Dropped | Acted | Verified) and not _agree(analysis, recorded):
            continue
        with _folding(number):
            if not isinstance(event, Decided | Extended):
                analysis = advance(analysis, event)
            analysis = _decide(analysis, event.at)
    again = report(analysis)
    if recorded is not None and not _agree(analysis, recorded):
        warning = f"judged {recorded.verdict.value} when it was recorded: {recorded.reason}"
        again = again.model_copy(update={"warnings": (*again.warnings, warning)})
    return again


def judge_by(events: Sequence[Event], plan: Planned) -> Report:
    """The report by another plan (other rules) over the same readings; nothing that was done then is told.

    A metric of the plan hears what was recorded under the same query, whatever its name was then; one that asks for
    something else hears that it was not recorded.

    Raises:
        RecordError: as for `judge_again`.
    """
    heard = _Heard(planned(events).plan, plan.plan)
    analysis = _decide(begin(plan), plan.at)
    for number, event in enumerate(events[1:], start=2):
        with _folding(number):
            for told in heard.translate(event):
                analysis = _decide(advance(analysis, told), event.at)
            analysis = _decide(analysis, event.at)
    return report(analysis)


class _Heard:
    """What the metrics of another plan hear of a recording."""

    def __init__(self, recorded: Plan, other: Plan) -> None:
        self._names: dict[str, list[str]] = {query.metric: [] for query in recorded.queries}
        self._unrecorded: list[str] = []
        definitions = {_definition(query): query.metric for query in recorded.queries}
        for query in other.queries:
            known = definitions.get(_definition(query))
            (self._names[known] if known is not None else self._unrecorded).append(query.metric)
        self._first = recorded.queries[0].metric if recorded.queries else ""

    def translate(self, event: Event) -> Iterator[Event]:
        """The event in the other plan's names; decisions and acts are left out."""
        match event:
            case WindowRead():
                for name in self._names.get(event.reading.metric, ()):
                    reading = event.reading.model_copy(update={"metric": name})
                    yield event.model_copy(update={"reading": reading})
                if event.reading.metric == self._first:
                    yield from (_not_recorded(event, name) for name in self._unrecorded)
            case HistoryRead():
                for name in self._names.get(event.history.metric, ()):
                    yield event.model_copy(update={"history": event.history.model_copy(update={"metric": name})})
            case Troubled():
                for name in self._names.get(event.metric, ()):
                    yield event.model_copy(update={"metric": name})
            case Staged() | Ended():
                yield event


def _definition(query: Query) -> str:
    """What a query asks for, whatever it is called."""
    return query.model_copy(update={"metric": "", "rendered": {}}).model_dump_json()


def _not_recorded(event: WindowRead, metric: str) -> WindowRead:
    missing = Missing(why=Absence.NOT_RECORDED, detail="the recording has not asked for it")
    reading = Reading(metric=metric, window=event.reading.window, canary=missing, baseline=missing)
    return WindowRead(at=event.at, reading=reading)


@contextmanager
def _folding(number: int) -> Iterator[None]:
    """Errors within are damage of the event of this number."""
    try:
        yield
    except _DAMAGE as error:
        raise RecordError(f"event {number} of the recording cannot be judged, it is damaged: {error}") from error


def _agree(analysis: Analysis, recorded: Decided | None) -> bool:
    now = analysis.decided
    if recorded is None or now is None:
        return recorded is now
    return (now.verdict, now.action) == (recorded.verdict, recorded.action)


def _decide(analysis: Analysis, at: float) -> Analysis:
    while (decision := decide(analysis, at)) is not None:
        analysis = advance(analysis, decision)
    return analysis
