"""The application: routes, and what stands before them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analyzer import __version__
from analyzer.api import admin, analyses, argo, changes, deciding, flagger, health, reports, rulesets
from analyzer.api.callers import Authenticated
from analyzer.api.documentation import document
from analyzer.api.flagger_token import TokenInBody
from analyzer.api.hub import Hub
from analyzer.api.latest import Latest
from analyzer.api.limits import Bounded
from analyzer.api.parts import Parts
from analyzer.api.problem import RETRY_AFTER, Refused, answer, handle, problem
from analyzer.errors import CanaryError
from analyzer.service.brakes import Brakes
from analyzer.service.placing import Placing
from analyzer.service.polling import Polls
from analyzer.service.reporting import Reports
from analyzer.service.rulesets import RuleSets
from analyzer.service.running import Service
from analyzer.service.telemetry import Telemetry
from analyzer.store.switch import Switch

_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_STOPPING = "the service is stopping, and has not finished this request: ask again"
_ROOMS = (analyses, argo, flagger, deciding, reports, changes, rulesets, admin, health)


def make_app(service: Service, telemetry: Telemetry | None = None) -> FastAPI:
    """The application of a running service."""
    telemetry = telemetry or Telemetry()
    settings = service.settings
    app = FastAPI(
        title="Canary analyzer",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        middleware=[
            Middleware(Watched, telemetry=telemetry),
            Middleware(Bounded, limits=settings.limits),
            Middleware(TokenInBody),
            Middleware(
                Authenticated,
                identities=service.identities,
                per_minute=settings.limits.requests_per_minute,
                at_once=settings.limits.requests_at_once,
                metrics_open=settings.access.metrics_open,
            ),
        ],
    )
    switch = Switch(service.database)
    brakes = Brakes(switch, service.settings, service.database.time)
    reports, hub, polls = Reports(service.analyses), Hub(service.analyses), Polls(service.rollouts)
    latest = Latest(hub, service.analyses)
    rule_sets = RuleSets(service.settings, service.database)
    placing = Placing(service.settings, service.database, service.analyses, service.audit, rule_sets, service.work.wake)
    app.state.parts = Parts(service, telemetry, reports, hub, switch, brakes, polls, latest, placing)
    for kind in (Refused, CanaryError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)
    for room in _ROOMS:
        app.router.routes.extend(room.router.routes)
    app.openapi = lambda: document(app)  # type: ignore[method-assign] # as FastAPI's documentation has it
    return app


def close_streams(app: FastAPI) -> None:
    """End all streams, so that the server can stop: it waits for open answers. To be called when stopping begins."""
    parts: Parts = app.state.parts
    parts.hub.close()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    looking = asyncio.create_task(parts.placing.rule_sets.keep_looking(parts.telemetry.rule_set))
    yield
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    await parts.hub.stop()


class Watched:
    """Counts every request, adds headers to every answer, and answers when everything else has failed. Pure ASGI."""

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, is_begun = time.monotonic(), False

        async def sending(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                self._count(scope, message["status"], time.monotonic() - began)
                message = {**message, "headers": _with_ours(message["headers"])}
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception as error:  # noqa: BLE001 -- an answer without a traceback, whatever has happened
            response = answer(scope, error)
            if not is_begun:
                await response(scope, receive, sending)
        except asyncio.CancelledError:
            # When we stop, the server cancels what is still under way, and has no use for a cancellation that comes
            # back. Any other one, and one in the middle of an answer, is for whoever called us.
            parts: Parts = scope["app"].state.parts
            if is_begun or not parts.hub.is_closed:
                raise
            await problem(scope, 503, _STOPPING, {"Retry-After": str(RETRY_AFTER)})(scope, receive, sending)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        self._telemetry.requested(scope["method"], getattr(scope.get("route"), "path", ""), status, seconds)


def _with_ours(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    names = {name.lower() for name, _ in headers}
    ours = [*_HEADERS, (b"cache-control", b"no-store")]
    return [*headers, *((name, value) for name, value in ours if name not in names)]
