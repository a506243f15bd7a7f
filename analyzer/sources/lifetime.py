"""Since when targets and their processes are known: which series counts from zero. Pure.

A series without a sample so far counts from zero if its target was already scraped successfully before (it would have
been there), or if its process or its pod began after the origin (nothing that it counted is older). Otherwise its first
sample is only a reference: nobody knows when it was counted.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from analyzer.sources.counting import Labels, Series

JOB, INSTANCE, POD, NAMESPACE = "job", "instance", "pod", "namespace"


@dataclass
class Lifetimes:
    """What is known of targets: each scrape's success (`up`), and when processes and pods began (Unix seconds)."""

    up: Iterable[Series[float]] = ()
    processes: Iterable[Series[float]] = ()
    pods: Iterable[Series[float]] = ()
    _up: dict[tuple[str, str], list[Series[float]]] = field(init=False)
    _processes: dict[tuple[str, str], list[Series[float]]] = field(init=False)
    _pods: dict[str, list[Series[float]]] = field(init=False)

    def __post_init__(self) -> None:
        self._up, self._processes, self._pods = defaultdict(list), defaultdict(list), defaultdict(list)
        for series in self.up:
            self._up[_target(series.labels)].append(series)
        for series in self.processes:
            self._processes[_target(series.labels)].append(series)
        for series in self.pods:
            self._pods[series.labels.get(POD, "")].append(series)

    def counts_from_zero(self, labels: Labels, first: int, origin: int) -> bool:
        """Whether a series whose first sample is of this time (ms) has counted all of it after `origin` (ms)."""
        return (
            self._was_scraped_before(labels, first)
            or any(self._began(series, first) > origin for series in self._of_target(self._processes, labels))
            or any(self._began(series, first) > origin for series in self._of_pod(labels))
        )

    def _was_scraped_before(self, labels: Labels, first: int) -> bool:
        return any(
            time < first and value == 1
            for series in self._of_target(self._up, labels)
            for time, value in zip(series.times, series.values, strict=True)
        )

    @staticmethod
    def _began(series: Series[float], at: int) -> float:
        """When it began, in ms, as it was told at this time or at the next one after it."""
        for time, value in zip(series.times, series.values, strict=True):
            if time >= at:
                return value * 1000
        return series.values[-1] * 1000 if series.values else float("-inf")

    @staticmethod
    def _of_target(known: dict[tuple[str, str], list[Series[float]]], labels: Labels) -> list[Series[float]]:
        """The series of this target: an address may have been another pod's before, so no label may contradict."""
        if not labels.get(INSTANCE):
            return []
        return [series for series in known.get(_target(labels), ()) if not _contradicts(series.labels, labels)]

    def _of_pod(self, labels: Labels) -> list[Series[float]]:
        namespace = labels.get(NAMESPACE)
        found = self._pods.get(labels[POD], []) if labels.get(POD) else []
        return [each for each in found if namespace in {None, each.labels.get(NAMESPACE, namespace)}]


def _target(labels: Labels) -> tuple[str, str]:
    return labels.get(JOB, ""), labels.get(INSTANCE, "")


def _contradicts(one: Labels, other: Labels) -> bool:
    return any(other.get(name, value) != value for name, value in one.items() if name != "__name__")
