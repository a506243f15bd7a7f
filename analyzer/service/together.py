"""The metrics of several processes as those of one."""

from collections.abc import Iterator, Sequence

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

ONCE = frozenset(
    {"canary_build", "canary_build_info", "python", "python_info", "process_start_time_seconds", "process_max_fds"}
)
"""What is not to be added up: that of the first one is shown."""


class Together(Collector):
    """All metrics of several processes, in the order of the first one; what several have is added up."""

    def __init__(self, processes: Sequence[Sequence[Metric]]) -> None:
        self._processes = processes

    def collect(self) -> Iterator[Metric]:
        """See the base class."""
        families: dict[str, list[Metric]] = {}
        for metric in (each for process in self._processes for each in process):
            families.setdefault(metric.name, []).append(metric)
        for name, found in families.items():
            yield found[0] if name in ONCE or len(found) == 1 else _sum(found)


def _sum(found: Sequence[Metric]) -> Metric:
    total = Metric(found[0].name, found[0].documentation, found[0].type, found[0].unit)
    values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
    for sample in (each for metric in found for each in metric.samples):
        key = sample.name, tuple(sample.labels.items())
        values[key] = values.get(key, 0.0) + sample.value
    for (name, labels), value in values.items():
        total.add_sample(name, dict(labels), value)
    return total
