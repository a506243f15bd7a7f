"""Pods that live through everything that makes counting hard, and the truth about them, found out independently."""

import asyncio
import itertools
import json
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from analyzer.demo.behaviour import Behaviour
from analyzer.demo.instance import Instance
from analyzer.model.reading import Window

DURATIONS = (0.003, 0.02, 0.06, 0.2, 0.6, 3.0)
"""Seconds that requests take here, in buckets of their own: every bucket is filled at once."""


@dataclass
class Pod:
    """One pod of a job; `rate` requests per second are counted on it while it has load."""

    name: str
    version: str
    instance: Instance
    rate: float

    async def serve(self, seed: int) -> None:
        """Count requests for ever, one in twenty of them bad."""
        luck = random.Random(f"{seed}/{self.name}")
        owed, before = 0.0, asyncio.get_running_loop().time()
        while True:
            await asyncio.sleep(0.02)
            now = asyncio.get_running_loop().time()
            owed, before = owed + (now - before) * self.rate, now
            while owed >= 1:
                owed -= 1
                self.count(luck)

    def count(self, luck: random.Random) -> None:
        if self.instance.alive:
            self.instance.metrics.count(500 if luck.random() < 0.05 else 200, "GET", luck.choice(DURATIONS))


@dataclass
class Job:
    """A scrape job with its pods; those in `told` are known to Prometheus."""

    name: str
    interval: float
    folder: Path
    native_schema: int | None = None
    pods: dict[str, Pod] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.folder / f"{self.name}.json"

    async def start(self, name: str, version: str, rate: float, warm: int = 0) -> Pod:
        """A new pod, with some requests counted already; Prometheus is not told yet."""
        instance = Instance(Behaviour(), native_schema=self.native_schema)
        await instance.start()
        pod = self.pods[name] = Pod(f"{self.name}-{name}", version, instance, rate)
        luck = random.Random(pod.name)
        for _ in range(warm):
            pod.count(luck)
        return pod

    def tell(self, *names: str) -> None:
        """Tell Prometheus about exactly these pods."""
        self.told = list(names)
        pods = [self.pods[name] for name in names]
        targets = [
            {"targets": [pod.instance.address], "labels": {"pod": pod.name, "version": pod.version}} for pod in pods
        ]
        new = self.file.with_suffix(".new")
        new.write_text(json.dumps(targets))
        new.replace(self.file)

    def addresses(self) -> list[str]:
        return [self.pods[name].instance.address for name in self.told]

    async def stop(self) -> None:
        await asyncio.gather(*(pod.instance.stop() for pod in self.pods.values()))


Samples = list[tuple[float, Any]]
"""(Unix seconds, value) of one series, or (Unix seconds, buckets) of one native histogram."""


@dataclass
class Raw:
    """One series as the server has it: everything it has scraped, in one answer."""

    labels: dict[str, str]
    samples: Samples


async def raw(url: str, selector: str) -> list[Raw]:
    """Every raw sample of the last ten minutes."""
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        answer = await client.post(f"{url}/api/v1/query", data={"query": f"{selector}[10m]"})
    result = answer.json()["data"]["result"]
    return [Raw(each["metric"], _samples(each)) for each in result]


def _samples(each: Mapping[str, Any]) -> Samples:
    if "histograms" in each:
        return [(at, _buckets(histogram)) for at, histogram in each["histograms"]]
    return [(at, float(value)) for at, value in each["values"]]


def _buckets(histogram: Mapping[str, Any]) -> dict[str, float]:
    return {upper: float(count) for _, _, upper, count in histogram.get("buckets", [])}


def increases(series: Iterable[Raw], start: float, seen_first: Mapping[str, float]) -> list[tuple[Raw, float, Any]]:
    """Reset-aware differences of neighbouring samples, each with the time of the later one.

    A series whose first sample is of the time at which its pod was first seen is measured from there, unless the pod
    is not in `seen_first`: then it was born under our eyes. A series that came later began at zero.
    """
    found = []
    for one in series:
        at, first = one.samples[0]
        if (at > start and one.labels["pod"] not in seen_first) or (
            at > start and at > seen_first[one.labels["pod"]] + 0.01
        ):
            found.append((one, at, first))
        for (_, before), (later, after) in itertools.pairwise(one.samples):
            if later > start:
                found.append((one, later, grown(before, after)))
    return found


def grown(before: Any, after: Any) -> Any:  # noqa: ANN401 -- a number, or buckets
    if isinstance(after, dict):
        keys = before.keys() | after.keys()
        if any(after.get(key, 0) < before.get(key, 0) for key in keys):
            return after
        return {key: after.get(key, 0) - before.get(key, 0) for key in keys}
    return after if after < before else after - before


def by_window(
    found: Sequence[tuple[Raw, float, float]], windows: Sequence[Window], label: str = ""
) -> dict[tuple[int, str, str], float]:
    """The sum for each window, version and value of a label."""
    sums: dict[tuple[int, str, str], float] = defaultdict(float)
    for one, at, amount in found:
        for number, window in enumerate(windows):
            if round(window.start * 1000) < round(at * 1000) <= round(window.end * 1000):
                sums[number, one.labels["version"], one.labels.get(label, "")] += amount
    return sums
