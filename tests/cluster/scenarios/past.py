"""The past of pods that have only just started: what a Prometheus would have of them, had they served for long."""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from analyzer.demo.history import Series
from analyzer.demo.metrics import DURATION, REQUESTS
from analyzer.demo.tally import BOUNDARIES, Tally
from tests.cluster.kubelet.plan import plan_of

Json = dict[str, Any]
_Samples = defaultdict[tuple[str, tuple[tuple[str, str], ...]], list[tuple[float, float]]]

_JOB: Final = "pods"
_METHOD: Final = "GET"


def past(pods: Sequence[Json], *, rate: float, scrape: float, seconds: float, until: float) -> Iterator[Series]:
    """The series of these pods over so many seconds until then (Unix seconds), scraped every `scrape` seconds.

    All pods together got `rate` requests per second, and behaved as the tags of their images say. The process that
    serves now is another: its counters begin at zero, a reset as after any restart.
    """
    for number, pod in enumerate(pods):
        shift = number * scrape / len(pods)
        yield from _past_of(pod, rate / len(pods), scrape, (until - seconds - shift, until - shift))


def _past_of(pod: Json, rate: float, scrape: float, span: tuple[float, float]) -> Iterator[Series]:
    began, ended = span
    (container,) = pod["spec"]["containers"]
    behaviour, luck = plan_of(container["image"]).behaviour, Random(pod["metadata"]["name"])
    samples: _Samples = defaultdict(list)
    tally, sent = Tally(), 0
    for scraped in range(1, int((ended - began) / scrape)):
        at = began + scraped * scrape
        while sent < rate * (at - began):
            outcome = behaviour.draw(luck, at)
            tally.add(outcome.code, _METHOD, outcome.seconds)
            sent += 1
        for name, labels, value in _exposed(tally, began, behaviour.memory):
            samples[name, tuple(labels.items())].append((at, value))
    target = labels_of(pod)
    for (name, own), values in samples.items():
        yield Series(name, {**target, **dict(own)}, values)


def _exposed(tally: Tally, started: float, memory: float) -> Iterator[tuple[str, Mapping[str, str], float]]:
    """What a scrape finds, as analyzer/demo/metrics.py exposes it."""
    yield "up", {}, 1
    yield "process_start_time_seconds", {}, started
    yield "process_resident_memory_bytes", {}, memory
    for code, count in tally.by_code().items():
        yield REQUESTS, {"code": str(code), "method": _METHOD}, count
    for boundary, count in zip([*map(str, BOUNDARIES), "+Inf"], tally.cumulative(), strict=True):
        yield f"{DURATION}_bucket", {"le": boundary}, count
    yield f"{DURATION}_count", {}, tally.total
    yield f"{DURATION}_sum", {}, tally.seconds


def labels_of(pod: Json) -> dict[str, str]:
    """The labels of a pod as a target, as tests/cluster/prometheus.py sets them."""
    meta, spec = pod["metadata"], pod["spec"]
    (container,) = spec["containers"]
    (port,) = container["ports"]
    return {
        **{re.sub(r"\W", "_", name): value for name, value in meta["labels"].items()},
        "app": meta["labels"]["app.kubernetes.io/name"],
        "namespace": meta["namespace"],
        "pod": meta["name"],
        "container": container["name"],
        "node": spec["nodeName"],
        "instance": f"{pod['status']['podIP']}:{port['containerPort']}",
        "job": _JOB,
    }
