"""What the simulated service answers, as an ASGI application: one life of it, with counters from zero."""

import asyncio
import time
from typing import Final, Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from analyzer.demo.behaviour import Outcome
from analyzer.demo.metrics import Metrics

_BODIES: Final = {200: "ok\n", 500: "something broke\n"}
_METHODS: Final = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


class Nature(Protocol):
    """What the application asks of its instance."""

    scrapeable: bool

    def draw(self) -> Outcome:
        """What becomes of the request that has just arrived."""


class Application:
    """`app` answers every path with what the instance draws, `/metrics` with its metrics, `/-/ready` with 200.

    Only requests of the first kind are counted, right before they are answered, with the time that they really took.
    """

    def __init__(self, nature: Nature, metrics: Metrics) -> None:
        self._nature, self._metrics = nature, metrics
        self.in_flight = 0
        self.app = Starlette(
            routes=[
                Route("/metrics", self._show_metrics),
                Route("/-/ready", self._show_ready),
                Route("/{path:path}", self._serve, methods=_METHODS),
            ]
        )

    async def _serve(self, request: Request) -> Response:
        outcome, begin = self._nature.draw(), time.perf_counter()
        self.in_flight += 1
        try:
            await asyncio.sleep(outcome.seconds)
        finally:
            self.in_flight -= 1
        self._metrics.count(outcome.code, request.method, time.perf_counter() - begin)
        return PlainTextResponse(_BODIES[outcome.code], outcome.code)

    async def _show_metrics(self, request: Request) -> Response:
        if not self._nature.scrapeable:
            return PlainTextResponse("not now\n", 503)
        body, content_type = self._metrics.exposition(request.headers.get("accept", ""))
        return Response(body, headers={"content-type": content_type})

    async def _show_ready(self, _: Request) -> Response:
        return PlainTextResponse("ready\n")
