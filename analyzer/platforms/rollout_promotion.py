"""Going on with an Argo Rollout after a verdict, other than back: promoting it at once, or pausing it for a person."""

from dataclasses import dataclass

from analyzer.errors import PlatformError
from analyzer.model.target import Confirm, Intent, Receipt
from analyzer.platforms.rollout_note import leave_note
from analyzer.platforms.rollout_state import State
from analyzer.platforms.rollout_watch import RolloutWatch


@dataclass(frozen=True)
class Promotion:
    """Promotes the newest revision, past all steps that are left, as `kubectl argo rollouts promote --full` does."""

    watch: RolloutWatch

    def is_begun(self, state: State, intent: Intent) -> bool:
        """Whether it is promoted, or being so."""
        return state.current == intent.from_revision.digest and (state.is_promoted_fully or not state.is_in_flight)

    async def go_on(self, state: State, intent: Intent, confirm: Confirm) -> Receipt:
        """Promote it, or wait until it is."""
        self._check(state, intent)
        untold = ""
        if state.is_in_flight:
            if not state.is_promoted_fully:
                confirm()
                await self.watch.change_status(state, {"promoteFull": True})
            untold = await leave_note(self.watch.cluster, self.watch.where, intent)

        async def is_promoted(now: State) -> bool:
            self._check(now, intent)
            return not now.is_in_flight

        number = intent.from_revision.number
        _, is_done = await self.watch.until(is_promoted)
        if not is_done:
            why = f"is being promoted, and revision {number} is not the stable one after {self.watch.timeout:g} s"
            return Receipt(ok=False, detail=f"{self.watch.target} {why}: look at {self.watch.by_hand}")
        return Receipt(ok=True, detail=f"{self.watch.target} is promoted: revision {number} is the stable one{untold}")

    def _check(self, state: State, intent: Intent) -> None:
        if state.current != intent.from_revision.digest:
            raise PlatformError(f"it is at another revision now ({state.revision(state.current).number})")
        if state.is_aborted:
            raise PlatformError("it was aborted meanwhile")
        if state.is_in_flight and state.is_paused:
            raise PlatformError("somebody has paused it (spec.paused)")


@dataclass(frozen=True)
class Pause:
    """Pauses a Rollout as a whole: its controller moves no pod and no traffic until a person says how to go on."""

    watch: RolloutWatch

    def is_begun(self, state: State, intent: Intent) -> bool:
        """Whether it is paused."""
        return state.current == intent.from_revision.digest and state.is_paused

    async def go_on(self, state: State, intent: Intent, confirm: Confirm) -> Receipt:
        """Pause it, unless it is paused."""
        if state.current != intent.from_revision.digest:
            raise PlatformError(f"it is at another revision now ({state.revision(state.current).number})")
        if state.is_aborted:
            raise PlatformError("it was aborted meanwhile")
        if not state.is_in_flight:
            raise PlatformError("it is fully promoted, so that there is nothing to pause")
        if not state.is_paused:
            confirm()
            body = {"metadata": {"resourceVersion": state.version}, "spec": {"paused": True}}
            await self.watch.cluster.merge(self.watch.where, body)
        untold = await leave_note(self.watch.cluster, self.watch.where, intent)
        name = f"{self.watch.target.name} -n {self.watch.namespace}"
        resume = f"""kubectl patch rollout {name} --type=merge -p '{{"spec":{{"paused":false}}}}'"""
        return Receipt(
            ok=True,
            detail=f"{self.watch.target} was paused: both revisions keep their pods and traffic; to go on: {resume}; "
            f"to take it back, before that: kubectl argo rollouts abort {name}{untold}",
        )
