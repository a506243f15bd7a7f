"""Which analysis a workload wants when it has got a new revision: from annotations, routes and settings. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from analyzer.model.route import Mode, Route
from analyzer.model.ruleset import OnFail

__all__ = ["Marked", "Mode", "Watching", "Wish", "wish_of"]


@dataclass(frozen=True)
class Marked:
    """What an object of the cluster says of itself: a workload, or a namespace (whose own `namespace` is empty)."""

    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """As sentences name it, and as `Ordered.workloads` has it: `Deployment shop/web`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Wish:
    """An analysis that is wanted. `because` says who wants it: `annotation of Deployment shop/web`."""

    rules: str
    parameters: dict[str, str]
    mode: Mode
    on_fail: OnFail | None
    prometheus: str
    because: str


class Watching(Protocol):
    """What the settings say of it; `Settings.watch` is one."""

    @property
    def mode(self) -> Mode:
        """Where neither annotation nor route says another."""
        ...

    @property
    def prometheus(self) -> str:
        """The connection, as for `mode`."""
        ...

    @property
    def routes(self) -> Sequence[Route]:
        """The outermost ones."""
        ...


def wish_of(workloads: Sequence[Marked], namespace: Marked, watch: Watching) -> Wish | None:
    """The analysis that the workloads of one release (or one Rollout) want together; None: it is left alone.

    Each value by itself: workloads before their namespace before routes before settings.

    Raises:
        UsageError: a value cannot be used, or two workloads contradict one another; a sentence with the place.
    """
    raise NotImplementedError
