"""One client for many: equal questions are put once, failures are everybody's, cancellation is one's own."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import wraps

import pytest

from analyzer.errors import MalformedAnswer, QueryRefused, SourceError, SourceUnavailable
from analyzer.sources.prometheus import keeping, sharing
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.answer import Answer, float_series
from analyzer.sources.prometheus.asking import Asking, Instant
from analyzer.sources.prometheus.fetching import CHUNK, raw_series
from analyzer.sources.prometheus.keeping import KeptAnswers
from analyzer.sources.prometheus.sharing import SharedClient
from analyzer.sources.promql import Selector
from tests.sources.misbehaving import http, misbehaving, says, vector

TEST = Callable[[], Coroutine[object, object, None]]


def in_a_loop(test: TEST) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), 20))

    return run


@dataclass
class Server:
    """A client whose every answer the test gives; `asked` are the questions that came through, in order."""

    asked: list[str] = field(default_factory=list)
    open: dict[int, asyncio.Future[Answer]] = field(default_factory=dict)
    broken_off: list[str] = field(default_factory=list)
    is_closed: bool = False

    async def instant(self, query: str, at: int | None) -> Answer:
        _ = at
        number = len(self.asked)
        self.asked.append(query)
        future = self.open[number] = asyncio.get_running_loop().create_future()
        try:
            return await future
        except asyncio.CancelledError:
            self.broken_off.append(query)
            raise

    async def range(self, query: str, start: int, end: int, step: int) -> Answer:
        _ = (end, step)
        return await self.instant(query, start)

    async def close(self) -> None:
        self.is_closed = True

    def answer(self, number: int, text: str = "1", size: int = 100) -> None:
        self.open.pop(number).set_result(answer(text, size))

    def fail(self, number: int, error: SourceError) -> None:
        self.open.pop(number).set_exception(error)


def answer(text: str = "1", size: int = 100) -> Answer:
    return Answer("vector", [{"metric": {}, "value": [1, text]}], size=size)


@dataclass
class Instantly:
    """A client that answers at once what it is told to, or fails so."""

    does: Callable[[str], Answer]

    async def instant(self, query: str, at: int | None) -> Answer:
        _ = at
        return self.does(query)

    async def range(self, query: str, start: int, end: int, step: int) -> Answer:
        return await self.instant(query, start + end + step)

    async def close(self) -> None:
        pass


async def settled() -> None:
    """Until nothing more goes on by itself."""
    for _ in range(20):
        await asyncio.sleep(0)


def soon(asked: Awaitable[Answer]) -> asyncio.Task[Answer]:
    return asyncio.ensure_future(asked)  # type: ignore[return-value]  # every one is a coroutine


# ---------------------------------------------------------------------- the same question


@in_a_loop
async def test_equal_questions_at_once_are_put_once() -> None:
    server = Server()
    async with SharedClient(server) as shared:
        asked = [soon(shared.view(f"a{number}").instant("up", 1000)) for number in range(20)]
        await settled()
        assert server.asked == ["up"]
        server.answer(0)
        answers = await asyncio.gather(*asked)
    assert all(each is answers[0] for each in answers)
    assert (shared.asked, shared.shared) == (20, 19)


@in_a_loop
async def test_questions_that_differ_are_not_shared() -> None:
    server = Server()
    async with SharedClient(server) as shared:
        view = shared.view("a")
        asked = [
            *(soon(view.instant(query, at)) for query, at in (("up", 1000), ("up", 1001), ("x", 1000), ("up", None))),
            *(soon(view.range("up", 1000, 2000, step)) for step in (500, 1000)),
        ]
        await settled()
        assert len(server.asked) == 6
        for number in range(6):
            server.answer(number)
        await asyncio.gather(*asked)


@in_a_loop
async def test_an_answer_is_kept_unless_it_was_about_now() -> None:
    async with SharedClient(Instantly(lambda _: answer())) as shared:
        one, other = shared.view("a"), shared.view("b")
        assert await one.instant("up", 1000) is await other.instant("up", 1000)
        assert await one.range("up", 1, 2, 1) is await other.range("up", 1, 2, 1)
        assert await one.instant("up", None) is not await other.instant("up", None)
        assert (shared.asked, shared.shared) == (6, 2)


@in_a_loop
async def test_a_question_about_now_is_shared_while_it_is_under_way() -> None:
    server = Server()
    async with SharedClient(server) as shared:
        asked = [soon(shared.view(who).instant("up", None)) for who in "ab"]
        await settled()
        server.answer(0)
        first, second = await asyncio.gather(*asked)
        assert first is second
        assert server.asked == ["up"]


def test_kept_answers_are_bounded_by_number_size_and_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST", 4)
    monkeypatch.setattr(keeping, "MOST_BYTES", 1000)
    monkeypatch.setattr(keeping, "LARGEST", 600)
    now = 0.0
    kept = KeptAnswers(lambda: now)
    questions = [Instant("up", number) for number in range(10)]
    for question in questions[:5]:
        kept.put(question, answer())
    assert [kept.get(question) is not None for question in questions[:5]] == [False, True, True, True, True]
    kept.get(questions[1])  # used last of all
    kept.put(questions[5], answer(size=600))
    kept.put(questions[6], answer(size=300))
    assert (len(kept), kept.size) == (3, 1000)
    assert kept.get(questions[1]) is not None
    kept.put(questions[7], answer(size=601))
    assert kept.get(questions[7]) is None
    now = keeping.SECONDS - 1
    assert kept.get(questions[6]) is not None
    now = keeping.SECONDS
    assert kept.get(questions[6]) is None
    kept.put(questions[8], answer())
    assert (len(kept), kept.size) == (1, 100)
    kept.put(questions[8], answer(size=50))
    assert (len(kept), kept.size) == (1, 50)


@in_a_loop
async def test_the_samples_of_a_shared_answer_are_read_once() -> None:
    async with SharedClient(Instantly(lambda _: answer())) as shared:
        one, other = await shared.view("a").instant("x", 1), await shared.view("b").instant("x", 1)
    assert float_series(one) is float_series(other)


def test_readers_change_nothing_in_a_shared_answer() -> None:
    """Of several chunks, the first of which begins with a sample that belongs to nobody."""

    def samples(query: str) -> Answer:
        first = int(query.removeprefix("at "))
        return Answer("matrix", [{"metric": {"a": "b"}, "values": [[first + 300 * n, str(n)] for n in range(3)]}])

    class Chunks(Instantly):
        async def instant(self, query: str, at: int | None) -> Answer:
            assert at is not None
            assert query == "x[10m]"
            return samples(f"at {at // 1000 - 600}")

    async def reading() -> None:
        async with SharedClient(Chunks(samples)) as shared:
            views = [shared.view(who) for who in "ab"]
            first, second = [await raw_series(view, Selector("x"), 0, 3 * CHUNK, float_series) for view in views]
            assert shared.shared == 3
        assert first == second
        assert first[0].times == [300_000, 600_000, 900_000, 1_200_000, 1_500_000, 1_800_000]

    asyncio.run(reading())


# ---------------------------------------------------------------------- failures


@pytest.mark.parametrize("error", [QueryRefused("no"), SourceUnavailable("later", "timeout"), MalformedAnswer("what")])
def test_a_failure_is_everybodys_and_not_kept(error: SourceError) -> None:
    @in_a_loop
    async def test() -> None:
        server = Server()
        async with SharedClient(server) as shared:
            asked = [soon(shared.view(who).instant("up", 1)) for who in "abc"]
            await settled()
            server.fail(0, error)
            assert await asyncio.gather(*asked, return_exceptions=True) == [error] * 3
            again = soon(shared.view("a").instant("up", 1))
            await settled()
            server.answer(1)
            assert (await again).kind == "vector"

    test()


# ---------------------------------------------------------------------- cancellation


@in_a_loop
async def test_who_stops_waiting_does_not_stop_the_others() -> None:
    server = Server()
    async with SharedClient(server) as shared:
        first, second = (soon(shared.view(who).instant("up", 1)) for who in "ab")
        await settled()
        first.cancel()
        await settled()
        assert first.cancelled()
        server.answer(0)
        assert (await second).kind == "vector"
        assert server.broken_off == []


@in_a_loop
async def test_when_the_last_stops_waiting_the_exchange_is_broken_off_and_its_turn_given_back() -> None:
    server = Server()
    async with SharedClient(server, at_once=1) as shared:
        asked = [soon(shared.view(who).instant("up", 1)) for who in "ab"]
        other = soon(shared.view("c").instant("other", 1))
        await settled()
        for each in asked:
            each.cancel()
        await settled()
        assert server.broken_off == ["up"]
        assert server.asked == ["up", "other"]
        server.answer(1)
        await other
        assert (shared.under_way, shared.waiting) == (0, 0)


@in_a_loop
async def test_who_asks_what_is_being_broken_off_gets_an_answer_of_their_own() -> None:
    server = Server()
    async with SharedClient(server) as shared:
        first = soon(shared.view("a").instant("up", 1))
        await settled()
        first.cancel()
        await asyncio.sleep(0)  # the waiter has gone, its exchange not yet
        second = soon(shared.view("b").instant("up", 1))
        await settled()
        assert server.asked == ["up", "up"]
        server.answer(1)
        assert (await second).kind == "vector"


@in_a_loop
async def test_an_exchange_that_is_ended_before_its_first_step_holds_no_turn() -> None:
    server = Server()
    shared = SharedClient(server, at_once=1)
    asked = soon(shared.view("a").instant("up", 1))
    await asyncio.sleep(0)  # it has begun, its exchange has not
    await shared.close()
    with pytest.raises(SourceUnavailable, match="is being closed"):
        await asked
    assert (server.asked, shared.under_way, shared.waiting) == ([], 0, 0)


@in_a_loop
async def test_closing_ends_everything_and_says_so() -> None:
    server = Server()
    shared = SharedClient(server, at_once=1)
    asked = [soon(shared.view("a").instant(query, 1)) for query in ("x", "y")]
    await settled()
    await shared.close()
    for each in asked:
        with pytest.raises(SourceUnavailable, match="is being closed"):
            await each
    with pytest.raises(SourceUnavailable, match="is being closed"):
        await shared.view("a").instant("z", 1)
    assert server.is_closed
    assert server.broken_off == ["x"]


# ---------------------------------------------------------------------- turns and pace


@in_a_loop
async def test_an_analysis_with_many_queries_does_not_starve_one_with_few() -> None:
    server = Server()
    async with SharedClient(server, at_once=2) as shared:
        much = [soon(shared.view("much").instant(f"m{number}", 1)) for number in range(100)]
        few = soon(shared.view("few").instant("few", 1))
        await settled()
        server.answer(0)
        server.answer(1)
        await settled()
        assert "few" in server.asked[2:4]
        assert shared.under_way == 2
        for each in (*much, few):
            each.cancel()
        await settled()
        assert (shared.under_way, shared.waiting) == (0, 0)


@in_a_loop
async def test_an_overloaded_server_gets_fewer_questions_at_once_and_more_again_later() -> None:
    server = Server()
    async with SharedClient(server, at_once=8) as shared:
        asked = [soon(shared.view("a").instant(f"q{number}", 1)) for number in range(40)]
        await settled()
        assert shared.under_way == 8
        for number in range(8):
            server.fail(number, SourceUnavailable("answers 503", "unreachable"))
        await settled()
        assert (shared.limit, shared.under_way) == (4, 4)
        for number in range(8, 40):
            server.answer(number)
            await settled()
        results = await asyncio.gather(*asked, return_exceptions=True)
        assert Counter(type(each) for each in results) == {SourceUnavailable: 8, Answer: 32}
        assert shared.limit == 4 + 32 // 10


def test_a_server_that_fails_one_question_at_a_time_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def sleeping(seconds: float) -> None:
        slept.extend([seconds] if seconds else [])
        await sleep(0)

    def fails(_: str) -> Answer:
        if len(slept) < 3:
            raise SourceUnavailable("refused", "unreachable")
        return answer()

    async def asking() -> None:
        async with SharedClient(Instantly(fails), at_once=1) as shared:
            for number in range(6):
                await asyncio.gather(shared.view("a").instant(f"q{number}", 1), return_exceptions=True)

    monkeypatch.setattr(sharing.asyncio, "sleep", sleeping)
    asyncio.run(asking())
    assert slept == [0.5, 1.0, 2.0]


@in_a_loop
async def test_a_refusal_or_a_missing_part_is_no_overload() -> None:
    errors: list[SourceError] = [QueryRefused("no"), SourceUnavailable("part", "partial"), MalformedAnswer("what")]

    def fails(query: str) -> Answer:
        raise errors[int(query)]

    async with SharedClient(Instantly(fails)) as shared:
        for number in range(3):
            with pytest.raises(SourceError):
                await shared.view("a").instant(str(number), 1)
        assert shared.limit == shared.at_once == 8


def test_a_question_waits_for_its_turn_only_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "PATIENCE", 0.05)

    @in_a_loop
    async def test() -> None:
        server = Server()
        async with SharedClient(server, at_once=1) as shared:
            first = soon(shared.view("a").instant("x", 1))
            await settled()
            with pytest.raises(SourceUnavailable, match=r"waited 0\.05 s for its turn") as raised:
                await shared.view("b").instant("y", 1)
            assert raised.value.kind == "timeout"
            assert shared.limit == 1
            assert shared.waiting == 0
            server.answer(0)
            await first

    test()


def test_only_so_many_questions_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "MOST_WAITING", 2)

    @in_a_loop
    async def test() -> None:
        async with SharedClient(Server(), at_once=1) as shared:
            waiting = [soon(shared.view("a").instant(f"q{number}", 1)) for number in range(3)]
            await settled()
            with pytest.raises(SourceUnavailable, match="2 questions to Prometheus wait already"):
                await shared.view("b").instant("one more", 1)
            for each in waiting:
                each.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)

    test()


@in_a_loop
async def test_the_observer_is_told_what_became_of_each_exchange() -> None:
    told: list[tuple[str, str]] = []
    does: dict[str, SourceError | None] = {
        "ok": None,
        "refused": QueryRefused("no"),
        "timeout": SourceUnavailable("later", "timeout"),
        "partial": SourceUnavailable("part", "partial"),
        "malformed": MalformedAnswer("what"),
    }

    def answering(query: str) -> Answer:
        if (error := does[query]) is not None:
            raise error
        return answer()

    def observe(kind: str, seconds: float, outcome: str) -> None:
        assert seconds >= 0
        told.append((kind, outcome))

    async with SharedClient(Instantly(answering), observe=observe) as shared:
        for query in does:
            await asyncio.gather(shared.view("a").instant(query, 1), return_exceptions=True)
        await shared.view("a").range("ok", 1, 2, 1)
        await shared.view("b").range("ok", 1, 2, 1)  # kept: no exchange
    assert told == [*(("instant", outcome) for outcome in does), ("range", "ok")]


# ---------------------------------------------------------------------- on a socket


def test_a_real_connection_is_shared_and_bounded() -> None:
    told: list[str] = []

    async def asking(url: str) -> None:
        access = PrometheusAccess.of(url=url)
        async with SharedClient(access, at_once=3, observe=lambda _, __, outcome: told.append(outcome)) as shared:

            async def ask(view: Asking, number: int) -> Answer:
                return await view.instant(f"q{number % 10}", 1)

            views = [shared.view(f"a{number}") for number in range(20)]
            answers = await asyncio.gather(*(ask(view, number) for view in views for number in range(10)))
            assert len({id(each) for each in answers}) == 10

    with misbehaving(says(http(200, vector("1")))) as server:
        asyncio.run(asking(server.url))
        assert len(server.requests) == 10
    assert told == ["ok"] * 10


def test_a_server_that_says_too_many_requests_is_asked_less() -> None:
    async def asking(url: str) -> int:
        async with SharedClient(PrometheusAccess.of(url=url)) as shared:
            with pytest.raises(SourceUnavailable, match="429"):
                await shared.view("a").instant("up", 1)
            return shared.limit

    with misbehaving(says(http(429, "slow down"))) as server:
        assert asyncio.run(asking(server.url)) == 4


def test_it_waits_longer_for_a_server_that_answers_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "PATIENCE", 0.0)

    @in_a_loop
    async def test() -> None:
        server = Server()
        async with SharedClient(server, at_once=1) as shared:
            shared._pace.lately = 100.0
            first = soon(shared.view("a").instant("x", 1))
            second = soon(shared.view("b").instant("y", 1))
            await settled()
            server.answer(0)
            await first
            await settled()
            server.answer(1)
            await second

    test()
