"""Where in the schema a key stands, and which keys are known there."""

from types import NoneType, UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel

from analyzer.model.ruleset import METRIC_KINDS, HealthRule, MetricRule, Promql, RuleSet

Location = tuple[int | str, ...]
"""Where pydantic found a mistake: aliases, indices, and the tags of unions."""

TAGS: dict[str, object] = {
    **{f"<{kind}>": model for kind, model in METRIC_KINDS.items()},
    "<metric rule>": MetricRule,
    "<health rule>": HealthRule,
    "<query>": Promql,
    "<selector>": str,
}
"""What each tag of a union stands for."""


def keys_at(location: Location) -> list[str]:
    """The keys that are known at this place; none where no mapping is meant, or one with names of the user's own."""
    return _keys(_type_at(location))


def places_of(key: str) -> list[str]:
    """Where this key belongs, as a person would say it."""
    places = {
        "spec": keys_at(("spec",)),
        **{f"spec.{name}": keys_at(("spec", name)) for name in ("schedule", "sides", "confidence")},
        "a rule of spec.rules": [*_keys(MetricRule), *_keys(HealthRule)],
        "a metric of spec.metrics": [*METRIC_KINDS, "unit"],
        "metadata": keys_at(("metadata",)),
    }
    return [place for place, keys in places.items() if key in keys]


def _type_at(location: Location) -> object:
    current: object = RuleSet
    for part in location:
        if isinstance(part, str) and part in TAGS:
            current = TAGS[part]
        elif isinstance(current, type) and issubclass(current, BaseModel):
            fields = current.model_fields.values()
            current = next((_bare(field.annotation) for field in fields if field.alias == part), None)
        else:
            arguments = get_args(current)
            current = _bare(arguments[1] if get_origin(current) is dict else arguments[0]) if arguments else None
    return current


def _bare(annotation: object) -> object:
    """An annotation without `Annotated` and without `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return next((_bare(part) for part in get_args(annotation) if part is not NoneType), None)
    return annotation


def _keys(annotation: object) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [str(field.alias) for field in annotation.model_fields.values()]
    return []
