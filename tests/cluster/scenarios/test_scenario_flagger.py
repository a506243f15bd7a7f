"""The gate, asked by the real Flagger: a good revision is promoted, a bad one rolled back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.cluster.load import load
from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import BAD
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.serving import Serving
from tests.cluster.scenarios.shop import OF_ROLLOUTS, RELEASE, Shop, rendered, tag_of

HELM = 4
CANARY = f"{RELEASE}-canary"
"""The Service of the new revision: people who try it."""
EXAMPLE = OF_ROLLOUTS.parents[1] / "flagger" / "canary.yaml"
ADDRESS = "http://canary-analyzer.canary.svc"
WITHIN = 180.0
"""Seconds until Flagger has come to its end: it looks every ten."""


@pytest.fixture(autouse=True)
def _controller(namespace: Namespace) -> None:
    namespace.bed.start("flagger")


def canary(serving: Serving) -> str:
    """The example as it is shipped, for this shop, with Flagger's shortest interval and fewest iterations.

    Beside its two webhooks the third type that is answered: it must let the steps go on without a verdict.
    """
    text = EXAMPLE.read_text().replace(ADDRESS, serving.url).replace("token: TOKEN", f"token: {serving.token}")
    document = YAML(typ="safe").load(text.replace("rules: http", "rules: shop"))
    document["metadata"]["name"] = document["spec"]["targetRef"]["name"] = RELEASE
    document["spec"]["analysis"] |= {"interval": "10s", "iterations": 1}
    hooks = document["spec"]["analysis"]["webhooks"]
    metadata = {**hooks[0]["metadata"], "gate": "rollout"}
    hooks.append({**hooks[0], "name": "canary-analyzer-steps", "type": "rollout", "metadata": metadata})
    return json.dumps(document)  # JSON is YAML


class Watched:
    """A shop whose Deployment a Canary watches."""

    def __init__(self, shop: Shop, serving: Serving) -> None:
        self.shop, self.serving = shop, serving

    def bring_out(self, tag: str) -> None:
        """As a pipeline does; how many pods there are is Flagger's business by now."""
        self.shop.note_pods()
        self.shop.namespace.apply(rendered(self.shop.namespace, HELM, tag, "--set", "replicas=null"))

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = self.shop.namespace.get("canary", RELEASE).get("status", {})
        return found

    def comes_to(self, phase: str) -> None:
        try:
            self.shop.namespace.until(lambda: self.status().get("phase") == phase, phase, seconds=WITHIN)
        except TimeoutError as error:
            events = [one["message"] for one in self.shop.namespace.list("events") if one["source"] == FLAGGER]
            raise TimeoutError(f"{error}\n{self.status()}\n{events}\n{self.analyses()}\n{self.serving.said}") from None

    def primary(self) -> list[str]:
        """The tags of the pods that customers get."""
        pods = [pod for pod in self.shop.pods() if pod["metadata"]["name"].startswith(f"{RELEASE}-primary-")]
        return sorted({tag_of(pod) for pod in pods})

    def analyses(self) -> list[dict[str, Any]]:
        answer = self.serving.ask("GET", "/api/v1/analyses")
        assert answer.is_success, answer.text
        found: list[dict[str, Any]] = answer.json()["items"]
        return found

    def refusals(self) -> int:
        """How often Flagger has asked whether to roll back, and has not been told so, as its log says."""
        log = (self.shop.namespace.bed.folder / "logs" / "flagger.log").read_text()
        of_shop = f"{RELEASE}.{self.shop.namespace.name}"
        return sum("not signaling a rollback" in line and of_shop in line for line in log.splitlines())

    def digests(self) -> list[str]:
        """Which pod template each analysis is about, of those that have begun."""
        details = [self.serving.analysis(each["id"]) for each in self.analyses()]
        return [each["report"]["revision"]["digest"] for each in details if each["report"]]


FLAGGER = {"component": "flagger"}


@contextmanager
def watched(opened: Opening) -> Iterator[Watched]:
    with opened(HELM, plain=True) as shop:
        folder = shop.namespace.folder / "rule-sets"
        folder.mkdir()
        rules = shop.rules({"deadline": "4m", "minimum": "15s"})
        (folder / "shop.yaml").write_text(rules.read_text())
        with Serving(shop, acting=False, of="flagger-", rules=[str(folder)]) as serving:
            found = Watched(shop, serving)
            shop.namespace.apply(canary(serving))
            found.comes_to("Initialized")
            yield found


def test_the_example_is_what_flagger_knows(namespace: Namespace) -> None:
    """Against the definitions of the pinned version: no field that it does not know, none of another type."""
    namespace.kubectl("apply", "--dry-run=server", "--validate=strict", f"--filename={EXAMPLE}")


def test_a_bad_revision_is_rolled_back_and_is_analysed_anew_when_it_is_tried_again(opened: Opening) -> None:
    with watched(opened) as found:
        found.bring_out(BAD)
        with load(found.shop.namespace.bed.kubeconfig, found.shop.namespace.name, CANARY):
            found.comes_to("Failed")
        assert found.primary() == ["good"]
        (first,) = found.analyses()
        assert (first["verdict"], first["target"], first["dry_run"]) == ("fail", "flagger/shop", True)
        assert "%" in first["reason"]
        (bad,) = found.digests()
        # The same revision has the same checksum, and an old failure: Flagger tries it once another one was there.
        found.bring_out("good-b")
        found.comes_to("Progressing")
        found.bring_out(BAD)
        found.shop.namespace.until(lambda: found.digests().count(bad) == 2, "another analysis of it")
        assert found.status()["phase"] != "Failed"


def test_a_good_revision_is_promoted_after_its_pass_and_neither_without_data_nor_without_answers(
    opened: Opening,
) -> None:
    with watched(opened) as found:
        found.bring_out("good-b")
        found.comes_to("WaitingPromotion")  # nobody has asked it anything
        found.serving.kill()
        before = found.refusals()
        found.shop.namespace.until(lambda: found.refusals() >= before + 2, "questions that nobody has answered")
        assert found.status()["phase"] == "WaitingPromotion"
        assert found.primary() == ["good"]
        found.serving.start()
        with load(found.shop.namespace.bed.kubeconfig, found.shop.namespace.name, CANARY):
            found.comes_to("Succeeded")
        assert found.primary() == ["good-b"]
        (analysis,) = found.analyses()
        assert analysis["verdict"] == "pass", analysis
