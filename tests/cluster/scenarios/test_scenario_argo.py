"""The web provider, asked by the real controller of Argo Rollouts: a bad canary is aborted."""

import pytest

from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import BAD, TEMPLATES, argo, told
from tests.cluster.scenarios.conftest import Opening


@pytest.fixture(autouse=True)
def _controller(namespace: Namespace) -> None:
    namespace.bed.start("argo-rollouts")


def test_what_is_shipped_is_what_the_controller_knows(namespace: Namespace) -> None:
    """Against the definitions of the pinned version: no field that it does not know, none of another type."""
    for file in sorted(TEMPLATES.parent.glob("*.yaml")):
        text = file.read_text().replace("namespace: shop", f"namespace: {namespace.name}")
        namespace.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-", stdin=text)


@pytest.mark.parametrize("template", ["canary-analyzer", "canary-analyzer-background"])
def test_a_bad_canary_is_aborted_through_the_web_provider_alone(opened: Opening, template: str) -> None:
    with argo(opened, template) as found:
        found.bring_out(BAD)
        found.comes_to("Degraded", "RolloutAborted")
        found.shop.serves("good", "good")
        (run,) = found.runs()
        assert run["status"]["phase"] == "Failed"
        assert told(run)["fail"] is True
        assert "%" in told(run)["reason"]
        (analysis,) = found.analyses()
        assert (analysis["verdict"], analysis["target"], analysis["dry_run"]) == ("fail", "rollout/shop", True)
        assert told(run)["analysis"] == analysis["id"]
