"""The web provider, asked by the real controller of Argo Rollouts: restarts, retries, and a preview."""

import json

import pytest

from tests.cluster.load import load
from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import BAD, BLUE_GREEN, PREVIEW, WITHIN, argo, told
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.shop import RELEASE


@pytest.fixture(autouse=True)
def _controller(namespace: Namespace) -> None:
    namespace.bed.start("argo-rollouts")


def test_a_service_that_is_killed_and_comes_back_costs_no_good_rollout(opened: Opening) -> None:
    with argo(opened) as found:
        found.bring_out("good-b")
        found.shop.namespace.until(lambda: [one for one in found.analyses() if one["reason"]], "an analysis that reads")
        found.serving.kill()
        found.shop.namespace.until(
            lambda: found.runs()[0]["status"]["metricResults"][0].get("consecutiveError", 0) > 0, "an error"
        )
        found.serving.start()
        found.comes_to("Healthy")
        found.shop.serves("good-b", "good-b")
        (analysis,) = found.analyses()
        assert analysis["verdict"] == "pass", analysis


def test_a_retry_after_an_abort_is_analysed_anew(opened: Opening) -> None:
    with argo(opened) as found:
        found.bring_out(BAD)
        found.comes_to("Degraded", "RolloutAborted")
        patch = '{"status":{"abort":false}}'
        words = ["patch", "rollout", RELEASE, "--subresource=status", "--type=merge", f"--patch={patch}"]
        found.shop.namespace.kubectl(*words)
        found.shop.namespace.until(lambda: len(found.analyses()) == 2, "a second analysis", seconds=WITHIN)
        second, first = found.analyses()
        assert second["id"] != first["id"]
        assert first["verdict"] == "fail"
        found.comes_to("Degraded", "RolloutAborted")
        second, _ = found.analyses()
        assert second["verdict"] == "fail"
        # By what it saw itself: its first window begins with the retry.
        events = found.serving.ask("GET", f"/api/v1/analyses/{second['id']}/events").json()["items"]
        planned = events[0]["event"]["plan"]
        assert planned["upgraded_at"] == pytest.approx(second["created_at"], abs=5)


def test_before_promotion_the_active_service_is_held(opened: Opening) -> None:
    with argo(opened, first=BLUE_GREEN) as found:
        shop = found.shop
        service = shop.namespace.get("service", RELEASE)
        spec = {key: service["spec"][key] for key in ("ports", "selector")}
        preview = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": PREVIEW}, "spec": spec}
        shop.namespace.apply(json.dumps(preview))
        stable = found.status()["stableRS"]
        found.bring_out(BAD)
        with load(shop.namespace.bed.kubeconfig, shop.namespace.name, PREVIEW):  # people who try the preview
            found.comes_to("Degraded", "RolloutAborted")
        assert found.status()["blueGreen"]["activeSelector"] == stable
        (run,) = found.runs()
        assert told(run)["fail"] is True
        assert shop.namespace.get("service", RELEASE)["spec"]["selector"]["rollouts-pod-template-hash"] == stable
