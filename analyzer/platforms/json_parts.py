"""Values of a large JSON object, found without building what stands beside them. Pure.

A Helm release is mostly its chart, which nobody asks for here; and what somebody else has written may be made so that
its objects take a hundred times the room of its text.
"""

import json
import re
from collections.abc import Collection, Iterator
from typing import Any, Final

MOST_SIGNS: Final = 3_000_000
"""Brackets and strings that are walked over: seconds of work, and more than any chart has."""

# One that is not ended goes to the end: else it would be looked for again from each quote that is escaped in it.
_STRING: Final = rb'"(?:[^"\\]++|\\.?+)*+(?:"|\Z)'
_SPACE: Final = re.compile(rb"[ \t\r\n]*+")
_NAME: Final = re.compile(_STRING, re.DOTALL)
_SIGN: Final = re.compile(_STRING + rb"|[\[\]{}]|\Z", re.DOTALL)
_PLAIN: Final = re.compile(rb"[-+0-9.eEa-z]++")
_OPENS: Final = frozenset(b"{[")


def values(text: bytes, names: Collection[str], largest: int) -> dict[str, Any]:
    """The values with these names in the outermost object; of more than `largest` bytes: none is built.

    Raises:
        ValueError: it is no JSON object, as far as it was looked at, or a value is too large.
    """
    found: dict[str, Any] = {}
    for name, start, end in _members(text):
        if name in names:
            if end - start > largest:
                raise ValueError(f"its {name} is too large")
            try:
                found[name] = json.loads(text[start:end])
            except RecursionError:
                raise ValueError(f"its {name} is nested too deeply") from None
    return found


def _members(text: bytes) -> Iterator[tuple[str, int, int]]:
    """Each name of the outermost object, and where its value begins and ends."""
    at = _expect(text, _after_space(text, 0), b"{")
    budget = MOST_SIGNS
    empty = _after_space(text, at)
    if text[empty : empty + 1] == b"}":
        return
    while True:
        named = _NAME.match(text, _after_space(text, at))
        if named is None:
            raise ValueError("it is no JSON object")
        start = _after_space(text, _expect(text, _after_space(text, named.end()), b":"))
        end, budget = _value_end(text, start, budget)
        yield json.loads(named[0]), start, end
        at = _after_space(text, end)
        if text[at : at + 1] == b"}":
            return
        at = _expect(text, at, b",")


def _after_space(text: bytes, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _expect(text: bytes, at: int, sign: bytes) -> int:
    if text[at : at + 1] != sign:
        raise ValueError("it is no JSON object")
    return at + 1


def _value_end(text: bytes, start: int, budget: int) -> tuple[int, int]:
    """Where the value that begins here ends, and how many signs may still be walked over."""
    if text[start : start + 1] not in {b"{", b"["}:
        plain = _NAME.match(text, start) or _PLAIN.match(text, start)
        if plain is None:
            raise ValueError("it is no JSON object")
        return plain.end(), budget
    depth = 0
    for match in _SIGN.finditer(text, start):
        budget -= 1
        first = text[match.start()] if match.end() > match.start() else None
        if first is None or budget < 0:
            raise ValueError("it is cut off" if first is None else "it has too many parts")
        if first in _OPENS:
            depth += 1
        elif first != ord('"'):
            depth -= 1
            if not depth:
                return match.end(), budget
    raise ValueError("it is cut off")
