"""How long pods and their containers take to be ready, read off their status. Pure."""

from analyzer.platforms.cluster import Object
from analyzer.platforms.parts import items, mapping, seconds


def start_of(pod: Object) -> float | None:
    """Seconds from a pod's creation until it was ready; None if it is not, or if it was restarted since."""
    created = seconds(mapping(pod, "metadata").get("creationTimestamp"))
    ready = _ready_at(pod)
    restarted = any(status.get("restartCount") for status in statuses(pod))
    return ready - created if created is not None and ready is not None and not restarted else None


def container_start(pod: Object, name: str) -> float | None:
    """Seconds from the start of a container until its pod was ready."""
    for status in statuses(pod):
        if status.get("name") == name:
            started = seconds(mapping(status, "state", "running").get("startedAt"))
            ready = _ready_at(pod)
            return ready - started if started is not None and ready is not None and ready >= started else None
    return None


def _ready_at(pod: Object) -> float | None:
    for condition in items(mapping(pod, "status").get("conditions")):
        if condition.get("type") == "Ready" and condition.get("status") == "True":
            return seconds(condition.get("lastTransitionTime"))
    return None


def statuses(pod: Object) -> list[Object]:
    return items(mapping(pod, "status").get("containerStatuses"))
