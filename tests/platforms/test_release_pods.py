"""The pods of a release as a small API server tells of them: whose they are, how they fare, and since when."""

import asyncio
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fake_api import FakeApi, running

from analyzer.errors import PlatformForbidden, PlatformUnavailable
from analyzer.model.reading import Absence, Missing, Pods
from analyzer.model.target import PodSides
from analyzer.platforms.pods import PATIENCE, Group, ReleasePods, absent, foreign, health, remaining, sides
from analyzer.platforms.workloads import Workload

APPS = "/apis/apps/v1/namespaces/shop"
PODS = "/api/v1/namespaces/shop/pods"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"
REVISION = "deployment.kubernetes.io/revision"
READY = 1_767_225_600.0  # 2026-01-01T00:00:00Z
Body = dict[str, Any]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as fake:
        yield fake


def template(image: str, **more: object) -> Body:
    return {"metadata": {"labels": {"app": "web"}, **more}, "spec": {"containers": [{"name": "web", "image": image}]}}


def written(image: str = "web:2", kind: str = "Deployment", name: str = "web", **more: object) -> Workload:
    version = "argoproj.io/v1alpha1" if kind == "Rollout" else "apps/v1"
    return Workload(kind, version, "shop", name, template(image, **more))


def time(seconds: float) -> str:
    return datetime.fromtimestamp(READY + seconds, UTC).isoformat().replace("+00:00", "Z")


def workload(kind: str = "Deployment", name: str = "web", revision: str = "2", **status: object) -> Body:
    return {
        "kind": kind,
        "metadata": {"name": name, "uid": f"uid-{name}", "generation": 3, "annotations": {REVISION: revision}},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web"}}},
        "status": {"observedGeneration": 3, "updatedReplicas": 2, **status},
    }


def owned(name: str, labels: dict[str, str], owner: str = "web", **metadata: object) -> Body:
    return {"name": name, "labels": {"app": "web", **labels}, "ownerReferences": [{"uid": f"uid-{owner}"}], **metadata}


def replica_set(hash_: str, image: str, number: int, owner: str = "web", **more: object) -> Body:
    metadata = owned(f"{owner}-{hash_}", {"pod-template-hash": hash_}, owner, annotations={REVISION: str(number)})
    return {"metadata": metadata, "spec": {"template": template(image, **more)}}


def pod(name: str, labels: dict[str, str], ready: float | None = 0, *, ending: bool = False) -> Body:
    """`ready` is in seconds after READY; None: not ready."""
    condition = {
        "type": "Ready",
        "status": "False" if ready is None else "True",
        "lastTransitionTime": time(ready or 0),
    }
    metadata = owned(name, labels) | ({"deletionTimestamp": time(0)} if ending else {})
    return {"metadata": metadata, "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [condition]}}


def of_set(hash_: str, suffix: str, ready: float | None = 0, *, ending: bool = False) -> Body:
    return pod(f"web-{hash_}-{suffix}", {"pod-template-hash": hash_}, ready, ending=ending)


def put(api: FakeApi, where: str, *objects: Body) -> None:
    for each in objects:
        api.put(f"{where}/{each['metadata']['name']}", each)


def rolled(api: FakeApi, *pods: Body, **more: object) -> None:
    """A Deployment with two ReplicaSets, the second of them current."""
    put(api, f"{APPS}/deployments", workload())
    put(api, f"{APPS}/replicasets", replica_set("aaa", "web:1", 1), replica_set("bbb", "web:2", 2, **more))
    put(api, PODS, *pods)


async def never(_: float) -> None:
    pytest.fail("there was nothing to wait for")


def look(
    api: FakeApi,
    current: Workload | None = None,
    wanted: Workload | None = None,
    pause: Callable[[float], Any] = never,
) -> tuple[Group, ...]:
    async def looking() -> tuple[Group, ...]:
        cluster = api.cluster()
        try:
            return await ReleasePods(cluster, pause).look([current or written()], [wanted] if wanted else [])
        finally:
            await cluster.close()

    return asyncio.run(looking())


def told(groups: tuple[Group, ...]) -> PodSides:
    found = sides(groups, "shop")
    assert found is not None
    return found


BEFORE = written("web:1")


# Deployments


def test_both_revisions_side_by_side(api: FakeApi) -> None:
    rolled(api, of_set("aaa", "aaaaa"), of_set("bbb", "bbbbb", 5))
    found = told(look(api, wanted=BEFORE))
    assert re.fullmatch(found.canary, "web-bbb-bbbbb")
    assert re.fullmatch(found.baseline, "web-aaa-aaaaa")
    assert found.past == found.baseline
    assert (found.namespace, found.alone_since, found.shares_names) == ("shop", None, False)


def test_alone_since_the_last_pod_became_ready(api: FakeApi) -> None:
    rolled(api, of_set("bbb", "bbbbb", 5), of_set("bbb", "ccccc", 60), of_set("bbb", "ddddd", None))
    found = told(look(api, wanted=BEFORE))
    assert found.alone_since == READY + 60
    assert found.baseline == ""
    assert re.fullmatch(found.past, "web-aaa-zzzzz")


def test_pods_that_are_sentenceto_end_serve_no_more(api: FakeApi) -> None:
    rolled(api, of_set("aaa", "aaaaa", ending=True), of_set("bbb", "bbbbb", 5))
    found = told(look(api, wanted=BEFORE))
    assert (found.baseline, found.alone_since) == ("", READY + 5)


def test_a_third_revision_that_still_serves_is_not_alone(api: FakeApi) -> None:
    rolled(api, of_set("bbb", "bbbbb", 5), of_set("zzz", "zzzzz"))
    put(api, f"{APPS}/replicasets", replica_set("zzz", "web:0", 0))
    found = told(look(api, wanted=BEFORE))
    assert (found.baseline, found.alone_since) == ("", None)


def test_pods_of_another_workload_under_the_same_selector_are_not_ours(api: FakeApi) -> None:
    rolled(api, of_set("bbb", "bbbbb", 5))
    put(api, f"{APPS}/replicasets", replica_set("xxx", "worker:1", 1, owner="worker"))
    put(api, PODS, pod("worker-xxx-aaaaa", {"pod-template-hash": "xxx"}), pod("bare", {}))
    groups = look(api, wanted=BEFORE)
    assert [each["metadata"]["name"] for each in groups[0].pods] == ["web-bbb-bbbbb"]
    assert told(groups).alone_since == READY + 5


def test_scaled_to_nothing(api: FakeApi) -> None:
    rolled(api)
    api.objects[f"{APPS}/deployments/web"]["spec"]["replicas"] = 0
    groups = look(api, wanted=BEFORE)
    found = told(groups)
    assert re.fullmatch(found.canary, "web-bbb-bbbbb")
    assert (found.baseline, found.alone_since) == ("", None)
    canary, old = health(groups)
    assert isinstance(canary, Pods)
    assert (canary.wanted, canary.total, old) == (0, 0, None)


def test_an_unchanged_workload_has_no_sides(api: FakeApi) -> None:
    rolled(api, of_set("bbb", "bbbbb"))
    groups = look(api, wanted=written("web:2"))
    assert sides(groups, "shop") is None
    assert absent(groups) == ""
    assert groups[0].old == []


@pytest.mark.parametrize("more", [{"annotations": {"checksum/config": "1"}}, {"finalizers": ["x"]}])
def test_an_upgrade_that_only_adds_to_the_template_has_changed_it(api: FakeApi, more: Body) -> None:
    """What the wanted revision says is said by the current one as well, and more."""
    rolled(api, of_set("aaa", "aaaaa"), of_set("bbb", "bbbbb"))
    put(api, f"{APPS}/replicasets", replica_set("bbb", "web:1", 2, **more))
    found = told(look(api, written("web:1", **more), BEFORE))
    assert re.fullmatch(found.canary, "web-bbb-bbbbb")
    assert re.fullmatch(found.baseline, "web-aaa-aaaaa")


def test_a_revision_between_that_only_added_is_not_the_wanted_one(api: FakeApi) -> None:
    put(api, f"{APPS}/deployments", workload(revision="3"))
    between = replica_set("bbb", "web:1", 2, annotations={"a": "b"})
    put(api, f"{APPS}/replicasets", replica_set("aaa", "web:1", 1), between, replica_set("ccc", "web:2", 3))
    found = told(look(api, wanted=BEFORE))
    assert re.fullmatch(found.past, "web-aaa-aaaaa")


def test_writing_out_a_default_changes_nothing(api: FakeApi) -> None:
    """The manifests differ, and the cluster has made no new ReplicaSet of that."""
    rolled(api, of_set("bbb", "bbbbb"), annotations={"a": "b"})
    groups = look(api, written("web:2", annotations={"a": "b"}), written("web:2"))
    assert sides(groups, "shop") is None


def test_a_first_install(api: FakeApi) -> None:
    put(api, f"{APPS}/deployments", workload(revision="1"))
    put(api, f"{APPS}/replicasets", replica_set("aaa", "web:2", 1))
    put(api, PODS, of_set("aaa", "aaaaa", 7))
    found = told(look(api))
    assert re.fullmatch(found.canary, "web-aaa-aaaaa")
    assert (found.baseline, found.past, found.alone_since) == ("", "", READY + 7)


# What is late


def test_a_workload_that_does_not_exist(api: FakeApi) -> None:
    groups = look(api, wanted=BEFORE)
    assert groups == (Group(written(), in_wanted=True),)
    assert sides(groups, "shop") is None
    assert absent(groups) == "the cluster has no workload of the release: Deployment web"
    assert health(groups) == (Missing(why=Absence.NO_SERIES, detail=absent(groups)), None)


def test_a_release_without_workloads() -> None:
    assert sides((), "shop") is None
    assert health(()) == (Missing(why=Absence.NO_SERIES, detail="the release has no workloads"), None)


def test_a_replica_set_that_comes_late_is_waited_for(api: FakeApi) -> None:
    rolled(api, of_set("bbb", "bbbbb"))
    late = api.objects.pop(f"{APPS}/replicasets/web-bbb")
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            api.put(f"{APPS}/replicasets/web-bbb", late)

    assert re.fullmatch(told(look(api, wanted=BEFORE, pause=pause)).canary, "web-bbb-bbbbb")
    assert len(pauses) == 3


def test_a_controller_that_has_not_seen_the_change_is_waited_for(api: FakeApi) -> None:
    """Until then the old ReplicaSet would pass for the current one."""
    rolled(api)
    put(api, f"{APPS}/deployments", workload(revision="1", observedGeneration=2))

    async def pause(_: float) -> None:
        put(api, f"{APPS}/deployments", workload())

    assert re.fullmatch(told(look(api, wanted=BEFORE, pause=pause)).canary, "web-bbb-bbbbb")


def test_patience_ends(api: FakeApi) -> None:
    put(api, f"{APPS}/deployments", workload())
    put(api, f"{APPS}/replicasets", replica_set("aaa", "web:1", 1))
    put(api, PODS, of_set("aaa", "aaaaa"))
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    groups = look(api, wanted=BEFORE, pause=pause)
    assert sum(pauses) == PATIENCE
    found = told(groups)
    assert found.canary == ""
    assert re.fullmatch(found.baseline, "web-aaa-aaaaa")
    canary, old = health(groups)
    assert isinstance(canary, Pods)
    assert old is not None
    assert (canary.wanted, canary.total, old.total) == (2, 0, 1)


def test_a_workload_that_goes_away_is_not_waited_for(api: FakeApi) -> None:
    rolled(api)
    put(api, f"{APPS}/deployments", workload(observedGeneration=2))

    async def pause(_: float) -> None:
        del api.objects[f"{APPS}/deployments/web"]

    assert look(api, wanted=BEFORE, pause=pause)[0].live is None


def test_a_paused_deployment_has_no_pods_of_the_new_revision(api: FakeApi) -> None:
    put(api, f"{APPS}/deployments", workload(revision="1"))
    api.objects[f"{APPS}/deployments/web"]["spec"] |= {"paused": True, "template": template("web:2")}
    put(api, f"{APPS}/replicasets", replica_set("aaa", "web:1", 1))
    put(api, PODS, of_set("aaa", "aaaaa"))
    found = told(look(api, wanted=BEFORE))
    assert found.canary == ""
    assert re.fullmatch(found.baseline, "web-aaa-aaaaa")


def test_pods_that_were_changed_past_helm(api: FakeApi) -> None:
    rolled(api, of_set("bbb", "bbbbb"))
    api.objects[f"{APPS}/deployments/web"]["spec"]["template"] = template("web:1")
    api.objects[f"{APPS}/replicasets/web-bbb"]["spec"]["template"] = template("web:1")
    sentence = foreign(look(api, wanted=BEFORE))
    assert sentence.startswith(
        "the pods of Deployment web are not what the revision's manifest says: something other than"
    )
    restarted = template("web:2", annotations={"restartedAt": "now"})
    for each in ("deployments/web", "replicasets/web-bbb"):
        api.objects[f"{APPS}/{each}"]["spec"]["template"] = restarted
    assert foreign(look(api, wanted=BEFORE)) == ""


def test_a_baseline_whose_replica_set_is_pruned_has_a_past(api: FakeApi) -> None:
    rolled(api, of_set("bbb", "bbbbb"))
    del api.objects[f"{APPS}/replicasets/web-aaa"]
    found = told(look(api, wanted=BEFORE))
    assert found.baseline == ""
    assert re.fullmatch(found.past, "web-6d4cf56db6-x2x9k")
    assert not re.fullmatch(found.past, "web-backend-x2x9k")
    assert not re.fullmatch(found.past, "web-db-6d4cf56db6-x2x9k")


def test_names_that_are_cut_off_do_not_tell_the_sides_apart(api: FakeApi) -> None:
    name = "a" * 60
    put(api, f"{APPS}/deployments", workload(name=name))
    for hash_, image, number in (("aaa", "web:1", 1), ("bbb", "web:2", 2)):
        put(api, f"{APPS}/replicasets", replica_set(hash_, image, number, owner=name))
        one = pod("a" * 58 + hash_ + "xx", {"pod-template-hash": hash_})
        one["metadata"]["ownerReferences"] = [{"uid": f"uid-{name}"}]
        put(api, PODS, one)
    found = told(look(api, written(name=name), written("web:1", name=name)))
    assert (found.canary, found.baseline, found.shares_names) == ("a" * 58 + "bbbxx", "a" * 58 + "aaaxx", True)


# Other kinds


def controller_revision(kind: str, hash_: str, image: str, number: int) -> Body:
    metadata = owned(f"web-{hash_}", {"controller-revision-hash": f"web-{hash_}" if kind == "StatefulSet" else hash_})
    return {"metadata": metadata, "revision": number, "data": {"spec": {"template": template(image)}}}


def by_controller_revisions(api: FakeApi, kind: str, *pods: Body, **status: object) -> None:
    put(api, f"{APPS}/{kind.lower()}s", workload(kind, **status))
    revisions = [controller_revision(kind, "111", "web:1", 1), controller_revision(kind, "222", "web:2", 2)]
    put(api, f"{APPS}/controllerrevisions", *revisions)
    put(api, PODS, *pods)


def test_a_stateful_set(api: FakeApi) -> None:
    pods = [pod(f"web-{n}", {"controller-revision-hash": f"web-{hash_}"}) for n, hash_ in enumerate(("111", "222"))]
    by_controller_revisions(api, "StatefulSet", *pods, updateRevision="web-222")
    found = told(look(api, written(kind="StatefulSet"), written("web:1", kind="StatefulSet")))
    assert (found.canary, found.baseline, found.shares_names) == ("web-1", "web-0", True)
    assert re.fullmatch(found.past, "web-1")
    assert found.alone_since is None


def test_a_stateful_set_that_has_rolled(api: FakeApi) -> None:
    pods = [pod(f"web-{n}", {"controller-revision-hash": "web-222"}, ready=n) for n in range(2)]
    by_controller_revisions(api, "StatefulSet", *pods, updateRevision="web-222")
    found = told(look(api, written(kind="StatefulSet"), written("web:1", kind="StatefulSet")))
    assert (found.canary, found.baseline, found.alone_since) == ("web-0|web-1", "", READY + 1)


def test_a_daemon_set(api: FakeApi) -> None:
    old, new = (pod(f"web-{name}", {"controller-revision-hash": name[:3]}) for name in ("111aa", "222bb"))
    other = pod("other-333cc", {"controller-revision-hash": "333"})
    other["metadata"]["ownerReferences"] = [{"uid": "uid-other"}]
    by_controller_revisions(api, "DaemonSet", old, new, other)
    groups = look(api, written(kind="DaemonSet"), written("web:1", kind="DaemonSet"))
    found = told(groups)
    assert (found.canary, found.baseline, found.shares_names) == ("web-222bb", "web-111aa", True)
    assert len(groups[0].pods) == 2


@pytest.mark.parametrize("observed", ["3", 3, "5f7c9d8b6"])
def test_a_rollout(api: FakeApi, observed: object) -> None:
    """Argo writes the generation that it has seen as a text, and once wrote a hash."""
    status = {"currentPodHash": "bbb", "stableRS": "aaa", "observedGeneration": observed}
    put(api, ROLLOUTS, workload("Rollout", **status))
    for hash_, image, number in (("aaa", "web:1", 1), ("bbb", "web:2", 2)):
        each = replica_set(hash_, image, number)
        each["metadata"]["labels"] = {"app": "web", "rollouts-pod-template-hash": hash_}
        put(api, f"{APPS}/replicasets", each)
        put(api, PODS, pod(f"web-{hash_}-aaaaa", {"rollouts-pod-template-hash": hash_}))
    groups = look(api, written(kind="Rollout"), written("web:1", kind="Rollout"))
    found = told(groups)
    assert re.fullmatch(found.canary, "web-bbb-aaaaa")
    assert re.fullmatch(found.baseline, "web-aaa-aaaaa")
    canary, old = health(groups)
    assert isinstance(canary, Pods)
    assert old is not None
    assert (canary.ready, old.ready) == (1, 1)


# Several workloads


def group(api: FakeApi, *pairs: tuple[Workload, Workload | None]) -> tuple[Group, ...]:
    async def looking() -> tuple[Group, ...]:
        cluster = api.cluster()
        try:
            current = [pair[0] for pair in pairs]
            return await ReleasePods(cluster, never).look(current, [pair[1] for pair in pairs if pair[1]])
        finally:
            await cluster.close()

    return asyncio.run(looking())


def test_only_what_the_upgrade_has_changed_is_compared(api: FakeApi) -> None:
    rolled(api, of_set("aaa", "aaaaa"), of_set("bbb", "bbbbb"))
    for name in ("same", "added"):
        put(api, f"{APPS}/deployments", workload(name=name, revision="1"))
        put(api, f"{APPS}/replicasets", replica_set(f"{name[0]}11", "x:1", 1, owner=name))
    same, added = written("x:1", name="same"), written("x:1", name="added")
    groups = group(api, (written(), BEFORE), (same, same), (added, None))
    found = told(groups)
    assert re.fullmatch(found.canary, "web-bbb-bbbbb")
    assert not re.fullmatch(found.canary, "same-s11-bbbbb")
    assert not re.fullmatch(found.canary, "added-a11-bbbbb")


def test_a_workload_that_is_new_is_looked_at_where_nothing_else_has_changed(api: FakeApi) -> None:
    put(api, f"{APPS}/deployments", workload(name="added", revision="1"))
    put(api, f"{APPS}/replicasets", replica_set("a11", "x:1", 1, owner="added"))
    found = told(group(api, (written("x:1", name="added"), None)))
    assert re.fullmatch(found.canary, "added-a11-bbbbb")
    assert (found.baseline, found.past) == ("", "")


def test_health_is_summed(api: FakeApi) -> None:
    rolled(api, of_set("aaa", "aaaaa"), of_set("bbb", "bbbbb"), of_set("bbb", "ccccc", None))
    groups = group(api, (written(), BEFORE), (written("x", name="gone"), None))
    canary, old = health(groups * 2)
    assert isinstance(canary, Pods)
    assert old is not None
    assert (canary.wanted, canary.ready, canary.total) == (4, 2, 4)
    assert (old.wanted, old.ready, old.total) == (2, 2, 2)


# Failures


@pytest.mark.parametrize("where", [f"{APPS}/deployments/web", f"{APPS}/replicasets", PODS])
@pytest.mark.parametrize(("status", "error"), [(403, PlatformForbidden), (503, PlatformUnavailable)])
def test_what_may_not_be_read(api: FakeApi, where: str, status: int, error: type[Exception]) -> None:
    rolled(api)
    api.refusals["GET", where] = (status, "no")
    with pytest.raises(error):
        look(api, wanted=BEFORE)


def test_an_upgrade_that_only_takes_workloads_away_is_compared_by_what_is_left(api: FakeApi) -> None:
    rolled(api, of_set("bbb", "bbbbb"))
    groups = look(api, wanted=written("web:2"))
    left = remaining(groups, "shop")
    assert left is not None
    assert re.fullmatch(left.canary, "web-bbb-bbbbb")
    assert (left.past, left.baseline, left.alone_since) == (left.canary, "", None)
