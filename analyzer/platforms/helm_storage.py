"""A Helm release as it is kept in the cluster: what its Secret or ConfigMap says, by its metadata and whole. Pure.

Facts: Helm's `pkg/storage/driver` (`secrets.go`, `cfgmaps.go`, `util.go`) of version 3 and 4: base64 of gzip of JSON,
and labels. Both are written by whoever may write Secrets: nothing in them is taken for granted.
"""

import base64
import binascii
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from analyzer.errors import PlatformError
from analyzer.platforms.cluster import Object
from analyzer.platforms.helm_history import Entry, rolled_back_to
from analyzer.platforms.helm_manifest import documents
from analyzer.platforms.json_parts import values
from analyzer.platforms.parts import mapping, seconds
from analyzer.platforms.workloads import Workload, workloads

SECRET_TYPE: Final = "helm.sh/release.v1"  # noqa: S105 -- a type of Secrets
LARGEST: Final = 32 * 2**20
"""Bytes of a release, unpacked. It is packed into less than two MiB, which could as well become two GiB."""
LARGEST_MANIFEST: Final = 16 * 2**20
LARGEST_PARSED: Final = 2 * 2**20
"""Signs of those documents of a manifest that tell of workloads: a MiB takes ten seconds, in which others wait."""
MOST_WORKLOADS: Final = 500
"""Of one release: each is asked for."""

_OBJECT_NAME: Final = re.compile(
    r"sh\.helm\.release\.v1\.(?P<name>[a-z0-9][a-z0-9.-]{0,52})\.v(?P<revision>[1-9][0-9]{0,8})"
)
_GZIP: Final = b"\x1f\x8b\x08"
_WITH_HEADER: Final = 31  # zlib's word for a gzip
_HAS_WORKLOADS: Final = re.compile(r"\b(?:Deployment|StatefulSet|DaemonSet|Rollout|\w*List)\b")


class Storage(StrEnum):
    """Where a release is kept: how the API calls the kind."""

    SECRETS = "secrets"
    CONFIGMAPS = "configmaps"


@dataclass(frozen=True, slots=True)
class Kept:
    """What the metadata of a revision tell. `created_at` is in Unix seconds, by the API server's clock."""

    storage: Storage
    namespace: str
    name: str
    revision: int
    status: str
    uid: str
    created_at: float

    @property
    def object_name(self) -> str:
        """The name of the Secret or ConfigMap."""
        return f"sh.helm.release.v1.{self.name}.v{self.revision}"


@dataclass(frozen=True)
class Release:
    """What is needed of a revision. `is_way_back`: it restores an earlier one, whoever wanted that. `deployed_at` is in
    Unix seconds, by the clock of who brought it out; None where it does not say."""

    is_way_back: bool
    workloads: tuple[Workload, ...]
    deployed_at: float | None = None


def kept(found: Object, storage: Storage) -> Kept | None:
    """Of a Secret's or ConfigMap's metadata; None where they are not those of a release, whatever its labels say."""
    metadata, labels = mapping(found, "metadata"), mapping(found, "metadata", "labels")
    match = _OBJECT_NAME.fullmatch(str(metadata.get("name")))
    created_at = seconds(metadata.get("creationTimestamp"))
    if match is None or created_at is None or labels.get("owner") != "helm":
        return None
    if (labels.get("name"), labels.get("version")) != match.group("name", "revision"):
        return None
    return Kept(
        storage,
        str(metadata.get("namespace")),
        match["name"],
        int(match["revision"]),
        str(labels.get("status")),
        str(metadata.get("uid")),
        created_at,
    )


def read(found: Object, of: Kept) -> Release:
    """Of a Secret or ConfigMap with its data. Takes up to seconds; for a thread.

    Raises:
        PlatformError: it is not the release that its metadata say, or none at all.
    """
    where = f"{of.storage[:-1]} {of.object_name} in namespace {of.namespace}"
    try:
        told = values(
            _unpacked(found, of.storage), ("name", "namespace", "version", "info", "manifest"), LARGEST_MANIFEST
        )
        entry = _entry(told, of)
        deployed_at = seconds(mapping(told, "info").get("last_deployed"))
        return Release(rolled_back_to(entry) is not None, _workloads(told.get("manifest"), of.namespace), deployed_at)
    except Exception as error:  # noqa: BLE001 -- whatever is in it, and whatever a parser makes of that
        why = " ".join(str(error).split())[:200] if type(error) is ValueError else "it is none of Helm's"
        raise PlatformError(f"the release in {where} cannot be read: {why}") from None


def _unpacked(found: Object, storage: Storage) -> bytes:
    """Its JSON.

    Raises:
        ValueError: there is none, or too much of it.
    """
    data = str(mapping(found, "data").get("release") or "")
    if not data:
        raise ValueError("it has no data")
    try:
        packed = base64.b64decode(data, validate=True)
        if storage == Storage.SECRETS:  # the API server has written it in base64 once more
            packed = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is no base64") from None
    if not packed.startswith(_GZIP):
        return packed
    unpacking = zlib.decompressobj(_WITH_HEADER)
    text = unpacking.decompress(packed, LARGEST)
    if not unpacking.eof:
        raise ValueError(f"it is cut off, or has more than {LARGEST >> 20} MiB")
    return text


def _entry(told: Mapping[str, Any], of: Kept) -> Entry:
    """It in the words of a history.

    Raises:
        ValueError: it is not the revision that its metadata say.
    """
    if (told.get("name"), told.get("namespace"), told.get("version")) != (of.name, of.namespace, of.revision):
        raise ValueError("it is another release than its name and labels say")
    info = mapping(told, "info")
    return Entry(
        revision=of.revision,
        status=str(info.get("status") or ""),
        description=str(info.get("description") or ""),
        rollback_revision=info.get("rollback_revision") or 0,
    )


def _workloads(manifest: object, namespace: str) -> tuple[Workload, ...]:
    """Its workloads without their templates: a few words each, of whatever size they are."""
    if not isinstance(manifest, str):
        return ()
    # Parsing is slow, and most of a manifest are objects of other kinds.
    some = [each for each in documents(manifest) if _HAS_WORKLOADS.search(each)]
    if sum(map(len, some)) > LARGEST_PARSED:
        raise ValueError(f"its workloads take more than {LARGEST_PARSED >> 20} MiB")
    found = workloads("\n---\n".join(some), namespace)
    if len(found) > MOST_WORKLOADS:
        raise ValueError(f"it has more than {MOST_WORKLOADS} workloads")
    return _named(found)


def _named(found: Iterable[Workload]) -> tuple[Workload, ...]:
    return tuple(Workload(each.kind, each.api_version, each.namespace, each.name, {}) for each in found)
