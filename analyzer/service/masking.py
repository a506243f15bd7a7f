"""What may stand in a line of the log: no secrets, nothing endless, no signs that a terminal or a parser obeys."""

import re
from collections.abc import Mapping

LONGEST = 500
"""Signs of one text."""
MOST = 100
"""Values in one line, however they are nested."""
DEEPEST = 4
"""Mappings and lists within each other."""
MASK = "***"

_LOOKED_AT = 4 * LONGEST  # a secret that the cut at LONGEST would halve is still recognised
_SECRET_KEY = re.compile(
    r"token|authorization|passw|passphrase|secret|credential|api[-_]?key|private[-_]?key|cookie|dsn", re.IGNORECASE
)
_SECRETS = (
    (re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?"), MASK),  # a JSON Web Token, as of a ServiceAccount
    (re.compile(r"\bcanary_[\w-]{0,100}_[0-9A-Za-z]{20,}"), MASK),  # one of our own tokens
    (re.compile(r"(://)[^\s/?#@]{1,500}@"), rf"\1{MASK}@"),  # user and password of an address
    (
        re.compile(
            r"\b(\w{0,30}(?:token|passwd|password|secret|api[-_]?key|authorization)\w{0,30}[\"']?\s?[=:]\s?)"
            r"(?:\"[^\"]+\"|'[^']+'|(?!bearer |basic )[^\s\"'&,;]+)",
            re.IGNORECASE,
        ),
        rf"\1{MASK}",
    ),
)


def is_secret(key: str) -> bool:
    """Whether what stands under this key is never to be shown."""
    return _SECRET_KEY.search(key) is not None


def masked(text: str) -> str:
    """The text with what looks like a credential masked, on one line, and no longer than `LONGEST` signs."""
    cut = text[:_LOOKED_AT]
    for pattern, instead in _SECRETS:
        cut = pattern.sub(instead, cut)
    if len(cut) > LONGEST or len(text) > _LOOKED_AT:
        cut = cut[: LONGEST - 1] + "…"
    return cut if cut.isprintable() else "".join(_visible(sign) for sign in cut)


def _visible(sign: str) -> str:
    return sign if sign.isprintable() else repr(sign)[1:-1]


def clean(values: Mapping[str, object]) -> dict[str, object]:
    """The values as JSON can hold them: masked, bounded, and everything unknown as its text."""
    return _Cleaning().mapping(values, 0)


class _Cleaning:
    def __init__(self) -> None:
        self._left = MOST

    def mapping(self, values: Mapping[str, object], depth: int) -> dict[str, object]:
        cleaned: dict[str, object] = {}
        for key, value in values.items():
            if self._left <= 0:
                cleaned["…"] = "cut"
                break
            self._left -= 1
            name = masked(str(key))
            cleaned[name] = MASK if is_secret(name) and value is not None else self.value(value, depth + 1)
        return cleaned

    def value(self, value: object, depth: int) -> object:
        if isinstance(value, Mapping) and depth < DEEPEST:
            return self.mapping(value, depth)
        if isinstance(value, list | tuple | set | frozenset) and depth < DEEPEST:
            return self.sequence(list(value), depth)
        if value is None or isinstance(value, bool) or _is_number(value):
            return value
        return masked(value if isinstance(value, str) else _text(value))

    def sequence(self, values: list[object], depth: int) -> list[object]:
        cleaned: list[object] = []
        for value in values:
            if self._left <= 0:
                cleaned.append("…")
                break
            self._left -= 1
            cleaned.append(self.value(value, depth + 1))
        return cleaned


def _is_number(value: object) -> bool:
    """JSON has no others that every reader takes."""
    return isinstance(value, int | float) and abs(value) < 2**63  # neither is a NaN


def _text(value: object) -> str:
    try:
        if isinstance(value, BaseException):
            return f"{type(value).__name__}: {value}"
        return str(value)
    except Exception as error:  # noqa: BLE001 -- a thing that cannot be told is no reason to lose the line
        return f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"
