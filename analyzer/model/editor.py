"""The JSON Schema of a rule set, for editors: completion, descriptions, and red lines under unknown keys.

An editor sees less than the reader (`document`): it knows no other rule's name and parses no PromQL.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from analyzer.model.ruleset import API_VERSION, Confidence, RuleSet, RuleSetSpec, Schedule
from analyzer.model.units import write_duration

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    schema_dialect = DIALECT


def json_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of a rule set as a person writes it: camelCase keys, values with their units."""
    schema = RuleSet.model_json_schema(by_alias=True, mode="validation", schema_generator=_Generator)
    definitions = schema["$defs"]
    for model in (Schedule, Confidence, RuleSetSpec):
        _write_defaults(definitions[model.__name__]["properties"], model)
    for definition in (schema, *definitions.values()):
        for name, value in definition.get("properties", {}).items():
            value["title"] = name
            _refuse_null(value)
            if "patternProperties" in value:
                value["additionalProperties"] = False
    return {
        "$schema": DIALECT,
        "$id": f"https://{API_VERSION}/ruleset.schema.json",
        "title": "RuleSet",
        **{key: value for key, value in schema.items() if key != "title"},
    }


def _refuse_null(value: dict[str, Any]) -> None:
    """A key without a value is a mistake to the reader, though the models know it as None."""
    options = [option for option in value.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) < len(value.get("anyOf", ())):
        del value["anyOf"], value["default"]
        written = dict(value)
        value.update(options[0] if len(options) == 1 else {"anyOf": options})
        value.update(written)


def _write_defaults(properties: dict[str, Any], model: type[BaseModel]) -> None:
    """Defaults as a person writes them: `30s`, not 30 seconds as a number; none for whole sections."""
    for field in model.model_fields.values():
        default = field.default
        value = properties[str(field.alias)]
        if isinstance(default, BaseModel):
            value.pop("default", None)
        elif isinstance(default, float) and model is Schedule:
            value["default"] = write_duration(default)
        elif isinstance(default, float):
            value["default"] = f"{default * 100:g}%"
