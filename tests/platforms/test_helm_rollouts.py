"""A Helm release with a Rollout in it: what is on its way is aborted first, and nothing of that stops helm."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fake_api import FakeApi, running
from fake_helm import INTENT, WEB, FakeHelm
from test_settling import DONE, ROLLBACK, UPGRADED, answer, rollbacks

from analyzer.errors import LeaseLost, PlatformUnavailable
from analyzer.model.target import Receipt
from analyzer.platforms import helm_rollouts
from analyzer.platforms.helm import Helm, HelmSettings, RollbackOptions
from analyzer.platforms.helm_program import HelmProgram
from analyzer.platforms.helm_rollouts import ReleaseRollouts
from analyzer.platforms.rollout_note import TAKEN_BACK

T = TypeVar("T")
Object = dict[str, Any]

WHERE = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/web"
MANIFEST = """\
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: 'web:2'}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
"""
FIRST = "helm rolled release web"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    for name in ("HELM_NAMESPACE", "HELM_DRIVER"):
        monkeypatch.delenv(name, raising=False)
    with running(tmp_path) as fake:
        yield fake


def a_rollout(api: FakeApi, image: str = "web:2", stable: str = "old", **status: object) -> None:
    """Revision 2 is on its way."""
    metadata = {"name": "web", "namespace": "shop", "uid": "u", "generation": 2}
    containers = [{"name": "web", "image": image}]
    told = {"observedGeneration": "2", "stableRS": stable, "currentPodHash": "new", **status}
    spec = {"template": {"spec": {"containers": containers}}}
    api.put(WHERE, {"kind": "Rollout", "metadata": metadata, "spec": spec, "status": told})


def asked(api: FakeApi, fake: FakeHelm, question: Callable[[Helm], Awaitable[T]], *histories: Object) -> T:
    fake.answers = [each for each in fake.answers if "--revision=2" not in each["argv"]]
    for each in histories or (DONE,):
        fake.answer(answer(each))
    fake.answer({"argv": ["get", "manifest", "web", "--revision=2"], "code": 0, "stdout": MANIFEST, "stderr": ""})
    fake.answer({"argv": ROLLBACK, "code": 0, "stdout": "Rollback was a success!", "stderr": ""})
    options = RollbackOptions(wait=False, timeout=3)

    async def asking() -> T:
        cluster = api.cluster()
        try:
            return await question(Helm(WEB, HelmSettings(program=str(fake.path), rollback=options), cluster))
        finally:
            await cluster.close()

    return asyncio.run(asking())


def take_back(api: FakeApi, fake: FakeHelm) -> Receipt:
    return asked(api, fake, lambda helm: helm.take_back(INTENT))


@pytest.mark.parametrize("has_rollout", [True, False])
def test_helm_4_waits_as_helm_3_where_there_is_a_rollout(fake_helm: FakeHelm, *, has_rollout: bool) -> None:
    """Its own way of waiting cannot read a Rollout, whose observedGeneration is a text."""
    program = HelmProgram(WEB, HelmSettings(program=str(fake_helm.path)))
    words = asyncio.run(program.rollback_command(1, has_rollouts=has_rollout))
    waits = "--wait=legacy" if has_rollout and fake_helm.version == "helm4" else "--wait"
    assert [word for word in words if word.startswith("--wait")] == [waits]


def test_a_rollout_is_waited_for_after_helm(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(helm_rollouts, "PAUSE", 0.01)
    a_rollout(api, phase="Progressing", message="more replicas need to be updated")
    rollouts = ReleaseRollouts.of(api.cluster(), MANIFEST, "shop")

    def ended(timeout: float) -> list[str]:
        async def asking() -> list[str]:
            try:
                return list(await rollouts.unhealthy(timeout))
            finally:
                await rollouts.cluster.close()

        return asyncio.run(asking())

    assert ended(0.05) == ["Rollout web is not Healthy after that: Progressing more replicas need to be updated"]
    timer = threading.Timer(0.2, lambda: a_rollout(api, stable="new", phase="Healthy"))
    timer.start()
    assert ended(30) == []
    timer.join()


def aborts(api: FakeApi) -> int:
    return api.requests.count(("PATCH", f"{WHERE}/status"))


def test_what_is_on_its_way_is_aborted_first(api: FakeApi, fake_helm: FakeHelm) -> None:
    a_rollout(api)
    api.after_patch = lambda _: None if rollbacks(fake_helm) == 0 else pytest.fail("helm was first")
    receipt = take_back(api, fake_helm)
    assert receipt.ok, receipt
    assert receipt.detail.startswith(f"Rollout web was aborted first; {FIRST}"), receipt
    found = api.objects[WHERE]
    assert found["status"]["abort"] is True
    assert found["metadata"]["annotations"][TAKEN_BACK].endswith(": worse")
    assert rollbacks(fake_helm) == 1


@pytest.mark.parametrize(
    "state",
    [{"stable": "new"}, {"stable": ""}, {"image": "web:3"}, {"observedGeneration": "1"}],
    ids=["promoted", "the first", "changed past helm", "a change that its controller has not seen"],
)
def test_what_is_not_on_its_way_to_this_revision_is_left_alone(
    api: FakeApi, fake_helm: FakeHelm, state: dict[str, str]
) -> None:
    a_rollout(api, **state)
    receipt = take_back(api, fake_helm)
    assert receipt.detail.startswith(FIRST), receipt
    assert aborts(api) == 0


def test_a_rollout_that_is_not_there(api: FakeApi, fake_helm: FakeHelm) -> None:
    assert take_back(api, fake_helm).detail.startswith(FIRST)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        (("PATCH", f"{WHERE}/status"), "Rollout web could not be aborted first: "),
        (("GET", WHERE), "Rollout web could not be aborted first: "),
    ],
)
@pytest.mark.parametrize("status", [403, 409, 503])
def test_a_failed_abort_stops_nothing_and_is_told(
    api: FakeApi, fake_helm: FakeHelm, refused: tuple[str, str], why: str, status: int
) -> None:
    a_rollout(api)
    api.refusals[refused] = (status, "no")
    receipt = take_back(api, fake_helm)
    assert receipt.ok, receipt
    assert receipt.detail.startswith(why), receipt
    assert FIRST in receipt.detail
    assert rollbacks(fake_helm) == 1


def test_somebody_else_writes_at_the_same_time(api: FakeApi, fake_helm: FakeHelm) -> None:
    a_rollout(api)
    writes = iter([lambda: api.put(WHERE, api.objects[WHERE])])
    api.before_put = lambda: next(writes, lambda: None)() and None
    assert take_back(api, fake_helm).detail.startswith("Rollout web was aborted first; ")
    assert aborts(api) == 2


def test_not_allowed_nothing_is_touched(api: FakeApi, fake_helm: FakeHelm) -> None:
    a_rollout(api)

    def confirm() -> float:
        raise LeaseLost("another's")

    with pytest.raises(LeaseLost):
        asked(api, fake_helm, lambda helm: helm.take_back(INTENT, confirm))
    assert aborts(api) == 0
    assert rollbacks(fake_helm) == 0


def test_an_act_that_was_cut_off_after_the_abort_is_finished(api: FakeApi, fake_helm: FakeHelm) -> None:
    a_rollout(api, abort=True)
    receipt = asked(api, fake_helm, lambda helm: helm.settle(INTENT), UPGRADED, DONE)
    assert receipt is not None
    assert receipt.ok, receipt
    assert receipt.detail.startswith(f"Rollout web was aborted already; {FIRST}")
    assert (aborts(api), rollbacks(fake_helm)) == (0, 1)


def test_an_act_that_was_cut_off_before_it_never_came_to_be(api: FakeApi, fake_helm: FakeHelm) -> None:
    a_rollout(api)
    assert asked(api, fake_helm, lambda helm: helm.settle(INTENT), UPGRADED) is None
    assert (aborts(api), rollbacks(fake_helm)) == (0, 0)


def test_an_act_of_one_who_may_see_no_rollout_never_came_to_be(api: FakeApi, fake_helm: FakeHelm) -> None:
    a_rollout(api, abort=True)
    api.refusals["GET", WHERE] = (403, "no")
    assert asked(api, fake_helm, lambda helm: helm.settle(INTENT), UPGRADED) is None
    assert rollbacks(fake_helm) == 0


@pytest.mark.parametrize("manifest", ["a: " + "[" * 5000 + "]" * 5000, "a: !!int x", "a: ["])
def test_a_manifest_that_cannot_be_read_holds_up_no_rollback(
    api: FakeApi, fake_helm: FakeHelm, monkeypatch: pytest.MonkeyPatch, manifest: str
) -> None:
    monkeypatch.setattr("test_helm_rollouts.MANIFEST", manifest)
    receipt = take_back(api, fake_helm)
    assert receipt.ok, receipt
    assert receipt.detail.startswith("whether the release has a Rollout could not be looked at: ")
    assert rollbacks(fake_helm) == 1


def test_a_cluster_that_is_away_is_not_guessed_about(api: FakeApi, fake_helm: FakeHelm) -> None:
    a_rollout(api, abort=True)
    api.refusals["GET", WHERE] = (503, "away")
    with pytest.raises(PlatformUnavailable):
        asked(api, fake_helm, lambda helm: helm.settle(INTENT), UPGRADED)
