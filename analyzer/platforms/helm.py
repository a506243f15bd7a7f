"""A Helm release: what is deployed, whose pods are whose, and taking it back. Through the helm CLI and the cluster."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ruamel.yaml.error import YAMLError

from analyzer.errors import NoRelease, PlatformForbidden, PlatformUnavailable
from analyzer.model.reading import Absence, Missing, Pods
from analyzer.model.report import Verdict
from analyzer.model.target import Confirm, Deployment, Intent, PodSides, Receipt, Revision, Target, at_any_time
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.helm_history import (
    IN_PROGRESS,
    Entry,
    labels,
    no_way_back,
    rolled_back_to,
    served_until,
    wanted_entry,
)
from analyzer.platforms.helm_manifest import digest, same_pods
from analyzer.platforms.helm_obstacles import Obstacles, Subject, Told
from analyzer.platforms.helm_program import HelmProgram, HelmSettings, RollbackOptions
from analyzer.platforms.helm_way_back import HelmWayBack
from analyzer.platforms.pods import ReleasePods, absent, foreign, health, remaining, sides
from analyzer.platforms.rights import missing, needed, sentence
from analyzer.platforms.verdicts import Judged, Verdicts, claim
from analyzer.platforms.workloads import Workload, workloads

__all__ = ["Helm", "HelmSettings", "RollbackOptions"]

_Key = tuple[int, datetime | None]


class Helm:
    """The platform of one Helm release; implements the engine's port `Platform`.

    Without a namespace in `target`, Helm's own applies: that of the kubeconfig's context, or HELM_NAMESPACE. Without a
    `cluster` nothing is known of pods.

    Raises:
        UsageError: the name cannot be that of a release, or HELM_DRIVER names no place for releases.
    """

    def __init__(self, target: Target, settings: HelmSettings | None = None, cluster: Cluster | None = None) -> None:
        self._target = target
        self._release = target.name
        self._settings = settings or HelmSettings()
        self.program = HelmProgram(target, self._settings)
        self._cluster = cluster
        self._way_back = HelmWayBack(self.program, cluster, self.namespace)
        self._manifests: dict[_Key, str] = {}  # of the current and the wanted revision; a manifest never changes
        self._looker: Obstacles | None = None
        self._workloads: tuple[tuple[Workload, ...], tuple[Workload, ...]] | None = None

    async def version(self) -> tuple[int, int]:
        """Major and minor version of helm, asked once.

        Raises:
            PlatformError: it is missing, hangs, is no Helm, too old or too new.
        """
        return await self.program.version()

    async def namespace(self) -> str:
        """The namespace of the release.

        Raises:
            PlatformError: no cluster is configured.
        """
        named = self._target.namespace or self.program.env.get("HELM_NAMESPACE", "")
        return named or (await self._cluster.namespace() if self._cluster else "default")

    async def look(self) -> Deployment:
        """What Helm and the cluster say of the release now.

        Raises:
            PlatformError: a sentence for the user; PlatformUnavailable when asking again may help.
        """
        await self.version()
        entries = await self.program.history()
        current = entries[-1]
        if current.status == "uninstalled":
            raise NoRelease(
                f"release {self._release} in {self.program.where} has been uninstalled (its history was kept): there "
                "is nothing to analyse"
            )
        judged = await self._judged()
        wanted, verdicts = await self._wanted(entries, judged)
        manifests = {_key(entry): await self._manifest(entry) for entry in (current, wanted) if entry}
        self._manifests = manifests
        unchanged = False
        if wanted:
            # In a thread: parsing two large manifests takes seconds.
            unchanged = await asyncio.to_thread(same_pods, manifests[_key(current)], manifests[_key(wanted)])
        digests = {key: digest(manifest) for key, manifest in manifests.items()}
        revisions = {entry.revision: entry.as_revision(digests.get(_key(entry), "")) for entry in entries}
        found = await self._pods(manifests[_key(current)], manifests[_key(wanted)] if wanted else "")
        unchanged = unchanged or (found.untouched and wanted is not None)
        told: Told = (), ()
        if wanted and not unchanged:
            subject = Subject(
                revisions[current.revision],
                revisions[wanted.revision],
                tuple(
                    revisions[entry.revision]
                    for entry in entries[:-1]
                    if entry.revision > wanted.revision and rolled_back_to(entry) is None
                ),
                manifests[_key(current)],
                manifests[_key(wanted)],
                judged,
            )
            told = await self._obstacles(subject)
        return Deployment(
            target=self._target,
            current=revisions[current.revision],
            wanted=revisions[wanted.revision] if wanted else None,
            no_way_back=no_way_back(entries, self._release, self._settings.to_revision, verdicts),
            history=tuple(revisions.values()),
            in_progress=current.status if current.status in IN_PROGRESS else "",
            is_way_back=rolled_back_to(current) is not None,
            unchanged=unchanged,
            labels=labels(revisions[current.revision], revisions[wanted.revision]) if wanted else {},
            pods=found.pods,
            no_pods="" if found.pods else found.why,
            served_until=served_until(entries, wanted) if wanted else None,
            claimed_by=_claimed_by(judged, revisions[current.revision]),
            obstacles=told[0],
            cautions=told[1],
        )

    async def _wanted(
        self, entries: Sequence[Entry], judged: Sequence[Judged]
    ) -> tuple[Entry | None, dict[int, Verdict]]:
        """The revision to go back to, and the verdicts: one of another manifest is not of this revision."""
        while True:
            verdicts = _verdicts(entries, judged)
            wanted = wanted_entry(entries, self._settings.to_revision, verdicts)
            if wanted is None or wanted.revision not in verdicts:
                return wanted, verdicts
            found = digest(await self._manifest(wanted))
            of_it = [each for each in judged if each.revision != str(wanted.revision) or each.digest == found]
            if len(of_it) == len(judged):
                return wanted, verdicts
            judged = of_it

    async def _obstacles(self, subject: Subject) -> Told:
        if self._cluster is None:
            return (), ()
        if self._looker is None:
            self._looker = Obstacles.of(self.program, self._cluster, await self.namespace())
        return await self._looker.look(subject)

    async def lacking(self, deployment: Deployment) -> str:
        """Which rights the way back would lack: a sentence, empty if none.

        Raises:
            PlatformError: the API server cannot be asked.
        """
        if self._cluster is None or deployment.wanted is None:
            return ""
        namespace = await self.namespace()
        numbers = [int(revision.number) for revision in (deployment.current, deployment.wanted)]
        manifests = [await self.program.manifest(number) for number in numbers]
        hooks = [await self.program.hooks(number) for number in numbers] if self._settings.rollback.hooks else []
        rights = await needed(
            self._cluster,
            [*manifests, *hooks],
            namespace,
            self.program.storage,
            helm=(await self.version())[0],
            own=False,
        )
        return sentence(await missing(self._cluster, rights), self._release)

    async def health(self) -> tuple[Pods | Missing, Pods | None]:
        """How the pods of the new and the previous revision fare now.

        Raises:
            PlatformError: as for `look`.
        """
        if self._workloads is None:
            await self.look()
        if self._cluster is None or self._workloads is None:
            return Missing(why=Absence.NO_SERIES, detail=f"{self._target} has no pods that are known"), None
        return health(await ReleasePods(self._cluster).look(*self._workloads))

    async def verdicts(self) -> Verdicts | None:
        """Where the release's verdicts are kept; None without a cluster.

        Raises:
            PlatformError: no cluster is configured.
        """
        if self._cluster is None:
            return None
        return Verdicts(self._cluster, await self.namespace(), self._release)

    async def _judged(self) -> tuple[Judged, ...]:
        """What was found of earlier revisions; nothing where that may not be read."""
        kept = await self.verdicts()
        try:
            return await kept.read() if kept else ()
        except PlatformForbidden:
            return ()

    async def _pods(self, current: str, wanted: str) -> "_Found":
        """The pods of both sides, or why they are not known: the rule set may do without."""
        if self._cluster is None:
            return _Found()
        namespace = await self.namespace()
        try:
            self._workloads = await asyncio.to_thread(_parsed, current, wanted, namespace)
            groups = await ReleasePods(self._cluster).look(*self._workloads)
        except YAMLError as error:
            why = " ".join(str(error).split())
            return _Found(why=f"the manifest of release {self._release} cannot be parsed: {why}")
        except PlatformForbidden as error:
            return _Found(why=str(error))
        told = sides(groups, namespace)
        if told is not None:
            return _Found(told)
        now, before = ({each.key for each in part} for part in self._workloads)
        if before - now:
            return _Found(remaining(groups, namespace), absent(groups))
        why = absent(groups) or foreign(groups)
        return _Found(why=why, untouched=bool(groups) and not why)

    async def take_back(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt:
        """Abort its Rollouts, roll back to the intent's revision, look whether Helm has just that; see the port."""
        return await self._way_back.take_back(intent, confirm)

    async def settle(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt | None:
        """What became of a rollback that was begun by a process that is no more; see the port.

        Raises:
            PlatformError: helm cannot be asked; PlatformUnavailable when asking again may help.
        """
        return await self._way_back.settle(intent, confirm)

    async def _manifest(self, entry: Entry) -> str:
        if (kept := self._manifests.get(_key(entry))) is not None:
            return kept
        try:
            return await self.program.manifest(entry.revision)
        except NoRelease as error:  # it stood in the history a moment ago
            raise PlatformUnavailable(str(error)) from error


@dataclass(frozen=True)
class _Found:
    """The pods of both sides, or `why` they are not known. `untouched` when the cluster has made no new generation of
    any workload: the manifests may still differ in how they are written."""

    pods: PodSides | None = None
    why: str = ""
    untouched: bool = False


def _parsed(current: str, wanted: str, namespace: str) -> tuple[tuple[Workload, ...], tuple[Workload, ...]]:
    return workloads(current, namespace), workloads(wanted, namespace)


def _verdicts(entries: Sequence[Entry], judged: Sequence[Judged]) -> dict[int, Verdict]:
    """The newest verdict of each revision; one older than the revision is of an earlier life of the release."""
    newest = {each.revision: each for each in sorted(judged, key=lambda each: each.at)}
    return {
        entry.revision: found.verdict
        for entry in entries
        if (found := newest.get(str(entry.revision))) and found.at >= (entry.as_revision().deployed_at or 0.0)
    }


def _key(entry: Entry) -> _Key:
    """Tells a revision apart from one of the same number in an earlier life of the release."""
    return entry.revision, entry.updated


def _claimed_by(judged: Sequence[Judged], current: Revision) -> str:
    held = claim(judged, current.number, current.digest, time.time())
    return held.analysis if held else ""
