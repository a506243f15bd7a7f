"""The part of a server's data that an analysis may see: matchers that are put into every selector it sends.

The text is parsed, and written anew from what was parsed, right before it is sent. Whatever a rule set holds, each of
its selectors ends up with these matchers, beside its own ones: nobody can see more by writing another one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import promql_parser as ast

from analyzer.errors import QueryRefused, UsageError
from analyzer.model.plan import Query
from analyzer.sources.nesting import check_size
from analyzer.sources.prometheus.answer import Answer
from analyzer.sources.prometheus.asking import Asking
from analyzer.sources.promql import Matcher, parse, parse_matchers, selectors_in
from analyzer.sources.rendering import render_expression

_PLACEHOLDER = re.compile(r"\$\{([^}]*)\}")
_META = frozenset("\\.+*?()|[]{}^$")
_SHORT = 4000
"""Characters of a query up to which its scoped text is kept."""
_IMPLICIT = frozenset({"info"})
"""Functions that read series which no selector names: `info()` joins the target_info of everybody."""
_WINDOW, _STAND_IN = "${window}", "7919ms"
"""A query is shown with its window open, and does not parse so: a duration that nobody writes stands for it."""


def fill_scope(template: str, values: Mapping[str, str]) -> str:
    """The matchers of a scope with each `${name}` in their values replaced, meant literally whatever it holds.

    Raises:
        UsageError: they are no matchers; or a name in them has no value here, or an empty one, which would match the
            series that belong to nobody.
    """
    return ",".join(str(_filled(matcher, values)) for matcher in parse_matchers(template))


def _filled(matcher: Matcher, values: Mapping[str, str]) -> Matcher:
    def literally(placeholder: re.Match[str]) -> str:
        name = placeholder[1]
        if not values.get(name):
            raise UsageError(f"the scope {matcher} needs a {name}, and none is given")
        return _escaped(values[name]) if "~" in matcher.sign else values[name]

    return replace(matcher, value=_PLACEHOLDER.sub(literally, matcher.value))


def _escaped(value: str) -> str:
    return "".join(f"\\{sign}" if sign in _META else sign for sign in value)


def scoped(text: str, scope: tuple[Matcher, ...]) -> str:
    """A query with these matchers in each of its selectors.

    Raises:
        UsageError: it cannot be told what it reads; the sentence says why.
    """
    return _remembered(text, scope) if len(text) <= _SHORT else _scoped(text, scope)


def _scoped(text: str, scope: tuple[Matcher, ...]) -> str:
    check_size(text)
    try:
        expr = parse(text)
        ast.walk(expr, _refuse_implicit)
        selectors = iter(selectors_in(expr))
        return render_expression(expr, lambda _: str(next(selectors).within(scope)))
    except RecursionError:
        raise UsageError("a query is too deeply nested: write it in several metrics, or as a recording rule") from None


_remembered = lru_cache(maxsize=2048)(_scoped)


def _refuse_implicit(node: ast.Expr) -> None:
    if isinstance(node, ast.Call) and node.func.name in _IMPLICIT:
        raise UsageError(f"{node.func.name}() reads series that no selector names: write a join with on (…) instead")


def show_scoped(query: Query, scope: tuple[Matcher, ...]) -> Query:
    """The same query, its `rendered` texts as they are sent.

    Raises:
        UsageError: as `scoped`.
    """
    rendered = {
        name: scoped(text.replace(_WINDOW, _STAND_IN), scope).replace(_STAND_IN, _WINDOW)
        for name, text in query.rendered.items()
    }
    return query.model_copy(update={"rendered": rendered})


@dataclass(frozen=True)
class Scoped(Asking):
    """Asks within a scope alone: whatever goes through it has the matchers in it."""

    _client: Asking
    _scope: tuple[Matcher, ...]

    async def instant(self, query: str, at: int | None) -> Answer:
        """See `Asking`."""
        return await self._client.instant(self._text(query), at)

    async def range(self, query: str, start: int, end: int, step: int) -> Answer:
        """See `Asking`."""
        return await self._client.range(self._text(query), start, end, step)

    def _text(self, query: str) -> str:
        try:
            return scoped(query, self._scope)
        except UsageError as error:
            raise QueryRefused(f"the query is not sent: {error}") from error
