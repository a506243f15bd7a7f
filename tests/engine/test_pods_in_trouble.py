"""`health: pods` in a whole analysis: pods that fare as a script says, on a clock that jumps."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from world import DEPLOYMENT, START, Clock, Platform, Record, Script, Source, World, rates, rule_set

from analyzer.engine.planning import plan_analysis
from analyzer.engine.ports import Ports
from analyzer.engine.replay import judge_again
from analyzer.engine.runner import Runner
from analyzer.errors import PlatformError, PlatformForbidden, PlatformUnavailable, UsageError
from analyzer.model.event import EVENT, Planned, Regrouped, WindowRead
from analyzer.model.judgement import Standing
from analyzer.model.plan import HEALTH_OF_PODS
from analyzer.model.reading import Events, Missing, Pods, PodTrouble
from analyzer.model.report import ActionResult, Report, Verdict
from analyzer.model.ruleset import RuleSet
from analyzer.model.target import Deployment, PlatformKind, PodSides, Target
from analyzer.rendering.document import markdown
from analyzer.rendering.github import annotations
from analyzer.rendering.junit import junit
from analyzer.rendering.text import text
from analyzer.sources.combined import Combined
from analyzer.sources.pods import PodSource

Rules = list[dict[str, object]]
ERRORS: dict[str, object] = {"metric": "errors", "critical": True}
WITH_PODS = DEPLOYMENT.model_copy(
    update={"pods": PodSides(namespace="prod", canary="web-2-[a-z0-9]{5}", baseline="web-1-[a-z0-9]{5}")}
)
Fare = Callable[[float], tuple[Pods | Missing, Pods | None]]
"""How the pods of both sides fare, so many seconds after the upgrade."""


def pods(ready: int, wanted: int = 2, reason: str = "", **more: object) -> Pods:
    detail = "exit code 1, restarted once: back-off 10s restarting failed container"
    troubles = (PodTrouble(pod="web-2-x2x1z", reason=reason, detail=detail),) if reason else ()
    fields = {"wanted": wanted, "ready": ready, "total": wanted, "restarts": 0, "troubles": troubles, **more}
    return Pods.model_validate(fields)


WELL = pods(2)
CRASHING = pods(0, 2, "CrashLoopBackOff", restarts=1)


def no_requests(_: str, __: object) -> tuple[Events, Events]:
    return Events(total=0, bad=0), Events(total=1000, bad=1)


def with_pods(*rules: dict[str, object], **spec: object) -> RuleSet:
    return rule_set([ERRORS, {"health": "pods"}, *rules], **spec)


@dataclass
class PodWorld:
    """One analysis, its pods, and what came of it."""

    fare: Fare
    script: Script = no_requests  # type: ignore[assignment] # counts are sides
    rules: RuleSet = field(default_factory=with_pods)
    deployment: Deployment = WITH_PODS
    started_at: float = START
    away: Callable[[float], bool] = lambda _: False
    platform: Platform = field(default_factory=lambda: Platform(looks=[WITH_PODS]))
    record: Record = field(default_factory=Record)
    looks: int = 0

    async def look(self) -> tuple[Pods | Missing, Pods | None]:
        self.looks += 1
        return self.fare(self.clock.now() - START)

    def runner(self) -> Runner:
        self.clock = Clock(self.started_at)
        source = Combined(Source(self.script, self.clock, self.away), PodSource(self.look, self.clock.now))
        plan = plan_analysis(
            id="test",
            rule_set=self.rules,
            parameters={},
            deployment=self.deployment,
            source=source,
            upgraded_at=START,
            started_at=self.started_at,
            acting=True,
        )
        observer = World(self.script).observer
        return Runner(plan, Ports(source, self.platform, self.record, observer, self.clock))

    def run(self) -> Report:
        return asyncio.run(self.runner().run())


def always(canary: Pods | Missing, baseline: Pods | None = None) -> Fare:
    return lambda _: (canary, baseline)


def taken_back(world: PodWorld, before: Fare) -> Fare:
    """After the act the pods are those of the restored revision."""
    return lambda at: (WELL, None) if world.platform.intents else before(at)


def test_a_crash_loop_fails_within_seconds_and_before_a_single_request() -> None:
    world = PodWorld(always(CRASHING))
    world.fare = taken_back(world, always(CRASHING, WELL))
    report = world.run()
    assert report.verdict == Verdict.FAIL
    assert report.reason.startswith(
        "pod web-2-x2x1z: CrashLoopBackOff (exit code 1, restarted once: back-off 10s restarting failed container); "
        "0 of 2 pods ready"
    )
    assert report.seconds_to_verdict is not None
    assert report.seconds_to_verdict <= 10
    assert report.action.result == ActionResult.DONE
    assert "recovered within" in report.reason


def test_a_slow_start_does_not() -> None:
    world = PodWorld(lambda at: (WELL if at > 200 else pods(0), None), rates(0.001, requests=20000))
    report = world.run()
    assert report.verdict == Verdict.PASS
    assert report.seconds_to_verdict is not None
    assert report.seconds_to_verdict > 200, "a pass waits for pods that are not ready yet"


def test_a_crash_at_first_and_then_well_does_not() -> None:
    world = PodWorld(lambda at: (CRASHING if at < 6 else WELL, WELL), rates(0.001, requests=20000))
    assert world.run().verdict == Verdict.PASS


class TestBegunLate:
    """The windows since the upgrade are read at once, by one look."""

    def test_one_look_at_a_crash_is_one(self) -> None:
        world = PodWorld(lambda at: (CRASHING if at < 122 else WELL, WELL), rates(0.001, requests=20000))
        world.started_at = START + 121
        assert world.run().verdict == Verdict.PASS
        assert world.looks < 4

    @pytest.mark.parametrize(("fare", "verdict"), [(always(WELL), Verdict.PASS), (always(pods(0)), Verdict.FAIL)])
    def test_after_the_deadline(self, fare: Fare, verdict: Verdict) -> None:
        world = PodWorld(fare, rates(0.001, requests=20000))
        world.fare = taken_back(world, fare)
        world.started_at = START + 1000
        assert world.run().verdict == verdict


@pytest.mark.parametrize("on_inconclusive", ["hold", "pass", "extend"])
def test_not_ready_by_the_deadline_is_a_fail(on_inconclusive: str) -> None:
    world = PodWorld(always(pods(1, 3)), rules=with_pods(onInconclusive=on_inconclusive))
    world.fare = taken_back(world, always(pods(1, 3)))
    report = world.run()
    assert report.verdict == Verdict.FAIL
    assert report.reason.startswith("2 of 3 pods of the canary not ready by the deadline")
    assert report.seconds_to_verdict is not None
    assert 300 <= report.seconds_to_verdict < 310
    assert [each.standing for each in report.judgements if each.rule == HEALTH_OF_PODS] == [Standing.FAIL]
    assert report.action.result == ActionResult.DONE


def test_pods_do_not_warm_the_others_up() -> None:
    """Only a canary that is seen to serve has begun to: its first seconds are left out, whenever they are."""

    def late(_: str, window: object) -> tuple[Events, Events]:
        at = window.start - START  # type: ignore[attr-defined] # a window
        served = 0 if at < 50 else 20000
        bad = served // 2 if at == 50 else served // 1000
        return Events(total=served, bad=bad), Events(total=20000, bad=20)

    assert PodWorld(always(WELL), late).run().verdict == Verdict.PASS  # type: ignore[arg-type] # counts are sides


def test_the_health_of_pods_alone() -> None:
    rules = rule_set([{"health": "pods"}])
    assert PodWorld(always(CRASHING), rules=rules).run().verdict == Verdict.FAIL
    good = PodWorld(always(WELL), rules=rules).run()
    assert (good.verdict, good.reason) == (Verdict.PASS, "2 of 2 pods ready")


def test_scaled_to_nothing_is_no_failure() -> None:
    assert PodWorld(always(pods(0, 0))).run().verdict == Verdict.INCONCLUSIVE
    assert PodWorld(always(pods(0, 0)), rates(0.001, requests=20000)).run().verdict == Verdict.PASS


def test_the_registry_is_away_for_both() -> None:
    world = PodWorld(always(pods(0, 2, "ImagePullBackOff"), pods(1, 2, "ErrImagePull")))
    report = world.run()
    assert report.verdict == Verdict.INCONCLUSIVE
    told = next(each for each in report.judgements if each.rule == HEALTH_OF_PODS)
    assert "of the baseline's pods too: that is an incident" in told.reason


class TestNobodyMayLook:
    @pytest.mark.parametrize("error", [PlatformForbidden, PlatformUnavailable])
    def test_the_other_rules_go_on(self, error: type[PlatformError]) -> None:
        def refused(_: float) -> tuple[Pods, None]:
            raise error("ci may not list pods in prod")

        world = PodWorld(refused, rates(0.001, requests=20000))
        report = world.run()
        assert report.verdict == Verdict.PASS
        told = next(each for each in report.judgements if each.rule == HEALTH_OF_PODS)
        assert told.standing == Standing.NO_DATA

    def test_a_prometheus_that_never_answers_is_still_an_error(self) -> None:
        report = PodWorld(always(WELL), away=lambda _: True).run()
        assert report.verdict == Verdict.ERROR
        assert "cannot be reached" in report.reason

    def test_and_pods_in_trouble_fail_without_it(self) -> None:
        assert PodWorld(always(CRASHING), away=lambda _: True).run().verdict == Verdict.FAIL


class TestNoPods:
    """A target without pods: the rule is left out, and the report says so."""

    COMMAND = WITH_PODS.model_copy(update={"target": Target(kind=PlatformKind.COMMAND, name="web"), "pods": None})

    def world(self, *rules: dict[str, object]) -> PodWorld:
        wanted = rule_set([*rules, {"health": "pods"}])
        platform = Platform(looks=[self.COMMAND])
        script = rates(0.001, requests=20000)
        return PodWorld(always(CRASHING), script, rules=wanted, deployment=self.COMMAND, platform=platform)

    def test_it_is_a_warning(self) -> None:
        world = self.world(ERRORS)
        report = world.run()
        assert report.verdict == Verdict.PASS
        assert report.warnings == ("health: pods is not looked at: command/web has no pods",)
        assert [judgement.rule for judgement in report.judgements] == ["errors"]
        assert world.looks == 0

    def test_why_they_are_not_known(self) -> None:
        world = self.world(ERRORS)
        world.deployment = DEPLOYMENT.model_copy(update={"no_pods": "ci may not list replicasets in prod"})
        world.platform = Platform()
        assert world.run().warnings == ("health: pods is not looked at: ci may not list replicasets in prod",)

    @pytest.mark.parametrize("rules", [[], [{"metric": "errors", "advisory": True}], [{"metric": "memory"}]])
    def test_nothing_that_decides_is_left(self, rules: Rules) -> None:
        with pytest.raises(UsageError, match="no other rule can decide: command/web has no pods"):
            self.world(*rules).runner()

    def test_a_critical_rule_is_not_left_out(self) -> None:
        world = self.world()
        world.rules = rule_set([ERRORS, {"health": "pods", "critical": True}])
        with pytest.raises(UsageError, match="critical"):
            world.runner()

    def test_an_upgrade_that_changes_no_pod(self) -> None:
        world = self.world()
        world.deployment = DEPLOYMENT.model_copy(update={"unchanged": True})
        assert world.run().verdict == Verdict.PASS


@pytest.mark.parametrize(
    ("fare", "script"),
    [
        (always(CRASHING, WELL), no_requests),
        (always(pods(1, 3)), no_requests),
        (lambda at: (WELL if at > 60 else pods(0), None), rates(0.001, requests=20000)),
    ],
    ids=["crash loop", "deadline", "good"],
)
def test_judged_again_it_is_the_same(fare: Fare, script: Script) -> None:
    world = PodWorld(fare, script)
    world.fare = taken_back(world, fare)
    report = world.run()
    assert judge_again(world.record.events) == report


@pytest.mark.parametrize("render", [text, markdown, junit, annotations])
def test_every_rendering_tells_the_pod(render: Callable[[Report], str]) -> None:
    shown = render(PodWorld(always(CRASHING)).run())
    assert "pod web-2-x2x1z: CrashLoopBackOff" in shown
    assert "health:pods" in shown or "health%3Apods" in shown


def test_a_recording_from_before_there_were_notes_is_read() -> None:
    world = PodWorld(always(WELL), rules=rule_set([ERRORS, {"health": "targets", "consecutive": 3}]))
    asyncio.run(world.runner().run())
    first = json.loads(world.record.events[0].model_dump_json())
    del first["plan"]["notes"]
    assert EVENT.validate_python(first) == world.record.events[0]


def test_looks_are_recorded() -> None:
    world = PodWorld(always(CRASHING, WELL))
    world.run()
    read = [event for event in world.record.events if isinstance(event, WindowRead)]
    looks = [event.reading for event in read if event.reading.metric == HEALTH_OF_PODS]
    assert looks[0].canary == CRASHING.model_copy(update={"seen_at": START + 5})
    assert looks[0].baseline == WELL
    assert not any(isinstance(event, Regrouped) for event in world.record.events)
    first = world.record.events[0]
    assert isinstance(first, Planned)
    assert [query.kind for query in first.plan.queries] == ["ratio", "pods"]
