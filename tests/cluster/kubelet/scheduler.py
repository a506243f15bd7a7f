"""The scheduler: every pod goes to the one node, except those that say that they cannot."""

import logging
from typing import Any, Final

from tests.cluster.kubelet.api import STRATEGIC, Api, Refused
from tests.cluster.kubelet.container import now
from tests.cluster.kubelet.plan import plan_of

Json = dict[str, Any]

_TOO_LARGE: Final = "0/1 nodes are available: 1 Insufficient cpu."

log = logging.getLogger(__name__)


def is_waiting(pod: Json) -> bool:
    """Whether this pod waits for a scheduler's decision."""
    spec, meta = pod["spec"], pod["metadata"]
    return not spec.get("nodeName") and "deletionTimestamp" not in meta and not spec.get("schedulingGates")


async def schedule(api: Api, pod: Json, node: str) -> None:
    """Bind it to the node, or say that it is unschedulable."""
    meta = pod["metadata"]
    path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
    try:
        if any(plan_of(one["image"]).unschedulable for one in pod["spec"]["containers"]):
            patch = {"metadata": {"uid": meta["uid"]}, "status": {"conditions": [_unschedulable()]}}
            await api.insist("PATCH", f"{path}/status", patch, kind=STRATEGIC)
        else:
            await api.insist("POST", f"{path}/binding", _binding(meta, node))
    except Refused as refused:
        if refused.code not in {404, 409}:  # it has gone, or it is bound already
            log.warning("binding %s: %s", path, refused)


def _unschedulable() -> Json:
    why = {"reason": "Unschedulable", "message": _TOO_LARGE}
    return {"type": "PodScheduled", "status": "False", "lastTransitionTime": now(), **why}


def _binding(meta: Json, node: str) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"]},
        "target": {"apiVersion": "v1", "kind": "Node", "name": node},
    }
