"""Label selectors as Kubernetes writes them: `tier in (web, api), release!=beta, !legacy`. Pure.

The syntax is that of `kubectl --selector`, without the comparisons of numbers (`>`, `<`), which are for nodes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_NAME, _PREFIX = re.compile(_WORD), re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_TOKEN = re.compile(r"\s*(?P<token>==|!=|[=!(),<>]|[^\s=!(),<>]+)\s*")
_LONGEST_WORD, _LONGEST_PREFIX = 63, 253
_SHOWN = 100  # signs of what was written, in a sentence


@dataclass(frozen=True)
class Requirement:
    """One part of a selector. `values` None: the label is there, whatever its value; `negated` turns it round."""

    key: str
    values: frozenset[str] | None
    negated: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil it. What is not there is also not equal."""
        found = self.key in labels if self.values is None else labels.get(self.key) in self.values
        return found != self.negated


@dataclass(frozen=True)
class Selector:
    """All requirements must be met; none is met by everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether these labels fulfil all of it."""
        return all(each.matches(labels) for each in self.requirements)


def parse_selector(text: str) -> Selector:
    """A selector from its text.

    Raises:
        ValueError: it is none; the words say what is wrong with it, and what to write.
    """
    if not text.strip():
        raise ValueError("is empty: leave it out, or write one such as tier in (web,api),!legacy")
    return Selector(tuple(_Parser(text).requirements()))


def check_label(key: str, value: str) -> None:
    """Whether a label of this name and value can be.

    Raises:
        ValueError: it cannot; the words say why.
    """
    _check_key(key)
    _check_value(value)


def _check_key(key: str) -> None:
    prefix, slash, name = key.rpartition("/")
    fits = len(name) <= _LONGEST_WORD and _NAME.fullmatch(name)
    if not fits or (slash and (len(prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(prefix))):
        raise ValueError(f"{_quoted(key)} is no name of a label: write one such as tier or app.kubernetes.io/name")


def _check_value(value: str) -> None:
    if value and (len(value) > _LONGEST_WORD or not _NAME.fullmatch(value)):
        raise ValueError(
            f"{_quoted(value)} is no value of a label: it has letters, digits, '-', '_' and '.', at most 63, "
            "a letter or digit at both ends"
        )


class _Parser:
    """Reads the tokens of a selector from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [match["token"] for match in _TOKEN.finditer(text)]
        self._at = 0

    def requirements(self) -> list[Requirement]:
        found = [self._requirement()]
        while self._at < len(self._tokens):
            self._expect(",")
            found.append(self._requirement())
        return found

    def _requirement(self) -> Requirement:
        if self._next == "!":
            self._take()
            return Requirement(self._key(), None, negated=True)
        key = self._key()
        match self._next:
            case "" | ",":
                return Requirement(key, None)
            case "=" | "==" | "!=" as sign:
                self._take()
                return Requirement(key, frozenset({self._value()}), negated=sign == "!=")
            case "in" | "notin" as word:
                self._take()
                return Requirement(key, frozenset(self._values()), negated=word == "notin")
            case "<" | ">" as sign:
                raise ValueError(f"{sign} is not understood here: write labels with =, !=, in (…), notin (…) or !NAME")
        raise self._wrong("=, !=, in (…) or notin (…)")

    def _key(self) -> str:
        if not _is_word(self._next):
            raise self._wrong("the name of a label")
        key = self._take()
        _check_key(key)
        return key

    def _value(self) -> str:
        """One value; nothing is the empty one."""
        value = self._take() if _is_word(self._next) else ""
        _check_value(value)
        return value

    def _values(self) -> list[str]:
        self._expect("(")
        values = [self._value()]
        while self._next == ",":
            self._take()
            values.append(self._value())
        self._expect(")")
        return values

    @property
    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def _expect(self, sign: str) -> None:
        if self._next != sign:
            raise self._wrong(f"'{sign}'")
        self._take()

    def _wrong(self, expected: str) -> ValueError:
        found = f"{_quoted(self._next)} stands" if self._next else "it ends"
        return ValueError(
            f"{found} where {expected} is meant in {_quoted(self._text)}: write one such as tier in (web,api),!legacy"
        )


def _is_word(token: str) -> bool:
    return token not in {"", "==", "!=", "=", "!", "(", ")", ",", "<", ">"}


def _quoted(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…")
