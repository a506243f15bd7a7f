"""What is shipped for other controllers: a template and its twin, and examples that hand on what is asked."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from analyzer.platforms.rollout_runs import Purpose
from analyzer.service.gating import Gate

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
ARGO = ROOT / "deploy" / "argo"
EXAMPLES = {purpose: ARGO / f"example-{purpose.value}.yaml" for purpose in Purpose}
DOCUMENTED = ROOT / "docs" / "rollouts.md"
FLAGGER = (ROOT / "docs" / "flagger.md").read_text()


def read(file: Path) -> list[Json]:
    return list(YAML(typ="safe").load_all(file.read_text()))


TEMPLATES = {each["metadata"]["name"]: each["spec"] for each in read(ARGO / "analysis-templates.yaml")}


def test_the_templates_of_a_cluster_are_those_of_a_namespace() -> None:
    of_cluster = read(ARGO / "cluster-analysis-templates.yaml")
    assert {each["kind"] for each in of_cluster} == {"ClusterAnalysisTemplate"}
    assert {each["metadata"]["name"]: each["spec"] for each in of_cluster} == TEMPLATES


def analysis_of(purpose: Purpose) -> Json:
    """The analysis of the example for this purpose."""
    (rollout,) = read(EXAMPLES[purpose])
    strategy = rollout["spec"]["strategy"]
    match purpose:
        case Purpose.BACKGROUND:
            found = strategy["canary"]["analysis"]
        case Purpose.STEP:
            (found,) = [step["analysis"] for step in strategy["canary"]["steps"] if "analysis" in step]
        case Purpose.PRE_PROMOTION:
            found = strategy["blueGreen"]["prePromotionAnalysis"]
        case Purpose.POST_PROMOTION:
            found = strategy["blueGreen"]["postPromotionAnalysis"]
    assert isinstance(found, dict)
    return found


def names(args: Iterable[Json]) -> set[str]:
    return {arg["name"] for arg in args}


@pytest.mark.parametrize("purpose", Purpose)
def test_each_example_hands_on_what_its_template_asks_for(purpose: Purpose) -> None:
    analysis = analysis_of(purpose)
    (template,) = [TEMPLATES[each["templateName"]] for each in analysis["templates"]]
    needed = names(arg for arg in template["args"] if "value" not in arg and "valueFrom" not in arg)
    assert needed <= names(analysis["args"]) <= names(template["args"])
    given = {arg["name"]: arg.get("value") for arg in [*template["args"], *analysis["args"]]}
    url = template["metrics"][0]["provider"]["web"]["url"]
    assert f"purpose={purpose.value}" in url.replace("{{args.purpose}}", str(given.get("purpose")))
    hashes = {arg["name"]: arg["valueFrom"]["podTemplateHashValue"] for arg in analysis["args"] if _is_hash(arg)}
    assert hashes == {"stable": "Stable", "canary": "Latest"}


def _is_hash(arg: Json) -> bool:
    return "podTemplateHashValue" in arg.get("valueFrom", {})


@pytest.mark.parametrize("file", sorted(ARGO.glob("*.yaml")), ids=lambda file: file.name)
def test_every_file_is_in_the_document(file: Path) -> None:
    assert f"deploy/argo/{file.name}" in DOCUMENTED.read_text()


def webhooks(document: Json) -> list[Json]:
    found = document["analysis"]["webhooks"]
    assert isinstance(found, list)
    return found


def test_the_example_for_flagger_is_what_its_document_says() -> None:
    block = FLAGGER.partition("```yaml\n")[2].partition("```")[0]
    documented = webhooks(YAML(typ="safe").load(block))
    (canary,) = read(ROOT / "deploy" / "flagger" / "canary.yaml")
    shipped = webhooks(canary["spec"])
    assert documented == [{key: hook[key] for key in hook if key != "timeout"} for hook in shipped]
    assert [hook["type"] for hook in shipped] == ["rollback", "confirm-promotion"]
    for hook in shipped:
        assert hook["metadata"]["gate"] == hook["type"]


@pytest.mark.parametrize("gate", Gate)
def test_every_gate_of_flagger_is_described(gate: Gate) -> None:
    assert f" `{gate.value}` |" in FLAGGER


@pytest.mark.parametrize("key", ["gate", "rules", "prometheus", "set.NAME", "token"])
def test_every_key_of_the_metadata_is_described(key: str) -> None:
    assert f"| `{key}` |" in FLAGGER
