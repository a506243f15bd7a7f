"""The way back of an Argo CD Application by Git: a revert is pushed, and Argo CD brings it out."""

from contextlib import AbstractAsyncContextManager

from analyzer.errors import NoWayBack, PlatformError, PlatformUnavailable, UsageError
from analyzer.model.gitops import IN_GIT, GitOps, GitOpsMode
from analyzer.model.target import Confirm, Intent, Receipt, Target
from analyzer.platforms.application_control import ApplicationControl
from analyzer.platforms.application_state import Generation, State, one_line, short
from analyzer.platforms.git import unusable
from analyzer.platforms.git_revert import PREFIX, Repository, Reverted, Wanted, paths_of
from analyzer.platforms.parts import mapping

_PATHS = "argocd.argoproj.io/manifest-generate-paths"
_REMOTE = 60.0  # seconds of one run of git that only asks


def refusal(target: Target, state: State, wanted: Generation, settings: GitOps) -> str:
    """Why this way back cannot be gone for this Application: a sentence, empty if it can. Pure."""
    current, mode = state.current, settings.mode
    assert current is not None
    spec = mapping(state.live, "spec")
    if spec.get("sourceHydrator") and mode != GitOpsMode.HOLD:
        return f"{target} is hydrated from another branch, which only a person can take back: revert the dry source"
    several = wanted.has_several_sources or current.has_several_sources or bool(spec.get("sources"))
    if several and mode in {GitOpsMode.SUSPEND, *IN_GIT}:
        return f"{target} has several sources: --gitops rollback takes all of them back, {mode.value} does not"
    return _no_revert(target, state, (wanted, current), settings) if mode in IN_GIT else ""


def _no_revert(target: Target, state: State, sides: tuple[Generation, Generation], settings: GitOps) -> str:
    wanted, current = sides
    instead = "write --gitops suspend or rollback"
    if current.source.get("chart"):
        return f"{target} is a Helm chart from a chart repository, not from Git: {instead}"
    if _without_revision(current) != _without_revision(wanted):
        return (
            f"the source of {target} itself was changed since revision {wanted.number}, and a revert in its repository "
            f"does not bring that back: {instead}"
        )
    address = settings.repository or str(current.source.get("repoURL") or "")
    if why := unusable(address, named_by_hand=bool(settings.repository)):
        return f"the repository of {target} {why}; name another address of it by --gitops-repository"
    try:
        _paths(state, current)
    except UsageError as error:
        return f"{target} cannot be reverted: {error}"
    return ""


def _without_revision(each: Generation) -> dict[str, object]:
    return {name: value for name, value in each.source.items() if name != "targetRevision"}


def _paths(state: State, current: Generation) -> tuple[str, ...]:
    told = mapping(state.live, "metadata", "annotations").get(_PATHS)
    return paths_of(str(current.source.get("path") or "."), str(told or ""))


class ApplicationRevert:
    """Takes one Application back by a revert in Git; `control` is what speaks to Argo CD."""

    def __init__(self, control: ApplicationControl, settings: GitOps) -> None:
        self._control = control
        self._settings = settings

    async def check(self, state: State) -> None:
        """Whether the repository answers and has the branch.

        Raises:
            NoWayBack: it has not, or there is no usable git.
            PlatformUnavailable: it cannot be asked now.
        """
        try:
            async with self._repository(state, _REMOTE) as repository:
                await repository.branch(self._branch(state))
        except PlatformUnavailable:
            raise
        except PlatformError as error:
            raise NoWayBack(str(error)) from error

    async def take_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        """Push the revert, then wait until Argo CD has brought it out; a failed attempt is a receipt that says so."""
        return await self._control.patiently(lambda: self._begin_or_go_on(intent, confirm))

    async def settle(self, intent: Intent, confirm: Confirm) -> Receipt | None:
        """What became of it; None if no revert was pushed.

        Raises:
            PlatformError: it cannot be asked; PlatformUnavailable when asking again may help.
        """
        state = await self._control.state()
        wanted = self._wanted(state, intent)
        if isinstance(wanted, Wanted):
            async with self._repository(state, self._control.timeout) as repository:
                if await repository.pushed(wanted) is None:
                    return None
        return await self.take_back(intent, confirm)

    async def _begin_or_go_on(self, intent: Intent, confirm: Confirm) -> Receipt:
        state = await self._control.state()
        wanted = self._wanted(state, intent)
        if isinstance(wanted, str):
            return self._control.failed(wanted)
        async with self._repository(state, self._control.timeout) as repository:
            pushed = await repository.pushed(wanted)
            if pushed is None and not state.current_is(intent.from_revision):
                return self._control.failed(f"it is at another revision now ({state.number})")
            pushed = pushed or await repository.revert(wanted, confirm)
        if wanted.propose:
            return self._proposed(wanted, pushed)
        return await self._after(pushed, intent, confirm)

    def _repository(self, state: State, time_limit: float) -> AbstractAsyncContextManager[Repository]:
        url = self._settings.repository or str(mapping(state.live, "spec", "source").get("repoURL") or "")
        return Repository.opened(url, time_limit=time_limit, named_by_hand=bool(self._settings.repository))

    def _branch(self, state: State) -> str:
        return self._settings.branch or str(mapping(state.live, "spec", "source").get("targetRevision") or "")

    def _wanted(self, state: State, intent: Intent) -> Wanted | str:
        """What is to be reverted; or why that is not known."""
        by_digest = {each.digest: each for each in state.generations}
        good = by_digest.get(intent.to_revision.digest) if intent.to_revision else None
        bad = by_digest.get(intent.from_revision.digest)
        if good is None or bad is None:
            return "Argo CD does not keep both revisions in its history any more"
        return Wanted(
            good=good.revision,
            bad=bad.revision,
            paths=_paths(state, bad),
            branch=self._branch(state),
            propose=self._settings.mode == GitOpsMode.PROPOSE,
            title=f"Revert {self._control.target.name} to {good.number}",
            reason=f"Taken back by canary-analyzer: {one_line(intent.reason, 1000)}",
            analysis=intent.analysis,
        )

    def _proposed(self, wanted: Wanted, pushed: Reverted) -> Receipt:
        branch = wanted.branch or "the default branch"
        if not pushed.branch.startswith(PREFIX):
            return self._control.failed(
                f"the branch {pushed.branch} has the revert already, by {short(pushed.commit)} or before: look why "
                "Argo CD has not brought that out"
            )
        return self._control.failed(
            f"the branch {pushed.branch} with the revert {short(pushed.commit)} was pushed, and nothing is taken back "
            f"until it is merged into {branch}: open a pull request"
        )

    async def _after(self, pushed: Reverted, intent: Intent, confirm: Confirm) -> Receipt:
        was = "was there already" if pushed.before else "was pushed"
        told = f"the revert {short(pushed.commit)} {was} on {pushed.branch}"
        await self._control.refresh(pushed.commit, intent)
        state = await self._control.state()
        if state.automated is None and not _has(state, pushed) and not state.is_asked(intent.analysis):
            await self._control.bring_out(state, pushed.commit, intent, confirm)
        _, why = await self._control.until(lambda now: _came_to(now, pushed, intent))
        if why:
            return self._control.failed(f"{told}, but {why}")
        return Receipt(ok=True, detail=f"{self._control.target} was taken back: {told}, and Argo CD has synced it")


def _came_to(state: State, pushed: Reverted, intent: Intent) -> str | None:
    """As `ApplicationControl.came_to`, of a commit that Argo CD finds by itself."""
    if state.broken:
        return f"the last sync, {state.broken}"
    if state.under_way or state.current_is(intent.from_revision):
        return None
    if _has(state, pushed):
        return ""
    return f"Argo CD has synced another revision meanwhile ({state.number}): look whether that has it"


def _has(state: State, pushed: Reverted) -> bool:
    return state.current is not None and state.current.revision == pushed.commit
