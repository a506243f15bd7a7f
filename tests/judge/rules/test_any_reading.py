"""Whatever a source may hand over, the rules go on: nothing raises, nothing is NaN, nothing is changed in place."""

from math import isnan

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ruling import INTERVAL, START, history, plan

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.model.judgement import Judgement, Standing
from analyzer.model.plan import Plan
from analyzer.model.reading import (
    Absence,
    Buckets,
    Events,
    Level,
    Missing,
    Pods,
    PodTrouble,
    Reading,
    Side,
    Targets,
    Window,
)

INF = float("inf")
RULES = {
    "errors": [
        {"metric": "errors", "limit": "5%", "tolerance": {"relative": "10%"}},
        {"metric": "errors", "name": "plain", "judge": "threshold", "limit": "2%", "advisory": True},
        {"metric": "errors", "name": "limit", "limit": "0%", "critical": True},
    ],
    "ready": [{"metric": "ready", "direction": "lower", "limit": "99%", "tolerance": {"relative": "10%"}}],
    "latency": [
        {"metric": "latency", "limit": "2s", "tolerance": {"relative": "20%"}},
        {"metric": "latency", "name": "limit", "limit": "30s"},
        {"metric": "latency", "name": "plain", "judge": "threshold", "limit": "2s"},
    ],
    "memory": [
        {"metric": "memory", "limit": "1GiB", "tolerance": {"relative": "30%"}, "critical": True},
        {"metric": "memory", "name": "falls", "direction": "lower"},
        {"metric": "memory", "name": "limit", "limit": "1GiB"},
    ],
    "health:targets": [{"health": "targets"}],
    "health:pods": [{"health": "pods"}],
}

odd = st.sampled_from([0.0, 1.0, 20.0, 1e-300, 1e15, 1e18, 1e300, -1.0, INF, -INF, float("nan")])
numbers = st.one_of(st.integers(0, 200).map(float), st.floats(0, 1e4), odd)
scales = st.sampled_from([None, None, 0, 3, 8, -4, 1000])


@st.composite
def buckets(draw: st.DrawFn) -> Buckets:
    scale = draw(scales)
    edges = st.lists(st.integers(-20, 20), max_size=5, unique=True).map(sorted)
    if scale is None:
        bounds = draw(st.one_of(edges.map(lambda found: [edge / 4 for edge in found]), st.just([0.1, 1.0, 2.5, 10.0])))
    else:
        bounds = [2.0 ** (edge * 2.0 ** -min(scale, 8)) for edge in draw(edges)]
    counts = draw(st.lists(numbers, min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    return Buckets(bounds=(*bounds, INF), counts=tuple(counts), scale=scale)


broken = st.builds(
    Buckets, bounds=st.lists(numbers, max_size=3).map(tuple), counts=st.lists(numbers, max_size=3).map(tuple)
)
missing = st.sampled_from(list(Absence)).map(lambda why: Missing(why=why, detail="as the server says"))
levels = st.builds(Level, mean=numbers, by=st.dictionaries(st.sampled_from("abc"), numbers, max_size=3))
pod_troubles = st.builds(
    PodTrouble,
    pod=st.sampled_from(["web-a", "web-b"]),
    reason=st.sampled_from(
        ["CrashLoopBackOff", "Error", "ImagePullBackOff", "ErrImagePull", "Unschedulable", "Evicted"]
    ),
    detail=st.sampled_from(["", "exit code 1"]),
    since=st.one_of(st.none(), st.floats(START - 99, START + 99)),
)
SIDES: dict[str, st.SearchStrategy[Side]] = {
    "errors": st.builds(Events, total=numbers, bad=numbers),
    "ready": st.builds(Events, total=numbers, bad=numbers),
    "latency": st.one_of(buckets(), broken),
    "memory": levels,
    "health:targets": st.builds(Targets, up=st.integers(0, 3), down=st.integers(0, 3), restarts=st.integers(0, 3)),
    "health:pods": st.builds(
        Pods,
        wanted=st.integers(0, 3),
        ready=st.integers(0, 3),
        total=st.integers(0, 3),
        restarts=st.integers(0, 9),
        oom_kills=st.integers(0, 1),
        troubles=st.lists(pod_troubles, max_size=2).map(tuple),
        overdue=st.sampled_from(["", "", "Deployment web is past its progress deadline of 600 s"]),
    ),
}


def side_of(metric: str) -> st.SearchStrategy[Side]:
    """Mostly of the metric's own kind."""
    own = SIDES[metric]
    return st.one_of(own, own, own, missing, st.one_of(*SIDES.values()))


def maybe(sides: st.SearchStrategy[Side]) -> st.SearchStrategy[Side | None]:
    return st.one_of(sides, sides, st.none())


def readings_of(metric: str, seconds: float) -> st.SearchStrategy[list[Reading]]:
    pair = st.tuples(side_of(metric), maybe(side_of(metric)))

    def follow(pairs: list[tuple[Side, Side | None]]) -> list[Reading]:
        repeated = [pair for pair in pairs for _ in range(3)]  # some in a row, so that something comes to be judged
        return [
            Reading(
                metric=metric,
                window=Window(start=START + index * seconds, end=START + (index + 1) * seconds),
                canary=canary,
                baseline=baseline,
            )
            for index, (canary, baseline) in enumerate(repeated)
        ]

    return st.lists(pair, max_size=5).map(follow)


def sound(judgement: Judgement) -> None:
    numbers = [judgement.evidence.towards_fail, judgement.evidence.towards_pass, judgement.evidence.p_value]
    assert not any(number is not None and isnan(number) for number in numbers)
    assert judgement.evidence.p_value is None or 0 <= judgement.evidence.p_value <= 1
    assert judgement.reason
    assert "\n" not in judgement.reason
    assert "nan" not in judgement.reason.replace("nanoseconds", "")
    assert " inf" not in judgement.reason
    assert "None" not in judgement.reason


def everything(state: Assessment, planned: Plan) -> tuple[Judgement, ...]:
    """All that the engine ever asks."""
    judgements = judge.judgements(state, {query.metric: query.rendered for query in planned.queries})
    standing = judge.standing(state)
    judge.passes_at_deadline(state)
    judge.has_data(state)
    judge.reason_undecided(state)
    judge.reason_to_pass(state)
    judge.notes(state)
    judge.judgements(judge.at_deadline(state, START), {})
    if standing == Standing.FAIL:
        assert judge.reason_to_fail(state)
        assert judge.culprits(state)
    for one in judgements:
        one.model_dump_json()
        sound(one)
    return judgements


@pytest.mark.parametrize("before_after", [False, True])
@pytest.mark.parametrize("metric", list(RULES))
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_nothing_raises_and_nothing_is_changed(metric: str, before_after: bool, data: st.DataObject) -> None:
    factor = data.draw(st.sampled_from([1.0, 1e-3])) if metric == "latency" else 1.0
    planned = plan(*RULES[metric], before_after=before_after, factor=factor)
    sides = side_of(metric)
    past = data.draw(st.lists(st.tuples(sides, maybe(sides)), max_size=4))
    length = data.draw(st.sampled_from([1, 10, 30]))
    state = judge.start(planned)
    everything(state, planned)
    if past or data.draw(st.booleans()):
        state = judge.learn(state, history(metric, past * length))
    seconds = data.draw(st.sampled_from([INTERVAL, INTERVAL, 0.001, 60.0]))
    states, told = [state], [everything(state, planned)]
    read = data.draw(readings_of(metric, seconds))
    for reading in read:
        state = judge.advance(state, reading)
        states.append(state)
        told.append(everything(state, planned))
        judge.recovered(state, reading)
    if read:
        assert [everything(state, planned) for state in states] == told
        assert everything(judge.advance(states[-2], read[-1]), planned) == told[-1]
