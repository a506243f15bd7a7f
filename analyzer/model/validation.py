"""Values of a YAML outline into the models of a rule set."""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from analyzer.model.complaint import Complaint, complain
from analyzer.model.outline import Outline, child
from analyzer.model.ruleset import Metric, Rule, RuleSet

_Read = TypeVar("_Read")
_METRIC: TypeAdapter[Metric] = TypeAdapter(Metric)
_RULE: TypeAdapter[Rule] = TypeAdapter(Rule)


def validate(outline: Outline) -> tuple[RuleSet | None, list[Complaint]]:
    """The rule set, or None with what is wrong with it."""
    empty = dict.fromkeys(_empty(outline.value, ""), "has no value: write one, or take the key out")
    try:
        rule_set = RuleSet.model_validate(outline.value, by_alias=True, by_name=False)
    except ValidationError as error:
        # Of a list with broken items pydantic also says that it is too short, for it does not count them.
        faults = [
            fault for fault in error.errors(include_url=False) if fault["type"] != "too_short" or not fault["input"]
        ]
        found = [complain(fault, outline) for fault in faults]
        told = {key for key, _ in found}
        hollow = [(key, message) for key, message in empty.items() if key.rpartition(".")[0] not in told]
        return None, hollow + [(key, message) for key, message in found if key not in empty]
    return (None, list(empty.items())) if empty else (rule_set, [])


def salvage(value: object) -> tuple[dict[str, Metric | None], dict[int, Rule | None]]:
    """What can be read of the metrics and rules of a broken rule set, so that all mistakes are told at once."""
    spec = value.get("spec") if isinstance(value, Mapping) else None
    metrics = spec.get("metrics") if isinstance(spec, Mapping) else None
    rules = spec.get("rules") if isinstance(spec, Mapping) else None
    return (
        {name: _read(_METRIC, metric) for name, metric in metrics.items()} if isinstance(metrics, Mapping) else {},
        {index: _read(_RULE, rule) for index, rule in enumerate(rules)} if isinstance(rules, list) else {},
    )


def _read(adapter: "TypeAdapter[_Read]", value: object) -> _Read | None:
    try:
        return adapter.validate_python(value, by_alias=True, by_name=False)
    except ValidationError:
        return None


def _empty(value: object, key: str) -> list[str]:
    if value is None:
        return [key]
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [empty for name, below in items for empty in _empty(below, child(key, name))]
