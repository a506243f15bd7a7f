"""One question, one answer: the Prometheus HTTP API, with every failure told apart.

`prometheus-api-client` carries the connection. Request and answer are handled here: its own methods drop warnings,
put the query of a POST into the URL, and hide the server's message behind retries.
"""

import asyncio
import base64
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlencode, urljoin, urlsplit

import requests
import urllib3
from prometheus_api_client import PrometheusConnect
from requests.auth import AuthBase
from urllib3.exceptions import HTTPError, InsecureRequestWarning, ReadTimeoutError
from urllib3.util.retry import Retry

from analyzer.errors import QueryRefused, SourceUnavailable
from analyzer.model.reading import Absence
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.answer import Answer, content_of
from analyzer.sources.prometheus.failure import LONGEST_MESSAGE, Failures
from analyzer.sources.prometheus.room import Room
from analyzer.sources.prometheus.transport import BreakableAdapter, Exchange

__all__ = ["Answer", "PrometheusAccess", "PrometheusClient"]

AT_ONCE = 8
"""Requests under way at once, where nothing else is said; the others wait for their turn."""
LONGEST_URL = 2000
"""Characters of parameters up to which a query is sent by GET: everything on the way allows that. Longer ones are
sent in the body of a POST."""
LONGEST_GET = 16_000
"""Characters that servers still take in a URL, for a server that does not allow POST."""
REDIRECTS = 3
_LARGEST_AT_ONCE = 2
"""So many answers of the largest size may be read at once; more smaller ones."""
_CHUNK = 256 * 1024
_OK, _MOVED, _POST_NOT_ALLOWED = 200, {301, 302, 303, 307, 308}, {403, 405, 501}


class _Authenticating(AuthBase):
    """Sets the Authorization header. Always given, so that `requests` does not look for one in ~/.netrc."""

    def __init__(self, header: str | None) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._header is not None:
            request.headers["Authorization"] = self._header
        return request


@dataclass(frozen=True)
class _Raw:
    status: int
    body: bytes
    location: str = ""


class _Session(requests.Session):
    """Leaves redirects to us: the library would read the whole answer and the address in it, whatever that is."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:  # noqa: ARG002 -- the library's
        return None


class _Connect(PrometheusConnect):  # type: ignore[misc]  # the library has no types
    """The library's client with our session: nothing is tried twice, and a hanging exchange can be broken off."""

    def __init__(self, access: PrometheusAccess, at_once: int) -> None:
        session = _Session()
        super().__init__(url=access.url, session=session, retry=Retry(0))
        for scheme in ("http://", "https://", access.url):
            session.mount(scheme, BreakableAdapter(at_once))
        self._access = access
        if access.insecure:
            urllib3.disable_warnings(InsecureRequestWarning)  # the user has said so; once is enough

    def send(self, method: str, url: str, parameters: str, authorization: str | None) -> requests.Response:
        """One request; the body of the answer is not read yet."""
        access = self._access
        headers = {name: secret.get_secret_value() for name, secret in access.headers.items()}
        in_body = method == "POST"
        if in_body:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        certificate = (str(access.cert_file), str(access.key_file)) if access.key_file else None
        response: requests.Response = self._session.request(
            method,
            url if in_body else f"{url}?{parameters}",
            data=parameters.encode() if in_body else None,
            headers=headers,
            auth=_Authenticating(authorization),
            cert=certificate or (str(access.cert_file) if access.cert_file else None),
            verify=False if access.insecure else str(access.ca_file) if access.ca_file else True,
            timeout=(access.connect_timeout, access.timeout),
            allow_redirects=False,
            stream=True,
        )
        return response

    def close(self) -> None:
        """Close idle connections."""
        self._session.close()


class PrometheusClient:
    """Asks a server. Use as an asynchronous context manager, or close it."""

    def __init__(self, access: PrometheusAccess, at_once: int = AT_ONCE) -> None:
        self._access = access
        self._connect = _Connect(access, at_once)
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="prometheus")
        self._turns = asyncio.Semaphore(at_once)
        self._room = Room(_LARGEST_AT_ONCE * access.max_answer)
        self._is_post_allowed = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections. Nothing can be asked afterwards."""
        self._connect.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def instant(self, query: str, at: int | None) -> Answer:
        """The value of an expression at a time in Unix milliseconds; None: now, by the server's clock.

        Raises:
            QueryRefused: for good; with the server's own message.
            SourceUnavailable: not now; `kind` says why.
            MalformedAnswer: what came is not what the API promises.
        """
        return await self._ask("query", {"query": query} if at is None else {"query": query, "time": _seconds(at)})

    async def range(self, query: str, start: int, end: int, step: int) -> Answer:
        """The values of an expression at each step from `start` to `end`, all in milliseconds. Raises as `instant`."""
        times = {"start": _seconds(start), "end": _seconds(end), "step": _seconds(step)}
        return await self._ask("query_range", {"query": query, **times})

    async def _ask(self, what: str, parameters: Mapping[str, str]) -> Answer:
        async with self._turns:
            exchange = Exchange()
            loop = asyncio.get_running_loop()
            work = loop.run_in_executor(self._threads, self._exchange, exchange, what, urlencode(parameters))
            work.add_done_callback(_look_at)
            try:
                done, _ = await asyncio.wait({work}, timeout=self._access.timeout)
            except asyncio.CancelledError:
                exchange.break_off()
                raise
            if not done:
                exchange.break_off()
                # The thread wakes up at once; only a name that is being resolved cannot be broken off.
                await asyncio.wait({work}, timeout=1.0)
                raise self._failures("").timeout(f"no whole answer within {self._access.timeout:g} s")
            return work.result()

    # ------------------------------------------------------------------ in a thread

    def _exchange(self, exchange: Exchange, what: str, parameters: str) -> Answer:
        authorization = self._authorization()
        failures = self._failures(authorization or "")
        with exchange.running():
            raw = self._send(f"{self._access.url}/api/v1/{what}", parameters, authorization, failures)
        if raw.status != _OK:
            raise failures.of_status(raw.status, raw.body)
        return _answer(raw.body, failures).prepared()

    def _send(self, url: str, parameters: str, authorization: str | None, failures: Failures) -> _Raw:
        if len(parameters) <= LONGEST_URL or not (self._is_post_allowed or len(parameters) > LONGEST_GET):
            return self._follow("GET", url, parameters, authorization, failures)
        raw = self._follow("POST", url, parameters, authorization, failures)
        if raw.status in _POST_NOT_ALLOWED and len(parameters) <= LONGEST_GET:
            # A proxy may allow reading alone, and take that to mean GET.
            by_get = self._follow("GET", url, parameters, authorization, failures)
            self._is_post_allowed = by_get.status != _OK
            return by_get
        return raw

    def _follow(self, method: str, url: str, parameters: str, authorization: str | None, failures: Failures) -> _Raw:
        """Send, and follow redirects: to another host only without anything that it must not get."""
        for _ in range(REDIRECTS + 1):
            raw = self._once(method, url, parameters, authorization, failures)
            if raw.status not in _MOVED or not raw.location:
                return raw
            target = self._target(url, raw.location, failures)
            if not _is_same_place(url, target) and self._access.has_credentials:
                raise QueryRefused(
                    f"{self._access.url} redirects to {urlsplit(target).hostname}, where the credentials must not go: "
                    "is it a login page? Write the final address"
                )
            url = target
        raise QueryRefused(f"{self._access.url} redirects in a circle: check the address")

    def _target(self, url: str, location: str, failures: Failures) -> str:
        """Where a redirect leads to."""
        try:
            target = urljoin(url, location).partition("?")[0]
            parts = urlsplit(target)
            _ = parts.port  # what is no number of a port is found out when it is asked for
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise QueryRefused(
                f"{self._access.url} redirects to what is no address ({failures.excerpt(location)}): check the address"
            )
        return target

    def _once(self, method: str, url: str, parameters: str, authorization: str | None, failures: Failures) -> _Raw:
        try:
            response = self._connect.send(method, url, parameters, authorization)
        except (requests.RequestException, HTTPError, OSError) as error:
            raise failures.of_exception(error) from error
        with response:
            body = self._body(response, failures)
            return _Raw(response.status_code, body, response.headers.get("Location", ""))

    def _body(self, response: requests.Response, failures: Failures) -> bytes:
        parts, size, most = [], 0, self._access.max_answer
        try:
            with self._room.part() as take:
                while part := response.raw.read1(_CHUNK, decode_content=True):
                    parts.append(part)
                    size += len(part)
                    if size > most:
                        raise QueryRefused(
                            f"the answer of {self._access.url} is larger than {most // 2**20} MiB: name fewer series"
                        )
                    if not take(len(part)):
                        raise failures.no_room(self._room.most)
        except (ReadTimeoutError, TimeoutError) as error:
            raise failures.timeout("its answer stopped halfway") from error
        except (HTTPError, OSError) as error:
            raise failures.cut_off(size) from error
        return b"".join(parts)

    def _authorization(self) -> str | None:
        access = self._access
        if access.token_file is not None:
            try:
                token = access.token_file.read_text(encoding="ascii").strip()
            except (OSError, ValueError) as error:
                raise SourceUnavailable(
                    f"the token file {access.token_file} cannot be read: {error.__class__.__name__}",
                    Absence.UNREACHABLE.value,
                ) from error
            if not token or not token.isprintable():
                raise SourceUnavailable(f"the token file {access.token_file} holds no token", Absence.UNREACHABLE.value)
            return f"Bearer {token}"
        if access.token is not None:
            return f"Bearer {access.token.get_secret_value()}"
        if access.user is not None:
            password = access.password.get_secret_value() if access.password else ""
            return f"Basic {base64.b64encode(f'{access.user}:{password}'.encode()).decode()}"
        return None

    def _failures(self, authorization: str) -> Failures:
        secrets = [*self._access.secrets(), authorization.partition(" ")[2]]
        return Failures(self._access.url, secrets, authenticates=bool(authorization))


def _look_at(work: "asyncio.Future[Answer]") -> None:
    """The end of an exchange that was broken off is an error that nobody waits for any more."""
    if not work.cancelled():
        work.exception()


def _is_same_place(one: str, other: str) -> bool:
    """The same host and port, or its encrypted twin on the standard ports."""
    left, right = urlsplit(one), urlsplit(other)
    if (left.scheme, left.hostname, left.port) == (right.scheme, right.hostname, right.port):
        return True
    standard = left.port in {None, 80} and right.port in {None, 443}
    return left.hostname == right.hostname and (left.scheme, right.scheme) == ("http", "https") and standard


def _answer(body: bytes, failures: Failures) -> Answer:
    """A success, read; a warning that something is missing makes it none."""
    try:
        content = content_of(body)
    except (ValueError, RecursionError) as error:
        raise failures.malformed("something that is not JSON", body) from error
    match content:
        case {"status": "success", "data": {"resultType": str(kind), "result": result}}:
            warnings = content.get("warnings") or []
        case {"status": "error", "error": error}:
            raise QueryRefused(f"the query is refused: {failures.excerpt(str(error), LONGEST_MESSAGE)}")
        case _:
            raise failures.malformed("JSON of another shape", body)
    if not isinstance(warnings, list):
        raise failures.malformed("warnings of another shape", body)
    # What the engine remarks on a query is not about missing data; Prometheus 2.48 to 2.52 send it as warnings.
    notes = tuple(failures.excerpt(str(each)) for each in warnings)
    missing = [note for note in notes if not note.startswith(("PromQL info:", "PromQL warning:"))]
    if missing:
        raise SourceUnavailable(f"a part of the data is missing: {'; '.join(missing[:3])}", Absence.PARTIAL.value)
    return Answer(kind, result, tuple(note for note in notes if not note.startswith("PromQL info:")), len(body))


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d}"
