"""One selector with `${name}` in it, filled so that a value from outside stays a value. Pure text, no PromQL parser:
a small scanner knows strings, comments, braces and brackets, and what may stand where.

Inside a string the value is taken literally: escaped for PromQL, and after `=~` or `!~` for RE2 as well.
`${name:regex}` is a regular expression and stays one atom of that around it. Outside of strings only a name, a
number, a duration, or (between braces) a list of matchers is a value. `$$` is a dollar sign.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from analyzer.model.literal import DOLLAR, Literal
from analyzer.model.suggestion import did_you_mean

MAX_VALUE = 4096
MAX_FILLED = 1 << 16
OWN = ("selector", "window")
"""Filled by the source that asks, in `promql:` alone."""

_VARIABLE = r"(?P<variable>\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<regex>:regex)?\})"
_OUTSIDE = re.compile(
    rf"{_VARIABLE}|(?P<broken>\$\{{[^}}]*\}}?)|(?P<dollar>\$\$)|(?P<comment>\#[^\n]*)|(?P<quote>[\"'`])"
    r"|(?P<word>[A-Za-z0-9_:.]+)|(?P<operator>=~|!~|!=|==|=)|(?P<space>\s+)|(?P<other>.)",
    re.DOTALL,
)
_INSIDE = re.compile(
    rf"{_VARIABLE}|(?P<broken>\$\{{[^}}]*\}}?)|(?P<dollar>\$\$)|(?P<escape>\\.)|(?P<other>.)", re.DOTALL
)
_NAME = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_DURATION = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+")
_STRING = r"""(?:"(?:[^"\\\n]|\\[abfnrtv\\"'0-7xuU])*"|'(?:[^'\\\n]|\\[abfnrtv\\"'0-7xuU])*')"""
_MATCHER = rf"(?!__name__\b)[A-Za-z_][A-Za-z0-9_]*\s*(?:=~|!~|!=|=)\s*{_STRING}"
# Nothing in it is tried a second time: very many spaces take no longer than as many signs.
_MATCHERS = re.compile(rf"\s*+(?:{_MATCHER}\s*+(?:,\s*+{_MATCHER}\s*+)*+(?:,\s*+)?)?")
_EXAMPLE = """job="web",code!="2\""""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_KEYWORDS = frozenset(
    {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "offset", "bool", "atan2"}
    | {"inf", "nan", "start", "end", "sum", "min", "max", "avg", "count", "stddev", "stdvar", "topk", "bottomk"}
    | {"count_values", "quantile", "group", "limitk", "limit_ratio"}
)


@dataclass
class Filled:
    """A text with its variables filled, what is wrong with it, and the variables that it uses."""

    text: str = ""
    complaints: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)


def fill_selector(text: str, values: Mapping[str, str]) -> Filled:
    """A selector, or an expression over selectors; `${selector}` and `${window}`, which are for `promql:`, refused."""
    return _Filling(text, values, own=False).run()


def fill_query(text: str, values: Mapping[str, str]) -> Filled:
    """A query of the user's own: as `fill_selector`, and `${selector}` and `${window}` stay as they are."""
    return _Filling(text, values, own=True).run()


def fill_matchers(text: str, values: Mapping[str, str]) -> Filled:
    """Matchers without their braces, such as `version="${version}"`."""
    return _Filling(text, values, own=False, depth=1).run()


class _Filling:
    """The scanner's state. `_before` is the last token that was no space; `_word` a word under way, in pieces."""

    def __init__(self, text: str, values: Mapping[str, str], *, own: bool, depth: int = 0) -> None:
        self._text = text
        self._values = values
        self._own = own
        self._braces = depth
        self._brackets = 0
        self._before = "{" if depth else ""
        self._pieces: list[str] = []
        self._word: list[re.Match[str]] = []
        self._drops_comma = False
        self._inserted = 0  # characters of all values
        self._result = Filled()

    def run(self) -> Filled:
        """Scan the text once, from its start to its end."""
        if DOLLAR in self._text:
            self._complain("has the character U+0000 in it: take it out")
            return self._result
        position = 0
        while position < len(self._text):
            token = _OUTSIDE.match(self._text, position)
            assert token is not None  # `other` matches any character
            position = self._take(token)
        self._end_word(len(self._text))
        filled = "".join(self._pieces)
        if max(len(filled), self._inserted) > MAX_FILLED:
            self._result.complaints.append(f"is longer than {MAX_FILLED} characters when filled: write shorter values")
        self._result.text = filled.replace(DOLLAR, "$")
        return self._result

    def _take(self, token: re.Match[str]) -> int:
        """Handle one token outside of strings; returns where to go on."""
        kind, text = token.lastgroup, token[0]
        if kind in {"variable", "word"}:
            self._word.append(token)
            return token.end()
        self._end_word(token.start())
        if kind == "quote":
            return self._string(token.start())
        if kind == "broken":
            self._complain(f"{text!r} is no variable: write ${{name}}, or $${{ for the two signs themselves")
        elif kind == "comment":
            return token.end()  # dropped: a value could not end it, and nobody reads it
        elif kind == "dollar":
            self._complain("$$ is a dollar sign, and stands outside of a string: take it out")
        elif not (text == "," and self._drops_comma):
            self._pieces.append(text)
        self._after(text)
        return token.end()

    def _after(self, text: str) -> None:
        """Keep track of where the scanner is, after any token that is no word."""
        self._braces += {"{": 1, "}": -1}.get(text, 0)
        self._brackets += {"[": 1, "]": -1}.get(text, 0)
        if text.isspace():
            return
        if not (text == "," and self._drops_comma):
            self._before = text
        self._drops_comma = False

    def _complain(self, sentence: str) -> None:
        self._result.complaints.append(sentence)

    def _value(self, name: str) -> str | None:
        """The value of a variable; None, and a complaint, when there is none that could be used."""
        if name in OWN:
            self._complain(f"${{{name}}} is filled in promql: alone: take it out, for the sides are put in anyway")
            return None
        self._result.used.add(name)
        value = self._values.get(name)
        if value is None:
            hint = did_you_mean(name, self._values) or f": write it under spec.parameters, or give --set {name}=VALUE"
            self._complain(f"nobody fills ${{{name}}}{hint}")
        elif len(value) > MAX_VALUE:
            self._complain(f"the value of ${{{name}}} is longer than {MAX_VALUE} characters: write a shorter one")
        elif bad := _CONTROL.search(value):
            self._complain(f"the value of ${{{name}}} has the character U+{ord(bad[0]):04X} in it: take it out")
        else:
            self._inserted += len(value)
            return value if self._inserted <= MAX_FILLED else None  # told at the end
        return None

    # Words: names, numbers, durations and lists of matchers.

    def _end_word(self, end: int) -> None:
        """Put the pieces of a word together, when there are any; `end` is where it ended."""
        tokens, self._word = self._word, []
        if not tokens:
            return
        before, self._before = self._before, tokens[-1][0]
        if not any(token["variable"] for token in tokens):
            self._pieces.extend(token[0] for token in tokens)
            return
        if self._is_kept(tokens):
            self._pieces.append(tokens[0][0])
            return
        values = [self._value(token["name"]) if token["variable"] else token[0] for token in tokens]
        if any(token["regex"] for token in tokens):
            self._complain(":regex is for strings after =~ and !~: write the name alone")
            return
        if all(value is not None for value in values):
            word = "".join(value for value in values if value is not None)
            self._put(word, tokens, before, end)

    def _is_kept(self, tokens: list[re.Match[str]]) -> bool:
        return self._own and len(tokens) == 1 and tokens[0]["name"] in OWN and not tokens[0]["regex"]

    def _put(self, word: str, tokens: list[re.Match[str]], before: str, end: int) -> None:
        after = self._text[end:].lstrip()[:1]
        name = "".join(token[0] for token in tokens)
        if self._braces > 0:
            self._put_between_braces(word, name, before, after, alone=len(tokens) == 1)
        elif self._brackets > 0:
            fits = all(_DURATION.fullmatch(part) for part in word.split(":", 1))
            self._accept(word, fits, f"{name} is between brackets: write a duration, as 5m")
        elif after == "(" or word.lower() in _KEYWORDS:
            self._complain(f"{word!r} in the place of {name} is a word of PromQL itself: write a name or a number")
        else:
            fits = any(pattern.fullmatch(word) for pattern in (_NAME, _NUMBER, _DURATION))
            self._accept(word, fits, f"{word[:100]!r} in the place of {name} is no name, number or duration")

    def _put_between_braces(self, word: str, name: str, before: str, after: str, *, alone: bool) -> None:
        if before not in {"{", ","}:
            self._complain(f"{name} is the value of a matcher: put it in quotes")
        elif after in {"=", "!"}:
            fits = bool(_LABEL.fullmatch(word)) and word != "__name__" and word.lower() not in _KEYWORDS
            self._accept(word, fits, f"{word[:100]!r} in the place of {name} is no name of a label")
        elif not alone or not _MATCHERS.fullmatch(word):
            self._complain(f"{word[:100]!r} in the place of {name} is no list of matchers such as {_EXAMPLE}")
        elif word.strip():
            self._pieces.append(word.strip().rstrip(",").replace("$", DOLLAR).replace(f"{DOLLAR}{{", r"\x24{"))
        elif before == ",":
            self._take_comma_back()
        else:
            self._before, self._drops_comma = before, True

    def _take_comma_back(self) -> None:
        """An empty list of matchers takes the comma before it along, or the one after it: PromQL allows no two."""
        while self._pieces.pop() != ",":
            pass

    def _accept(self, word: str, fits: bool, otherwise: str) -> None:
        if fits:
            self._pieces.append(word)
        else:
            self._complain(otherwise)

    # Strings.

    def _string(self, start: int) -> int:
        """Fill the string that starts here with its quote; returns where it ends."""
        string = Literal(self._text[start], is_regex=self._before in {"=~", "!~"})
        position, end = start + 1, ""
        while position < len(self._text) and not end:
            token = _INSIDE.match(self._text, position)
            assert token is not None  # `other` matches any character
            if token["escape"] and string.quote == "`":
                string.raw(token[0][0])
                position += 1
                continue
            position = token.end()
            if token[0] == string.quote:
                end = token[0]
            elif token["variable"]:
                self._fill_in(string, token)
            elif token["broken"]:
                self._complain(f"{token[0]!r} is no variable: write ${{name}}, or $${{ for the two signs themselves")
            else:
                string.raw(DOLLAR if token["dollar"] else token[0])
        self._pieces.append(string.quote + string.text() + end)
        self._result.complaints.extend(string.complaints)
        self._before = "a string"
        return position

    def _fill_in(self, string: Literal, token: re.Match[str]) -> None:
        if self._is_kept([token]):
            string.raw(token[0])
        elif (value := self._value(token["name"])) is not None:
            string.value(value, token[0], as_regex=bool(token["regex"]))
