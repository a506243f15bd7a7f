"""The way back of a Helm release: `helm rollback`, and what became of one that nobody saw the end of."""

import asyncio
import shlex
import time
from collections.abc import Sequence

from analyzer.errors import PlatformError
from analyzer.model.target import Confirm, Intent, Receipt
from analyzer.platforms.helm_complaint import complaint, is_outage
from analyzer.platforms.helm_history import Entry, rolled_back_to
from analyzer.platforms.helm_program import HelmProgram
from analyzer.platforms.program import Outcome, tail

_UNDER_WAY = "pending-rollback"
_PATIENCE = 60.0  # seconds in which an API server that went away in the middle of a rollback is back
_PAUSE = 2.0  # seconds between two looks


class HelmRollback:
    """Rolls one release back. `has_rollouts`: Helm 4's own way of waiting cannot read one of its workloads."""

    def __init__(self, helm: HelmProgram, *, has_rollouts: bool = False) -> None:
        self._helm = helm
        self._has_rollouts = has_rollouts

    async def take_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        """Roll back to the intent's revision, then look whether Helm has just that.

        A failed attempt is a receipt that says so. When cancelled, it first comes to its end; see the port.
        """
        if intent.to_revision is None:
            return Receipt(ok=False, detail=f"release {self._helm.release} was not rolled back: no revision was given")
        number = intent.to_revision.number
        command: tuple[str, ...] = ()
        try:
            await self._helm.version()
            arguments = await self._helm.rollback_command(int(number), has_rollouts=self._has_rollouts)
            command = tuple(self._helm.command(arguments))
            outcome = await self._roll_back(arguments, intent, confirm)
        except PlatformError as error:
            return Receipt(
                ok=False, detail=f"release {self._helm.release} was not rolled back: {error}", command=command
            )
        if outcome.ok:
            ok, detail = await self._verified(number)
        else:
            why = complaint(outcome, "helm rollback", self._helm.release, self._helm.where)
            ok, detail = False, f"{why}; {await self._state()}; to try again by hand: {shlex.join(command)}"
        output = tail("\n".join(text.strip() for text in (outcome.stdout, outcome.stderr)))
        return Receipt(ok=ok, detail=detail, command=command, output=output)

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:
        """What became of a rollback that was begun by a process that is no more; see the port.

        Helm goes on when we are killed: its rollback is waited for, as long as it can live. One that was killed as well
        is done again.

        Raises:
            PlatformError: helm cannot be asked; PlatformUnavailable when asking again may help.
        """
        if intent.to_revision is None:
            return None
        newest = await self._settled()
        if str(newest.revision) == intent.from_revision.number:
            return None
        if newest.status == _UNDER_WAY:
            return await self.take_back(intent, confirm)
        if newest.status == "deployed" and str(rolled_back_to(newest)) == intent.to_revision.number:
            ok, detail = await self._verified(intent.to_revision.number)
            return Receipt(ok=ok, detail=detail)
        if newest.status == "failed" and rolled_back_to(newest) is not None:
            return await self.take_back(intent, confirm)
        return Receipt(
            ok=False,
            detail=f"the rollback to revision {intent.to_revision.number} was begun, and the newest revision is now "
            f"{newest.revision} ({newest.status}, “{newest.description}”): look at helm history {self._helm.release}",
        )

    async def _settled(self) -> Entry:
        """The newest revision, when no rollback is under way any more; or the one whose helm must be dead."""
        options, pause = self._helm.settings.rollback, 1.0
        for _ in range(max(1, round(options.timeout / pause))):
            newest = (await self._helm.history(1))[-1]
            begun = newest.as_revision().deployed_at
            if newest.status != _UNDER_WAY or (begun is not None and begun + options.time_limit < time.time()):
                break
            await asyncio.sleep(pause)
        return newest

    async def _roll_back(self, arguments: Sequence[str], intent: Intent, confirm: Confirm) -> Outcome:
        """Once more if helm was killed on its way, or lost the API server: what it has left serves neither revision
        whole."""
        limit = self._helm.settings.rollback.time_limit
        outcome = await self._helm.run(arguments, time_limit=limit, uninterrupted=True, confirm=confirm)
        killed = outcome.code < 0 and not outcome.timed_out
        if killed or (is_outage(outcome) and await self._is_left(intent)):
            outcome = await self._helm.run(arguments, time_limit=limit, uninterrupted=True, confirm=confirm)
        return outcome

    async def _is_left(self, intent: Intent) -> bool:
        """Whether the release is where a failed rollback has left it, when helm can be asked again."""
        give_up = time.monotonic() + _PATIENCE
        while True:
            try:
                newest = (await self._helm.history(1))[-1]
            except PlatformError:
                if time.monotonic() >= give_up:
                    return False
                await asyncio.sleep(_PAUSE)
                continue
            began = newest.status in {"failed", _UNDER_WAY} and rolled_back_to(newest) is not None
            return began or str(newest.revision) == intent.from_revision.number

    async def _verified(self, number: str) -> tuple[bool, str]:
        """Helm has no compare-and-set: something else may have changed the release in the same moment."""
        done = f"helm rolled release {self._helm.release} in {self._helm.where} back to revision {number}"
        try:
            newest = (await self._helm.history(1))[-1]
        except PlatformError as error:
            return True, f"{done}; its history could not be read after that: {error}"
        if newest.status == "deployed" and str(rolled_back_to(newest)) == number:
            return True, f"{done}, as revision {newest.revision}"
        return False, (
            f"{done}, and yet its newest revision is {newest.revision} ({newest.status}, “{newest.description}”): "
            f"something else has changed the release at the same time; look at helm history {self._helm.release}"
        )

    async def _state(self) -> str:
        try:
            newest = (await self._helm.history(1))[-1]
        except PlatformError:
            return "what became of the release could not be asked"
        return f"its newest revision is now {newest.revision} ({newest.status})"
