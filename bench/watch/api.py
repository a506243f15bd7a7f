"""A Kubernetes API server of a few lines, in a process of its own: release Secrets by list, watch and get.

`main` prints its port. Secrets are made when they are asked for: it is not what is measured.
POST /upgrade brings out a new revision of every release.
"""

import asyncio
import base64
import gzip
import json
import random
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from aiohttp import web

RELEASES: Final = 300
REVISIONS: Final = 10
SIZES: Final = (200_000, 500_000)
"""Bytes of a Secret's data."""
NAMESPACE: Final = "shop"

Object = dict[str, Any]


class Api:
    """All releases, and who watches them."""

    def __init__(self) -> None:
        self.newest = REVISIONS
        self.version = 1000
        self.watches: list[asyncio.Queue[Object]] = []
        self.fetched = 0

    async def secrets(self, request: web.Request) -> web.StreamResponse:
        accept = request.headers.get("Accept", "")
        if "as=PartialObjectMetadata" not in accept:
            return web.json_response({"message": "whole Secrets are asked for"}, status=406)
        if "watch" in request.query:
            return await self.watch(request)
        keys = sorted(f"{release}.{number}" for release in range(RELEASES) for number in range(1, self.newest + 1))
        begin = int(request.query.get("continue") or 0)
        end = begin + int(request.query["limit"])
        items = [
            self.metadata(int(release), int(number))
            for release, _, number in (key.partition(".") for key in keys[begin:end])
        ]
        more = str(end) if end < len(keys) else ""
        return web.json_response({"metadata": {"resourceVersion": str(self.version), "continue": more}, "items": items})

    async def watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        coming: asyncio.Queue[Object] = asyncio.Queue()
        self.watches.append(coming)
        while True:
            await answer.write(json.dumps(await coming.get()).encode() + b"\n")

    async def upgrade(self, _: web.Request) -> web.Response:
        """Each release: the old revision is superseded, the new one comes as pending, then as deployed."""
        self.newest += 1
        for release in range(RELEASES):
            words = (("MODIFIED", self.newest - 1, "superseded"), ("ADDED", self.newest, "pending-upgrade"))
            for kind, number, status in (*words, ("MODIFIED", self.newest, "deployed")):
                self.version += 1
                said = {"type": kind, "object": self.metadata(release, number, status)}
                for each in self.watches:
                    each.put_nowait(said)
            await asyncio.sleep(0.01)
        return web.json_response({"fetched": self.fetched})

    async def secret(self, request: web.Request) -> web.Response:
        *_, release, revision = request.match_info["name"].replace("web-", "").split(".")
        self.fetched += 1
        number = int(revision.removeprefix("v"))
        found = {**self.metadata(int(release), number), "data": {"release": _data(int(release), number)}}
        return web.json_response(found)

    async def asked(self, _: web.Request) -> web.Response:
        return web.json_response({"fetched": self.fetched})

    def metadata(self, release: int, number: int, status: str = "") -> Object:
        """As the API server has it, what its managers wrote among it."""
        name = f"web-{release}"
        found = status or ("deployed" if number == self.newest else "superseded")
        labels = {"owner": "helm", "name": name, "status": found, "version": str(number), "modifiedAt": "1790000000"}
        fields: Object = {f"f:{key}": {} for key in labels}
        managed = {"manager": "helm", "operation": "Update", "apiVersion": "v1", "fieldsV1": {"f:labels": fields}}
        metadata = {
            "name": f"sh.helm.release.v1.{name}.v{number}",
            "namespace": NAMESPACE,
            "uid": f"00000000-0000-4000-8000-{release:06d}{number:06d}",
            "resourceVersion": str(self.version),
            "creationTimestamp": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
            "labels": labels,
            "managedFields": [managed],
        }
        return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}


@lru_cache(maxsize=16)
def _noise(size: int) -> str:
    return base64.b64encode(random.Random(size).randbytes(size)).decode()


def _data(release: int, number: int) -> str:
    """A release as Helm packs it: mostly its chart, whose templates do not pack well here."""
    size = random.Random(release * 1000 + number).randrange(*SIZES) // 20_000 * 20_000
    manifest = "".join(
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: web-{release}-{each}\ndata:\n  key: value\n"
        for each in range(500)
    ) + (
        f"---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web-{release}\nspec:\n  template:\n"
        "    spec:\n      containers: [{name: web, image: registry.example/web}]\n"
    )
    told = {
        "name": f"web-{release}",
        "info": {"status": "deployed", "description": "Upgrade complete"},
        # Packed once, base64 grows by a third twice.
        "chart": {"templates": [{"name": "templates/all.yaml", "data": _noise(size * 9 // 16)}], "values": {}},
        "manifest": manifest,
        "version": number,
        "namespace": NAMESPACE,
    }
    packed = base64.b64encode(gzip.compress(json.dumps(told).encode(), 1))
    return base64.b64encode(packed).decode()


async def _absent(_: web.Request) -> web.Response:
    return web.json_response({"message": "not found"}, status=404)


async def _nothing(request: web.Request) -> web.StreamResponse:
    if "watch" not in request.query:
        return web.json_response({"metadata": {"resourceVersion": "1"}, "items": []})
    answer = web.StreamResponse(headers={"Content-Type": "application/json"})
    await answer.prepare(request)
    await asyncio.Event().wait()
    return answer


async def _plain(request: web.Request) -> web.Response:
    return web.json_response({"metadata": {"name": request.match_info["name"], "labels": {"app": "web"}}})


async def main() -> None:
    api = Api()
    app = web.Application()
    within = f"/namespaces/{NAMESPACE}"
    app.router.add_get("/api/v1/secrets", api.secrets)
    app.router.add_get("/api/v1/configmaps", _nothing)
    app.router.add_get(f"/api/v1{within}/secrets/{{name}}", api.secret)
    app.router.add_get("/api/v1/namespaces/{name}", _plain)
    app.router.add_get(f"/apis/apps/v1{within}/deployments/{{name}}", _plain)
    app.router.add_post("/upgrade", api.upgrade)
    app.router.add_get("/asked", api.asked)
    app.router.add_get("/{rest:.*}", _absent)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    (address, *_) = runner.addresses
    print(address[1], flush=True)
    await asyncio.Event().wait()
