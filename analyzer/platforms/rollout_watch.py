"""A Rollout as it is now, and waiting for what its controller makes of it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from analyzer.errors import PlatformError, PlatformUnavailable
from analyzer.model.target import Target
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.parts import mapping
from analyzer.platforms.pods import ReleasePods
from analyzer.platforms.rollout_state import HASH, State, sets_of
from analyzer.platforms.workloads import Workload, is_serving, ready_since

API = "argoproj.io/v1alpha1"
PAUSE = 1.0
"""Seconds between two looks."""


@dataclass(frozen=True)
class RolloutWatch:
    """One Rollout. `timeout` is in seconds, until its pods are as they are to be."""

    cluster: Cluster
    target: Target
    namespace: str
    timeout: float

    @property
    def where(self) -> str:
        """Its path in the API."""
        return path(API, "rollouts", self.namespace, self.target.name)

    @property
    def by_hand(self) -> str:
        """What shows it to a person."""
        return f"kubectl argo rollouts get rollout {self.target.name} -n {self.namespace}"

    async def state(self) -> State:
        """As it is now.

        Raises:
            PlatformError: it cannot be asked, or is not there any more.
        """
        live = await self.cluster.get(self.where)
        if live is None:
            raise PlatformError(f"there is no Rollout {self.target.name} in namespace {self.namespace} any more")
        where = path("apps/v1", "replicasets", self.namespace)
        return State.of(live, await self.cluster.items(where, sets_of(live)))

    async def until(self, holds: Callable[[State], Awaitable[bool]]) -> tuple[State | None, bool]:
        """The newest state that could be read, and whether it holds; it is given up after `timeout`."""
        give_up, state = time.monotonic() + self.timeout, None
        while True:
            try:
                state = await self.state()
                if await holds(state):
                    return state, True
            except PlatformUnavailable:
                pass  # it may be back in a moment
            if time.monotonic() >= give_up:
                return state, False
            await asyncio.sleep(PAUSE)

    async def serves(self, state: State) -> bool:
        """Whether enough stable pods are ready, and, where traffic goes with the pods, no other one serves."""
        workload = Workload("Rollout", API, self.namespace, self.target.name, {})
        (group,) = await ReleasePods(self.cluster).look((workload,), ())
        stable = [pod for pod in group.pods if _hash(pod) == state.stable]
        others = [pod for pod in group.pods if _hash(pod) != state.stable and is_serving(pod)]
        ready = [pod for pod in stable if ready_since(pod) is not None]
        return len(ready) >= state.replicas and (state.shifts_traffic or not others)

    async def change_status(self, state: State, status: Object) -> None:
        """Change its status, unless somebody has changed it since.

        Raises:
            PlatformError: it was not changed; PlatformConflict: somebody has.
        """
        body = {"metadata": {"resourceVersion": state.version}, "status": status}
        await self.cluster.merge(f"{self.where}/status", body)


def _hash(pod: Object) -> str:
    return str(mapping(pod, "metadata", "labels").get(HASH) or "")
