"""What speaks against taking a Helm release back, and what is to be told although it does not."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from ruamel.yaml.error import YAMLError

from analyzer.concurrency import together
from analyzer.errors import PlatformError, PlatformForbidden, PlatformUnavailable
from analyzer.model.guard import Guard, Obstacle
from analyzer.model.target import Revision
from analyzer.platforms import drift, ownership
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.helm_program import HelmProgram
from analyzer.platforms.migration import trap
from analyzer.platforms.storm import SPAN, storm
from analyzer.platforms.verdicts import Judged, recent_failures, repeats

_MOST = 10
"""Revisions between that are looked at."""
_UNREADABLE = (YAMLError, ValueError, AttributeError, TypeError, RecursionError)
"""What comes of a manifest of another shape than Kubernetes would take."""

Told = tuple[tuple[Obstacle, ...], tuple[str, ...]]
"""Obstacles, and cautions."""


@dataclass(frozen=True)
class Subject:
    """An upgrade as it would be taken back, with the manifests of both revisions.

    `between` are the upgrades that would be taken back with it: a bad one under a bad one.
    """

    current: Revision
    wanted: Revision
    between: tuple[Revision, ...]
    current_manifest: str
    wanted_manifest: str
    judged: tuple[Judged, ...]


@dataclass
class Obstacles:
    """Looks for them anew each time, but for what never changes: the hooks of a revision."""

    helm: HelmProgram
    cluster: Cluster
    namespace: str
    _hooks: dict[tuple[str, float | None], str]

    @classmethod
    def of(cls, helm: HelmProgram, cluster: Cluster, namespace: str) -> "Obstacles":
        """Of one release."""
        return cls(helm, cluster, namespace, {})

    async def look(self, subject: Subject) -> Told:
        """All that is known now. What may not be looked at is a caution.

        Raises:
            PlatformUnavailable: the cluster cannot be asked now.
        """
        migration, owned, stormy, drifted = await together(
            self._migration(subject), self._ownership(subject), self._storm(), self._drift(subject)
        )
        found = (migration, owned, stormy, drifted, ((), _repetition(subject)))
        obstacles = tuple(obstacle for each, _ in found for obstacle in each)
        return obstacles, tuple(caution for _, each in found for caution in each)

    async def _migration(self, subject: Subject) -> Told:
        """Of every upgrade that would be taken back: each has run its hooks."""
        target = f"{await self._hooks_of(subject.wanted)}\n---\n{subject.wanted_manifest}"
        for revision in (subject.current, *reversed(subject.between[-_MOST:])):
            ran = await self._hooks_of(revision)
            if revision == subject.current:
                ran += f"\n---\n{subject.current_manifest}"
            reason = await asyncio.to_thread(trap, ran, target, release=self.helm.release)
            if reason:
                return (Obstacle(guard=Guard.MIGRATION, reason=reason),), ()
        return (), ()

    async def _hooks_of(self, revision: Revision) -> str:
        key = (revision.number, revision.deployed_at)
        if key not in self._hooks:
            self._hooks[key] = await self.helm.hooks(int(revision.number))
        return self._hooks[key]

    async def _ownership(self, subject: Subject) -> Told:
        try:
            standing = await ownership.look(self.cluster, subject.current_manifest, self.namespace)
        except PlatformUnavailable:
            raise
        except (PlatformError, *_UNREADABLE) as error:
            return (), (f"who owns the release could not be looked at: {_line(error)}",)
        return standing.obstacles, (standing.unseen,) if standing.unseen else ()

    async def _storm(self) -> Told:
        now = time.time()
        try:
            failures = await recent_failures(self.cluster, self.namespace, now - SPAN)
        except PlatformForbidden as error:
            return (), (f"whether other releases fail as well could not be looked at: {error}",)
        others = [(name, judged.at) for name, judged in failures if name != f"helm/{self.helm.release}"]
        reason = storm(others, now)
        return ((Obstacle(guard=Guard.STORM, reason=reason),) if reason else ()), ()

    async def _drift(self, subject: Subject) -> Told:
        try:
            these = await asyncio.to_thread(drift.used, subject.current_manifest, self.namespace)
        except _UNREADABLE as error:
            return (), (f"drift could not be looked for: the manifest cannot be parsed: {_line(error)}",)
        return (), await drift.changed(self.cluster, these, subject.wanted.deployed_at or 0.0)


def _repetition(subject: Subject) -> Sequence[str]:
    others = [each for each in subject.judged if each.revision != subject.current.number]
    before = repeats(others, subject.current.digest)
    return (f"the same manifest was judged bad as revision {before.revision}: {before.reason}",) if before else ()


def _line(error: Exception) -> str:
    """An error's words in one line: those of a YAML parser are several, and quote what they stumbled over."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(error)).split())
