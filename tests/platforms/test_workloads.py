"""Whose pods are whose, from what the API server says."""

import re
from typing import Any

import pytest

from analyzer.platforms.workloads import (
    Workload,
    covers,
    exactly,
    is_serving,
    observed,
    of_controller_revisions,
    of_replica_sets,
    ready_since,
    workloads,
)

MANIFEST = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:2"}]}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db, namespace: data}, spec: {template: {spec: {}}}}
  - {apiVersion: batch/v1, kind: Job, metadata: {name: once}, spec: {template: {spec: {}}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: front}
spec: {template: {spec: {}}}
---
# a comment alone
---
apiVersion: v1
kind: ConfigMap
metadata: {name: words}
data: {spec: none}
"""


def template(image: str) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": image}]}}


def workload(kind: str = "Deployment", image: str = "web:2", name: str = "web") -> Workload:
    return Workload(kind, "apps/v1", "shop", name, template(image))


def live(kind: str = "Deployment", revision: str = "2", **status: object) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"uid": "u1", "generation": 3, "annotations": {"deployment.kubernetes.io/revision": revision}},
        "status": {"observedGeneration": 3, **status},
    }


def replica_set(hash_: str, image: str, revision: str, uid: str = "u1", name: str = "web") -> dict[str, Any]:
    defaulted = template(image)
    defaulted["metadata"]["labels"]["pod-template-hash"] = hash_
    defaulted["spec"]["containers"][0] |= {"imagePullPolicy": "IfNotPresent", "resources": {}}
    return {
        "metadata": {
            "name": f"{name}-{hash_}",
            "labels": {"app": "web", "pod-template-hash": hash_},
            "annotations": {"deployment.kubernetes.io/revision": revision},
            "ownerReferences": [{"uid": uid}],
        },
        "spec": {"template": defaulted},
    }


def controller_revision(name: str, hash_: str, image: str, number: int) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "labels": {"controller-revision-hash": hash_},
            "ownerReferences": [{"uid": "u1"}],
        },
        "revision": number,
        "data": {"spec": {"template": template(image)}},
    }


def test_workloads_of_a_manifest_in_their_namespaces() -> None:
    found = [(each.kind, each.resource, each.namespace, each.name) for each in workloads(MANIFEST, "shop")]
    assert found == [
        ("Deployment", "deployments", "shop", "web"),
        ("StatefulSet", "statefulsets", "data", "db"),
        ("Rollout", "rollouts", "shop", "front"),
    ]


@pytest.mark.parametrize(
    ("live_", "written", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": 1}, {"a": 1, "b": None}, True),
        ({"a": 1}, {"a": 1, "resources": {}}, True),
        ({"a": 1}, {"a": 1, "list": []}, True),
        ({"cpu": "500m"}, {"cpu": 0.5}, True),
        ({"cpu": "500m"}, {"cpu": "0.5"}, True),
        ({"cpu": "1"}, {"cpu": "1000m"}, True),
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, True),
        ({"memory": "1Gi"}, {"memory": "1G"}, False),
        ({"port": 8080}, {"port": "8080"}, True),
        ({"value": "true"}, {"value": "false"}, False),
        ({"value": "web"}, {"value": "front"}, False),
        ([{"a": 1, "default": 2}], [{"a": 1}], True),
        ([1, 2], [2, 1], False),
        ([1], [1, 2], False),
        (None, {"a": 1}, False),
        (None, 0, True),
        (None, "x", False),
    ],
)
def test_covers(live_: object, written: object, same: bool) -> None:
    assert covers(live_, written) is same


class TestReplicaSets:
    SETS = (
        replica_set("aaa", "web:1", "1"),
        replica_set("bbb", "web:2", "2"),
        replica_set("zzz", "web:1", "9", uid="another"),
    )

    def test_the_current_one_and_the_one_of_the_wanted_template(self) -> None:
        found = of_replica_sets(workload(), live(), self.SETS, workload(image="web:1"))
        assert (found.current, found.wanted, found.changed) == ("bbb", "aaa", True)
        assert found.sets == {"aaa": "web-aaa", "bbb": "web-bbb"}

    def test_the_wanted_one_is_found_behind_a_bad_one(self) -> None:
        sets = [*self.SETS, replica_set("ccc", "web:3", "3")]
        found = of_replica_sets(workload(image="web:3"), live(revision="3"), sets, workload(image="web:1"))
        assert (found.current, found.wanted) == ("ccc", "aaa")

    def test_a_template_that_somebody_changed_leaves_the_newest_beside_the_current(self) -> None:
        found = of_replica_sets(workload(), live(), self.SETS, workload(image="web:0"))
        assert found.wanted == "aaa"

    def test_an_unchanged_workload_has_one_generation(self) -> None:
        found = of_replica_sets(workload(image="web:2"), live(), self.SETS, workload(image="web:2"))
        assert not found.changed

    def test_without_a_wanted_revision_there_is_no_baseline(self) -> None:
        assert of_replica_sets(workload(), live(), self.SETS, None).wanted == ""

    def test_a_replica_set_that_is_not_there_yet(self) -> None:
        assert of_replica_sets(workload(), live(revision="3"), self.SETS, None).current == ""

    def test_the_pattern_names_all_pods_of_a_replica_set_and_no_others(self) -> None:
        pattern = of_replica_sets(workload(), live(), self.SETS, workload(image="web:1")).pattern("bbb")
        assert re.fullmatch(pattern, "web-bbb-x2x9k")
        assert not re.fullmatch(pattern, "web-aaa-x2x9k")
        assert not re.fullmatch(pattern, "web-bbb-x2x9k-sidecar")

    def test_any_pod_of_the_workload_and_of_no_other(self) -> None:
        whole = of_replica_sets(workload(), live(), self.SETS, workload(image="web:1")).whole
        assert re.fullmatch(whole, "web-6f9d8c7b5-x2x9k")
        assert not re.fullmatch(whole, "web-worker-6f9d8c7b5-x2x9k")

    def test_the_pattern_of_a_name_that_the_api_server_cuts_off(self) -> None:
        name = "a" * 60
        sets = [replica_set("bbb", "web:2", "2", name=name)]
        pattern = of_replica_sets(workload(name=name), live(), sets, None).pattern("bbb")
        assert re.fullmatch(pattern, "a" * 58 + "x2x9k")


class TestControllerRevisions:
    REVISIONS = (
        controller_revision("web-111", "111", "web:1", 1),
        controller_revision("web-222", "222", "web:2", 2),
    )

    def test_pods_of_a_stateful_set_bear_the_revisions_name(self) -> None:
        current = live("StatefulSet", updateRevision="web-222")
        found = of_controller_revisions(
            workload("StatefulSet"), current, self.REVISIONS, workload("StatefulSet", "web:1")
        )
        assert (found.current, found.wanted) == ("web-222", "web-111")
        assert re.fullmatch(found.pattern("web-111"), "web-12")
        assert not re.fullmatch(found.pattern("web-111"), "web-12-x")

    def test_pods_of_a_daemon_set_bear_the_hash_alone(self) -> None:
        found = of_controller_revisions(
            workload("DaemonSet"), live("DaemonSet"), self.REVISIONS, workload("DaemonSet", "web:1")
        )
        assert (found.current, found.wanted) == ("222", "111")
        assert found.hash_of({"metadata": {"labels": {"controller-revision-hash": "111"}}}) == "111"


def test_a_pattern_of_just_these_names() -> None:
    pattern = exactly(["web-2", "web.1"])
    assert re.fullmatch(pattern, "web.1")
    assert not re.fullmatch(pattern, "webx1")


def test_a_generation_that_the_controller_has_not_seen() -> None:
    assert observed(live())
    assert not observed(live(observedGeneration=2))
    assert not observed({"metadata": {"generation": 1}})


def test_a_pod_serves_from_its_address_to_its_end() -> None:
    running = {"metadata": {}, "status": {"phase": "Running", "podIP": "10.0.0.1"}}
    assert is_serving(running)
    assert not is_serving({**running, "metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})
    assert not is_serving({"metadata": {}, "status": {"phase": "Pending"}})


def test_since_when_a_pod_is_ready() -> None:
    condition = {"type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    assert ready_since({"status": {"conditions": [condition]}}) == 1767225600
    assert ready_since({"status": {"conditions": [{**condition, "status": "False"}]}}) is None
