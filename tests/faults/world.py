"""Services, a real Prometheus that scrapes them, and a way to take each back: what the analyzer lives in."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from analyzer.demo.prometheus import Job, Prometheus, Settings
from analyzer.model.event import Event
from analyzer.model.report import Verdict
from tests.faults import proof
from tests.faults.acts import Acts
from tests.faults.customer import Customer, Placed
from tests.faults.exporter import Exporter
from tests.sources.incidents import Raw

SERVICES = 60
RULES = {
    "apiVersion": "canary-analyzer.io/v1alpha1",
    "kind": "RuleSet",
    "metadata": {"name": "faults"},
    "spec": {
        "parameters": {"svc": "none"},
        "schedule": {"warmup": "0s", "interval": "1s", "minimum": "8s", "deadline": "60s", "baseline": "5s"},
        "sides": {"canary": 'version="2"', "baseline": 'version="1"'},
        "metrics": {
            "errors": {
                "ratio": {"bad": 'requests_total{svc="${svc}",code="500"}', "total": 'requests_total{svc="${svc}"}'}
            }
        },
        "rules": [
            {
                "metric": "errors",
                "tolerance": {"relative": "50%", "absolute": "2%"},
                "passWithin": {"relative": "100%", "absolute": "5%"},
                "limit": "15%",
                "critical": True,
            }
        ],
        "onFail": "rollback",
        "onInconclusive": "hold",
    },
}


class World:
    """What exists beside the analyzer. A service is in use from its order until `free`."""

    def __init__(self, folder: Path, exporter: Exporter, acts: Acts, prometheus: Prometheus) -> None:
        self.folder, self.exporter, self.acts, self.prometheus = folder, exporter, acts, prometheus
        self._free = sorted(exporter.services)
        self.rules = folder / "rules"

    @property
    def targets(self) -> Mapping[str, str]:
        return dict.fromkeys(self.exporter.services, str(self.acts.script))

    def bring_out(self, *, bad_after: float | None) -> str:
        """A new revision of a service that nobody analyses: its name. It turns bad after so many seconds, or never."""
        name = self._free.pop(0)
        self.acts.forget(name)
        service = self.exporter.services[name]
        service.count(time.time(), None)
        service.reset(None if bad_after is None else time.time() + bad_after)
        return name

    def free(self, name: str) -> None:
        """Its analysis is over and looked at."""
        self._free.append(name)

    async def order(
        self,
        customer: Customer,
        key: str,
        *,
        bad_after: float | None = None,
        prometheus: str = "default",
        **schedule: str,
    ) -> Placed:
        """An analysis of a new revision, ordered; `schedule` replaces parts of the rules' own."""
        name = self.bring_out(bad_after=bad_after)
        order: dict[str, Any] = {
            "target": f"command/{name}",
            "rules": "faults",
            "parameters": {"svc": name},
            "prometheus": prometheus,
        }
        if schedule:
            spec = RULES["spec"] | {"schedule": RULES["spec"]["schedule"] | schedule}  # type: ignore[index, operator]
            order["rule_set"] = json.dumps(RULES | {"spec": spec})
        return await customer.order(key, order, is_bad=bad_after is not None)

    async def record(self, customer: Customer, placed: Placed) -> list[Event]:
        return proof.read(await customer.events(placed.id))

    async def prove(self, customer: Customer, placed: Collection[Placed], within: float) -> dict[str, int]:
        """Nothing is lost, nothing is done twice, each window was counted once; how the acts came out, by word."""
        ended = await customer.ended([each.id for each in placed], within)
        assert len(ended) == len(placed), "two orders became one analysis"
        outcomes = {"none": 0, "done": 0, "unknown": 0}
        await asyncio.sleep(0.1)
        for each in placed:
            try:
                outcome = await self._prove_one(customer, each, ended[each.id])
            except AssertionError as error:
                raise AssertionError(f"{each}: {error}\n{ended[each.id]}") from error
            outcomes[outcome] += 1
        return outcomes

    async def _prove_one(self, customer: Customer, placed: Placed, row: Mapping[str, Any]) -> str:
        events = await self.record(customer, placed)
        proof.is_whole(events)
        proof.windows_are_whole(events)
        proof.counts_are_true(events, await self.series(placed.name))
        verdict = Verdict.FAIL if placed.is_bad else Verdict.PASS
        assert row["verdict"] == proof.verdict_of(events) == verdict, row
        outcome = proof.acted_once(events, [act for act in self.acts.all() if act.analysis == placed.id])
        assert (outcome != "none") == placed.is_bad, outcome
        return outcome

    async def series(self, name: str) -> list[Raw]:
        """What Prometheus has scraped of a service in the last quarter of an hour."""
        answers = await self.prometheus.ask.query(f'requests_total{{svc="{name}"}}[15m]')
        return [Raw(answer.labels, list(answer.samples)) for answer in answers]


@asynccontextmanager
async def world(folder: Path, services: int = SERVICES) -> AsyncIterator[World]:
    """A world that has been scraped twice."""
    acts = Acts(folder)
    (folder / "rules").mkdir()
    (folder / "rules" / "faults.yaml").write_text(json.dumps(RULES))  # JSON is YAML
    names = tuple(f"svc-{number}" for number in range(services))
    async with Exporter(names, healed=acts.healed) as exporter:
        targets = folder / "targets.json"
        targets.write_text(json.dumps([{"targets": [exporter.address]}]))
        async with Prometheus.start(Settings([Job("services", targets)])) as prometheus:
            await prometheus.ask.until("count_over_time(up[1m])", lambda answer: bool(answer) and answer[0].value >= 7)
            yield World(folder, exporter, acts, prometheus)
