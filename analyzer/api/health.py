"""Whether the process lives and is ready, and its metrics."""

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import Response

from analyzer.api.callers import need_anywhere
from analyzer.api.parts import Here, Parts
from analyzer.api.problem import problem
from analyzer.api.representation import Health
from analyzer.api.writing import json
from analyzer.errors import StoreError
from analyzer.service.identity import Role

PATIENCE = 2.0
"""Seconds in which the database must answer."""

router = APIRouter(tags=["health"])


@router.get("/healthz", response_model=Health, summary="Whether the process lives")
async def lives(request: Request, parts: Here) -> Response:
    """Asks nothing else: a database that is away is no reason to start this replica anew."""
    if parts.service.work.is_lost():
        return problem(request.scope, 503, "; ".join(parts.service.work.troubles()))
    return json(Health(status="ok"))


@router.get("/readyz", response_model=Health, summary="Whether this replica can work now")
async def ready(request: Request, parts: Here) -> Response:
    """503 with a sentence for each reason why it cannot."""
    troubles = [*parts.service.work.troubles(), *await _trouble_of_database(parts)]
    if troubles:
        return problem(request.scope, 503, "; ".join(troubles), {"Retry-After": "2"})
    return json(Health(status="ok"))


async def _trouble_of_database(parts: Parts) -> list[str]:
    try:
        async with asyncio.timeout(PATIENCE):
            await parts.service.database.time()
    except StoreError:
        return ["the database cannot be reached now"]
    except TimeoutError:
        return [f"the database has not answered within {PATIENCE:.0f} s"]
    return []


@router.get(
    "/metrics",
    response_class=Response,
    responses={
        200: {
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/openmetrics-text": {"schema": {"type": "string"}},
            }
        }
    },
    summary="The service's own metrics",
)
async def metrics(request: Request, parts: Here) -> Response:
    """For Prometheus. Needs the role read in any namespace, unless the settings say that they are open."""
    if (caller := getattr(request.state, "caller", None)) is not None:
        need_anywhere(caller, Role.READ)
    more = await parts.service.work.metrics()
    text, content_type = parts.telemetry.render(request.headers.get("accept", ""), more)
    return Response(text, headers={"Content-Type": content_type})
