"""The newest revision of each Helm release, from the metadata of what Helm keeps: all that is remembered of them."""

from collections.abc import Callable

from analyzer.controller.sighting import Place, Sighting
from analyzer.engine.ports import Clock
from analyzer.model.target import PlatformKind
from analyzer.platforms.cluster import Object
from analyzer.platforms.helm_storage import Kept, Storage, kept

Report = Callable[[Sighting[Kept]], None]


class Releases:
    """The releases of one storage, in one namespace or all; a `Follower`. A change of a newest revision is reported."""

    def __init__(self, storage: Storage, report: Report, forget: Callable[[Place], None], clock: Clock) -> None:
        self._storage = storage
        self._report = report
        self._forget = forget
        self._clock = clock
        self._newest: dict[Place, Sighting[Kept]] = {}
        self._found: dict[Place, Kept] | None = None  # while they are listed: v10 comes before v2

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._newest)

    def listing(self) -> None:
        """See `Follower`."""
        self._found = {}

    def seen(self, found: Object) -> None:
        """See `Follower`."""
        mark = kept(found, self._storage)
        if mark is None:
            return
        place = _place(mark)
        if self._found is not None:
            other = self._found.get(place)
            if other is None or (mark.created_at, mark.revision) > (other.created_at, other.revision):
                self._found[place] = mark
        else:
            known = self._newest.get(place)
            if known is None or mark.uid == known.mark.uid or _is_newer(mark, known.mark):
                self._note(place, mark)

    def gone(self, found: Object) -> None:
        """See `Follower`. Helm prunes old revisions; with the newest one the release is gone."""
        mark = kept(found, self._storage)
        known = self._newest.get(_place(mark)) if mark else None
        if mark and known and known.mark.uid == mark.uid:
            self._drop(known.place)

    def listed(self) -> None:
        """See `Follower`."""
        found, self._found = self._found or {}, None
        for place in [place for place in self._newest if place not in found]:
            self._drop(place)
        for place, mark in found.items():
            self._note(place, mark)

    def _note(self, place: Place, mark: Kept) -> None:
        known = self._newest.get(place)
        if known is not None and known.mark == mark:
            return
        is_same = known is not None and known.mark.uid == mark.uid
        now = self._clock.now()
        seen_at = known.seen_at if known is not None and is_same else now
        self._newest[place] = sighting = Sighting(place, mark.revision, mark, seen_at, now)
        self._report(sighting)

    def _drop(self, place: Place) -> None:
        del self._newest[place]
        self._forget(place)


def _is_newer(one: Kept, other: Kept) -> bool:
    """By its number, or by its age: what somebody else has made may have a number that Helm never comes to. Where all
    are seen at once, the youngest is the newest; else clocks that differ must not hide the next one."""
    return one.revision > other.revision or one.created_at > other.created_at


def _place(mark: Kept) -> Place:
    return Place(PlatformKind.HELM, mark.namespace, mark.name)
