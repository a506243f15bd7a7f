"""Verdicts in the cluster: one ConfigMap per release, so that they survive the store.

Not in Helm's own labels or annotations: an upgrade hands labels on to the next revision and rewrites annotations.
"""

import json
import re
from collections.abc import Mapping, Sequence

from pydantic import FiniteFloat, ValidationError

from analyzer.errors import PlatformConflict, PlatformError
from analyzer.model.base import Model
from analyzer.model.report import Verdict
from analyzer.model.target import PlatformKind
from analyzer.platforms.cluster import Cluster, Object, path

MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGER = "canary-analyzer"
RELEASE = "canary-analyzer.io/release"

_PREFIX = "canary-analyzer."
_ATTEMPTS = 5  # writes, if something else writes at the same time
_MOST = 100  # verdicts kept
_LARGEST = 500_000  # bytes kept; the API server takes a megabyte
_LONGEST_REASON = 2000  # characters
_CLAIM = re.compile(r"rollback($| done)")
_CLAIMED_FOR = 1200.0  # seconds; longer than a rollback may take
_NOT_IN_A_KEY = re.compile(r"[^-._a-zA-Z0-9]")


class Judged(Model):
    """What was found of one revision. `at` is in Unix seconds, `action` what was done and what came of it."""

    revision: str
    digest: str  # of the manifest, as in `analyzer.model.target.Revision`
    verdict: Verdict
    at: FiniteFloat
    reason: str
    analysis: str = ""
    action: str = "none"


class Verdicts:
    """The verdicts of a Helm release or a Rollout. Without a namespace: that of the kubeconfig's context."""

    def __init__(self, cluster: Cluster, namespace: str, release: str, kind: PlatformKind = PlatformKind.HELM) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._release = release
        self._kind = kind

    async def read(self) -> tuple[Judged, ...]:
        """All that are kept, oldest first. An entry that cannot be understood is left out.

        Raises:
            PlatformError: they cannot be read; the sentence says why.
        """
        found = await self._cluster.get(await self._where())
        return _read(_data(found or {}))

    async def write(self, judged: Judged) -> None:
        """Keep one, in the place of an earlier one of the same revision and digest.

        Nothing is written over another analysis' claim: it has begun to take that revision back (see `claim`).

        Raises:
            PlatformConflict: something else keeps changing them at the same time.
            PlatformError: they cannot be written; the sentence says why.
        """
        where = await self._where()
        for attempt in range(1, _ATTEMPTS + 1):
            found = await self._cluster.get(where)
            held = claim(_read(_data(found or {})), judged.revision, judged.digest, judged.at)
            if held is not None and held.analysis != judged.analysis:
                return
            try:
                await self._put(where, found, judged)
            except PlatformConflict:
                if attempt == _ATTEMPTS:
                    raise
            except PlatformError:
                # What was there and is not any more has been deleted meanwhile: it is created anew.
                if found is None or attempt == _ATTEMPTS or await self._cluster.get(where) is not None:
                    raise
            else:
                return

    async def _put(self, where: str, found: Object | None, judged: Judged) -> None:
        body = with_verdict(found or _empty(self._release, self._kind), self._release, judged)
        if found is None:
            await self._cluster.create(where.rpartition("/")[0], body)
        else:
            await self._cluster.replace(where, body)  # with the resourceVersion that was read

    async def _where(self) -> str:
        namespace = self._namespace or await self._cluster.namespace()
        return path("v1", "configmaps", namespace, name_of(self._release, self._kind))


async def recent_failures(cluster: Cluster, namespace: str, since: float) -> tuple[tuple[str, Judged], ...]:
    """The failures of all targets of the namespace since then (Unix seconds), each with its name, such as `helm/web`;
    oldest first.

    Raises:
        PlatformError: they cannot be read; the sentence says why.
    """
    where = path("v1", "configmaps", namespace or await cluster.namespace())
    found = await cluster.items(where, {"labelSelector": f"{MANAGED_BY}={MANAGER},{RELEASE}"})
    failures = [
        (_target_of(each), judged)
        for each in found
        for judged in _read(_data(each))
        if judged.verdict == Verdict.FAIL and judged.at >= since
    ]
    return tuple(sorted(failures, key=lambda failure: failure[1].at))


def verdict_of(judged: Sequence[Judged], revision: str, digest: str, deployed_at: float | None = None) -> Judged | None:
    """The verdict of just this revision with just this manifest.

    What was found before `deployed_at` (Unix seconds) is of an earlier life of the release, which was uninstalled.
    """
    for each in reversed(judged):
        if (each.revision, each.digest) == (revision, digest) and each.at >= (deployed_at or 0):
            return each
    return None


def claim(judged: Sequence[Judged], revision: str, digest: str, now: float) -> Judged | None:
    """Who has begun to take this revision back, or has done it, not long before `now` (Unix seconds).

    Helm has no compare-and-set: two analyses of one release would both roll it back. The first to write this, by the
    ConfigMap's resourceVersion, does it; one that has died holds the others up for a while and no longer.
    """
    found = verdict_of(judged, revision, digest)
    if found is None or not found.analysis or not _CLAIM.match(found.action) or now - found.at > _CLAIMED_FOR:
        return None
    return found


def repeats(judged: Sequence[Judged], digest: str) -> Judged | None:
    """The newest failure of the same manifest: the same bad manifest deployed again. None without a digest."""
    failed = (each for each in reversed(judged) if digest and each.digest == digest and each.verdict == Verdict.FAIL)
    return next(failed, None)


def name_of(release: str, kind: PlatformKind = PlatformKind.HELM) -> str:
    """The name of the target's ConfigMap: a DNS subdomain for every name that Helm takes, or a Rollout has."""
    return f"{_PREFIX}{kind.value}.{release}"


def _target_of(found: Object) -> str:
    name = str((found.get("metadata") or {}).get("name") or "")
    return name.removeprefix(_PREFIX).replace(".", "/", 1)


def with_verdict(found: Object, release: str, judged: Judged) -> Object:
    """The ConfigMap with one verdict more, and without the oldest where these are too many."""
    short = judged.model_copy(update={"reason": judged.reason[:_LONGEST_REASON]})
    data = _data(found) | {_key(judged): short.model_dump_json()}
    metadata = found.get("metadata") or {}
    labels = _labels(found) | {MANAGED_BY: MANAGER, RELEASE: release}
    return {**found, "metadata": {**metadata, "labels": labels}, "data": _newest(data)}


def _empty(release: str, kind: PlatformKind) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name_of(release, kind)}}


def _key(judged: Judged) -> str:
    return _NOT_IN_A_KEY.sub("-", f"{judged.revision}.{judged.digest.removeprefix('sha256:')}")


def _newest(data: Mapping[str, str]) -> dict[str, str]:
    """As many of the newest as may be kept. What cannot be understood (a later version may) goes first."""
    kept: dict[str, str] = {}
    size = 0
    for key, text in sorted(data.items(), key=lambda item: _at(item[1]), reverse=True)[:_MOST]:
        size += len(key) + len(text.encode())
        if size > _LARGEST:
            break
        kept[key] = text
    return kept


def _at(text: str) -> float:
    judged = _parse(text)
    return judged.at if judged else 0.0


def _read(data: Mapping[str, str]) -> tuple[Judged, ...]:
    found = [judged for text in data.values() if (judged := _parse(text))]
    return tuple(sorted(found, key=lambda judged: judged.at))


def _parse(text: str) -> Judged | None:
    """A verdict; keys of later versions are ignored. None if it is none."""
    try:
        told = json.loads(text)
        judged = Judged.model_validate({name: told[name] for name in Judged.model_fields if name in told})
        return judged.model_copy(update={"reason": judged.reason[:_LONGEST_REASON]})  # others may write it, too
    except (ValueError, TypeError, RecursionError, ValidationError):
        return None


def _data(found: Object) -> dict[str, str]:
    return dict(found.get("data") or {})


def _labels(found: Object) -> dict[str, str]:
    return dict((found.get("metadata") or {}).get("labels") or {})
