"""Rollouts that the analyzer leads itself: retry, promote, pause, undo, and the shares of a router."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import BAD
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import Serving
from tests.cluster.scenarios.shop import RELEASE, Shop
from tests.cluster.scenarios.test_scenario_rollout import HELM, STEPS, bring_out, check, checking, phase, status

LATE = {"warmup": "15s"}
"""So that a verdict comes after what is done meanwhile."""
MARKED = {
    "antiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": {"weight": 1}},
    "canaryMetadata": {"labels": {"role": "canary"}},
    "stableMetadata": {"labels": {"role": "stable"}},
}
"""The controller writes these into the templates of its ReplicaSets: an undo must take them out again."""
ROUTER = """\
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {selector: {app.kubernetes.io/instance: shop}, ports: [{port: 80, targetPort: http}]}
---
"""
INGRESS = """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  ingressClassName: nginx
  rules:
    - http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: shop-stable, port: {number: 80}}}}]}
"""


def canary(**strategy: object) -> tuple[str, ...]:
    """Flags of a Rollout."""
    return "--set", "kind=Rollout", "--set-json", f"strategy={json.dumps({'canary': strategy})}"


@pytest.fixture(autouse=True)
def _controller(namespace: Namespace) -> None:
    namespace.bed.start("argo-rollouts")


def change_status(shop: Shop, **fields: object) -> None:
    """As kubectl argo rollouts does."""
    patch = json.dumps({"status": fields})
    shop.namespace.kubectl("patch", "rollout", RELEASE, "--subresource=status", "--type=merge", f"--patch={patch}")


def rules(shop: Shop, name: str, schedule: dict[str, Any] | None = None, **spec: object) -> str:
    """A flag; the last one given counts."""
    file = shop.namespace.folder / f"{name}.yaml"
    file.write_text(Path(shop.rules(schedule, **spec)).read_text())
    return f"--rules={file}"


def is_promoted(shop: Shop) -> bool:
    found = status(shop)
    return bool(found.get("stableRS") == found.get("currentPodHash"))


def brought_out_at(shop: Shop) -> float:
    """When the newest revision was, in its first try."""
    sets = shop.namespace.list("replicasets", f"app.kubernetes.io/instance={RELEASE}")
    return max(datetime.fromisoformat(one["metadata"]["creationTimestamp"]).timestamp() for one in sets)


def test_a_retry_is_analysed_anew(opened: Opening) -> None:
    with opened(HELM, *STEPS, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, "good-b", *STEPS)
        phase(shop, "Paused")
        change_status(shop, abort=True)
        phase(shop, "Degraded")
        refused = check(shop)
        assert refused.code == 4
        assert "canary check rollout/shop --retry" in refused.stderr, refused
        retried = check(shop, "--retry", rules(shop, "patient", {"deadline": "4m"}))
        assert retried.summary == (0, "pass", "none", "none", None), retried.reason
        assert retried.report["upgraded_at"] > brought_out_at(shop)
        assert status(shop)["phase"] == "Paused"
        assert not status(shop).get("abort")


def test_what_passes_is_promoted_and_is_what_a_bad_one_after_it_goes_back_to(opened: Opening) -> None:
    steps = canary(steps=[{"setWeight": 50}, {"pause": {}}], **MARKED)
    with opened(HELM, *steps, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, "good-b", *steps)
        passed = check(shop, rules(shop, "promote", onPass="promote"))
        assert passed.summary == (0, "pass", "promote", "done", None), passed
        assert "rollout/shop is promoted: revision 2 is the stable one" in passed.reason
        phase(shop, "Healthy")
        shop.serves("good-b", "good-b")
        bring_out(shop, BAD, *canary(**MARKED))  # no steps: it is promoted before anybody looks
        shop.serves(BAD, BAD)
        phase(shop, "Healthy")
        failed = check(shop)
        assert failed.summary == (10, "fail", "rollback", "done", None), failed
        assert "was undone: what revision 2 was is brought out again" in failed.reason
        shop.serves("good-b", "good-b")
        assert is_promoted(shop)
        written = shop.namespace.get("rollout", RELEASE)["spec"]["template"]
        again = check(shop, "--dry-run", rules(shop, "again", {"deadline": "10s", "minimum": "4s", "warmup": "2s"}))
        assert "is itself a rollback: it will not be rolled back" in again.warnings, again
        assert ("affinity" in written["spec"], "role" in written["metadata"]["labels"]) == (False, False), written


def test_what_is_promoted_during_the_analysis_is_undone_although_the_service_was_killed(opened: Opening) -> None:
    with opened(HELM, *STEPS, plain=True) as shop, Serving(shop, of="rollouts-") as serving:
        phase(shop, "Healthy")
        bring_out(shop, BAD, *STEPS)
        late = Path(rules(shop, "late", LATE).removeprefix("--rules="))
        id_ = serving.order(late, target=f"rollout/{RELEASE}")
        serving.watched(id_)
        serving.kill()
        change_status(shop, promoteFull=True)
        shop.namespace.until(lambda: is_promoted(shop), "a promoted Rollout")
        serving.start()
        ended = serving.ended(id_)
        assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
        assert "was undone: what revision 1 was is brought out again" in ended.reason
        shop.serves("good", "good")
        assert is_promoted(shop)


def test_a_bad_one_is_paused(opened: Opening) -> None:
    with opened(HELM, *STEPS, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, BAD, *STEPS)
        by_hash = {"label": "rollouts_pod_template_hash"}  # which the pods' labels in Prometheus have
        checked = check(shop, rules(shop, "pause", onFail="pause", sides=by_hash))
        assert checked.summary == (11, "fail", "pause", "done", None), checked
        assert "rollout/shop was paused: both revisions keep their pods and traffic" in checked.reason
        assert shop.namespace.get("rollout", RELEASE)["spec"]["paused"] is True
        assert [one["reason"] for one in shop.namespace.list("events") if "Analyzer" in one["reason"]]


def test_the_shares_of_a_router_stand_in_the_record(opened: Opening, namespace: Namespace) -> None:
    """The router is the Ingress that the controller writes: what it would do is the controller's word."""
    services = "".join(ROUTER.replace("NAME", f"shop-{side}") for side in ("stable", "canary"))
    namespace.apply(services + INGRESS)
    routed = {
        "stableService": "shop-stable",
        "canaryService": "shop-canary",
        "trafficRouting": {"nginx": {"stableIngress": "shop"}},
        "steps": [{"setWeight": 25}, {"pause": {"duration": "5s"}}, {"setWeight": 50}, {"pause": {}}],
    }
    flags = canary(**routed)
    with opened(HELM, *flags, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, "good-b", *flags)
        record = shop.namespace.folder / "record"
        with checking(shop, f"--record={record}") as running:
            checked = running.result()
        assert checked.summary == (0, "pass", "none", "none", None), checked
        assert checked.report["stage"] == {"step": 4, "steps": 4, "canary": 0.5, "stable": 0.5}, checked
        with shop.running("replay", str(record), "--output=json") as again:
            assert again.result().report == checked.report


def test_a_rollback_window_is_told_at_the_start(opened: Opening) -> None:
    with opened(HELM, *STEPS, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, "good-b", "--set", "kind=Rollout")
        phase(shop, "Healthy")
        shop.namespace.kubectl(
            "patch", "rollout", RELEASE, "--type=merge", '--patch={"spec":{"rollbackWindow":{"revisions":2}}}'
        )
        bring_out(shop, "good", *STEPS, "--set", "minReadySeconds=120")  # so that it is on its way for a while
        shop.namespace.until(lambda: not is_promoted(shop), "a revision on its way")
        quick = {"warmup": "2s", "minimum": "4s", "deadline": "10s"}
        checked = check(shop, "--dry-run", rules(shop, "quick", quick))
        assert "inside spec.rollbackWindow: the controller takes it for a rollback" in checked.warnings, checked
        assert not is_promoted(shop)
        change_status(shop, abort=True)
        shop.namespace.until(lambda: not status(shop).get("abort"), "a controller that clears the abort")
