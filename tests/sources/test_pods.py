"""The health of pods as a source, alone and beside the metrics."""

import pytest

from analyzer.errors import (
    PlatformError,
    PlatformForbidden,
    PlatformUnavailable,
    SourceUnavailable,
    UsageError,
)
from analyzer.model.event import Event, Planned, WindowRead
from analyzer.model.plan import HEALTH_OF_PODS, PODS, Plan, Query, SideMatchers
from analyzer.model.reading import Absence, Cursor, History, Missing, Pods, PodTrouble, Reading, Window
from analyzer.model.ruleset import Comparison, GaugeMetric, Metric, RuleSet
from analyzer.model.target import Deployment, PlatformKind, Revision, Target
from analyzer.sources.combined import Combined
from analyzer.sources.pods import PodSource
from analyzer.sources.querying import make_query
from analyzer.sources.recording import RecordingSource

pytestmark = pytest.mark.anyio

SIDES = SideMatchers(canary="", baseline=None, comparison=Comparison.SIDE_BY_SIDE)
WINDOW = Window(start=1000, end=1005)
NOW = 1012.5
CRASH = PodTrouble(pod="web-2", reason="CrashLoopBackOff", detail="exit code 1", since=999.5)
CANARY = Pods(wanted=2, ready=1, total=2, restarts=3, oom_kills=1, troubles=(CRASH,), overdue="late")
BASELINE = Pods(wanted=2, ready=2, total=2, restarts=0)
GAUGE = GaugeMetric(gauge="memory")


def pods(*answers: tuple[Pods | Missing, Pods | None] | PlatformError) -> PodSource:
    remaining = list(answers)

    async def look() -> tuple[Pods | Missing, Pods | None]:
        answer = remaining.pop(0)
        if isinstance(answer, PlatformError):
            raise answer
        return answer

    return PodSource(look, lambda: NOW)


async def test_a_look_is_a_reading() -> None:
    source = pods((CANARY, BASELINE))
    query = source.query(HEALTH_OF_PODS, None, SIDES)
    assert (query.metric, query.kind, await source.lag(query)) == (HEALTH_OF_PODS, PODS, 0)
    reading, cursor = await source.read(query, WINDOW, None)
    seen = CANARY.model_copy(update={"seen_at": NOW})
    assert reading == Reading(metric=HEALTH_OF_PODS, window=WINDOW, canary=seen, baseline=BASELINE)
    assert cursor.read_to == WINDOW.end


async def test_windows_that_were_over_share_a_look() -> None:
    source = pods((CANARY, BASELINE), (BASELINE, None))
    query = source.query(HEALTH_OF_PODS, None, SIDES)
    windows = [Window(start=start, end=start + 5) for start in (1000, 1005, 1010)]
    readings = [(await source.read(query, window, None))[0] for window in windows]
    assert [reading.window for reading in readings] == windows
    assert [reading.canary.wanted for reading in readings if isinstance(reading.canary, Pods)] == [2, 2, 2]
    assert [reading.baseline for reading in readings] == [BASELINE, BASELINE, None]


async def test_there_is_no_past() -> None:
    source = pods()
    history = await source.history(source.query(HEALTH_OF_PODS, None, SIDES), Window(start=0, end=1000), 10)
    assert history.readings == ()
    assert history.note


@pytest.mark.parametrize(("name", "metric"), [("health:targets", None), (HEALTH_OF_PODS, GAUGE), ("memory", GAUGE)])
async def test_other_metrics_are_not_known_here(name: str, metric: Metric | None) -> None:
    with pytest.raises(UsageError, match=name):
        pods().query(name, metric, SIDES)


async def test_a_platform_that_is_away_is_asked_again() -> None:
    source = pods(PlatformUnavailable("the API server cannot be reached"), (CANARY, BASELINE))
    query = source.query(HEALTH_OF_PODS, None, SIDES)
    with pytest.raises(SourceUnavailable, match="the API server cannot be reached"):
        await source.read(query, WINDOW, None)
    assert (await source.read(query, WINDOW, None))[0].baseline == BASELINE


@pytest.mark.parametrize("kind", [PlatformForbidden, PlatformError])
async def test_what_is_refused_is_missing_in_the_words_of_the_platform(kind: type[PlatformError]) -> None:
    source = pods(kind("ci may not list pods in shop"))
    reading, cursor = await source.read(source.query(HEALTH_OF_PODS, None, SIDES), WINDOW, None)
    assert reading.canary == Missing(why=Absence.REFUSED, detail="ci may not list pods in shop")
    assert (reading.baseline, cursor.read_to) == (None, WINDOW.end)


async def test_a_prometheus_knows_no_pods() -> None:
    with pytest.raises(UsageError, match="pods"):
        make_query(HEALTH_OF_PODS, None, SIDES)


class Metrics:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query:
        self.asked.append(f"query {name}")
        return make_query(name, metric, sides)

    async def lag(self, query: Query) -> float:
        self.asked.append(f"lag {query.metric}")
        return 7.0

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        self.asked.append(f"read {query.metric}")
        missing = Missing(why=Absence.NO_SERIES, detail="none")
        return Reading(metric=query.metric, window=window, canary=missing), cursor or Cursor(read_to=window.end)

    async def history(self, query: Query, span: Window, interval: float) -> History:  # noqa: ARG002 -- the port's
        self.asked.append(f"history {query.metric}")
        return History(metric=query.metric, span=span, readings=())


async def test_each_call_goes_to_the_source_that_it_is_for() -> None:
    metrics = Metrics()
    source = Combined(metrics, pods((CANARY, BASELINE)))
    lags = []
    for name, metric in (("memory", GAUGE), ("health:targets", None), (HEALTH_OF_PODS, None)):
        query = source.query(name, metric, SIDES)
        lags.append(await source.lag(query))
        await source.history(query, WINDOW, 5)
        await source.read(query, WINDOW, None)
    calls = ("query", "lag", "history", "read")
    assert metrics.asked == [f"{call} {name}" for name in ("memory", "health:targets") for call in calls]
    assert lags == [7, 7, 0]


def recording(*queries: Query) -> RecordingSource:
    rules = RuleSet.model_validate(
        {
            "apiVersion": "canary-analyzer.io/v1alpha1",
            "kind": "RuleSet",
            "metadata": {"name": "x"},
            "spec": {"rules": [{"health": "pods"}]},
        }
    )
    deployment = Deployment(target=Target(kind=PlatformKind.HELM, name="web"), current=Revision(number="2"))
    plan = Plan(
        id="x", rule_set=rules, deployment=deployment, queries=queries, upgraded_at=1000, started_at=1000, acting=False
    )
    reading = Reading(metric=HEALTH_OF_PODS, window=WINDOW, canary=CANARY, baseline=BASELINE)
    events: list[Event] = [Planned(at=1000, plan=plan), WindowRead(at=1005, reading=reading)]
    return RecordingSource(events)


async def test_looks_are_read_again_from_a_recording() -> None:
    source = recording(pods().query(HEALTH_OF_PODS, None, SIDES))
    query = source.query(HEALTH_OF_PODS, None, SIDES)
    assert (await source.read(query, WINDOW, None))[0].canary == CANARY
    later = Window(start=1005, end=1010)
    missing = (await source.read(query, later, None))[0].canary
    assert isinstance(missing, Missing)
    assert missing.why == Absence.NOT_RECORDED


async def test_a_recording_without_looks_says_so() -> None:
    with pytest.raises(UsageError, match="nobody looked at pods"):
        recording().query(HEALTH_OF_PODS, None, SIDES)
