"""Label selectors as Kubernetes writes them: `tier in (web, api), release!=beta, !legacy`. Pure.

The syntax is that of `kubectl --selector`, without the comparisons of numbers (`>`, `<`), which are for nodes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_NAME, _PREFIX = re.compile(_WORD), re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_TOKEN = re.compile(r"\s*(?P<token>==|!=|[=!(),<>]|[^\s=!(),<>]+)\s*")
_LONGEST_WORD, _LONGEST_PREFIX = 63, 253


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


def check_label_name(name: str) -> str:
    """The name of a label, such as `tier` or `app.kubernetes.io/name`, if it can be one.

    Raises:
        ValueError: it cannot; the words say what to write, and do not repeat it.
    """
    prefix, slash, last = name.rpartition("/")
    fits = len(last) <= _LONGEST_WORD and _NAME.fullmatch(last)
    if not fits or (slash and (len(prefix) > _LONGEST_PREFIX or not _PREFIX.fullmatch(prefix))):
        raise ValueError("is no name of a label: write one such as tier or app.kubernetes.io/name")
    return name


def check_label_value(value: str) -> str:
    """The value of a label, if it can be one; empty is one.

    Raises:
        ValueError: as `check_label_name`.
    """
    if value and (len(value) > _LONGEST_WORD or not _NAME.fullmatch(value)):
        raise ValueError(
            "is no value of a label: write at most 63 letters, digits, '-', '_' and '.', a letter or digit at both ends"
        )
    return value


class _Parser:
    """Reads the tokens of a selector from left to right."""

    def __init__(self, text: str) -> None:
        found = list(_TOKEN.finditer(text))
        self._tokens = [match["token"] for match in found]
        self._starts = [match.start("token") + 1 for match in found]
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
        raise self._wrong("=, !=, in (…) or notin (…)")

    def _key(self) -> str:
        if not _is_word(self._next):
            raise self._wrong("the name of a label")
        return self._checked(check_label_name)

    def _value(self) -> str:
        """One value; nothing is the empty one."""
        return self._checked(check_label_value) if _is_word(self._next) else ""

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

    def _checked(self, check: Callable[[str], str]) -> str:
        try:
            return check(self._take())
        except ValueError as error:
            raise ValueError(f"what begins at sign {self._starts[self._at - 1]} {error}") from None

    def _wrong(self, expected: str) -> ValueError:
        """It does not repeat the text: whatever has slipped into settings may be a secret."""
        where = f"at sign {self._starts[self._at]}" if self._at < len(self._tokens) else "at its end"
        return ValueError(f"{where} {expected} is meant: write a selector such as tier in (web,api),!legacy")


def _is_word(token: str) -> bool:
    return token not in {"", "==", "!=", "=", "!", "(", ")", ",", "<", ">"}
