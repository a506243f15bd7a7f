from typing import Any

import pytest
from jsonschema import Draft202012Validator
from rule_texts import with_rules

from analyzer.model.editor import DIALECT, json_schema
from analyzer.model.outline import outline

SCHEMA = json_schema()


def properties() -> list[tuple[str, str, dict[str, Any]]]:
    """Every key of the schema, with where it stands and how it is described."""
    places = {"RuleSet": SCHEMA, **SCHEMA["$defs"]}
    return [(place, key, value) for place, part in places.items() for key, value in part.get("properties", {}).items()]


def complaints(text: str) -> list[str]:
    return [error.json_path for error in Draft202012Validator(SCHEMA).iter_errors(outline(text, "f")[0].value)]


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == DIALECT
    assert SCHEMA["title"] == "RuleSet"


@pytest.mark.parametrize(
    ("place", "key", "value"), properties(), ids=lambda part: part if isinstance(part, str) else ""
)
def test_every_key_is_in_camel_case_with_a_title_and_a_description(place: str, key: str, value: dict[str, Any]) -> None:
    assert place
    assert "_" not in key
    assert value["title"] == key
    assert len(value["description"]) > 10
    assert {"type": "null"} not in value.get("anyOf", [])


def test_defaults_are_as_a_person_writes_them() -> None:
    defaults = {key: value["default"] for _, key, value in properties() if "default" in value}
    assert defaults["warmup"] == "30s"
    assert defaults["deadline"] == "600s"
    assert defaults["falseAlarm"] == "1%"
    assert defaults["onFail"] == "rollback"
    assert "sides" not in defaults


def test_what_an_editor_sees() -> None:
    good = with_rules(
        "- {metric: errors, limit: 5%, tolerance: {relative: 0.1}}\n- health: targets", "schedule: {warmup: 0}"
    )
    assert complaints(good) == []
    assert complaints(good.replace("limit", "limt")) == ["$.spec.rules[0]"]
    assert complaints(good.replace("warmup: 0", "warmup: 30")) == ["$.spec.schedule.warmup"]
    assert complaints(good.replace("warmup: 0", "warmup: 30s")) == []
    assert complaints(good.replace("v1alpha1", "v1")) == ["$.apiVersion"]
    assert complaints(good.replace("errors: {ratio", "er rors: {ratio")) == ["$.spec.metrics"]
    assert complaints(good.replace("limit: 5%", "limit: ")) == ["$.spec.rules[0]"]
