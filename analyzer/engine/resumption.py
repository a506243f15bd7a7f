"""An analysis that goes on after its process was ended: what its record says, and what became of an act begun."""

from collections.abc import Sequence

from analyzer.concurrency import together
from analyzer.engine.analysis import Analysis, advance, begin
from analyzer.engine.ports import Ports
from analyzer.errors import CanaryError, LeaseLost, PlatformUnavailable, RecordError, SourceError
from analyzer.model.event import Acted, Event, HistoryRead, Planned
from analyzer.model.plan import Query

PAUSE = 2.0
"""Seconds between two questions to a platform that is away."""


def restored(events: Sequence[Event]) -> Analysis:
    """The state after these events, decisions among them as they were taken. Pure.

    Raises:
        RecordError: they do not begin with a plan.
    """
    if not events or not isinstance(events[0], Planned):
        raise RecordError("the record does not begin with the plan of an analysis")
    analysis = begin(events[0])
    for event in events[1:]:
        analysis = advance(analysis, event)
    return analysis


def unlearned(analysis: Analysis, events: Sequence[Event]) -> dict[str, Query]:
    """The queries whose past was not read before, by metric."""
    learned = {event.history.metric for event in events if isinstance(event, HistoryRead)}
    return {query.metric: query for query in analysis.plan.queries if query.metric not in learned}


async def lags(queries: Sequence[Query], interval: float, ports: Ports) -> dict[str, float]:
    """How late windows are complete, asked anew; one interval where nobody can say now."""

    async def ask(query: Query) -> float:
        try:
            return await ports.source.lag(query)
        except SourceError:
            return interval

    answers = await together(*(ask(query) for query in queries))
    return {query.metric: lag for query, lag in zip(queries, answers, strict=True)}


async def settle(analysis: Analysis, ports: Ports) -> Acted | None:
    """The receipt of an act that was begun, and whose outcome nobody has recorded; None if it never came to be.

    It is asked for until the platform answers: to act again without knowing could do it twice.
    """
    assert analysis.intended is not None
    while True:
        try:
            receipt = await ports.platform.settle(analysis.intended.intent, ports.permission.confirm)
        except PlatformUnavailable:
            await ports.clock.sleep(PAUSE)
            continue
        except LeaseLost:
            raise
        except CanaryError as error:
            raise RecordError(f"what became of the act that was begun cannot be found out: {error}") from error
        return None if receipt is None else Acted(at=ports.clock.now(), receipt=receipt)
