"""The web provider, asked by the real controller of Argo Rollouts: traffic is switched, by a Service or by a router."""

import json
from typing import Any

import pytest

from tests.cluster.load import load
from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import ARGS, BAD, BLUE_GREEN, CANARY, Argo, argo, told
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.shop import RELEASE

HASH = "rollouts-pod-template-hash"
OF_CANARY, OF_STABLE = f"{RELEASE}-canary", f"{RELEASE}-stable"


@pytest.fixture(autouse=True)
def _controller(namespace: Namespace) -> None:
    namespace.bed.start("argo-rollouts")


def analysis(found: Argo, **args: str) -> dict[str, Any]:
    given = {"url": found.serving.url, **args}
    values = [{"name": name, "value": value} for name, value in given.items()]
    return {"templates": [{"templateName": "canary-analyzer"}], "args": [*ARGS, *values]}


def a_service(found: Argo, name: str) -> None:
    """One like the shop's."""
    spec = found.shop.namespace.get("service", RELEASE)["spec"]
    kept = {key: spec[key] for key in ("ports", "selector")}
    found.shop.namespace.apply(
        json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": kept})
    )


@pytest.mark.parametrize("kept", [None, 5], ids=["old-pods-kept", "old-pods-gone"])
def test_after_promotion_the_active_service_goes_back(opened: Opening, kept: int | None) -> None:
    """Old pods are kept until the analysis is over, or for so many seconds: nobody asks them anything."""
    with argo(opened, first=BLUE_GREEN) as found:
        stable = found.status()["stableRS"]
        strategy = {**BLUE_GREEN["blueGreen"], "postPromotionAnalysis": analysis(found, purpose="post-promotion")}
        found.chosen = {"blueGreen": strategy | ({"scaleDownDelaySeconds": kept} if kept else {})}
        found.bring_out(BAD)
        found.comes_to("Degraded", "RolloutAborted")
        assert found.status()["blueGreen"]["activeSelector"] == stable
        assert found.shop.namespace.get("service", RELEASE)["spec"]["selector"][HASH] == stable
        (run,) = found.runs()
        assert run["metadata"]["labels"]["rollout-type"] == "PostPromotion"
        assert told(run)["fail"] is True
        (one,) = found.analyses()
        assert told(run)["analysis"] == one["id"]


def test_a_router_gives_a_bad_canary_no_traffic_any_more(opened: Opening) -> None:
    """With the annotations of ingress-nginx, which the controller writes; the load plays the router."""
    with argo(opened, first=CANARY) as found:
        for name in (OF_CANARY, OF_STABLE):
            a_service(found, name)
        found.shop.namespace.apply(json.dumps(INGRESS))
        routing = {"nginx": {"stableIngress": RELEASE}}
        steps = [{"setWeight": 40}, {"analysis": analysis(found)}]
        services = {"canaryService": OF_CANARY, "stableService": OF_STABLE}
        found.chosen = {"canary": {**services, "trafficRouting": routing, "steps": steps}}
        namespace = found.shop.namespace
        found.bring_out(BAD)
        assert found.status()["canary"]["weights"]["canary"]["weight"] == 40
        assert weight(found) == "40"
        with load(namespace.bed.kubeconfig, namespace.name, OF_CANARY):
            found.comes_to("Degraded", "RolloutAborted")
        assert found.status()["canary"]["weights"]["canary"]["weight"] == 0
        assert weight(found) == "0"
        (run,) = found.runs()
        assert told(run)["fail"] is True


INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": RELEASE},
    "spec": {
        "ingressClassName": "nginx",
        "rules": [
            {
                "host": "shop.example",
                "http": {
                    "paths": [
                        {
                            "path": "/",
                            "pathType": "Prefix",
                            "backend": {"service": {"name": OF_STABLE, "port": {"name": "http"}}},
                        }
                    ]
                },
            }
        ],
    },
}


def weight(found: Argo) -> str:
    """What the router is told: the percentage of the canary."""
    ingress = found.shop.namespace.get("ingress", f"{RELEASE}-{RELEASE}-canary")
    return str(ingress["metadata"]["annotations"]["nginx.ingress.kubernetes.io/canary-weight"])
