"""Recorded readings found again by what was asked, whatever the metric is called."""

import pytest

from analyzer.model.event import Event, HistoryRead, Planned, WindowRead
from analyzer.model.plan import Plan, Query, SideMatchers
from analyzer.model.reading import Absence, Cursor, Events, History, Missing, Reading, Window
from analyzer.model.ruleset import Comparison, HistogramMetric, RatioMetric, RatioSource, RuleSet, Unit
from analyzer.model.target import Deployment, PlatformKind, Revision, Target
from analyzer.sources.querying import make_query
from analyzer.sources.recording import RecordingSource

pytestmark = pytest.mark.anyio

SIDES = SideMatchers(canary='version="2"', baseline='version="1"', comparison=Comparison.SIDE_BY_SIDE)
ERRORS = RatioMetric(ratio=RatioSource(bad='x{code=~"5.."}', total="x"))
WINDOWS = [Window(start=1000.0 + 15 * number, end=1015.0 + 15 * number) for number in range(3)]


def reading(metric: str, window: Window, bad: int) -> Reading:
    return Reading(metric=metric, window=window, canary=Events(total=9, bad=bad), baseline=Events(total=9, bad=0))


def plan(*queries: Query) -> Plan:
    rules = RuleSet.model_validate(
        {
            "apiVersion": "canary-analyzer.io/v1alpha1",
            "kind": "RuleSet",
            "metadata": {"name": "x"},
            "spec": {"rules": [{"health": "targets"}]},
        }
    )
    deployment = Deployment(target=Target(kind=PlatformKind.COMMAND, name="web"), current=Revision(number="2"))
    return Plan(
        id="x", rule_set=rules, deployment=deployment, queries=queries, upgraded_at=1000, started_at=1000, acting=False
    )


@pytest.fixture
def source() -> RecordingSource:
    events: list[Event] = [Planned(at=1000, plan=plan(make_query("errors", ERRORS, SIDES)))]
    past = History(
        metric="errors", span=Window(start=0, end=15), readings=(reading("errors", WINDOWS[0], 7),), note="n"
    )
    events.append(HistoryRead(at=1001, history=past))
    events += [
        WindowRead(at=window.end, reading=reading("errors", window, number), cursor=Cursor(read_to=window.end))
        for number, window in enumerate(WINDOWS)
    ]
    return RecordingSource(events)


async def test_the_recorded_window_under_the_querys_own_name(source: RecordingSource) -> None:
    query = source.query("failures", RatioMetric(ratio=RatioSource(bad='x{ code=~"5.." }', total="x{}")), SIDES)
    found, cursor = await source.read(query, WINDOWS[1], None)
    assert found == reading("failures", WINDOWS[1], 1)
    assert cursor.read_to == WINDOWS[1].end
    assert [each.canary for each in source.readings(query)] == [Events(total=9, bad=number) for number in range(3)]


async def test_the_recorded_past_under_the_querys_own_name(source: RecordingSource) -> None:
    query = source.query("failures", ERRORS, SIDES)
    history = await source.history(query, Window(start=0, end=15), 15)
    assert (history.metric, history.note) == ("failures", "n")
    assert history.readings == (reading("failures", WINDOWS[0], 7),)


@pytest.mark.parametrize(
    ("metric", "sides"),
    [
        (RatioMetric(ratio=RatioSource(bad="y", total="x")), SIDES),
        (HistogramMetric(histogram="x"), SIDES),
        (HistogramMetric(histogram="x", unit=Unit.MILLISECONDS), SIDES),
        (ERRORS, SIDES.model_copy(update={"canary": 'version="3"'})),
        (None, SIDES),
    ],
)
async def test_what_was_not_asked_then_is_not_there(
    source: RecordingSource, metric: RatioMetric | HistogramMetric | None, sides: SideMatchers
) -> None:
    query = source.query("errors", metric, sides)
    found, _ = await source.read(query, WINDOWS[0], None)
    for side in (found.canary, found.baseline):
        assert isinstance(side, Missing)
        assert side.why == Absence.NOT_RECORDED
        assert "the recording holds no readings of" in side.detail
    history = await source.history(query, Window(start=0, end=15), 15)
    assert (history.metric, history.readings) == ("errors", ())
    assert "the recording holds no readings of" in history.note
    assert source.readings(query) == ()


async def test_a_window_that_was_not_read_then(source: RecordingSource) -> None:
    query = source.query("errors", ERRORS, SIDES)
    found, _ = await source.read(query, Window(start=0, end=15), None)
    assert isinstance(found.canary, Missing)
    assert found.canary.detail == "this window is not in the recording"


async def test_there_is_nothing_to_wait_for(source: RecordingSource) -> None:
    assert await source.lag(source.query("errors", ERRORS, SIDES)) == 0
