"""The kubelet: hears of pods, binds them, runs those of its node, and lets go of those that have gone."""

import asyncio
import logging
from collections import Counter
from typing import Any

from tests.cluster.kubelet.addresses import Addresses
from tests.cluster.kubelet.api import Api
from tests.cluster.kubelet.node import keep_node
from tests.cluster.kubelet.pod import Pod
from tests.cluster.kubelet.scheduler import is_waiting, schedule
from tests.cluster.kubelet.surroundings import Surroundings

Json = dict[str, Any]

log = logging.getLogger(__name__)


class Kubelet:
    """One node with all its pods; `run` never returns.

    A kubelet that is started anew takes over the pods that it finds, as after a reboot: each container starts again.
    The luck of a pod's requests is that of its place in its namespace: the n-th pod that starts in any namespace has
    the same as the n-th in any other.
    """

    def __init__(self, api: Api, node: str, surroundings: Surroundings) -> None:
        self._api, self._node, self._surroundings = api, node, surroundings
        self._addresses = Addresses()
        self._pods: dict[str, tuple[Pod, asyncio.Task[None]]] = {}
        self._deciding: set[str] = set()
        self._started: Counter[str] = Counter()

    async def run(self) -> None:
        """Keep the node and its pods until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            self._tasks.create_task(keep_node(self._api, self._node))
            async for kind, what in self._api.watch("/api/v1/pods"):
                if kind == "LIST":
                    self._see_all(what)
                elif kind == "DELETED":
                    self._let_go(what["metadata"]["uid"])
                else:
                    self._see(what)

    def _see_all(self, pods: list[Json]) -> None:
        there = {pod["metadata"]["uid"] for pod in pods}
        for uid in [uid for uid in self._pods if uid not in there]:
            self._let_go(uid)
        for pod in sorted(pods, key=lambda pod: "podIP" not in pod["status"]):  # who has an address keeps it
            self._see(pod)

    def _see(self, pod: Json) -> None:
        uid = pod["metadata"]["uid"]
        if is_waiting(pod) and uid not in self._deciding:
            self._deciding.add(uid)
            self._tasks.create_task(schedule(self._api, pod, self._node))
        if pod["spec"].get("nodeName") != self._node:
            return
        self._deciding.discard(uid)
        if uid not in self._pods and pod["status"]["phase"] not in {"Succeeded", "Failed"}:
            self._start(pod)
        if uid in self._pods and "deletionTimestamp" in pod["metadata"]:
            self._pods[uid][0].end(pod["metadata"].get("deletionGracePeriodSeconds", 0))

    def _start(self, manifest: Json) -> None:
        meta = manifest["metadata"]
        self._started[meta["namespace"]] += 1
        seed = str(self._started[meta["namespace"]])
        address = self._addresses.take(manifest["status"].get("podIP"))
        pod = Pod(manifest, self._api, address, seed, self._surroundings)
        self._pods[meta["uid"]] = pod, self._tasks.create_task(self._run(pod))

    async def _run(self, pod: Pod) -> None:
        try:
            await pod.run()
        except Exception:
            log.exception("%s", pod.path)  # one pod's trouble is not that of the others

    def _let_go(self, uid: str) -> None:
        self._deciding.discard(uid)
        if uid in self._pods:
            pod, task = self._pods.pop(uid)
            task.cancel()
            task.add_done_callback(lambda _: self._addresses.give_back(pod.address))
