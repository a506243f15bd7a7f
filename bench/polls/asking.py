"""Asks as the controller does, and measures how long it waits."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlencode

import aiohttp

from analyzer.demo.prometheus import Job, Prometheus, Settings
from bench.load.order import rule_set
from bench.polls.surroundings import CANARY, NAMESPACE, STABLE, surroundings
from tests.faults.serving import Server, serving, settings

ROLLOUTS, SERVICES = 500, 50
PODS, RATE = 2, 50.0
EVERY = 10.0
"""Seconds between two questions of a Rollout."""
SCRAPE_INTERVAL = 5.0
STARTING, SETTLE, MEASURE = 60.0, 30.0, 60.0
"""Seconds in which all begin, until they have learned their past, and while it is measured."""
LIMIT = 0.050
"""Seconds, for the 99th percentile."""
NOTHING = "/healthz"


async def measured(folder: Path) -> bool:
    """Print the times; whether they are within the limit."""
    names = tuple(f"svc-{number}" for number in range(SERVICES))
    rules, targets = folder / "rules", folder / "targets.json"
    rules.mkdir()
    for name in names:
        written = {**rule_set(name), "metadata": {"name": name}}
        (rules / f"{name}.yaml").write_text(json.dumps(written))  # JSON is YAML
    with surroundings(names, ROLLOUTS, PODS, RATE) as (api_server, scraped):
        targets.write_text(json.dumps([{"targets": [scraped]}]))
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(json.dumps(_kubeconfig(api_server)))
        wanted = Settings([Job("services", targets)], scrape_interval=SCRAPE_INTERVAL)
        async with Prometheus.start(wanted) as prometheus:
            await prometheus.ask.until(
                "count_over_time(up[5m])", lambda found: bool(found) and found[0].value >= 6, deadline=90
            )
            given = settings(
                database=f"sqlite:///{folder / 'canary.db'}",
                prometheus=prometheus.url,
                targets={},
                rules=rules,
                lease=10.0,
                prometheus_timeout=30.0,
                kubeconfig=str(kubeconfig),
                log={"format": "text", "level": "warning"},
            )
            async with serving(folder, ("server", given)) as (server,):
                return await _measure(server)


def _kubeconfig(server: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "stub", "cluster": {"server": f"http://{server}"}}],
        "users": [{"name": "bench", "user": {"token": "t"}}],
        "contexts": [{"name": "stub", "context": {"cluster": "stub", "user": "bench", "namespace": NAMESPACE}}],
        "current-context": "stub",
    }


async def _measure(server: Server) -> bool:
    print(
        f"\ncanary serve: {ROLLOUTS} Rollouts of {SERVICES} services ask every {EVERY:g} s, each with a live analysis",
        flush=True,
    )
    headers = {"Authorization": server.http.headers["authorization"]}
    # Lighter than httpx: what the client takes is measured, too. Nobody waits for one of its own connections.
    connections = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(server.url, headers=headers, connector=connections) as client:
        await _ask_all(client, STARTING + SETTLE, within=STARTING)
        pending, nothing = await _ask_all(client, MEASURE, within=EVERY)
    asked, idle = _percentile(pending, 0.99), _percentile(nothing, 0.99)
    for name, times in (("the verdict", pending), (f"{NOTHING}, which does nothing", nothing)):
        shown = ", ".join(f"p{100 * share:g} {1000 * _percentile(times, share):.1f}" for share in (0.5, 0.9, 0.99, 1.0))
        print(f"  {name:<34} {len(times):>6} answers   {shown} ms")
    held = asked <= LIMIT
    print(f"  the 99th percentile is {asked / idle:.2f} times that of an endpoint which does nothing")
    print(f"  {'99th percentile of the answers':<50} {1000 * asked:8.1f} ms  limit {1000 * LIMIT:g}  ", end="")
    print("ok" if held else "FAILED")
    return held


async def _ask_all(client: aiohttp.ClientSession, seconds: float, within: float) -> tuple[list[float], list[float]]:
    """Seconds that the answers took, of verdicts and of nothing, in turns; all begin evenly spread `within`."""
    until = time.monotonic() + seconds
    pending: list[float] = []
    nothing: list[float] = []

    async def poll(number: int) -> None:
        chance = random.Random(number)
        await asyncio.sleep(within * number / ROLLOUTS)
        while time.monotonic() < until:
            began = time.monotonic()
            pending.append(await _ask(client, _question(number)))
            await asyncio.sleep(EVERY / 2 + chance.uniform(-0.5, 0.5))
            nothing.append(await _ask(client, NOTHING))
            await asyncio.sleep(max(0.0, began + EVERY - time.monotonic()))

    await asyncio.gather(*(poll(number) for number in range(ROLLOUTS)))
    return pending, nothing


async def _ask(client: aiohttp.ClientSession, where: str) -> float:
    began = time.perf_counter()
    async with client.get(where) as answer:
        text = await answer.text()
    took = time.perf_counter() - began
    assert answer.status == HTTPStatus.OK, text
    found = json.loads(text)
    assert where == NOTHING or found["analysis"] or found["reason"] == "its analysis is being started", found
    assert found.get("verdict", "pending") == "pending", found
    return took


def _question(number: int) -> str:
    asked = {
        "namespace": NAMESPACE,
        "rollout": f"web-{number}",
        "stable": STABLE,
        "canary": CANARY,
        "rules": f"svc-{number % SERVICES}",
        "purpose": "step",
    }
    return f"/api/v1/argo/verdict?{urlencode(asked)}"


def _percentile(times: Sequence[float], share: float) -> float:
    """The nearest rank."""
    return sorted(times)[max(0, min(len(times) - 1, round(share * len(times)) - 1))]
