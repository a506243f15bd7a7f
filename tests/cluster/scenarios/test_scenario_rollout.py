"""`canary check rollout/NAME` against the real controller of Argo Rollouts: abort, and what speaks against it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import BAD
from tests.cluster.scenarios.checking import Checked, Checking
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.rights import named
from tests.cluster.scenarios.serving import Serving
from tests.cluster.scenarios.shop import RELEASE, Shop, rendered

HELM = 4
STEPS = ("--set", "kind=Rollout", "--set-json", 'strategy={"canary":{"steps":[{"setWeight":50},{"pause":{}}]}}')
NO_STEPS = ("--set", "kind=Rollout")


@pytest.fixture(autouse=True)
def _controller(namespace: Namespace) -> None:
    namespace.bed.start("argo-rollouts")


def bring_out(shop: Shop, tag: str, *flags: str) -> None:
    """A new revision of a Rollout that belongs to no release."""
    shop.note_pods()
    shop.namespace.apply(rendered(shop.namespace, HELM, tag, *flags))


@contextmanager
def checking(shop: Shop, *flags: str) -> Iterator[Checking]:
    words = ("check", f"rollout/{RELEASE}", *shop.where(), "--output=json", *flags)
    with shop.running(*words) as running:
        yield running


def check(shop: Shop, *flags: str) -> Checked:
    with checking(shop, *flags) as running:
        return running.result()


def status(shop: Shop) -> dict[str, Any]:
    found: dict[str, Any] = shop.namespace.get("rollout", RELEASE)["status"]
    return found


def phase(shop: Shop, wanted: str) -> None:
    shop.namespace.until(lambda: status(shop).get("phase") == wanted, f"a Rollout that is {wanted}")


def test_a_bad_canary_is_aborted(opened: Opening) -> None:
    with opened(HELM, *STEPS, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, BAD, *STEPS)
        checked = check(shop)
        assert checked.summary == (10, "fail", "rollback", "done", None), checked
        assert "rollout/shop was aborted: back to revision 1, the stable one" in str(checked.report), checked
        assert "%" in checked.reason
        assert status(shop)["abort"] is True
        shop.serves("good", "good")
        rollout = shop.namespace.get("rollout", RELEASE)
        assert checked.report["analysis"] in rollout["metadata"]["annotations"]["canary-analyzer.io/taken-back"]
        events = [one for one in shop.namespace.list("events") if one["reason"] == "TakenBack"]
        assert [one["involvedObject"]["name"] for one in events] == [RELEASE]
        # What was aborted is not analysed a second time.
        again = check(shop)
        assert again.code == 4
        assert "revision 2 of rollout/shop was aborted already" in again.stderr, again


def test_a_good_canary_passes_at_its_step(opened: Opening) -> None:
    with opened(HELM, *STEPS, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, "good-b", *STEPS)
        checked = check(shop)
        assert checked.summary == (0, "pass", "none", "none", None), checked
        assert status(shop)["phase"] == "Paused"  # a person, or a template, promotes it


def test_what_is_fully_promoted_has_no_way_back(opened: Opening) -> None:
    """An abort does nothing then: the controller removes it."""
    with opened(HELM, *NO_STEPS, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, BAD, *NO_STEPS)
        shop.serves(BAD, BAD)
        phase(shop, "Healthy")
        checked = check(shop)
        assert checked.code == 4
        assert "the way back is impossible: rollout/shop is fully promoted" in checked.stderr, checked


def test_an_abort_by_hand_ends_the_analysis(opened: Opening) -> None:
    with opened(HELM, *STEPS, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, "good-b", *STEPS)
        with checking(shop) as running:
            running.begin()
            patch = '{"status":{"abort":true}}'
            shop.namespace.kubectl(
                "patch", "rollout", RELEASE, "--subresource=status", "--type=merge", f"--patch={patch}"
            )
            checked = running.result()
        assert checked.summary == (3, "inconclusive", "none", "none", "superseded"), checked
        assert "was aborted already" in checked.reason


def test_the_service_aborts_a_bad_canary_although_it_was_killed(opened: Opening) -> None:
    """With the rights for Rollouts alone."""
    with opened(HELM, *STEPS, plain=True) as shop, Serving(shop, of="rollouts-") as serving:
        phase(shop, "Healthy")
        bring_out(shop, BAD, *STEPS)
        id_ = serving.order(target=f"rollout/{RELEASE}")
        serving.watched(id_)
        serving.kill()
        serving.start()
        ended = serving.ended(id_)
        assert ended.summary == ("ended", "fail", "rollback", "done", None), str(ended)
        assert serving.events(id_).count("intended") == 1
        assert status(shop)["abort"] is True
        shop.serves("good", "good")


def test_without_the_right_to_abort_it_does_not_begin(opened: Opening) -> None:
    with opened(HELM, *STEPS, plain=True) as shop:
        phase(shop, "Healthy")
        bring_out(shop, "good-b", *STEPS)
        for role in ("rollouts-enforce", "enforce"):
            shop.namespace.kubectl("delete", "rolebinding", named(role))
        checked = check(shop)
        assert checked.code == 4
        assert "may not patch rollouts (argoproj.io) and rollouts/status (argoproj.io)" in checked.stderr, checked
        assert "deploy/argo/rbac.yaml" in checked.stderr


def test_there_is_no_such_rollout(opened: Opening) -> None:
    with opened(HELM, plain=True) as shop:  # a Deployment
        checked = check(shop)
        assert checked.code == 4
        assert f"there is no Rollout shop in namespace {shop.namespace.name}" in checked.stderr, checked
