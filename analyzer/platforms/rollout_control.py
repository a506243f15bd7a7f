"""The way back of an Argo Rollout while a revision is on its way: an abort."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from analyzer.errors import PlatformConflict, PlatformError, PlatformUnavailable
from analyzer.model.target import Confirm, Intent, Receipt, Target
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.parts import mapping
from analyzer.platforms.pods import ReleasePods
from analyzer.platforms.rollout_note import leave_note
from analyzer.platforms.rollout_state import HASH, State, sets_of
from analyzer.platforms.workloads import Workload, is_serving, observed, ready_since

API = "argoproj.io/v1alpha1"
ATTEMPTS = 5
"""Writes, if the controller writes at the same time."""
PATIENCE = 60.0
"""Seconds in which an API server that went away in the middle is back."""
PAUSE = 1.0
"""Seconds between two looks."""


class RolloutControl:
    """Takes one Rollout back. `timeout` is in seconds, until its pods are as they were."""

    def __init__(self, cluster: Cluster, target: Target, namespace: str, timeout: float) -> None:
        self._cluster = cluster
        self._target = target
        self._namespace = namespace
        self._timeout = timeout
        self._where = path(API, "rollouts", namespace, target.name)
        self._paused = False

    async def take_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        """Abort, then wait until the pods are as they were; a failed attempt is a receipt that says so."""
        give_up, conflicts = time.monotonic() + PATIENCE, 0
        while True:
            try:
                return await self._begin_or_go_on(intent, confirm)
            except PlatformConflict as error:
                conflicts += 1
                if conflicts == ATTEMPTS:
                    return self._failed(f"something else keeps changing it at the same time: {error}")
            except PlatformUnavailable as error:  # whether it was done shows when it is back
                if time.monotonic() >= give_up:
                    return self._failed(f"{error}; nobody knows whether it was begun")
                await asyncio.sleep(PAUSE)
            except PlatformError as error:
                return self._failed(str(error))

    async def _begin_or_go_on(self, intent: Intent, confirm: Confirm) -> Receipt:
        state = await self._state()
        if not observed(state.live):
            raise PlatformUnavailable(f"the controller has not seen the newest change of {self._target} yet")
        if state.current != intent.from_revision.digest:
            return self._failed(f"it is at another revision now ({state.revision(state.current).number})")
        if state.is_aborted:
            return await self._after_abort(intent)
        if not state.is_in_flight:
            return self._failed(promoted(self._target, self._namespace))
        return await self._abort(state, intent, confirm)

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:
        """What became of it; None if it was never begun.

        Raises:
            PlatformError: it cannot be asked; PlatformUnavailable when asking again may help.
        """
        state = await self._state()
        if state.current == intent.from_revision.digest and not state.is_aborted:
            return None
        return await self._begin_or_go_on(intent, confirm)

    async def _abort(self, state: State, intent: Intent, confirm: Confirm) -> Receipt:
        body = {"metadata": {"resourceVersion": _version(state)}, "status": {"abort": True}}
        confirm()
        await self._cluster.merge(f"{self._where}/status", body)
        return await self._after_abort(intent)

    async def _after_abort(self, intent: Intent) -> Receipt:
        untold = await leave_note(self._cluster, self._where, intent)
        number = intent.to_revision.number if intent.to_revision else ""
        done = f"{self._target} was aborted: back to revision {number}, the stable one"
        seen = await self._until(self._is_settled)
        if seen is None:
            where = f"kubectl argo rollouts get rollout {self._target.name} -n {self._namespace}"
            why = f"{done}; its pods were not as before after {self._timeout:g} s"
            paused = "; it is paused (spec.paused), so that the controller moves no pod" if self._paused else ""
            return Receipt(ok=False, detail=f"{why}{paused}: look at {where}")
        if not seen.is_aborted:
            return self._failed(
                f"it was aborted, and the abort is gone (phase {seen.phase}): somebody has retried it, or the "
                "controller has cleared it, as it does inside spec.rollbackWindow and after full promotion"
            )
        return Receipt(ok=True, detail=done + untold)

    async def _state(self) -> State:
        live = await self._cluster.get(self._where)
        if live is None:
            raise PlatformError(f"there is no Rollout {self._target.name} in namespace {self._namespace} any more")
        where = path("apps/v1", "replicasets", self._namespace)
        return State.of(live, await self._cluster.items(where, sets_of(live)))

    async def _until(self, holds: Callable[[State], Awaitable[bool]]) -> State | None:
        """The state in which it does, or None after `timeout`."""
        give_up = time.monotonic() + self._timeout
        while True:
            try:
                state = await self._state()
                self._paused = state.is_paused
                if await holds(state):
                    return state
            except PlatformUnavailable:
                pass  # it may be back in a moment
            if time.monotonic() >= give_up:
                return None
            await asyncio.sleep(PAUSE)

    async def _is_settled(self, state: State) -> bool:
        """Whether the abort is gone, or the controller has seen it and the stable pods serve."""
        return not state.is_aborted or (state.abort_is_seen and await self._serves(state))

    async def _serves(self, state: State) -> bool:
        """Whether enough stable pods are ready, and, where traffic goes with the pods, no other one serves."""
        workload = Workload("Rollout", API, self._namespace, self._target.name, {})
        (group,) = await ReleasePods(self._cluster).look((workload,), ())
        stable = [pod for pod in group.pods if _hash(pod) == state.stable]
        others = [pod for pod in group.pods if _hash(pod) != state.stable and is_serving(pod)]
        ready = [pod for pod in stable if ready_since(pod) is not None]
        return len(ready) >= state.replicas and (state.shifts_traffic or not others)

    def _failed(self, why: str) -> Receipt:
        return Receipt(ok=False, detail=f"{self._target} was not taken back: {why}")


def promoted(target: Target, namespace: str) -> str:
    """Why a promoted revision has no way back here, and what to do by hand: a sentence."""
    return (
        f"{target} is fully promoted, and an abort would do nothing any more; bring an earlier revision out again "
        f"(helm rollback, a revert in Git, or kubectl argo rollouts undo {target.name} -n {namespace})"
    )


def _version(state: State) -> str:
    return str(mapping(state.live, "metadata").get("resourceVersion"))


def _hash(pod: Object) -> str:
    return str(mapping(pod, "metadata", "labels").get(HASH) or "")
