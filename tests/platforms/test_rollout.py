"""Rollouts of Argo as the API server tells of them: what is compared, and how it is taken back."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi, running

from analyzer.errors import LeaseLost, NoRelease
from analyzer.model.guard import Guard
from analyzer.model.target import ActionKind, Deployment, Intent, PlatformKind, Receipt, Target
from analyzer.platforms import rollout_control, rollout_watch
from analyzer.platforms.rollout import Rollout, RolloutSettings
from analyzer.platforms.rollout_note import TAKEN_BACK
from analyzer.platforms.verdicts import MANAGED_BY, MANAGER, RELEASE

Object = dict[str, Any]

WEB = Target(kind=PlatformKind.ROLLOUT, name="web", namespace="shop")
OLD, NEW, OLDER = "5d4f8", "6c9b7", "4b7c9"
WHERE = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web"
SETS = "/apis/apps/v1/namespaces/shop/replicasets"
PODS = "/api/v1/namespaces/shop/pods"
EVENTS = "/api/v1/namespaces/shop/events"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.setattr(rollout_watch, "PAUSE", 0.01)
    with running(tmp_path) as api:
        yield api


def a_rollout(api: FakeApi, stable: str = OLD, current: str = NEW, **status: object) -> Object:
    """Revision 2 on its way, revision 1 stable."""
    numbers = {OLDER: 1, OLD: 1 if current == NEW and stable != NEW else 2, NEW: 2}
    for name, number in {OLD: 1, NEW: 2}.items():
        a_set(api, name, number)
    found = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "u1",
            "generation": 2,
            "annotations": {"rollout.argoproj.io/revision": str(numbers[current])},
        },
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template(NEW)},
        "status": {
            "observedGeneration": "2",
            "stableRS": stable,
            "currentPodHash": current,
            "phase": "Progressing",
            **status,
        },
    }
    return api.put(WHERE, found)


def template(tag: str) -> Object:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": f"web:{tag}"}]}}


def a_set(api: FakeApi, hash_: str, number: int, **annotations: str) -> None:
    labels = {"app": "web", "rollouts-pod-template-hash": hash_}
    of_pods = template(hash_)
    of_pods["metadata"]["labels"] |= labels
    metadata = {
        "name": f"web-{hash_}",
        "namespace": "shop",
        "labels": labels,
        "annotations": {"rollout.argoproj.io/revision": str(number), **annotations},
        "creationTimestamp": f"2026-01-0{number}T00:00:00Z",
        "ownerReferences": [{"uid": "u1"}],
    }
    api.put(f"{SETS}/web-{hash_}", {"metadata": metadata, "spec": {"template": of_pods}})


def a_pod(api: FakeApi, hash_: str, created: str = "2026-01-05T00:00:00Z") -> None:
    name = f"web-{hash_}-abcde"
    labels = {"app": "web", "rollouts-pod-template-hash": hash_}
    metadata = {"name": name, "namespace": "shop", "labels": labels, "creationTimestamp": created}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-05T00:00:10Z"}
    status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]}
    api.put(f"{PODS}/{name}", {"metadata": metadata, "status": status})


def look(api: FakeApi, settings: RolloutSettings | None = None) -> Deployment:
    async def looking() -> Deployment:
        cluster = api.cluster()
        try:
            return await Rollout(WEB, cluster, settings).look()
        finally:
            await cluster.close()

    return asyncio.run(looking())


def act(
    api: FakeApi,
    what: Callable[[Rollout, Intent], Any] = lambda rollout, intent: rollout.take_back(intent),
    timeout: float = 5.0,
) -> Receipt | None:
    """What the way back of the deployment as it is comes to."""

    async def acting() -> Receipt | None:
        cluster = api.cluster()
        rollout = Rollout(WEB, cluster, RolloutSettings(timeout=timeout))
        try:
            found = await rollout.look()
            intent = Intent(
                kind=ActionKind.ROLLBACK,
                analysis="a1",
                target=WEB,
                from_revision=found.current,
                to_revision=found.wanted,
                reason="errors 9 % against 0.2 %",
            )
            receipt: Receipt | None = await what(rollout, intent)
            return receipt
        finally:
            await cluster.close()

    return asyncio.run(acting())


def controller(api: FakeApi, after: Callable[[Object], Object | None]) -> None:
    """What the controller makes of the Rollout, whenever somebody has changed it."""

    def changed(path: str) -> None:
        if path.startswith(WHERE) and (found := after(api.objects[WHERE])) is not None:
            api.put(WHERE, found)

    api.after_patch = changed


def with_status(found: Object, **status: object) -> Object:
    return {**found, "status": {**found["status"], **status}}


def degraded(found: Object) -> Object | None:
    if found["status"].get("abort") and found["status"]["phase"] != "Degraded":
        return with_status(found, phase="Degraded", message="RolloutAborted: aborted", abortedAt="2026-01-05T00:01:00Z")
    return None


class TestLook:
    def test_in_flight_it_is_compared_with_the_stable_revision(self, api: FakeApi) -> None:
        a_rollout(api)
        a_pod(api, OLD, "2026-01-01T00:00:00Z")
        a_pod(api, NEW)
        found = look(api)
        assert (found.current.number, found.current.digest, found.current.status) == ("2", NEW, "canary")
        assert found.wanted is not None
        assert (found.wanted.number, found.wanted.digest, found.wanted.status) == ("1", OLD, "stable")
        assert found.current.deployed_at == 1767571200.0  # when its pods came, not when its ReplicaSet did
        assert found.pods is not None
        assert (found.pods.canary, found.pods.baseline) == (f"web-{NEW}-[a-z0-9]{{5}}", f"web-{OLD}-[a-z0-9]{{5}}")
        assert found.labels == {"rollouts_pod_template_hash": (NEW, OLD)}
        assert (found.no_way_back, found.taken_back, found.obstacles) == ("", "", ())

    def test_promoted_it_has_no_way_back_unless_one_is_known_to_be_good(self, api: FakeApi) -> None:
        """An abort would do nothing, and the revision before may be one that was aborted."""
        a_rollout(api, stable=NEW, phase="Healthy")
        a_pod(api, NEW)
        found = look(api)
        assert found.wanted is None
        assert found.no_way_back.startswith("rollout/web is fully promoted, and an abort would do nothing any more")
        assert "kubectl argo rollouts undo web -n shop" in found.no_way_back
        assert found.pods is not None
        assert (found.pods.baseline, found.pods.past) == ("", "")

    @pytest.mark.parametrize(
        ("strategy", "status", "told"),
        [
            ({}, {}, ""),
            ({"steps": [{}, {}]}, {"currentStepIndex": 0}, "step 1 of 2"),
            ({"steps": [{}, {}]}, {"currentStepIndex": 2}, ""),
            (
                {"steps": [{}, {}], "trafficRouting": {"nginx": {}}},
                {"currentStepIndex": 1, "canary": {"weights": {"canary": {"weight": 25}, "stable": {"weight": 75}}}},
                "step 2 of 2, traffic 25 % canary, 75 % stable",
            ),
            (
                {"trafficRouting": {"maxTrafficWeight": 1000}},
                {"canary": {"weights": {"canary": {"weight": 25}, "stable": {"weight": 975}}}},
                "traffic 2.5 % canary, 97.5 % stable",
            ),
        ],
    )
    def test_how_far_it_has_come(self, api: FakeApi, strategy: Object, status: Object, told: str) -> None:
        found = a_rollout(api, **status)
        found["spec"]["strategy"] = {"canary": strategy}
        api.put(WHERE, found)
        stage = look(api).stage
        assert stage is not None
        assert str(stage) == told
        assert (stage.steps, stage.canary is None) == (len(strategy.get("steps", ())), "canary" not in status)
        found["status"]["stableRS"] = NEW
        api.put(WHERE, found)
        assert look(api).stage is None

    def test_one_that_is_not_there(self, api: FakeApi) -> None:
        with pytest.raises(NoRelease, match="there is no Rollout web in namespace shop"):
            look(api)

    def test_the_first_revision_has_no_way_back(self, api: FakeApi) -> None:
        a_rollout(api, stable="")
        found = look(api)
        assert found.wanted is None
        assert found.no_way_back == "rollout/web has no stable revision yet: this is its first"

    def test_what_was_aborted_is_on_its_way_back(self, api: FakeApi) -> None:
        a_rollout(api, abort=True, phase="Degraded", message="RolloutAborted: by hand")
        assert look(api).taken_back.startswith(
            "revision 2 of rollout/web was aborted already (RolloutAborted: by hand)"
        )

    def test_the_abort_of_an_earlier_revision_says_nothing(self, api: FakeApi) -> None:
        """After full promotion the controller takes it away, and until then it means nothing."""
        a_rollout(api, stable=NEW, abort=True)
        assert look(api).taken_back == ""

    def test_an_abort_goes_to_the_stable_revision_and_no_other(self, api: FakeApi) -> None:
        a_rollout(api)
        assert look(api, RolloutSettings(to_revision=1)).no_way_back == ""
        told = look(api, RolloutSettings(to_revision=7)).no_way_back
        assert told == "an abort of rollout/web goes back to revision 1, the stable one, and not to 7"

    def test_who_brings_it_out_holds_no_abort(self, api: FakeApi) -> None:
        found = a_rollout(api)
        found["metadata"]["annotations"] |= {"argocd.argoproj.io/tracking-id": "shop:argoproj.io/Rollout:shop/web"}
        api.put(WHERE, found)
        told = look(api)
        assert told.obstacles == ()
        assert any("Argo CD Application shop" in each for each in told.cautions)

    def test_what_a_helm_release_owns_and_what_is_paused_is_told(self, api: FakeApi) -> None:
        found = a_rollout(api)
        found["metadata"]["annotations"]["meta.helm.sh/release-name"] = "web-1"
        found["spec"]["paused"] = True
        api.put(WHERE, found)
        told = look(api)
        assert told.obstacles == ()
        assert told.cautions == (
            "after an abort: helm rollback web-1 takes it out of the phase Degraded",
            "rollout/web is paused (spec.paused): until it is resumed, an abort moves no pod",
        )

    def test_what_was_done_to_an_earlier_try_holds_nothing(self, api: FakeApi) -> None:
        """A retry has the same number and hash; the abort itself is compared and set, so that nobody need claim it."""
        a_rollout(api)
        name = "canary-analyzer.rollout.web"
        judged = {"revision": "2", "digest": NEW, "verdict": "fail", "at": time.time(), "reason": "worse"}
        data = {f"2.{NEW}": json.dumps(judged | {"analysis": "a0", "action": "rollback done"})}
        api.put(f"/api/v1/namespaces/shop/configmaps/{name}", {"metadata": {"name": name}, "data": data})
        assert look(api).claimed_by == ""

    def test_a_storm_holds(self, api: FakeApi) -> None:
        a_rollout(api)
        for name in ("helm.a", "helm.b", "rollout.c", "rollout.web"):
            judged = {"revision": "1", "digest": "x", "verdict": "fail", "at": time.time(), "reason": "worse"}
            labels = {MANAGED_BY: MANAGER, RELEASE: name.partition(".")[2]}
            metadata = {"name": f"canary-analyzer.{name}", "namespace": "shop", "labels": labels}
            where = f"/api/v1/namespaces/shop/configmaps/canary-analyzer.{name}"
            api.put(where, {"metadata": metadata, "data": {"1.x": json.dumps(judged)}})
        (held,) = look(api).obstacles
        assert held.guard == Guard.STORM
        assert "3 other targets have failed" in held.reason
        assert "rollout/c" in held.reason
        assert "rollout/web" not in held.reason


class TestAbort:
    def test_it_is_aborted_and_says_why(self, api: FakeApi) -> None:
        a_rollout(api)
        a_pod(api, OLD)
        controller(api, degraded)
        receipt = act(api)
        assert receipt is not None
        assert receipt.ok, receipt
        assert receipt.detail == "rollout/web was aborted: back to revision 1, the stable one"
        found = api.objects[WHERE]
        assert found["status"]["abort"] is True
        assert found["metadata"]["annotations"][TAKEN_BACK] == "canary-analyzer a1: errors 9 % against 0.2 %"
        event = api.objects[f"{EVENTS}/web.a1"]
        assert (event["reason"], event["type"], event["involvedObject"]["uid"]) == ("TakenBack", "Warning", "u1")

    def test_without_the_right_to_say_why_it_is_aborted_all_the_same(self, api: FakeApi) -> None:
        a_rollout(api)
        a_pod(api, OLD)
        controller(api, degraded)
        api.refusals["PATCH", WHERE] = (403, "no")
        receipt = act(api)
        assert receipt is not None
        assert receipt.ok
        assert "why could not be written beside it" in receipt.detail

    def test_not_allowed_it_is_not_touched(self, api: FakeApi) -> None:
        a_rollout(api)

        def confirm() -> float:
            raise LeaseLost("another's")

        with pytest.raises(LeaseLost):
            act(api, lambda rollout, intent: rollout.take_back(intent, confirm))
        assert "abort" not in api.objects[WHERE]["status"]

    def test_the_controller_may_write_at_the_same_time(self, api: FakeApi) -> None:
        a_rollout(api)
        a_pod(api, OLD)
        controller(api, degraded)
        writes = iter([lambda: api.put(WHERE, with_status(api.objects[WHERE], phase="Paused"))])
        api.before_put = lambda: next(writes, lambda: None)() and None
        receipt = act(api)
        assert receipt is not None
        assert receipt.ok, receipt

    def test_a_change_that_the_controller_has_not_seen_is_waited_for(
        self, api: FakeApi, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It may be another revision: nothing is aborted that was not analysed."""
        monkeypatch.setattr(rollout_control, "PATIENCE", 0.05)
        a_rollout(api)

        async def after_a_change(rollout: Rollout, intent: Intent) -> Receipt:
            found = api.objects[WHERE]
            api.put(WHERE, {**found, "metadata": {**found["metadata"], "generation": 3}})
            return await rollout.take_back(intent)

        receipt = act(api, after_a_change)
        assert receipt is not None
        assert not receipt.ok
        assert "the controller has not seen the newest change of rollout/web yet" in receipt.detail
        assert "abort" not in api.objects[WHERE]["status"]

    def test_degraded_for_another_reason_is_no_abort_that_was_seen(self, api: FakeApi) -> None:
        a_rollout(api, phase="Degraded", message="ProgressDeadlineExceeded")
        a_pod(api, OLD)
        receipt = act(api, timeout=0.1)
        assert receipt is not None
        assert not receipt.ok

    def test_one_that_is_paused_by_hand_says_so(self, api: FakeApi) -> None:
        found = a_rollout(api)
        found["spec"]["paused"] = True
        api.put(WHERE, found)
        receipt = act(api, timeout=0.1)
        assert receipt is not None
        assert "it is paused (spec.paused), so that the controller moves no pod" in receipt.detail

    @pytest.mark.parametrize("is_done", [True, False])
    def test_an_api_server_that_goes_away_in_the_middle_is_waited_for(self, api: FakeApi, *, is_done: bool) -> None:
        """Whether the abort has arrived or not: it is looked at again, and not done twice."""
        a_rollout(api)
        a_pod(api, OLD)
        status = f"{WHERE}/status"
        api.refusals["PATCH", status] = (503, "going down")
        if is_done:
            controller(api, degraded)

        def lost() -> None:
            api.refusals.pop(("PATCH", status), None)
            if is_done:
                api.put(WHERE, degraded(with_status(api.objects[WHERE], abort=True)) or {})
            controller(api, degraded)

        async def losing(rollout: Rollout, intent: Intent) -> Receipt:
            asyncio.get_running_loop().call_later(0.1, lost)
            return await rollout.take_back(intent)

        receipt = act(api, losing)
        assert receipt is not None
        assert receipt.ok, receipt
        assert api.objects[WHERE]["status"]["abort"] is True

    def test_a_newer_revision_is_not_touched(self, api: FakeApi) -> None:
        a_rollout(api)

        async def after_another(rollout: Rollout, intent: Intent) -> Receipt:
            a_set(api, OLDER, 3)
            api.put(WHERE, with_status(api.objects[WHERE], currentPodHash=OLDER))
            return await rollout.take_back(intent)

        receipt = act(api, after_another)
        assert receipt is not None
        assert not receipt.ok
        assert "it is at another revision now" in receipt.detail
        assert "abort" not in api.objects[WHERE]["status"]

    def test_an_abort_that_the_controller_clears_is_no_way_back(self, api: FakeApi) -> None:
        a_rollout(api)
        a_pod(api, OLD)
        controller(api, lambda found: with_status(found, abort=False) if found["status"].get("abort") else None)
        receipt = act(api)
        assert receipt is not None
        assert not receipt.ok
        assert "spec.rollbackWindow" in receipt.detail

    def test_pods_that_do_not_come_back_are_told(self, api: FakeApi) -> None:
        a_rollout(api)
        controller(api, degraded)
        receipt = act(api, timeout=0.1)
        assert receipt is not None
        assert not receipt.ok
        assert "its pods were not as before after 0.1 s" in receipt.detail

    def test_while_canary_pods_serve_it_is_not_done_unless_traffic_is_shifted(self, api: FakeApi) -> None:
        for routing, ok in (({}, False), ({"trafficRouting": {"nginx": {}}}, True)):
            found = a_rollout(api)
            found["spec"]["strategy"] = {"canary": routing}
            api.put(WHERE, found)
            a_pod(api, OLD)
            a_pod(api, NEW)
            controller(api, degraded)
            receipt = act(api, timeout=0.1)
            assert receipt is not None
            assert receipt.ok is ok


class TestSettle:
    def test_an_act_that_was_never_begun(self, api: FakeApi) -> None:
        a_rollout(api)
        assert act(api, lambda rollout, intent: rollout.settle(intent)) is None

    def test_an_abort_that_was_begun_is_waited_for(self, api: FakeApi) -> None:
        a_rollout(api)
        a_pod(api, OLD)

        async def begun(rollout: Rollout, intent: Intent) -> Receipt | None:
            api.put(WHERE, degraded(with_status(api.objects[WHERE], abort=True)) or {})
            return await rollout.settle(intent)

        receipt = act(api, begun)
        assert receipt is not None
        assert receipt.ok
        assert len([one for one in api.requests if one == ("PATCH", f"{WHERE}/status")]) == 0

    def test_what_somebody_has_replaced_is_told(self, api: FakeApi) -> None:
        a_rollout(api)

        async def replaced(rollout: Rollout, intent: Intent) -> Receipt | None:
            a_set(api, OLDER, 3)
            api.put(WHERE, with_status(api.objects[WHERE], currentPodHash=OLDER))
            return await rollout.settle(intent)

        receipt = act(api, replaced)
        assert receipt is not None
        assert not receipt.ok


class TestRights:
    def test_those_of_an_abort(self, api: FakeApi) -> None:
        a_rollout(api)
        api.may = lambda asked: asked["resource"] != "rollouts/status"
        told = act(api, _lacking)
        assert told is not None
        assert told.detail == (
            'this user may not patch rollouts/status (argoproj.io) web in namespace "shop"; '
            "grant it: kubectl apply -n shop -f deploy/argo/rbac.yaml"
        )


async def _lacking(rollout: Rollout, intent: Intent) -> Receipt:
    _ = intent
    return Receipt(ok=True, detail=await rollout.lacking(await rollout.look()))


def test_after_the_active_service_has_moved_the_old_pods_are_compared_by_their_past(api: FakeApi) -> None:
    """They are kept while a post-promotion analysis runs, and nobody asks them anything."""
    for hash_ in (OLD, NEW):
        a_pod(api, hash_)
    a_rollout(api, blueGreen={"activeSelector": OLD})
    before = look(api).pods
    a_rollout(api, blueGreen={"activeSelector": NEW})
    moved = look(api).pods
    assert before is not None
    assert moved is not None
    assert (before.baseline, before.alone_since) == (f"web-{OLD}-[a-z0-9]{{5}}", None)
    assert (moved.baseline, moved.past) == ("", f"web-{OLD}-[a-z0-9]{{5}}")
    assert moved.alone_since == 1767571210.0  # when its pods became ready
