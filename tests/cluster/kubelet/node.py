"""The node object: registered, ready, and renewed with its Lease."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any, Final

from tests.cluster.kubelet.addresses import HOST
from tests.cluster.kubelet.api import STRATEGIC, Api, Refused
from tests.cluster.kubelet.container import now

Json = dict[str, Any]

_RENEWAL: Final = 5.0  # seconds
_DURATION: Final = 40  # seconds that a lease is good for
_CAPACITY: Final = {"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "1Ti"}
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"

log = logging.getLogger(__name__)


async def keep_node(api: Api, name: str) -> None:
    """Register the node and keep it ready for ever."""
    while True:
        try:
            await _renew(api, name)
        except Refused as refused:
            log.warning("node %s: %s", name, refused)  # kube-node-lease may not exist yet
            await asyncio.sleep(0.5)
        else:
            await asyncio.sleep(_RENEWAL)


async def _renew(api: Api, name: str) -> None:
    patch = {"status": _status()}
    try:
        await api.insist("PATCH", f"/api/v1/nodes/{name}/status", patch, kind=STRATEGIC)
    except Refused as refused:
        if refused.code != 404:
            raise
        await api.insist("POST", "/api/v1/nodes", _node(name))
    lease = _lease(name)
    try:
        await api.insist("PATCH", f"{_LEASES}/{name}", lease, kind="application/merge-patch+json")
    except Refused as refused:
        if refused.code != 404:
            raise
        await api.insist("POST", _LEASES, lease)


def _node(name: str) -> Json:
    labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}, "status": _status()}


def _status() -> Json:
    return {
        "capacity": _CAPACITY,
        "allocatable": _CAPACITY,
        "addresses": [{"type": "InternalIP", "address": str(HOST)}],
        "conditions": [
            _condition("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
            _condition("MemoryPressure", "False", "KubeletHasSufficientMemory", "enough memory"),
            _condition("DiskPressure", "False", "KubeletHasNoDiskPressure", "enough disk"),
            _condition("PIDPressure", "False", "KubeletHasSufficientPID", "enough PIDs"),
        ],
        "nodeInfo": {
            "architecture": "amd64",
            "operatingSystem": "linux",
            "osImage": "simulated",
            "kernelVersion": "",
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "containerRuntimeVersion": "simulated://1",
            "kubeletVersion": "v1.0.0-simulated",
            "kubeProxyVersion": "",
        },
    }


_SINCE: Final = now()


def _condition(kind: str, status: str, reason: str, message: str) -> Json:
    times = {"lastHeartbeatTime": now(), "lastTransitionTime": _SINCE}
    return {"type": kind, "status": status, "reason": reason, "message": message, **times}


def _lease(name: str) -> Json:
    renewed = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": _DURATION, "renewTime": renewed},
    }
