"""A Helm release of Flux: its HelmRelease is suspended, and then Helm rolls back; or why that would not hold."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from fake_api import FakeApi, running
from fake_helm import INTENT, WEB, FakeHelm
from test_helm_cluster import deployed, hooks

from analyzer.errors import LeaseLost
from analyzer.model.guard import Guard
from analyzer.model.target import Receipt
from analyzer.platforms import flux
from analyzer.platforms.flux import FluxHelm
from analyzer.platforms.helm import HelmSettings, RollbackOptions

T = TypeVar("T")
WHERE = "/apis/helm.toolkit.fluxcd.io/v2/namespaces/flux-system/helmreleases/web"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"
SPEC = {"interval": "5m", "releaseName": "web", "storageNamespace": "shop"}
OWNER = {"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "flux-system"}


@pytest.fixture
def api(tmp_path: Path, fake_helm: FakeHelm, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    """A release that was upgraded to revision 2, and whose rollback succeeds."""
    for name in ("HELM_NAMESPACE", "HELM_DRIVER"):
        monkeypatch.delenv(name, raising=False)
    with running(tmp_path) as api:
        deployed(api)
        fake_helm.says("history-upgraded")
        hooks(fake_helm, 1, 2)
        fake_helm.answer({"argv": ["rollback", "web", "1", "--timeout=3s"], "code": 0, "stdout": "", "stderr": ""})
        done = [
            {"revision": 3, "status": "deployed", "description": "Rollback to 1", "updated": "2026-01-05T00:00:00Z"}
        ]
        newest = ["history", "web", "--max=1", "--output=json"]
        fake_helm.answer({"argv": newest, "code": 0, "stdout": json.dumps(done), "stderr": ""})
        yield api


def owned(api: FakeApi, labels: dict[str, str] | None = None, **metadata: object) -> None:
    live = api.objects[DEPLOYMENT]
    api.put(DEPLOYMENT, {**live, "metadata": {**live["metadata"], "labels": OWNER if labels is None else labels}})
    api.put(WHERE, {"metadata": {"name": "web", "namespace": "flux-system", **metadata}, "spec": dict(SPEC)})


def asked(api: FakeApi, fake: FakeHelm, question: Callable[[FluxHelm], Awaitable[T]]) -> T:
    async def asking() -> T:
        cluster = api.cluster()
        settings = HelmSettings(program=str(fake.path), rollback=RollbackOptions(wait=False, timeout=3))
        try:
            return await question(FluxHelm(WEB, settings, cluster))
        finally:
            await cluster.close()

    return asyncio.run(asking())


def obstacles(api: FakeApi, fake: FakeHelm) -> list[Guard]:
    return [each.guard for each in asked(api, fake, lambda helm: helm.look()).obstacles]


def take_back(api: FakeApi, fake: FakeHelm, **how: Any) -> Receipt:  # noqa: ANN401 -- those of take_back
    return asked(api, fake, lambda helm: helm.take_back(INTENT, **how))


def rollbacks(fake: FakeHelm) -> int:
    return sum(call[0] == "rollback" for call in fake.calls)


def test_it_is_suspended_and_rolled_back(api: FakeApi, fake_helm: FakeHelm) -> None:
    owned(api)
    assert obstacles(api, fake_helm) == []
    receipt = take_back(api, fake_helm)
    assert receipt.ok, receipt
    assert receipt.detail.endswith(
        "; Flux HelmRelease flux-system/web is suspended; to do by hand: revert the change in Git, then flux resume "
        "helmrelease web -n flux-system"
    )
    found = api.objects[WHERE]
    assert found["spec"] == {**SPEC, "suspend": True}
    assert found["metadata"]["annotations"]["canary-analyzer.io/taken-back"] == "canary-analyzer : worse"
    assert rollbacks(fake_helm) == 1


def test_a_release_of_nobody_is_as_ever(api: FakeApi, fake_helm: FakeHelm) -> None:
    assert obstacles(api, fake_helm) == []
    receipt = take_back(api, fake_helm)
    assert receipt.ok
    assert "Flux" not in receipt.detail


@pytest.mark.parametrize(
    "labels",
    [
        {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"},
        {"argocd.argoproj.io/instance": "web"},
        {"helm.toolkit.fluxcd.io/name": "web"},  # of nobody knows which namespace
        {**OWNER, "helm.toolkit.fluxcd.io/name": "gone"},
    ],
)
def test_another_owner_holds(api: FakeApi, fake_helm: FakeHelm, labels: dict[str, str]) -> None:
    owned(api, labels)
    assert obstacles(api, fake_helm) == [Guard.GITOPS_OWNER]


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"targetNamespace": "shop"}, "release shop-web in namespace shop"),
        ({"releaseName": "web"}, "release web in namespace flux-system"),
        ({"releaseName": "w" * 60, "targetNamespace": "shop"}, f"release {'w' * 40}-e0bd8d50bd21 in namespace shop"),
    ],
)
def test_who_brings_out_another_release_is_not_suspended(
    api: FakeApi, fake_helm: FakeHelm, spec: dict[str, str], told: str
) -> None:
    """Its labels were copied."""
    owned(api)
    api.put(WHERE, {**api.objects[WHERE], "spec": spec})
    found = asked(api, fake_helm, lambda helm: helm.look())
    assert [each.guard for each in found.obstacles] == [Guard.GITOPS_OWNER]
    assert f"Flux HelmRelease flux-system/web brings out the {told}, and not this one" in found.cautions
    assert not take_back(api, fake_helm).ok
    assert (api.objects[WHERE]["spec"], rollbacks(fake_helm)) == (spec, 0)


def test_a_suspension_that_would_not_stay_holds(api: FakeApi, fake_helm: FakeHelm) -> None:
    fields = {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:suspend": {}}}}
    owned(api, managedFields=[fields])
    found = asked(api, fake_helm, lambda helm: helm.look())
    assert [each.guard for each in found.obstacles] == [Guard.GITOPS_OWNER]
    assert any("kustomize-controller applies spec.suspend by itself" in each for each in found.cautions)
    assert not take_back(api, fake_helm).ok
    assert rollbacks(fake_helm) == 0


def test_who_writes_other_fields_does_not_hold(api: FakeApi, fake_helm: FakeHelm) -> None:
    applied = {"manager": "kustomize-controller", "operation": "Apply", "fieldsV1": {"f:spec": {"f:interval": {}}}}
    ours = {"manager": "ours", "operation": "Update", "fieldsV1": {"f:spec": {"f:suspend": {}}}}
    owned(api, managedFields=[applied, ours])
    assert obstacles(api, fake_helm) == []


def test_flux_writes_at_the_same_time(api: FakeApi, fake_helm: FakeHelm) -> None:
    owned(api)
    writes = iter([lambda: api.put(WHERE, {**api.objects[WHERE], "status": {"conditions": []}})])
    api.before_put = lambda: next(writes, lambda: None)() and None
    assert take_back(api, fake_helm).ok
    assert api.objects[WHERE]["status"] == {"conditions": []}


def test_an_api_server_that_is_away_for_a_moment_holds_up_nothing(
    api: FakeApi, fake_helm: FakeHelm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flux, "PAUSE", 0.01)
    owned(api)
    away = iter([(503, "away")])

    class Once(dict[tuple[str, str], tuple[int, str]]):
        def get(self, key: Any, default: Any = None) -> Any:  # noqa: ANN401 -- those of a mapping
            return next(away, default) if key == ("PATCH", WHERE) else default

    api.refusals = Once()
    receipt = take_back(api, fake_helm)
    assert receipt.ok, receipt
    assert (api.objects[WHERE]["spec"]["suspend"], rollbacks(fake_helm), list(away)) == (True, 1, [])


def test_one_that_stays_away_is_told(api: FakeApi, fake_helm: FakeHelm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flux, "PATIENCE", 0.0)
    owned(api)
    api.refusals["PATCH", WHERE] = (503, "away")
    receipt = take_back(api, fake_helm)
    assert not receipt.ok
    assert receipt.detail.startswith("helm/web was not taken back: ")
    assert receipt.detail.endswith("; nothing was rolled back")
    assert rollbacks(fake_helm) == 0


def test_what_cannot_be_suspended_is_not_rolled_back(api: FakeApi, fake_helm: FakeHelm) -> None:
    owned(api)
    api.refusals["PATCH", WHERE] = (403, "no")
    receipt = take_back(api, fake_helm)
    assert receipt.detail.startswith("helm/web was not taken back: the Kubernetes API server forbids that")
    assert rollbacks(fake_helm) == 0


def test_a_release_of_which_nobody_can_say_who_owns_it_is_not_rolled_back(api: FakeApi, fake_helm: FakeHelm) -> None:
    owned(api)
    fake_helm.answers = [each for each in fake_helm.answers if "--revision=2" not in each["argv"]]
    for what in ("manifest", "hooks"):
        argv = ["get", what, "web", "--revision=2"]
        fake_helm.answer({"argv": argv, "code": 0, "stdout": "a: [" if what == "manifest" else "", "stderr": ""})
    receipt = take_back(api, fake_helm)
    assert receipt.detail.startswith("helm/web was not taken back: who owns helm/web could not be looked at: ")
    assert rollbacks(fake_helm) == 0


def test_without_the_lease_nothing_is_written(api: FakeApi, fake_helm: FakeHelm) -> None:
    def confirm() -> float:
        raise LeaseLost("another's")

    owned(api)
    with pytest.raises(LeaseLost):
        take_back(api, fake_helm, confirm=confirm)
    assert "suspend" not in api.objects[WHERE]["spec"]


def test_after_a_kill_the_receipt_says_the_same(api: FakeApi, fake_helm: FakeHelm) -> None:
    owned(api)
    receipt = asked(api, fake_helm, lambda helm: helm.settle(INTENT))  # Helm has gone on, and has done it
    assert receipt is not None
    assert receipt.ok
    assert "Flux HelmRelease flux-system/web is suspended" in receipt.detail
    assert rollbacks(fake_helm) == 0


def test_the_right_to_suspend(api: FakeApi, fake_helm: FakeHelm) -> None:
    owned(api)
    api.objects |= {
        "/api/v1": {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]},
        "/apis/apps/v1": {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]},
    }
    api.may = lambda asked: asked["resource"] != "helmreleases"

    async def lacking(helm: FluxHelm) -> str:
        return await helm.lacking(await helm.look())

    told = asked(api, fake_helm, lacking)
    assert 'may not patch helmreleases (helm.toolkit.fluxcd.io) web in namespace "flux-system"' in told
    assert "deploy/flux/rbac.yaml" in told
