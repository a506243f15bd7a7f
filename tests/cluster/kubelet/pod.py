"""One pod on the node: its containers from the first to the last, and its status at the API server."""

import asyncio
import logging
from typing import Any, Final

from tests.cluster.kubelet.addresses import HOST
from tests.cluster.kubelet.api import STRATEGIC, Api, Refused
from tests.cluster.kubelet.container import Container, now
from tests.cluster.kubelet.plan import Plan, is_analyzer, is_simulated, plan_of
from tests.cluster.kubelet.probe import Probes
from tests.cluster.kubelet.process import Process
from tests.cluster.kubelet.service import Payload, Service, idle, work
from tests.cluster.kubelet.status import PodStatus, final_phase
from tests.cluster.kubelet.surroundings import Surroundings
from tests.cluster.kubelet.volumes import Volumes

Json = dict[str, Any]

_GRACE: Final = 1.0  # seconds that a pod which is to end goes on serving, for those who have not heard of it
_GATHER: Final = 0.02  # seconds in which changes become one report

log = logging.getLogger(__name__)


class Pod:
    """`run` is the pod's whole life; `end` begins its end, as a deletion asks for it."""

    def __init__(self, manifest: Json, api: Api, address: str, seed: str, surroundings: Surroundings) -> None:
        self.manifest, self.address = manifest, address
        self._api, self._seed, self._surroundings = api, seed, surroundings
        meta, spec = manifest["metadata"], manifest["spec"]
        self.path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        self._policy = spec.get("restartPolicy", "Always")
        self._status = PodStatus(spec, (address, str(HOST)), manifest["status"].get("startTime") or now())
        self._changed, self._ending = asyncio.Event(), asyncio.Event()
        self._grace = 0.0
        folder = surroundings.folder / f"{meta['uid']}.volumes"
        self._volumes = Volumes(manifest, address, api, folder, surroundings.folder / "claims")
        self._processes: list[Process] = []
        self._initial = [self._container(one, initial=True) for one in spec.get("initContainers", ())]
        self._containers = [self._container(one) for one in spec["containers"]]

    def end(self, grace: float) -> None:
        """Serve for so many seconds, at most one, and go; real processes are told at once. May be called again."""
        self._grace = min(grace, _GRACE)
        for process in self._processes:
            process.grace = grace
        self._ending.set()

    async def run(self) -> None:
        """From its first container to its end, or until cancelled when the pod has been removed by force."""
        reporting = asyncio.create_task(self._report_changes())
        ending = asyncio.create_task(self._stop_when_told())
        refreshing = asyncio.create_task(self._volumes.refresh())
        try:
            await self._run_containers()
            await self._report()
            await ending
        finally:
            beside = (reporting, ending, refreshing)
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self._volumes.remove()
        await self._leave()

    async def _run_containers(self) -> None:
        self._changed.set()
        for container in self._initial:
            await container.run()
            if container.exit is None or container.exit.code:
                return
        async with asyncio.TaskGroup() as together:
            for container in self._containers:
                together.create_task(container.run())

    async def _stop_when_told(self) -> None:
        await self._ending.wait()
        if not self._processes:
            await asyncio.sleep(self._grace)
        for container in (*self._initial, *self._containers):
            container.stop.set()

    async def _report_changes(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_GATHER)
            self._changed.clear()
            await self._report()

    async def _report(self) -> None:
        containers = [one.status() for one in self._containers]
        status = self._status.render(containers, [one.status() for one in self._initial], now())
        if self._ending.is_set() and not any(one.running for one in self._containers):
            status["phase"] = final_phase(containers)
        await self._ask("PATCH", "/status", {"metadata": {"uid": self._uid}, "status": status}, kind=STRATEGIC)

    async def _leave(self) -> None:
        await self._ask("DELETE", "", {"gracePeriodSeconds": 0, "preconditions": {"uid": self._uid}})

    async def _ask(self, method: str, under: str, body: Json, *, kind: str = "application/json") -> None:
        try:
            await self._api.insist(method, self.path + under, body, kind=kind)
        except Refused as refused:
            if refused.code not in {404, 409}:  # it has gone, or another has its name
                log.warning("%s %s%s: %s", method, self.path, under, refused)

    @property
    def _uid(self) -> str:
        return str(self.manifest["metadata"]["uid"])

    def _container(self, spec: Json, *, initial: bool = False) -> Container:
        plan = plan_of(spec["image"])
        policy = "OnFailure" if initial and self._policy == "Always" else self._policy
        process = self._process(spec)
        payload = process or self._payload(spec, plan, is_task=policy != "Always")
        container = Container(
            spec,
            plan,
            payload,
            policy=policy,
            reason="PodInitializing" if self.manifest["spec"].get("initContainers") else "ContainerCreating",
            changed=self._changed.set,
            back_off=self._surroundings.back_off,
            prepare=process.prepare if process else None,
            probes=Probes(spec, self.address) if process else None,
        )
        for before in self.manifest["status"].get("containerStatuses", ()):
            if before["name"] == spec["name"]:
                container.restarts = before["restartCount"] + ("running" in before["state"])
        return container

    def _process(self, spec: Json) -> Process | None:
        """What it runs, if it is a real process."""
        if is_simulated(spec["image"]) or not (spec.get("command") or is_analyzer(spec["image"])):
            return None
        process = Process(spec, self.manifest, self.address, self._api, self._surroundings, self._volumes)
        self._processes.append(process)
        return process

    def _payload(self, spec: Json, plan: Plan, *, is_task: bool) -> Payload:
        port = serving_port(spec)
        if is_task:
            return lambda stop: work(plan, stop)
        if port is None:
            return lambda stop: idle(plan, stop)
        return Service(plan, self.address, port, self._seed)


def serving_port(container: Json) -> int | None:
    """The port that a container serves on: the one named http, else its first."""
    ports = container.get("ports", [])
    named = [port for port in ports if port.get("name") == "http"]
    return next((int(port["containerPort"]) for port in (*named, *ports)), None)
