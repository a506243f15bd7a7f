"""Parsed PromQL back into text, with everything escaped.

The parser's own `str()` leaves quotes and backslashes in strings as they are, rounds `1500ms` down to `1s` and loses
some offsets: text that is sent to a server is made here instead.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import promql_parser as ast

from analyzer.errors import UsageError

_LEGACY_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_LEGACY_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_UNITS = (("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1))
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

Selecting = Callable[[ast.VectorSelector], str]
"""Gives the text of a selector without offset and `@`: where the sides are put in."""


def quote(text: str) -> str:
    """A PromQL string literal that means exactly this text."""
    return '"' + "".join(_escaped(character) for character in text) + '"'


def _escaped(character: str) -> str:
    if character in _ESCAPES:
        return _ESCAPES[character]
    return character if character.isprintable() or ord(character) > 0x9F else f"\\u{ord(character):04x}"  # noqa: PLR2004 -- the last of the control characters


def render_label(name: str) -> str:
    """A label name; one outside the classic character set is quoted, as Prometheus 3 wants it."""
    return name if _LEGACY_LABEL.fullmatch(name) else quote(name)


def is_classic_name(name: str) -> bool:
    """Whether a metric's name can stand before the braces."""
    return bool(_LEGACY_METRIC.fullmatch(name))


def render_duration(milliseconds: int) -> str:
    """A duration in the largest unit that is exact: 90000 is `90s`, 1500 is `1500ms`."""
    if milliseconds == 0:
        return "0s"
    unit, size = next((unit, size) for unit, size in _UNITS if milliseconds % size == 0)
    return f"{milliseconds // size}{unit}"


def render_expression(expr: ast.Expr, selecting: Selecting) -> str:  # noqa: C901, PLR0911 -- one line for each kind of node
    """The text of an expression, its selectors made by `selecting`.

    Raises:
        UsageError: it holds something that cannot be written for every server.
    """

    def inner(node: ast.Expr) -> str:
        return render_expression(node, selecting)

    match expr:
        case ast.VectorSelector():
            return selecting(expr) + _moved(expr.at, expr.offset)
        case ast.MatrixSelector():
            selector = expr.vector_selector
            return f"{selecting(selector)}[{_span(expr.range)}]{_moved(selector.at, selector.offset)}"
        case ast.SubqueryExpr():
            return f"{inner(expr.expr)}[{_span(expr.range)}:{_span(expr.step)}]{_moved(expr.at, expr.offset)}"
        case ast.ParenExpr():
            return f"({inner(expr.expr)})"
        case ast.UnaryExpr():
            return f"-{inner(expr.expr)}"
        case ast.BinaryExpr():
            return f"{inner(expr.lhs)} {expr.op}{_matching(expr.modifier)} {inner(expr.rhs)}"
        case ast.Call():
            return f"{expr.func.name}({', '.join(inner(argument) for argument in expr.args)})"
        case ast.AggregateExpr():
            arguments = [expr.param, expr.expr] if expr.param is not None else [expr.expr]
            return f"{expr.op}{_grouping(expr.modifier)}({', '.join(inner(argument) for argument in arguments)})"
        case ast.NumberLiteral():
            return _number(expr.val)
        case ast.StringLiteral():
            return quote(expr.val)
    raise UsageError(f"{expr} is PromQL that this version does not know")


def _span(span: timedelta | None) -> str:
    return "" if span is None else render_duration(span // _MILLISECOND)


def _moved(at: ast.AtModifier | None, offset: timedelta | None) -> str:
    text = ""
    if at is not None:
        if at.at is not None:
            text += f" @ {((at.at - _EPOCH) // _MILLISECOND) / 1000:.3f}"
        else:
            text += " @ start()" if at.type == ast.AtModifierType.Start else " @ end()"
    if offset:
        milliseconds = offset // _MILLISECOND
        text += f" offset {'-' if milliseconds < 0 else ''}{render_duration(abs(milliseconds))}"
    return text


def _labels(names: list[str]) -> str:
    return ", ".join(render_label(name) for name in names)


def _grouping(modifier: ast.AggModifier | None) -> str:
    if modifier is None:
        return ""
    word = "by" if modifier.type == ast.AggModifierType.By else "without"
    return f" {word} ({_labels(modifier.labels)}) "


def _matching(modifier: ast.BinModifier | None) -> str:
    if modifier is None:
        return ""
    if modifier.fill_values.lhs is not None or modifier.fill_values.rhs is not None:
        raise UsageError("fill() is experimental, and most servers do not know it: write `or vector(0)` instead")
    text = " bool" if modifier.return_bool else ""
    if modifier.matching is not None:
        word = "on" if modifier.matching.type == ast.LabelModifierType.Include else "ignoring"
        text += f" {word} ({_labels(modifier.matching.labels)})"
    if modifier.card == ast.VectorMatchCardinality.ManyToOne:
        text += f" group_left ({_labels(modifier.group_labels or [])})"
    elif modifier.card == ast.VectorMatchCardinality.OneToMany:
        text += f" group_right ({_labels(modifier.group_labels or [])})"
    return text


def _number(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 -- integers that are exact
