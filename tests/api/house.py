"""What the tests of the API share: callers, settings, orders, and analyses that have come some way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from prometheus_client.metrics_core import Metric
from sqlalchemy import delete

from analyzer.api.app import make_app
from analyzer.api.parts import Parts
from analyzer.engine.replay import judge_again
from analyzer.errors import NoRelease
from analyzer.model.event import Ended, Event
from analyzer.platforms.flagger_canary import Try
from analyzer.platforms.rollout_runs import Attempt, Purpose
from analyzer.service.identity import EVERYWHERE, Caller, Role
from analyzer.service.running import Service
from analyzer.service.settings import CommandTarget, PrometheusSettings, Settings
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit
from analyzer.store.database import Database
from analyzer.store.entry import Summary
from analyzer.store.schema import ANALYSES, EVENTS
from tests.engine.world import World, rates

CALLERS: Mapping[str, Caller] = {
    "reader": Caller("reader", {"shop": Role.READ}),
    "starter": Caller("starter", {"shop": Role.START}),
    "decider": Caller("decider", {"shop": Role.DECIDE}),
    "elsewhere": Caller("elsewhere", {"bank": Role.DECIDE}),
    "nowhere": Caller("nowhere", {}),
    "admin": Caller("admin", {EVERYWHERE: Role.ADMIN}),
}
ORDER: Mapping[str, Any] = {
    "target": "command/search",
    "namespace": "shop",
    "canary": 'version="2"',
    "baseline": 'version="1"',
}
RULES = """
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: own}
spec:
  parameters: {requests: http_requests_total}
  sides: {canary: 'version="2"', baseline: 'version="1"'}
  metrics:
    errors: {ratio: {bad: '${requests}{code=~"5.."}', total: '${requests}'}}
  rules: [{metric: errors, critical: true}]
"""


class People:
    """Identities by the name that they send as their token."""

    async def of(self, authorization: str | None) -> Caller | None:
        kind, _, name = (authorization or "").partition(" ")
        return CALLERS.get(name) if kind == "Bearer" else None


@dataclass
class Work:
    """A supervisor that counts how often it was woken."""

    woken: int = 0
    sentences: list[str] = field(default_factory=list)

    def wake(self) -> None:
        self.woken += 1

    def troubles(self) -> Sequence[str]:
        return self.sentences

    def is_lost(self) -> bool:
        return self.sentences == ["lost"]

    async def metrics(self) -> Sequence[Metric]:
        return ()


@dataclass
class Cluster:
    """Rollouts that are what a test says; those of no other name are there."""

    attempts: dict[str, Attempt | Exception] = field(default_factory=dict)
    asked: int = 0

    async def attempt(self, namespace: str, name: str, purpose: Purpose | None) -> Attempt:  # noqa: ARG002 -- the port's
        self.asked += 1
        found = self.attempts.get(name, Attempt("", "", why=f"there is no Rollout {name} in namespace {namespace}"))
        if isinstance(found, Exception):
            raise found
        return found


@dataclass
class Canaries:
    """Canaries of Flagger that are what a test says; those of no other name are there."""

    tries: dict[str, Try | Exception] = field(default_factory=dict)

    async def try_of(self, namespace: str, name: str) -> Try:
        found = self.tries.get(name, NoRelease(f"there is no Canary {name} in namespace {namespace}"))
        if isinstance(found, Exception):
            raise found
        return found


def settings(**other: object) -> Settings:
    given: dict[str, object] = {
        "prometheus": {
            "default": PrometheusSettings(url="http://prometheus"),
            "bank": PrometheusSettings(url="http://prometheus-of-the-bank", namespaces=("bank",)),
        },
        "targets": {
            "search": CommandTarget(rollback="true", namespace="shop"),
            "vault": CommandTarget(rollback="true", namespace="bank"),
        },
        **other,
    }
    return Settings.model_validate(given)


def service_on(database: Database, settings_: Settings) -> Service:
    return Service(settings_, database, Analyses(database), Audit(database), People(), Work(), Cluster(), Canaries())


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}"}


@dataclass
class House:
    """The service, and a client of it."""

    service: Service
    client: httpx.AsyncClient

    @property
    def parts(self) -> Parts:
        """What the API works with."""
        transport = self.client._transport
        assert isinstance(transport, httpx.ASGITransport)
        parts = transport.app.state.parts  # type: ignore[attr-defined]
        assert isinstance(parts, Parts)
        return parts

    @classmethod
    def on(cls, service: Service) -> Self:
        transport = httpx.ASGITransport(make_app(service))
        return cls(service, httpx.AsyncClient(transport=transport, base_url="http://canary"))

    async def ask(self, method: str, path: str, who: str = "admin", **more: Any) -> httpx.Response:  # noqa: ANN401 -- as httpx has it
        headers = bearer(who) | more.pop("headers", {})
        return await self.client.request(method, path, headers=headers, **more)

    async def get(self, path: str, who: str = "admin", **more: Any) -> httpx.Response:  # noqa: ANN401 -- as httpx has it
        return await self.ask("GET", path, who, **more)

    async def post(self, path: str, body: object, who: str = "admin", **more: Any) -> httpx.Response:  # noqa: ANN401 -- as httpx has it
        return await self.ask("POST", path, who, json=body, **more)

    async def ordered(self, who: str = "starter", **other: object) -> str:
        """The id of a new analysis."""
        answer = await self.post("/api/v1/analyses", {**ORDER, **other}, who)
        assert answer.status_code == 201, answer.text
        id_: str = answer.json()["id"]
        return id_

    async def forged(self, id_: str) -> str:
        """The id of an analysis that somebody else has ordered under the key of this one, which is removed."""
        key = (await self.service.analyses.get(id_)).key.partition("/")[2].strip()
        async with self.service.database.write() as connection:
            await connection.execute(delete(EVENTS))
            await connection.execute(delete(ANALYSES))
        answer = await self.post("/api/v1/analyses", ORDER, "starter", headers={"Idempotency-Key": key})
        assert answer.status_code == 201, answer.text
        forged: str = answer.json()["id"]
        return forged

    async def keep(self, id_: str, events: Sequence[Event]) -> None:
        """As a worker would: claim it, and keep what happened."""
        (claim,) = [each for each in await self.service.analyses.claim("worker", 0.0, 1e12, 1000) if each.id == id_]
        summary = Summary.of(judge_again(events)) if events[0].type == "planned" else None
        await self.service.analyses.append(id_, claim.lease, events, summary=summary)

    async def end(self, id_: str, cause: str = "") -> None:
        """It ends before it has begun."""
        await self.keep(id_, [Ended(at=2e9, cause=cause)])

    async def failed(self) -> str:
        """The id of an analysis that has ended with a rollback."""
        id_ = await self.ordered()
        await self.keep(id_, await events_of_a_failure())
        return id_


_made: list[Event] = []


async def events_of_a_failure() -> Sequence[Event]:
    """The whole record of a revision that failed and was taken back."""
    if not _made:
        world = World(rates(0.2))
        await world.runner().run()
        _made.extend(world.record.events)
    return _made
