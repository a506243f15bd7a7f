"""The revision of each Rollout, from its metadata: all that is remembered of them."""

from collections.abc import Callable
from dataclasses import dataclass

from analyzer.controller.sighting import Place, Sighting
from analyzer.engine.ports import Clock
from analyzer.model.target import PlatformKind
from analyzer.platforms.cluster import Object
from analyzer.platforms.parts import mapping
from analyzer.platforms.rollout_state import State, number_of


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the metadata of a Rollout tell. `release` is the Helm release that it belongs to; empty if none."""

    uid: str
    revision: int
    release: str


Report = Callable[[Sighting[Stamp]], None]


class Rollouts:
    """The Rollouts of one namespace or all; a `Follower`. Each revision is reported once."""

    def __init__(self, report: Report, forget: Callable[[Place], None], clock: Clock) -> None:
        self._report = report
        self._forget = forget
        self._clock = clock
        self._newest: dict[Place, Sighting[Stamp]] = {}
        self._found: set[Place] | None = None

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._newest)

    def listing(self) -> None:
        """See `Follower`."""
        self._found = set()

    def seen(self, found: Object) -> None:
        """See `Follower`. Before its controller has seen a Rollout, it has no revision."""
        metadata = mapping(found, "metadata")
        place = Place(PlatformKind.ROLLOUT, str(metadata.get("namespace")), str(metadata.get("name")))
        mark = Stamp(str(metadata.get("uid")), number_of(found), State(found, ()).helm_release)
        if self._found is not None:
            self._found.add(place)
        known = self._newest.get(place)
        if mark.revision and (known is None or known.mark != mark):
            now = self._clock.now()
            self._newest[place] = sighting = Sighting(place, mark.revision, mark, now, now)
            self._report(sighting)

    def gone(self, found: Object) -> None:
        """See `Follower`."""
        metadata = mapping(found, "metadata")
        self._drop(Place(PlatformKind.ROLLOUT, str(metadata.get("namespace")), str(metadata.get("name"))))

    def listed(self) -> None:
        """See `Follower`."""
        found, self._found = self._found or set(), None
        for place in [place for place in self._newest if place not in found]:
            self._drop(place)

    def _drop(self, place: Place) -> None:
        if self._newest.pop(place, None) is not None:
            self._forget(place)
