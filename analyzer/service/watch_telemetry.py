"""What the controller has seen, as metrics."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

from analyzer.service.families import Family

KINDS: Final = ("helm", "rollout")
OUTCOMES: Final = (
    "ordered", "known", "left_alone", "first", "way_back", "too_old", "of_release", "no_pods", "over", "refused",
    "unreadable",
)  # fmt: skip


class WatchTelemetry:
    """Metrics of watching the cluster. `now` gives Unix seconds."""

    def __init__(self, registry: CollectorRegistry, now: Callable[[], float]) -> None:
        self._now = now
        self._heard: Callable[[], Iterable[float]] = tuple
        self._objects = Family(
            Gauge("canary_watch_objects", "Releases and Rollouts that are watched.", ("kind",), registry=registry),
            *((kind,) for kind in KINDS),
        )
        self._upgrades = Family(
            Counter(
                "canary_watch_upgrades_total",
                "Revisions that were seen, by what became of them.",
                ("outcome",),
                registry=registry,
            ),
            *((outcome,) for outcome in OUTCOMES),
        )
        self._reconnects = Counter(
            "canary_watch_reconnects_total", "Watches that were lost, and begun anew.", registry=registry
        )
        silent = Gauge(
            "canary_watch_seconds_since_last_word",
            "For how long the API server has said nothing of what is watched, of the watch that waits longest.",
            registry=registry,
        )
        silent.set_function(self._silent)

    def watched(self, kind: str, count: Callable[[], int]) -> None:
        """So many of this kind (`KINDS`) are watched."""
        self._objects.of(kind).set_function(count)

    def upgrade(self, outcome: str) -> None:
        """A revision was seen, and this became of it (`OUTCOMES`)."""
        self._upgrades.of(outcome).inc()

    def reconnected(self) -> None:
        """A watch was lost."""
        self._reconnects.inc()

    def heard(self, at: Callable[[], Iterable[float]]) -> None:
        """When each watch has heard something last, in Unix seconds."""
        self._heard = at

    def _silent(self) -> float:
        return max((self._now() - at for at in self._heard()), default=0.0)
