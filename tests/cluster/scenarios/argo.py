"""A shop that is a Rollout of Argo, whose AnalysisTemplates, those that are shipped, ask `canary serve`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import Serving
from tests.cluster.scenarios.shop import OF_ROLLOUTS, RELEASE, Shop, rendered

HELM = 4
TEMPLATES = OF_ROLLOUTS.parent / "analysis-templates.yaml"
ARGS = [
    {"name": "namespace", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
    {"name": "rollout", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
    {"name": "stable", "valueFrom": {"podTemplateHashValue": "Stable"}},
    {"name": "canary", "valueFrom": {"podTemplateHashValue": "Latest"}},
    {"name": "rules", "value": "shop"},
]
WITHIN = 300.0
"""Seconds until the controller has come to its end."""
CANARY: dict[str, Any] = {"canary": {}}
BLUE_GREEN: dict[str, Any] = {"blueGreen": {"activeService": RELEASE, "autoPromotionEnabled": True}}
PREVIEW = f"{RELEASE}-preview"
BAD = "errors-10"
"""A tag with so many errors that the verdict is never a matter of luck."""


def strategy(url: str, template: str, kind: str) -> dict[str, Any]:
    """What asks the service at this address: at a step, before promotion, or in the background."""
    analysis = {"templates": [{"templateName": template}], "args": [*ARGS, {"name": "url", "value": url}]}
    if kind == "blueGreen":
        analysis["args"] = [*analysis["args"], {"name": "purpose", "value": "pre-promotion"}]
        return {"blueGreen": {**BLUE_GREEN["blueGreen"], "previewService": PREVIEW, "prePromotionAnalysis": analysis}}
    if template.endswith("background"):
        return {"canary": {"analysis": analysis, "steps": [{"setWeight": 50}, {"pause": {"duration": "60s"}}]}}
    return {"canary": {"steps": [{"setWeight": 50}, {"analysis": analysis}]}}


def flags(chosen: dict[str, Any]) -> tuple[str, ...]:
    return "--set", "kind=Rollout", "--set-json", f"strategy={json.dumps(chosen)}"


class Argo:
    """A shop that is a Rollout, whose analyses ask a service."""

    def __init__(self, shop: Shop, serving: Serving, chosen: dict[str, Any]) -> None:
        self.shop, self.serving, self.chosen = shop, serving, chosen

    def bring_out(self, tag: str) -> None:
        """Returns when the controller analyses it."""
        self.shop.note_pods()
        self.shop.namespace.apply(rendered(self.shop.namespace, HELM, tag, *flags(self.chosen)))
        self.shop.namespace.until(self.runs, "an AnalysisRun")

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.shop.namespace.get("rollout", RELEASE)["status"]
        return found

    def comes_to(self, phase: str, message: str = "") -> None:
        def it_has() -> bool:
            found = self.status()
            return found.get("phase") == phase and message in str(found.get("message", ""))

        try:
            self.shop.namespace.until(it_has, f"a Rollout that is {phase} {message}", seconds=WITHIN)
        except TimeoutError as error:
            runs = [one["status"] for one in self.runs()]
            raise TimeoutError(f"{error}\n{self.status()}\n{json.dumps(runs, indent=1)}\n{self.serving.said}") from None

    def runs(self) -> list[dict[str, Any]]:
        return self.shop.namespace.list("analysisruns")

    def analyses(self) -> list[dict[str, Any]]:
        answer = self.serving.ask("GET", "/api/v1/analyses")
        assert answer.is_success, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found


@contextmanager
def argo(
    opened: Opening,
    template: str = "canary-analyzer",
    first: dict[str, Any] = CANARY,
    **wanted: Any,  # noqa: ANN401 -- those of open_shop
) -> Iterator[Argo]:
    """A healthy Rollout with the shipped templates; they ask every four seconds, and not every twenty."""
    with opened(HELM, *flags(first), plain=True, **wanted) as shop:
        folder = shop.namespace.folder / "rule-sets"
        folder.mkdir()
        rules = shop.rules({"deadline": "2m", "minimum": "15s"})  # over before 45 answers are
        (folder / "shop.yaml").write_text(rules.read_text())
        with Serving(shop, acting=False, of="rollouts-", rules=[str(folder)]) as serving:
            secret = ["create", "secret", "generic", "canary-analyzer", f"--from-literal=token={serving.token}"]
            shop.namespace.kubectl(*secret)
            shop.namespace.apply(TEMPLATES.read_text().replace("interval: 20s", "interval: 4s"))
            found = Argo(shop, serving, strategy(serving.url, template, next(iter(first))))
            found.comes_to("Healthy")
            yield found


def told(run: dict[str, Any]) -> dict[str, Any]:
    """What the last measurement keeps: the only place where a reason can be read."""
    found: dict[str, Any] = json.loads(run["status"]["metricResults"][0]["measurements"][-1]["value"])
    return found
