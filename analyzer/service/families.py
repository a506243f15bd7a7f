"""Metrics with labels, whose series cannot become too many whatever the labels' values are."""

from typing import Generic, TypeVar

from prometheus_client.metrics import MetricWrapperBase

OTHER = "other"
"""Stands for every value that came when there were as many series as there may be."""
LONGEST = 100
"""Signs of a label's value."""

Kind = TypeVar("Kind", bound=MetricWrapperBase)


class Family(Generic[Kind]):
    """One metric by its labels. After `most` different sets of values, the next ones are counted as `other`."""

    def __init__(self, metric: Kind, *known: tuple[str, ...], most: int = 200) -> None:
        """`known` are values that are shown from the start: a rate needs the zero before the first event."""
        self._metric = metric
        self._most = most
        self._children: dict[tuple[str, ...], Kind] = {}
        for values in known:
            self.of(*values)

    def of(self, *values: str) -> Kind:
        """The series with these values of the labels, in the labels' order."""
        return self._children.get(values) or self._add(values)

    def _add(self, values: tuple[str, ...]) -> Kind:
        if len(self._children) >= self._most:
            return self._metric.labels(*(OTHER for _ in values))
        child = self._metric.labels(*(_plain(value) for value in values))
        self._children[values] = child
        return child


def _plain(value: str) -> str:
    return value[:LONGEST].encode("ascii", errors="replace").decode()
