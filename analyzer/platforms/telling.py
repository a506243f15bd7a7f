"""What is told on workloads: Events, and annotations with the result of an analysis."""

import asyncio
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from analyzer.errors import PlatformConflict, PlatformError
from analyzer.platforms.cluster import Cluster, NoObject, Object, path
from analyzer.platforms.cluster_event import LONGEST, event_about
from analyzer.platforms.parts import mapping

VERDICT: Final = "canary-analyzer.io/verdict"
JUDGED: Final = "canary-analyzer.io/judged"
REASON: Final = "canary-analyzer.io/reason"
ANALYSIS: Final = "canary-analyzer.io/analysis"

_APPS, _ARGO = "apps/v1", "argoproj.io/v1alpha1"
_KINDS = {
    "Deployment": (_APPS, "deployments"),
    "StatefulSet": (_APPS, "statefulsets"),
    "DaemonSet": (_APPS, "daemonsets"),
    "Rollout": (_ARGO, "rollouts"),
}
_WORKLOAD = re.compile(r"(?P<kind>[A-Za-z]+) (?P<namespace>[a-z0-9-]+)/(?P<name>[a-z0-9.-]+)")
_STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \S+")
_LONGEST_NAME = 150  # of a workload within the name of an Event, which has 253
_AT_ONCE = 8  # workloads that are told at a time: a release may have hundreds
_TRIES = 5  # of a change that others hinder


@dataclass(frozen=True)
class Notice:
    """One Event: a word such as `CanaryFailed`, a sentence, and when (Unix seconds)."""

    word: str
    message: str
    at: float
    is_warning: bool = False


@dataclass(frozen=True)
class Result:
    """What came of an analysis, as annotations have it. `subject` is the revision: `web.v7`, or a pod template's hash.

    `analysis` is its id, `ordered_at` (Unix seconds) tells which of two analyses is the later one.
    """

    verdict: str
    subject: str
    reason: str
    analysis: str
    ordered_at: float

    @property
    def stamp(self) -> str:
        """Sorts as the analyses were ordered."""
        moment = datetime.fromtimestamp(self.ordered_at, UTC).isoformat(timespec="microseconds")
        return f"{moment.replace('+00:00', 'Z')} {self.analysis}"

    @property
    def annotations(self) -> dict[str, str]:
        """On the workload itself, never on its pods: they would be a new revision."""
        return {
            VERDICT: self.verdict,
            JUDGED: f"{self.subject}/{self.verdict}",
            REASON: self.reason[:LONGEST],
            ANALYSIS: self.stamp,
        }


@dataclass(frozen=True)
class _Workload:
    kind: str
    namespace: str
    name: str

    @property
    def where(self) -> str:
        api_version, resource = _KINDS[self.kind]
        return path(api_version, resource, self.namespace, self.name)


class Board:
    """The workloads on which an analysis is told, as sentences name them: `Deployment shop/web`. Others are left out.

    Every method may raise PlatformError, after it has tried all workloads: PlatformUnavailable when doing it again may
    help, PlatformForbidden without the rights. A workload that is not there any more is told nothing.
    """

    def __init__(self, cluster: Cluster, workloads: Sequence[str]) -> None:
        self._cluster = cluster
        found = [match for each in workloads if (match := _WORKLOAD.fullmatch(each))]
        self._workloads = [_Workload(**match.groupdict()) for match in found if match["kind"] in _KINDS]

    def __bool__(self) -> bool:
        return bool(self._workloads)

    async def post(self, notice: Notice, about: str) -> None:
        """An Event on each. One word about one analysis (its id) is there once, however often it is posted."""

        async def on(workload: _Workload) -> None:
            live = await self._cluster.get(workload.where, metadata_only=True)
            if live is None:
                return
            event = event_about(
                _involved(workload, live),
                f"{workload.name[:_LONGEST_NAME].rstrip('.-')}.{about}.{notice.word}-{workload.kind}".lower(),
                reason=notice.word,
                message=notice.message,
                kind="Warning" if notice.is_warning else "Normal",
                at=notice.at,
            )
            try:
                await self._cluster.create(path("v1", "events", workload.namespace), event)
            except PlatformConflict:
                return  # told before

        await self._on_each(on)

    async def mark(self, result: Result) -> None:
        """The annotations on each, unless a later analysis has left its own."""

        async def on(workload: _Workload) -> None:
            for _ in range(_TRIES):
                try:
                    await self._mark(workload, result)
                except PlatformConflict:
                    continue  # its controller writes its status all the time
                return
            raise PlatformError(
                f"{workload.kind} {workload.namespace}/{workload.name} was changed by others all the time"
            )

        await self._on_each(on)

    async def _mark(self, workload: _Workload, result: Result) -> None:
        live = await self._cluster.get(workload.where, metadata_only=True)
        metadata = mapping(live or {}, "metadata")
        found, wanted = mapping(metadata, "annotations"), result.annotations
        stamp = str(found.get(ANALYSIS, ""))
        is_later = bool(_STAMP.fullmatch(stamp)) and stamp > result.stamp
        if live is None or is_later or all(found.get(name) == value for name, value in wanted.items()):
            return
        change = {"metadata": {"annotations": wanted, "resourceVersion": metadata.get("resourceVersion")}}
        try:
            await self._cluster.merge(workload.where, change)
        except NoObject:
            return

    async def _on_each(self, do: Callable[[_Workload], Awaitable[None]]) -> None:
        turn = asyncio.Semaphore(_AT_ONCE)

        async def one(workload: _Workload) -> None:
            async with turn:
                await do(workload)

        outcomes = await asyncio.gather(*map(one, self._workloads), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, NoObject):
                raise outcome


def _involved(workload: _Workload, live: Object) -> Object:
    metadata = mapping(live, "metadata")
    return {
        "apiVersion": _KINDS[workload.kind][0],
        "kind": workload.kind,
        "name": workload.name,
        "namespace": workload.namespace,
        "uid": metadata.get("uid"),
        "resourceVersion": metadata.get("resourceVersion"),
    }


async def tell_refused(cluster: Cluster, workloads: Sequence[str], about: str, reason: str) -> None:
    """An Event of the reason CanaryNotAnalysed (Warning) on these workloads (`Deployment shop/web`, as `str` of a
    `Marked`): why an upgrade that was seen is not analysed.

    `about` names what was seen (the key of its order), so that each is told once, also by two replicas and after a
    crash.

    Raises:
        PlatformError: it could not be told; PlatformForbidden without the right to create Events.
    """
    digest = hashlib.sha256(f"{about}\0{reason}".encode()).hexdigest()[:12]
    await Board(cluster, workloads).post(Notice("CanaryNotAnalysed", reason, time.time(), is_warning=True), digest)
