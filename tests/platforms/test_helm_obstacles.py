"""What speaks against a way back, looked for in the cluster and in the hooks; what may not be seen is a caution."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_api import FakeApi, running
from fake_helm import FakeHelm

from analyzer.errors import PlatformError, PlatformUnavailable
from analyzer.model.guard import Guard
from analyzer.model.report import Verdict
from analyzer.model.target import PlatformKind, Revision, Target
from analyzer.platforms.helm_obstacles import Obstacles, Subject, Told
from analyzer.platforms.helm_program import HelmProgram, HelmSettings
from analyzer.platforms.verdicts import Judged, name_of, with_verdict

WEB = Target(kind=PlatformKind.HELM, name="web", namespace="shop")
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"
CONFIG = "/api/v1/namespaces/shop/configmaps"
MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    spec: {containers: [{name: web, envFrom: [{configMapRef: {name: settings}}]}]}
"""
MIGRATES = """\
apiVersion: batch/v1
kind: Job
metadata: {name: web-migrate, annotations: {helm.sh/hook: pre-upgrade}}
spec: {template: {spec: {containers: [{name: m, image: "flyway/flyway:10"}]}}}
"""
SUBJECT = Subject(
    current=Revision(number="4", status="deployed", digest="sha256:4", deployed_at=1000),
    wanted=Revision(number="2", status="superseded", digest="sha256:2", deployed_at=1000),
    between=(Revision(number="3", status="superseded"),),
    current_manifest=MANIFEST,
    wanted_manifest=MANIFEST,
    judged=(),
)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as fake:
        fake.put(DEPLOYMENT, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}})
        old = [{"manager": "kubectl", "operation": "Update", "time": "1970-01-01T00:00:00Z"}]
        fake.put(f"{CONFIG}/settings", {"metadata": {"name": "settings", "managedFields": old}})
        yield fake


def hooks(fake: FakeHelm, **texts: str) -> None:
    for number in "234":
        argv = ["get", "hooks", "web", f"--revision={number}"]
        fake.answer({"argv": argv, "code": 0, "stdout": texts.get(f"of_{number}", ""), "stderr": ""})


def look(api: FakeApi, fake: FakeHelm, subject: Subject = SUBJECT, times: int = 1) -> Told:
    async def looking() -> Told:
        cluster = api.cluster()
        try:
            looker = Obstacles.of(HelmProgram(WEB, HelmSettings(program=str(fake.path))), cluster, "shop")
            return [await looker.look(subject) for _ in range(times)][-1]
        finally:
            await cluster.close()

    return asyncio.run(looking())


def judged(revision: str = "9", digest: str = "", at: float = 0, verdict: Verdict = Verdict.FAIL) -> Judged:
    return Judged(revision=revision, digest=digest, verdict=verdict, at=at or time.time(), reason="errors: 9 %")


def test_nothing(api: FakeApi, fake_helm: FakeHelm) -> None:
    hooks(fake_helm)
    assert look(api, fake_helm) == ((), ())


@pytest.mark.parametrize("number", ["3", "4"])
def test_a_migration_of_any_upgrade_that_would_be_taken_back(api: FakeApi, fake_helm: FakeHelm, number: str) -> None:
    hooks(fake_helm, **{f"of_{number}": MIGRATES})
    (obstacle,), _ = look(api, fake_helm)
    assert obstacle.guard == Guard.MIGRATION
    assert "web-migrate" in obstacle.reason


def test_a_migration_that_the_wanted_revision_has_run_too(api: FakeApi, fake_helm: FakeHelm) -> None:
    hooks(fake_helm, of_2=MIGRATES, of_3=MIGRATES, of_4=MIGRATES)
    assert look(api, fake_helm) == ((), ())


def test_hooks_are_asked_once(api: FakeApi, fake_helm: FakeHelm) -> None:
    hooks(fake_helm)
    look(api, fake_helm, times=3)
    assert sum(call[1] == "hooks" for call in fake_helm.calls) == 3


def test_an_owner(api: FakeApi, fake_helm: FakeHelm) -> None:
    hooks(fake_helm)
    labels = {"helm.toolkit.fluxcd.io/name": "web", "helm.toolkit.fluxcd.io/namespace": "flux"}
    api.put(DEPLOYMENT, {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "labels": labels}})
    (obstacle,), _ = look(api, fake_helm)
    assert obstacle.guard == Guard.GITOPS_OWNER


def fails(api: FakeApi, release: str) -> None:
    where = f"{CONFIG}/{name_of(release)}"
    api.put(where, with_verdict({"metadata": {"name": name_of(release)}}, release, judged()))


def test_a_storm(api: FakeApi, fake_helm: FakeHelm) -> None:
    hooks(fake_helm)
    for release in ("a", "b", "web"):
        fails(api, release)
    assert look(api, fake_helm) == ((), ()), "its own failure is none of another"
    fails(api, "c")
    (obstacle,), _ = look(api, fake_helm)
    assert obstacle.guard == Guard.STORM
    assert obstacle.reason.startswith("3 other targets have failed")


def test_drift_is_a_caution(api: FakeApi, fake_helm: FakeHelm) -> None:
    hooks(fake_helm)
    now = [{"manager": "kubectl", "operation": "Update", "time": "2026-01-01T00:00:00Z"}]
    api.put(f"{CONFIG}/settings", {"metadata": {"name": "settings", "managedFields": now}})
    obstacles, (caution,) = look(api, fake_helm)
    assert obstacles == ()
    assert "settings" in caution


def test_the_same_manifest_again_is_a_caution(api: FakeApi, fake_helm: FakeHelm) -> None:
    hooks(fake_helm)
    told = look(api, fake_helm, replace(SUBJECT, judged=(judged("2", "sha256:4"), judged("4", "sha256:4", at=1))))
    assert told == ((), ("the same manifest was judged bad as revision 2: errors: 9 %",))
    same = look(api, fake_helm, replace(SUBJECT, judged=(judged("4", "sha256:4"),)))
    assert same == ((), ()), "its own verdict is no repetition"


FORBIDDEN = (403, 'User "ci" cannot get resource "x" in API group "" in the namespace "shop"')


@pytest.mark.parametrize("where", [DEPLOYMENT, f"{CONFIG}/settings", CONFIG])
def test_what_may_not_be_seen_holds_nothing(api: FakeApi, fake_helm: FakeHelm, where: str) -> None:
    hooks(fake_helm)
    api.refusals["GET", where] = FORBIDDEN
    obstacles, cautions = look(api, fake_helm)
    assert obstacles == ()
    assert len(cautions) <= 1


@pytest.mark.parametrize("where", [DEPLOYMENT, CONFIG])
def test_a_cluster_that_is_away_is_asked_again(api: FakeApi, fake_helm: FakeHelm, where: str) -> None:
    hooks(fake_helm)
    api.refusals["GET", where] = (503, "away")
    with pytest.raises(PlatformUnavailable):
        look(api, fake_helm)


def test_hooks_that_cannot_be_read(api: FakeApi, fake_helm: FakeHelm) -> None:
    with pytest.raises(PlatformError, match="helm get hooks of release web"):
        look(api, fake_helm)


@pytest.mark.parametrize(
    "manifest",
    [
        "a: b: c",
        "[1, 2]",
        "kind: Deployment\nmetadata: 3",
        "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web}\nspec: {template: {spec: {containers: 3}}}",
        "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web, namespace: [1]}\nspec: {template: {spec: 3}}",
        "kind: List\nitems: 3",
        "\x00",
    ],
)
def test_no_shape_of_a_manifest_escapes(api: FakeApi, fake_helm: FakeHelm, manifest: str) -> None:
    hooks(fake_helm)
    obstacles, cautions = look(api, fake_helm, replace(SUBJECT, current_manifest=manifest))
    assert all(str(each).isprintable() for each in cautions)
    assert all(each.reason for each in obstacles)


@pytest.mark.parametrize(
    ("where", "words"),
    [
        (CONFIG, "whether other releases fail as well could not be looked at: "),
        (
            "/api/v1/namespaces/shop",
            "whether namespace shop is held (canary-analyzer.io/hold) could not be looked at: ",
        ),
    ],
)
def test_a_guard_that_may_not_look_says_so(api: FakeApi, fake_helm: FakeHelm, where: str, words: str) -> None:
    hooks(fake_helm)
    api.refusals["GET", where] = FORBIDDEN
    obstacles, cautions = look(api, fake_helm)
    assert obstacles == ()
    assert [caution for caution in cautions if caution.startswith(words)]
