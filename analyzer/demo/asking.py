"""Asking a Prometheus the few things that a demo and its tests want to know, and waiting for what it will answer."""

import asyncio
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from analyzer.errors import DemoError

_POLL: Final = 0.05  # seconds
_CLOCK: Final = 0.01  # seconds; Prometheus shifts the time of a scrape by up to 2 ms, to keep its intervals even


@dataclass(frozen=True, slots=True)
class Answer:
    """One series of an answer: its labels, and its samples as (Unix seconds, value); an instant has one sample."""

    labels: dict[str, str]
    samples: tuple[tuple[float, float], ...]

    @property
    def value(self) -> float:
        """The value of the last sample."""
        return self.samples[-1][1]


class Asking:
    """Queries over HTTP. Raises DemoError when Prometheus cannot be asked or refuses, with its own words."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def ready(self) -> bool:
        """Whether it has read its data and serves."""
        try:
            answer = await self._client.get("/-/ready")
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK

    async def query(self, expression: str, at: float | None = None) -> list[Answer]:
        """The series of an instant query: of an expression (native histograms left out) or of a range selector."""
        parameters = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        result = (await self._get("/api/v1/query", parameters))["result"]
        if isinstance(result[0] if result else {}, dict):
            return [_answer(series) for series in result]
        return [Answer({}, ((float(result[0]), float(result[1])),))]  # a scalar

    async def until(
        self, expression: str, holds: Callable[[Sequence[Answer]], bool], *, deadline: float = 30.0
    ) -> list[Answer]:
        """Ask again and again until the answer is as wished. Raises DemoError with the last one after the deadline."""
        give_up = time.monotonic() + deadline
        while not holds(answer := await self.query(expression)):
            if time.monotonic() > give_up:
                raise DemoError(f"after {deadline:g} s `{expression}` is still {answer}")
            await asyncio.sleep(_POLL)
        return answer

    async def scraped(self, addresses: Collection[str], *, since: float | None = None, deadline: float = 30.0) -> None:
        """Wait until each of these targets has been scraped successfully after a time (Unix seconds; now if None).

        Everything of that scrape can be queried then. Raises DemoError after the deadline.
        """
        begin = time.time() if since is None else since

        def all_are_there(answer: Sequence[Answer]) -> bool:
            seen = {series.labels["instance"] for series in answer if series.value > begin + _CLOCK}
            return seen >= set(addresses)

        # `timestamp(up == 1)` would be the time of the query: only a plain selector keeps the time of its samples.
        await self.until("timestamp(up) and up == 1", all_are_there, deadline=deadline)

    async def _get(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        try:
            answer = (await self._client.get(path, params=parameters)).json()
        except (httpx.HTTPError, ValueError) as error:
            raise DemoError(f"Prometheus could not be asked: {error!r}") from error
        if answer.get("status") != "success":
            raise DemoError(f"Prometheus refused the query: {answer.get('error')}")
        data: dict[str, Any] = answer["data"]
        return data


def _answer(series: dict[str, Any]) -> Answer:
    samples = series.get("values", [series["value"]] if "value" in series else [])
    return Answer(series["metric"], tuple((float(at), float(value)) for at, value in samples))
