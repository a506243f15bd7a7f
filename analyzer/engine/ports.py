"""What the engine needs from outside: small protocols, implemented by adapters that know nothing of each other."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from analyzer.model.event import Event
from analyzer.model.plan import Query, SideMatchers
from analyzer.model.reading import Cursor, History, Reading, Window
from analyzer.model.report import Report
from analyzer.model.ruleset import Metric
from analyzer.model.target import Confirm, Deployment, Intent, Receipt, at_any_time


class Clock(Protocol):
    """Wall-clock time."""

    def now(self) -> float:
        """Unix seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after this many seconds."""
        ...


class Source(Protocol):
    """Where readings come from."""

    def query(self, name: str, metric: Metric | None, sides: SideMatchers) -> Query:
        """Render every query of a metric at once (`metric` None: the health of what is named).

        Raises:
            UsageError: the metric or the matchers cannot be asked for here; the sentence says why and what instead.
        """
        ...

    async def lag(self, query: Query) -> float:
        """How many seconds after its end a window is complete: one scrape interval, as observed. Checks the query too.

        Raises:
            SourceError: refused for good, or unavailable now.
        """
        ...

    async def read(self, query: Query, window: Window, cursor: Cursor | None) -> tuple[Reading, Cursor]:
        """One window of both sides, and where the next one goes on from.

        Absences of data come back as `Missing` in the reading; without a cursor reading starts at the window's start.

        Raises:
            SourceUnavailable: nothing was read; ask again later with the same window and cursor.
        """
        ...

    async def history(self, query: Query, span: Window, interval: float) -> History:
        """The baseline's past, in intervals of this many seconds, in two halves.

        Raises:
            SourceError: as for `lag`.
        """
        ...


class Platform(Protocol):
    """What is analysed and taken back."""

    async def look(self) -> Deployment:
        """What is deployed now.

        Raises:
            PlatformError: a sentence for the user; PlatformUnavailable when asking again may help.
        """
        ...

    async def take_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        """Do it, and say what came of it. A failed attempt is a receipt that says so, not an exception.

        Raises:
            LeaseLost: it was not done, for `confirm`, asked right before, did not allow it.
        """
        ...

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:
        """What became of an act that was begun by a process that is no more; None if it never came to be.

        An act that was cut off is finished. One of which nothing can be known is a receipt that says so.

        Raises:
            PlatformUnavailable: it cannot be asked now.
            LeaseLost: it was not finished, as for `take_back`.
        """
        ...


class Record(Protocol):
    """Keeps every event of an analysis, in order."""

    async def append(self, event: Event) -> None:
        """Keep one event; returns when it is safe."""
        ...


class Observer(Protocol):
    """Is told of each change, to show it."""

    def changed(self, report: Callable[[], Report], event: Event) -> None:
        """Something happened; `report` makes the report as it stands after this event, for those who want it."""
        ...


class Permission(Protocol):
    """Says whether an act is allowed where many analyses run."""

    async def withheld(self, intent: Intent) -> str:
        """Why this act is not allowed now, a sentence; empty: it is."""
        ...

    def confirm(self) -> float:
        """Asked right before the act, when its intent is kept: a `Confirm`.

        Raises:
            LeaseLost: the analysis is another process' now.
        """
        ...


class Always:
    """The `Permission` of who runs one analysis: nobody else has a say."""

    async def withheld(self, intent: Intent) -> str:  # noqa: ARG002 -- the port's
        """Never."""
        return ""

    def confirm(self) -> float:
        """Always."""
        return at_any_time()


@dataclass
class Ports:
    """What one analysis works with."""

    source: Source
    platform: Platform
    record: Record
    observer: Observer
    clock: Clock
    actions_on: bool = True
    permission: Permission = field(default_factory=Always)
