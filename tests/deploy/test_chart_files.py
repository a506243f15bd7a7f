"""The chart's files: copies are copies, the schema knows every value, the README says what they are."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import analyzer
from analyzer.model.route import Match, Mode, Route, WorkloadKind
from analyzer.model.ruleset import OnFail
from analyzer.service.settings import Settings
from tests.deploy.chart import CHART, COPIES, EXAMPLES, SCHEMA, VALUES, Json, at, leaves, merged, read, roles

README = (CHART / "README.md").read_text()
TEMPLATES = "\n".join(file.read_text() for file in sorted((CHART / "templates").rglob("*.*")))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_is_what_it_is_a_copy_of(name: str) -> None:
    kept, source = CHART / "files" / name, COPIES[name]
    assert kept.read_bytes() == source.read_bytes(), f"cp {source} {kept}"


def test_no_file_of_the_chart_is_a_link() -> None:
    assert [file for file in CHART.rglob("*") if file.is_symlink()] == []


def test_the_version_is_that_of_the_package() -> None:
    chart = read(CHART / "Chart.yaml")
    assert (chart["appVersion"], chart["version"]) == (analyzer.__version__, analyzer.__version__)


@pytest.mark.parametrize("name", [name for name in COPIES if name.startswith("rbac")])
def test_every_shipped_role_can_be_granted(name: str) -> None:
    shipped = roles(COPIES[name].read_text())
    assert shipped
    template = (CHART / "templates" / "rbac.yaml").read_text()
    assert [role for role in shipped if f'"{role}"' not in template] == []


def test_the_schema_is_one() -> None:
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"
    jsonschema.Draft7Validator.check_schema(SCHEMA)


def _parts(schema: Json, path: str = "") -> list[tuple[str, Json]]:
    found = [(path, schema)]
    for name, part in schema.get("properties", {}).items():
        if path and "items" in path:
            continue
        found += _parts(part, f"{path}.{name}")
    return found


@pytest.mark.parametrize(("path", "part"), _parts(SCHEMA), ids=lambda value: value if isinstance(value, str) else "")
def test_every_value_is_described_and_no_other_is_known(path: str, part: Json) -> None:
    assert part["description"], path
    assert not part["description"].endswith("."), path
    if "properties" in part:
        assert part["additionalProperties"] is False, path


def test_the_schema_knows_every_setting() -> None:
    (pattern,) = SCHEMA["properties"]["settings"]["patternProperties"]  # Helm tells wrong places of propertyNames
    assert pattern == f"^({'|'.join(Settings.model_fields)})$"


def test_the_schema_knows_every_key_of_a_route() -> None:
    route = SCHEMA["definitions"]["route"]["properties"]
    assert set(route) == set(Route.model_fields)
    assert set(route["match"]["properties"]) == set(Match.model_fields)
    assert route["match"]["properties"]["kind"]["enum"] == list(WorkloadKind)
    assert (route["mode"]["enum"], route["on_fail"]["enum"]) == (list(Mode), list(OnFail))


@pytest.mark.parametrize("where", ["canary-analyzer", "images.example:5000/tools/canary-analyzer", "localhost:5000/a"])
def test_an_image_may_be_anywhere(where: str) -> None:
    assert not list(VALIDATOR.iter_errors(merged(VALUES, {"image": {"repository": where}})))


def test_the_schema_has_the_values_and_no_others() -> None:
    for path, part in _parts(SCHEMA):
        names = tuple(path.split(".")[1:])
        if "properties" in part and names[:1] != ("probes",):
            assert set(part["properties"]) - {"global"} == set(at(VALUES, names)), path


def test_every_value_that_a_template_reads_is_there() -> None:
    used = {path.rstrip(".") for path in re.findall(r"\$?\.Values\.([A-Za-z_.]+)", TEMPLATES)}
    assert len(used) > 40
    for path in sorted(used):
        at(VALUES, tuple(path.split("."))[: 1 if path.startswith("settings") else None])


def test_every_value_is_read_by_a_template() -> None:
    for name in VALUES:
        assert f".Values.{name}" in TEMPLATES, name


@pytest.mark.parametrize("file", [None, *EXAMPLES], ids=lambda file: file.name if file else "defaults")
def test_the_examples_hold_to_the_schema(file: Path | None) -> None:
    values = merged(VALUES, read(file) if file else {})
    assert [error.message for error in VALIDATOR.iter_errors(values)] == []


BAD: dict[str, Json] = {
    "an unknown value": {"replica": 2},
    "an unknown value deep within": {"database": {"sqlite": {"persistance": {}}}},
    "no replicas": {"replicas": 0},
    "half a replica": {"replicas": 1.5},
    "a mode that there is not": {"watch": {"mode": "enforced"}},
    "a namespace that can be none": {"watch": {"namespaces": ["Shop"]}},
    "a pattern of namespaces": {"watch": {"namespaces": ["shop-*"]}},
    "a time without sense": {"watch": {"catch_up": "1hour"}},
    "a misspelt route": {"watch": {"routes": [{"rule": "http"}]}},
    "a misspelt route within another": {"watch": {"routes": [{"routes": [{"match": {"kind": "Pod"}}]}]}},
    "a parameter that is a number": {"watch": {"routes": [{"rules": "http", "parameters": {"requests": 7}}]}},
    "a setting that there is not": {"settings": {"rollback_per_hour": 5}},
    "an image with its tag": {"image": {"repository": "images.example:5000/canary-analyzer:1.0"}},
    "one text for a list": {"watch": {"namespaces": "shop"}},
    "a rule of RBAC without verbs": {"enforce": {"extraRules": [{"apiGroups": [""], "resources": ["pods"]}]}},
    "a misspelt rule of RBAC": {"enforce": {"extraRules": [{"apiGroup": "", "resources": ["pods"], "verbs": ["get"]}]}},
    "an address without a scheme": {"prometheus": {"url": "prometheus:9090"}},
    "an address with a password": {"prometheus": {"url": "http://a:b@prometheus:9090"}},
    "a port that there is not": {"service": {"port": 70000}},
    "a type of Service that there is not": {"service": {"type": "ExternalName"}},
    "a size without sense": {"database": {"sqlite": {"persistence": {"size": "much"}}}},
    "a tag with a slash": {"image": {"tag": "a/b"}},
    "half a digest": {"image": {"digest": "sha256:abc"}},
    "a Secret with a name that can be none": {"tokens": {"existingSecret": "My Secret"}},
    "a rule set with a name that is a path": {"ruleSets": {"../../etc/passwd": "x"}},
    "a rule set that is a list": {"ruleSets": {"web": []}},
    "a label that is a number": {"podLabels": {"team": 7}},
    "AnalysisTemplates in all namespaces": {"argoTemplates": {"namespaces": ["*"]}},
    "a probe that is never asked": {"probes": {"liveness": {"periodSeconds": 0}}},
}


@pytest.mark.parametrize("values", BAD.values(), ids=BAD)
def test_a_value_that_cannot_be_is_refused(values: Json) -> None:
    assert list(VALIDATOR.iter_errors(merged(VALUES, values)))


def _row(path: tuple[str, ...], part: Json) -> str:
    value: Any = at(VALUES, path)
    text = value if isinstance(value, str) else json.dumps(value)
    shown = "" if value in ("", [], {}) else f"`{text}`"
    return f"| `{'.'.join(path)}` | {shown} | {part['description']} |"


def test_the_readme_has_a_row_for_every_value() -> None:
    table = README[README.index("| value | default | meaning |") :].partition("\n\n")[0].rstrip().splitlines()
    assert table[2:] == [_row(path, part) for path, part in leaves(SCHEMA)]


def test_the_readme_tells_of_every_example() -> None:
    for file in EXAMPLES:
        assert f"[{file.stem}](ci/{file.name})" in README
