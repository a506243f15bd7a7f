"""Which revisions of releases are reported: the newest, once for each change, whatever else comes."""

import itertools
from typing import Any

import pytest

from analyzer.controller.releases import Releases
from analyzer.controller.sighting import Place, Sighting
from analyzer.model.target import PlatformKind
from analyzer.platforms.helm_storage import Kept, Storage
from tests.controller.conftest import QuickClock

NOW = 1_800_000_000.0


def secret(
    release: str, revision: int, status: str = "deployed", uid: str = "", namespace: str = "shop"
) -> dict[str, Any]:
    labels = {"owner": "helm", "name": release, "version": str(revision), "status": status}
    return {
        "metadata": {
            "name": f"sh.helm.release.v1.{release}.v{revision}",
            "namespace": namespace,
            "uid": uid or f"{release}-{revision}",
            "creationTimestamp": "2027-01-15T07:00:00Z",
            "labels": labels,
        }
    }


class Seen:
    """What a follower has reported, in words."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.sightings: list[Sighting[Kept]] = []
        self.clock = QuickClock(NOW)
        self.releases = Releases(Storage.SECRETS, self._report, self._forget, self.clock)

    def _report(self, sighting: Sighting[Kept]) -> None:
        self.sightings.append(sighting)
        self.said.append(f"{sighting.place.name}.v{sighting.revision} {sighting.mark.status}")

    def _forget(self, place: Place) -> None:
        self.said.append(f"-{place.name}")

    def list(self, *secrets: dict[str, Any]) -> None:
        self.releases.listing()
        for each in secrets:
            self.releases.seen(each)
        self.releases.listed()


def test_only_the_newest_of_a_list_is_reported() -> None:
    seen = Seen()
    revisions = [secret("web", number, "superseded") for number in (1, 10, 11, 2, 9)]
    seen.list(*revisions, secret("web", 12), secret("db", 1))
    assert seen.said == ["web.v12 deployed", "db.v1 deployed"]
    assert seen.releases.count == 2


def test_a_change_of_the_newest_is_reported_once() -> None:
    seen = Seen()
    seen.list(secret("web", 1))
    first = secret("web", 2, "pending-upgrade")
    for each in (first, first, secret("web", 1, "superseded"), secret("web", 2), secret("web", 2), secret("web", 1)):
        seen.releases.seen(each)
    assert seen.said == ["web.v1 deployed", "web.v2 pending-upgrade", "web.v2 deployed"]


def test_a_list_after_an_outage_tells_what_came_meanwhile() -> None:
    seen = Seen()
    seen.list(secret("web", 1), secret("db", 3), secret("gone", 2))
    seen.list(secret("web", 1, "superseded"), secret("web", 2), secret("db", 3))
    assert seen.said[3:] == ["-gone", "web.v2 deployed"]


def test_a_release_that_is_installed_anew_is_another_one() -> None:
    seen = Seen()
    seen.list(secret("web", 1), secret("web", 2))
    seen.releases.gone(secret("web", 1))  # pruned: nothing new
    seen.releases.gone(secret("web", 2))
    seen.releases.seen(secret("web", 1, uid="another"))
    seen.list(secret("web", 1, uid="a third"))
    assert seen.said == ["web.v2 deployed", "-web", "web.v1 deployed", "web.v1 deployed"]


def test_a_number_that_helm_never_comes_to_hides_nothing() -> None:
    seen = Seen()
    seen.list(secret("web", 1), secret("web", 999_999))
    later = secret("web", 2)
    later["metadata"]["creationTimestamp"] = "2027-01-15T07:30:00Z"
    seen.releases.seen(later)
    seen.list(secret("web", 1), later, secret("web", 999_999))
    assert seen.said == ["web.v999999 deployed", "web.v2 deployed"]


def test_when_it_was_seen_first_stays() -> None:
    seen = Seen()
    seen.list(secret("web", 2, "pending-upgrade"))
    seen.clock.time += 7200
    seen.releases.seen(secret("web", 2))
    seen.releases.seen(secret("web", 3))
    assert [each.seen_at - NOW for each in seen.sightings] == [0, 0, 7200]


def test_of_the_same_name_in_two_namespaces() -> None:
    seen = Seen()
    seen.list(secret("web", 2), secret("web", 5, namespace="other"))
    assert {each.place for each in seen.sightings} == {
        Place(PlatformKind.HELM, "shop", "web", "secrets"),
        Place(PlatformKind.HELM, "other", "web", "secrets"),
    }


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_whatever_the_order(order: tuple[int, ...]) -> None:
    seen = Seen()
    three = [secret("web", 1, "superseded"), secret("web", 2, "superseded"), secret("web", 3)]
    for each in order:
        seen.releases.seen(three[each])
    assert seen.said[-1] == "web.v3 deployed"
    assert len(seen.said) == len(set(seen.said))


def test_garbage_is_nothing() -> None:
    seen = Seen()
    for each in ({}, {"metadata": None}, {"metadata": {"name": "x"}}, secret("web", 0)):
        seen.releases.seen(each)
        seen.releases.gone(each)
    assert seen.said == []
