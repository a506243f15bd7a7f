"""How deep a query may be nested. The parser is not asked about one that is deeper. Pure."""

import re

from analyzer.errors import UsageError

LONGEST = 500_000
"""Characters of a query at most: the names of a thousand pods need some."""
DEEPEST = 200
"""Brackets and operators of a query at most. The parser and whoever walks its tree go one call deeper for each, and
the parser ends the whole process when its stack is full."""
_TOKENS = re.compile(
    r"""
    (?: "(?:\\.|[^"\\])*" | '(?:\\.|[^'\\])*' | `[^`]*` | \#[^\n]* )  # strings and comments nest nothing
    | (?P<nesting> [(\[{+*/%^<>!=~@-] | \b(?:and|or|unless|atan2)\b )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)


def check_size(text: str) -> None:
    """Refuse a query that the parser could not bear.

    Raises:
        UsageError: it is too long, or has too many brackets and operators.
    """
    if len(text) > LONGEST:
        raise UsageError(f"a query of {len(text)} characters is too long: {LONGEST} at most")
    if sum(token["nesting"] is not None for token in _TOKENS.finditer(text)) > DEEPEST:
        raise UsageError(f"a query has more than {DEEPEST} brackets and operators: write it as a recording rule")
