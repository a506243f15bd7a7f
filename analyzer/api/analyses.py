"""Ordering analyses, and looking at them."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from analyzer.api.callers import Asking, need
from analyzer.api.parts import AnalysisId, Here, Parts
from analyzer.api.problem import Refused
from analyzer.api.representation import (
    Analysis,
    AnalysisDetail,
    AnalysisPage,
    EventObjects,
    EventPage,
    NumberedEvent,
    Plain,
)
from analyzer.api.writing import EXAMPLE_ORDERS, json
from analyzer.errors import TooManyAnalyses
from analyzer.model.base import Model
from analyzer.model.order import Order, Ordered
from analyzer.model.report import Verdict
from analyzer.service.identity import Caller, Role
from analyzer.service.placing import Who
from analyzer.store.entry import Entry, State
from analyzer.store.finding import Filter

router = APIRouter(prefix="/api/v1/analyses", tags=["analyses"])


class Listed(Model):
    """Which analyses."""

    namespace: str | None = Query(default=None, max_length=63, pattern=r"^[a-z0-9.-]*$")
    kind: Plain | None = Query(default=None, description="of the target, as before its slash: helm, rollout, …")
    name: Plain | None = Query(default=None, description="of the target")
    state: State | None = None
    verdict: Verdict | None = None
    since: float | None = Query(default=None, allow_inf_nan=False, description="ordered at that time or later")
    limit: int = Query(default=50, ge=1, le=200)
    after: str | None = Query(default=None, max_length=200, description="`next` of the page before")


class Events(Model):
    """Which events."""

    after: int = Query(default=0, ge=0, le=2**31 - 1, description="the number after which they come")
    limit: int = Query(default=100, ge=1, le=1000)


@router.post(
    "",
    status_code=201,
    response_model=Analysis,
    responses={200: {"model": Analysis, "description": "It was ordered before under this Idempotency-Key"}},
    summary="Order an analysis",
    openapi_extra={"requestBody": {"content": {"application/json": {"examples": EXAMPLE_ORDERS}}}},
)
async def start(
    order: Order,
    caller: Asking,
    parts: Here,
    idempotency_key: Annotated[str | None, Header(pattern=r"^[!-~]([ -~]{0,198}[!-~])?$")] = None,
) -> Response:
    """Order one. It is checked as a whole and kept before the answer; then one of the replicas begins it.

    Sent again with the same `Idempotency-Key` in the same namespace, it is the analysis that was ordered first.
    """
    entry, kept = await place(parts, caller, order, idempotency_key)
    if kept is not None and not _is_same(entry, order, kept):
        raise Refused(422, f"Idempotency-Key: analysis {entry.id} was ordered under it, and the order was another one")
    analysis = Analysis.of(entry)
    return json(analysis, 201 if kept is None else 200, {"Location": analysis.links.self})


async def place(parts: Parts, caller: Caller, order: Order, key: str | None) -> tuple[Entry, Order | None]:
    """The analysis of an order; one that was ordered before under this key comes with the order as it is kept now.

    Raises:
        Refused: they may not, or too many run.
        UsageError: the order cannot be done.
    """
    need(caller, Role.START, order.namespace)
    try:
        return await parts.placing.place(order, Who(caller.name), key)
    except TooManyAnalyses as error:
        raise Refused(429, str(error), {"Retry-After": "30"}) from None


def _is_same(entry: Entry, given: Order, kept: Order) -> bool:
    """Whether it is the order that an analysis was made of; the file of a rule set may say something else by now."""
    first = Ordered.model_validate_json(entry.ordered).order
    if given.rule_set is None:
        first, kept = (each.model_copy(update={"rule_set": None}) for each in (first, kept))
    return first == kept


@router.get("", response_model=AnalysisPage, summary="List analyses, newest first")
async def listed(caller: Asking, parts: Here, which: Annotated[Listed, Query()]) -> Response:
    """Those in namespaces that the caller may read."""
    if which.namespace is not None:
        need(caller, Role.READ, which.namespace)
    namespaces = caller.namespaces(Role.READ) if which.namespace is None else frozenset({which.namespace})
    filter_ = Filter(namespaces, which.kind, which.name, which.state, which.verdict, which.since)
    page = await parts.service.analyses.find(filter_, which.after, which.limit)
    return json(AnalysisPage(items=tuple(Analysis.of(entry) for entry in page.entries), next=page.cursor))


@router.get("/{analysis_id}", response_model=AnalysisDetail, summary="Look at an analysis")
async def detail(analysis_id: AnalysisId, caller: Asking, parts: Here) -> Response:
    """With what was ordered, and the report as it stands; there is none before the plan is made."""
    entry = await parts.entry(caller, analysis_id)
    return json(AnalysisDetail.with_report(entry, await parts.reports.of(entry)))


@router.get("/{analysis_id}/events", response_model=EventObjects, summary="Read the record of an analysis")
async def events(analysis_id: AnalysisId, caller: Asking, parts: Here, which: Annotated[Events, Query()]) -> Response:
    """Everything that it saw and did, in order."""
    await parts.entry(caller, analysis_id)
    found = await parts.service.analyses.events(analysis_id, which.after, which.limit)
    items = tuple(NumberedEvent(seq=each.seq, event=each.event) for each in found)
    page = EventPage(items=items, next=items[-1].seq if len(items) == which.limit else None)
    return await asyncio.to_thread(json, page)
