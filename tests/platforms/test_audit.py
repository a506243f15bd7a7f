"""What an audit finds in a release, and what it does not complain of."""

import copy
from typing import Any

import pytest

from analyzer.platforms.audit import Workload, audit, serving
from analyzer.platforms.helm_history import Entry
from analyzer.platforms.starting import container_start, start_of

Object = dict[str, Any]
GOOD = [Entry(revision=1, status="superseded", description="Install complete"), Entry(revision=2, status="deployed")]


def at(seconds: float) -> str:
    return f"2026-01-31T12:{int(seconds) // 60:02}:{int(seconds) % 60:02}Z"


def pod(ready: float, *, created: float = 0, started: float = 0, restarts: int = 0, is_ready: str = "True") -> Object:
    return {
        "metadata": {"name": "web-1", "creationTimestamp": at(created)},
        "status": {
            "conditions": [{"type": "Ready", "status": is_ready, "lastTransitionTime": at(ready)}],
            "containerStatuses": [
                {"name": "web", "restartCount": restarts, "state": {"running": {"startedAt": at(started)}}}
            ],
        },
    }


def workload(kind: str = "Deployment", *pods: Object, container: Object | None = None, **spec: object) -> Workload:
    web = {"name": "web", "image": "registry.example/web:1", "readinessProbe": {"initialDelaySeconds": 3600}}
    template = {"spec": {"containers": [web | (container or {})]}}
    return Workload({"kind": kind, "metadata": {"name": "web"}, "spec": {"template": template, **spec}}, pods)


def found(*workloads: Workload, entries: list[Entry] = GOOD) -> list[str]:
    return [f"{each.about}: {each.sentence}" for each in audit(entries, "web", workloads)]


def test_a_sound_release_has_no_findings() -> None:
    assert found(workload("Deployment", pod(30), pod(40)), workload("StatefulSet", pod(30), replicas=3)) == []


# History


def entries(*statuses: str) -> list[Entry]:
    return [Entry(revision=number, status=status) for number, status in enumerate(statuses, start=1)]


def test_an_operation_that_hangs() -> None:
    (line,) = found(entries=entries("superseded", "deployed", "pending-upgrade"))
    assert "revision 3 is pending-upgrade" in line
    assert "helm rollback web" in line


@pytest.mark.parametrize(
    ("failed", "told"), [(2, None), (3, "3 of the 5 revisions"), (9, "9 of the 11 revisions")], ids=str
)
def test_many_failed_revisions(failed: int, told: str | None) -> None:
    lines = found(entries=entries("superseded", *["failed"] * failed, "deployed"))
    assert [told in line for line in lines if "never came out whole" in line and told] == ([True] if told else [])


def test_superseded_hides_a_failure() -> None:
    hidden = [
        Entry(revision=number, status="superseded", description=f'Upgrade "web" failed: no {number}')
        for number in range(2, 5)
    ]
    (line,) = found(entries=[GOOD[0], *hidden, Entry(revision=5, status="deployed")])
    assert "(2, 3, 4)" in line


def test_who_was_killed_on_the_way_never_came_out() -> None:
    (line,) = found(entries=entries("superseded", *["pending-upgrade"] * 3, "deployed"))
    assert "(2, 3, 4)" in line


@pytest.mark.parametrize(("kept", "told"), [(10, False), (11, True), (200, True)])
def test_no_limit_of_the_history(kept: int, told: bool) -> None:
    lines = found(entries=entries(*["superseded"] * (kept - 1), "deployed"))
    assert any(f"Helm keeps {kept} revisions" in line for line in lines) == told


def test_no_way_back() -> None:
    (line,) = found(entries=entries("deployed"))
    assert line.startswith("way back: ")


# Time-outs


@pytest.mark.parametrize(
    ("of", "told"),
    [
        (workload("Deployment", pod(290)), []),
        (workload("Deployment", pod(310)), ["longer than helm's usual --timeout of 5m"]),
        (workload("Deployment", pod(620)), ["its progress deadline of 10 min", "--timeout of 5m"]),
        (workload("Deployment", pod(70), progressDeadlineSeconds=60), ["its progress deadline of 1 min"]),
        (workload("Deployment", pod(50), progressDeadlineSeconds=60), []),
        (workload("Deployment", pod(620, restarts=2)), []),  # ready again after a restart tells nothing of the start
        (workload("Deployment", pod(620, is_ready="False")), []),
        (workload("StatefulSet", pod(70), replicas=5), ["in 5 turns: about 5 min 50 s"]),
        (workload("StatefulSet", pod(70), replicas=4), []),
        (workload("Deployment", pod(70), replicas=10), []),  # 25 % more and 25 % fewer: two turns
        (
            workload(
                "Deployment", pod(70), replicas=10, strategy={"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
            ),
            ["in 10 turns"],
        ),
        (workload("Deployment", pod(70), replicas=10, strategy={"type": "Recreate"}), []),
        (workload("DaemonSet", *[pod(70)] * 6), ["in 6 turns"]),
        (
            workload("DaemonSet", *[pod(70)] * 6, updateStrategy={"rollingUpdate": {"maxUnavailable": "50%"}}),
            [],
        ),
        (workload("Deployment"), []),
    ],
)
def test_time_outs_shorter_than_a_start(of: Workload, told: list[str]) -> None:
    lines = found(of)
    assert len(lines) == len(told), lines
    assert all(part in line and line.startswith("timeout: ") for part, line in zip(told, lines, strict=True))


def test_the_median_counts_and_the_slowest_for_the_deadline() -> None:
    lines = found(workload("Deployment", pod(40), pod(50), pod(90), progressDeadlineSeconds=60))
    assert len(lines) == 1
    assert "take 50 s from creation to ready (the slowest 1 min 30 s)" in lines[0]


# Probes and images


@pytest.mark.parametrize(
    ("container", "told"),
    [
        ({"readinessProbe": None}, "has no readiness probe"),
        ({"readinessProbe": {"initialDelaySeconds": 5}}, "its readiness probe gives it 35 s"),
        ({"readinessProbe": {"initialDelaySeconds": 40}}, None),
        ({"readinessProbe": {"periodSeconds": 10}, "startupProbe": {"failureThreshold": 30}}, None),
        ({"livenessProbe": {"periodSeconds": 5}}, "its liveness probe gives it 15 s"),
        ({"livenessProbe": {"periodSeconds": 5, "initialDelaySeconds": 60}}, None),
        ({"livenessProbe": {"periodSeconds": 5}, "startupProbe": {"failureThreshold": 6}}, None),
        ({"startupProbe": {"failureThreshold": 2}}, "its startup probe gives it 20 s"),
        ({"image": "web"}, "container web runs web, which names no fixed version"),
        ({"livenessProbe": "nonsense", "readinessProbe": {"periodSeconds": "x", "initialDelaySeconds": "60"}}, None),
    ],
    ids=str,
)
def test_probes_and_images(container: Object, told: str | None) -> None:
    lines = found(workload("Deployment", pod(60), container=container))
    told = told or ""
    assert [told in line for line in lines] == ([True] if told else []), lines


def test_restarts_are_told_with_the_probe_that_may_cause_them() -> None:
    lines = found(workload("Deployment", pod(60, restarts=4), container={"livenessProbe": {"periodSeconds": 5}}))
    assert ["restarts so far: 4" in line for line in lines] == [True]


def test_only_what_stays_is_looked_at() -> None:
    kinds = ["Deployment", "StatefulSet", "DaemonSet", "Rollout", "Job", "CronJob", "Pod", "ConfigMap"]
    assert [each["kind"] for each in serving([{"kind": kind} for kind in kinds])] == kinds[:4]


# Whatever a manifest or a pod looks like


@pytest.mark.parametrize("nonsense", [None, 7, "x", [], {}, [1], {"a": 1}, float("nan")], ids=str)
@pytest.mark.parametrize(
    "place", ["spec", "template", "containers", "container", "strategy", "replicas", "status", "conditions"]
)
def test_nonsense_never_breaks_an_audit(place: str, nonsense: object) -> None:
    one, fine = pod(60), workload()
    spec: Object = copy.deepcopy(fine.spec)
    match place:
        case "spec":
            spec["spec"] = nonsense
        case "template":
            spec["spec"]["template"] = nonsense
        case "containers":
            spec["spec"]["template"]["spec"]["containers"] = nonsense
        case "container":
            spec["spec"]["template"]["spec"]["containers"] = [nonsense]
        case "strategy" | "replicas":
            spec["spec"][place] = nonsense
        case "status":
            one["status"] = nonsense
        case _:
            one["status"][place] = nonsense
    for line in found(Workload(spec, [one])):
        assert line.startswith(("probe: deployment web: ", "timeout: deployment web: ", "image: deployment web: "))


def test_starts_are_read_off_the_status() -> None:
    one = pod(60, created=20, started=30)
    assert (start_of(one), container_start(one, "web"), container_start(one, "other")) == (40, 30, None)
    assert start_of({}) is None
    assert container_start({"status": {"containerStatuses": [{"name": "web"}]}}, "web") is None
