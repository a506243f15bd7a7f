"""The way back of an Argo Rollout: abort while a revision is on its way, undo once it is fully promoted."""

import asyncio
import copy
import time
from collections.abc import Callable
from datetime import UTC, datetime

from analyzer.errors import PlatformConflict, PlatformError, PlatformUnavailable
from analyzer.model.target import Confirm, Intent, Receipt, Target
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.parts import mapping
from analyzer.platforms.pods import ReleasePods
from analyzer.platforms.rollout_state import HASH, State, sets_of
from analyzer.platforms.workloads import Workload, is_serving, ready_since

API = "argoproj.io/v1alpha1"
REASON = "canary-analyzer.io/taken-back"
"""The annotation that says why: an abort by a patch carries no reason of its own."""
ATTEMPTS = 5
"""Writes, if the controller writes at the same time."""
PATIENCE = 60.0
"""Seconds in which an API server that went away in the middle is back."""
PAUSE = 1.0
"""Seconds between two looks."""
_LONGEST = 1000  # characters of a reason on the object


class RolloutControl:
    """Takes one Rollout back. `timeout` is in seconds, until its pods are as they were."""

    def __init__(self, cluster: Cluster, target: Target, namespace: str, timeout: float) -> None:
        self._cluster = cluster
        self._target = target
        self._namespace = namespace
        self._timeout = timeout
        self._where = path(API, "rollouts", namespace, target.name)

    async def take_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        """Abort or undo, then wait until the pods are as they were; a failed attempt is a receipt that says so."""
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
        if state.current == intent.from_revision.digest:
            if state.is_aborted:
                return await self._after_abort(intent)
            return await (self._abort if state.is_in_flight else self._undo)(state, intent, confirm)
        if intent.to_revision is not None and state.current == intent.to_revision.digest:
            return await self._after_undo(intent, confirm)
        return self._superseded(state)

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:
        """What became of it; None if it was never begun.

        Raises:
            PlatformError: it cannot be asked; PlatformUnavailable when asking again may help.
        """
        state = await self._state()
        if state.current == intent.from_revision.digest and not state.is_aborted:
            return None
        return await self._begin_or_go_on(intent, confirm)

    # ------------------------------------------------------------------ abort

    async def _abort(self, state: State, intent: Intent, confirm: Confirm) -> Receipt:
        body = {"metadata": {"resourceVersion": _version(state)}, "status": {"abort": True}}
        confirm()
        await self._cluster.merge(f"{self._where}/status", body)
        return await self._after_abort(intent)

    async def _after_abort(self, intent: Intent) -> Receipt:
        untold = await self._tell(intent)
        number = intent.to_revision.number if intent.to_revision else ""
        done = f"{self._target} was aborted: back to revision {number}, the stable one"
        seen = await self._until(lambda state: not state.is_aborted or state.phase == "Degraded", serves=intent)
        if seen is None:
            why = f"{done}; its pods were not as before after {self._timeout:g} s: look at kubectl argo rollouts get "
            return Receipt(ok=False, detail=f"{why}rollout {self._target.name} -n {self._namespace}")
        if not seen.is_aborted:
            return self._failed(
                f"it was aborted, and the abort is gone (phase {seen.phase}): somebody has retried it, or the "
                "controller has cleared it, as it does inside spec.rollbackWindow and after full promotion"
            )
        return Receipt(ok=True, detail=done + untold)

    # ------------------------------------------------------------------ undo

    async def _undo(self, state: State, intent: Intent, confirm: Confirm) -> Receipt:
        found = state.generation(intent.to_revision.digest) if intent.to_revision else None
        if found is None:
            return self._failed("the revision to go back to is not kept any more (spec.revisionHistoryLimit)")
        template = copy.deepcopy(dict(found.template))
        template.get("metadata", {}).get("labels", {}).pop(HASH, None)
        operations: list[Object] = [
            {"op": "test", "path": "/metadata/resourceVersion", "value": _version(state)},
            {"op": "replace", "path": "/spec/template", "value": template},
        ]
        confirm()
        try:
            await self._cluster.patch(self._where, operations)
        except PlatformUnavailable:
            raise
        except PlatformError as error:  # the test does not hold: 422, and no conflict, to the API server
            if _version(await self._state()) != _version(state):
                raise PlatformConflict(str(error)) from error
            raise
        return await self._after_undo(intent, confirm)

    async def _after_undo(self, intent: Intent, confirm: Confirm) -> Receipt:
        """The way back has no steps: what it goes back to was fully promoted once."""
        assert intent.to_revision is not None
        wanted = intent.to_revision.digest
        untold = await self._tell(intent)
        done = f"{self._target} was fully promoted, and was undone: back to revision {intent.to_revision.number}"
        seen = await self._until(lambda state: state.current == wanted and bool(state.phase))
        if seen is not None and seen.stable != wanted:
            confirm()
            await self._cluster.merge(f"{self._where}/status", {"status": {"promoteFull": True}})
        seen = await self._until(lambda state: state.stable == wanted and state.phase == "Healthy")
        if seen is None:
            where = f"kubectl argo rollouts get rollout {self._target.name} -n {self._namespace}"
            return Receipt(ok=False, detail=f"{done}; it was not healthy after {self._timeout:g} s: look at {where}")
        return Receipt(ok=True, detail=done + untold)

    # ------------------------------------------------------------------ both

    async def _state(self) -> State:
        live = await self._cluster.get(self._where)
        if live is None:
            raise PlatformError(f"there is no Rollout {self._target.name} in namespace {self._namespace} any more")
        where = path("apps/v1", "replicasets", self._namespace)
        return State.of(live, await self._cluster.items(where, sets_of(live)))

    async def _until(self, holds: Callable[[State], bool], serves: Intent | None = None) -> State | None:
        """The state in which it does, or None after `timeout`. With `serves`: and only the wanted pods serve."""
        give_up = time.monotonic() + self._timeout
        while True:
            try:
                state = await self._state()
                if holds(state) and (serves is None or not state.is_aborted or await self._serves(state)):
                    return state
            except PlatformUnavailable:
                pass  # it may be back in a moment
            if time.monotonic() >= give_up:
                return None
            await asyncio.sleep(PAUSE)

    async def _serves(self, state: State) -> bool:
        """Whether enough stable pods are ready, and, where traffic goes with the pods, no other one serves."""
        workload = Workload("Rollout", API, self._namespace, self._target.name, {})
        (group,) = await ReleasePods(self._cluster).look((workload,), ())
        stable = [pod for pod in group.pods if _hash(pod) == state.stable]
        others = [pod for pod in group.pods if _hash(pod) != state.stable and is_serving(pod)]
        ready = [pod for pod in stable if ready_since(pod) is not None]
        return len(ready) >= state.replicas and (state.shifts_traffic or not others)

    async def _tell(self, intent: Intent) -> str:
        """Leave the reason on the Rollout and among its Events; what could not be left is said, and nothing more."""
        reason = f"canary-analyzer {intent.analysis}: {intent.reason}"[:_LONGEST]
        lost = []
        try:
            live = await self._cluster.merge(self._where, {"metadata": {"annotations": {REASON: reason}}})
            await self._cluster.create(path("v1", "events", self._namespace), _event(live, intent, reason))
        except PlatformConflict:
            pass  # it was told before this process went on from there
        except PlatformError as error:
            lost.append(f"; why could not be written beside it: {error}")
        return "".join(lost)

    def _superseded(self, state: State) -> Receipt:
        return self._failed(f"it is at another revision now ({state.revision(state.current).number})")

    def _failed(self, why: str) -> Receipt:
        return Receipt(ok=False, detail=f"{self._target} was not taken back: {why}")


def _version(state: State) -> str:
    return str(mapping(state.live, "metadata").get("resourceVersion"))


def _hash(pod: Object) -> str:
    return str(mapping(pod, "metadata", "labels").get(HASH) or "")


def _event(live: Object, intent: Intent, reason: str) -> Object:
    metadata = mapping(live, "metadata")
    name, namespace = str(metadata.get("name")), str(metadata.get("namespace"))
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{intent.analysis or intent.from_revision.digest}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": live.get("apiVersion"),
            "kind": live.get("kind"),
            "name": name,
            "namespace": namespace,
            "uid": metadata.get("uid"),
            "resourceVersion": metadata.get("resourceVersion"),
        },
        "reason": "TakenBack",
        "message": reason,
        "type": "Warning",
        "source": {"component": "canary-analyzer"},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }
