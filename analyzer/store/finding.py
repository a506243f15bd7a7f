"""Lists of analyses, newest first, in pages that stay in place while new analyses come."""

import base64
import json
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from analyzer.errors import UsageError
from analyzer.store.entry import Entry, State, entry_of
from analyzer.store.schema import ANALYSES

_CURSOR = re.compile(r'\[(\d{1,12}(?:\.\d{1,9})?), "([0-9a-z]{1,64})"\]', re.ASCII)
"""When the last analysis of a page was ordered, and its id."""


@dataclass(frozen=True)
class Filter:
    """Which analyses; None: whatever it is. `since` (Unix seconds): ordered at that time or later."""

    namespaces: Collection[str] | None = None
    kind: str | None = None
    name: str | None = None
    state: State | None = None
    verdict: str | None = None
    since: float | None = None

    @property
    def conditions(self) -> Sequence[ColumnElement[bool]]:
        """As SQL."""
        columns = ANALYSES.c
        equal = {
            columns.kind: self.kind,
            columns.name: self.name,
            columns.state: self.state,
            columns.verdict: self.verdict,
        }
        conditions = [column == value for column, value in equal.items() if value is not None]
        if self.namespaces is not None:
            conditions.append(columns.namespace.in_(sorted(self.namespaces)))
        if self.since is not None:
            conditions.append(columns.created_at >= self.since)
        return conditions


@dataclass(frozen=True)
class Page:
    """A page of a list. `cursor` brings the next one; None: this was the last."""

    entries: Sequence[Entry]
    cursor: str | None


async def find(connection: AsyncConnection, filter_: Filter, after: str | None, limit: int) -> Page:
    """One page."""
    key = tuple_(ANALYSES.c.created_at, ANALYSES.c.id)
    wanted = select(ANALYSES).where(*filter_.conditions)
    if after is not None:
        wanted = wanted.where(key < tuple_(*_place(after)))
    wanted = wanted.order_by(ANALYSES.c.created_at.desc(), ANALYSES.c.id.desc()).limit(limit + 1)
    entries = [entry_of(row) for row in (await connection.execute(wanted)).mappings()]
    more = len(entries) > limit
    entries = entries[:limit]
    return Page(entries, _cursor(entries[-1]) if more else None)


async def count(connection: AsyncConnection, filter_: Filter) -> int:
    """How many there are; no row is read whole."""
    counted = select(func.count()).select_from(ANALYSES).where(*filter_.conditions)
    return int((await connection.execute(counted)).scalar_one())


def _cursor(entry: Entry) -> str:
    return base64.urlsafe_b64encode(json.dumps([entry.created_at, entry.id]).encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[float, str]:
    try:
        told = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        told = ""
    if not (place := _CURSOR.fullmatch(told)):
        raise UsageError("after: not a cursor of this list: take `next` of the page before, unchanged")
    return float(place[1]), place[2]
