"""Lists and watches of the API server, of metadata alone: one step each. Going on after one is up to who asks.

Facts: https://kubernetes.io/docs/reference/using-api/api-concepts/ (efficient detection of changes).
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from analyzer.errors import PlatformUnavailable
from analyzer.platforms.cluster import Cluster, Expired, Object
from analyzer.platforms.parts import items, mapping

PAGE: Final = 500
"""Objects in one page of a list."""
LARGEST: Final = 16 * 2**20
"""Bytes of one change: etcd keeps no object of more than some two."""
LASTS: Final = 300
"""Seconds after which the API server is to end a watch."""
SILENCE: Final = 150.0
"""Seconds without a word after which a connection is taken for dead: the API server sends a bookmark each minute."""

_KIND = "as={};g=meta.k8s.io;v=v1"
_LIST = f"application/json;{_KIND.format('PartialObjectMetadataList')}"
_OBJECT = f"application/json;{_KIND.format('PartialObjectMetadata')}"
_GONE = 410
_CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED", "BOOKMARK"})


@dataclass(frozen=True)
class Collection:
    """What is listed and watched: its path, and selectors as the API's parameters."""

    where: str
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """A part of a list. `version` is the list's: where a watch goes on from."""

    objects: Sequence[Object]
    version: str


@dataclass(frozen=True)
class Change:
    """One word of a watch: ADDED, MODIFIED or DELETED, and the object's metadata; BOOKMARK, and a version alone; first
    of all OPENED, and nothing."""

    kind: str
    object: Object

    @property
    def version(self) -> str:
        """Where a watch goes on from after this; empty where it does not say."""
        return str(mapping(self.object, "metadata").get("resourceVersion") or "")


async def pages(cluster: Cluster, of: Collection) -> AsyncGenerator[Page, None]:
    """All that is there, page by page: nobody needs to hold it at once.

    Raises:
        Expired: it took so long that the API server has forgotten where it goes on.
        NoObject: there is no such kind.
        PlatformError: as of `Cluster.get`.
    """
    more = ""
    while True:
        query = {**of.query, "limit": str(PAGE), "continue": more}
        page = await cluster.page(of.where, query, _LIST)
        metadata = mapping(page, "metadata")
        version, more = str(metadata.get("resourceVersion") or ""), str(metadata.get("continue") or "")
        if not version:
            raise PlatformUnavailable(
                f"the Kubernetes API server answers with something else than a list of {of.where}"
            )
        yield Page(items(page.get("items")), version)
        if not more:
            return


async def changes(
    cluster: Cluster, of: Collection, version: str, silence: float = SILENCE
) -> AsyncGenerator[Change, None]:
    """What changes after `version`, until the API server ends it.

    Raises:
        Expired: it has forgotten that version.
        PlatformUnavailable: it was cut off, or nothing was said for `silence` seconds, or it is no watch.
        PlatformError: as of `Cluster.get`.
    """
    watch = {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(LASTS), "resourceVersion": version}
    rest = bytearray()
    async with aclosing(cluster.stream(of.where, {**of.query, **watch}, _OBJECT, silence=silence)) as parts:
        async for part in parts:
            if not part:
                yield Change("OPENED", {})
            *lines, rest_of_it = part.split(b"\n")
            for line in lines:
                rest += line
                if rest.strip():
                    yield _change(bytes(rest), of)
                rest.clear()
            rest += rest_of_it
            if len(rest) > LARGEST:
                raise PlatformUnavailable(f"a change of {of.where} has more than {LARGEST >> 20} MiB")


def _change(line: bytes, of: Collection) -> Change:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        found = None
    kind, thing = (found.get("type"), mapping(found, "object")) if isinstance(found, dict) else (None, {})
    if kind == "ERROR":
        said = f"{thing.get('reason') or ''} {thing.get('message') or ''}".strip()[:300]
        if thing.get("code") == _GONE:
            raise Expired(f"the Kubernetes API server cannot go on with changes of {of.where}: {said}")
        raise PlatformUnavailable(
            f"the Kubernetes API server ends the changes of {of.where}: {said or 'for no reason'}"
        )
    if kind not in _CHANGES:
        raise PlatformUnavailable(f"the Kubernetes API server answers with something else than changes of {of.where}")
    return Change(str(kind), dict(thing))
