"""A Helm release with the cluster around it: pods, verdicts, obstacles, rights; and a helm that is killed."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from fake_api import FakeApi, running
from fake_helm import FakeHelm

from analyzer.errors import PlatformUnavailable
from analyzer.model.guard import Guard
from analyzer.model.reading import Absence, Missing, Pods
from analyzer.model.target import ActionKind, Deployment, Intent, PlatformKind, Receipt, Revision, Target
from analyzer.platforms.helm import Helm, HelmSettings, RollbackOptions
from analyzer.platforms.helm_manifest import digest
from analyzer.platforms.verdicts import Judged, name_of, with_verdict

T = TypeVar("T")
WEB = Target(kind=PlatformKind.HELM, name="web", namespace="shop")
APPS = "/apis/apps/v1/namespaces/shop"
PODS = "/api/v1/namespaces/shop/pods"
VERDICTS = f"/api/v1/namespaces/shop/configmaps/{name_of('web')}"
LATER = 1_900_000_000.0  # than the recordings, in Unix seconds
FORBIDDEN = (403, 'User "ci" cannot get resource "x" in API group "" in the namespace "shop"')


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    for name in ("HELM_NAMESPACE", "HELM_DRIVER"):
        monkeypatch.delenv(name, raising=False)
    with running(tmp_path) as fake:
        yield fake


def asked(api: FakeApi, fake: FakeHelm, question: Callable[[Helm], Awaitable[T]], to: int | None = None) -> T:
    async def asking() -> T:
        cluster = api.cluster()
        settings = HelmSettings(program=str(fake.path), rollback=RollbackOptions(wait=False), to_revision=to)
        try:
            return await question(Helm(WEB, settings, cluster))
        finally:
            await cluster.close()

    return asyncio.run(asking())


def look(api: FakeApi, fake: FakeHelm, to: int | None = None) -> Deployment:
    return asked(api, fake, lambda helm: helm.look(), to)


def hooks(fake: FakeHelm, *numbers: int, text: str = "") -> None:
    for number in numbers:
        fake.answer({"argv": ["get", "hooks", "web", f"--revision={number}"], "code": 0, "stdout": text, "stderr": ""})


def judged(api: FakeApi, revision: str, verdict: str, at: float = LATER, digest: str = "sha256:x") -> None:
    found = Judged.model_validate(
        {"revision": revision, "digest": digest, "verdict": verdict, "at": at, "reason": "errors: 9 %"}
    )
    api.put(VERDICTS, with_verdict(api.objects.get(VERDICTS, {}), "web", found))


def deployed(api: FakeApi) -> None:
    """What the recorded upgrade from image 1 to image 2 makes of the cluster."""
    labels = {"app": "web"}
    metadata = {"name": "web", "uid": "u", "generation": 2, "annotations": {"deployment.kubernetes.io/revision": "2"}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}}
    live = {"kind": "Deployment", "metadata": metadata, "spec": spec, "status": {"observedGeneration": 2}}
    api.put(f"{APPS}/deployments/web", live)
    for number, hash_ in ((1, "aaa"), (2, "bbb")):
        told = {**labels, "pod-template-hash": hash_}
        image = f"registry.example/web:{number}"
        template = {"metadata": {"labels": told}, "spec": {"containers": [{"name": "web", "image": image}]}}
        annotations = {"deployment.kubernetes.io/revision": str(number)}
        owner = [{"uid": "u"}]
        each = {"name": f"web-{hash_}", "labels": told, "ownerReferences": owner, "annotations": annotations}
        api.put(f"{APPS}/replicasets/web-{hash_}", {"metadata": each, "spec": {"template": template}})
        ready = [{"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}]
        status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": ready}
        api.put(f"{PODS}/web-{hash_}-x", {"metadata": {"name": f"web-{hash_}-xxxxx", "labels": told}, "status": status})


# Pods


def test_the_pods_of_both_revisions(api: FakeApi, fake_helm: FakeHelm) -> None:
    deployed(api)
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1, 2)
    found = look(api, fake_helm)
    assert found.pods is not None
    assert re.fullmatch(found.pods.canary, "web-bbb-xxxxx")
    assert re.fullmatch(found.pods.baseline, "web-aaa-xxxxx")
    assert (found.no_pods, found.unchanged, found.obstacles) == ("", False, ())


def test_without_its_workload_the_pods_are_not_known(api: FakeApi, fake_helm: FakeHelm) -> None:
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1, 2)
    found = look(api, fake_helm)
    assert found.pods is None
    assert found.no_pods == "the cluster has no workload of the release: Deployment web"
    assert not found.unchanged


def test_pods_that_may_not_be_seen(api: FakeApi, fake_helm: FakeHelm) -> None:
    deployed(api)
    api.refusals["GET", PODS] = FORBIDDEN
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1, 2)
    found = look(api, fake_helm)
    assert found.pods is None
    assert found.no_pods.startswith("user ci may not get x")


def test_a_cluster_that_is_away(api: FakeApi, fake_helm: FakeHelm) -> None:
    api.refusals["GET", f"{APPS}/deployments/web"] = (503, "away")
    fake_helm.says("history-upgraded")
    with pytest.raises(PlatformUnavailable):
        look(api, fake_helm)


def test_health(api: FakeApi, fake_helm: FakeHelm) -> None:
    deployed(api)
    fake_helm.says("history-upgraded")
    hooks(fake_helm, 1, 2)
    canary, old = asked(api, fake_helm, lambda helm: helm.health())
    assert isinstance(canary, Pods)
    assert old is not None
    assert (canary.wanted, canary.ready, old.ready) == (1, 1, 1)


def test_health_without_a_cluster(fake_helm: FakeHelm) -> None:
    fake_helm.says("history-upgraded")
    canary, old = asyncio.run(Helm(WEB, HelmSettings(program=str(fake_helm.path))).health())
    assert canary == Missing(why=Absence.NO_SERIES, detail=f"{WEB} has no pods that are known")
    assert old is None


# Verdicts


@pytest.mark.parametrize(
    ("verdicts", "wanted"),
    [
        ({}, "3"),
        ({"3": "fail"}, "2"),
        ({"2": "pass"}, "2"),
        ({"1": "pass", "2": "inconclusive"}, "1"),
        ({"1": "fail", "2": "fail"}, "3"),
        ({"4": "fail"}, "3"),
    ],
)
def test_verdicts_choose_the_way_back(api: FakeApi, fake_helm: FakeHelm, verdicts: dict[str, str], wanted: str) -> None:
    for revision, verdict in verdicts.items():
        judged(api, revision, verdict, digest=digest(str(fake_helm.recorded(f"manifest-{revision}")["stdout"])))
    fake_helm.says("history-failed")
    hooks(fake_helm, 1, 2, 3, 4)
    found = look(api, fake_helm)
    assert found.wanted is not None
    assert found.wanted.number == wanted


def test_a_pass_of_another_manifest_does_not_count(api: FakeApi, fake_helm: FakeHelm) -> None:
    judged(api, "1", "pass", digest="sha256:another")
    fake_helm.says("history-failed")
    hooks(fake_helm, 1, 2, 3, 4)
    found = look(api, fake_helm)
    assert found.wanted is not None
    assert found.wanted.number == "3"


def test_when_all_are_judged_bad_there_is_no_way_back(api: FakeApi, fake_helm: FakeHelm) -> None:
    for revision in "123":
        judged(api, revision, "fail")
    fake_helm.says("history-failed")
    found = look(api, fake_helm)
    assert found.wanted is None
    assert found.no_way_back.endswith("is known to be good: 1 (judged bad), 2 (judged bad), 3 (judged bad)")


def test_a_revision_that_is_asked_for(api: FakeApi, fake_helm: FakeHelm) -> None:
    judged(api, "1", "fail")
    fake_helm.says("history-failed")
    hooks(fake_helm, 1, 2, 3, 4)
    found = look(api, fake_helm, to=1)
    assert found.wanted is not None
    assert found.wanted.number == "1"
    assert found.served_until is not None
    assert found.served_until == found.history[1].deployed_at


def test_a_newer_verdict_counts_and_one_of_an_earlier_life_does_not(api: FakeApi, fake_helm: FakeHelm) -> None:
    judged(api, "3", "fail", at=1.0)
    fake_helm.says("history-failed")
    hooks(fake_helm, 1, 2, 3, 4)
    found = look(api, fake_helm)
    assert found.wanted is not None
    assert found.wanted.number == "3"


def test_verdicts_that_may_not_be_read(api: FakeApi, fake_helm: FakeHelm) -> None:
    api.refusals["GET", VERDICTS] = FORBIDDEN
    fake_helm.says("history-failed")
    hooks(fake_helm, 1, 2, 3, 4)
    found = look(api, fake_helm)
    assert found.wanted is not None
    assert found.wanted.number == "3"


# Obstacles and rights


def test_obstacles_stand_in_the_deployment(api: FakeApi, fake_helm: FakeHelm) -> None:
    deployed(api)
    fake_helm.says("history-upgraded")
    hook = (
        "apiVersion: batch/v1\nkind: Job\nmetadata: {name: db-migrate, annotations: {helm.sh/hook: pre-upgrade}}\n"
        "spec: {template: {spec: {containers: []}}}\n"
    )
    hooks(fake_helm, 1)
    hooks(fake_helm, 2, text=hook)
    assert [each.guard for each in look(api, fake_helm).obstacles] == [Guard.MIGRATION]


def test_an_upgrade_without_a_change_of_pods_has_no_obstacles(api: FakeApi, fake_helm: FakeHelm) -> None:
    fake_helm.says("history-same-pods")
    found = look(api, fake_helm)
    assert (found.unchanged, found.obstacles, found.cautions) == (True, (), ())


def lacking(api: FakeApi, fake: FakeHelm) -> str:
    async def both(helm: Helm) -> str:
        return await helm.lacking(await helm.look())

    api.objects |= {
        "/api/v1": {"resources": [{"name": "configmaps", "kind": "ConfigMap", "namespaced": True}]},
        "/apis/apps/v1": {"resources": [{"name": "deployments", "kind": "Deployment", "namespaced": True}]},
    }
    fake.says("history-upgraded")
    hooks(fake, 1, 2)
    return asked(api, fake, both)


def test_no_right_is_lacking(api: FakeApi, fake_helm: FakeHelm) -> None:
    assert lacking(api, fake_helm) == ""


def test_a_right_that_is_lacking(api: FakeApi, fake_helm: FakeHelm) -> None:
    api.may = lambda review: (review["resource"], review["verb"]) != ("deployments", "patch")
    told = lacking(api, fake_helm)
    assert "patch deployments" in told


def test_a_first_install_needs_no_rights(api: FakeApi, fake_helm: FakeHelm) -> None:
    api.may = lambda _: False
    fake_helm.says("history-installed")

    async def both(helm: Helm) -> str:
        return await helm.lacking(await helm.look())

    assert asked(api, fake_helm, both) == ""


# The namespace


def test_the_namespace_is_helms(api: FakeApi, fake_helm: FakeHelm, monkeypatch: pytest.MonkeyPatch) -> None:
    async def namespaces() -> list[str]:
        cluster = api.cluster()
        anywhere = WEB.model_copy(update={"namespace": ""})
        settings = HelmSettings(program=str(fake_helm.path))
        try:
            found = [
                await Helm(WEB, settings, cluster).namespace(),
                await Helm(anywhere, settings, cluster).namespace(),
            ]
            monkeypatch.setenv("HELM_NAMESPACE", "other")
            return [*found, await Helm(anywhere, settings, cluster).namespace()]
        finally:
            await cluster.close()

    assert asyncio.run(namespaces()) == ["shop", "shop", "other"]


# A helm that somebody kills on its way


def take_back(fake: FakeHelm) -> Receipt:
    three = Revision(number="3")
    intent = Intent(kind=ActionKind.ROLLBACK, target=WEB, from_revision=three, to_revision=three, reason="worse")
    settings = HelmSettings(program=str(fake.path), rollback=RollbackOptions(wait=False))
    return asyncio.run(Helm(WEB, settings).take_back(intent))


def killed(fake: FakeHelm, times: int) -> None:
    died = (
        "if argv[0] == 'rollback' and before < " + str(times) + ":\n"
        "    import signal; os.kill(os.getpid(), signal.SIGKILL)\nanswer = answers["
    )
    fake.path.write_text(fake.path.read_text().replace("answer = answers[", died))


def test_a_helm_that_is_killed_is_run_once_more(fake_helm: FakeHelm) -> None:
    fake_helm.says("rollback", "history-newest")
    killed(fake_helm, 1)
    receipt = take_back(fake_helm)
    assert receipt.ok
    assert sum(call[0] == "rollback" for call in fake_helm.calls) == 2


def test_a_helm_that_is_always_killed_is_a_failed_receipt(fake_helm: FakeHelm) -> None:
    fake_helm.says("rollback", "history-newest")
    killed(fake_helm, 9)
    receipt = take_back(fake_helm)
    assert not receipt.ok
    assert "was ended by signal 9" in receipt.detail
    assert sum(call[0] == "rollback" for call in fake_helm.calls) == 2


def test_a_rollback_that_fails_by_itself_is_not_repeated(fake_helm: FakeHelm) -> None:
    case = fake_helm.recorded("rollback")
    fake_helm.answer({**case, "code": 1, "stderr": "Error: no\n"})
    assert not take_back(fake_helm).ok
    assert sum(call[0] == "rollback" for call in fake_helm.calls) == 1
