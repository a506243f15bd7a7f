"""One connection to a server that many analyses share: the same question is put once, those who ask take turns."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from analyzer.errors import MalformedAnswer, QueryRefused, SourceUnavailable
from analyzer.model.reading import Absence
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.answer import Answer
from analyzer.sources.prometheus.asking import Asking, Client, Instant, Question, Range
from analyzer.sources.prometheus.client import AT_ONCE, PrometheusClient
from analyzer.sources.prometheus.keeping import KeptAnswers
from analyzer.sources.prometheus.pace import Pace
from analyzer.sources.prometheus.turns import Turn, Turns

PATIENCE = 60.0
"""Seconds that a question waits for its turn at most, where the server answers fast."""
ANSWERS = 8
"""Answers of the present length for which it waits in any case: a slow server is not one that is away."""
MOST_WAITING = 20_000
"""Questions that wait for their turns at most."""
_OVERLOADED = frozenset({Absence.TIMEOUT.value, Absence.UNREACHABLE.value})

Observe = Callable[[str, float, str], None]
"""Told of each exchange with the server: `instant` or `range`; its seconds; and what came of it: `ok`, `refused`,
`malformed`, `timeout`, `unreachable`, `partial` or `cancelled`."""


@dataclass(eq=False)
class _Exchange:
    """A question that waits for its turn or its answer, and how many wait for it."""

    turn: Turn = field(default_factory=Turn)
    waiting: int = 0
    task: asyncio.Task[Answer] = field(init=False)


class SharedClient:
    """Asks one server for many analyses. Make one for each connection in a process; close it after them all.

    With an access it makes its own client. `at_once` are the questions that the server gets at once, at most. `asked`
    counts the questions that came, `shared` those of them that were not put: another one's answer was theirs too.
    """

    def __init__(
        self, server: PrometheusAccess | Client, *, at_once: int = AT_ONCE, observe: Observe | None = None
    ) -> None:
        self._client = PrometheusClient(server, at_once) if isinstance(server, PrometheusAccess) else server
        self._pace = Pace(at_once)
        self._turns = Turns(lambda: self._pace.limit)
        self._kept = KeptAnswers()
        self._exchanges: dict[Question, _Exchange] = {}
        self._tasks: set[asyncio.Task[Answer]] = set()
        self._passing = asyncio.Lock()
        self._observe = observe
        self._is_closed = False
        self.asked = 0
        self.shared = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End what is under way and close all connections. Whoever still waits hears that nothing can be asked now."""
        self._is_closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._kept.clear()
        await self._client.close()

    @property
    def limit(self) -> int:
        """The questions that the server gets at once now: fewer while it is overloaded."""
        return self._pace.limit

    @property
    def at_once(self) -> int:
        """The questions that the server gets at once when it is well."""
        return self._pace.at_once

    @property
    def under_way(self) -> int:
        """Questions that the server has to answer."""
        return self._turns.under_way

    @property
    def waiting(self) -> int:
        """Questions that wait for their turns."""
        return self._turns.waiting

    @property
    def kept_bytes(self) -> int:
        """The size of the answers that are kept, in bytes of JSON."""
        return self._kept.size

    def view(self, who: str) -> "View":
        """One analysis' way to ask; `who` tells it apart from others when turns are taken."""
        return View(self, who)

    async def ask(self, question: Question, who: str) -> Answer:
        """The answer to a question; it must not be changed: others have it too.

        Raises:
            QueryRefused, SourceUnavailable, MalformedAnswer: as the client says; also to all who asked the same.
        """
        self.asked += 1
        if (kept := self._kept.get(question)) is not None:
            self.shared += 1
            return kept
        exchange = self._exchanges.get(question)
        if exchange is None:
            exchange = self._begun(question)
        else:
            self.shared += 1
        self._turns.line_up(exchange.turn, who)
        return await self._result(question, exchange)

    async def one_by_one(self) -> None:
        """Let those who have an answer go on one after the other, each in a step of the event loop of its own.

        What they do with it is work for a processor, and an answer comes to many at once: whatever else the loop has to
        do, such as requests of other people, would wait for them all.
        """
        async with self._passing:
            await asyncio.sleep(0)

    def _begun(self, question: Question) -> _Exchange:
        if self._is_closed:
            raise _closing()
        if self.waiting >= MOST_WAITING:
            raise SourceUnavailable(f"{MOST_WAITING} questions to Prometheus wait already", Absence.TIMEOUT.value)
        exchange = self._exchanges[question] = _Exchange()
        exchange.task = asyncio.create_task(self._exchange(question, exchange.turn))
        self._tasks.add(exchange.task)
        # Not in the task itself: one that is cancelled before its first step never comes to its own end.
        exchange.task.add_done_callback(lambda _: self._over(question, exchange))
        return exchange

    def _over(self, question: Question, exchange: _Exchange) -> None:
        self._tasks.discard(exchange.task)
        self._forget(question, exchange)
        if not exchange.task.cancelled():
            exchange.task.exception()  # those who waited have it; nobody waits for it any more
        self._turns.end(exchange.turn)

    def _forget(self, question: Question, exchange: _Exchange) -> None:
        if self._exchanges.get(question) is exchange:
            del self._exchanges[question]

    async def _result(self, question: Question, exchange: _Exchange) -> Answer:
        exchange.waiting += 1
        try:
            await asyncio.wait({exchange.task})
        finally:
            exchange.waiting -= 1
            if not exchange.waiting and not exchange.task.done():
                self._forget(question, exchange)  # who asks it from now on does not wait for what is broken off
                exchange.task.cancel()
        if exchange.task.cancelled():
            raise _closing()
        return exchange.task.result()

    async def _exchange(self, question: Question, turn: Turn) -> Answer:
        patience = max(PATIENCE, ANSWERS * self._pace.lately)
        try:
            async with asyncio.timeout(patience):
                await turn.comes()
        except TimeoutError:
            raise SourceUnavailable(
                f"a question to Prometheus has waited {patience:.3g} s for its turn: too many are asked for what the "
                "server bears",
                Absence.TIMEOUT.value,
            ) from None
        if self._pace.pause:
            await asyncio.sleep(self._pace.pause)
        answer = await self._put(question)
        self._kept.put(question, answer)
        return answer

    async def _put(self, question: Question) -> Answer:
        loop, asked_at = asyncio.get_running_loop(), self._pace.cuts
        began, outcome = loop.time(), "cancelled"
        try:
            answer = await question.put_to(self._client)
        except SourceUnavailable as error:
            outcome = error.kind
            if outcome in _OVERLOADED:
                self._pace.overloaded(asked_at)
            raise
        except QueryRefused:
            outcome = "refused"
            raise
        except MalformedAnswer:
            outcome = Absence.MALFORMED.value
            raise
        else:
            outcome = "ok"
            self._pace.answered(asked_at, loop.time() - began)
            return answer
        finally:
            if self._observe is not None:
                self._observe(question.kind, loop.time() - began, outcome)


@dataclass(frozen=True)
class View(Asking):
    """One analysis' way to ask a shared client; there is nothing to close."""

    _shared: SharedClient
    _who: str

    async def instant(self, query: str, at: int | None) -> Answer:
        """See `Asking`."""
        return await self._ask(Instant(query, at))

    async def range(self, query: str, start: int, end: int, step: int) -> Answer:
        """See `Asking`."""
        return await self._ask(Range(query, start, end, step))

    async def _ask(self, question: Question) -> Answer:
        answer = await self._shared.ask(question, self._who)
        await self._shared.one_by_one()
        return answer


def _closing() -> SourceUnavailable:
    return SourceUnavailable("the connection to Prometheus is being closed", Absence.UNREACHABLE.value)
