"""ServiceAccounts as callers: who is asked, how often, and what is kept of it."""

import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from analyzer.errors import PlatformForbidden, PlatformUnavailable
from analyzer.service import accounts as module
from analyzer.service.access import ServiceAccountSettings
from analyzer.service.accounts import KNOWN_FOR, UNKNOWN_FOR, ServiceAccounts, claims_of
from analyzer.service.identity import Caller, Role

CI = "system:serviceaccount:shop:ci"
SETTINGS = ServiceAccountSettings.model_validate(
    {
        "enabled": True,
        "audiences": ["canary"],
        "grants": [{"subject": CI, "namespaces": ["shop"], "role": "start"}],
    }
)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def token(serial: object = 0, **claims: object) -> str:
    given = {"sub": CI, "aud": ["canary"], "exp": 4e9, "jti": serial, **claims}
    return f"{part({'alg': 'RS256'})}.{part(given)}.c2ln"


class Reviews:
    """An API server that only reviews tokens; takes the place of `Cluster`."""

    def __init__(self) -> None:
        self.shown: list[str] = []
        self.status: dict[str, Any] = {
            "authenticated": True,
            "audiences": ["canary"],
            "user": {"username": CI, "groups": ["system:serviceaccounts"]},
        }
        self.failure: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def create(self, where: str, body: dict[str, Any]) -> dict[str, Any]:
        assert where == "/apis/authentication.k8s.io/v1/tokenreviews"
        assert body["spec"]["audiences"] == ["canary"]
        self.shown.append(body["spec"]["token"])
        await self.may_answer.wait()
        if self.failure:
            raise self.failure
        return {"status": self.status}


class Bench:
    def __init__(self) -> None:
        self.reviews = Reviews()
        self.now = 0.0
        self.complaints: list[str] = []
        self.accounts = ServiceAccounts(
            self.reviews,  # type: ignore[arg-type] # all that is asked of it
            SETTINGS,
            self.complaints.append,
            lambda: self.now,
        )

    async def of(self, text: str) -> Caller | None:
        return await self.accounts.of(f"Bearer {text}")


def test_a_service_account_with_what_it_may_do() -> None:
    async def asked() -> Caller | None:
        return await Bench().of(token())

    assert asyncio.run(asked()) == Caller(CI, {"shop": Role.START})


def test_one_without_grants_is_known_and_may_nothing() -> None:
    async def asked() -> Caller | None:
        bench = Bench()
        bench.reviews.status["user"]["username"] = "system:serviceaccount:shop:other"
        return await bench.of(token())

    assert asyncio.run(asked()) == Caller("system:serviceaccount:shop:other", {})


def test_answers_are_kept_for_a_while() -> None:
    async def asked() -> None:
        bench, mine = Bench(), token()
        for moment in (0.0, KNOWN_FOR - 1):
            bench.now = moment
            assert await bench.of(mine) is not None
        assert len(bench.reviews.shown) == 1
        bench.now = KNOWN_FOR
        bench.reviews.status = {"authenticated": False}
        assert await bench.of(mine) is None
        bench.now += UNKNOWN_FOR - 1
        assert await bench.of(mine) is None
        assert len(bench.reviews.shown) == 2
        bench.now += 1
        await bench.of(mine)
        assert len(bench.reviews.shown) == 3

    asyncio.run(asked())


def test_nothing_that_is_kept_holds_a_token() -> None:
    async def asked() -> None:
        bench, mine = Bench(), token()
        await bench.of(mine)
        kept = repr(vars(bench.accounts))
        assert mine not in kept
        assert mine.rpartition(".")[0] not in kept

    asyncio.run(asked())


def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_KEPT", 3)

    async def asked() -> None:
        bench = Bench()
        for serial in range(5):
            await bench.of(token(serial))
        await bench.of(token(4))
        assert len(bench.reviews.shown) == 5
        await bench.of(token(0))  # the oldest has gone
        assert len(bench.reviews.shown) == 6

    asyncio.run(asked())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "canary_ci_abc",
        "a.b.c",
        f"{part({'alg': 'x'})}.{part([])}.x",
        f"{part([])}.{part({'sub': CI})}.x",
        f"{part({'alg': 'x'})}.{'[' * 20_000}.x",
        token(sub="somebody"),
        token(sub=3),
        token(exp=1e9),
        token(aud="other"),
        token(aud=["other", 3]),
    ],
)
def test_what_is_no_token_of_a_service_account_for_us_is_not_shown_to_anybody(text: str) -> None:
    async def asked() -> None:
        bench = Bench()
        assert await bench.of(text) is None
        assert bench.reviews.shown == []

    asyncio.run(asked())


@pytest.mark.parametrize("claims", [{"aud": None}, {"aud": 3}, {"aud": {"a": 1}}, {"exp": "soon"}, {"exp": None}])
def test_odd_claims_are_for_the_api_server_to_judge(claims: dict[str, object]) -> None:
    async def asked() -> None:
        bench = Bench()
        await bench.of(token(**claims))
        assert len(bench.reviews.shown) == 1

    asyncio.run(asked())


@pytest.mark.parametrize("failure", [PlatformUnavailable("away"), PlatformForbidden("may not create tokenreviews")])
def test_an_api_server_that_does_not_say(failure: Exception) -> None:
    async def asked() -> None:
        bench, mine = Bench(), token()
        bench.reviews.failure = failure
        for _ in range(2):  # it is not kept
            with pytest.raises(PlatformUnavailable, match=r"^who asks cannot be found out now") as raised:
                await bench.of(mine)
            assert str(failure) not in str(raised.value)  # whoever asks does not learn of our rights
        assert bench.complaints == [f"tokens of ServiceAccounts cannot be looked at: {failure}"] * 2
        bench.reviews.failure = None
        assert await bench.of(mine) is not None

    asyncio.run(asked())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 -- what is waited for is somebody else's
            await asyncio.sleep(0)


def test_many_requests_with_one_token_ask_once() -> None:
    async def asked() -> None:
        bench, mine = Bench(), token()
        bench.reviews.may_answer.clear()
        waiting = [asyncio.create_task(bench.of(mine)) for _ in range(20)]
        await until(lambda: bool(bench.reviews.shown))
        waiting[0].cancel()  # it was the first, and takes the answer from nobody
        await until(waiting[0].done)
        bench.reviews.may_answer.set()
        assert await asyncio.gather(*waiting[1:]) == [Caller(CI, {"shop": Role.START})] * 19
        assert bench.reviews.shown == [mine]

    asyncio.run(asked())


def test_a_flood_is_not_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 2)
    monkeypatch.setattr(module, "MOST_ASKED", 4)

    async def asked() -> None:
        bench = Bench()
        bench.reviews.may_answer.clear()
        waiting = [asyncio.create_task(bench.of(token(serial))) for serial in range(4)]
        await until(lambda: len(bench.reviews.shown) == 2)
        with pytest.raises(PlatformUnavailable):
            await bench.of(token("one more"))
        bench.reviews.may_answer.set()
        assert None not in await asyncio.gather(*waiting)

    asyncio.run(asked())


def test_the_end_while_somebody_waits() -> None:
    async def asked() -> None:
        bench = Bench()
        bench.reviews.may_answer.clear()
        waiting = asyncio.create_task(bench.of(token()))
        await until(lambda: bool(bench.reviews.shown))
        await bench.accounts.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(asked())


def test_claims() -> None:
    assert claims_of(token(7)) is not None
    assert claims_of("é.é.é") is None
