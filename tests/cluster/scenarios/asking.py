"""What tests ask of a `canary serve` over HTTP, wherever it runs."""

import hashlib
import json
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import httpx

from tests.cluster.health import until
from tests.cluster.scenarios.shop import RELEASE, RULES, Shop

Json = dict[str, Any]


class Asking(ABC):
    """A service of one shop, which knows `tokens`; `token` is that of somebody who may do all in its namespace."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.token = f"canary_tests_{secrets.token_hex(16)}"
        self.url = ""

    @property
    def tokens(self) -> Json:
        """Its setting `access.tokens`."""
        sha256 = hashlib.sha256(self.token.encode()).hexdigest()
        return {"tests": {"sha256": sha256, "grants": {self.shop.namespace.name: "admin"}}}

    @property
    @abstractmethod
    def said(self) -> str:
        """All that it has said: the log among it."""

    def ask(self, method: str, path: str, body: Json | None = None, *, token: str = "") -> httpx.Response:
        """One request, of who may do all unless another `token` is given."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.request(method, self.url + path, json=body, headers=headers, timeout=30, trust_env=False)

    def order(self, rules: Path = RULES, **more: Any) -> str:  # noqa: ANN401 -- JSON
        """Order the analysis of the shop's release; its id."""
        wanted = {
            "target": f"helm/{RELEASE}",
            "namespace": self.shop.namespace.name,
            "rule_set": rules.read_text(),
        }
        answer = self.ask("POST", "/api/v1/analyses", wanted | more)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return str(answer.json()["id"])

    def seen(self, count: int = 1) -> list[str]:
        """The ids of all analyses, the oldest first, when there are so many. TimeoutError if that does not come."""

        def all_of_them() -> list[str]:
            answer = self.ask("GET", "/api/v1/analyses?limit=200")
            assert answer.is_success, answer.text
            return [str(each["id"]) for each in reversed(answer.json()["items"])]

        try:
            until(lambda: len(all_of_them()) >= count, seconds=60, what=f"{count} analyses")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.said}") from None
        return all_of_them()

    def metric(self, line: str) -> float:
        """The value of a series, such as `canary_watch_upgrades_total{outcome="first"}`."""
        told = self.ask("GET", "/metrics").text
        return next((float(each.rpartition(" ")[2]) for each in told.splitlines() if each.startswith(f"{line} ")), 0.0)

    def analysis(self, id_: str) -> Json:
        """As it stands, with its report."""
        answer = self.ask("GET", f"/api/v1/analyses/{id_}")
        assert answer.is_success, answer.text
        found: Json = answer.json()
        return found

    def watched(self, id_: str) -> None:
        """Return when it has a plan. TimeoutError if that does not come."""
        until(lambda: self.analysis(id_)["report"], seconds=60, what=f"the plan of analysis {id_}")

    def ended(self, id_: str, seconds: float = 180) -> "Ended":
        """Wait for its end. TimeoutError, with how it stands and what the service has said, if that does not come."""
        try:
            until(lambda: self.analysis(id_)["ended_at"], seconds=seconds, what=f"the end of analysis {id_}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{json.dumps(self.analysis(id_), indent=1)}\n{self.said}") from None
        return Ended(self.analysis(id_), self.said)

    def events(self, id_: str) -> list[str]:
        """The types of the events of its record, in their order."""
        answer = self.ask("GET", f"/api/v1/analyses/{id_}/events?limit=1000")
        assert answer.is_success, answer.text
        assert answer.json()["next"] is None, "there are more events than are looked at"
        return [str(each["event"]["type"]) for each in answer.json()["items"]]


class Ended:
    """An analysis that is over, as the service tells it."""

    def __init__(self, analysis: Json, said: str) -> None:
        self.report: Json = analysis["report"] or {}
        self._analysis, self._said = analysis, said

    def __str__(self) -> str:
        return f"{json.dumps(self._analysis, indent=1)}\n{self._said}"

    @property
    def summary(self) -> tuple[str | None, ...]:
        """State, verdict, action, its result, held by."""
        told = self._analysis
        return told["state"], told["verdict"], told["action"]["kind"], told["action"]["result"], told["held_by"]

    @property
    def reason(self) -> str:
        return str(self._analysis["reason"])
