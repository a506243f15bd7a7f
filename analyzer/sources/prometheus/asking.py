"""What is asked of a server, and the one way in which every reader asks it."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from analyzer.sources.prometheus.answer import Answer


class Asking(Protocol):
    """Gives answers: a client of its own, or a view on one that many share. Times are in Unix milliseconds.

    An answer may be shared: whoever gets one changes nothing in it.
    """

    async def instant(self, query: str, at: int | None) -> Answer:
        """The value of an expression at a time; None: now, by the server's clock.

        Raises:
            QueryRefused: for good; with the server's own message.
            SourceUnavailable: not now; `kind` says why.
            MalformedAnswer: what came is not what the API promises.
        """
        ...

    async def range(self, query: str, start: int, end: int, step: int) -> Answer:
        """The values of an expression at each step from `start` to `end`. Raises as `instant`."""
        ...


class Client(Asking, Protocol):
    """One that holds connections."""

    async def close(self) -> None:
        """Close them. Nothing can be asked afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class Instant:
    """A question for one time; two that are equal have the same answer."""

    kind: ClassVar[str] = "instant"

    query: str
    at: int | None

    async def put_to(self, client: Asking) -> Answer:
        """Its answer. Raises as the client does."""
        return await client.instant(self.query, self.at)

    @property
    def is_lasting(self) -> bool:
        """Whether its answer is still one a moment later: not that of a question about now."""
        return self.at is not None


@dataclass(frozen=True, slots=True)
class Range:
    """A question for many times."""

    kind: ClassVar[str] = "range"
    is_lasting: ClassVar[bool] = True

    query: str
    start: int
    end: int
    step: int

    async def put_to(self, client: Asking) -> Answer:
        """Its answer. Raises as the client does."""
        return await client.range(self.query, self.start, self.end, self.step)


Question = Instant | Range
