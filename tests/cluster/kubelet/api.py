"""The API server as the kubelet sees it: JSON over HTTPS, lists that are watched, and patience while it restarts."""

import asyncio
import base64
import json
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlencode

import httpx
from ruamel.yaml import YAML

Json = dict[str, Any]

STRATEGIC: Final = "application/strategic-merge-patch+json"
_PAUSE: Final = 0.3  # seconds between attempts
_WATCH: Final = 240  # seconds that a watch lasts
_PATIENCE: Final = 10.0  # seconds for an answer

log = logging.getLogger(__name__)


class Refused(Exception):  # noqa: N818 -- a sentence: the API server refused
    """An answer that is not a success; `code` is its HTTP status."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text[:500]}")
        self.code = code

    @property
    def passing(self) -> bool:
        """Whether the same call may succeed later."""
        return self.code >= 500 or self.code == 429


@dataclass(frozen=True, slots=True)
class Access:
    """Where the API server is, and who asks it: a server, a token and what its certificate is checked against."""

    server: str
    token: str
    context: ssl.SSLContext

    @classmethod
    def load(cls, kubeconfig: Path) -> Self:
        """The current context of a kubeconfig file whose user has a token."""
        content = YAML(typ="safe").load(kubeconfig.read_text())
        context = _named(content["contexts"], content["current-context"])["context"]
        cluster = _named(content["clusters"], context["cluster"])["cluster"]
        user = _named(content["users"], context["user"])["user"]
        return cls(cluster["server"].rstrip("/"), user["token"], _trust(cluster, kubeconfig.parent))


def _named(members: list[Json], name: str) -> Json:
    return next(member for member in members if member["name"] == name)


def _authority(cluster: Json, folder: Path) -> str:
    if data := cluster.get("certificate-authority-data"):
        return base64.b64decode(data).decode()
    if file := cluster.get("certificate-authority"):
        return (folder / file).read_text()
    return ""


def _trust(cluster: Json, folder: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=_authority(cluster, folder) or None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


class Api:
    """One client for all that the kubelet asks. Use it as `async with`."""

    def __init__(self, access: Access) -> None:
        self._client = httpx.AsyncClient(
            base_url=access.server,
            headers={"Authorization": f"Bearer {access.token}"},
            verify=access.context,
            timeout=_PATIENCE,
            # No limit: a request that is cancelled while it connects keeps its place in the pool for good, and a
            # kubelet that runs for a quarter of an hour cancels more than the usual hundred.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),
            trust_env=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def call(self, method: str, path: str, body: object = None, *, kind: str = "application/json") -> Json:
        """One call. Raises Refused, or httpx.TransportError when the server cannot be reached."""
        content = None if body is None else json.dumps(body)
        response = await self._client.request(method, path, content=content, headers={"Content-Type": kind})
        if not response.is_success:
            raise Refused(response.status_code, response.text)
        answer: Json = response.json()
        return answer

    async def insist(self, method: str, path: str, body: object = None, *, kind: str = "application/json") -> Json:
        """The same, again and again while the server cannot be reached or has trouble. Raises Refused."""
        while True:
            try:
                return await self.call(method, path, body, kind=kind)
            except httpx.TransportError as error:
                log.info("%s %s: %r", method, path, error)
            except Refused as refused:
                if not refused.passing:
                    raise
                log.info("%s %s: %s", method, path, refused)
            await asyncio.sleep(_PAUSE)

    async def watch(self, path: str, *, labels: str = "") -> AsyncIterator[tuple[str, Any]]:
        """For ever: ("LIST", all objects), then (ADDED | MODIFIED | DELETED, object), and a new list when that ends.

        `labels` is a label selector.
        """
        selected = {"labelSelector": labels}
        while True:
            try:
                collection = await self.insist("GET", f"{path}?{urlencode(selected)}")
                yield "LIST", collection["items"]
                since = {"resourceVersion": collection["metadata"]["resourceVersion"]}
                async for event in self._events(path, selected | since):
                    yield event
            except httpx.TransportError as error:
                log.info("watching %s: %r", path, error)
            except Refused as refused:
                log.warning("watching %s: %s", path, refused)
            await asyncio.sleep(_PAUSE)

    async def _events(self, path: str, which: Mapping[str, str]) -> AsyncIterator[tuple[str, Json]]:
        parameters = {"watch": "1", "timeoutSeconds": str(_WATCH), **which}
        timeout = httpx.Timeout(_PATIENCE, read=_WATCH + _PATIENCE)
        async with self._client.stream("GET", path, params=parameters, timeout=timeout) as response:
            if not response.is_success:
                raise Refused(response.status_code, (await response.aread()).decode())
            async for line in response.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return
                yield event["type"], event["object"]
