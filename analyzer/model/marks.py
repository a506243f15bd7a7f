"""The annotations of ours on a workload or a namespace: what they are called, and what they say. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, TypeVar

from analyzer.errors import RuleSetError
from analyzer.model.order import RULES_NAME
from analyzer.model.outline import Outline, outline
from analyzer.model.route import Mode
from analyzer.model.ruleset import OnFail
from analyzer.model.suggestion import closest, did_you_mean, listed

PREFIX: Final = "canary-analyzer.io/"
RULES: Final = f"{PREFIX}rules"
PARAMETERS: Final = f"{PREFIX}parameters"
ON_FAIL: Final = f"{PREFIX}on-fail"
MODE: Final = f"{PREFIX}mode"
PROMETHEUS: Final = f"{PREFIX}prometheus"
READ: Final = (RULES, PARAMETERS, ON_FAIL, MODE, PROMETHEUS, f"{PREFIX}hold")
"""What may be written on a workload or its namespace."""
NONE: Final = "none"
"""The name of no rule set: what has it is left alone."""

_OTHERS = frozenset(
    PREFIX + name
    for name in (
        *("verdict", "judged", "reason", "analysis"),  # results
        *("taken-back", "paused", "promoted", "brought-back"),  # left on Rollouts
        *("migration", "backward-compatible", "automated", "revert", "release"),
    )
)
_CONNECTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")
_MOST_PARAMETERS, _LONGEST_NAME, _SHOWN = 100, 100, 60
_LONGEST_PARAMETERS = 16_384  # signs: Kubernetes takes 256 KiB, which would be read for a second
_Word = TypeVar("_Word", bound=StrEnum)


@dataclass(frozen=True)
class Said:
    """What one place says, None or nothing where it does not. `mistakes` are sentences, by the annotation's name."""

    where: str
    rules: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    mode: Mode | None = None
    on_fail: OnFail | None = None
    prometheus: str | None = None
    mistakes: Mapping[str, str] = field(default_factory=dict)


def said_by(who: str, annotations: Mapping[str, str]) -> Said:
    """What the annotations of an object say; `who` is how sentences name it, such as `Deployment shop/web`."""
    reading = _Reading(who, annotations)
    return Said(
        where=f"annotation of {who}",
        rules=reading.rules(),
        parameters=reading.parameters(),
        mode=reading.word(MODE, Mode),
        on_fail=reading.word(ON_FAIL, OnFail),
        prometheus=reading.connection(),
        mistakes=reading.all_mistakes(),
    )


class _Reading:
    """Reads one annotation after the other, and keeps what is wrong."""

    def __init__(self, who: str, annotations: Mapping[str, str]) -> None:
        self._who = who
        self._annotations = annotations
        self._mistakes: dict[str, str] = {}

    def rules(self) -> str | None:
        text = self._text(RULES, "write the name of a rule set, or none")
        if text is not None and (len(text) > _LONGEST_NAME or not re.fullmatch(RULES_NAME, text)):
            self._wrong(RULES, f"{_quoted(text)} is no name of a rule set: write one such as http, or none")
            return None
        return text

    def connection(self) -> str | None:
        text = self._text(PROMETHEUS, "write the name of a connection of the service's settings")
        if text is not None and not _CONNECTION.fullmatch(text):
            self._wrong(PROMETHEUS, f"{_quoted(text)} is no name of a connection: write one of the service's settings")
            return None
        return text

    def word(self, name: str, words: type[_Word]) -> _Word | None:
        known = [word.value for word in words]
        text = self._text(name, f"write {listed(known)}")
        if text is None or text in known:
            return None if text is None else words(text)
        few = len(known) == 2  # noqa: PLR2004 -- a pair has words of its own
        told = f"neither {listed(known, 'nor')}: write one of them" if few else f"not known: write {listed(known)}"
        self._wrong(name, f"{_quoted(text)} is {told}{'' if few else did_you_mean(text, known)}")
        return None

    def parameters(self) -> Mapping[str, str]:
        example = "write names and values, such as {requests: http_requests_total}"
        text = self._text(PARAMETERS, example)
        if text is None:
            return {}
        if len(text) > _LONGEST_PARAMETERS:
            self._wrong(PARAMETERS, f"has more than {_LONGEST_PARAMETERS >> 10} KiB: write fewer or shorter values")
            return {}
        try:
            found, twice = outline(text, self._who)
        except RuleSetError:
            found, twice = None, []
        if found is None or not isinstance(found.value, dict):
            self._wrong(PARAMETERS, f"is no mapping: {example}")
            return {}
        values = {name: _text_of(found, name, value) for name, value in found.value.items()}
        if twice:
            self._wrong(PARAMETERS, f"has {_quoted(twice[0].key)} twice: keep one of them")
        elif strange := next((name for name, value in values.items() if not value), None):
            self._wrong(PARAMETERS, f"{_quoted(strange)} has no text as its value: {example}")
        elif len(values) > _MOST_PARAMETERS:
            self._wrong(PARAMETERS, f"has {len(values)} values: at most {_MOST_PARAMETERS} are meant")
        else:
            return values
        return {}

    def all_mistakes(self) -> Mapping[str, str]:
        for name in self._annotations:
            if not name.startswith(PREFIX) or name in READ or name in _OTHERS:
                continue
            if match := closest(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in READ]):
                self._wrong(name, f"is not known: did you mean {PREFIX}{match}?")
        return self._mistakes

    def _text(self, name: str, instead: str) -> str | None:
        text = self._annotations.get(name)
        if text is not None and not text.strip():
            self._wrong(name, f"is empty: {instead}, or take it out")
            return None
        return text

    def _wrong(self, name: str, what: str) -> None:
        self._mistakes[name] = f"{self._who}: annotation {_plain(name)}: {what}"


def _text_of(found: Outline, name: str, value: object) -> str:
    """A value as it is written: numbers and truth values are texts here. Empty if it is none."""
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, dict | list) else found.written.get(name, "") or ""


def _quoted(text: str) -> str:
    return f'"{_plain(text)}"'


def _plain(text: str) -> str:
    """Short, and on one line whatever stands in it."""
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text[: _SHOWN + 1])
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"
