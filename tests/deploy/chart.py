"""The chart of deploy/chart as these tests read it."""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

Json = dict[str, Any]

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "chart"
COPIES = {
    "rbac-serve.yaml": DEPLOY / "serve" / "rbac.yaml",
    "rbac-argocd.yaml": DEPLOY / "argocd" / "rbac.yaml",
    "rbac-flux.yaml": DEPLOY / "flux" / "rbac.yaml",
    "analysis-templates.yaml": DEPLOY / "argo" / "analysis-templates.yaml",
    "cluster-analysis-templates.yaml": DEPLOY / "argo" / "cluster-analysis-templates.yaml",
}
"""What the chart has of other folders: a chart may hold nothing but its own files."""
EXAMPLES = sorted((CHART / "ci").glob("*.yaml"))
SCHEMA: Json = json.loads((CHART / "values.schema.json").read_text())
OURS = 'job="canary-analyzer",namespace="canary"'
"""The matchers of a release `canary-analyzer` in the namespace `canary`."""


def read(file: Path) -> Any:  # noqa: ANN401 -- YAML
    return YAML(typ="safe").load(file.read_text())


def documents(text: str) -> list[Json]:
    return [each for each in YAML(typ="safe").load_all(text) if each]


VALUES: Json = read(CHART / "values.yaml")


def merged(below: Json, above: Mapping[str, Any]) -> Json:
    """Values as Helm merges them."""
    found = deepcopy(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else value
    return found


def leaves(schema: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Json]]:
    """The values that have a row of their own in the README, each with its schema."""
    for name, part in schema["properties"].items():
        if name == "global":
            continue
        if "properties" in part and path != ("probes",):
            yield from leaves(part, (*path, name))
        else:
            yield (*path, name), part


def at(values: Json, path: tuple[str, ...]) -> Any:  # noqa: ANN401 -- YAML
    found: Any = values
    for name in path:
        found = found[name]
    return found


def alerts(matchers: str = OURS) -> list[Json]:
    """files/alerts.yaml as the template makes rules of it."""
    text = (CHART / "files" / "alerts.yaml").read_text().replace("OURS", matchers)
    return [
        {
            "alert": each["alert"],
            "expr": each["expr"],
            **({"for": each["for"]} if "for" in each else {}),
            "labels": {"severity": VALUES["prometheusRule"]["severity"]},
            "annotations": {
                "summary": each["summary"],
                "description": each["description"],
                "runbook_url": f"{VALUES['prometheusRule']['runbookUrl']}#{each['runbook']}",
            },
        }
        for each in YAML(typ="safe").load(text)
    ]


def roles(text: str) -> dict[str, list[Json]]:
    """The rules of each Role and ClusterRole, by its name; the same name twice has the same rules."""
    found: dict[str, list[Json]] = {}
    for each in documents(text):
        if each["kind"] in {"Role", "ClusterRole"}:
            rules = found.setdefault(each["metadata"]["name"], each["rules"])
            assert rules == each["rules"]
    return found


def metrics_of(query: str) -> list[str]:
    return re.findall(r"\b((?:canary|process|python)_[a-z_]+)", query)
