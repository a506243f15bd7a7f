"""Pods and workloads as the API server and a kubelet write them, and what is read out of them."""

from typing import Any

import pytest

from analyzer.model.reading import PodTrouble
from analyzer.platforms.pod_health import overdue, pods_of, wanted

Object = dict[str, Any]
FINISHED = "2026-03-01T10:00:30Z"
FINISHED_AT = 1772359230.0
UID = "3f6c2e0e-8a53-4f0a-9a57-0d6ac0a9f0a1"


def container(name: str = "web", **more: object) -> Object:
    """The status of a container that runs and is ready."""
    return {
        "name": name,
        "image": "registry.example/web:2",
        "imageID": "registry.example/web@sha256:1",
        "containerID": "containerd://1",
        "restartCount": 0,
        "ready": True,
        "started": True,
        "state": {"running": {"startedAt": "2026-03-01T10:00:02Z"}},
        "lastState": {},
        **more,
    }


def terminated(code: int, reason: str = "Error", **more: object) -> Object:
    return {"terminated": {"exitCode": code, "reason": reason, "finishedAt": FINISHED, **more}}


def waiting(reason: str, message: str = "", last: Object | None = None, restarts: int = 0, **more: object) -> Object:
    told = {"reason": reason} | ({"message": message} if message else {})
    fields = {"state": {"waiting": told}, "lastState": last or {}, "restartCount": restarts, "ready": False}
    return container(**fields, started=False, **more)


def pod(
    *containers: Object, init: tuple[Object, ...] = (), ready: bool = False, name: str = "web-1", **more: object
) -> Object:
    state = "True" if ready else "False"
    conditions = [
        {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-03-01T10:00:00Z"},
        {"type": "Initialized", "status": "True", "lastTransitionTime": "2026-03-01T10:00:00Z"},
        {"type": "ContainersReady", "status": state, "reason": "ContainersNotReady"},
        {"type": "Ready", "status": state, "reason": "ContainersNotReady"},
    ]
    limits = {"resources": {"limits": {"memory": "256Mi", "cpu": "1"}}}
    return {
        "metadata": {"name": name, "namespace": "shop", "uid": UID},
        "spec": {"containers": [{"name": "web", **limits}, {"name": "proxy"}]},
        "status": {
            "phase": "Running",
            "conditions": conditions,
            "containerStatuses": list(containers),
            **({"initContainerStatuses": list(init)} if init else {}),
            **more,
        },
    }


def troubles(*pods: Object) -> tuple[PodTrouble, ...]:
    return pods_of(pods, len(pods), "").troubles


BACK_OFF = f"back-off 20s restarting failed container=web pod=web-1_shop({UID})"
PULL = 'Back-off pulling image "registry.example/web:2"'
STARTED = container(ready=False, started=False)


class TestTroubles:
    @pytest.mark.parametrize(
        ("status", "reason", "detail"),
        [
            (
                waiting("CrashLoopBackOff", BACK_OFF, terminated(1), 3),
                "CrashLoopBackOff",
                "exit code 1, restarted 3 times: back-off 20s restarting failed container",
            ),
            (
                waiting("CrashLoopBackOff", BACK_OFF, terminated(0, "Completed"), 1),
                "CrashLoopBackOff",
                "restarted once: back-off 20s restarting failed container",
            ),
            (waiting("ImagePullBackOff", PULL), "ImagePullBackOff", PULL),
            (
                waiting("ErrImagePull", "rpc error: code = NotFound desc = failed to pull:\n not found"),
                "ErrImagePull",
                "rpc error: code = NotFound desc = failed to pull: not found",
            ),
            (
                waiting("InvalidImageName", 'Failed to apply default image tag "a:b:c"'),
                "InvalidImageName",
                'Failed to apply default image tag "a:b:c"',
            ),
            (
                waiting("CreateContainerConfigError", 'secret "web" not found'),
                "CreateContainerConfigError",
                'secret "web" not found',
            ),
            (
                waiting("RunContainerError", "exec: no such file", terminated(128, "StartError"), 1),
                "RunContainerError",
                "exit code 128, restarted once: exec: no such file",
            ),
            (
                container(ready=False, restartCount=1, lastState=terminated(1)),
                "Error",
                "exit code 1, restarted once",
            ),
            (
                container(ready=False, state=terminated(128, "StartError", message="exec: no such file")),
                "StartError",
                "exit code 128: exec: no such file",
            ),
        ],
    )
    def test_of_a_container(self, status: Object, reason: str, detail: str) -> None:
        (told,) = troubles(pod(status))
        assert (told.pod, told.reason, told.detail) == ("web-1", reason, detail)

    @pytest.mark.parametrize(
        "healthy",
        [
            pod(waiting("ContainerCreating"), phase="Pending"),
            pod(waiting("PodInitializing"), init=(container("migrate", ready=False),), phase="Pending"),
            pod(waiting("PodInitializing"), init=(container("migrate", state=terminated(0, "Completed")),)),
            pod(STARTED),
            pod(container(), ready=True),
            pod(container(restartCount=2, lastState=terminated(1)), ready=True),
            pod(container("proxy", restartCount=1, lastState=terminated(1)), STARTED),
        ],
        ids=["creating", "initialising", "initialised", "starting", "ready", "came up", "other starts"],
    )
    def test_none_of_what_takes_its_time(self, healthy: Object) -> None:
        assert troubles(healthy) == ()

    def test_containers_are_named_where_there_are_several(self) -> None:
        (told,) = troubles(pod(container(), waiting("CrashLoopBackOff", BACK_OFF, terminated(2), 1, name="proxy")))
        assert told.detail.startswith("container proxy: exit code 2, restarted once: back-off")

    def test_initialisation_that_fails(self) -> None:
        failing = waiting("CrashLoopBackOff", BACK_OFF, terminated(1), 2, name="migrate")
        (told,) = troubles(pod(waiting("PodInitializing"), init=(failing,), phase="Pending"))
        assert (told.reason, told.detail[:18]) == ("CrashLoopBackOff", "container migrate:")

    def test_out_of_memory(self) -> None:
        status = container(restartCount=1, lastState=terminated(137, "OOMKilled"))
        (told,) = troubles(pod(status, ready=True))
        assert told == PodTrouble(
            pod="web-1",
            reason="OOMKilled",
            detail="memory limit 256Mi, exit code 137, restarted once",
            since=FINISHED_AT,
        )

    def test_out_of_memory_again_and_again(self) -> None:
        told = troubles(pod(waiting("CrashLoopBackOff", BACK_OFF, terminated(137, "OOMKilled"), 2)))
        assert [each.reason for each in told] == ["OOMKilled", "CrashLoopBackOff"]
        assert told[1].detail.startswith("OOMKilled, exit code 137, restarted 2 times: back-off")

    def test_no_node_takes_it(self) -> None:
        homeless = pod(phase="Pending")
        homeless["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 Insufficient cpu.",
                "lastTransitionTime": FINISHED,
            }
        ]
        (told,) = troubles(homeless)
        assert told == PodTrouble(
            pod="web-1",
            reason="Unschedulable",
            detail="0/3 nodes are available: 3 Insufficient cpu.",
            since=FINISHED_AT,
        )

    def test_held_back_by_a_gate_is_not_without_a_node(self) -> None:
        gated = pod(phase="Pending")
        gated["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]
        assert troubles(gated) == ()

    def test_evicted(self) -> None:
        gone = pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
        seen = pods_of([gone], 1, "")
        assert seen.troubles == (
            PodTrouble(pod="web-1", reason="Evicted", detail="The node was low on resource: memory."),
        )
        assert (seen.ready, seen.total) == (0, 0)

    def test_a_page_of_an_error_is_cut(self) -> None:
        (told,) = troubles(pod(waiting("ErrImagePull", "x" * 5000)))
        assert len(told.detail) < 400

    def test_a_pod_of_which_little_is_known(self) -> None:
        assert pods_of([{"metadata": {"name": "web-1"}}, {}], 2, "").total == 2


class TestCounts:
    def test_ready_and_restarts(self) -> None:
        seen = pods_of(
            [
                pod(container(restartCount=2, lastState=terminated(137, "OOMKilled")), ready=True),
                pod(container(restartCount=1), init=(container("migrate", restartCount=4),), ready=True),
                pod(STARTED),
            ],
            3,
            "late",
        )
        assert (seen.wanted, seen.ready, seen.total, seen.restarts, seen.oom_kills) == (3, 2, 3, 7, 1)
        assert seen.overdue == "late"

    def test_pods_that_are_told_to_end_are_left_out(self) -> None:
        ending = pod(waiting("CrashLoopBackOff", BACK_OFF, terminated(1), 5), ready=True)
        ending["metadata"]["deletionTimestamp"] = FINISHED
        seen = pods_of([ending, pod(container(), ready=True)], 1, "")
        assert (seen.ready, seen.total, seen.restarts, seen.troubles) == (1, 1, 0, ())


def workload(kind: str, spec: Object, status: Object) -> Object:
    return {"kind": kind, "metadata": {"name": "web", "generation": 3}, "spec": spec, "status": status}


PREVIEW = {"strategy": {"blueGreen": {"previewReplicaCount": 1}}}
STEPS = {"strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}}


@pytest.mark.parametrize(
    ("kind", "spec", "status", "expected"),
    [
        ("Deployment", {"replicas": 4}, {"updatedReplicas": 1}, 4),
        ("Deployment", {}, {}, 1),
        ("Deployment", {"replicas": 0}, {}, 0),
        ("Deployment", {"replicas": 4, "paused": True}, {"updatedReplicas": 1}, 1),
        ("StatefulSet", {"replicas": 4}, {}, 4),
        ("StatefulSet", {"replicas": 4, "updateStrategy": {"rollingUpdate": {"partition": 3}}}, {}, 1),
        ("StatefulSet", {"replicas": 4, "updateStrategy": {"type": "OnDelete"}}, {"updatedReplicas": 2}, 2),
        ("DaemonSet", {}, {"desiredNumberScheduled": 7, "updatedNumberScheduled": 2}, 7),
        ("DaemonSet", {}, {}, 0),
        ("DaemonSet", {"updateStrategy": {"type": "OnDelete"}}, {"updatedNumberScheduled": 2}, 2),
        ("Rollout", {"replicas": 5}, {}, 5),
        ("Rollout", {"replicas": 5, **STEPS}, {"currentStepIndex": 1, "updatedReplicas": 1}, 1),
        ("Rollout", {"replicas": 5, **STEPS}, {"currentStepIndex": 2, "updatedReplicas": 4}, 5),
        ("Rollout", {"replicas": 5, **PREVIEW}, {"stableRS": "a", "currentPodHash": "b", "updatedReplicas": 1}, 1),
        ("Rollout", {"replicas": 5, **PREVIEW}, {"stableRS": "b", "currentPodHash": "b", "updatedReplicas": 4}, 5),
    ],
)
def test_wanted(kind: str, spec: Object, status: Object, expected: int) -> None:
    assert wanted(workload(kind, spec, status)) == expected


LATE = {
    "type": "Progressing",
    "status": "False",
    "reason": "ProgressDeadlineExceeded",
    "message": 'ReplicaSet "web-7d9f8c" has timed out progressing.',
}
TOLD = 'web is past its progress deadline of 600 s: ReplicaSet "web-7d9f8c" has timed out progressing'


@pytest.mark.parametrize(
    ("kind", "status", "expected"),
    [
        ("Deployment", {"observedGeneration": 3, "conditions": [LATE]}, f"Deployment {TOLD}"),
        ("Deployment", {"observedGeneration": 2, "conditions": [LATE]}, ""),
        ("Deployment", {"conditions": [LATE]}, ""),
        (
            "Deployment",
            {"observedGeneration": 3, "conditions": [LATE | {"status": "True", "reason": "ReplicaSetUpdated"}]},
            "",
        ),
        ("Deployment", {"observedGeneration": 3}, ""),
        ("Rollout", {"observedGeneration": "3", "phase": "Degraded", "conditions": [LATE]}, f"Rollout {TOLD}"),
        (
            "Rollout",
            {
                "observedGeneration": "3",
                "phase": "Degraded",
                "message": f"ProgressDeadlineExceeded: {LATE['message']}",
            },
            f"Rollout {TOLD}",
        ),
        ("Rollout", {"observedGeneration": "3", "phase": "Degraded", "message": "RolloutAborted: by hand"}, ""),
    ],
)
def test_overdue(kind: str, status: Object, expected: str) -> None:
    assert overdue(workload(kind, {}, status)) == expected


def test_overdue_with_a_deadline_of_its_own() -> None:
    status = {"observedGeneration": 3, "conditions": [LATE]}
    assert "deadline of 45 s" in overdue(workload("Deployment", {"progressDeadlineSeconds": 45}, status))
