"""The web provider, asked by the real controller of Argo Rollouts: what is not bad is not aborted."""

import pytest

from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import argo
from tests.cluster.scenarios.conftest import Opening


@pytest.fixture(autouse=True)
def _controller(namespace: Namespace) -> None:
    namespace.bed.start("argo-rollouts")


@pytest.mark.parametrize("template", ["canary-analyzer", "canary-analyzer-background"])
def test_a_good_canary_is_promoted_through_every_step(opened: Opening, template: str) -> None:
    with argo(opened, template) as found:
        found.bring_out("good-b")
        found.comes_to("Healthy")
        found.shop.serves("good-b", "good-b")
        (run,) = found.runs()
        assert run["status"]["phase"] == "Successful"
        (analysis,) = found.analyses()
        assert analysis["verdict"] == "pass", analysis
        assert run["status"]["metricResults"][0].get("error", 0) == 0


def test_without_traffic_it_pauses_and_does_not_abort(opened: Opening) -> None:
    with argo(opened, rate=0) as found:
        found.bring_out("good-b")
        found.comes_to("Paused", "InconclusiveAnalysisRun")
        (run,) = found.runs()
        assert run["status"]["phase"] == "Inconclusive"
        assert found.status().get("abort") is not True
