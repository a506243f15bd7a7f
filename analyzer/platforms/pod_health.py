"""How pods fare, from what the API server says of them. Pure."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime

from analyzer.model.reading import Pods, PodTrouble
from analyzer.platforms.cluster import Object
from analyzer.platforms.workloads import observed

_USUAL = frozenset({"", "ContainerCreating", "PodInitializing", "SchedulingGated"})
"""Why a container of a healthy pod may wait."""
_LONGEST = 300  # characters of a kubelet's message; a runtime's error can be a page
_OOM_KILLED = "OOMKilled"
_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


def wanted(workload: Object) -> int:
    """How many pods of its newest revision a workload wants now.

    Fewer than its replicas where it holds the others back itself: at a step of a canary, behind a partition, paused.
    """
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    strategy = spec.get("updateStrategy") or {}
    if workload.get("kind") == "DaemonSet":
        number = "updatedNumberScheduled" if strategy.get("type") == "OnDelete" else "desiredNumberScheduled"
        return int(status.get(number) or 0)
    replicas = 1 if spec.get("replicas") is None else int(spec["replicas"])
    updated = min(replicas, int(status.get("updatedReplicas") or 0))
    match workload.get("kind"):
        case "StatefulSet":
            partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
            return updated if strategy.get("type") == "OnDelete" else max(0, replicas - partition)
        case "Rollout":
            return updated if _at_a_step(spec, status) else replicas
    return updated if spec.get("paused") else replicas


def _at_a_step(spec: Object, status: Object) -> bool:
    """Whether a Rollout has steps to go, or a preview to look at, before all pods are to be of the new revision."""
    strategy = spec.get("strategy") or {}
    steps = (strategy.get("canary") or {}).get("steps") or []
    is_preview = "blueGreen" in strategy and status.get("stableRS") != status.get("currentPodHash")
    return bool(spec.get("paused")) or is_preview or int(status.get("currentStepIndex") or 0) < len(steps)


def overdue(workload: Object) -> str:
    """A sentence once the progress deadline of the workload's current generation has passed; else empty."""
    status = workload.get("status") or {}
    if not observed(workload):
        return ""
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Progressing" and condition.get("reason") == _DEADLINE_EXCEEDED:
            return "" if condition.get("status") == "True" else _past_due(workload, str(condition.get("message") or ""))
    message = str(status.get("message") or "")
    if status.get("phase") == "Degraded" and message.startswith(_DEADLINE_EXCEEDED):
        return _past_due(workload, message.removeprefix(f"{_DEADLINE_EXCEEDED}:"))
    return ""


def _past_due(workload: Object, message: str) -> str:
    seconds = int((workload.get("spec") or {}).get("progressDeadlineSeconds") or 600)
    name = f"{workload.get('kind') or 'workload'} {(workload.get('metadata') or {}).get('name')}"
    told = _line(message).rstrip(".")
    return f"{name} is past its progress deadline of {seconds} s" + (f": {told}" if told else "")


def pods_of(pods: Sequence[Object], wanted: int, overdue: str) -> Pods:
    """How these pods fare: those that are told to end are left out."""
    alive = [pod for pod in pods if not (pod.get("metadata") or {}).get("deletionTimestamp")]
    running = [pod for pod in alive if _status(pod).get("phase") not in {"Failed", "Succeeded"}]
    containers = [container for pod in alive for container in _containers(pod)]
    return Pods(
        wanted=wanted,
        ready=sum(_is_ready(pod) for pod in running),
        total=len(running),
        restarts=sum(int(container.get("restartCount") or 0) for container in containers),
        oom_kills=sum(_was_killed(container) for container in containers),
        troubles=tuple(trouble for pod in alive for trouble in _troubles(pod)),
        overdue=overdue,
    )


def _status(pod: Object) -> Object:
    status: Object = pod.get("status") or {}
    return status


def _containers(pod: Object) -> list[Object]:
    """The states of all containers, those of initialisation first."""
    status = _status(pod)
    return [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]


def _condition(pod: Object, kind: str) -> Object:
    conditions: list[Object] = _status(pod).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def _is_ready(pod: Object) -> bool:
    return bool(_condition(pod, "Ready").get("status") == "True")


def _ended(container: Object, when: str) -> Object:
    """How a container ended: it itself (`state`), or the run before this one (`lastState`)."""
    ended: Object = (container.get(when) or {}).get("terminated") or {}
    return ended


def _last_end(container: Object) -> Object:
    return _ended(container, "state") or _ended(container, "lastState")


def _was_killed(container: Object) -> bool:
    return any(_ended(container, when).get("reason") == _OOM_KILLED for when in ("state", "lastState"))


def _troubles(pod: Object) -> Iterator[PodTrouble]:
    """What is wrong with a pod, the plainest word for it first."""
    name, status = str((pod.get("metadata") or {}).get("name") or ""), _status(pod)
    if status.get("phase") == "Failed":
        yield PodTrouble(pod=name, reason=str(status.get("reason") or "Failed"), detail=_line(status.get("message")))
        return
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
        since = _moment(scheduled.get("lastTransitionTime"))
        yield PodTrouble(pod=name, reason="Unschedulable", detail=_line(scheduled.get("message")), since=since)
    alone = len(_containers(pod)) == 1
    for container in _containers(pod):
        for reason, since in _reasons(container):
            yield PodTrouble(pod=name, reason=reason, detail=_detail(pod, container, reason, alone=alone), since=since)


def _reasons(container: Object) -> Iterator[tuple[str, float | None]]:
    """What is wrong with one container. One that crashed once and has come up since is in no trouble."""
    end, waiting = _last_end(container), (container.get("state") or {}).get("waiting") or {}
    reason = str(waiting.get("reason") or "")
    if _was_killed(container):
        yield _OOM_KILLED, _moment(end.get("finishedAt"))
    if reason not in _USUAL:
        yield reason, None
    elif end.get("exitCode") and not container.get("ready") and not _was_killed(container):
        yield str(end.get("reason") or "Error"), _moment(end.get("finishedAt"))


def _detail(pod: Object, container: Object, reason: str, *, alone: bool) -> str:
    """`container web: exit code 1, restarted 3 times: back-off 20s restarting failed container`."""
    end, restarts = _last_end(container), int(container.get("restartCount") or 0)
    facts = []
    if reason == _OOM_KILLED and (limit := _memory_limit(pod, str(container.get("name")))):
        facts.append(f"memory limit {limit}")
    if end.get("exitCode"):
        killed = reason != _OOM_KILLED and end.get("reason") == _OOM_KILLED
        facts.append(f"{'OOMKilled, ' if killed else ''}exit code {end['exitCode']}")
    if restarts:
        facts.append("restarted once" if restarts == 1 else f"restarted {restarts} times")
    waiting = (container.get("state") or {}).get("waiting") or {}
    message = _message(waiting.get("message") if waiting.get("reason") == reason else end.get("message"))
    named = [] if alone else [f"container {container.get('name')}"]
    return ": ".join(part for part in (*named, ", ".join(facts), message) if part)


def _message(text: object) -> str:
    """What the kubelet says, without the name of the container and the pod after it: both are told already."""
    return re.sub(r"( failed container)=\S+ pod=\S+", r"\1", _line(text))


def _memory_limit(pod: Object, name: str) -> str:
    spec = pod.get("spec") or {}
    for container in [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]:
        if container.get("name") == name:
            return str(((container.get("resources") or {}).get("limits") or {}).get("memory") or "")
    return ""


def _line(text: object) -> str:
    line = " ".join(str(text or "").split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _moment(text: object) -> float | None:
    """A time of the API in Unix seconds."""
    return datetime.fromisoformat(str(text)).timestamp() if text else None
