"""Selectors, matchers and expressions of PromQL: parsed, checked, the sides put into them.

Every mistake is a `UsageError` with a sentence that says what to write instead.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import promql_parser as ast

from analyzer.errors import UsageError
from analyzer.sources.nesting import check_size
from analyzer.sources.rendering import is_classic_name, quote, render_duration, render_expression, render_label

NAME = "__name__"
OWN = 'promql: "…${selector}…[${window}]…"'
ALL_SERIES = 'job=~".*"'
"""Stands for `${selector}` where a side has no matchers: it may be followed by a comma, and matches everything."""

_SIGNS = ((ast.MatchOp.Equal, "="), (ast.MatchOp.NotEqual, "!="), (ast.MatchOp.Re, "=~"), (ast.MatchOp.NotRe, "!~"))
_META = frozenset("\\.+*?()|[]{}^$")


@dataclass(frozen=True)
class Matcher:
    """One label matcher; `sign` is one of `=`, `!=`, `=~`, `!~`."""

    label: str
    sign: str
    value: str

    def __str__(self) -> str:
        return f"{render_label(self.label)}{self.sign}{quote(self.value)}"


@dataclass(frozen=True)
class Selector:
    """A plain vector selector: which series are meant. `name` is empty only inside expressions."""

    name: str
    matchers: tuple[Matcher, ...] = ()

    def __str__(self) -> str:
        if is_classic_name(self.name):
            return f"{self.name}{{{_joined(self.matchers)}}}" if self.matchers else self.name
        named = (Matcher(NAME, "=", self.name),) if self.name else ()
        return f"{{{_joined((*named, *self.matchers))}}}"

    def within(self, matchers: Iterable[Matcher]) -> "Selector":
        """The same with these matchers too; one that is there already is not repeated, others on its label are kept."""
        return replace(self, matchers=tuple(dict.fromkeys((*self.matchers, *matchers))))

    def over(self, milliseconds: int) -> str:
        """The raw samples of this many milliseconds, as PromQL."""
        return f"{self}[{render_duration(milliseconds)}]"


def _joined(matchers: Iterable[Matcher]) -> str:
    return ",".join(str(matcher) for matcher in matchers)


def one_of(label: str, values: Iterable[str]) -> Matcher:
    """A matcher of any of these values, each meant literally."""
    values = sorted(set(values))
    if len(values) == 1:
        return Matcher(label, "=", values[0])
    return Matcher(label, "=~", "|".join("".join(f"\\{c}" if c in _META else c for c in value) for value in values))


def parse(text: str) -> ast.Expr:
    """Any PromQL expression.

    Raises:
        UsageError: it does not parse, with the parser's own message; or the parser could not bear it.
    """
    check_size(text)
    try:
        return ast.parse(text)
    except ValueError as error:  # UnicodeEncodeError, of half a character, is one too
        raise UsageError(f"{_short(text)} is no PromQL: {error}") from error


@lru_cache(maxsize=1024)
def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers of a side, written without braces: `version="2",track="canary"`. Empty matches all.

    Raises:
        UsageError: they are something else than matchers.
    """
    if not text.strip():
        return ()
    try:
        # The line break ends a comment, which could hide the brace otherwise.
        expr = parse(f"side{{{text}\n}}")
    except UsageError as error:
        raise UsageError(_no_matchers(text)) from error
    if not isinstance(expr, ast.VectorSelector) or expr.offset or expr.at or expr.matchers.or_matchers:
        raise UsageError(_no_matchers(text))
    return _matchers(expr)


def _no_matchers(text: str) -> str:
    return f"""{_short(text)} are no matchers: write them without braces, such as version="2" or pod=~"web-2-.*\""""


def parse_selector(text: str, what: str = "a counter") -> Selector:
    """A plain selector of one metric; `what` is told in the sentences.

    Raises:
        UsageError: it is something else; the sentence says what to write.
    """
    expr = parse(text)
    if not isinstance(expr, ast.VectorSelector):
        inner = selectors_in(expr)
        example = str(replace_name(inner[0])) if inner else 'http_requests_total{code=~"5.."}'
        kind = f"{expr.func.name}()" if isinstance(expr, ast.Call) else _KINDS.get(type(expr), "an expression")
        raise UsageError(
            f"{what} is named by its selector alone, and {_short(text)} is {kind}: name the series itself: {example} "
            f"(windows and sides are put in for you, and counts are exact). For what does not fit, write {OWN}"
        )
    if expr.offset or expr.at:
        raise UsageError(f"{_short(text)} has an offset or @: leave it out, windows are put in for you")
    return _named(_selector(expr), text)


_KINDS = {
    ast.MatrixSelector: "a range",
    ast.SubqueryExpr: "a subquery",
    ast.BinaryExpr: "a calculation",
    ast.UnaryExpr: "a calculation",
    ast.AggregateExpr: "an aggregation",
    ast.NumberLiteral: "a number",
    ast.StringLiteral: "a string",
}


def replace_name(selector: Selector) -> Selector:
    """The same selector with its `__name__="x"` written as `x`."""
    names = [m for m in selector.matchers if m.label == NAME and m.sign == "="]
    if selector.name or len(names) != 1:
        return selector
    return Selector(names[0].value, tuple(m for m in selector.matchers if m is not names[0]))


def parse_histogram(text: str) -> Selector:
    """The selector of a histogram, named without `_bucket`: classic and native ones are both asked for.

    Raises:
        UsageError: it is something else; the sentence says what to write.
    """
    selector = parse_selector(text, "a histogram")
    if any(matcher.label == "le" for matcher in selector.matchers):
        raise UsageError(f"{_short(text)} picks buckets by le: leave it out, all buckets are needed")
    for suffix in ("_sum", "_count"):
        if selector.name.endswith(suffix):
            name = selector.name.removesuffix(suffix)
            raise UsageError(f"{_short(text)} is a part of a histogram: name the histogram itself: {name}")
    return replace(selector, name=selector.name.removesuffix("_bucket"))


def _named(selector: Selector, text: str) -> Selector:
    selector = replace_name(selector)
    if any(matcher.label == NAME for matcher in selector.matchers):
        raise UsageError(f"{_short(text)} names its metric by a pattern: name one metric: several cannot be added up")
    if not selector.name:
        raise UsageError(f"{_short(text)} names no metric: write its name before the braces")
    return selector


def _selector(expr: ast.VectorSelector) -> Selector:
    if expr.matchers.or_matchers:
        raise UsageError(f'{expr.name or ""}{{… or …}} is not PromQL of Prometheus: write one matcher, a=~"1|2"')
    return Selector(expr.name or "", _matchers(expr))


def _matchers(expr: ast.VectorSelector) -> tuple[Matcher, ...]:
    return tuple(Matcher(m.name, _sign(m.op), m.value) for m in expr.matchers.matchers)


def _sign(operator: ast.MatchOp) -> str:
    return next(sign for known, sign in _SIGNS if known == operator)  # they cannot be keys: they have no hash


def selectors_in(expr: ast.Expr) -> list[Selector]:
    """Every selector of an expression, in its order.

    Raises:
        UsageError: one of them is not PromQL of Prometheus.
    """
    found: list[Selector] = []

    def collect(selector: ast.VectorSelector) -> str:
        found.append(_selector(selector))
        return ""

    render_expression(expr, collect)
    return found


def canonical(text: str) -> str:
    """An expression over at least one series, in canonical form.

    Raises:
        UsageError: it does not parse, has no series in it, or is a range.
    """
    return within(text, ())


@lru_cache(maxsize=1024)
def within(text: str, matchers: tuple[Matcher, ...]) -> str:
    """An expression with these matchers put into every one of its selectors, also in ranges and subqueries.

    Raises:
        UsageError: as `canonical`.
    """
    expr = parse(text)
    selectors = selectors_in(expr)
    if not selectors:
        raise UsageError(f"{_short(text)} names no series: nothing in it can differ between the sides")
    if isinstance(expr, ast.MatrixSelector | ast.SubqueryExpr):
        raise UsageError(f"{_short(text)} is a range, and one value is wanted: write avg_over_time({_short(text)})")
    return render_expression(expr, lambda selector: str(_selector(selector).within(matchers)))


def fill_own(text: str, matchers: Iterable[Matcher], window: str) -> str:
    """A `promql:` query with `${selector}` (the matchers of a side) and `${window}` filled in.

    Raises:
        UsageError: it does not parse then, or does not use `${selector}`.
    """
    if "${selector}" not in text:
        raise UsageError(
            f"{_short(text)} does not use ${{selector}}: both sides would be the same. Write it where the matchers of "
            "a side belong: rate(x{${selector}}[${window}])"
        )
    filled = fill_matchers(text, matchers).replace("${window}", window)
    parse(filled)
    return filled


def fill_matchers(text: str, matchers: Iterable[Matcher]) -> str:
    """A `promql:` query with the matchers of a side in the place of `${selector}`; `${window}` stays open."""
    return text.replace("${selector}", _joined(matchers) or ALL_SERIES)


def matches(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """Whether a series has these labels; a label that is not there is an empty one. Patterns match the whole value.

    Raises:
        UsageError: a pattern that this program cannot use.
    """
    return all(_agrees(matcher, labels.get(matcher.label, "")) for matcher in matchers)


def _agrees(matcher: Matcher, value: str) -> bool:
    if matcher.sign in {"=", "!="}:
        return (matcher.value == value) == (matcher.sign == "=")
    return (_pattern(matcher.value).fullmatch(value) is not None) == (matcher.sign == "=~")


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise UsageError(f"the pattern {quote(text)} cannot be used here: {error}") from error


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 120 else f"{line[:117]}…"  # noqa: PLR2004 -- what fits into a sentence
