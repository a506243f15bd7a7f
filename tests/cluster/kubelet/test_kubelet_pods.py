"""Pods on a real control plane: each tag reaches the state that a kubelet would show, and Services are served."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.bed import Bed
from tests.cluster.load import load
from tests.cluster.namespace import Namespace
from tests.cluster.process import CommandError

CHART = Path(__file__).parents[1] / "chart"
Json = dict[str, Any]
WAIT = ("--wait", "--timeout=90s")


def release(namespace: Namespace, *sets: str, helm: int = 4) -> None:
    values = [f"--set={one}" for one in sets]
    namespace.helm(helm, "upgrade", "--install", "web", CHART, *WAIT, *values)


def waiting(pod: Json) -> str:
    return str(container(pod)["state"].get("waiting", {}).get("reason"))


def container(pod: Json) -> Json:
    statuses = pod["status"].get("containerStatuses") or [{"state": {}, "lastState": {}, "restartCount": 0}]
    return dict(statuses[0])


def condition(pod: Json, kind: str) -> Json:
    return next((dict(one) for one in pod["status"].get("conditions", ()) if one["type"] == kind), {})


def ended(pod: Json) -> Json:
    return dict(container(pod)["lastState"].get("terminated", {}))


STATES: dict[str, Callable[[Json], bool]] = {
    "crashing": lambda pod: waiting(pod) == "CrashLoopBackOff" and ended(pod)["exitCode"] == 1,
    "oom-1": lambda pod: container(pod)["restartCount"] > 0 and ended(pod).get("reason") == "OOMKilled",
    "image-pull": lambda pod: waiting(pod) == "ImagePullBackOff" and pod["status"]["phase"] == "Pending",
    "config-error": lambda pod: waiting(pod) == "CreateContainerConfigError",
    "errors-101": lambda pod: waiting(pod) == "InvalidImageName",
    "unschedulable": lambda pod: condition(pod, "PodScheduled").get("reason") == "Unschedulable",
    "never-ready": lambda pod: (
        condition(pod, "Ready").get("status") == "False" and "running" in container(pod)["state"]
    ),
    "slow-start-3": lambda pod: condition(pod, "Ready").get("status") == "True",
    "good": lambda pod: condition(pod, "Ready").get("status") == "True" and pod["status"]["phase"] == "Running",
}


def test_each_tag_reaches_its_state(namespace: Namespace) -> None:
    workloads = [{"name": tag, "tag": tag, "replicas": 1} for tag in STATES]
    namespace.helm(4, "install", "web", CHART, f"--set-json=workloads={json.dumps(workloads)}")
    for tag, holds in STATES.items():
        selector = f"app.kubernetes.io/name={tag}"
        namespace.until(lambda s=selector, h=holds: any(map(h, namespace.list("pods", s))), f"the state of {tag}", 60)


def test_a_roll_loses_no_request(bed: Bed, namespace: Namespace) -> None:
    release(namespace, "image.tag=clean", "replicas=3")
    with load(bed.kubeconfig, namespace.name, "web", rate=50) as traffic:
        release(namespace, "image.tag=clean-b", "replicas=3")
        before = traffic.tally().sent
        namespace.until(lambda: traffic.tally().sent >= before + 100, "load after the roll")
    tally = traffic.tally()
    assert (tally.bad, tally.first_bad) == (0, None)
    assert tally.ok == tally.sent > 100


def test_load_sees_errors_and_their_end(bed: Bed, namespace: Namespace) -> None:
    release(namespace, "image.tag=clean")
    with load(bed.kubeconfig, namespace.name, "web", rate=50) as traffic:
        release(namespace, "image.tag=clean-errors-50")
        namespace.until(lambda: traffic.tally().bad >= 20, "bad answers")
        good_pods = [pod["metadata"]["name"] for pod in namespace.list("pods", "version=clean")]
        release(namespace, "image.tag=clean")
        namespace.until(lambda: len(namespace.list("pods")) == 2, "the bad pods' end")
        bad, before = traffic.tally().bad, traffic.tally().sent
        namespace.until(lambda: traffic.tally().sent >= before + 100, "load after the way back")
        assert traffic.tally(good_pods).bad == 0
    tally = traffic.tally()
    assert tally.bad == bad
    assert tally.first_bad is not None
    assert tally.last_bad is not None
    assert tally.last_bad - tally.first_bad > 0.1


@pytest.mark.usefixtures("alone")
def test_pods_serve_on_while_the_api_server_is_away(bed: Bed, namespace: Namespace) -> None:
    release(namespace, "image.tag=clean")
    with load(bed.kubeconfig, namespace.name, "web", rate=50) as traffic:
        bed.stop("kube-apiserver")
        before = traffic.tally().sent
        namespace.until(lambda: traffic.tally().sent >= before + 100, "load without the API server")
        bed.start("kube-apiserver")
        release(namespace, "image.tag=clean-b", "replicas=3")
    tally = traffic.tally()
    assert tally.bad == 0
    assert tally.ok == tally.sent
    assert all(container(pod)["restartCount"] == 0 for pod in namespace.list("pods"))


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
def test_other_workloads_roll(namespace: Namespace, kind: str) -> None:
    for tag in ("good", "good-b"):
        release(namespace, f"kind={kind}", f"image.tag={tag}", helm=3)
        namespace.kubectl("rollout", "status", f"{kind.lower()}/web", "--timeout=60s")
    pods = namespace.list("pods", "version=good-b")
    assert len(pods) == (2 if kind == "StatefulSet" else 1)


def test_a_rollout_rolls(bed: Bed, namespace: Namespace) -> None:
    bed.start("argo-rollouts")
    values = ("kind=Rollout", "strategy.canary.steps[0].setWeight=50")
    for tag in ("good", "good-b"):
        namespace.helm(
            4, "upgrade", "--install", "web", CHART, *(f"--set={one}" for one in (*values, f"image.tag={tag}"))
        )
        namespace.until(lambda t=tag: len(ready(namespace.list("pods", f"version={t}"))) == 2, f"two pods of {tag}")


def ready(pods: list[Json]) -> list[Json]:
    return [pod for pod in pods if condition(pod, "Ready").get("status") == "True"]


def test_migrations_run_before_an_upgrade_and_may_fail(namespace: Namespace) -> None:
    release(namespace)
    release(namespace, "migration.enabled=true")
    assert namespace.get("job", "web-migrate")["status"]["succeeded"] == 1
    with pytest.raises(CommandError, match="web-migrate"):
        release(namespace, "migration.enabled=true", "migration.tag=crashing")


def test_deletion_ends_a_pod_for_good(namespace: Namespace) -> None:
    release(namespace, "kind=StatefulSet", "replicas=1")
    first = namespace.get("pod", "web-0")["metadata"]["uid"]
    namespace.kubectl("delete", "pod", "web-0", "--timeout=30s")
    namespace.until(
        lambda: [one["metadata"]["uid"] for one in namespace.list("pods")] not in ([], [first]), "its successor"
    )
    namespace.kubectl("scale", "statefulset/web", "--replicas=0")
    namespace.until(lambda: not namespace.list("pods"), "no pods")
