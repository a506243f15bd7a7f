"""One request to a server of `canary serve` and its answer, or a sentence that says why there is none.

Every answer is bounded in bytes and in seconds. A redirect is never followed: it would take the token along.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from analyzer import __version__
from analyzer.cli.answers import problem
from analyzer.cli.server_access import ServerAccess
from analyzer.errors import CanaryError, UsageError
from analyzer.model.units import show_duration
from analyzer.rendering.text import printable

ANSWER_WITHIN = 60.0
"""Seconds for a whole answer."""
SILENCE = 45.0
"""Seconds without a byte after which an answer is given up; a stream of the server has one every 15 s."""
LONGEST_ANSWER = 32 * 1024 * 1024
LONGEST_PROBLEM = 64 * 1024


class ServiceRefused(CanaryError):  # noqa: N818 -- named after what happened, as in analyzer.errors
    """The server refuses this for good. `status` is that of HTTP; 0: it did not come to that."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ServiceAway(CanaryError):  # noqa: N818 -- as above
    """The server does not answer now, or not as it should. `pause`: how many seconds it asks to wait."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = pause


class NotSent(ServiceAway):
    """The server could not be reached: it has seen nothing of what was asked."""


class Connection:
    """Connections to one server. To be entered; closed at the end."""

    def __init__(self, access: ServerAccess) -> None:
        """Prepare it.

        Raises:
            UsageError: the token, a certificate, or a proxy of the environment cannot be used.
        """
        self.url = access.url
        self._access = access
        self._token = access.read_token()
        self._may_want_certificate = access.url.startswith("https:") and access.cert_file is None
        try:
            self._http = httpx.AsyncClient(
                verify=access.context(),
                timeout=httpx.Timeout(SILENCE, connect=5.0),
                headers={"User-Agent": f"canary-analyzer/{__version__}", **access.headers},
                follow_redirects=False,
            )
        except (ImportError, ValueError, httpx.InvalidURL) as error:
            raise UsageError(f"the proxy that the environment names cannot be used: {error}") from None

    async def __aenter__(self) -> Self:
        """It is open already."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, bytes]:
        """The status and the bytes of an answer that is none of the errors; `body` is sent as JSON.

        Raises:
            ServiceAway: it may be answered later.
            ServiceRefused: it will not be.
            UsageError: what was asked cannot be used.
        """
        try:
            async with asyncio.timeout(ANSWER_WITHIN), self.sent(method, path, headers or {}, body) as response:
                return response.status_code, await self._whole(response)
        except TimeoutError:
            raise ServiceAway(f"{self.url} has not answered within {show_duration(ANSWER_WITHIN)}") from None

    @asynccontextmanager
    async def sent(
        self, method: str, path: str, headers: Mapping[str, str], body: object = None
    ) -> AsyncIterator[httpx.Response]:
        """A good answer whose bytes are still to be read.

        Raises:
            CanaryError: as for `ask`, also while they are read.
        """
        content = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        accept = {"Accept": "application/json", "Accept-Encoding": "identity"}
        all_headers = {**accept, **kind, **headers, **self._credentials()}
        try:
            async with self._http.stream(method, self.url + path, headers=all_headers, content=content) as response:
                await self._check(response)
                yield response
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, httpx.ProxyError) as error:
            raise self._not_connected(error) from None
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            raise self._not_answered(error) from None

    def _credentials(self) -> dict[str, str]:
        file = self._access.token_file
        if file is not None and file.is_file():  # not so what a shell hands over as `<(…)`: it can be read only once
            self._token = self._access.read_token()
        return {} if self._token is None else {"Authorization": f"Bearer {self._token}"}

    def _not_connected(self, error: Exception) -> CanaryError:
        words = _words(error)
        if "certificate verify failed" in words.lower().replace("_", " "):
            return ServiceRefused(f"the certificate of {self.url} is not trusted: {words} (--ca-file FILE)")
        if "[SSL" in words:
            return ServiceRefused(f"{self.url} cannot be spoken to by TLS: {words}")
        return NotSent(f"{self.url} cannot be reached: {words}")

    def _not_answered(self, error: Exception) -> CanaryError:
        words = _words(error)
        if "ALERT" in words and "CERTIFICATE" in words:  # in TLS 1.3 it is told after the connection stands
            return ServiceRefused(f"{self.url} wants another client certificate (--cert-file FILE): {words}")
        if self._may_want_certificate and isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
            words += "; if it wants a client certificate, give --cert-file FILE"  # its alert may be lost on the way
        return ServiceAway(f"{self.url} has not answered: {words}")

    async def _check(self, response: httpx.Response) -> None:
        status = response.status_code
        self._may_want_certificate = False
        if response.is_success:
            if response.headers.get("content-encoding", "identity").lower() != "identity":
                raise ServiceAway(f"{self.url} answers in an encoding that was not asked for")
            return
        if not response.is_error:
            raise ServiceRefused(self._sent_on(response), status)
        told = problem(await _beginning(response))
        said = f": {told}" if told else f" (HTTP {status})"
        if status in {408, 425, 429} or response.is_server_error:
            busy = "has too much to do now" if status == httpx.codes.TOO_MANY_REQUESTS else "cannot answer now"
            raise ServiceAway(f"{self.url} {busy}{said}", _wish(response))
        if status in {400, 413, 422}:
            raise UsageError(f"{self.url} cannot use what is asked{said}")
        raise ServiceRefused(self._refusal(status) + said, status)

    def _refusal(self, status: int) -> str:
        if status == httpx.codes.UNAUTHORIZED and self._token is None:
            return f"{self.url} wants to know who asks (set CANARY_TOKEN, or give --token-file)"
        kinds = {
            401: "does not know this token",
            403: "does not allow that",
            404: "has no such thing, or this token may not see it",
            409: "cannot do that now",
        }
        return f"{self.url} {kinds.get(status, 'refuses that')}"

    def _sent_on(self, response: httpx.Response) -> str:
        try:
            parts = urlsplit(response.headers.get("location", ""))
            place = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else "another path"
        except ValueError:
            place = "what is no address"
        return f"{self.url} sends on to {printable(place[:300])}: that is not followed; give the right --server"

    async def _whole(self, response: httpx.Response) -> bytes:
        text = bytearray()
        async for data in response.aiter_raw():
            text += data
            if len(text) > LONGEST_ANSWER:
                raise ServiceRefused(f"{self.url} answers more than {LONGEST_ANSWER >> 20} MiB: that is not read")
        return bytes(text)


async def _beginning(response: httpx.Response) -> bytes:
    """What an error begins with; nothing if that does not come."""
    text = bytearray()
    with suppress(httpx.HTTPError):
        async for data in response.aiter_raw():
            text += data
            if len(text) >= LONGEST_PROBLEM:
                break
    return bytes(text[:LONGEST_PROBLEM])


def _wish(response: httpx.Response) -> float:
    given = response.headers.get("retry-after", "")
    return float(given) if given.isascii() and given.isdigit() and len(given) < 10 else 0.0  # noqa: PLR2004 -- digits


def _words(error: Exception) -> str:
    """What went wrong; the library's own errors are often silent, and what they come from is not."""
    if isinstance(error, httpx.TimeoutException):
        return "no connection in time" if isinstance(error, httpx.ConnectTimeout) else "no answer in time"
    each: BaseException | None = error
    while each is not None and not str(each):
        each = each.__cause__ or each.__context__
    return printable(str(each)[:300]) if each is not None else "the connection was cut off"
