"""The Rollouts of a Helm release: what is on its way is aborted before helm rolls back.

An abort moves traffic at once, where helm's way back runs hooks first and then every step of the Rollout's controller;
and helm's rollback clears the phase Degraded that an abort leaves.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.concurrency import together
from analyzer.errors import PlatformConflict, PlatformError, PlatformUnavailable
from analyzer.model.target import Confirm, Intent
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.helm_manifest import objects
from analyzer.platforms.parts import mapping
from analyzer.platforms.rollout_note import leave_note
from analyzer.platforms.rollout_state import State
from analyzer.platforms.workloads import covers, observed

ATTEMPTS = 5
"""Writes, if the controller writes at the same time."""
PAUSE = 1.0
"""Seconds between two looks."""
_GROUP = "argoproj.io"


@dataclass(frozen=True)
class ReleaseRollouts:
    """Those of a release, as the manifest of its current revision has them. `namespace` is the release's."""

    cluster: Cluster
    written: tuple[Object, ...]
    namespace: str

    @classmethod
    def of(cls, cluster: Cluster, manifest: str, namespace: str) -> "ReleaseRollouts":
        """Those that a manifest has. For a thread: parsing a large one takes seconds.

        Raises:
            YAMLError: it cannot be parsed.
        """
        return cls(cluster, tuple(each for each in objects(manifest) if _is_rollout(each)), namespace)

    async def abort(self, intent: Intent, confirm: Confirm) -> Sequence[str]:
        """Abort those that are on their way to what the manifest says; a sentence for each.

        What cannot be aborted is told, and stops nothing: helm's rollback takes it back as well, later.

        Raises:
            LeaseLost: `confirm` did not allow it.
        """
        told = await together(*(self._abort(each, intent, confirm) for each in self.written))
        return [sentence for sentence in told if sentence]

    async def any_aborted(self) -> bool:
        """Whether one is aborted: the act was begun, and helm's part of it is missing.

        Raises:
            PlatformError: the API server cannot be asked.
        """
        places = [*map(self._where, self.written)]
        found = await together(*map(self.cluster.get, places))
        return any(live is not None and State(live, ()).is_aborted for live in found)

    async def unhealthy(self, within: float) -> Sequence[str]:
        """A sentence for each that is not Healthy in this revision or another within so many seconds."""
        told = await together(*(self._unhealthy(each, time.monotonic() + within) for each in self.written))
        return [sentence for sentence in told if sentence]

    async def _unhealthy(self, written: Object, give_up: float) -> str:
        state = ""
        while True:
            try:
                live = await self.cluster.get(self._where(written))
                if live is None or (observed(live) and State(live, ()).phase == "Healthy"):
                    return ""  # one that is not there is not the other revision's
                state = f"{State(live, ()).phase} {State(live, ()).message}".strip()
            except PlatformUnavailable as error:
                state = str(error)
            except PlatformError as error:
                return f"how Rollout {_name(written)} fares could not be looked at: {error}"
            if time.monotonic() >= give_up:
                return f"Rollout {_name(written)} is not Healthy after that: {state}"
            await asyncio.sleep(PAUSE)

    async def _abort(self, written: Object, intent: Intent, confirm: Confirm) -> str:
        where, name = self._where(written), _name(written)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                live = await self.cluster.get(where)
                if live is None or not _is_on_its_way(live, written):
                    return ""
                if State(live, ()).is_aborted:
                    return f"Rollout {name} was aborted already"
                version = mapping(live, "metadata").get("resourceVersion")
                confirm()
                body = {"metadata": {"resourceVersion": version}, "status": {"abort": True}}
                await self.cluster.merge(f"{where}/status", body)
                return f"Rollout {name} was aborted first{await leave_note(self.cluster, where, intent)}"
            except PlatformConflict as error:
                if attempt == ATTEMPTS:
                    return f"Rollout {name} could not be aborted first: {error}"
            except PlatformError as error:
                return f"Rollout {name} could not be aborted first: {error}"
        return ""

    def _where(self, written: Object) -> str:
        within = str(mapping(written, "metadata").get("namespace") or self.namespace)
        return path(str(written.get("apiVersion")), "rollouts", within, _name(written))


def _is_on_its_way(live: Object, written: Object) -> bool:
    """Whether the newest revision is that of the manifest, and is not fully promoted: another's is not aborted."""
    ours = mapping(written, "spec").get("template")
    theirs = mapping(live, "spec").get("template")
    return State(live, ()).is_in_flight and observed(live) and covers(theirs, ours)


def _is_rollout(each: Object) -> bool:
    return str(each.get("apiVersion")).partition("/")[0] == _GROUP and each.get("kind") == "Rollout"


def _name(each: Object) -> str:
    return str(mapping(each, "metadata").get("name"))
