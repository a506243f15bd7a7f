"""A Kubernetes API server: plain objects in and out, and every failure as one sentence.

Only as much as the platforms need: objects are the API's own JSON, as dictionaries.
"""

import asyncio
import json
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.errors import PlatformConflict, PlatformError, PlatformForbidden, PlatformUnavailable

if TYPE_CHECKING:
    from aiohttp import ClientResponse
    from kubernetes.aio.client import ApiClient

Object = dict[str, Any]
"""One Kubernetes object, as the API server's JSON."""

_PAGE = 500  # objects in one answer
_MOST_PAGES = 1000  # of one list
_LARGEST = 64 * 2**20  # bytes of one answer
_LONGEST = 500  # characters of what the API server says
_FORBIDDEN = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
    r'(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_SEGMENT = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._:@~+=-]{1,253}\Z")  # of a path
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"


@dataclass(frozen=True)
class ClusterSettings:
    """Which cluster. Without a kubeconfig: KUBECONFIG, then ~/.kube/config, then the pod's own ServiceAccount.

    `time_limit` is in seconds, for one request. `connections` is how many may be open at once, 0: any number.
    """

    kubeconfig: str | None = None
    context: str | None = None
    time_limit: float = 10.0
    connections: int = 100

    @classmethod
    def of(cls, kubeconfig: Path | None, context: str | None, connections: int = 100) -> "ClusterSettings":
        """As a caller gives them. Without a context it is the one that helm takes: both must mean the same cluster."""
        found = context or os.environ.get("HELM_KUBECONTEXT") or None
        return cls(kubeconfig=str(kubeconfig) if kubeconfig else None, context=found, connections=connections)


def path(api_version: str, resource: str, namespace: str = "", name: str = "", part: str = "") -> str:
    """The API path of objects: `path("apps/v1", "deployments", "shop", "web", "scale")`.

    Raises:
        PlatformError: one of them leads elsewhere, such as `../secrets/other`; names come from manifests as well.
    """
    for word in (*api_version.split("/", 1), resource, namespace, name, part):
        if word and not _SEGMENT.match(word):
            raise PlatformError(
                f"{_said(word)!r} is no name of an object or a kind of Kubernetes: correct the manifest"
            )
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    within = f"/namespaces/{namespace}" if namespace else ""
    return "/".join([f"{root}{within}/{resource}", *(word for word in (name, part) if word)])


@dataclass
class _Connection:
    """A client, the namespace of its context, and how many requests are under way."""

    client: "ApiClient"
    namespace: str
    users: int = 0


class Cluster:
    """One API server. Connects with the first request; to be closed."""

    def __init__(self, settings: ClusterSettings | None = None) -> None:
        self._settings = settings or ClusterSettings()
        self._connection: _Connection | None = None
        self._connecting = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.client.close()

    async def namespace(self) -> str:
        """The namespace that applies where none is named: that of the kubeconfig's context, or the pod's own.

        Raises:
            PlatformError: no cluster is configured.
        """
        return (await self._connected()).namespace

    async def get(self, where: str, *, metadata_only: bool = False) -> Object | None:
        """One object, None if there is none.

        Raises:
            PlatformError: a sentence; PlatformUnavailable when asking again may help, PlatformForbidden without the
            right.
        """
        try:
            return await self._send("GET", where, accept=_METADATA if metadata_only else None)
        except NoObject:
            return None

    async def items(self, where: str, query: Mapping[str, str] | None = None) -> list[Object]:
        """All objects of a list, such as `path("v1", "pods", "shop")` with `{"labelSelector": "app=web"}`.

        Raises:
            PlatformError: as for `get`.
        """
        found: list[Object] = []
        more = ""
        for _ in range(_MOST_PAGES):
            page = await self._send("GET", where, {**(query or {}), "limit": str(_PAGE), "continue": more})
            objects, more = _page(page, where)
            found += objects
            if not more:
                return found
        raise PlatformError(f"the Kubernetes API server's list of {where} has no end: it has {len(found)} objects")

    async def page(self, where: str, query: Mapping[str, str], accept: str) -> Object:
        """One page of a list, as the API server gives it.

        Raises:
            Expired: it goes on from where nobody remembers.
            PlatformError: as for `get`; NoObject: there is no such kind.
        """
        return await self._send("GET", where, query, accept=accept)

    async def stream(
        self, where: str, query: Mapping[str, str], accept: str, *, silence: float
    ) -> AsyncGenerator[bytes, None]:
        """An answer that may never end, as it comes: first nothing, when it has begun. Nothing for `silence` seconds is
        an error.

        Raises:
            PlatformError: as for `page`.
        """
        call = {"query_params": [*query.items()], "header_params": {"Accept": accept}, "body": None}
        for may_be_stale in (self._connection is not None, False):
            async with self._using() as connection, self._answering(connection, "GET", where, call, silence) as answer:
                if answer.status == 200:  # noqa: PLR2004 -- HTTP's own number
                    yield b""
                    async for part in answer.content.iter_any():
                        yield part
                    return
                self._note(answer.status, connection)
                if answer.status != 401 or not may_be_stale:  # noqa: PLR2004 -- as above
                    _answer(answer.status, await _body(answer, where), "GET", where)
                    raise PlatformUnavailable(f"the Kubernetes API server streams nothing of {where}")

    async def create(self, where: str, body: Object) -> Object:
        """Create an object.

        Raises:
            PlatformConflict: it is there already.
            PlatformError: as for `get`.
        """
        return await self._send("POST", where, body=body)

    async def replace(self, where: str, body: Object) -> Object:
        """Replace an object; with its resourceVersion only if nobody has changed it since.

        Raises:
            PlatformConflict: somebody has.
            PlatformError: as for `get`.
        """
        return await self._send("PUT", where, body=body)

    async def merge(self, where: str, body: Object) -> Object:
        """Change parts of an object (a JSON merge patch); with its resourceVersion only if nobody has changed it since.

        Raises:
            PlatformConflict: somebody has.
            PlatformError: as for `get`; NoObject: it is not there.
        """
        return await self._send("PATCH", where, body=body, content="application/merge-patch+json")

    async def patch(self, where: str, operations: Sequence[Object]) -> Object:
        """Change an object by the operations of a JSON patch (RFC 6902), all of them or none.

        Raises:
            PlatformError: as for `merge`; also where one of its tests does not hold.
        """
        return await self._send("PATCH", where, body=list(operations), content="application/json-patch+json")

    async def _connected(self) -> _Connection:
        from analyzer.platforms.kubeconfig import connect  # noqa: PLC0415 -- half a second, not for every command

        async with self._connecting:
            if self._connection is None:
                client, namespace = await connect(self._settings.kubeconfig, self._settings.context)
                client.rest_client.maxsize = self._settings.connections
                self._connection = _Connection(client, namespace)
            return self._connection

    @asynccontextmanager
    async def _using(self) -> AsyncIterator[_Connection]:
        """The connection; one that has been given up is closed by its last user."""
        connection = await self._connected()
        connection.users += 1
        try:
            yield connection
        finally:
            connection.users -= 1
            if connection is not self._connection and not connection.users:
                await connection.client.close()

    async def _send(
        self,
        method: str,
        where: str,
        query: Mapping[str, str] | None = None,
        *,
        body: Object | list[Object] | None = None,
        accept: str | None = None,
        content: str = "application/json",
    ) -> Object:
        parameters = [(name, value) for name, value in (query or {}).items() if value]
        headers = {"Accept": accept or "application/json", "Content-Type": content}
        for may_be_stale in (self._connection is not None, False):
            async with self._using() as connection:
                call = {"query_params": parameters, "header_params": dict(headers), "body": body}
                async with self._answering(connection, method, where, call) as response:
                    status, data = response.status, await _body(response, where)
                self._note(status, connection)
            if status != 401 or not may_be_stale:  # noqa: PLR2004 -- HTTP's own number
                break  # else once more: a token may have been renewed
        return _answer(status, data, method, where)

    def _note(self, status: int, connection: _Connection) -> None:
        """After a refusal of our credentials, the next request reads the configuration anew."""
        if status == 401 and self._connection is connection:  # noqa: PLR2004 -- HTTP's own number
            self._connection = None

    @asynccontextmanager
    async def _answering(
        self, connection: _Connection, method: str, where: str, call: dict[str, Any], silence: float | None = None
    ) -> AsyncIterator["ClientResponse"]:
        """An answer, to be read while this is open; `silence` (seconds) bounds no more than each pause in it."""
        import aiohttp  # noqa: PLC0415 -- half a second, which not every command needs

        limit = aiohttp.ClientTimeout(total=self._settings.time_limit)
        if silence is not None:
            limit = aiohttp.ClientTimeout(sock_connect=self._settings.time_limit, sock_read=silence)
        with _translated(connection.client.configuration.host):
            request = await connection.client.param_serialize(method, where, auth_settings=["BearerToken"], **call)
            answer = await connection.client.call_api(*request, _request_timeout=limit)
            async with answer.response as response:
                yield response


@contextmanager
def _translated(host: str) -> Iterator[None]:
    """What the client raises, as a sentence about this server."""
    import aiohttp  # noqa: PLC0415 -- half a second, which not every command needs
    from kubernetes.aio.config import ConfigException  # noqa: PLC0415 -- as above

    try:
        yield
    except aiohttp.ClientConnectorCertificateError as error:
        raise PlatformError(
            f"the Kubernetes API server at {host} is not trusted: {_said(str(error.certificate_error))}; correct "
            "the kubeconfig's certificate-authority"
        ) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise PlatformUnavailable(_away(host, error)) from error
    except (ConfigException, ValueError, TypeError) as error:
        raise PlatformError(
            f"the Kubernetes API server at {host} cannot be asked: {_said(str(error))}; correct the kubeconfig"
        ) from error


async def _body(response: "ClientResponse", where: str) -> bytes:
    data = bytearray()
    async for part in response.content.iter_any():
        data += part
        if len(data) > _LARGEST:
            response.close()
            raise PlatformError(f"the Kubernetes API server's answer about {where} has more than {_LARGEST >> 20} MiB")
    return bytes(data)


class NoObject(PlatformError):  # noqa: N818 -- as in errors.py
    """There is no such object."""


class Expired(PlatformUnavailable):
    """What was asked for goes on from where the API server remembers nothing any more: it is to be listed anew."""


def _answer(status: int, data: bytes, method: str, where: str) -> Object:
    """The object in an answer.

    Raises:
        PlatformError: it is a refusal.
    """
    try:
        found = json.loads(data) if data else {}
    except (ValueError, RecursionError):
        found = None
    if status < 300 and isinstance(found, dict):  # noqa: PLR2004 -- HTTP's own number
        return found
    message = str(found.get("message", "")) if isinstance(found, dict) else ""
    message = _said(message or data[:200].decode(errors="replace")) or f"HTTP {status}"
    match status:
        case 401:
            raise PlatformForbidden(
                f"the Kubernetes API server does not accept our credentials: {message}; log in again, or choose "
                "another kubeconfig or context"
            )
        case 403:
            raise PlatformForbidden(forbidden(message))
        case 404:
            raise NoObject(f"the Kubernetes API server knows no {where}: {message}")
        case 409:
            raise PlatformConflict(f"{where} was changed by something else at the same time: {message}")
        case 410:
            raise Expired(f"the Kubernetes API server cannot answer now (HTTP {status}): {message}")
        case _ if status == 429 or status >= 500 or status < 300:  # noqa: PLR2004 -- HTTP's own numbers
            raise PlatformUnavailable(f"the Kubernetes API server cannot answer now (HTTP {status}): {message}")
    raise PlatformError(f"the Kubernetes API server refuses {method} {where} (HTTP {status}): {message}")


def forbidden(message: str) -> str:
    """The API server's refusal, as a sentence that names the missing permission."""
    match = _FORBIDDEN.search(message)
    if not match:
        return f"the Kubernetes API server forbids that: {message}; grant it with a Role and a RoleBinding"
    user, verb, resource, group, namespace = match.group("user", "verb", "resource", "group", "namespace")
    where = f'in namespace "{namespace}"' if namespace else "in the whole cluster"
    kind = "a Role and a RoleBinding" if namespace else "a ClusterRole and a ClusterRoleBinding"
    return f'user {user} may not {verb} {resource} (API group "{group}") {where}; grant it with {kind}'


def _page(page: Object, where: str) -> tuple[list[Object], str]:
    """The objects of one page of a list, and where it goes on.

    Raises:
        PlatformUnavailable: it is no list.
    """
    objects, metadata = page.get("items") or [], page.get("metadata") or {}
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        raise PlatformUnavailable(f"the Kubernetes API server answers with something else than a list of {where}")
    return objects, str(metadata.get("continue") or "") if isinstance(metadata, dict) else ""


def _said(text: str) -> str:
    """What somebody else says, in one line of bounded length that changes no terminal."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _away(host: str, error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        reason = "it did not answer in time"
    else:
        cause = getattr(error, "os_error", error)  # aiohttp's words about it are for programmers
        number = getattr(cause, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else _said(str(error)) or type(error).__name__
    return f"the Kubernetes API server at {host} cannot be reached: {reason}"


def selector(labels: Mapping[str, str] | None, expressions: Sequence[Mapping[str, Any]] | None = None) -> str:
    """A label selector of an object's spec, as the API's `labelSelector` parameter."""
    parts = [f"{name}={value}" for name, value in (labels or {}).items()]
    for each in expressions or ():
        key, values = each.get("key"), ",".join(each.get("values") or [])
        match each.get("operator"):
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(f"{key}")
            case "DoesNotExist":
                parts.append(f"!{key}")
    return ",".join(parts)
