"""A string of PromQL under way: its own text, and values from outside that stay values."""

import re
import warnings

DOLLAR = "\x00"
"""Stands for a dollar sign from outside until the text is put together: never the start of a variable again."""

_SIGNS = re.compile(r"[\\.+*?()|\[\]{}^$]")


class Literal:
    """A string of PromQL under way: what of it is written there already, with the values in it escaped."""

    def __init__(self, quote: str, *, is_regex: bool) -> None:
        self.quote = quote
        self.complaints: list[str] = []
        self._is_regex = is_regex
        self._pieces: list[str] = []
        self._atoms: list[int] = []  # where in the pieces a `${name:regex}` stands
        self._place = _Place()
        self._seen = 0  # so many of the pieces it knows

    def raw(self, piece: str) -> None:
        """A piece of the text itself."""
        self._pieces.append(piece)

    def value(self, value: str, name: str, *, as_regex: bool) -> None:
        """A value in the place of the variable `name`."""
        if as_regex and not self._is_regex:
            self.complaints.append(f"{name} is for strings after =~ and !~: write the name alone")
        elif self._is_regex and (hindrance := self._hindrance()):
            self.complaints.append(f"{name} stands {hindrance} of a regular expression: write it outside of that")
        elif as_regex and (problem := _problem(value)):
            self.complaints.append(f"{value[:100]!r} in the place of {name} is no regular expression: {problem}")
        else:
            if as_regex:
                self._atoms.append(len(self._pieces))
            elif self._is_regex:
                value = _SIGNS.sub(r"\\\g<0>", value)
            self._pieces.append(self._escaped(value, name))

    def text(self) -> str:
        """The string without its quotes."""
        if len(self._pieces) > 1:
            for index in self._atoms:
                self._pieces[index] = f"(?:{self._pieces[index]})"
        text = "".join(self._pieces)
        if self.quote == "`" and f"{DOLLAR}{{" in text:
            self.complaints.append("a string in backticks cannot hold the two signs ${: write it in double quotes")
        return text.replace(f"{DOLLAR}{{", r"\x24{")

    def _escaped(self, value: str, name: str) -> str:
        if self.quote == "`":
            if re.search(r"[`\\\n\r$]", value):
                self.complaints.append(
                    f"{value[:100]!r} cannot stand in backticks: write the string of {name} in double quotes"
                )
            return value
        for sign, escaped in (
            ("\\", r"\\"),
            (self.quote, f"\\{self.quote}"),
            ("\n", r"\n"),
            ("\r", r"\r"),
            ("\t", r"\t"),
        ):
            value = value.replace(sign, escaped)
        return value.replace("$", DOLLAR)

    def _hindrance(self) -> str:
        """Why a value cannot be an atom here: in a class of characters it is several, after a backslash it is one."""
        for piece in self._pieces[self._seen :]:
            self._place.go_on(piece if self.quote == "`" else re.sub(r"\\(.)", r"\1", piece, flags=re.DOTALL))
        self._seen = len(self._pieces)
        return self._place.hindrance


class _Place:
    """Where a regular expression stands that is read from its start on, piece by piece: each sign is read once."""

    def __init__(self) -> None:
        self._is_escaped = False
        self._in_class = False
        self._opening = ""  # what may still stand in a class before its first sign ends it: `^` and `]`

    def go_on(self, piece: str) -> None:
        for sign in piece:
            if self._is_escaped:
                self._is_escaped = False
            elif sign in self._opening:
                self._opening = self._opening.partition(sign)[2]
            else:
                self._opening = ""
                self._take(sign)

    def _take(self, sign: str) -> None:
        if sign == "\\":
            self._is_escaped = True
        elif self._in_class:
            self._in_class = sign != "]"
        elif sign == "[":
            self._in_class, self._opening = True, "^]"

    @property
    def hindrance(self) -> str:
        if self._is_escaped:
            return "after a backslash"
        return "in a class [...]" if self._in_class else ""


def _problem(expression: str) -> str:
    """What is wrong with a regular expression on its own, by Python's reading; RE2's comes with the whole query."""
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(expression)
    except (re.error, OverflowError, RecursionError) as error:
        return str(error) or type(error).__name__
    return ""
