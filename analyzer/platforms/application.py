"""An Argo CD Application: what it has brought out, whose pods are whose, and taking it back through Argo CD itself."""

from dataclasses import dataclass, field

from analyzer.errors import NoRelease, PlatformForbidden
from analyzer.model.gitops import IN_GIT, GitOps, GitOpsMode
from analyzer.model.reading import Absence, Missing, Pods
from analyzer.model.target import Confirm, Deployment, Intent, PlatformKind, PodSides, Receipt, Target, at_any_time
from analyzer.platforms import application_obstacles
from analyzer.platforms.application_control import ApplicationControl
from analyzer.platforms.application_pods import ApplicationPods
from analyzer.platforms.application_revert import ApplicationRevert, refusal
from analyzer.platforms.application_state import API, Generation, State
from analyzer.platforms.cluster import Cluster, path
from analyzer.platforms.pods import Group, absent, health, sides
from analyzer.platforms.rights import Right, missing, sentence
from analyzer.platforms.verdicts import Judged, Verdicts

NAMESPACE = "argocd"
"""Where Applications live unless told otherwise."""
_RBAC = "deploy/argocd/rbac.yaml"


@dataclass(frozen=True)
class ApplicationSettings:
    """How an Application is taken back. `timeout` is in seconds, until the pods are as they were.

    `to_revision` is the id in its history that somebody wants to go back to.
    """

    timeout: float = 300.0
    to_revision: int | None = None
    gitops: GitOps = field(default_factory=GitOps)


class Application:
    """The platform of one Application; implements the engine's port `Platform`.

    What was synced last is compared with the last known good revision of its history. Without a namespace in `target`
    it is `argocd`; pods are looked for where the Application deploys to.
    """

    def __init__(self, target: Target, cluster: Cluster, settings: ApplicationSettings | None = None) -> None:
        self._target = target
        self._cluster = cluster
        self.settings = settings or ApplicationSettings()
        self._namespace = target.namespace or NAMESPACE
        self._where = path(API, "applications", self._namespace, target.name)

    async def look(self) -> Deployment:
        """What the Application and its pods say now.

        Raises:
            NoRelease: there is no such Application, or it has brought nothing out yet.
            PlatformError: a sentence for the user; PlatformUnavailable when asking again may help.
        """
        state, current = await self._state()
        judged = await self._judged()
        wanted = state.wanted(judged, self.settings.to_revision)
        no_way_back = self._no_way_back(state, wanted)
        told = await application_obstacles.look(
            self._cluster, self._target, self._namespace, state, self.settings.gitops.mode
        )
        pods, no_pods = await self._pods(state, wanted)
        replaced_by = state.after(wanted) if wanted else current
        broken = f"the last sync of {self._target}, {state.broken}: parts of two revisions may serve"
        repeated = application_obstacles.repetition(judged, current)
        return Deployment(
            target=self._target,
            current=current.as_revision(),
            wanted=wanted.as_revision() if wanted and not no_way_back else None,
            no_way_back=no_way_back,
            history=tuple(each.as_revision() for each in state.generations),
            in_progress=state.under_way,
            is_way_back=state.is_way_back,
            taken_back=broken if state.broken else "",
            pods=pods,
            no_pods=no_pods,
            served_until=None if replaced_by == current else replaced_by.started_at,
            obstacles=told[0],
            cautions=(*told[1], *([repeated] if repeated else [])),
        )

    async def _state(self) -> tuple[State, Generation]:
        live = await self._cluster.get(self._where)
        if live is None:
            raise NoRelease(
                f"there is no Application {self._target.name} of Argo CD in namespace {self._namespace}: name its own "
                "namespace, and not the one that it deploys to"
            )
        state = State.of(live)
        if state.current is None:
            raise NoRelease(f"{self._target} has brought nothing out yet: its history is empty")
        return state, state.current

    def _no_way_back(self, state: State, wanted: Generation | None) -> str:
        if state.elsewhere:
            return f"{self._target} deploys to another cluster ({state.elsewhere}), whose pods cannot be seen from here"
        if wanted is None:
            return self._nothing_earlier(state)
        return refusal(self._target, state, wanted, self.settings.gitops)

    def _nothing_earlier(self, state: State) -> str:
        asked, current = self.settings.to_revision, state.current
        assert current is not None
        kept = [f"{each.ids[-1]} ({each.number})" for each in state.generations if each.revision != current.revision]
        if asked is not None:
            return f"the history of {self._target} has no earlier revision with the id {asked}; it has {_listed(kept)}"
        if not kept:
            return f"the history of {self._target} has no other revision than {current.number}"
        return (
            f"no earlier revision of {self._target} is known to be good: {_listed(kept)} were judged bad or taken back"
        )

    async def _judged(self) -> tuple[Judged, ...]:
        """What was found of earlier revisions; nothing where that may not be read."""
        try:
            return await (await self.verdicts()).read()
        except PlatformForbidden:
            return ()

    async def _groups(self, state: State, wanted: Generation | None) -> tuple[Group, ...]:
        replaced_at = state.after(wanted).started_at if wanted else None
        return await ApplicationPods(self._cluster).look(state.workloads, replaced_at)

    async def _pods(self, state: State, wanted: Generation | None) -> tuple[PodSides | None, str]:
        """The pods of both sides, or why they are not known: the rule set may do without."""
        if state.elsewhere:
            return None, f"{self._target} deploys to another cluster: {state.elsewhere}"
        if not state.workloads:
            return None, f"{self._target} has no workload among its resources"
        try:
            groups = await self._groups(state, wanted)
        except PlatformForbidden as error:
            return None, str(error)
        found = sides(groups, state.destination)
        if found is not None:
            return found, ""
        return None, absent(groups) or f"the sync has changed no pod of {self._target}"

    async def lacking(self, deployment: Deployment) -> str:
        """Which rights the way back would lack: a sentence, empty if none.

        Raises:
            NoWayBack: there is no usable git program, or the repository is refused.
            PlatformError: the API server or the repository cannot be asked.
        """
        mode = self.settings.gitops.mode
        if deployment.wanted is None or mode == GitOpsMode.HOLD:
            return ""
        state, _ = await self._state()
        if mode in IN_GIT:
            await self._reverting().check(state)
        needed = {GitOpsMode.PROPOSE: (), GitOpsMode.REVERT: ("patch",)}.get(mode, ("update",))
        if mode == GitOpsMode.REVERT and state.automated is None:
            needed = ("patch", "update")
        rights = [Right("argoproj.io", "applications", verb, self._namespace, self._target.name) for verb in needed]
        return sentence(await missing(self._cluster, rights), grant=f"kubectl apply -f {_RBAC}")

    async def health(self) -> tuple[Pods | Missing, Pods | None]:
        """How the pods of the new and the previous revision fare now.

        Raises:
            PlatformError: as for `look`.
        """
        state, _ = await self._state()
        if state.elsewhere:
            return Missing(why=Absence.NO_SERIES, detail=f"{self._target} deploys to another cluster"), None
        wanted = state.wanted(await self._judged(), self.settings.to_revision)
        return health(await self._groups(state, wanted))

    async def verdicts(self) -> Verdicts:
        """Where the Application's verdicts are kept: in its own namespace."""
        return Verdicts(self._cluster, self._namespace, self._target.name, kind=PlatformKind.APPLICATION)

    async def take_back(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt:
        """Act through Argo CD as the settings say; see the port."""
        return await self._way_back().take_back(intent, confirm)

    async def settle(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt | None:
        """What became of an act that was begun by a process that is no more; see the port."""
        return await self._way_back().settle(intent, confirm)

    def _way_back(self) -> ApplicationControl | ApplicationRevert:
        return self._reverting() if self.settings.gitops.mode in IN_GIT else self._control()

    def _control(self) -> ApplicationControl:
        settings = self.settings
        return ApplicationControl(self._cluster, self._target, self._namespace, settings.gitops.mode, settings.timeout)

    def _reverting(self) -> ApplicationRevert:
        return ApplicationRevert(self._control(), self.settings.gitops)


def _listed(kept: list[str]) -> str:
    return ", ".join(kept) or "none"
