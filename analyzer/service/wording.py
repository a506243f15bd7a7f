"""What pydantic finds wrong with settings, as sentences that say what to write instead.

A value is repeated only where it is a number or a word of a fixed list: any text could be a secret in the wrong place.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from analyzer.model.suggestion import closest, did_you_mean, listed
from analyzer.service.keys import Path, dotted, every_key, exists, keys_at

_BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_PATTERNS = {
    "sha256": "is no SHA-256: write the 64 hexadecimal digits that canary token NAME has printed, not the token itself",
    "subject": "is no subject: write system:serviceaccount:NAMESPACE:NAME, or group:NAME",
    "namespace": "is no namespace: write small letters, digits and '-'",
    "namespaces": "is no namespace: write small letters, digits and '-', or '*' for all",
    "grants": "is no namespace: write small letters, digits and '-', or '*' for all",
}
_LONGEST = 40  # characters of a word that is repeated


@dataclass(frozen=True)
class _Fault:
    path: Path
    value: object
    context: Mapping[str, Any]


def sentences(model: type[BaseModel], error: ValidationError) -> Iterator[tuple[Path, str]]:
    """Each mistake: where, and what to write instead."""
    for each in error.errors(include_url=False):
        path: Path = tuple(part for part in each["loc"] if part != "[key]")
        yield path, _sentence(model, path, each["type"], each)


def unknown(model: type[BaseModel], path: Path, shown: Callable[[str], str] = str) -> str:
    """What to write instead of a key that is not known; `shown` is how keys are spelled there."""
    length = next(length for length in range(1, len(path) + 1) if not exists(model, path[:length]))
    around, name, below = path[: length - 1], str(path[length - 1]), path[length:]
    known = keys_at(model, around)
    if not known:
        return "does not belong here: take it out"
    if match := closest(name, known):
        whole = (*around, match, *below)
        return f"is not known: did you mean {shown(dotted(whole if exists(model, whole) else (*around, match)))}?"
    if elsewhere := [key for key in every_key(model) if key.rpartition(".")[2] == str(path[-1])]:
        return f"does not belong here: did you mean {shown(elsewhere[0])}?"
    return f"is not known: write {listed(shown(dotted((*around, key))) for key in known)}"


def _sentence(model: type[BaseModel], path: Path, kind: str, found: Mapping[str, Any]) -> str:
    value, context = found["input"], found.get("ctx", {})
    if kind == "extra_forbidden":
        return unknown(model, path)
    if value is None:
        return "has no value: write one, or take the key out"
    if kind in _BOUNDS:
        bound = next(iter(context.values()))
        return f"{value} is out of range: {_BOUNDS[kind]} {_number(bound)} is meant"
    if told := _SENTENCES.get(kind):
        return told(_Fault(path, value, context))
    return _KINDS.get(kind, "cannot be used: see docs/serve.md")


def _missing(fault: _Fault) -> str:
    return f"is missing: write {fault.path[-1]}: …"


def _too_long(fault: _Fault) -> str:
    return f"is too long: at most {fault.context['max_length']} are meant"


def _own_sentence(fault: _Fault) -> str:
    return str(fault.context["error"])


def _no_such_word(fault: _Fault) -> str:
    allowed = re.findall(r"'([^']*)'", str(fault.context["expected"]))
    value = fault.value
    word = value if isinstance(value, str) and re.fullmatch(r"[\w-]+", value) and len(value) <= _LONGEST else ""
    return f"{f'{word} ' if word else ''}is not known: write {listed(allowed)}{did_you_mean(word, allowed)}"


def _number(bound: object) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _pattern(fault: _Fault) -> str:
    for part in reversed(fault.path):
        if part in _PATTERNS:
            return _PATTERNS[str(part)]
    return "is no name: write letters, digits, '.', '_' and '-', at most 100, a letter or digit at both ends"


_SENTENCES: dict[str, Callable[[_Fault], str]] = {
    "missing": _missing,
    "value_error": _own_sentence,
    "enum": _no_such_word,
    "string_pattern_mismatch": _pattern,
    **dict.fromkeys(("too_long", "string_too_long"), _too_long),
}
_KINDS = {
    **dict.fromkeys(("string_type", "path_type"), "is no text: write one, in quotes if it looks like a number"),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type"), "is no mapping: write keys and values"),
    **dict.fromkeys(("tuple_type", "list_type"), "is no list: write [one, two], or one a line after '- '"),
    **dict.fromkeys(("bool_parsing", "bool_type"), "is no truth value: write true or false"),
    **dict.fromkeys(
        ("int_parsing", "int_type", "int_from_float", "int_parsing_size"), "is no whole number: write one, such as 3"
    ),
    **dict.fromkeys(
        ("float_parsing", "float_type", "finite_number"), "is no number: write one, such as 3, or a time such as 10s"
    ),
    **dict.fromkeys(("too_short", "string_too_short"), "is empty: write at least one"),
}
