"""Drift: ConfigMaps and Secrets that the pods use and the release does not own. A rollback does not bring these back.

Only their metadata are read, never what is in them.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from analyzer.concurrency import together
from analyzer.errors import PlatformError
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.helm_manifest import objects
from analyzer.platforms.workloads import moment

_RESOURCES = {"ConfigMap": "configmaps", "Secret": "secrets"}
_SOURCES = (("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"), ("secret", "Secret", "name"))
_DATA = frozenset({"f:data", "f:binaryData", "f:stringData", "f:immutable"})
_AT_ONCE = 10  # requests
_NAMED = 5  # in a sentence


@dataclass(frozen=True, order=True)
class Used:
    """A ConfigMap or Secret and the workloads whose pods use it. `optional`: none of them needs it to be there."""

    kind: str
    namespace: str
    name: str
    by: tuple[str, ...]
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def users(self) -> str:
        return ", ".join(self.by)


@lru_cache(maxsize=4)  # a manifest is looked at again and again, and a large one takes seconds to parse
def used(manifest: str, namespace: str) -> tuple[Used, ...]:
    """What the pods of a manifest use (`env`, `envFrom`, volumes) and the manifest itself does not hold, in order.

    Objects without a namespace of their own are in the release's.

    Raises:
        YAMLError: it cannot be parsed.
    """
    found = tuple(objects(manifest))
    owned = {(str(each.get("kind")), *_place(each, namespace)) for each in found if each.get("kind") in _RESOURCES}
    users: dict[tuple[str, str, str], dict[str, bool]] = {}
    for each in found:
        where, name = _place(each, namespace)
        for kind, referred, optional in _references(_pod(each)):
            by = users.setdefault((kind, where, referred), {})
            user = f"{each.get('kind')} {name}"
            by[user] = by.get(user, True) and optional
    return tuple(
        sorted(
            Used(*key, by=tuple(sorted(by)), optional=all(by.values())) for key, by in users.items() if key not in owned
        )
    )


def _place(each: Object, namespace: str) -> tuple[str, str]:
    metadata = each.get("metadata") or {}
    return str(metadata.get("namespace") or namespace), str(metadata.get("name"))


def _pod(each: Object) -> Mapping[str, Any]:
    """The spec of an object's pods; a Job's do not serve."""
    spec = each.get("spec")
    if not isinstance(spec, dict) or each.get("kind") == "Job":
        return {}
    template = {"spec": spec} if each.get("kind") == "Pod" else spec.get("template")
    of_pod = template.get("spec") if isinstance(template, dict) else None
    return of_pod if isinstance(of_pod, dict) else {}


def _references(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, bool]]:
    """Kind and name of all that a pod's spec refers to, and whether it may be missing."""
    for container in [*_all(pod, "initContainers"), *_all(pod, "containers")]:
        values = [each["valueFrom"] for each in _all(container, "env") if isinstance(each.get("valueFrom"), dict)]
        for each in [*values, *_all(container, "envFrom")]:
            yield from _named(each.get("configMapKeyRef") or each.get("configMapRef"), "ConfigMap", "name")
            yield from _named(each.get("secretKeyRef") or each.get("secretRef"), "Secret", "name")
    for volume in _all(pod, "volumes"):
        projected = volume.get("projected")
        for source in [volume, *(_all(projected, "sources") if isinstance(projected, dict) else ())]:
            for key, kind, name in _SOURCES:
                yield from _named(source.get(key), kind, name)


def _all(of: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects of a list: what looks like a pod's spec may be of another's making."""
    value = of.get(key)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _named(reference: object, kind: str, key: str) -> Iterator[tuple[str, str, bool]]:
    if isinstance(reference, dict) and reference.get(key):
        yield kind, str(reference[key]), bool(reference.get("optional"))


async def changed(cluster: Cluster, these: Sequence[Used], since: float) -> tuple[str, ...]:
    """What has become of them since then (Unix seconds), when the revision to go back to was deployed: sentences.

    What cannot be looked at is told in a sentence as well: it does not speak against going back.
    """
    limit = asyncio.Semaphore(_AT_ONCE)

    async def look(each: Used) -> str | PlatformError:
        async with limit:
            try:
                found = await cluster.get(_where(each), metadata_only=True)
            except PlatformError as error:
                return error
            return _drift(each, found, since)

    answers = await together(*map(look, these))
    pairs = list(zip(these, answers, strict=True))
    sentences = [answer for answer in answers if isinstance(answer, str) and answer]
    refusals = [(each, answer) for each, answer in pairs if isinstance(answer, PlatformError)]
    return (*sentences, *([_unseen(refusals)] if refusals else []))


def _where(each: Used) -> str:
    return path("v1", _RESOURCES[each.kind], each.namespace, each.name)


def _drift(each: Used, found: Object | None, since: float) -> str:
    if found is None:
        missing = f"{each}, needed by {each.users}, is not there: a rollback does not bring it back"
        return "" if each.optional else missing
    metadata = found.get("metadata") or {}
    newest, who = _newest(metadata)
    created = moment(metadata.get("creationTimestamp"))
    if created is not None and created > since:
        return _sentence(each, "created", max(created, newest), who)
    return _sentence(each, "changed", newest, who) if newest > since else ""


def _newest(metadata: Mapping[str, Any]) -> tuple[float, str]:
    """When its content was changed last, in Unix seconds (0 if nothing tells), and by whom."""
    entries = [
        (moment(entry.get("time")) or 0.0, str(entry.get("manager") or ""))
        for entry in metadata.get("managedFields") or ()
        if _DATA & set(entry.get("fieldsV1") or _DATA)  # labels and annotations are not what pods read
    ]
    return max(entries, default=(0.0, ""))


def _sentence(each: Used, how: str, at: float, who: str) -> str:
    when = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    by = f" by {who}" if who else ""
    return (
        f"{each}, used by {each.users}, was {how} since the revision to go back to was deployed ({when}{by}), and the "
        "release does not own it: a rollback does not bring it back"
    )


def _unseen(refusals: Sequence[tuple[Used, PlatformError]]) -> str:
    more = f" and {len(refusals) - _NAMED} more" if len(refusals) > _NAMED else ""
    named = ", ".join(str(each) for each, _ in refusals[:_NAMED]) + more
    why = "; ".join(dict.fromkeys(str(error) for _, error in refusals))
    return f"whether {named} changed since the revision to go back to was deployed is not known: {why}"
