"""The way back of an Argo Rollout: an abort while a revision is on its way, an undo once it is fully promoted."""

from dataclasses import dataclass

from analyzer.errors import PlatformConflict, PlatformError, PlatformForbidden, PlatformUnavailable
from analyzer.model.target import Confirm, Intent, Receipt, Target
from analyzer.platforms.ownership import owner
from analyzer.platforms.parts import mapping
from analyzer.platforms.rollout_note import leave, leave_note
from analyzer.platforms.rollout_state import BROUGHT_BACK, State
from analyzer.platforms.rollout_undo import template_of, undo_of
from analyzer.platforms.rollout_watch import RolloutWatch
from analyzer.platforms.workloads import covers, observed

_NOT_MOVING = "it is paused (spec.paused), so that the controller moves no pod"


@dataclass(frozen=True)
class TakingBack:
    """Takes one Rollout back."""

    watch: RolloutWatch

    def is_begun(self, state: State, intent: Intent) -> bool:
        """Whether its newest revision is another now, or is aborted."""
        return state.current != intent.from_revision.digest or state.is_aborted

    async def go_on(self, state: State, intent: Intent, confirm: Confirm) -> Receipt:
        """Abort or undo, or wait for what was begun."""
        back = intent.to_revision.digest if intent.to_revision else ""
        if state.current != intent.from_revision.digest:
            if _is_undone(state, back):
                return await self._after_undo(intent, back, confirm)
            raise PlatformError(f"it is at another revision now ({state.revision(state.current).number})")
        if state.is_aborted:
            return await self._after_abort(intent)
        if state.is_in_flight:
            confirm()
            await self.watch.change_status(state, {"abort": True})
            return await self._after_abort(intent)
        return await self._undo(state, intent, back, confirm)

    async def _after_abort(self, intent: Intent) -> Receipt:
        untold = await leave_note(self.watch.cluster, self.watch.where, intent)
        number = intent.to_revision.number if intent.to_revision else ""
        done = f"{self.watch.target} was aborted: back to revision {number}, the stable one"
        state, is_settled = await self.watch.until(self._is_settled)
        if state is None or not is_settled:
            return self._unsettled(done, state)
        if not state.is_aborted:
            raise PlatformError(
                f"it was aborted, and the abort is gone (phase {state.phase}): somebody has retried it, or the "
                "controller has cleared it, as it does inside spec.rollbackWindow and after full promotion"
            )
        return Receipt(ok=True, detail=done + untold)

    async def _is_settled(self, state: State) -> bool:
        """Whether the abort is gone, or the controller has seen it and the stable pods serve."""
        return not state.is_aborted or (state.abort_is_seen and await self.watch.serves(state))

    async def _undo(self, state: State, intent: Intent, back: str, confirm: Confirm) -> Receipt:
        """Bring the kept revision out again, at once."""
        found = state.generation(back) if back else None
        if found is None or state.refers:
            raise PlatformError(promoted(self.watch.target, self.watch.namespace))
        if whose := _owner(state):  # an abort would have held, and the guards have let an abort pass
            raise PlatformError(f"{promoted(self.watch.target, self.watch.namespace)}; it belongs to {whose}")
        if state.is_paused:
            raise PlatformError(_NOT_MOVING)
        confirm()
        try:
            await self.watch.cluster.patch(self.watch.where, undo_of(state.version, template_of(found.kept)))
        except (PlatformConflict, PlatformUnavailable, PlatformForbidden):
            raise
        except PlatformError as error:  # a test that does not hold is refused in other words than a conflict
            if (await self.watch.state()).version != state.version:
                raise PlatformConflict(str(error)) from error
            raise
        return await self._after_undo(intent, back, confirm)

    async def _after_undo(self, intent: Intent, back: str, confirm: Confirm) -> Receipt:
        untold = await leave_note(self.watch.cluster, self.watch.where, intent)
        number = intent.to_revision.number if intent.to_revision else ""
        done = f"{self.watch.target} was undone: what revision {number} was is brought out again, and promoted at once"
        unmarked = ""

        async def is_back(state: State) -> bool:
            if not observed(state.live) or state.current == intent.from_revision.digest:
                return False
            if not _is_undone(state, back):
                raise PlatformError(f"it was undone, and is at another revision now ({state.current})")
            if state.is_aborted:
                raise PlatformError("it was undone, and somebody has aborted that")
            nonlocal unmarked
            if not unmarked and not state.is_brought_back:  # at once: whoever analyses it must not take it back
                unmarked = await self._mark(state)
                return False  # the mark is a change of the Rollout
            if state.is_in_flight and not state.is_promoted_fully:
                confirm()
                await self.watch.change_status(state, {"promoteFull": True})
            return not state.is_in_flight and await self.watch.serves(state)

        state, is_settled = await self.watch.until(is_back)
        if state is None or not is_settled:
            return self._unsettled(done, state)
        return Receipt(ok=True, detail=done + untold + unmarked)

    async def _mark(self, state: State) -> str:
        """Mark the newest revision as one that an undo has made; what could not be written is said."""
        number = state.revision(state.current).number
        return await leave(self.watch.cluster, self.watch.where, {BROUGHT_BACK: number})

    def _unsettled(self, done: str, state: State | None) -> Receipt:
        why = f"{done}; its pods were not as before after {self.watch.timeout:g} s"
        paused = f"; {_NOT_MOVING}" if state is not None and state.is_paused else ""
        return Receipt(ok=False, detail=f"{why}{paused}: look at {self.watch.by_hand}")


def _owner(state: State) -> str:
    """Who would bring the undone revision out again, or knows the Rollout otherwise; empty if nobody."""
    if state.helm_release:
        return f"Helm release {state.helm_release}"
    found = owner([state.live])
    return str(found) if found else ""


def _is_undone(state: State, back: str) -> bool:
    """Whether the newest revision is what the kept one was.

    The controller may not know the kept ReplicaSet again (with preferred anti-affinity it never does, v1.10), and then
    makes another one of the same template.
    """
    found = state.generation(back)
    if state.current == back or found is None:
        return state.current == back
    written, kept = mapping(state.live, "spec", "template"), template_of(found.kept)
    return covers(written, kept) and covers(kept, written)


def promoted(target: Target, namespace: str) -> str:
    """Why a promoted revision has no way back here, and what to do by hand: a sentence."""
    return (
        f"{target} is fully promoted, and an abort would do nothing any more; bring an earlier revision out again "
        f"(helm rollback, a revert in Git, or kubectl argo rollouts undo {target.name} -n {namespace})"
    )
