"""YAML text as plain values, each with the line that it stands on. Nothing of YAML that can surprise is read: no
anchors, aliases, tags, merge keys or directives, no second document; scalars are those of YAML 1.2's core schema, so
that `no` is a text and `1:30` no number.

Keys are written as people write them: `spec.rules[0].limit`.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from analyzer.errors import Mistake, RuleSetError

MAX_DEPTH = 50
MAX_VALUES = 20_000

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOLEAN = re.compile(r"true|True|TRUE|false|False|FALSE")
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,15}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_UNREADABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Outline:
    """The values of a YAML text (mappings, lists, texts, numbers, booleans, None).

    `lines` has the line of each key's value, counted from 1; `written` how a plain scalar stands in the text, such as
    `2s` or `1.10`.
    """

    value: Any
    lines: dict[str, int] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)


def child(key: str, name: str | int) -> str:
    """The key of a mapping's value or a list's item: `spec` and `rules` is `spec.rules`, with 0 `spec.rules[0]`."""
    if isinstance(name, int):
        return f"{key}[{name}]"
    if not name.isprintable():
        name = repr(name)
    return f"{key}.{name}" if key else name


def outline(text: str, file: str) -> tuple[Outline, list[Mistake]]:
    """The values of a YAML text, and the mistakes that do not hinder reading it (a key that stands there twice).

    Raises:
        RuleSetError: the text cannot be read as YAML, or holds something that is not read; one mistake.
    """
    return _Reader(text.removeprefix("\ufeff"), file).read()


class _Reader:
    """Builds values from the events of the YAML parser, so that depth and size are known before memory is spent."""

    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._outline = Outline(None)
        self._mistakes: list[Mistake] = []
        self._values = 0

    def read(self) -> tuple[Outline, list[Mistake]]:
        if unreadable := _UNREADABLE.search(self._text):
            line = self._text.count("\n", 0, unreadable.start()) + 1
            self._refuse(line, "", f"the character U+{ord(unreadable[0]):04X} stands here: this is not a text file")
        try:
            return self._document(YAML(typ="safe", pure=True).parse(self._text))
        except MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 0
            self._refuse(line, "", _say(error.problem or error.context or "it cannot be read"))
        except (YAMLError, ValueError) as error:  # ValueError: an escape such as "\U7fffffff" that is no character
            self._refuse(0, "", _say(str(error).partition("\n")[0]))

    def _document(self, events: Iterator[Event]) -> tuple[Outline, list[Mistake]]:
        next(events)  # the start of the stream
        start = next(events)
        if isinstance(start, StreamEndEvent):
            self._refuse(0, "", "the file is empty: a rule set starts with apiVersion: canary-analyzer.io/v1alpha1")
        if isinstance(start, DocumentStartEvent) and (start.version or start.tags):
            self._refuse(1, "", "directives (%YAML, %TAG) are not read: start with the rule set itself")
        value = self._value(next(events), events, "", 1)
        next(events)  # the end of the document
        if isinstance(after := next(events), DocumentStartEvent):
            self._refuse(after.start_mark.line + 1, "", "a second document starts here: write one rule set a file")
        return Outline(value, self._outline.lines, self._outline.written), self._mistakes

    def _value(self, event: Event, events: Iterator[Event], key: str, depth: int) -> object:
        line = event.start_mark.line + 1
        self._outline.lines.setdefault(key, line)
        self._values += 1
        if self._values > MAX_VALUES:
            self._refuse(line, "", f"more than {MAX_VALUES} values: this is not a rule set")
        if depth > MAX_DEPTH:
            self._refuse(line, "", f"nested more than {MAX_DEPTH} deep: this is not a rule set")
        if isinstance(event, AliasEvent):
            self._refuse(line, key, "aliases (*name) are not read: write the value out")
        assert isinstance(event, ScalarEvent | MappingStartEvent | SequenceStartEvent)
        if event.anchor:
            self._refuse(line, key, f"anchors (&{event.anchor}) are not read: write the value out where it is needed")
        if event.tag:
            self._refuse(line, key, "tags (!…) are not read: write the value alone, a text in quotes")
        if isinstance(event, MappingStartEvent):
            return self._mapping(events, key, depth)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(events, key, depth)
        return self._scalar(event, key)

    def _mapping(self, events: Iterator[Event], key: str, depth: int) -> dict[str, object]:
        values: dict[str, object] = {}
        first: dict[str, int] = {}
        while not isinstance(event := next(events), MappingEndEvent):
            line = event.start_mark.line + 1
            if not isinstance(event, ScalarEvent) or event.anchor or event.tag:
                self._refuse(line, key, "a key here is not a plain text: write name: value")
            name = self._readable(event, key)
            path = child(key, name)
            if name in values:
                message = f"stands here twice, first in line {first[name]}: keep one of them"
                self._mistakes.append(Mistake(self._file, line, path, message))
                self._value(next(events), events, child(key, f"{name} (again)"), depth + 1)
                continue
            self._outline.lines[path] = first[name] = line
            values[name] = self._value(next(events), events, path, depth + 1)
        return values

    def _sequence(self, events: Iterator[Event], key: str, depth: int) -> list[object]:
        values: list[object] = []
        while not isinstance(event := next(events), SequenceEndEvent):
            values.append(self._value(event, events, child(key, len(values)), depth + 1))
        return values

    def _scalar(self, event: ScalarEvent, key: str) -> object:
        text = self._readable(event, key)
        if event.style is not None:
            return text
        self._outline.written[key] = text
        return plain(text)

    def _readable(self, event: ScalarEvent, key: str) -> str:
        """The text of a scalar, which an escape can have made unreadable."""
        text = str(event.value)
        if unreadable := _UNREADABLE.search(text):
            message = f"an escape makes the character U+{ord(unreadable[0]):04X} here: take it out"
            self._refuse(event.start_mark.line + 1, key, message)
        return text

    def _refuse(self, line: int, key: str, message: str) -> NoReturn:
        raise RuleSetError([*self._mistakes, Mistake(self._file, line, key, message)])


def plain(text: str) -> str | int | float | bool | None:
    """What a scalar without quotes is by YAML 1.2's core schema. An integer of more digits than a float has is one."""
    if _NULL.fullmatch(text):
        return None
    if _BOOLEAN.fullmatch(text):
        return text.lower() == "true"
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text.startswith(("0o", "0x")) else int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    if _NOT_FINITE.fullmatch(text):
        return math.nan if "n" in text.lower().removeprefix(".")[:1] else float(text.replace(".", ""))
    return text


def _say(problem: str) -> str:
    """A YAML parser's problem in a sentence, with the usual cause where there is one."""
    if r"'\t'" in problem:
        return "a tab stands here: YAML indents by spaces"
    if "mapping values are not allowed" in problem:
        return "a second colon, or a wrong indentation: put text with a colon in quotes, and keys of one level in line"
    if "cannot start any token" in problem:
        return f"this is not YAML: {problem}: put the text in quotes"
    if "end of stream" in problem or "<stream end>" in problem:
        return "the file ends in the middle of a value: a quote or a bracket is not closed"
    return f"this is not YAML: {problem}"
