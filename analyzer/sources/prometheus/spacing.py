"""How far apart the samples of a query's series are: its scrape interval, as observed."""

from itertools import pairwise
from statistics import median

from analyzer.concurrency import together
from analyzer.model.plan import Query
from analyzer.sources.prometheus.answer import float_series, native_series
from analyzer.sources.prometheus.asking import Asking
from analyzer.sources.prometheus.evaluation import window_text
from analyzer.sources.promql import Matcher, Selector, parse, selectors_in
from analyzer.sources.querying import (
    BASELINE,
    CANARY,
    CLASSIC,
    HISTOGRAM,
    NATIVE,
    TARGETS,
    TOTAL,
    UP,
    ask,
    counted,
    evaluated,
    live_sides,
    past_matchers,
)

LOOKBACK = 300_000
"""Milliseconds that are looked at: a longer scrape interval is not seen as one."""
UNKNOWN = 5.0
"""Seconds that are waited where no series has two samples yet. Counts stay exact: late samples count later."""
_SELECTORS = 3
"""So many selectors of an expression are looked at."""


async def observed_interval(client: Asking, query: Query) -> float:
    """The scrape interval of a query's series in seconds: of nine in ten of them it is at most this.

    Sends what the query will send, so that a refusal is seen at once.

    Raises:
        SourceError: refused, or not answered now.
    """
    sides = {CANARY: live_sides(query.sides)[CANARY], BASELINE: past_matchers(query.sides)}
    await _try_expressions(client, query, sides)
    selectors = dict.fromkeys(asked.selector for selector in _telling(query, sides) for asked in ask(selector, sides))
    found = await together(*(_gaps(client, selector) for selector in selectors))
    gaps = sorted(gap for each in found for gap in each)
    return gaps[min(len(gaps) - 1, 9 * len(gaps) // 10)] if gaps else UNKNOWN


async def _try_expressions(client: Asking, query: Query, sides: dict[str, tuple[Matcher, ...]]) -> None:
    texts = {
        evaluated(query, role, matchers, window_text(60.0))
        for role in query.selectors
        if role not in counted(query) and query.kind not in {HISTOGRAM, TARGETS}
        for matchers in sides.values()
    }
    await together(*(client.instant(text, None) for text in texts))


def _telling(query: Query, sides: dict[str, tuple[Matcher, ...]]) -> list[Selector]:
    """Selectors, without the sides, whose samples come with those of the query and are not too many."""
    plain = counted(query)
    if query.kind == TARGETS:
        return [plain[UP]]
    if query.kind == HISTOGRAM:
        name = plain[NATIVE].name
        return [plain[NATIVE], Selector(f"{name}_count", plain[CLASSIC].matchers)]
    if TOTAL in plain:
        return [plain[TOTAL]]
    role = next(role for role in query.selectors if role not in plain)
    inner = selectors_in(parse(evaluated(query, role, sides[CANARY], window_text(60.0))))
    without_side = [
        Selector(each.name, tuple(matcher for matcher in each.matchers if matcher not in sides[CANARY]))
        for each in inner
    ]
    return [each for each in dict.fromkeys(without_side) if each.name][:_SELECTORS]


async def _gaps(client: Asking, selector: Selector) -> list[float]:
    """The usual distance of two samples, in seconds, of each series."""
    answer = await client.instant(selector.over(LOOKBACK), None)
    times = [each.times for each in float_series(answer)] + [each.times for each in native_series(answer)]
    return [median(late - early for early, late in pairwise(each)) / 1000 for each in times if len(each) > 1]
