"""Events of Kubernetes: what `kubectl describe` and `kubectl events` show of an object."""

from datetime import UTC, datetime

from analyzer.platforms.cluster import Object

LONGEST = 1000
"""Signs of an Event's message; Kubernetes allows 1024."""


def event_about(involved: Object, name: str, *, reason: str, message: str, kind: str, at: float) -> Object:
    """An Event, to be created in the namespace of the object that it is about.

    `involved` has its `apiVersion`, `kind`, `name`, `namespace` and, if known, `uid` and `resourceVersion`. `reason` is
    one word, `kind` is Normal or Warning, `at` is in Unix seconds. The same `name` can be created only once.
    """
    moment = datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": involved["namespace"]},
        "involvedObject": {key: value for key, value in involved.items() if value is not None},
        "reason": reason,
        "type": kind,
        "message": message if len(message) <= LONGEST else f"{message[: LONGEST - 1]}…",
        "source": {"component": "canary-analyzer"},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
