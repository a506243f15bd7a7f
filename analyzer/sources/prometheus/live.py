"""One window of both sides."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from analyzer.concurrency import together
from analyzer.model.plan import Query
from analyzer.model.reading import Absence, Missing, Targets, Window
from analyzer.sources import gauging
from analyzer.sources.ledger import Followed, Ledger, Tally, milliseconds
from analyzer.sources.prometheus.answer import single_values
from analyzer.sources.prometheus.asking import Asking
from analyzer.sources.prometheus.evaluation import evaluate, own_tally, too_many
from analyzer.sources.prometheus.following import follow_series, tally
from analyzer.sources.promql import Selector
from analyzer.sources.querying import (
    BAD,
    CLASSIC,
    GAUGE,
    NATIVE,
    STARTED,
    TOTAL,
    UP,
    ask,
    counted,
    live_sides,
)
from analyzer.sources.tallying import Told, classic_side, events, native_side

Sides = dict[str, Told]
"""Each side of the reading, and what is to be said of it."""

_FORM = "form"


@dataclass(frozen=True)
class WindowReader:
    """Reads one window of one metric; moves the ledger on."""

    client: Asking
    query: Query
    window: Window
    ledger: Ledger
    remarks: list[str] = field(default_factory=list)  # of the server's engine on the expressions

    async def read(self) -> Sides:
        """Both sides.

        Raises:
            SourceError: nothing was read; the ledger is not to be used any more.
        """
        match self.query.kind:
            case "ratio":
                return await self._ratio()
            case "histogram":
                return await self._histogram()
            case "gauge":
                return await self._gauge()
            case _:
                return await self._targets()

    # ------------------------------------------------------------------ counting

    async def _tallies(self, role: str) -> dict[str, Tally[Any] | Missing]:
        """What was counted of one role on each side."""
        if role in self.query.own:
            values = await self._evaluated(role)
            return {side: own_tally(self.query, role, each) for side, each in values.items()}
        selector = counted(self.query)[role]
        sides = live_sides(self.query.sides)
        asked = ask(selector, sides)
        told = await follow_series(self.client, role, asked, self.ledger, milliseconds(self.window.end))
        return {side: self._tally(role, selector, side, told[side]) for side in sides}

    def _tally(self, role: str, selector: Selector, side: str, followed: Sequence[Followed[Any]]) -> Tally[Any]:
        of_side = selector.within(live_sides(self.query.sides)[side])
        return tally(role, str(of_side), followed, self.ledger, side)

    async def _ratio(self) -> Sides:
        bad, everything = await together(self._tallies(BAD), self._tallies(TOTAL))
        return {side: self._events(side, bad[side], everything[side]) for side in everything}

    def _events(self, side: str, bad: Tally[float] | Missing, everything: Tally[float] | Missing) -> Told:
        if isinstance(everything, Missing):
            return everything, ()
        if isinstance(bad, Missing):
            return bad, ()
        return events(bad, everything, self.ledger, side)

    async def _histogram(self) -> Sides:
        """Native or classic: both are asked for until every side was seen, then the one that all sides have."""
        forms = [self.ledger.extra[_FORM]] if _FORM in self.ledger.extra else [NATIVE, CLASSIC]
        found = dict(zip(forms, await together(*(self._tallies(form) for form in forms)), strict=True))
        form = self._form(found)
        make = native_side if form == NATIVE else classic_side
        told: Sides = {}
        for side, each in found[form].items():
            told[side] = (each, ()) if isinstance(each, Missing) else make(each, self.query.factor)
        return told

    def _form(self, found: dict[str, dict[str, Tally[Any] | Missing]]) -> str:
        known = {
            form: {side for side, each in tallies.items() if isinstance(each, Tally) and each.is_known}
            for form, tallies in found.items()
        }
        if len(found) == 1:
            return next(iter(found))
        form = NATIVE if known[NATIVE] and known[NATIVE] >= known[CLASSIC] else CLASSIC
        if len(known[form]) == len(found[form]):
            self.ledger.extra[_FORM] = form
            self.ledger.forget(CLASSIC if form == NATIVE else NATIVE)
        return form

    # ------------------------------------------------------------------ evaluating

    async def _evaluated(self, role: str) -> dict[str, gauging.Values]:
        sides = live_sides(self.query.sides)
        answers = await together(
            *(
                evaluate(self.client, self.query, role, matchers, self.window.end, self.window.seconds)
                for matchers in sides.values()
            )
        )
        self.remarks.extend(dict.fromkeys(note for _, notes in answers for note in notes))
        return {side: values for side, (values, _) in zip(sides, answers, strict=True)}

    async def _gauge(self) -> Sides:
        values = await self._evaluated(GAUGE)
        return {side: self._level(side, each) for side, each in values.items()}

    def _level(self, side: str, values: gauging.Values) -> Told:
        if several := too_many(self.query, GAUGE, values):
            return several, ()
        if values:
            self.ledger.extra[f"seen/{side}"] = "yes"
            return gauging.level(values, self.query.factor)
        return self._none(side, f"{self.query.rendered.get(f'{GAUGE}/{side}', GAUGE)} gives no value"), ()

    def _none(self, side: str, detail: str) -> Missing:
        was_seen = f"seen/{side}" in self.ledger.extra
        return Missing(why=Absence.NO_SAMPLES if was_seen else Absence.NO_SERIES, detail=detail)

    # ------------------------------------------------------------------ the health of targets

    async def _targets(self) -> Sides:
        sides = live_sides(self.query.sides)
        asked = ask(counted(self.query)[UP], sides)
        end = milliseconds(self.window.end)
        started, *answers = await together(
            self._tallies(STARTED), *(self.client.instant(str(each.selector), end) for each in asked)
        )
        states: dict[str, list[float]] = {side: [] for side in sides}
        for each, answer in zip(asked, answers, strict=True):
            for labels, value in single_values(answer):
                if (side := each.side_of(labels)) is not None:
                    states[side].append(value)
        return {side: (self._health(side, states[side], started[side]), ()) for side in sides}

    def _health(self, side: str, states: list[float], started: Tally[float] | Missing) -> Targets | Missing:
        if not states:
            selector = counted(self.query)[UP].within(live_sides(self.query.sides)[side])
            return self._none(side, f"no scrape target matches {selector}: target labels must tell the sides apart")
        self.ledger.extra[f"seen/{side}"] = "yes"
        up = sum(state == 1 for state in states)
        restarts = int(sum(started.amounts)) if isinstance(started, Tally) else 0
        return Targets(up=up, down=len(states) - up, restarts=restarts)
