"""The way back of an Argo CD Application by Argo CD itself: pinned, or rolled back by its own history."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from analyzer.errors import PlatformError, PlatformForbidden, PlatformUnavailable
from analyzer.model.gitops import GitOpsMode
from analyzer.model.target import Confirm, Intent, Receipt, Target
from analyzer.platforms.application_change import brought_out, done, next_steps, qualified, taken_back, told_why
from analyzer.platforms.application_pods import ApplicationPods, unsettled
from analyzer.platforms.application_state import API, REVERT, TAKEN_BACK, Generation, State, one_line, short
from analyzer.platforms.attempts import Attempts
from analyzer.platforms.cluster import Cluster, path
from analyzer.platforms.parts import mapping

ATTEMPTS = 20
"""Writes, if Argo CD writes at the same time: it does so with every look."""
PATIENCE = 60.0
"""Seconds in which an API server that went away in the middle is back, and another operation of Argo CD over."""
PAUSE = 1.0
"""Seconds between two looks."""
_REFRESH = "argocd.argoproj.io/refresh"


class ApplicationControl:
    """Takes one Application back. `timeout` is in seconds, until its pods are as they were."""

    def __init__(self, cluster: Cluster, target: Target, namespace: str, mode: GitOpsMode, timeout: float) -> None:
        self.target = target
        self.timeout = timeout
        self._cluster = cluster
        self._namespace = namespace
        self._mode = mode
        self._where = path(API, "applications", namespace, target.name)

    async def take_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        """Write it, then wait until Argo CD has done it; a failed attempt is a receipt that says so."""
        return await self.patiently(lambda: self._begin_or_go_on(intent, confirm))

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:
        """What became of it; None if it was never begun.

        Raises:
            PlatformError: it cannot be asked; PlatformUnavailable when asking again may help.
        """
        state = await self.state()
        if not state.is_ours(intent.analysis) and state.current_is(intent.from_revision):
            return None
        return await self.take_back(intent, confirm)

    async def patiently(self, step: Callable[[], Awaitable[Receipt]]) -> Receipt:
        """What a step comes to, tried again where that may help; a failure is a receipt."""
        away = f"look whether it was begun: argocd app get {self.target.name}"
        return await Attempts(ATTEMPTS, PATIENCE, PAUSE).receipt(step, self.failed, away)

    async def _begin_or_go_on(self, intent: Intent, confirm: Confirm) -> Receipt:
        state = await self.state()
        if state.is_ours(intent.analysis):
            return await self._after(intent)
        self.refuse_while_operating(state)
        if not state.current_is(intent.from_revision):
            return self.failed(f"it is at another revision now ({state.number})")
        wanted = next((each for each in state.generations if _is(each, intent)), None)
        if wanted is None:
            return self.failed("Argo CD does not keep the revision to go back to any more")
        body = taken_back(state, wanted, intent, self._mode)
        confirm()
        await self._cluster.replace(self._where, body)
        return await self._after(intent)

    async def _after(self, intent: Intent) -> Receipt:
        def is_over(state: State) -> str | None:
            return self.came_to(state, intent)

        state, why = await self.until(is_over)
        steps = next_steps(state, self._mode)
        wanted = next((each for each in reversed(state.generations) if _is(each, intent)), None)
        if why or wanted is None:
            return self.failed(f"{why or 'its history does not have that revision'}; {steps}")
        return Receipt(ok=True, detail=f"{done(wanted, self._mode, str(self.target))}; {steps}")

    def came_to(self, state: State, intent: Intent) -> str | None:
        """What our operation came to: empty if Argo CD has done it, why not if it has failed; None: not over yet."""
        told = state.operation_of(intent.analysis)
        if told.get("phase") in {"Failed", "Error"} and not state.operating:
            return f"Argo CD's sync has failed: {one_line(told.get('message'))}"
        if state.operating or told.get("phase") == "Running":
            return None
        if told.get("phase") != "Succeeded" and not state.current_is(intent.to_revision):
            return "Argo CD has not done it: somebody else has had another sync done at the same time"
        return "" if state.current_is(intent.to_revision) else None

    async def until(self, came_to: Callable[[State], str | None]) -> tuple[State, str]:
        """The state once it has come to an end and, where that is a good one, the pods serve; why it has not, else.

        Raises:
            PlatformError: it cannot be asked any more.
        """
        give_up, why = time.monotonic() + self.timeout, "Argo CD has not synced it"
        while True:
            state = await self._patient_state(give_up)
            if (ended := came_to(state)) is not None:
                if ended:
                    return state, ended
                waiting = await self._waiting(state)
                if not waiting:
                    return state, ""
                why = f"Argo CD has synced it, and {waiting}"
            if time.monotonic() >= give_up:
                return state, f"{why} after {self.timeout:g} s: look at argocd app get {qualified(state)}"
            await asyncio.sleep(PAUSE)

    async def _waiting(self, state: State) -> str:
        """Why the pods do not serve as before yet: a sentence's part, empty if they do."""
        try:
            waiting = unsettled(await ApplicationPods(self._cluster).look(state.workloads, None))
        except (PlatformForbidden, PlatformUnavailable) as error:
            return f"its pods cannot be looked at ({error})"
        return waiting and f"the pods of {waiting} are not as before"

    async def _patient_state(self, give_up: float) -> State:
        while True:
            try:
                return await self.state()
            except PlatformUnavailable:
                if time.monotonic() >= give_up:
                    raise
                await asyncio.sleep(PAUSE)  # it may be back in a moment

    async def state(self) -> State:
        """The Application now.

        Raises:
            PlatformError: it is not there, or cannot be asked.
        """
        live = await self._cluster.get(self._where)
        if live is None:
            raise PlatformError(f"there is no Application {self.target.name} in namespace {self._namespace} any more")
        return State.of(live)

    async def refresh(self, commit: str, intent: Intent) -> None:
        """Note the revert, and have Argo CD look at Git now, and not in three minutes. It does so by itself, too."""
        notes = {_REFRESH: "normal", REVERT: commit, TAKEN_BACK: told_why(intent)}
        try:
            await self._cluster.merge(self._where, {"metadata": {"annotations": notes}})
        except PlatformError:
            return

    async def bring_out(self, state: State, revision: str, intent: Intent, confirm: Confirm) -> None:
        """Ask for a sync where no automated one does it.

        Raises:
            PlatformError: as `Cluster.replace`; PlatformUnavailable while another operation is under way.
        """
        self.refuse_while_operating(state)
        confirm()
        await self._cluster.replace(self._where, brought_out(state, revision, intent))

    def refuse_while_operating(self, state: State) -> None:
        """Argo CD takes one operation at a time.

        Raises:
            PlatformUnavailable: one is asked for or under way.
        """
        if state.operating:
            revision = short(str(mapping(state.live, "operation", "sync").get("revision") or ""))
            raise PlatformUnavailable(f"another operation of Argo CD is under way (a sync {revision}".rstrip() + ")")

    def failed(self, why: str) -> Receipt:
        """The receipt of an attempt that has failed."""
        return Receipt(ok=False, detail=f"{self.target} was not taken back: {why}")


def _is(each: Generation, intent: Intent) -> bool:
    return intent.to_revision is not None and each.digest == intent.to_revision.digest
