"""One container of a pod: its lives, its back-off between them, and its state as a kubelet reports it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from tests.cluster.kubelet.files import Unready
from tests.cluster.kubelet.plan import Exit, Plan
from tests.cluster.kubelet.probe import Probes
from tests.cluster.kubelet.service import Payload

Json = dict[str, Any]

_CREATING: Final = 0.1  # seconds
_PULLING: Final = 0.5  # seconds until a pull has failed
_AGAIN: Final = 0.3  # seconds from the first end to the first restart, which is not held back
_MISSING: Final = 0.5  # seconds between looks for what a life needs and is not there
_HEALED: Final = 600.0  # seconds; who ran as long starts with the shortest back-off again
_LONGEST: Final = 300.0  # seconds of back-off


def now() -> str:
    """The present as Kubernetes writes it, in whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Readiness:
    """The part of a readinessProbe that is obeyed, in seconds: probes at `delay`, and each `period` after it."""

    delay: float = 0.0
    period: float = 10.0

    @classmethod
    def of(cls, container: Json) -> "Readiness | None":
        """That of a container, if it has one."""
        probe = container.get("readinessProbe")
        if probe is None:
            return None
        return cls(probe.get("initialDelaySeconds", 0), probe.get("periodSeconds", 10))

    def first_success(self, serves_after: float) -> float:
        """When the first probe succeeds, of a container that serves from this age on."""
        missed = max(0.0, serves_after - self.delay)
        return self.delay + -(-missed // self.period) * self.period


class Container:
    """Runs a payload, again and again as the restartPolicy wants, and knows its status.

    `reason` is why it waits before its first life. `changed` is called after each change. `back_off` is the first real
    one in seconds, each further one is twice as long. `prepare` comes before each life, again and again while it raises
    Unready. Without `probes`, whether it is ready follows from its plan.
    """

    def __init__(
        self,
        spec: Json,
        plan: Plan,
        payload: Payload,
        *,
        policy: str = "Always",
        reason: str = "ContainerCreating",
        changed: Callable[[], None] = lambda: None,
        back_off: float = 10.0,
        prepare: Callable[[], Awaitable[None]] | None = None,
        probes: Probes | None = None,
    ) -> None:
        self._prepare, self._probes = prepare, probes
        self._spec, self._plan, self._payload, self._policy = spec, plan, payload, policy
        self._changed, self._first_back_off = changed, back_off
        self._state: Json = {"waiting": {"reason": reason}}
        self._last: Json = {}
        self._ready = self._started = False
        self.restarts = 0
        self._born = ""
        self.stop = asyncio.Event()
        self.exit: Exit | None = None

    @property
    def running(self) -> bool:
        """Whether it runs at this moment."""
        return "running" in self._state

    @property
    def ran(self) -> bool:
        """Whether it has ever run."""
        return bool(self._born)

    @property
    def ready(self) -> bool:
        """Whether it is ready at this moment."""
        return self._ready

    def status(self) -> Json:
        """Its entry in `containerStatuses`."""
        image = self._spec["image"]
        digest = hashlib.sha256(image.encode()).hexdigest()
        return {
            "name": self._spec["name"],
            "image": image,
            "imageID": f"{image.partition('@')[0]}@sha256:{digest}" if self.ran else "",
            **({"containerID": self._id()} if self.ran else {}),
            "state": self._state,
            "lastState": self._last,
            "ready": self._ready,
            "started": self._started and self.running,
            "restartCount": self.restarts,
        }

    async def run(self) -> None:
        """All its lives; returns when it has ended for good, with `exit` set."""
        if self._plan.held:
            await self._stay_held(self._plan.held)
            return
        if await self._pause(_CREATING):
            return
        back_off = 0.0
        while True:
            if await self._lacks():
                return
            lived = await self._live()
            if self.stop.is_set() or self._policy == "Never" or (self._policy == "OnFailure" and not self.exit.code):
                return
            back_off = 0.0 if lived >= _HEALED else back_off
            if await self._pause(_AGAIN) or (back_off and await self._hold_back(back_off)):
                return
            back_off = min(_LONGEST, back_off * 2 or self._first_back_off)
            self.restarts += 1

    async def _live(self) -> float:
        """One life; how many seconds it lasted."""
        loop = asyncio.get_running_loop()
        begin, started = loop.time(), now()
        self._born = f"{started}/{begin}"
        self._set({"running": {"startedAt": started}})
        over = asyncio.Event()  # of this life: its probes may end it, and another comes after it
        beside = [asyncio.create_task(self._become_ready(over)), asyncio.create_task(self._hand_on(over))]
        try:
            self.exit = await self._payload(over)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
        self._ready = self._started = False
        end = {"exitCode": self.exit.code, "reason": self.exit.reason, "containerID": self._id()}
        self._set({"terminated": end | {"startedAt": started, "finishedAt": now()}})
        return loop.time() - begin

    async def _lacks(self) -> bool:
        """Wait for what its next life needs; whether it was told to stop meanwhile."""
        while self._prepare is not None:
            try:
                await self._prepare()
                break
            except Unready as unready:
                waiting = {"waiting": {"reason": unready.reason, "message": str(unready)}}
                if self._state != waiting:
                    self._set(waiting)
            if await self._pause(_MISSING):
                break
        return self.stop.is_set()

    async def _hand_on(self, over: asyncio.Event) -> None:
        await self.stop.wait()
        over.set()

    async def _become_ready(self, over: asyncio.Event) -> None:
        if self._probes is not None:
            await self._probes.watch(self._turn, over.set)
            return
        self._started = True
        if self._plan.never_ready:
            return
        probe = Readiness.of(self._spec)
        await asyncio.sleep(probe.first_success(self._plan.starts_after) if probe else 0)
        self._turn(True)

    def _turn(self, ready: bool) -> None:
        changed = ready != self._ready or not self._started
        self._ready, self._started = ready, True
        if changed:
            self._changed()

    async def _hold_back(self, seconds: float) -> bool:
        self._last = self._state
        message = f"back-off {seconds:g}s restarting failed container={self._spec['name']}"
        self._set({"waiting": {"reason": "CrashLoopBackOff", "message": message}})
        return await self._pause(seconds)

    async def _stay_held(self, reason: str) -> None:
        image, pause = self._spec["image"], self._first_back_off
        if reason != "ErrImagePull":
            self._set({"waiting": {"reason": reason, "message": f"{image}: {reason}"}})
            await self.stop.wait()
            return
        message = f'failed to pull and unpack image "{image}": not found'
        while not await self._pause(_PULLING):
            self._set({"waiting": {"reason": reason, "message": message}})
            await self._pause(_PULLING)
            self._set({"waiting": {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "{image}"'}})
            await self._pause(pause)
            pause = min(_LONGEST, pause * 2)

    async def _pause(self, seconds: float) -> bool:
        """Wait; whether it was told to stop meanwhile."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.stop.wait()
        return self.stop.is_set()

    def _set(self, state: Json) -> None:
        if "running" in state and "terminated" in self._state:
            self._last = self._state
        self._state = state
        self._changed()

    def _id(self) -> str:
        return "containerd://" + hashlib.sha256(f"{self._spec['name']}/{self._born}/{id(self)}".encode()).hexdigest()
