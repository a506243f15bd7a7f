"""The whole way back of a Helm release: its Rollouts are aborted, then helm rolls back. One act, with one receipt."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ruamel.yaml.error import YAMLError

from analyzer.errors import PlatformError, PlatformForbidden, PlatformUnavailable
from analyzer.model.target import Confirm, Intent, Receipt
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.helm_program import HelmProgram
from analyzer.platforms.helm_rollback import HelmRollback
from analyzer.platforms.helm_rollouts import ReleaseRollouts

_UNREADABLE = (YAMLError, ValueError, RecursionError)
"""What reading a manifest of any shape raises."""


@dataclass(frozen=True)
class HelmWayBack:
    """Takes one release back. Without a `cluster` helm alone does; `namespace` is the release's."""

    program: HelmProgram
    cluster: Cluster | None
    namespace: Callable[[], Awaitable[str]]

    async def take_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        """Abort what is on its way, roll back to the intent's revision, look what came of both.

        What cannot be aborted stops nothing, and is told.

        Raises:
            LeaseLost: it was not done, or not to its end, for `confirm` did not allow it.
        """
        rollouts: ReleaseRollouts | None = None
        first: Sequence[str] = ()
        try:
            rollouts = await self._rollouts(intent)
        except (PlatformError, *_UNREADABLE) as error:
            first = (f"whether the release has a Rollout could not be looked at: {_line(error)}",)
        if rollouts:
            first = await rollouts.abort(intent, confirm)
        receipt = await HelmRollback(self.program, has_rollouts=rollouts is not None).take_back(intent, confirm)
        last = await self._settled(rollouts) if rollouts and receipt.ok else ()
        detail = "; ".join([*first, receipt.detail, *last])
        return receipt.model_copy(update={"ok": receipt.ok and not last, "detail": detail})

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:
        """What became of an act that was begun by a process that is no more; see the port.

        Raises:
            PlatformError: helm cannot be asked; PlatformUnavailable when asking again may help.
        """
        try:
            rollouts = await self._rollouts(intent)
        except PlatformUnavailable:
            raise
        except (PlatformError, *_UNREADABLE):
            rollouts = None
        receipt = await HelmRollback(self.program, has_rollouts=rollouts is not None).settle(intent, confirm)
        if receipt is None and intent.to_revision is not None and rollouts and await self._is_aborted(rollouts):
            return await self.take_back(intent, confirm)
        return receipt

    async def _is_aborted(self, rollouts: ReleaseRollouts) -> bool:
        """Whether the act was begun with an abort; who may not look has aborted nothing."""
        try:
            return await rollouts.any_aborted()
        except PlatformForbidden:
            return False

    async def _settled(self, rollouts: ReleaseRollouts) -> Sequence[str]:
        """Helm waits for no Rollout."""
        options = self.program.settings.rollback
        return await rollouts.unhealthy(options.timeout) if options.wait else ()

    async def _rollouts(self, intent: Intent) -> ReleaseRollouts | None:
        """Those of the revision that is taken back; None without any."""
        if self.cluster is None:
            return None
        manifest = await self.program.manifest(int(intent.from_revision.number))
        found = await asyncio.to_thread(ReleaseRollouts.of, self.cluster, manifest, await self.namespace())
        return found if found.written else None


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
