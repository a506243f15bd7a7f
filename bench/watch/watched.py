"""`canary serve` on the stub, and what it takes."""

import asyncio
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import httpx

from bench.watch.api import RELEASES, REVISIONS, SIZES

LIMIT: Final = 300
"""MiB, of both processes together."""
PATIENCE: Final = 120.0
"""Seconds for each step."""
_API: Final = "import asyncio; from bench.watch.api import main; asyncio.run(main())"
_TOKEN: Final = "canary_bench_0123456789abcdef0123456789abcdef"


async def measured(folder: Path) -> bool:
    """Print what it takes; whether that is within the limit."""
    api = await asyncio.create_subprocess_exec(sys.executable, "-c", _API, stdout=asyncio.subprocess.PIPE)
    assert api.stdout is not None
    port = int(await api.stdout.readline())
    began = time.monotonic()
    words = [sys.executable, "-m", "analyzer.cli", "serve", f"--config={_settings(folder, port)}", "--port=0"]
    with (folder / "log").open("wb") as log:
        service = await asyncio.create_subprocess_exec(*words, stderr=log, env=_environment())
    sampling = asyncio.create_task(_highest(service.pid))
    try:
        started = await asyncio.to_thread(_address, folder / "log", began)
        base = _mebibytes(service.pid)
        async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
            ask = Asking(client, f"http://127.0.0.1:{port}", started[0])
            seen = await ask.until_left_alone(RELEASES)
            after_start = _mebibytes(service.pid)
            again = time.monotonic()
            await client.post(f"{ask.api}/upgrade")
            upgraded = await ask.until_left_alone(2 * RELEASES) - again
            fetched = (await client.get(f"{ask.api}/asked")).json()["fetched"]
        now = _mebibytes(service.pid)
    finally:
        sampling.cancel()
        for process in (service, api):
            process.terminate()
            await process.wait()
    highest = max(_SAMPLES)
    print(f"{RELEASES} releases, {REVISIONS} revisions each, {SIZES[0] // 1000} to {SIZES[1] // 1000} kB")
    print(f"  start to listening      {started[1]:6.1f} s")
    print(f"  start to all seen       {seen - began:6.1f} s ({RELEASES} of them fetched and unpacked)")
    print(f"  all upgraded to all seen{upgraded:6.1f} s; Secrets fetched in all: {fetched}")
    print(f"  PSS when it listens     {base:6.0f} MiB, of both processes")
    print(f"  PSS when all are seen   {after_start:6.0f} MiB; after the upgrades {now:.0f} MiB")
    print(
        f"  PSS at its highest      {highest:6.0f} MiB   limit {LIMIT} MiB   {'ok' if highest <= LIMIT else 'TOO MUCH'}"
    )
    return highest <= LIMIT


class Asking:
    """Asks the service how many revisions it has left alone."""

    def __init__(self, client: httpx.AsyncClient, api: str, service: str) -> None:
        self.api = api
        self._client, self._service = client, service

    async def until_left_alone(self, count: int) -> float:
        """When they were so many, by the monotonic clock. TimeoutError if that does not come."""
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            told = (await self._client.get(f"{self._service}/metrics")).text
            found = 'canary_watch_upgrades_total{outcome="left_alone"} '
            if any(float(line.removeprefix(found)) >= count for line in told.splitlines() if line.startswith(found)):
                return time.monotonic()
            await asyncio.sleep(0.1)
        raise TimeoutError(f"not {count} revisions were seen within {PATIENCE:g} s")


_SAMPLES: list[float] = []


async def _highest(pid: int) -> None:
    while True:
        _SAMPLES.append(_mebibytes(pid))
        await asyncio.sleep(0.1)


def _mebibytes(pid: int) -> float:
    """The proportional set size of a process and its children."""
    return sum(_pss(each) for each in (pid, *_children(pid))) / 1024


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def _children(pid: int) -> Iterator[int]:
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, tasks.read_text().split())


def _address(log: Path, began: float) -> tuple[str, float]:
    """Where the service listens, and how long that took."""
    while "serving on " not in (said := log.read_text()):
        assert time.monotonic() < began + PATIENCE, said
        time.sleep(0.02)
    return said.partition("serving on ")[2].split()[0], time.monotonic() - began


def _settings(folder: Path, port: int) -> Path:
    kubeconfig = folder / "kubeconfig"
    context = {"cluster": "stub", "user": "bench"}
    kubeconfig.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "clusters": [{"name": "stub", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
                "users": [{"name": "bench", "user": {"token": "t"}}],
                "contexts": [{"name": "stub", "context": context}],
                "current-context": "stub",
            }
        )
    )
    sha256 = hashlib.sha256(_TOKEN.encode()).hexdigest()
    settings = {
        "database": f"sqlite:///{folder / 'canary.db'}",
        "prometheus": "http://127.0.0.1:9",
        "kubeconfig": str(kubeconfig),
        "access": {"metrics_open": True, "tokens": {"bench": {"sha256": sha256, "grants": {"*": "read"}}}},
        "watch": {"namespaces": ["*"]},
        "log": {"level": "warning"},
    }
    file = folder / "canary.yaml"
    file.write_text(json.dumps(settings))
    return file


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("CANARY_", "KUBE", "HELM_"))}
