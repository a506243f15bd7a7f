"""What is done to an Argo Rollout: taking back, pausing, promoting. Each is begun once, and gone on with after that."""

from typing import Protocol

from analyzer.errors import PlatformUnavailable
from analyzer.model.target import ActionKind, Confirm, Intent, Receipt
from analyzer.platforms.attempts import Attempts
from analyzer.platforms.rollout_promotion import Pause, Promotion
from analyzer.platforms.rollout_state import State
from analyzer.platforms.rollout_taking_back import TakingBack
from analyzer.platforms.rollout_watch import RolloutWatch
from analyzer.platforms.workloads import observed

ATTEMPTS = 5
"""Writes, if the controller writes at the same time."""
PATIENCE = 60.0
"""Seconds in which an API server that went away in the middle is back."""
PAUSE = 1.0
"""Seconds between two looks at what is away."""
_DONE = {ActionKind.PAUSE: "paused", ActionKind.PROMOTE: "promoted"}


class Act(Protocol):
    """One of them, on one Rollout."""

    def is_begun(self, state: State, intent: Intent) -> bool:
        """Whether somebody has begun it, or has made it needless."""
        ...

    async def go_on(self, state: State, intent: Intent, confirm: Confirm) -> Receipt:
        """Begin it, or go on where it is. `state` is one that the controller has seen.

        Raises:
            PlatformConflict: somebody has changed the Rollout since; look again.
            PlatformError: it was not done.
            LeaseLost: `confirm` did not allow it.
        """
        ...


class RolloutControl:
    """Acts on one Rollout."""

    def __init__(self, watch: RolloutWatch) -> None:
        self._watch = watch

    async def act(self, intent: Intent, confirm: Confirm) -> Receipt:
        """Do it, and wait for what comes of it; a failed attempt is a receipt that says so."""
        attempts = Attempts(ATTEMPTS, PATIENCE, PAUSE)
        return await attempts.receipt(
            lambda: self._begin_or_go_on(intent, confirm),
            lambda why: self._failed(intent, why),
            "nobody knows whether it was begun",
        )

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:
        """What became of it; None if it was never begun.

        Raises:
            PlatformError: it cannot be asked; PlatformUnavailable when asking again may help.
        """
        if not self._act(intent).is_begun(await self._watch.state(), intent):
            return None
        return await self.act(intent, confirm)

    async def _begin_or_go_on(self, intent: Intent, confirm: Confirm) -> Receipt:
        state = await self._watch.state()
        if not observed(state.live):
            raise PlatformUnavailable(f"the controller has not seen the newest change of {self._watch.target} yet")
        return await self._act(intent).go_on(state, intent, confirm)

    def _act(self, intent: Intent) -> Act:
        match intent.kind:
            case ActionKind.PAUSE:
                return Pause(self._watch)
            case ActionKind.PROMOTE:
                return Promotion(self._watch)
        return TakingBack(self._watch)

    def _failed(self, intent: Intent, why: str) -> Receipt:
        done = _DONE.get(intent.kind, "taken back")
        return Receipt(ok=False, detail=f"{self._watch.target} was not {done}: {why}")
