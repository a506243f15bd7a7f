"""docs/annotations.md has every annotation and every Event, and its examples are read as it says."""

import re
from pathlib import Path

from ruamel.yaml import YAML

from analyzer.model.marks import READ
from analyzer.model.route import Mode
from analyzer.model.wish import Marked, wish_of
from analyzer.platforms.telling import Result
from analyzer.service.notices import WORDS
from analyzer.service.rulesets import EVERY, GONE_AFTER
from analyzer.service.settings import load
from analyzer.service.telling import PATIENCE

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "annotations.md").read_text()
WORKLOAD, SETTINGS = re.findall(r"^```yaml\n(.*?)^```", TEXT, flags=re.MULTILINE | re.DOTALL)


def rows(heading: str) -> list[str]:
    """What stands in the first column of the first table after it."""
    table = TEXT.partition(heading)[2].partition("|---|")[2].partition("\n\n")[0]
    return [name for line in table.splitlines()[1:] for name in re.findall(r"`([^`]+)`", line.split("|")[1])]


def test_every_annotation_has_its_row() -> None:
    assert sorted(rows("## Annotations")) == sorted(READ)
    assert rows("With `watch.annotate: true`") == list(Result("", "", "", "", 0).annotations)


def test_every_event_has_its_row() -> None:
    assert sorted(rows("## What it tells the cluster")) == sorted(WORDS)


def test_the_example_of_a_workload_is_a_wish() -> None:
    metadata = YAML(typ="safe").load(WORKLOAD)["metadata"]
    web = Marked("Deployment", "shop", metadata["name"], {}, metadata["annotations"])
    wish = wish_of([web], Marked("Namespace", "", "shop"), load(None, {}, {}).watch)
    assert wish is not None
    assert (wish.rules, wish.mode, sorted(wish.parameters)) == ("http", Mode.ENFORCE, ["duration", "requests"])


def test_the_example_of_routes_says_what_is_said_of_it(tmp_path: Path) -> None:
    file = tmp_path / "canary.yaml"
    file.write_text(SETTINGS)
    watch = load(file, {}, {}).watch

    def found(kind: str, namespace: str, **labels: str) -> tuple[str, str, str] | None:
        wish = wish_of([Marked(kind, namespace, "web", labels)], Marked("Namespace", "", namespace), watch)
        return None if wish is None else (wish.rules, wish.mode.value, wish.prometheus)

    assert found("Deployment", "edge") == ("envoy", "observe", "edge")
    assert found("Deployment", "shop") is None
    assert found("Deployment", "shop", tier="web") == ("http", "observe", "default")
    assert found("Deployment", "shop", tier="web", legacy="") is None
    assert found("StatefulSet", "shop", tier="web", critical="true") == ("http", "enforce", "default")
    assert found("StatefulSet", "shop", tier="api") is None


def test_its_times_are_those_of_the_code() -> None:
    assert (EVERY, GONE_AFTER, PATIENCE) == (5, 30, 600)


def test_what_kubectl_waits_for_is_what_is_written() -> None:
    ((name, value),) = re.findall(r"kubectl wait --for=jsonpath='\{\.metadata\.annotations\.(\S+)\}'=(\S+) ", TEXT)
    result = Result("pass", "web.v7", "", "3f2a9c0d1e4b", 0)
    assert result.annotations[name.replace("\\.", ".")] == value


def test_the_rights_for_annotations_are_those_of_the_role_and_no_more() -> None:
    documents = YAML(typ="safe").load_all((ROOT / "deploy" / "serve" / "rbac.yaml").read_text())
    (rules,) = [each["rules"] for each in documents if each["metadata"]["name"] == "canary-analyzer-annotate"]
    granted = {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}
    kinds = ("deployments", "statefulsets", "daemonsets", "rollouts")
    assert granted == {(kind, "patch") for kind in kinds}
