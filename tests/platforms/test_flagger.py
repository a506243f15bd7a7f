"""Canaries of Flagger as the API server tells of them: which try is under way, and whose pods are whose."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi, ask, running

from analyzer.errors import NoRelease, PlatformError
from analyzer.model.reading import Pods
from analyzer.model.target import ActionKind, Deployment, Intent, PlatformKind, Target
from analyzer.platforms import pods as reading
from analyzer.platforms.flagger import Flagger
from analyzer.platforms.flagger_canary import Canary, try_of

Object = dict[str, Any]

WEB = Target(kind=PlatformKind.FLAGGER, name="web", namespace="shop")
CANARY = "/apis/flagger.app/v1beta1/namespaces/shop/canaries/web"
DEPLOYMENTS = "/apis/apps/v1/namespaces/shop/deployments"
SETS = "/apis/apps/v1/namespaces/shop/replicasets"
PODS = "/api/v1/namespaces/shop/pods"
NEW, OLD = "6c9b7", "5d4f8"
SINCE = "2026-01-05T00:00:00Z"


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    monkeypatch.setattr(reading, "PATIENCE", 0.0)
    with running(tmp_path) as api:
        yield api


def a_canary(api: FakeApi, phase: str = "Progressing", since: str = SINCE, **target: str) -> None:
    promoted = {"type": "Promoted", "lastTransitionTime": since}
    spec = {"targetRef": {"kind": "Deployment", "name": "app", **target}}
    metadata = {"name": "web", "namespace": "shop", "uid": "u0"}
    api.put(CANARY, {"metadata": metadata, "spec": spec, "status": {"phase": phase, "conditions": [promoted]}})


def a_deployment(api: FakeApi, name: str, hash_: str, number: int = 2, **status: object) -> None:
    labels = {"app": name, "pod-template-hash": hash_}
    revision = {"deployment.kubernetes.io/revision": str(number)}
    template = {"spec": {"containers": [{"name": "web", "image": f"web:{hash_}"}]}}
    metadata = {"name": name, "namespace": "shop", "uid": f"u-{name}", "generation": 2, "annotations": revision}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    live = {"kind": "Deployment", "metadata": metadata, "spec": spec, "status": {"observedGeneration": 2, **status}}
    api.put(f"{DEPLOYMENTS}/{name}", live)
    owner = [{"uid": f"u-{name}"}]
    of_set = {"name": f"{name}-{hash_}", "labels": labels, "annotations": revision, "ownerReferences": owner}
    api.put(f"{SETS}/{name}-{hash_}", {"metadata": of_set, "spec": {"template": template}})


def a_pod(api: FakeApi, name: str, hash_: str, created: str = "2026-01-05T00:01:00Z") -> None:
    labels = {"app": name, "pod-template-hash": hash_}
    metadata = {"name": f"{name}-{hash_}-abcde", "labels": labels, "creationTimestamp": created}
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": created}
    status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]}
    api.put(f"{PODS}/{name}-{hash_}-abcde", {"metadata": metadata, "status": status})


@pytest.fixture
def both(api: FakeApi) -> FakeApi:
    """A try that is under way: a new revision beside the primary."""
    a_canary(api)
    a_deployment(api, "app", NEW)
    a_deployment(api, "app-primary", OLD, number=1)
    a_pod(api, "app", NEW)
    a_pod(api, "app-primary", OLD, created="2026-01-01T00:00:00Z")
    return api


def look(api: FakeApi) -> Deployment:
    return ask(api, lambda cluster: Flagger(WEB, cluster).look())


def tried(api: FakeApi) -> str:
    """What tells the try from others."""
    found = ask(api, lambda cluster: try_of(cluster, "shop", "web"))
    assert bool(found.id) != bool(found.why)
    return found.id


def test_the_new_revision_is_compared_with_the_primary(both: FakeApi) -> None:
    found = look(both)
    assert (found.current.number, found.current.digest, found.current.status) == ("2", NEW, "Progressing")
    assert found.current.deployed_at == 1767571260.0  # its pod's, not the Canary's
    assert found.pods is not None
    assert found.pods.canary == f"app-{NEW}-[a-z0-9]{{5}}"
    assert found.pods.baseline == found.pods.past == f"app-primary-{OLD}-[a-z0-9]{{5}}"
    assert (found.pods.alone_since, found.pods.shares_names) == (None, False)
    assert found.taken_back == ""
    assert found.wanted is None
    assert "Flagger itself takes flagger/web back" in found.no_way_back


def test_a_primary_that_does_not_serve_is_not_waited_for(both: FakeApi) -> None:
    del both.objects[f"{PODS}/app-primary-{OLD}-abcde"]
    sides = look(both).pods
    assert sides is not None
    assert (sides.baseline, sides.past) == ("", f"app-primary-{OLD}-[a-z0-9]{{5}}")


def test_names_that_are_cut_off_before_they_differ(api: FakeApi) -> None:
    name = "a" * 58
    a_canary(api, name=name)
    for each, hash_ in ((name, NEW), (f"{name}-primary", OLD)):
        a_deployment(api, each, hash_)
        a_pod(api, each, hash_)
    sides = look(api).pods
    assert sides is not None
    assert (sides.canary, sides.baseline) == (f"{name}-{NEW}-abcde", f"{name}-primary-{OLD}-abcde")
    assert sides.shares_names


@pytest.mark.parametrize("phase", ["Initialized", "Waiting", "Promoting", "Finalising", "Succeeded", "Failed", ""])
def test_what_is_over_or_has_not_begun_is_not_analysed(both: FakeApi, phase: str) -> None:
    a_canary(both, phase=phase)
    assert f"(phase {phase or 'none yet'})" in look(both).taken_back
    assert tried(both) == ""


def test_health_of_both(both: FakeApi) -> None:
    canary, primary = ask(both, lambda cluster: Flagger(WEB, cluster).health())
    assert isinstance(canary, Pods)
    assert isinstance(primary, Pods)
    assert (canary.wanted, canary.ready, primary.ready) == (1, 1, 1)


def test_it_never_acts(both: FakeApi) -> None:
    found = look(both)
    intent = Intent(kind=ActionKind.ROLLBACK, target=WEB, from_revision=found.current, to_revision=None, reason="bad")
    receipt = ask(both, lambda cluster: Flagger(WEB, cluster).take_back(intent))
    assert not receipt.ok
    assert ask(both, lambda cluster: Flagger(WEB, cluster).settle(intent)) is None
    assert {method for method, _ in both.requests} == {"GET"}


def test_a_try_is_told_from_another_at_the_same_revision(both: FakeApi) -> None:
    first = tried(both)
    assert first == tried(both)
    a_deployment(both, "app", NEW, number=4)  # after another one in between
    second = tried(both)
    a_canary(both, since="2026-01-06T00:00:00Z")  # the same pods, and another ConfigMap
    assert len({first, second, tried(both)}) == 3


def test_a_change_that_is_not_seen_yet_is_no_try(both: FakeApi) -> None:
    a_deployment(both, "app", NEW, observedGeneration=1)
    assert tried(both) == ""


def test_another_kind_is_refused(both: FakeApi) -> None:
    a_canary(both, kind="DaemonSet")
    assert tried(both) == ""
    with pytest.raises(PlatformError, match="is for a DaemonSet, and only those for a Deployment are analysed"):
        look(both)


def test_there_is_no_such_canary(api: FakeApi) -> None:
    with pytest.raises(NoRelease, match="there is no Canary web in namespace shop"):
        look(api)


def test_there_is_no_deployment(api: FakeApi) -> None:
    a_canary(api)
    for asked in (look, tried):
        with pytest.raises(PlatformError, match="there is no Deployment app in namespace shop"):
            asked(api)


@pytest.mark.parametrize(
    ("hooks", "types"),
    [
        ([{"type": "rollback", "metadata": {"gate": "a"}}], {"rollback"}),
        ([{"metadata": {"gate": "a"}}], {"rollout"}),
        ([{"metadata": {"gate": "a"}}, {"type": "rollback", "metadata": {"gate": "a"}}], {"rollout", "rollback"}),
        ([{"type": "rollback", "metadata": {"gate": "a", "rules": "http"}}], set()),
        ([{"type": "rollback"}], set()),
        (None, set()),
    ],
)
def test_which_webhooks_send_this_metadata(hooks: object, types: set[str]) -> None:
    assert Canary({"spec": {"analysis": {"webhooks": hooks}}}).asked_by({"gate": "a"}) == types
