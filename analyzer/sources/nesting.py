"""How deep a query may be nested, and what its patterns may cost. The parser is not asked about one that is more.
Pure."""

import re

from analyzer.errors import UsageError
from analyzer.sources.patterns import COSTLIEST, cost_of_literal

LONGEST = 500_000
"""Characters of a query at most: the names of a thousand pods need some."""
DEEPEST = 200
"""Brackets and operators of a query at most. The parser and whoever walks its tree go one call deeper for each, and
the parser ends the whole process when its stack is full."""
_TOKENS = re.compile(
    r"""
    (?P<string> "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` ) | \#[^\n]*  # strings and comments nest nothing
    | (?P<nesting> [(\[{+*/%^<>!=~@-] | \b(?:and|or|unless|atan2)\b )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def check_size(text: str) -> None:
    """Refuse a query that the parser could not bear.

    Raises:
        UsageError: it is too long, has too many brackets and operators, or a pattern that is too much work.
    """
    if len(text) > LONGEST:
        raise UsageError(f"a query of {len(text)} characters is too long: {LONGEST} at most")
    nesting, work = 0, 0
    for token in _TOKENS.finditer(text):
        nesting += token["nesting"] is not None
        work += cost_of_literal(token["string"]) if token["string"] else 0
    if nesting > DEEPEST:
        raise UsageError(f"a query has more than {DEEPEST} brackets and operators: write it as a recording rule")
    if work > COSTLIEST:
        raise UsageError(
            "the patterns of a query are too much work: write [a-z] instead of \\w or \\p, smaller counts in {}, and "
            "no (?i) around classes"
        )
