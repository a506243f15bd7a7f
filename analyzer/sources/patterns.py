"""What a regular expression in a query costs its parser, told from its text alone. Pure.

The parser compiles each pattern, for all of Unicode, and nothing else runs in the process meanwhile: the class of all
letters alone takes a third of a millisecond, and a count in braces repeats it.
"""

import re

COSTLIEST = 200_000
"""What the patterns of one query may cost; about 30 ms, and 60 ms for very many plain signs."""
_SIGN = 1
_CLASS = 20
_ESCAPE = 400
_WORD = 4000
_FOLDED = 80_000
"""A class that does not stand for plain letters alone, where upper and lower case are the same."""

_QUOTED = re.compile(r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([0-7]{3})|(.))", re.DOTALL)
_PIECES = re.compile(
    r"""
    (?P<escape> \\[pP]\{[^}]*\} | \\[pP]. | \\. )
    | (?P<class> \[ \^? \]? (?: \\. | \[:\^?\w+:\] | [^\]\\] )* \]? )
    | (?P<count> \{ (?P<least> [0-9]+ ) (?P<more> ,\s* (?P<most> [0-9]* ) )? \s* \} )
    | (?P<open> \( ) | (?P<close> \) ) | (?P<any> \. ) | (?P<sign> . )
    """,
    re.VERBOSE | re.DOTALL,
)
_IGNORES_CASE = re.compile(r"\(\?[a-zA-Z]*i")
_PLAIN_CLASS = re.compile(r"\[(?:[ -Z^-~]|\[:\^?\w+:\])*\]")
_NESTED = re.compile(r"\[(?!:)")


def cost_of_literal(literal: str) -> int:
    """The cost of a string as PromQL writes it, with its quotes, if it is a pattern.

    Between backticks nothing is escaped, but for parsers that think so: the costlier way of reading it counts.
    """
    escaped = cost(_QUOTED.sub(_sign, literal[1:-1]))
    return max(escaped, cost(literal[1:-1])) if literal[0] == "`" else escaped


def _sign(escape: re.Match[str]) -> str:
    for number, base in ((escape[1], 16), (escape[2], 16), (escape[3], 16), (escape[4], 8)):
        if number is not None:
            return chr(min(int(number, base), 0x10FFFF))
    return escape[5]


def cost(pattern: str) -> int:
    """About a fifth of a microsecond each; no less than it is, where it matters."""
    ignores_case = _IGNORES_CASE.search(pattern) is not None
    around: list[int] = []  # what the groups that are open have cost before them
    sum_, last = 0, 0  # of this group; of what a count would repeat
    for piece in _PIECES.finditer(pattern):
        if piece["open"]:
            around.append(sum_)
            sum_, last = 0, 0
        elif piece["close"]:
            last = max(sum_, _SIGN)
            sum_ += around.pop() if around else 0
        elif piece["count"]:
            times = max(int(number[:9]) for number in (piece["least"], piece["most"] or "0")) + bool(piece["more"])
            sum_, last = sum_ + last * max(times - 1, 0), last * max(times, 1)
        else:
            last = _of(piece, ignores_case=ignores_case)
            sum_ += last
    return sum_ + sum(around)


def _of(piece: re.Match[str], *, ignores_case: bool) -> int:
    if piece["class"]:
        if _NESTED.search(piece["class"], 1):
            return COSTLIEST + 1  # classes within classes are no PromQL
        if ignores_case and not _PLAIN_CLASS.fullmatch(piece["class"]):
            return _FOLDED
        return _CLASS + sum(map(_escape, re.findall(r"\\.", piece["class"], re.DOTALL)))
    if piece["escape"]:
        return _escape(piece["escape"])
    return _CLASS if piece["any"] else _SIGN


def _escape(escape: str) -> int:
    return _WORD if escape[1] in "wWpP" else _ESCAPE if escape[1] in "dDsS" else _SIGN
