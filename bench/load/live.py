"""`canary serve` with more and more analyses, on a real Prometheus that scrapes 50 services."""

import asyncio
import json
import random
import re
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from analyzer.demo.asking import Answer
from analyzer.demo.prometheus import Job, Prometheus, Settings
from bench.load.order import INTERVAL, rule_set
from bench.load.process import taken
from tests.faults.exporter import Exporter
from tests.faults.serving import Server, serving, settings

SERVICES, PODS = 50, 2
SCRAPE_INTERVAL = 5.0
STEPS = (10, 100, 1000)
SETTLE, MEASURE = 60.0, 45.0
"""Seconds for each step: until all have learned their past, and while it is measured."""
AT_ONCE = 16
LOOKED_AT = 30
"""Analyses whose records are looked at for late windows."""
CORES, LATE, UNEVEN = 1.0, INTERVAL, 1.5
"""Limits: CPU seconds a second; seconds; how much more one analysis may cost among many than among few."""


@dataclass(frozen=True)
class Cost:
    """One step. Times in seconds, memory in bytes; CPU in seconds a second."""

    analyses: int
    cpu: float
    prometheus_cpu: float
    memory: int
    queries: float  # a second
    late: float

    @property
    def queries_each(self) -> float:
        """For each analysis and interval."""
        return self.queries * INTERVAL / self.analyses


def run() -> bool:
    """Print a line for each step; whether all are within the limits."""
    print(f"\ncanary serve: analyses of 4 rules every {INTERVAL:g} s over {SERVICES} services, on a real Prometheus")
    print(f"  {'analyses':>8} {'CPU':>7} {'each':>9} {'Prometheus':>11} {'memory':>9} {'queries':>9} {'latest':>8}")
    print(f"  {'':>8} {'cores':>7} {'ms/intvl':>9} {'cores':>11} {'MiB':>9} {'each/intvl':>9} {'window':>8}")
    with tempfile.TemporaryDirectory(prefix="canary-load-") as folder:
        costs = asyncio.run(_steps(Path(folder)))
    few, more, many = costs
    marginal = [(two.cpu - one.cpu) / (two.analyses - one.analyses) for one, two in ((few, more), (more, many))]
    memory = (many.memory - few.memory) / (many.analyses - few.analyses) / 1024
    rows = [
        (f"CPU of {many.analyses} analyses", many.cpu, CORES, "cores"),
        ("the latest window, after it could be read", max(cost.late for cost in costs), LATE, "s"),
        ("cost of one more among many, against among few", marginal[1] / max(marginal[0], 1e-6), UNEVEN, "times"),
    ]
    print(f"  {memory:.0f} KiB of memory for one more analysis")
    for name, value, limit, unit in rows:
        print(f"  {name:<50} {value:8.3f} {unit:<5}  limit {limit:g}  {'ok' if value <= limit else 'FAILED'}")
    return all(value <= limit for _, value, limit, _ in rows)


async def _steps(folder: Path) -> Sequence[Cost]:
    names = tuple(f"svc-{number}" for number in range(SERVICES))
    targets, rules = folder / "targets.json", folder / "rules"
    rules.mkdir()
    async with Exporter(names, rate=50.0, pods=PODS, with_latency=True) as exporter:
        targets.write_text(json.dumps([{"targets": [exporter.address]}]))
        wanted = Settings([Job("services", targets)], scrape_interval=SCRAPE_INTERVAL)
        async with Prometheus.start(wanted) as prometheus:
            await prometheus.ask.until("count_over_time(up[5m])", _scraped, deadline=90)
            given = settings(
                database=f"sqlite:///{folder / 'canary.db'}",
                prometheus=prometheus.url,
                targets=dict.fromkeys(names, "true"),
                rules=rules,
                lease=10.0,
                prometheus_timeout=30.0,
                log={"format": "text", "level": "warning"},
            )
            async with serving(folder, ("server", given)) as (server,):
                costs: list[Cost] = []
                ids: list[str] = []
                for analyses in STEPS:
                    ids += await _order(server, names, analyses - len(ids))
                    await asyncio.sleep(SETTLE)
                    costs.append(await _measure(server, prometheus, ids))
                    _tell(costs[-1])
                return costs


def _scraped(answer: Sequence[Answer]) -> bool:
    """Often enough to have a past."""
    return bool(answer) and answer[0].value >= 6


async def _order(server: Server, names: Sequence[str], more: int) -> list[str]:
    """So many more analyses, over all services in turn."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def order(number: int) -> str:
        name = names[number % len(names)]
        body = {"target": f"command/{name}", "rule_set": json.dumps(rule_set(name)), "dry_run": True}
        async with turn:
            answer = await server.http.post("/api/v1/analyses", json=body, timeout=60)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        id_: str = answer.json()["id"]
        return id_

    return list(await asyncio.gather(*(order(number) for number in range(more))))


async def _measure(server: Server, prometheus: Prometheus, ids: Sequence[str]) -> Cost:
    assert prometheus.pid is not None
    began, before = time.monotonic(), time.time()
    first, asked = (taken(server.pid), taken(prometheus.pid)), await _asked(prometheus)
    await asyncio.sleep(MEASURE)
    seconds = time.monotonic() - began
    last = (taken(server.pid), taken(prometheus.pid))
    queries = await _asked(prometheus) - asked
    return Cost(
        analyses=len(ids),
        cpu=(last[0].cpu - first[0].cpu) / seconds,
        prometheus_cpu=(last[1].cpu - first[1].cpu) / seconds,
        memory=last[0].memory,
        queries=queries / seconds,
        late=max(
            [await _latest(server, id_, before) for id_ in random.Random(1).sample(ids, min(len(ids), LOOKED_AT))]
        ),
    )


async def _asked(prometheus: Prometheus) -> float:
    """Queries that it has answered so far, as it counts them itself."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        text = (await client.get(f"{prometheus.url}/metrics")).text
    counted = r'^prometheus_http_requests_total\{.*handler="/api/v1/query(?:_range)?".*\} (\S+)$'
    return sum(float(value) for value in re.findall(counted, text, re.MULTILINE))


async def _latest(server: Server, id_: str, since: float) -> float:
    """By how many seconds its most belated window was read after it could have been."""
    windows = []
    after: int | None = 0
    while after is not None:
        parameters = {"after": after, "limit": 500}
        page: dict[str, Any] = (await server.http.get(f"/api/v1/analyses/{id_}/events", params=parameters)).json()
        windows += [each["event"] for each in page["items"] if each["event"]["type"] == "window"]
        after = page["next"] if page["items"] else None
    measured = [event for event in windows if event["reading"]["window"]["end"] >= since - INTERVAL]
    assert measured, f"{id_} has read nothing"
    return max(float(event["at"] - event["reading"]["window"]["end"] - SCRAPE_INTERVAL) for event in measured)


def _tell(cost: Cost) -> None:
    each = 1000 * cost.cpu * INTERVAL / cost.analyses
    print(
        f"  {cost.analyses:>8} {cost.cpu:>7.2f} {each:>9.1f} {cost.prometheus_cpu:>11.2f} "
        f"{cost.memory / 2**20:>9.0f} {cost.queries_each:>9.2f} {cost.late:>6.1f} s",
        flush=True,
    )
