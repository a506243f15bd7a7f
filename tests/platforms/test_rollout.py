"""Rollouts of Argo as the API server tells of them: what is compared, and how each is taken back."""

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
from analyzer.platforms import rollout_control
from analyzer.platforms.rollout import Rollout, RolloutSettings
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
    monkeypatch.setattr(rollout_control, "PAUSE", 0.01)
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
        return with_status(found, phase="Degraded", message="RolloutAborted: aborted")
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

    def test_promoted_it_is_compared_with_the_one_before(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        a_pod(api, NEW)
        found = look(api)
        assert found.wanted is not None
        assert (found.wanted.number, found.wanted.digest) == ("1", OLD)
        assert found.pods is not None
        assert (found.pods.baseline, found.pods.past) == ("", f"web-{OLD}-[a-z0-9]{{5}}")

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

    def test_a_way_back_is_not_taken_back(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        a_set(api, NEW, 3, **{"rollout.argoproj.io/revision-history": "1"})
        assert look(api).is_way_back

    def test_an_abort_goes_to_the_stable_revision_and_no_other(self, api: FakeApi) -> None:
        a_rollout(api)
        assert look(api, RolloutSettings(to_revision=1)).no_way_back == ""
        told = look(api, RolloutSettings(to_revision=7)).no_way_back
        assert told == "an abort of rollout/web goes back to revision 1, the stable one, and not to 7"

    def test_an_undo_goes_to_a_revision_that_is_kept(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        found = look(api, RolloutSettings(to_revision=7))
        assert found.wanted is None
        assert found.no_way_back.startswith("rollout/web does not keep revision 7 any more")

    def test_pods_that_something_else_describes_are_not_undone(self, api: FakeApi) -> None:
        found = a_rollout(api, stable=NEW, phase="Healthy")
        del found["spec"]["template"]
        found["spec"]["workloadRef"] = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
        api.put(WHERE, found)
        assert "its pods are described by Deployment web (spec.workloadRef)" in look(api).no_way_back

    def test_who_owns_it_holds_an_undo_and_no_abort(self, api: FakeApi) -> None:
        mark = {"argocd.argoproj.io/tracking-id": "shop:argoproj.io/Rollout:shop/web"}
        found = a_rollout(api)
        found["metadata"]["annotations"] |= mark
        api.put(WHERE, found)
        told = look(api)
        assert told.obstacles == ()
        assert any("Argo CD Application shop" in each for each in told.cautions)
        found = a_rollout(api, stable=NEW, phase="Healthy")
        found["metadata"]["annotations"] |= mark
        api.put(WHERE, found)
        assert [each.guard for each in look(api).obstacles] == [Guard.GITOPS_OWNER]

    def test_what_a_helm_release_owns_is_for_helm_once_it_is_promoted(self, api: FakeApi) -> None:
        for stable, expected in ((OLD, []), (NEW, [Guard.GITOPS_OWNER])):
            found = a_rollout(api, stable=stable)
            found["metadata"]["annotations"]["meta.helm.sh/release-name"] = "web-1"
            api.put(WHERE, found)
            assert [each.guard for each in look(api).obstacles] == expected

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
        assert (
            found["metadata"]["annotations"][rollout_control.REASON] == "canary-analyzer a1: errors 9 % against 0.2 %"
        )
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

    def test_one_that_was_promoted_meanwhile_is_not_aborted(self, api: FakeApi) -> None:
        a_rollout(api)

        async def after_promotion(rollout: Rollout, intent: Intent) -> Receipt:
            a_rollout(api, stable=NEW, phase="Healthy")
            api.put(WHERE, {**api.objects[WHERE], "spec": {**api.objects[WHERE]["spec"], "template": template(NEW)}})
            controller(api, promoted)
            return await rollout.take_back(intent)

        receipt = act(api, after_promotion)
        assert receipt is not None
        assert receipt.ok, receipt
        assert "abort" not in api.objects[WHERE]["status"]
        assert "was undone" in receipt.detail

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


def promoted(found: Object) -> Object | None:
    """The controller brings out what is written, with steps unless it is promoted fully."""
    (container,) = found["spec"]["template"]["spec"]["containers"]
    if container["image"] != f"web:{OLD}" or found["status"]["stableRS"] == OLD:
        return None
    if not found["status"].get("promoteFull"):
        paused = found["status"]["phase"] == "Paused"
        return None if paused else with_status(found, currentPodHash=OLD, phase="Paused")
    return with_status(found, stableRS=OLD, phase="Healthy", promoteFull=False)


class TestUndo:
    def test_it_goes_back_without_steps(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        controller(api, promoted)
        receipt = act(api)
        assert receipt is not None
        assert receipt.ok, receipt
        assert receipt.detail == "rollout/web was fully promoted, and was undone: back to revision 1"
        assert api.objects[WHERE]["spec"]["template"] == template(OLD)  # without the label of its hash

    def test_not_allowed_it_is_not_touched(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")

        def confirm() -> float:
            raise LeaseLost("another's")

        with pytest.raises(LeaseLost):
            act(api, lambda rollout, intent: rollout.take_back(intent, confirm))
        assert api.objects[WHERE]["spec"]["template"] == template(NEW)

    def test_one_that_does_not_become_healthy_is_told(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        receipt = act(api, timeout=0.05)
        assert receipt is not None
        assert not receipt.ok
        assert "it was not healthy after 0.05 s" in receipt.detail


class TestSettle:
    def test_an_act_that_was_never_begun(self, api: FakeApi) -> None:
        a_rollout(api)
        assert act(api, lambda rollout, intent: rollout.settle(intent)) is None

    def test_an_abort_that_was_begun_is_waited_for(self, api: FakeApi) -> None:
        a_rollout(api)
        a_pod(api, OLD)

        async def begun(rollout: Rollout, intent: Intent) -> Receipt | None:
            api.put(WHERE, with_status(api.objects[WHERE], abort=True, phase="Degraded", message="RolloutAborted"))
            return await rollout.settle(intent)

        receipt = act(api, begun)
        assert receipt is not None
        assert receipt.ok
        assert len([one for one in api.requests if one == ("PATCH", f"{WHERE}/status")]) == 0

    def test_an_undo_that_was_begun_is_finished(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")

        async def begun(rollout: Rollout, intent: Intent) -> Receipt | None:
            found = with_status(api.objects[WHERE], currentPodHash=OLD, phase="Paused")
            api.put(WHERE, {**found, "spec": {**found["spec"], "template": template(OLD)}})
            controller(api, promoted)
            return await rollout.settle(intent)

        receipt = act(api, begun)
        assert receipt is not None
        assert receipt.ok, receipt
        assert api.objects[WHERE]["status"]["stableRS"] == OLD

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

    def test_an_abort_needs_no_right_to_undo(self, api: FakeApi) -> None:
        a_rollout(api)
        api.may = lambda asked: asked["resource"] == "rollouts/status"
        told = act(api, _lacking)
        assert told is not None
        assert told.detail == ""


async def _lacking(rollout: Rollout, intent: Intent) -> Receipt:
    _ = intent
    return Receipt(ok=True, detail=await rollout.lacking(await rollout.look()))
