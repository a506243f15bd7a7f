"""The volumes of a pod as folders of this machine: what they are of is asked for, and asked for again."""

import asyncio
import logging
import shutil
import time
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any, Final

from tests.cluster.kubelet.api import Api, Refused
from tests.cluster.kubelet.fields import field_of
from tests.cluster.kubelet.files import Files, Unready, chosen, own, swap

Json = dict[str, Any]

_AGAIN: Final = 1.0  # seconds between looks at what volumes are made of; a kubelet takes up to a minute
_HOUR: Final = 3600  # seconds that a token is good for
_RENEWED: Final = 0.8  # of its life, and there is a new one
_WAITING: Final = "ContainerCreating"
_CLAIM: Final = "application/merge-patch+json"

log = logging.getLogger(__name__)


class Volumes:
    """`make`, then `folders`; `refresh` runs beside the pod, and `remove` takes away what does not outlive it.

    Of the kinds there are configMap, secret, downwardAPI, projected, emptyDir and persistentVolumeClaim: its folder is
    kept by the claim's uid, and the first pod that uses the claim binds it.
    """

    def __init__(self, pod: Json, address: str, api: Api, folder: Path, claims: Path) -> None:
        self._pod, self._address, self._api = pod, address, api
        self._folder, self._claims = folder, claims
        self._group: int | None = (pod["spec"].get("securityContext") or {}).get("fsGroup")
        self._tokens: dict[str, tuple[float, bytes]] = {}
        self.folders: dict[str, Path] = {}

    async def make(self) -> None:
        """Make all that are not made yet. Raises Unready while something is missing."""
        for volume in self._pod["spec"].get("volumes", ()):
            if volume["name"] not in self.folders:
                self.folders[volume["name"]] = await self._make(volume)

    async def refresh(self) -> None:
        """For ever: files follow what they are made of. One that has gone leaves them as they were."""
        while True:
            await asyncio.sleep(_AGAIN)
            for volume in self._pod["spec"].get("volumes", ()):
                if volume["name"] in self.folders and (sources := _sources(volume)):
                    try:
                        await self._write(volume, sources)
                    except (Unready, Refused) as why:
                        log.info("volume %s: %s", volume["name"], why)

    def are_files(self, name: str) -> bool:
        """Whether this volume is made of what the API server says: nobody may write to it."""
        return any(volume["name"] == name and _sources(volume) for volume in self._pod["spec"].get("volumes", ()))

    def remove(self) -> None:
        """The pod has gone: claims stay."""
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _make(self, volume: Json) -> Path:
        if sources := _sources(volume):
            return await self._write(volume, sources)
        if "persistentVolumeClaim" in volume:
            folder = self._claims / await self._bound(volume["persistentVolumeClaim"]["claimName"])
            return self._writable(folder, 0o755)
        if "emptyDir" in volume:
            return self._writable(self._folder / volume["name"], 0o777)
        kind = next(key for key in volume if key != "name")
        raise Unready(_WAITING, f"volume {volume['name']}: there are no volumes of the kind {kind} here")

    def _writable(self, folder: Path, mode: int) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode if self._group is None else 0o2775)
        own(folder, self._group)
        return folder

    async def _write(self, volume: Json, sources: list[Json]) -> Path:
        folder = self._folder / volume["name"]
        files: Files = {}
        for source in sources:
            ((kind, content),) = source.items()
            files |= await self._files(kind)(content)
        if swap(folder, files, _mode(volume), self._group):
            log.info("volume %s of %s is written", volume["name"], self._pod["metadata"]["name"])
        return folder

    def _files(self, kind: str) -> Callable[[Json], Coroutine[Any, Any, Files]]:
        known = {
            "configMap": self._of_config_map,
            "secret": self._of_secret,
            "downwardAPI": self._of_fields,
            "serviceAccountToken": self._of_account,
        }
        if kind not in known:
            raise Unready(_WAITING, f"there are no sources of the kind {kind} here")
        return known[kind]

    async def _of_config_map(self, source: Json) -> Files:
        return await self._of_object("configmaps", source["name"], source)

    async def _of_secret(self, source: Json) -> Files:
        return await self._of_object("secrets", source.get("secretName") or source["name"], source)

    async def _of_object(self, kind: str, name: str, source: Json) -> Files:
        try:
            found = await object_of(self._api, self._pod, kind, name)
        except Unready:
            if source.get("optional"):
                return {}
            raise
        return chosen(found, source)

    async def _of_fields(self, source: Json) -> Files:
        items = [
            (item["path"], item["fieldRef"]["fieldPath"]) for item in source.get("items", ()) if "fieldRef" in item
        ]
        return {path: field_of(self._pod, self._address, field).encode() for path, field in items}

    async def _of_account(self, source: Json) -> Files:
        renewed, token = self._tokens.get(source["path"], (0.0, b""))
        lasts = source.get("expirationSeconds", _HOUR)
        if time.monotonic() >= renewed:
            renewed, token = time.monotonic() + lasts * _RENEWED, await self._token(source, lasts)
            self._tokens[source["path"]] = renewed, token
        return {source["path"]: token}

    async def _token(self, source: Json, lasts: int) -> bytes:
        meta, account = self._pod["metadata"], self._pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}/token"
        reference = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
        audiences = {"audiences": [source["audience"]]} if source.get("audience") else {}
        wanted = {"expirationSeconds": lasts, "boundObjectRef": reference, **audiences}
        try:
            answer = await self._api.insist("POST", path, {"spec": wanted})
        except Refused as refused:
            raise Unready(_WAITING, f"a token of ServiceAccount {account}: {refused}") from refused
        return str(answer["status"]["token"]).encode()

    async def _bound(self, name: str) -> str:
        """Bind the claim, unless it is; its uid."""
        claim = await object_of(self._api, self._pod, "persistentvolumeclaims", name)
        if claim.get("status", {}).get("phase") != "Bound":
            status = {
                "phase": "Bound",
                "accessModes": claim["spec"]["accessModes"],
                "capacity": claim["spec"]["resources"]["requests"],
            }
            path = f"/api/v1/namespaces/{claim['metadata']['namespace']}/persistentvolumeclaims/{name}/status"
            await self._api.insist("PATCH", path, {"status": status}, kind=_CLAIM)
        return str(claim["metadata"]["uid"])


async def object_of(api: Api, pod: Json, kind: str, name: str) -> Json:
    """An object of the pod's namespace. Raises Unready while there is none."""
    try:
        found = await api.insist("GET", f"/api/v1/namespaces/{pod['metadata']['namespace']}/{kind}/{name}")
    except Refused as refused:
        raise Unready(_WAITING, f"{kind} {name}: {refused}") from refused
    return found


def _sources(volume: Json) -> list[Json]:
    """What its files are made of; nothing if it has none."""
    if "projected" in volume:
        return list(volume["projected"].get("sources") or ())
    return [{kind: volume[kind]} for kind in ("configMap", "secret", "downwardAPI") if kind in volume]


def _mode(volume: Mapping[str, Any]) -> int:
    kinds = ("configMap", "secret", "downwardAPI", "projected")
    return next((int(volume[kind].get("defaultMode", 0o644)) for kind in kinds if kind in volume), 0o644)
