"""A recorded analysis judged again: by the same rules, or by others. Pure; nothing is asked and nothing is done."""

from collections.abc import Sequence

from analyzer.engine.analysis import Analysis, advance, begin
from analyzer.engine.decision import decide
from analyzer.engine.summary import report
from analyzer.errors import RecordError
from analyzer.model.event import (
    Acted,
    Decided,
    Ended,
    Event,
    Extended,
    Held,
    HistoryRead,
    Intended,
    Planned,
    Troubled,
    Verified,
    WindowRead,
)
from analyzer.model.report import Report


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
    """
    analysis = begin(planned(events))
    analysis = _decide(analysis, events[0].at)
    recorded: Decided | None = None
    for event in events[1:]:
        if isinstance(event, Decided | Extended):
            recorded = event if isinstance(event, Decided) else recorded
            analysis = _decide(analysis, event.at)
            continue
        if isinstance(event, Held | Intended | Acted | Verified) and not _agree(analysis, recorded):
            continue
        analysis = _decide(advance(analysis, event), event.at)
    again = report(analysis)
    if recorded is not None and not _agree(analysis, recorded):
        warning = f"judged {recorded.verdict.value} when it was recorded: {recorded.reason}"
        again = again.model_copy(update={"warnings": (*again.warnings, warning)})
    return again


def judge_by(events: Sequence[Event], plan: Planned) -> Report:
    """The report by another plan (other rules) over the same readings; nothing that was done then is told."""
    analysis = _decide(begin(plan), plan.at)
    for event in events[1:]:
        match event:
            case HistoryRead() | WindowRead() | Troubled():
                analysis = _decide(advance(analysis, event), event.at)
            case Ended():
                analysis = advance(_decide(analysis, event.at), event)
            case _:
                analysis = _decide(analysis, event.at)
    return report(analysis)


def _agree(analysis: Analysis, recorded: Decided | None) -> bool:
    now = analysis.decided
    if recorded is None or now is None:
        return recorded is now
    return (now.verdict, now.action) == (recorded.verdict, recorded.action)


def _decide(analysis: Analysis, at: float) -> Analysis:
    while (decision := decide(analysis, at)) is not None:
        analysis = advance(analysis, decision)
    return analysis
