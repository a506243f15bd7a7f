"""The baseline's past, in intervals of equal length and in two halves of its pods."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from analyzer.model.plan import Query
from analyzer.model.reading import Absence, History, Missing, Reading, Window
from analyzer.sources import gauging
from analyzer.sources.counting import Labels
from analyzer.sources.ledger import Ledger, Tally
from analyzer.sources.prometheus.answer import float_series
from analyzer.sources.prometheus.asking import Asking
from analyzer.sources.prometheus.evaluation import own_tally, too_many
from analyzer.sources.prometheus.fetching import CHUNK, LATE
from analyzer.sources.prometheus.following import KINDS, follow_series
from analyzer.sources.prometheus.intervals import Intervals
from analyzer.sources.promql import Selector
from analyzer.sources.querying import (
    BAD,
    BASELINE,
    CANARY,
    CLASSIC,
    GAUGE,
    HISTOGRAM,
    NATIVE,
    TARGETS,
    TOTAL,
    Asked,
    counted,
    evaluated,
    past_matchers,
)
from analyzer.sources.rendering import render_duration
from analyzer.sources.tallying import Told, classic_side, events, native_side, reading_of

ALL = ""
"""The part that everything belongs to where pods cannot be told apart."""
_POINTS = 5000
"""Steps of a range query in one answer; Prometheus gives at most 11,000."""

Amounts = dict[tuple[str, int], Any]
"""What was counted, by part (pod or instance) and number of the interval."""
Half = frozenset[str]
Telling = Callable[[Half, str, int], Told]
"""A half of the parts, its side and the number of an interval into a side of the reading."""


async def read_past(client: Asking, query: Query, span: Window, seconds: float) -> History:
    """The past of the baseline; see the port's `history`.

    Raises:
        SourceError: refused, or not answered now.
    """
    intervals = Intervals.of(span, seconds)
    if query.kind == TARGETS:
        return History(metric=query.metric, span=span, readings=(), note="the health of targets is judged without one")
    if intervals.count < 1:
        return History(metric=query.metric, span=span, readings=(), note="the span is shorter than one interval")
    readings = await _PastReader(client, query, intervals).read()
    first = next((number for number, each in enumerate(readings) if _has_numbers(each)), len(readings))
    note = ""
    if first == len(readings):
        last = readings[-1].canary
        note = f"no data of the baseline's past: {last.detail if isinstance(last, Missing) else ''}"
    elif first:
        note = f"the past begins {(len(readings) - first) * intervals.step / 1000:g} s before its end: no data is older"
    return History(metric=query.metric, span=span, readings=tuple(readings[first:]), note=note)


def _has_numbers(reading: Reading) -> bool:
    return any(side is not None and not isinstance(side, Missing) for side in (reading.canary, reading.baseline))


def halves_of(parts: Iterable[str]) -> tuple[Half, Half | None]:
    """Two halves of the pods, stable however they are listed; one alone is a half without another."""
    ordered = sorted(set(parts), key=lambda part: sha256(part.encode()).digest())
    if len(ordered) < 2:  # noqa: PLR2004 -- halves are two
        return frozenset(ordered), None
    return frozenset(ordered[::2]), frozenset(ordered[1::2])


@dataclass
class _PastReader:
    client: Asking
    query: Query
    intervals: Intervals
    _left_over: Ledger = field(init=False)

    def __post_init__(self) -> None:
        self._left_over = self._new_ledger()

    def _new_ledger(self) -> Ledger:
        return Ledger(self.intervals.start, self.intervals.start, is_fresh=True)

    async def read(self) -> list[Reading]:
        """One reading for each interval, oldest first."""
        if self.query.kind == GAUGE:
            return await self._gauges()
        if self.query.kind == HISTOGRAM:
            return await self._histograms()
        return await self._events()

    def _readings(self, parts: Iterable[str], telling: Telling) -> list[Reading]:
        first, second = halves_of(parts)
        readings = []
        for number in range(self.intervals.count):
            sides = {CANARY: telling(first, CANARY, number)}
            if second is not None:
                sides[BASELINE] = telling(second, BASELINE, number)
            readings.append(reading_of(self.query.metric, self.intervals.window(number), sides))
        return readings

    # ------------------------------------------------------------------ counting

    async def _amounts(self, role: str) -> Amounts:
        """What one role counted in each interval. Raw samples are fetched in bounded chunks, one after the other."""
        if role in self.query.own:
            return await self._own_amounts(role)
        asked = (Asked(self._selector(role), (BASELINE,)),)
        ledger, amounts, add = self._new_ledger(), Amounts(), KINDS[role].algebra.add
        while ledger.read_to < self.intervals.end:
            end = min(ledger.read_to + CHUNK - LATE, self.intervals.end)
            for followed in (await follow_series(self.client, role, asked, ledger, end))[BASELINE]:
                part = self._part_of(followed.labels)
                for increment in followed.increments:
                    key = (part, self.intervals.number_of(increment.time))
                    amounts[key] = add(amounts[key], increment.amount) if key in amounts else increment.amount
            ledger.read_to, ledger.is_fresh = end, False
        return amounts

    async def _own_amounts(self, role: str) -> Amounts:
        amounts = Amounts()
        for number, values in (await self._evaluated(role)).items():
            tally = own_tally(self.query, role, values)
            if isinstance(tally, Tally) and tally.amounts:
                amounts[ALL, number] = tally.amounts[0]
        return amounts

    def _selector(self, role: str) -> Selector:
        return counted(self.query)[role].within(past_matchers(self.query.sides))

    def _part_of(self, labels: Labels) -> str:
        """A query of the user's own gives one value for all pods, and what goes with it is counted likewise."""
        return ALL if self.query.own else gauging.part_of(labels)

    def _tally(self, role: str, amounts: Amounts, half: Half, number: int) -> Tally[Any]:
        text = f"the query of {role}" if role in self.query.own else str(self._selector(role))
        found = [amounts[part, number] for part in half if (part, number) in amounts]
        return Tally(text, amounts=found, is_known=bool(amounts))

    async def _events(self) -> list[Reading]:
        bad, everything = await self._amounts(BAD), await self._amounts(TOTAL)

        def telling(half: Half, side: str, number: int) -> Told:
            of_bad, of_all = self._tally(BAD, bad, half, number), self._tally(TOTAL, everything, half, number)
            return events(of_bad, of_all, self._left_over, side)

        return self._readings((part for part, _ in everything), telling)

    async def _histograms(self) -> list[Reading]:
        """Native ones where there are any, else classic ones."""
        amounts = await self._amounts(NATIVE)
        form, make = (NATIVE, native_side) if amounts else (CLASSIC, classic_side)
        found = amounts or await self._amounts(CLASSIC)

        def telling(half: Half, _side: str, number: int) -> Told:
            return make(self._tally(form, found, half, number), self.query.factor)

        return self._readings((part for part, _ in found), telling)

    # ------------------------------------------------------------------ evaluating

    async def _evaluated(self, role: str) -> dict[int, list[tuple[Labels, float]]]:
        """The values of an expression at the end of each interval."""
        text = evaluated(self.query, role, past_matchers(self.query.sides), render_duration(self.intervals.step))
        values: dict[int, list[tuple[Labels, float]]] = defaultdict(list)
        for first in range(0, self.intervals.count, _POINTS):
            last = min(first + _POINTS, self.intervals.count) - 1
            start, end = self.intervals.end_of(first), self.intervals.end_of(last)
            for series in float_series(await self.client.range(text, start, end, self.intervals.step)):
                for time, value in zip(series.times, series.values, strict=True):
                    values[self.intervals.number_of(time)].append((series.labels, value))
        return values

    async def _gauges(self) -> list[Reading]:
        values = await self._evaluated(GAUGE)

        def telling(half: Half, _side: str, number: int) -> Told:
            if several := too_many(self.query, GAUGE, values.get(number, [])):
                return several, ()
            found = [each for each in values.get(number, []) if self._part_of(each[0]) in half]
            if found:
                return gauging.level(found, self.query.factor)
            return Missing(why=Absence.NO_SAMPLES, detail=f"{self.query.selectors[GAUGE]} gave no value"), ()

        return self._readings((self._part_of(labels) for each in values.values() for labels, _ in each), telling)
