"""What went wrong between us and the server, as one of our errors with a sentence that says what to check."""

import ssl
from collections.abc import Iterable, Iterator

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, ReadTimeoutError

from analyzer.errors import MalformedAnswer, QueryRefused, SourceError, SourceUnavailable
from analyzer.model.reading import Absence
from analyzer.sources.prometheus.answer import content_of

LONGEST_EXCERPT = 200
"""Characters of an answer that is not what it should be."""
LONGEST_MESSAGE = 600
"""Characters of the server's own message: the cause often stands at its end."""
_TOO_MANY, _TIMEOUTS, _GONE_FOR_NOW = 429, {408, 504}, {425, 500, 502, 503}
_FORBIDDEN, _UNAUTHORIZED, _NOT_FOUND = 403, 401, 404


class Failures:
    """Makes errors about one server; `secrets` never appear in them."""

    def __init__(self, server: str, secrets: Iterable[str], *, authenticates: bool) -> None:
        self._server = server
        self._secrets = sorted((secret for secret in secrets if secret), key=len, reverse=True)
        self._authenticates = authenticates

    def excerpt(self, text: str, longest: int = LONGEST_EXCERPT) -> str:
        """The beginning of what the server said, on one line."""
        line = " ".join(text.split())
        for secret in self._secrets:
            line = line.replace(secret, "***")
        return line if len(line) <= longest else f"{line[: longest - 1]}…"

    def of_status(self, status: int, body: bytes) -> SourceError:  # noqa: PLR0911 -- one for each kind of answer
        """An answer that is no success."""
        kind, said = self._said(body)
        told = f": {said}" if said else ""
        server = self._server
        if status == _TOO_MANY:
            return self._unavailable(f"{server} answers 429, too many requests{told}", Absence.UNREACHABLE)
        if status in _TIMEOUTS or (status in _GONE_FOR_NOW and kind == "timeout"):
            return self._unavailable(f"{server} did not answer the query in time{told}", Absence.TIMEOUT)
        if status in _GONE_FOR_NOW or status >= 500:  # noqa: PLR2004 -- server errors begin there
            return self._unavailable(f"{server} answers {status}{told}", Absence.UNREACHABLE)
        if status == _UNAUTHORIZED:
            check = "check the token, or user and password" if self._authenticates else "it wants a token or a user"
            return QueryRefused(f"{server} answers 401, not authenticated: {check}{_in_brackets(said)}")
        if status == _FORBIDDEN:
            check = "check the rights of the token or user, and the tenant's header"
            return QueryRefused(f"{server} answers 403, not allowed: {check}{_in_brackets(said)}")
        if status == _NOT_FOUND:
            check = "nothing answers /api/v1/query there: check the address and its path prefix"
            return QueryRefused(f"{server} answers 404: {check}{_in_brackets(said)}")
        return QueryRefused(f"{server} refuses the query ({status}){told}")

    def _said(self, body: bytes) -> tuple[str, str]:
        """Prometheus' kind of error and its message, or the beginning of whatever came."""
        try:
            answer = content_of(body)
            return str(answer.get("errorType", "")), self.excerpt(str(answer["error"]), LONGEST_MESSAGE)
        except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
            return "", self.excerpt(body[: 4 * LONGEST_EXCERPT].decode(errors="replace"))

    def of_exception(self, error: requests.RequestException | HTTPError | OSError) -> SourceError:
        """A connection that did not come about or broke before the answer's head had come."""
        causes = list(_causes(error))
        for cause in causes:
            if isinstance(cause, ssl.SSLError):
                return self._of_tls(cause)
        if isinstance(error, requests.exceptions.ProxyError):
            return self._unavailable(
                f"the proxy to {self._server} cannot be used: {_reason(causes)}", Absence.UNREACHABLE
            )
        if isinstance(error, requests.Timeout | ReadTimeoutError):
            return self.timeout("it did not answer in time")
        if any(isinstance(cause, NameResolutionError) for cause in causes):
            return self._unavailable(f"{self._server}: its name cannot be resolved", Absence.UNREACHABLE)
        if isinstance(error, requests.exceptions.InvalidURL | requests.exceptions.InvalidHeader):
            return QueryRefused(f"{self._server} cannot be asked: {self.excerpt(str(error))}")
        return self._unavailable(f"{self._server} cannot be reached: {_reason(causes)}", Absence.UNREACHABLE)

    def _of_tls(self, error: ssl.SSLError) -> SourceError:
        """What a certificate is will not change by asking again; a handshake that broke may."""
        text = str(error).lower()
        if "certificate_verify_failed" in text or "certificate verify failed" in text:
            why = getattr(error, "verify_message", "") or "it could not be verified"
            return QueryRefused(f"the certificate of {self._server} is not trusted ({why}): give its CA certificate")
        if "alert" in text and ("certificate" in text or "unknown ca" in text or "handshake" in text):
            return QueryRefused(
                f"{self._server} ended the TLS handshake ({error.reason}): check the client certificate and its key"
            )
        if "wrong_version_number" in text or "record layer" in text:
            return QueryRefused(f"{self._server} does not speak TLS on this port: write http:// or another port")
        # With TLS 1.3 a missing client certificate is found out after the handshake, and often told by hanging up.
        hint = "; if it wants a client certificate, give one" if isinstance(error, ssl.SSLEOFError) else ""
        return self._unavailable(f"TLS with {self._server} failed: {error.reason or error}{hint}", Absence.UNREACHABLE)

    def timeout(self, why: str) -> SourceUnavailable:
        """The time is over."""
        return self._unavailable(f"{self._server}: {why}", Absence.TIMEOUT)

    def no_room(self, most: int) -> SourceUnavailable:
        """Several large answers come at once, and this one does not fit beside the others."""
        told = f"its answers at this moment are larger than {most // 2**20} MiB together: this one is asked for again"
        return self._unavailable(f"{self._server}: {told}", Absence.UNREACHABLE)

    def cut_off(self, received: int) -> MalformedAnswer:
        """The connection ended within the answer's body."""
        return MalformedAnswer(f"the answer of {self._server} is cut off after {received} bytes")

    def malformed(self, what: str, body: bytes | str) -> MalformedAnswer:
        """A success that is not what the API promises."""
        text = body if isinstance(body, str) else body[: 4 * LONGEST_EXCERPT].decode(errors="replace")
        return MalformedAnswer(f"{self._server} answers {what}: {self.excerpt(text) or 'its answer is empty'}")

    def _unavailable(self, message: str, kind: Absence) -> SourceUnavailable:
        return SourceUnavailable(message, kind.value)


def _in_brackets(said: str) -> str:
    return f" ({said})" if said else ""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was made of, outermost first; urllib3 keeps causes in `reason` and in `args` as well."""
    seen: set[int] = set()
    open_ones = [error]
    while open_ones:
        cause = open_ones.pop(0)
        if not isinstance(cause, BaseException) or id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        open_ones += [cause.__cause__, cause.__context__, getattr(cause, "reason", None), *cause.args]


def _reason(causes: list[BaseException]) -> str:
    """The system's own words for it, such as `Connection refused`."""
    for cause in causes:
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, requests.RequestException):
            return str(cause.strerror)
    return "the connection broke off"
