"""What pydantic finds wrong with a rule set, as a sentence that says what to write instead."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic_core import ErrorDetails

from analyzer.model.outline import Outline, child
from analyzer.model.place import TAGS, Location, keys_at, places_of
from analyzer.model.ruleset import METRIC_KINDS
from analyzer.model.suggestion import closest, did_you_mean, listed
from analyzer.model.units import show_duration

Complaint = tuple[str, str]
"""A key, and what is wrong with its value."""

_EXAMPLES = {
    "metadata": "metadata: {name: web}",
    "name": "name: web",
    "spec": "spec: with metrics and rules",
    "rules": "rules: with at least one rule",
    "bad": """bad: 'http_requests_total{code=~"5.."}'""",
    "total": "total: http_requests_total",
    "health": "health: pods",
}
_MAPPINGS: dict[Location, str] = {
    ("<metric rule>", "metric"): "says not what it judges: write metric: NAME, or health: pods",
    ("<query>", "promql"): "a mapping stands here: put a selector with braces in quotes, or write promql: '…'",
}
"""What a mapping without the key that makes it what it is was meant to be."""
_BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}


@dataclass(frozen=True)
class _Fault:
    """One of pydantic's errors. `written` is the value as it stands in the text, empty for mappings and lists."""

    type: str
    location: Location
    value: Any
    written: str
    context: dict[str, Any]
    message: str

    @property
    def name(self) -> str:
        return str(self.location[-1])

    @property
    def found(self) -> str:
        return describe(self.value, self.written)


def complain(error: ErrorDetails, outline: Outline) -> Complaint:
    """The key of one of pydantic's errors, and its sentence."""
    key = ""
    for part in error["loc"]:
        if part not in TAGS and part != "[key]":
            key = child(key, part)
    text = error["input"] if isinstance(error["input"], str) else ""
    fault = _Fault(
        type=error["type"],
        location=error["loc"],
        value=error["input"],
        written=outline.written.get(key, text),
        context=error.get("ctx", {}),
        message=error["msg"],
    )
    if fault.type == "missing" and fault.location[-2:] in _MAPPINGS:
        return key.rpartition(".")[0], _MAPPINGS[fault.location[-2:]]
    return key, _SENTENCES.get(fault.type, _as_pydantic_says)(fault)


def describe(value: object, written: str = "") -> str:
    """What stands there, in words: `a mapping`, `the number 5`."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return f"the truth value {written or str(value).lower()}"
    if isinstance(value, int | float):
        return f"the number {written or value}"
    text = str(value)
    return f"the text {text!r}" if len(text) <= 60 else f"the text {text[:60]!r}…"  # noqa: PLR2004 -- enough to find it by


def _missing(fault: _Fault) -> str:
    return f"is missing: write {_EXAMPLES.get(fault.name, f'{fault.name}: …')}"


def _unknown(fault: _Fault) -> str:
    if fault.name in METRIC_KINDS and set(fault.location[-2:-1]) & TAGS.keys():
        return f"a metric is one of {listed(METRIC_KINDS)}: keep one of them"
    if fault.name == "health" and "<metric rule>" in fault.location:
        return "a rule is of a metric, or of health, not of both: write two rules"
    here = keys_at(fault.location[:-1])
    if match := closest(fault.name, here):
        return f"is not known here: did you mean {match}?"
    if "<health rule>" in fault.location and fault.name in keys_at(("<metric rule>",)):
        return "is for rules of a metric, not of health: take it out"
    if places := places_of(fault.name):
        return f"does not belong here, but into {listed(places)}"
    return f"is not known here: write {listed(here)}"


def _no_kind(fault: _Fault) -> str:
    kinds = f"a metric says its kind, {listed(METRIC_KINDS)}"
    if not isinstance(fault.value, Mapping):
        return f"{fault.found} stands here: {kinds}"
    guesses = [match for name in fault.value if (match := closest(str(name), METRIC_KINDS))]
    return f"{kinds}: did you mean {guesses[0]}?" if guesses else kinds


def _pattern(fault: _Fault) -> str:
    if "parameters" in fault.location or fault.name == "label":
        return f"{fault.value!r} is not a name here: write letters, digits and _, not starting with a digit"
    return f"{fault.value!r} is not a name: write letters, digits, '.', '_' and '-', a letter or digit at both ends"


def _not_allowed(fault: _Fault) -> str:
    allowed = re.findall(r"'([^']*)'", fault.context["expected"])
    if isinstance(fault.value, Mapping | list):
        return f"{fault.found} stands here: write {listed(allowed)}"
    written = fault.written or str(fault.value)
    return f"{written!r} is not known: write {listed(allowed)}{did_you_mean(written, allowed)}"


def _out_of_range(fault: _Fault) -> str:
    written = fault.written or str(fault.value)
    bound = float(next(iter(fault.context.values())))
    shown = f"{bound:g}"
    if written.endswith("%"):
        shown = f"{bound * 100:g}%"
    elif "schedule" in fault.location and bound:
        shown = show_duration(bound)
    hint = ""
    if fault.name == "quantile" and fault.type == "less_than":
        hint = f": write {float(fault.value) / 100:g}" if 1 < float(fault.value) < 100 else ": write 0.99"  # noqa: PLR2004 -- percent
    return f"{written} is out of range: {_BOUNDS[fault.type]} {shown} is meant{hint}"


def _no_text(fault: _Fault) -> str:
    if isinstance(fault.value, Mapping):
        return "a mapping stands here, a text is meant: put a selector with braces in quotes"
    hint = f": write '{fault.written}' in quotes" if fault.written else ""
    return f"{fault.found} stands here, a text is meant{hint}"


def _no_mapping(fault: _Fault) -> str:
    if fault.name in {"tolerance", "passWithin"}:
        return f"{fault.found} stands here, a mapping is meant: write {{relative: 10%}}"
    keys = keys_at(fault.location)
    return f"{fault.found} stands here, a mapping is meant{f' with {listed(keys)}' if keys else ''}"


def _no_list(fault: _Fault) -> str:
    return f"{fault.found} stands here, a list is meant: write [one, two], or one a line after '- '"


def _no_boolean(fault: _Fault) -> str:
    return f"{fault.found} stands here: write true or false"


def _no_whole_number(fault: _Fault) -> str:
    return f"{fault.found} stands here, a whole number is meant, such as 3"


def _no_number(fault: _Fault) -> str:
    percent = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*%", fault.written)
    example = float(percent[1]) / 100 if percent else 0.99 if fault.name == "quantile" else 3
    return f"{fault.found} stands here, a number is meant: write {example:g}"


def _too_short(fault: _Fault) -> str:
    return "is empty: write at least one" if fault.type == "too_short" else "is empty: write a text"


def _too_long(fault: _Fault) -> str:
    return f"is too long: at most {fault.context['max_length']} are read"


def _own_sentence(fault: _Fault) -> str:
    return str(fault.context["error"])


def _as_pydantic_says(fault: _Fault) -> str:
    return fault.message[0].lower() + fault.message[1:]


_SENTENCES: dict[str, Callable[[_Fault], str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown,
    "union_tag_not_found": _no_kind,
    "string_pattern_mismatch": _pattern,
    "enum": _not_allowed,
    "literal_error": _not_allowed,
    **dict.fromkeys(_BOUNDS, _out_of_range),
    "string_type": _no_text,
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), _no_mapping),
    **dict.fromkeys(("tuple_type", "list_type"), _no_list),
    **dict.fromkeys(("bool_parsing", "bool_type"), _no_boolean),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), _no_whole_number),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), _no_number),
    **dict.fromkeys(("too_short", "string_too_short"), _too_short),
    **dict.fromkeys(("too_long", "string_too_long"), _too_long),
    "value_error": _own_sentence,
}
