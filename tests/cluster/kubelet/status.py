"""The status of a pod from its containers' statuses. Pure but for what a `PodStatus` remembers of its conditions."""

from collections.abc import Sequence
from typing import Any, Final

Json = dict[str, Any]

_UNREADY: Final = "ContainersNotReady"


class PodStatus:
    """Makes the status that is sent to the API server; conditions keep the time of their last change."""

    def __init__(self, spec: Json, addresses: tuple[str, str], started: str) -> None:
        self._spec, self._started = spec, started
        self._address, self._host = addresses
        self._conditions: dict[str, Json] = {}

    def render(self, containers: Sequence[Json], initial: Sequence[Json], now: str) -> Json:
        """The whole status, with the conditions' times taken from `now` where they have changed."""
        phase = phase_of(containers, initial, self._spec.get("restartPolicy", "Always"))
        initialized = all(done(one) for one in initial)
        ready = bool(containers) and all(one["ready"] for one in containers)
        over = "PodCompleted" if phase == "Succeeded" else None
        unready = [one["name"] for one in containers if not one["ready"]]
        message = f"containers with unready status: [{' '.join(unready)}]"
        self._tell("PodReadyToStartContainers", True, now)
        self._tell("Initialized", initialized, now, over or "ContainersNotInitialized")
        for kind in ("ContainersReady", "Ready"):
            self._tell(kind, ready, now, over or _UNREADY, message)
        self._tell("PodScheduled", True, now)
        return {
            "phase": phase,
            "conditions": list(self._conditions.values()),
            "hostIP": self._host,
            "hostIPs": [{"ip": self._host}],
            "podIP": self._address,
            "podIPs": [{"ip": self._address}],
            "startTime": self._started,
            "containerStatuses": list(containers),
            **({"initContainerStatuses": list(initial)} if initial else {}),
        }

    def _tell(self, kind: str, holds: bool, now: str, reason: str = "", message: str = "") -> None:
        status = "True" if holds else "False"
        before = self._conditions.get(kind, {})
        since = before["lastTransitionTime"] if before.get("status") == status else now
        # A patch merges conditions by their type: what no longer holds must be taken away by name.
        why = {"reason": None, "message": None} if holds else {"reason": reason, "message": message or None}
        self._conditions[kind] = {"type": kind, "status": status, "lastTransitionTime": since, "lastProbeTime": None}
        self._conditions[kind] |= why


def done(status: Json) -> bool:
    """Whether this container has ended well."""
    return status["state"].get("terminated", {}).get("exitCode") == 0


def phase_of(containers: Sequence[Json], initial: Sequence[Json], policy: str) -> str:
    """The phase of a pod with these containers; those that will be started again count as running."""
    ends = [one["state"].get("terminated") for one in containers]
    if policy == "Never" and any(_failed(one) for one in initial):
        return "Failed"
    if not all(done(one) for one in initial):
        return "Pending"
    if policy != "Always" and all(ends):
        codes = [end["exitCode"] for end in ends]
        if not any(codes):
            return "Succeeded"
        return "Failed" if policy == "Never" else "Running"
    return "Pending" if any(_never_ran(one) for one in containers) else "Running"


def final_phase(containers: Sequence[Json]) -> str:
    """The phase of a pod that was told to end: `Failed` if a container did not end well."""
    return "Failed" if any(_failed(one) for one in containers) else "Succeeded"


def _failed(status: Json) -> bool:
    return status["state"].get("terminated", {}).get("exitCode", 0) != 0


def _never_ran(status: Json) -> bool:
    return "waiting" in status["state"] and not status["lastState"]
