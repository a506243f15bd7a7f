"""Expressions that the server evaluates itself: gauges, and queries of the user's own."""

from analyzer.model.plan import Query
from analyzer.model.reading import Absence, Missing
from analyzer.sources.gauging import Values
from analyzer.sources.ledger import Tally, milliseconds
from analyzer.sources.prometheus.answer import single_values
from analyzer.sources.prometheus.asking import Asking
from analyzer.sources.promql import Matcher
from analyzer.sources.querying import evaluated
from analyzer.sources.rendering import render_duration


async def evaluate(
    client: Asking, query: Query, role: str, matchers: tuple[Matcher, ...], end: float, seconds: float
) -> tuple[Values, tuple[str, ...]]:
    """The values of one side's expression at `end` (Unix seconds), over a window of this length in seconds; and what
    the server's engine remarks on the expression.

    Raises:
        SourceError: it was not answered.
    """
    text = evaluated(query, role, matchers, window_text(seconds))
    answer = await client.instant(text, milliseconds(end))
    return single_values(answer), answer.notes


def window_text(seconds: float) -> str:
    """The length of a window as a PromQL duration."""
    return render_duration(milliseconds(seconds))


def own_tally(query: Query, role: str, values: Values) -> Tally[float] | Missing:
    """The one count that a query of the user's own gave; none at all is like no series."""
    if several := too_many(query, role, values):
        return several
    tally: Tally[float] = Tally(f"the query of {role}")
    for _, value in values:
        tally.is_known = True
        if value < 0:
            return Missing(why=Absence.REFUSED, detail=f"the query of {role} gives {value:g}: a count is not negative")
        (tally.amounts if 0 <= value < float("inf") else tally.broken).append(value)
    return tally


def too_many(query: Query, role: str, values: Values) -> Missing | None:
    """Several series where one value was meant."""
    if role not in query.own or len(values) <= 1:
        return None
    detail = f"the query of {role} gives {len(values)} series where one is meant: put sum(…) around it"
    return Missing(why=Absence.SEVERAL_SERIES, detail=detail)
