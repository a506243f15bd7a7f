"""What is done to a Rollout beside an abort: undo, promote, pause, retry; and where a way back leads."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fake_api import FakeApi, running
from test_rollout import NEW, OLD, OLDER, SETS, WEB, WHERE, Object, a_pod, a_rollout, a_set, look, template, with_status

from analyzer.errors import LeaseLost, PlatformError
from analyzer.model.guard import Guard
from analyzer.model.target import ActionKind, Deployment, Intent, Receipt
from analyzer.platforms import rollout_watch
from analyzer.platforms.rollout import Rollout, RolloutSettings
from analyzer.platforms.rollout_note import TAKEN_BACK
from analyzer.platforms.rollout_undo import template_of

T = TypeVar("T")
VERDICTS = "/api/v1/namespaces/shop/configmaps/canary-analyzer.rollout.web"
HASH = "rollouts-pod-template-hash"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.setattr(rollout_watch, "PAUSE", 0.01)
    with running(tmp_path) as api:
        yield api


def asked(api: FakeApi, question: Callable[[Rollout], Awaitable[T]], timeout: float = 5.0) -> T:
    async def asking() -> T:
        cluster = api.cluster()
        try:
            return await question(Rollout(WEB, cluster, RolloutSettings(timeout=timeout)))
        finally:
            await cluster.close()

    return asyncio.run(asking())


def intent(kind: ActionKind, found: Deployment) -> Intent:
    return Intent(
        kind=kind, analysis="a1", target=WEB, from_revision=found.current, to_revision=found.wanted, reason="so"
    )


def act(
    api: FakeApi, kind: ActionKind, timeout: float = 5.0, meanwhile: Callable[[], object] = lambda: None
) -> Receipt:
    async def acting(rollout: Rollout) -> Receipt:
        wanted = intent(kind, await rollout.look())
        meanwhile()
        return await rollout.take_back(wanted)

    return asked(api, acting, timeout)


def settled(api: FakeApi, kind: ActionKind, meanwhile: Callable[[], object] = lambda: None) -> Receipt | None:
    async def settling(rollout: Rollout) -> Receipt | None:
        wanted = intent(kind, await rollout.look())
        meanwhile()
        return await rollout.settle(wanted)

    return asked(api, settling)


def promote(api: FakeApi) -> None:
    """Revision 2 becomes the stable one."""
    found = with_status(api.objects[WHERE], stableRS=NEW, phase="Healthy")
    api.put(WHERE, found)


def controller(api: FakeApi, *, reuses: str = OLD) -> None:
    """Brings out what is in the template, and promotes it when it is told so."""

    def changed(path: str) -> None:
        found = api.objects[WHERE]
        if path == WHERE and found["spec"]["template"] == template(OLD) and found["status"]["currentPodHash"] == NEW:
            api.put(WHERE, with_status(found, currentPodHash=reuses, phase="Progressing"))
        elif path == f"{WHERE}/status" and found["status"].get("promoteFull"):
            api.put(WHERE, with_status(found, stableRS=found["status"]["currentPodHash"], promoteFull=False))

    api.after_patch = changed


def judged(api: FakeApi, verdicts: dict[str, str], at: float = 1_900_000_000.0) -> None:
    data = {
        hash_: json.dumps({"revision": "1", "digest": hash_, "verdict": verdict, "at": at, "reason": "so"})
        for hash_, verdict in verdicts.items()
    }
    api.put(VERDICTS, {"metadata": {"name": VERDICTS.rpartition("/")[2]}, "data": data})


class TestWayBack:
    def test_what_was_stable_when_the_analysis_began_is_good(self, api: FakeApi) -> None:
        a_rollout(api)

        async def promoted_meanwhile(rollout: Rollout) -> Deployment:
            await rollout.look()
            promote(api)
            return await rollout.look()

        found = asked(api, promoted_meanwhile)
        assert found.wanted is not None
        assert (found.wanted.digest, found.no_way_back, found.served_until) == (OLD, "", None)
        assert found.stage is None

    def test_another_process_is_told_what_was_stable(self, api: FakeApi) -> None:
        a_rollout(api)
        first = look(api)
        promote(api)

        async def resumed(rollout: Rollout) -> Deployment:
            rollout.recall(Deployment.model_validate_json(first.model_dump_json()))
            return await rollout.look()

        found = asked(api, resumed)
        assert found.wanted is not None
        assert found.wanted.digest == OLD
        assert look(api).wanted is None

    @pytest.mark.parametrize(
        ("verdicts", "wanted"),
        [
            ({}, None),
            ({OLD: "pass"}, OLD),
            ({OLD: "pass", OLDER: "pass"}, OLD),
            ({OLD: "fail", OLDER: "pass"}, OLDER),
            ({OLD: "inconclusive"}, None),
            ({NEW: "pass"}, None),
            ({"gone": "pass"}, None),
        ],
    )
    def test_what_has_passed_an_analysis_is_good(
        self, api: FakeApi, verdicts: dict[str, str], wanted: str | None
    ) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        a_set(api, OLDER, 0)
        api.objects[f"{SETS}/web-{OLDER}"]["metadata"]["creationTimestamp"] = "2025-12-31T00:00:00Z"
        judged(api, verdicts)
        found = look(api)
        assert (found.wanted.digest if found.wanted else None) == wanted
        assert bool(found.no_way_back) is (wanted is None)

    def test_a_verdict_of_an_earlier_life_is_none(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        judged(api, {OLD: "pass"}, at=1.0)
        assert look(api).wanted is None

    def test_one_that_somebody_wants(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        found = look(api, RolloutSettings(to_revision=1))
        assert found.wanted is not None
        assert found.wanted.digest == OLD
        told = look(api, RolloutSettings(to_revision=7)).no_way_back
        assert told == "rollout/web keeps no revision 7 beside the current one"

    def test_what_was_replaced_by_another_one_has_served_until_then(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        a_set(api, OLDER, 0)
        api.objects[f"{SETS}/web-{OLDER}"]["metadata"]["creationTimestamp"] = "2025-12-31T00:00:00Z"
        judged(api, {OLDER: "pass"})
        assert look(api).served_until == 1767225600.0  # when revision 1 came, whatever became of it

    def test_what_a_release_owns_is_taken_back_by_helm(self, api: FakeApi) -> None:
        found = a_rollout(api, stable=NEW, phase="Healthy")
        found["metadata"]["annotations"]["meta.helm.sh/release-name"] = "web-1"
        api.put(WHERE, found)
        judged(api, {OLD: "pass"})
        told = look(api)
        assert told.wanted is None
        assert "belongs to Helm release web-1: canary check helm/web-1 takes it back" in told.no_way_back

    def test_a_template_that_is_another_workloads_is_not_undone(self, api: FakeApi) -> None:
        found = a_rollout(api, stable=NEW, phase="Healthy")
        found["spec"]["workloadRef"] = {"kind": "Deployment", "name": "web"}
        api.put(WHERE, found)
        judged(api, {OLD: "pass"})
        told = look(api)
        assert told.wanted is None
        assert "workloadRef" in told.no_way_back

    def test_whoever_would_bring_it_out_again_holds_an_undo(self, api: FakeApi) -> None:
        found = a_rollout(api, stable=NEW, phase="Healthy")
        found["metadata"]["annotations"] |= {"argocd.argoproj.io/tracking-id": "shop:argoproj.io/Rollout:shop/web"}
        api.put(WHERE, found)
        judged(api, {OLD: "pass"})
        assert [each.guard for each in look(api).obstacles] == [Guard.GITOPS_OWNER]


class TestRollbackWindow:
    @pytest.mark.parametrize(
        ("revisions", "between", "told"),
        [(1, 0, True), (1, 1, False), (2, 1, True), (0, 0, False), (None, 0, False)],
    )
    def test_what_the_controller_takes_for_a_rollback_is_told(
        self, api: FakeApi, revisions: int | None, between: int, told: bool
    ) -> None:
        """Revision 1 is brought out again over a newer one that is stable."""
        found = a_rollout(api, stable=NEW, current=OLD)
        found["spec"]["rollbackWindow"] = {"revisions": revisions} if revisions is not None else None
        api.put(WHERE, found)
        for number in range(between):
            a_set(api, f"{OLDER}{number}", 3)
            api.objects[f"{SETS}/web-{OLDER}{number}"]["metadata"]["creationTimestamp"] = "2026-01-01T12:00:00Z"
        cautions = look(api).cautions
        assert any("spec.rollbackWindow" in each and "clears every abort" in each for each in cautions) is told

    def test_a_newer_revision_is_no_rollback(self, api: FakeApi) -> None:
        found = a_rollout(api)
        found["spec"]["rollbackWindow"] = {"revisions": 5}
        api.put(WHERE, found)
        assert look(api).cautions == ()


class TestUndo:
    def test_what_is_promoted_is_undone_and_promoted_at_once(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        a_pod(api, OLD)
        judged(api, {OLD: "pass"})
        controller(api)
        receipt = act(api, ActionKind.ROLLBACK)
        assert receipt.ok, receipt
        assert receipt.detail == (
            "rollout/web was undone: what revision 1 was is brought out again, and promoted at once"
        )
        found = api.objects[WHERE]
        assert found["spec"]["template"] == template(OLD)
        assert (found["status"]["currentPodHash"], found["status"]["stableRS"]) == (OLD, OLD)
        assert found["metadata"]["annotations"][TAKEN_BACK] == "canary-analyzer a1: so"

    def test_what_an_undo_has_made_is_a_way_back_and_a_later_upgrade_is_none(self, api: FakeApi) -> None:
        """A rollback is never rolled back."""
        a_rollout(api, stable=NEW, phase="Healthy")
        a_pod(api, OLD)
        judged(api, {OLD: "pass"})
        controller(api)
        assert not look(api).is_way_back
        assert act(api, ActionKind.ROLLBACK).ok
        assert look(api).is_way_back
        found = api.objects[WHERE]
        found["metadata"]["annotations"]["rollout.argoproj.io/revision"] = "9"
        api.put(WHERE, found)
        assert not look(api).is_way_back

    def test_it_is_marked_as_a_way_back_before_it_is_promoted(self, api: FakeApi) -> None:
        """Whoever analyses what the undo has made looks at it while it is on its way, or while it never gets ready."""
        a_rollout(api, stable=NEW, phase="Healthy")
        judged(api, {OLD: "pass"})  # and it has no pods
        controller(api)
        brings_out, marked = api.after_patch, []

        def changed(path: str) -> None:
            if path == f"{WHERE}/status" and api.objects[WHERE]["status"].get("promoteFull"):
                marked.append(look(api).is_way_back)
            brings_out(path)

        api.after_patch = changed
        assert not act(api, ActionKind.ROLLBACK, timeout=0.5).ok
        assert marked == [True]
        assert look(api).is_way_back

    @pytest.mark.parametrize(
        ("annotations", "whose"),
        [
            ({"meta.helm.sh/release-name": "web-1"}, "Helm release web-1"),
            ({"argocd.argoproj.io/tracking-id": "shop:argoproj.io/Rollout:shop/web"}, "shop"),
        ],
    )
    def test_what_somebody_else_brings_out_is_aborted_and_never_undone(
        self, api: FakeApi, annotations: dict[str, str], whose: str
    ) -> None:
        """The guards have let an abort pass, and it is promoted right before it."""
        found = a_rollout(api)
        found["metadata"]["annotations"] |= annotations
        api.put(WHERE, found)
        controller(api)
        receipt = act(api, ActionKind.ROLLBACK, meanwhile=lambda: promote(api))
        assert not receipt.ok
        assert "is fully promoted" in receipt.detail
        assert whose in receipt.detail.rpartition("belongs to ")[2]
        assert api.objects[WHERE]["spec"]["template"] == template(NEW)

    def test_one_that_is_promoted_right_before_the_abort_is_undone(self, api: FakeApi) -> None:
        a_rollout(api)
        a_pod(api, OLD)
        controller(api)
        receipt = act(api, ActionKind.ROLLBACK, meanwhile=lambda: promote(api))
        assert receipt.ok, receipt
        assert "abort" not in api.objects[WHERE]["status"]

    def test_somebody_who_writes_at_the_same_time_is_not_overwritten(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        a_pod(api, OLD)
        judged(api, {OLD: "pass"})
        controller(api)
        writes = iter([lambda: api.put(WHERE, api.objects[WHERE])])
        api.before_put = lambda: next(writes, lambda: None)() and None
        assert act(api, ActionKind.ROLLBACK).ok

    def test_a_controller_may_make_another_replica_set_of_the_same_template(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        a_set(api, OLDER, 3)
        a_pod(api, OLDER)
        judged(api, {OLD: "pass"})
        controller(api, reuses=OLDER)
        receipt = act(api, ActionKind.ROLLBACK)
        assert receipt.ok, receipt
        assert api.objects[WHERE]["status"]["stableRS"] == OLDER

    def test_somebody_who_brings_out_another_one_after_it_is_told(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        judged(api, {OLD: "pass"})

        def changed(_: str) -> None:
            found = with_status(api.objects[WHERE], currentPodHash="another")
            api.put(WHERE, {**found, "spec": {**found["spec"], "template": template("x")}})

        api.after_patch = changed
        receipt = act(api, ActionKind.ROLLBACK)
        assert not receipt.ok
        assert "it was undone, and is at another revision now (another)" in receipt.detail

    def test_what_is_paused_by_hand_is_not_undone(self, api: FakeApi) -> None:
        found = a_rollout(api, stable=NEW, phase="Healthy")
        found["spec"]["paused"] = True
        api.put(WHERE, found)
        judged(api, {OLD: "pass"})
        assert "it is paused (spec.paused)" in act(api, ActionKind.ROLLBACK).detail
        assert api.objects[WHERE]["spec"]["template"] == template(NEW)

    def test_one_whose_replica_set_is_gone_has_no_way_back(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        judged(api, {OLD: "pass"})
        receipt = act(api, ActionKind.ROLLBACK, meanwhile=lambda: api.objects.pop(f"{SETS}/web-{OLD}"))
        assert "is fully promoted, and an abort would do nothing any more" in receipt.detail

    def test_an_undo_that_never_began(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        judged(api, {OLD: "pass"})
        assert settled(api, ActionKind.ROLLBACK) is None

    def test_an_undo_that_was_cut_off_is_finished(self, api: FakeApi) -> None:
        a_rollout(api, stable=NEW, phase="Healthy")
        a_pod(api, OLD)
        judged(api, {OLD: "pass"})
        controller(api)
        begun = with_status(api.objects[WHERE], currentPodHash=OLD, phase="Progressing")
        receipt = settled(api, ActionKind.ROLLBACK, meanwhile=lambda: api.put(WHERE, begun))
        assert receipt is not None
        assert receipt.ok, receipt
        assert api.objects[WHERE]["status"]["stableRS"] == OLD


def kept(*, annotations: Object | None = None, **spec: Any) -> Object:  # noqa: ANN401 -- JSON
    labels = {"app": "web", "role": "stable", HASH: OLD}
    metadata = {"labels": labels, "creationTimestamp": None, "annotations": {"mine": "1", "role": "stable"}}
    return {"metadata": {"annotations": annotations or {}}, "spec": {"template": {"metadata": metadata, "spec": spec}}}


def term(key: str) -> Object:
    return {"labelSelector": {"matchExpressions": [{"key": key, "operator": "In", "values": ["x"]}]}}


class TestTemplate:
    def test_the_hash_goes(self) -> None:
        assert template_of(kept())["metadata"] == {
            "labels": {"app": "web", "role": "stable"},
            "annotations": {"mine": "1", "role": "stable"},
        }

    def test_the_metadata_of_the_stable_pods_goes(self) -> None:
        told = json.dumps({"labels": {"role": "stable"}, "annotations": {"role": "stable"}})
        found = template_of(kept(annotations={"rollout.argoproj.io/ephemeral-metadata": told}))
        assert found["metadata"] == {"labels": {"app": "web"}, "annotations": {"mine": "1"}}

    @pytest.mark.parametrize(
        ("rules", "left"),
        [
            ({"requiredDuringSchedulingIgnoredDuringExecution": [term(HASH)]}, None),
            (
                {"requiredDuringSchedulingIgnoredDuringExecution": [term(HASH), term("zone")]},
                {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term("zone")]}},
            ),
            (
                {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "podAffinityTerm": term(HASH)}]},
                None,
            ),
            ({}, {"podAntiAffinity": {}}),
        ],
    )
    def test_anti_affinity_against_another_revision_goes(self, rules: Object, left: Object | None) -> None:
        found = template_of(kept(affinity={"podAntiAffinity": rules}, containers=[]))["spec"]
        assert found == ({"affinity": left} if left is not None else {}) | {"containers": []}


class TestPromote:
    def test_it_is_promoted_past_all_steps(self, api: FakeApi) -> None:
        a_rollout(api)
        controller(api)
        receipt = act(api, ActionKind.PROMOTE)
        assert receipt.ok, receipt
        assert receipt.detail == "rollout/web is promoted: revision 2 is the stable one"
        found = api.objects[WHERE]
        assert found["status"]["stableRS"] == NEW
        assert TAKEN_BACK not in found["metadata"]["annotations"]
        (event,) = [each for each in api.objects.values() if each.get("kind") == "Event"]
        assert (event["reason"], event["type"]) == ("PromotedByAnalyzer", "Normal")

    @pytest.mark.parametrize(
        ("meanwhile", "why"),
        [
            ({"status": {"abort": True}}, "it was aborted meanwhile"),
            ({"status": {"currentPodHash": OLDER}}, "it is at another revision now"),
            ({"spec": {"paused": True}}, "somebody has paused it (spec.paused)"),
        ],
    )
    def test_what_has_changed_is_not_promoted(self, api: FakeApi, meanwhile: Object, why: str) -> None:
        a_rollout(api)

        def changed() -> None:
            found = api.objects[WHERE]
            api.put(WHERE, {**found, **{part: {**found[part], **more} for part, more in meanwhile.items()}})

        receipt = act(api, ActionKind.PROMOTE, meanwhile=changed)
        assert not receipt.ok
        assert receipt.detail.startswith(f"rollout/web was not promoted: {why}")
        assert "promoteFull" not in api.objects[WHERE]["status"]

    def test_one_that_takes_longer_is_told(self, api: FakeApi) -> None:
        a_rollout(api)
        receipt = act(api, ActionKind.PROMOTE, timeout=0.05)
        assert not receipt.ok
        assert "is being promoted, and revision 2 is not the stable one after 0.05 s" in receipt.detail

    def test_it_is_not_done_twice(self, api: FakeApi) -> None:
        a_rollout(api)
        assert settled(api, ActionKind.PROMOTE) is None
        receipt = settled(api, ActionKind.PROMOTE, meanwhile=lambda: promote(api))
        assert receipt is not None
        assert receipt.ok
        assert ("PATCH", f"{WHERE}/status") not in api.requests


class TestPause:
    def test_it_is_paused_and_says_how_to_go_on(self, api: FakeApi) -> None:
        a_rollout(api)
        receipt = act(api, ActionKind.PAUSE)
        assert receipt.ok, receipt
        assert "kubectl argo rollouts abort web -n shop" in receipt.detail
        found = api.objects[WHERE]
        assert found["spec"]["paused"] is True
        assert found["metadata"]["annotations"]["canary-analyzer.io/paused"] == "canary-analyzer a1: so"

    def test_what_is_promoted_is_not_paused(self, api: FakeApi) -> None:
        a_rollout(api)
        receipt = act(api, ActionKind.PAUSE, meanwhile=lambda: promote(api))
        assert not receipt.ok
        assert "there is nothing to pause" in receipt.detail
        assert "paused" not in api.objects[WHERE]["spec"]

    def test_not_allowed_it_is_not_touched(self, api: FakeApi) -> None:
        a_rollout(api)

        def confirm() -> float:
            raise LeaseLost("another's")

        async def acting(rollout: Rollout) -> Receipt:
            return await rollout.take_back(intent(ActionKind.PAUSE, await rollout.look()), confirm)

        with pytest.raises(LeaseLost):
            asked(api, acting)
        assert "paused" not in api.objects[WHERE]["spec"]

    def test_it_is_not_done_twice(self, api: FakeApi) -> None:
        a_rollout(api)
        assert settled(api, ActionKind.PAUSE) is None
        assert act(api, ActionKind.PAUSE).ok
        before = len(api.requests)
        assert settled(api, ActionKind.PAUSE) is not None
        bodies = [one for one in api.requests[before:] if one[0] == "PATCH"]
        assert bodies == [("PATCH", WHERE)]  # the annotation alone


class TestRetry:
    def test_an_abort_is_cleared(self, api: FakeApi) -> None:
        found = a_rollout(api, abort=True, phase="Degraded")
        found["metadata"]["annotations"][TAKEN_BACK] = "it was bad"
        api.put(WHERE, found)
        asked(api, lambda rollout: rollout.retry())
        assert api.objects[WHERE]["status"]["abort"] is False
        assert TAKEN_BACK not in api.objects[WHERE]["metadata"]["annotations"]
        assert look(api).taken_back == ""

    def test_without_an_abort_nothing_is_changed(self, api: FakeApi) -> None:
        a_rollout(api)
        asked(api, lambda rollout: rollout.retry())
        assert not [one for one in api.requests if one[0] == "PATCH"]

    def test_what_is_held_by_hand_is_not_retried(self, api: FakeApi) -> None:
        found = a_rollout(api, abort=True)
        found["metadata"]["annotations"]["canary-analyzer.io/hold"] = "true"
        api.put(WHERE, found)
        with pytest.raises(PlatformError, match="rollout/web was not retried: Rollout web is held by hand"):
            asked(api, lambda rollout: rollout.retry())
        assert api.objects[WHERE]["status"]["abort"] is True
