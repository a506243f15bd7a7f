"""What is to be done about a Rollout whose revision has changed: a table, and Rollouts as they are reported."""

from typing import Any

import pytest

from analyzer.controller.rollout_look import settled
from analyzer.controller.rollouts import Rollouts, Stamp
from analyzer.controller.sighting import Outcome, Place, Settled, Sighting, Unsettled
from analyzer.model.target import PlatformKind
from analyzer.platforms.rollout_state import BROUGHT_BACK, State
from tests.controller.conftest import QuickClock

Object = dict[str, Any]
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z
OLD, NEW, NEWER = "2027-01-15T07:00:00Z", "2027-01-15T07:59:00Z", "2027-01-15T07:59:30Z"
RELEASE = "meta.helm.sh/release-name"
REVISION = "rollout.argoproj.io/revision"


def rollout(revision: object = 2, **annotations: str) -> Object:
    told = {REVISION: str(revision), **annotations}
    return {"metadata": {"name": "web", "namespace": "shop", "uid": "r", "annotations": told}}


def made(hash_: str, number: int, created: str, **annotations: str) -> Object:
    return {
        "metadata": {
            "labels": {"rollouts-pod-template-hash": hash_},
            "annotations": {REVISION: str(number), **annotations},
            "creationTimestamp": created,
            "ownerReferences": [{"uid": "r"}],
        }
    }


def state(current: str, stable: str, *sets: Object, live: Object | None = None, **status: object) -> State:
    return State.of({**(live or rollout()), "status": {"currentPodHash": current, "stableRS": stable, **status}}, sets)


def sighting(revision: int = 2) -> Sighting[Stamp]:
    return Sighting(Place(PlatformKind.ROLLOUT, "shop", "web"), revision, Stamp("r", revision, ""), NOW, NOW)


A1, B2 = made("a", 1, OLD), made("b", 2, NEW)


@pytest.mark.parametrize(
    ("found", "outcome"),
    [
        (state("b", "", B2), Outcome.FIRST),
        (state("b", "b", B2), Outcome.FIRST),
        (state("b", "b", made("x", 3, OLD, **{"experiment.argoproj.io/name": "e"}), B2), Outcome.FIRST),
        (state("b", "a", A1, B2, abort=True), Outcome.OVER),
        (state("a", "b", made("a", 2, OLD), made("b", 1, NEW)), Outcome.WAY_BACK),  # undone by hand on the way
        (state("a", "a", made("a", 2, OLD), made("b", 1, NEW)), Outcome.WAY_BACK),  # what was stable, again
        (state("b", "a", A1, B2, live=rollout(2, **{BROUGHT_BACK: "2"})), Outcome.WAY_BACK),
        (state("b", "a", A1, made("b", 2, "2027-01-15T07:30:00Z")), Outcome.TOO_OLD),
    ],
)
def test_what_is_not_analysed(found: State, outcome: Outcome) -> None:
    told = settled(found, sighting(), catch_up=600)
    assert isinstance(told, Settled)
    assert told.outcome == outcome
    assert told.why


@pytest.mark.parametrize("stable", ["a", "b"])  # on its way; and fully promoted while nobody looked
def test_what_is(stable: str) -> None:
    told = settled(state("b", stable, A1, B2), sighting(), catch_up=600)
    assert not isinstance(told, Settled)
    assert told.hash == "b"


@pytest.mark.parametrize(
    "found",
    [
        state("a", "a", A1, B2),  # its annotation comes before its status
        state("a", "a", A1),
        state("", ""),
        state("gone", "a", A1, B2),
    ],
)
def test_what_its_controller_has_not_written_yet(found: State) -> None:
    with pytest.raises(Unsettled, match="has not made revision 2 yet"):
        settled(found, sighting(), catch_up=600)


def test_each_revision_is_reported_once() -> None:
    said: list[str] = []
    rollouts = Rollouts(
        lambda seen: said.append(f"{seen.place.name}.{seen.revision}.{seen.mark.release}"),
        lambda place: said.append(f"-{place.name}"),
        QuickClock(NOW),
    )
    rollouts.listing()
    rollouts.seen(rollout(1))
    rollouts.listed()
    for each in (rollout(1), rollout(2), rollout(2), rollout(2, **{RELEASE: "web"})):
        rollouts.seen(each)
    for odd in ({}, {"metadata": 1}, rollout("x"), rollout("9" * 30), rollout("٣"), rollout("-1"), rollout("")):
        rollouts.seen(odd)
    assert said == ["web.1.", "web.2.", "web.2.web"]
    rollouts.gone(rollout(2))
    rollouts.gone(rollout(2))
    rollouts.listing()
    rollouts.seen(rollout(2))
    rollouts.listed()
    rollouts.listing()
    rollouts.listed()
    assert said[3:] == ["-web", "web.2.", "-web"]
    assert rollouts.count == 0
