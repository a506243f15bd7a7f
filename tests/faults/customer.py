"""Who orders analyses over HTTP, and does not let go: through any server that answers, as often as it takes."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.faults.serving import Server

PAUSE = 0.1
"""Seconds between two tries."""
_AGAIN = {408, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Placed:
    """An order that was taken: the key it was given, the analysis it became, and whether the release is bad."""

    key: str
    id: str
    name: str
    is_bad: bool


class Customer:
    """Asks one server after the other until one answers."""

    def __init__(self, servers: Sequence[Server], patience: float = 60.0) -> None:
        self._servers, self._patience = servers, patience

    async def order(self, key: str, order: Mapping[str, Any], *, is_bad: bool) -> Placed:
        """Order once, however often it has to be sent."""
        answer = await self.ask("POST", "/api/v1/analyses", json=dict(order), headers={"Idempotency-Key": key})
        assert answer.status_code in {200, 201}, f"{answer.status_code}: {answer.text}"
        return Placed(key, answer.json()["id"], order["target"].removeprefix("command/"), is_bad)

    async def get(self, path: str, **parameters: Any) -> Any:  # noqa: ANN401 -- JSON
        answer = await self.ask("GET", path, params=parameters)
        assert answer.status_code == httpx.codes.OK, f"{path}: {answer.status_code}: {answer.text}"
        return answer.json()

    async def ask(self, method: str, path: str, **more: Any) -> httpx.Response:  # noqa: ANN401 -- as httpx takes it
        """The first answer that is neither of a broken connection nor of a server in trouble."""
        give_up, trouble = time.monotonic() + self._patience, "no server runs"
        while time.monotonic() < give_up:
            for server in [each for each in self._servers if each.runs]:
                try:
                    answer = await server.http.request(method, path, **more)
                except httpx.HTTPError as error:
                    trouble = f"{server.name}: {error!r}"
                    continue
                if answer.status_code not in _AGAIN:
                    return answer
                trouble = f"{server.name}: {answer.status_code}: {answer.text[:300]}"
            await asyncio.sleep(PAUSE)
        raise AssertionError(f"{method} {path} was not answered within {self._patience:g} s: {trouble}")

    async def analysis(self, id_: str) -> dict[str, Any]:
        found: dict[str, Any] = await self.get(f"/api/v1/analyses/{id_}")
        return found

    async def events(self, id_: str) -> list[dict[str, Any]]:
        """The whole record: {"seq": …, "event": …}, in order."""
        items: list[dict[str, Any]] = []
        after = 0
        while True:
            page = await self.get(f"/api/v1/analyses/{id_}/events", after=after, limit=500)
            items += page["items"]
            if page["next"] is None or not page["items"]:
                return items
            after = page["next"]

    async def listed(self) -> dict[str, dict[str, Any]]:
        """Every analysis that the service knows of, by id."""
        found: dict[str, dict[str, Any]] = {}
        parameters: dict[str, Any] = {"limit": 200}
        while True:
            page = await self.get("/api/v1/analyses", **parameters)
            found |= {item["id"]: item for item in page["items"]}
            if page["next"] is None:
                return found
            parameters["after"] = page["next"]

    async def ended(self, ids: Collection[str], within: float) -> dict[str, dict[str, Any]]:
        """These analyses, when all of them have ended."""
        give_up = time.monotonic() + within
        while True:
            found = await self.listed()
            lost = set(ids) - found.keys()
            assert not lost, f"lost: {sorted(lost)}"
            late = [found[id_] for id_ in ids if found[id_]["state"] != "ended"]
            if not late:
                return {id_: found[id_] for id_ in ids}
            assert time.monotonic() < give_up, f"not ended within {within:g} s: {late}"
            await asyncio.sleep(0.25)
