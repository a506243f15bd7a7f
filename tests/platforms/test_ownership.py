"""Who else has a say in a release: GitOps owners, and people who hold it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import FakeApi, running

from analyzer.errors import PlatformUnavailable
from analyzer.model.guard import Guard
from analyzer.platforms.ownership import HOLD, Owner, Standing, hold, look, owner

Marks = dict[str, str]
WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
SHOP = "/api/v1/namespaces/shop"
APPLICATION = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web"
TRACKING, INSTANCE = "argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"
FLUX = {"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "flux-system"}
KUSTOMIZE = {"kustomize.toolkit.fluxcd.io/name": "apps", "kustomize.toolkit.fluxcd.io/namespace": "flux-system"}
HELM = {"app.kubernetes.io/instance": "web", "app.kubernetes.io/managed-by": "Helm"}
FORBIDDEN = (403, 'User "ci" cannot get resource "x" in API group "" in the namespace "shop"')


def workload(labels: Marks | None = None, annotations: Marks | None = None, name: str = "web") -> dict[str, object]:
    metadata = {"name": name, "namespace": "shop", "labels": labels, "annotations": annotations}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}


@pytest.mark.parametrize(
    ("labels", "annotations", "found"),
    [
        ({}, {}, ""),
        (HELM, {"meta.helm.sh/release-name": "web"}, ""),
        (FLUX, {}, "Flux HelmRelease flux-system/web"),
        (KUSTOMIZE, {}, "Flux Kustomization flux-system/apps"),
        ({**KUSTOMIZE, **FLUX}, {}, "Flux HelmRelease flux-system/web"),
        ({"helm.toolkit.fluxcd.io/name": "web"}, {}, "Flux HelmRelease web"),
        ({INSTANCE: "web"}, {}, "Argo CD Application web"),
        ({}, {INSTANCE: "web"}, "Argo CD Application web"),
        ({}, {TRACKING: "web:apps/Deployment:shop/web"}, "Argo CD Application web"),
        ({}, {TRACKING: "teams_web:apps/Deployment:shop/web"}, "Argo CD Application teams/web"),
        ({}, {TRACKING: "web:apps/Deployment:/web"}, "Argo CD Application web"),
        ({}, {TRACKING: "web:example.com/Shop:shop/web"}, ""),  # copied from the object that an operator reads
        ({}, {TRACKING: "web:apps/Deployment:shop/other"}, ""),
        ({}, {TRACKING: "web:apps/Deployment:other/web"}, ""),
        ({}, {TRACKING: "nonsense"}, ""),
        ({}, {TRACKING: ""}, ""),
    ],
)
def test_marks_of_owners(labels: Marks, annotations: Marks, found: str) -> None:
    marked = owner([workload(), workload(labels, annotations)])
    assert str(marked or "") == found


@pytest.mark.parametrize(
    ("of", "suspend"),
    [
        (Owner("HelmRelease", "apps", "web", "Deployment web"), "flux suspend helmrelease web -n apps"),
        (Owner("Kustomization", "", "all", "Deployment web"), "flux suspend kustomization all"),
        (Owner("Application", "argocd", "web", "Deployment web"), "argocd app set web --sync-policy none"),
    ],
)
def test_an_owner_says_what_to_do(of: Owner, suspend: str) -> None:
    assert of.reason.startswith(f"Deployment web belongs to the {of}, which would bring the revision out again")
    assert "revert the change in Git" in of.reason
    assert f"({suspend})" in of.reason


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            "true",
            "Deployment web is held by hand (annotation canary-analyzer.io/hold); to release it: kubectl annotate",
        ),
        ("True", "(annotation canary-analyzer.io/hold); to"),
        ("christmas freeze", "(annotation canary-analyzer.io/hold): christmas freeze; to release it:"),
        ("ture", "): ture; to"),  # mistyped: holds
        ("false", ""),
        ("No", ""),
        (" ", ""),
        (None, ""),
    ],
)
def test_a_hold(value: str | None, words: str) -> None:
    said = hold([workload(), workload(annotations={HOLD: value} if value is not None else {})])
    assert words in said
    assert bool(said) == bool(words)
    if words:
        assert said.endswith("kubectl annotate deployment web -n shop canary-analyzer.io/hold-")


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as fake:
        yield fake


def manifest(*these: dict[str, object]) -> str:
    documents = [{**each, "spec": {"template": {"spec": {"containers": []}}}} for each in these]
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "flags", "labels": FLUX}}
    return "\n---\n".join(json.dumps(each) for each in (config, *documents))


def ask(api: FakeApi, text: str) -> Standing:
    async def asking() -> Standing:
        cluster = api.cluster()
        try:
            return await look(cluster, text, "shop")
        finally:
            await cluster.close()

    return asyncio.run(asking())


def test_nobody_has_a_say(api: FakeApi) -> None:
    api.put(WEB, workload(HELM))
    api.put(SHOP, {"metadata": {"name": "shop"}})
    standing = ask(api, manifest(workload(HELM)))
    assert standing == Standing()
    assert standing.obstacles == ()


def test_what_is_there_now_counts_and_not_what_was_written(api: FakeApi) -> None:
    api.put(WEB, workload())
    assert ask(api, manifest(workload(FLUX, {HOLD: "true"}))) == Standing()
    api.put(WEB, workload(FLUX, {HOLD: "true"}))
    standing = ask(api, manifest(workload()))
    assert [each.guard for each in standing.obstacles] == [Guard.STOPPED, Guard.GITOPS_OWNER]
    assert "held by hand" in standing.obstacles[0].reason
    assert "flux suspend helmrelease" in standing.obstacles[1].reason


@pytest.mark.parametrize("refused", [True, False])
def test_what_cannot_be_read_is_taken_as_written(api: FakeApi, refused: bool) -> None:
    if refused:
        api.refusals["GET", WEB] = FORBIDDEN
    standing = ask(api, manifest(workload(FLUX, {HOLD: "true"})))
    assert [each.guard for each in standing.obstacles] == [Guard.STOPPED, Guard.GITOPS_OWNER]


def test_the_namespace_holds_and_owns_nothing(api: FakeApi) -> None:
    api.put(WEB, workload())
    api.put(SHOP, {"metadata": {"name": "shop", "labels": KUSTOMIZE, "annotations": {HOLD: "move of the cluster"}}})
    standing = ask(api, manifest(workload()))
    assert standing.owner is None
    assert standing.hold == (
        "Namespace shop is held by hand (annotation canary-analyzer.io/hold): move of the cluster; to release it: "
        "kubectl annotate namespace shop canary-analyzer.io/hold-"
    )


def test_a_namespace_that_may_not_be_read_is_no_trouble(api: FakeApi) -> None:
    api.put(WEB, workload(FLUX))
    api.refusals["GET", SHOP] = FORBIDDEN
    assert ask(api, manifest(workload())).owner == Owner("HelmRelease", "flux-system", "web", "Deployment web")


@pytest.mark.parametrize(
    ("resources", "found"),
    [
        ([{"group": "apps", "kind": "Deployment", "namespace": "shop", "name": "web"}], True),
        ([{"group": "apps", "kind": "Deployment", "namespace": "other", "name": "web"}], False),
        ([], False),
        (None, False),
    ],
)
def test_the_label_of_every_chart_counts_with_an_application_alone(
    api: FakeApi, resources: list[Marks] | None, found: bool
) -> None:
    api.put(WEB, workload(HELM))
    api.put(APPLICATION, {"metadata": {"name": "web"}, "status": {"resources": resources}})
    assert ask(api, manifest(workload(HELM))).owner == (
        Owner("Application", "argocd", "web", "Deployment web") if found else None
    )


def test_applications_that_may_not_be_read_are_no_trouble(api: FakeApi) -> None:
    api.put(WEB, workload(HELM))
    api.refusals["GET", APPLICATION] = FORBIDDEN
    assert ask(api, manifest(workload(HELM))) == Standing()


def test_a_server_that_is_away_is_told(api: FakeApi) -> None:
    api.refusals["GET", WEB] = (503, "etcd is away")
    with pytest.raises(PlatformUnavailable, match="etcd is away"):
        ask(api, manifest(workload()))
