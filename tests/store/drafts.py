"""Any event that may come after a state, in any order; and states bit by bit, to be compared."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from math import inf

import numpy as np
from hypothesis import strategies as st
from pydantic import BaseModel

from analyzer.engine.analysis import Analysis, advance, begin
from analyzer.model.event import (
    Acted,
    Command,
    Commanded,
    Decided,
    Dropped,
    Event,
    Extended,
    Held,
    HistoryRead,
    Intended,
    Planned,
    Regrouped,
    Staged,
    Troubled,
    Verified,
    WindowRead,
)
from analyzer.model.plan import SideMatchers
from analyzer.model.reading import Absence, Cursor, Events, History, Level, Missing, Reading, Side, Window
from analyzer.model.report import Guard, Verdict
from analyzer.model.ruleset import Comparison
from analyzer.model.target import ActionKind, Intent, Receipt, Stage
from tests.engine.world import DEPLOYMENT, START, TARGET, World, rates, rule_set

METRICS = ["errors", "memory"]
RULES = rule_set(
    [{"metric": "errors", "critical": True, "limit": "5%"}, {"metric": "memory", "limit": "1GiB", "critical": True}]
)
PLAN = World(rates(0.0), RULES).runner()._plan
DONE = Receipt(ok=True, detail="rolled back to revision 1")
INTENT = Intent(
    kind=ActionKind.ROLLBACK,
    analysis=PLAN.id,
    target=TARGET,
    from_revision=DEPLOYMENT.current,
    to_revision=DEPLOYMENT.wanted,
    reason="worse",
)


def plain(value: object) -> object:  # noqa: PLR0911 -- one for each kind of value
    """What can be compared: every bit of a state, and nothing of where it lies in memory."""
    match value:
        case np.ndarray():
            return value.shape, value.dtype.str, value.tobytes()
        case BaseModel():
            return type(value).__name__, value.model_dump_json()
        case dict():
            return {key: plain(each) for key, each in value.items()}
        case tuple() | list():
            return [plain(each) for each in value]
        case float():
            return value.hex()
    if is_dataclass(value):
        return type(value).__name__, {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    return value


def folded(state: Analysis | None, events: Sequence[Event]) -> Analysis:
    """Step by step, without the engine's own way to go on."""
    for event in events:
        state = following(state, event)
    assert state is not None
    return state


def following(state: Analysis | None, event: Event) -> Analysis:
    if isinstance(event, Planned):
        return begin(event)
    assert state is not None
    return advance(state, event)


bad = st.sampled_from([0.0, 1.0, 40.0])
odd = st.sampled_from([0.0, 1e-300, 0.1, 2.0**31, 1e15, inf])
counted = st.builds(Events, total=st.sampled_from([40.0, 1000.0]), bad=bad)
measured = st.builds(Level, mean=odd, by=st.dictionaries(st.sampled_from("ab"), odd, max_size=2))
missing = st.sampled_from(list(Absence)).map(lambda why: Missing(why=why, detail="as the server says: ü"))
sides = st.one_of(counted, measured, missing)


@dataclass(frozen=True)
class Draft:
    """An event, but for what follows from the state that it comes after: where a metric's next window begins."""

    kind: str
    metric: str
    canary: Side
    baseline: Side | None

    def after(self, state: Analysis, at: float) -> Event:  # noqa: C901, PLR0911, PLR0912 -- one for each kind of event
        match self.kind:
            case "window":
                read_to = state.progress[self.metric].read_to
                return self._heard(Window(start=read_to, end=read_to + 10), at)
            case "older window":
                read_to = state.progress[self.metric].read_to
                return self._heard(Window(start=read_to - 10, end=read_to), at)
            case "history":
                span = Window(start=START - 20, end=START)
                readings = (Reading(metric=self.metric, window=span, canary=self.canary, baseline=self.baseline),)
                return HistoryRead(at=at, history=History(metric=self.metric, span=span, readings=readings))
            case "trouble":
                return Troubled(at=at, metric=self.metric, why=Absence.TIMEOUT, detail="no answer in 30 s")
            case "refusal":
                return Troubled(at=at, metric=self.metric, why=Absence.REFUSED, detail="parse error")
            case "platform":
                return Troubled(at=at, metric="", why=Absence.UNREACHABLE, detail="helm is away")
            case "regrouped":
                found = SideMatchers(canary='pod="b"', baseline=None, comparison=Comparison.ROLLING, told_since=at)
                return Regrouped(at=at, sides=found)
            case "staged":
                return Staged(at=at, stage=Stage(step=2, steps=4, canary=0.25, stable=0.75))
            case "extended":
                return Extended(at=at, deadline_at=at + 300)
            case "commanded":
                return Commanded(at=at, command=Command.REJECT, by="ann", why="seen", asked_at=at - 1)
            case "passed":
                return Decided(at=at, verdict=Verdict.PASS, reason="good", action=ActionKind.NONE)
            case "failed":
                return Decided(at=at, verdict=Verdict.FAIL, reason="worse", action=ActionKind.ROLLBACK)
            case "held":
                return Held(at=at, guard=Guard.STORM, reason="many fail at once")
            case "intended":
                return Intended(at=at, intent=INTENT)
            case "dropped":
                return Dropped(at=at)
            case "acted":
                return Acted(at=at, receipt=DONE)
        assert self.kind == "verified"
        return Verified(at=at, recovered=True, reason="recovered after 20s", seconds=20.25)

    def _heard(self, window: Window, at: float) -> WindowRead:
        reading = Reading(metric=self.metric, window=window, canary=self.canary, baseline=self.baseline)
        cursor = Cursor(read_to=window.end, series={"a": (window.start, 1e300)})
        return WindowRead(at=at, reading=reading, cursor=cursor)


OTHERS = [
    "older window",
    "history",
    "trouble",
    "refusal",
    "platform",
    "regrouped",
    "staged",
    "extended",
    "commanded",
    "passed",
]
OTHERS += ["failed", "held", "intended", "dropped", "acted", "verified"]
drafts = st.builds(
    Draft,
    kind=st.one_of(st.just("window"), st.sampled_from(OTHERS)),
    metric=st.sampled_from(METRICS),
    canary=sides,
    baseline=st.one_of(st.none(), sides),
)
