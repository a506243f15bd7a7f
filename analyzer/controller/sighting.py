"""What was seen in the cluster: a revision that was brought out; and what became of it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Generic, TypeVar

from analyzer.model.target import PlatformKind
from analyzer.platforms.workloads import Workload

PROMPT: Final = 60.0
"""Seconds in which an upgrade is seen while somebody looks, with clocks that differ: it was not made meanwhile."""

Mark = TypeVar("Mark")


class Outcome(StrEnum):
    """What became of a revision that was seen."""

    ORDERED = "ordered"  # its analysis, by this process
    KNOWN = "known"  # it was ordered before: by another replica, or before a restart
    LEFT_ALONE = "left_alone"  # neither annotation nor route wants an analysis
    FIRST = "first"  # nothing to compare it with
    WAY_BACK = "way_back"  # it restores an earlier one
    TOO_OLD = "too_old"  # longer ago than catch_up when it was first seen
    OF_RELEASE = "of_release"  # a Rollout that a Helm release has: the release is analysed
    NO_PODS = "no_pods"  # a release without workloads
    OVER = "over"  # replaced, uninstalled or aborted before it was looked at
    REFUSED = "refused"  # an analysis is wanted that cannot be ordered
    UNREADABLE = "unreadable"  # what Helm has kept is none of Helm's


@dataclass(frozen=True, slots=True)
class Place:
    """Of which release or Rollout."""

    kind: PlatformKind
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind.value}/{self.name} in {self.namespace}"


@dataclass(frozen=True, slots=True)
class Sighting(Generic[Mark]):
    """A revision, by what its metadata say; when this process saw it first, and when it saw it so (Unix seconds)."""

    place: Place
    revision: int
    mark: Mark
    seen_at: float
    so_since: float

    def is_older(self, created_at: float, catch_up: float) -> bool:
        """Whether it was brought out (Unix seconds) longer ago than `catch_up` when it was seen first."""
        return self.seen_at - created_at > max(catch_up, PROMPT)


@dataclass(frozen=True)
class Candidate:
    """A revision that may be analysed. `key` is the same for every process that sees it, `created_at` is when it was
    brought out, in Unix seconds."""

    place: Place
    revision: int
    key: str
    created_at: float
    workloads: tuple[Workload, ...]


@dataclass(frozen=True)
class Settled:
    """What became of it without an order."""

    outcome: Outcome
    why: str = ""


class Unsettled(Exception):  # noqa: N818 -- no error: that is how it stands
    """Nobody can say yet: look again in a moment; the sentence says why."""
