"""`health: pods`: looks at the pods of both sides, one after the other, and what the rule says of them."""

import pytest
from ruling import GONE, START, judged, only, plan

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.model.judgement import Standing
from analyzer.model.reading import Events, Pods, PodTrouble, Reading, Side, Window

EVERY = 5.0
RULE: dict[str, object] = {"health": "pods"}
DETAIL = "exit code 1, restarted 3 times: back-off 20s restarting failed container"
OVERDUE = "Deployment web is past its progress deadline of 600 s: ReplicaSet web-1 has timed out progressing"


def pods(ready: int, wanted: int = 2, *troubles: PodTrouble, **more: object) -> Pods:
    return Pods.model_validate({"wanted": wanted, "ready": ready, "total": wanted, "restarts": 0, **more}).model_copy(
        update={"troubles": troubles}
    )


def trouble(reason: str, pod: str = "web-a", detail: str = "", since: float | None = None) -> PodTrouble:
    return PodTrouble(pod=pod, reason=reason, detail=detail, since=since)


def look(number: int, canary: Side, baseline: Side | None = None) -> Reading:
    window = Window(start=START + number * EVERY, end=START + (number + 1) * EVERY)
    return Reading(metric="health:pods", window=window, canary=canary, baseline=baseline)


def looked(*sides: Side | tuple[Side, Side | None], **rule: object) -> Assessment:
    state = judge.start(plan({**RULE, **rule}))
    for number, each in enumerate(sides):
        canary, baseline = each if isinstance(each, tuple) else (each, None)
        state = judge.advance(state, look(number, canary, baseline))
    return state


def standing(*sides: Side | tuple[Side, Side | None], **rule: object) -> Standing:
    return only(looked(*sides, **rule)).standing


CRASHING = pods(0, 2, trouble("CrashLoopBackOff", "web-7d9f8c-x2x1z", DETAIL), restarts=2)
STARTING = pods(0)
WELL = pods(2)


class TestFatalTroubles:
    def test_a_crash_loop_fails_with_its_second_look(self) -> None:
        assert standing(CRASHING) == Standing.PENDING
        told = only(looked(CRASHING, CRASHING))
        assert told.standing == Standing.FAIL
        assert told.reason == f"pod web-7d9f8c-x2x1z: CrashLoopBackOff ({DETAIL}); 0 of 2 pods ready"
        assert told.evidence.towards_fail == 1

    @pytest.mark.parametrize(
        "reason",
        [
            "CrashLoopBackOff",
            "ImagePullBackOff",
            "InvalidImageName",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
        ],
    )
    def test_each_of_them(self, reason: str) -> None:
        assert standing(*[pods(1, 2, trouble(reason))] * 2) == Standing.FAIL

    @pytest.mark.parametrize("reason", ["ErrImagePull", "Error", "Evicted", "ContainerStatusUnknown"])
    def test_others_may_pass(self, reason: str) -> None:
        assert standing(*[pods(1, 2, trouble(reason))] * 20) == Standing.PENDING

    @pytest.mark.parametrize("between", ["Error", "ErrImagePull", None])
    def test_running_again_for_a_moment_is_no_recovery(self, between: str | None) -> None:
        flipped = pods(0, 2, *([trouble(between)] if between else []))
        assert standing(CRASHING, flipped, GONE, flipped, CRASHING) == Standing.FAIL

    def test_all_pods_ready_is_one(self) -> None:
        assert standing(CRASHING, WELL, CRASHING) == Standing.PENDING
        assert standing(CRASHING, WELL, CRASHING, CRASHING) == Standing.FAIL

    def test_ready_pods_beside_a_crashing_one_are_none(self) -> None:
        """A surplus pod, or a container that crashes while the others are ready."""
        beside = pods(2, 2, trouble("CrashLoopBackOff"))
        assert standing(beside) == Standing.PENDING
        assert standing(beside, beside) == Standing.FAIL

    def test_consecutive(self) -> None:
        assert standing(*[CRASHING] * 3, consecutive=4) == Standing.PENDING
        assert standing(*[CRASHING] * 4, consecutive=4) == Standing.FAIL
        assert standing(CRASHING, consecutive=1) == Standing.FAIL

    def test_one_look_that_several_windows_share_counts_once(self) -> None:
        once = CRASHING.model_copy(update={"seen_at": START + 300})
        again = CRASHING.model_copy(update={"seen_at": START + 305})
        assert standing(*[once] * 9) == Standing.PENDING
        assert standing(*[once] * 9, again) == Standing.FAIL

    def test_a_failure_stays(self) -> None:
        assert standing(CRASHING, CRASHING, WELL, WELL) == Standing.FAIL

    def test_an_advisory_rule_is_told_and_does_not_decide(self) -> None:
        state = judge.start(plan({**RULE, "advisory": True}, {"metric": "errors"}))
        for number in range(3):
            state = judge.advance(state, look(number, CRASHING))
        assert judge.standing(state) != Standing.FAIL
        assert judge.judgements(state, {})[0].standing == Standing.FAIL

    def test_more_than_one_pod(self) -> None:
        both = pods(0, 2, trouble("ImagePullBackOff"), trouble("ImagePullBackOff", "web-b"))
        assert only(looked(both)).reason == "pod web-a and 1 more: ImagePullBackOff; 0 of 2 pods ready"


class TestOutOfMemory:
    KILLED = pods(2, 2, trouble("OOMKilled", "web-a", "memory limit 256Mi, exit code 137"), oom_kills=1, restarts=1)

    def test_it_fails_at_once(self) -> None:
        told = only(looked(self.KILLED))
        assert told.standing == Standing.FAIL
        assert told.reason == (
            "pod web-a: OOMKilled (memory limit 256Mi, exit code 137), none of the baseline's; 2 of 2 pods ready"
        )
        assert standing((self.KILLED, WELL)) == Standing.FAIL

    def test_not_if_the_baseline_knows_it_too(self) -> None:
        assert standing((self.KILLED, self.KILLED)) == Standing.PASS
        assert standing((WELL, self.KILLED), (self.KILLED, None)) == Standing.PASS

    def test_kills_without_a_pod_to_name(self) -> None:
        told = only(looked(pods(2, 2, oom_kills=2)))
        assert told.reason == "containers OOMKilled twice, none of the baseline's; 2 of 2 pods ready"


class TestUnschedulable:
    @staticmethod
    def waiting(since: float | None) -> Pods:
        return pods(1, 2, trouble("Unschedulable", "web-a", "0/3 nodes are available: 3 Insufficient cpu.", since))

    def test_a_minute_is_given_to_autoscalers(self) -> None:
        assert standing(*[self.waiting(START)] * 11) == Standing.PENDING
        told = only(looked(*[self.waiting(START)] * 12))
        assert told.standing == Standing.FAIL
        assert told.reason == (
            "pod web-a: Unschedulable (0/3 nodes are available: 3 Insufficient cpu.) for more than 60 s; "
            "1 of 2 pods ready"
        )

    def test_it_counts_until_the_look(self) -> None:
        seen = [self.waiting(START).model_copy(update={"seen_at": START + at}) for at in (59, 60)]
        assert [standing(each) for each in seen] == [Standing.PENDING, Standing.FAIL]

    def test_since_nobody_knows_when(self) -> None:
        assert standing(*[self.waiting(None)] * 30) == Standing.PENDING

    def test_the_baseline_waits_too(self) -> None:
        assert standing(*[(self.waiting(START), self.waiting(START))] * 20) == Standing.PENDING


class TestRestarts:
    @pytest.mark.parametrize(
        ("canary", "baseline", "expected"),
        [
            (2, None, Standing.PASS),
            (3, None, Standing.FAIL),
            (3, 0, Standing.FAIL),
            (4, 1, Standing.PASS),
            (5, 1, Standing.FAIL),
            (102, 50, Standing.PASS),
        ],
    )
    def test_above_the_baselines(self, canary: int, baseline: int | None, expected: Standing) -> None:
        beside = None if baseline is None else pods(2, restarts=baseline)
        assert standing((pods(2, restarts=canary), beside)) == expected

    def test_the_sentence(self) -> None:
        told = only(looked((pods(1, restarts=5), pods(2, restarts=1))))
        assert told.reason == "the canary's containers restarted 5 times, the baseline's once; 1 of 2 pods ready"

    def test_what_the_baseline_has_shown_is_not_forgotten_with_its_pods(self) -> None:
        assert standing((WELL, pods(2, restarts=4)), (pods(2, restarts=5), None)) == Standing.PASS


class TestStarting:
    def test_a_slow_start_never_fails(self) -> None:
        told = only(looked(*[STARTING] * 500))
        assert (told.standing, told.reason) == (Standing.PENDING, "0 of 2 pods ready")

    def test_the_progress_deadline_does(self) -> None:
        told = only(looked(STARTING, pods(0, overdue=OVERDUE)))
        assert told.standing == Standing.FAIL
        assert told.reason == f"{OVERDUE}; 0 of 2 pods ready"

    def test_the_progress_deadline_tells_what_is_wrong_with_the_pods(self) -> None:
        told = only(looked(pods(0, 2, trouble("Error", detail="exit code 1"), overdue=OVERDUE)))
        assert told.reason == f"{OVERDUE}; pod web-a: Error (exit code 1); 0 of 2 pods ready"

    def test_ready(self) -> None:
        told = only(looked(STARTING, WELL))
        assert (told.standing, told.reason) == (Standing.PASS, "2 of 2 pods ready")
        assert (told.evidence.canary.total, told.evidence.canary.bad, told.evidence.windows) == (2, 0, 2)

    def test_scaled_to_nothing_is_neither(self) -> None:
        told = only(looked(*[pods(0, 0)] * 9))
        assert (told.standing, told.reason) == (
            Standing.PENDING,
            "the canary is scaled to 0: there are no pods to look at",
        )
        assert not judge.at_deadline(looked(pods(0, 0)), START).failed

    def test_nobody_looked(self) -> None:
        told = only(looked(GONE))
        assert told.standing == Standing.NO_DATA
        assert told.reason.startswith("the canary's pods have not been looked at: no series match")
        assert only(looked()).reason == "the canary's pods have not been looked at"


class TestIncidents:
    """What the baseline's pods show too is not this release."""

    def test_the_registry_is_away(self) -> None:
        pulling = pods(0, 2, trouble("ImagePullBackOff"), trouble("ImagePullBackOff", "web-b"))
        one_of_ten = pods(9, 10, trouble("ErrImagePull", "web-old"))
        state = looked(*[(pulling, one_of_ten)] * 9)
        told = only(state)
        assert told.standing == Standing.PENDING
        assert told.reason == (
            "ImagePullBackOff of the baseline's pods too: that is an incident, and not this release; 0 of 2 pods ready"
        )
        assert not judge.at_deadline(state, START).failed
        assert not judge.passes_at_deadline(state)

    def test_a_crash_loop_that_runs_just_now_is_one_too(self) -> None:
        beside = (CRASHING, pods(1, 2, trouble("Error", "web-old")))
        assert standing(beside, beside) == Standing.PENDING

    def test_another_trouble_beside_it_counts(self) -> None:
        canary = pods(0, 2, trouble("ImagePullBackOff"), trouble("CreateContainerConfigError", "web-b"))
        told = only(looked(*[(canary, pods(1, 2, trouble("ImagePullBackOff", "web-old")))] * 2))
        assert told.standing == Standing.FAIL
        assert "CreateContainerConfigError" in told.reason

    def test_one_old_pod_that_crashes_excuses_no_release(self) -> None:
        canary = pods(0, 2, trouble("CrashLoopBackOff"), trouble("CrashLoopBackOff", "web-b"))
        assert standing(*[(canary, pods(9, 10, trouble("CrashLoopBackOff", "web-old")))] * 2) == Standing.FAIL
        assert standing(*[(canary, pods(1, 2, trouble("CrashLoopBackOff", "web-old")))] * 2) == Standing.PENDING

    def test_the_progress_deadline_of_an_incident(self) -> None:
        canary = pods(0, 2, trouble("ImagePullBackOff"), overdue=OVERDUE)
        assert standing(*[(canary, pods(1, 2, trouble("ImagePullBackOff", "web-old")))] * 3) == Standing.PENDING


class TestDeadline:
    AT = START + 10 * EVERY

    def closed(self, *looks: Pods) -> Assessment:
        return judge.at_deadline(looked(*looks), self.AT)

    def test_not_ready_by_then_is_a_fail(self) -> None:
        state = self.closed(*[pods(1, 3)] * 10)
        assert judge.standing(state) == Standing.FAIL
        assert judge.reason_to_fail(state) == "2 of 3 pods of the canary not ready by the deadline"
        assert judge.culprits(state) == (("health:pods", "health:pods"),)
        assert only(state).standing == Standing.FAIL

    def test_with_what_is_known_of_them(self) -> None:
        looks = [pods(1, 2, trouble("Error", detail="exit code 1, restarted once"))] * 10
        assert judge.reason_to_fail(self.closed(*looks)) == (
            "1 of 2 pods of the canary not ready by the deadline: pod web-a: Error (exit code 1, restarted once)"
        )

    def test_ready_by_then_is_none(self) -> None:
        assert not self.closed(*[STARTING] * 9, WELL).failed

    def test_nobody_looked_at_the_deadline(self) -> None:
        assert not self.closed(*[STARTING] * 9).failed
        assert not self.closed().failed

    def test_ready_until_a_moment_ago_is_none(self) -> None:
        assert not self.closed(WELL, *[pods(1)] * 9).failed
        late = judge.at_deadline(looked(WELL, *[pods(1)] * 12), self.AT)
        assert judge.reason_to_fail(late) == "1 of 2 pods of the canary not ready by the deadline"

    def test_a_look_after_the_deadline_is_good_for_it(self) -> None:
        late = pods(1, 3, seen_at=START + 900)
        assert self.closed(*[late] * 10).failed

    def test_an_autoscaler_that_wants_more_is_none(self) -> None:
        assert not judge.at_deadline(looked(WELL, *[pods(2, 4)] * 30), self.AT).failed

    def test_as_many_as_there_were_count_as_ready(self) -> None:
        assert not judge.at_deadline(looked(WELL, *[pods(2, 4)] * 30, pods(1, 4)), self.AT).failed

    def test_an_advisory_rule_fails_nothing(self) -> None:
        state = judge.start(plan({**RULE, "advisory": True}, {"metric": "errors"}))
        for number in range(10):
            state = judge.advance(state, look(number, STARTING))
        assert not judge.at_deadline(state, self.AT).failed


class TestBesideOthers:
    """A pass needs critical rules alone; but pods that are still to become ready are waited for."""

    THRESHOLD: dict[str, object] = {  # noqa: RUF012 -- never changed
        "metric": "errors",
        "judge": "threshold",
        "limit": "5%",
        "critical": True,
    }

    def good_but(self, canary: Side) -> Assessment:
        good = judged(plan(self.THRESHOLD, RULE), [(Events(total=1000, bad=0), None)] * 3, metric="errors")
        return judge.advance(good, look(0, canary))

    def test_waiting(self) -> None:
        assert judge.passes_at_deadline(self.good_but(WELL))
        assert not judge.passes_at_deadline(self.good_but(pods(1)))
        assert judge.reason_undecided(self.good_but(pods(1))).startswith("errors 0 %")

    def test_an_advisory_rule_holds_nothing_up(self) -> None:
        rules = plan(self.THRESHOLD, {**RULE, "advisory": True})
        good = judged(rules, [(Events(total=1000, bad=0), None)] * 3, metric="errors")
        assert judge.passes_at_deadline(judge.advance(good, look(0, pods(1))))

    @pytest.mark.parametrize("nothing", [GONE, pods(0, 0)])
    def test_no_pods_to_look_at_hold_nothing_up(self, nothing: Side) -> None:
        assert judge.passes_at_deadline(self.good_but(nothing))


@pytest.mark.parametrize(
    ("canary", "baseline", "expected"),
    [
        (WELL, None, True),
        (WELL, pods(0, 0), True),
        (WELL, CRASHING, False),
        (pods(1), None, False),
        (pods(2, 2, trouble("CrashLoopBackOff")), None, False),
        (pods(2, overdue=OVERDUE), None, False),
        (GONE, WELL, None),
        (pods(0, 0), None, None),
    ],
)
def test_after_the_act(canary: Side, baseline: Side | None, expected: bool | None) -> None:
    assert judge.recovered(looked(CRASHING, CRASHING), look(9, canary, baseline)) is expected


def test_a_look_changes_no_earlier_state() -> None:
    before = looked(CRASHING)
    told = only(before)
    judge.advance(before, look(1, CRASHING))
    assert only(before) == told
