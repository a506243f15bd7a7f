"""Every error as a problem (RFC 9457): a status, a sentence, and never a traceback."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Scope

from analyzer.api.representation import Problem, Wrong
from analyzer.errors import (
    CanaryError,
    LeaseLost,
    NoAnalysis,
    PlatformUnavailable,
    RuleSetError,
    StoreError,
    StoreUnavailable,
    StoreUnusable,
    UsageError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5
"""Seconds after which what is away may be asked again."""
MOST_MISTAKES = 50
LONGEST = 1000
"""Signs of a sentence."""

_log = logging.getLogger(__name__)
_STATUS: Sequence[tuple[type[CanaryError], int]] = (
    (UsageError, 422),
    (NoAnalysis, 404),
    (LeaseLost, 409),
    (StoreUnavailable, 503),
    (StoreUnusable, 503),
    (PlatformUnavailable, 503),
)
_AWAY: Mapping[type[CanaryError], str] = {
    StoreUnavailable: "the database cannot be reached or written now: nothing was kept; try again",
    StoreUnusable: "the database may not be written, or is damaged: nothing was kept; tell who runs the service",
    PlatformUnavailable: "who you are cannot be found out now, for the API server of the cluster is away: try again",
}
_WORDS = {
    404: "there is nothing at this address",
    405: "this address does not take this method",
}


class Refused(Exception):  # noqa: N818 -- named after what happened
    """A request that is not done; the sentence is for whoever sent it."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = dict(headers or {})


def problem(
    scope: Scope, status: int, sentence: str, headers: Mapping[str, str] | None = None, mistakes: Sequence[Wrong] = ()
) -> Response:
    """The answer."""
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        detail=_plain(sentence),
        instance=_plain(scope.get("path", "")),
        mistakes=tuple(mistakes[:MOST_MISTAKES]) or None,
    )
    return Response(body.model_dump_json(exclude_none=True), status, dict(headers or {}), MEDIA_TYPE)


def answer(scope: Scope, error: Exception) -> Response:
    """Any error as an answer; one that nobody expected is written to the log, and the answer says under which id."""
    match error:
        case Refused():
            return problem(scope, error.status, str(error), error.headers)
        case RequestValidationError():
            return _invalid(scope, error)
        case HTTPException():
            words = _WORDS.get(error.status_code, str(error.detail))
            headers = (
                {"Allow": _methods(scope)} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else error.headers
            )
            return problem(scope, error.status_code, words, headers)
        case RuleSetError():
            return _bad_rules(scope, error)
        case CanaryError():
            return _ours(scope, error)
    return _unexpected(scope, error)


def _methods(scope: Scope) -> str:
    """All that an address takes; Starlette names those of the first of its routes."""
    routes = [route for route in scope["app"].routes if isinstance(route, Route)]
    matching = [route for route in routes if route.path_regex.match(scope["path"])]
    exact = [route for route in matching if route.path == scope["path"]]
    return ", ".join(sorted({method for route in exact or matching for method in route.methods or ()}))


async def handle(request: Request, error: Exception) -> Response:
    """As Starlette calls it."""
    return answer(request.scope, error)


def _ours(scope: Scope, error: CanaryError) -> Response:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        _log.warning("%s %s: %s", scope.get("method"), _plain(scope.get("path", "")), error)
        sentence = next(words for kind, words in _AWAY.items() if isinstance(error, kind))
        return problem(scope, status, sentence, {"Retry-After": str(RETRY_AFTER)})
    if isinstance(error, StoreError) and status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unexpected(scope, error)  # where the database is concerns only who runs the service
    return problem(scope, status, str(error))


def _unexpected(scope: Scope, error: Exception) -> Response:
    id_ = uuid.uuid4().hex[:12]
    _log.error(
        "%s %s failed, error %s: %s: %s",
        scope.get("method"), _plain(scope.get("path", "")), id_, type(error).__name__, _plain(str(error)),
        exc_info=error if not isinstance(error, CanaryError) else None,
    )  # fmt: skip
    return problem(scope, 500, f"the service has failed on this request; its log says more under error {id_}")


def _bad_rules(scope: Scope, error: RuleSetError) -> Response:
    first, many = error.mistakes[0], len(error.mistakes)
    sentence = f"the rule set cannot be used: {first}" + (f" (and {many - 1} more)" if many > 1 else "")
    return problem(scope, 422, sentence, mistakes=mistakes_of(error))


def mistakes_of(error: RuleSetError) -> list[Wrong]:
    """The mistakes of a rule set, the first ones of very many."""
    return [
        Wrong(line=each.line or None, key=_plain(each.key), message=_plain(each.message))
        for each in error.mistakes[:MOST_MISTAKES]
    ]


def _invalid(scope: Scope, error: RequestValidationError) -> Response:
    found = error.errors()
    if any(each["type"] == "json_invalid" for each in found):
        return problem(scope, 400, "the body is not JSON")
    # What was sent is not repeated: a secret may have been sent to the wrong place.
    wrong = [Wrong(key=_plain(_place(each["loc"])), message=_plain(str(each["msg"]))) for each in found[:MOST_MISTAKES]]
    if any(each["loc"] == ("body",) and each["type"].startswith("model_") for each in found):
        sentence = "the body is not a JSON object: send one, with Content-Type: application/json"
        return problem(scope, 422, sentence, mistakes=wrong)
    many = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return problem(scope, 422, f"{wrong[0].key}: {wrong[0].message}{many}", mistakes=wrong)


def _place(loc: Sequence[object]) -> str:
    return ".".join(str(part) for part in (loc[1:] if len(loc) > 1 else loc))


def _plain(text: str) -> str:
    """On one line, of bounded length, and writable in any encoding."""
    line = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text[:LONGEST])
    return line if len(text) <= LONGEST else f"{line}…"
