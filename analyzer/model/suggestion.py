"""What a person who mistyped a word probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that this one was probably meant to be, or None. Case, `_` and `-` count for little."""
    plain = {_bare(name): name for name in known}
    matches = get_close_matches(_bare(word)[:100], plain, n=1, cutoff=0.6)
    return plain[matches[0]] if matches else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`: did you mean X?`, or nothing."""
    match = closest(word, known)
    return f": did you mean {match}?" if match else ""


def listed(words: Iterable[str], last: str = "or") -> str:
    """`a, b or c`."""
    *first, final = words
    return f"{', '.join(first)} {last} {final}" if first else final


def _bare(word: str) -> str:
    return word.replace("_", "").replace("-", "").lower()
