"""For Argo Rollouts: the verdict that the web provider of an AnalysisTemplate asks for, again and again.

The controller takes an empty answer, or one that is no JSON, for a success, keeps the answer as the only place where a
reason can be read, and aborts after a few answers that are no 2xx. So it is 200 with a small object whatever is known.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import Field
from starlette.responses import Response

from analyzer.api.analyses import place
from analyzer.api.callers import Asking, need
from analyzer.api.parts import Here, Parts
from analyzer.api.problem import Refused
from analyzer.errors import NoAnalysis, StoreError, UsageError
from analyzer.model.base import Model
from analyzer.model.order import RULES_NAME, Order
from analyzer.model.report import Verdict
from analyzer.platforms.rollout_runs import Purpose
from analyzer.service.identity import Caller, Role
from analyzer.service.placing import OURS
from analyzer.service.polling import IN_ALL, Poll, Waiting
from analyzer.store.entry import Entry, State

LONGEST = 500
"""Signs of a reason: every answer is kept in the AnalysisRun."""

router = APIRouter(prefix="/api/v1/argo", tags=["argo"])

_NAME = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_HASH = r"^[a-z0-9]*$"


class Asked(Model):
    """What a template hands on of its Rollout. Hashes are those of the pod templates (`podTemplateHashValue`)."""

    namespace: str = Field(max_length=63, pattern=_NAME, examples=["shop"])
    rollout: str = Field(max_length=253, pattern=_NAME, examples=["web"])
    stable: str = Field(max_length=63, pattern=_HASH, examples=["5d4f8c7b9"])
    canary: str = Field(min_length=1, max_length=63, pattern=_HASH, examples=["6c9b7d5f4"])
    rules: str = Field(default="http", max_length=100, pattern=RULES_NAME)
    prometheus: str = Field(default="default", max_length=100)
    purpose: Purpose | None = Field(default=None, description="which of the Rollout's analyses asks; else the first")


class InAddress(Asked):
    """The same in an address, where a parameter of the rule set is `set=NAME=VALUE`."""

    set: list[str] = Field(default=[], max_length=100)


class InBody(Asked):
    """The same in a body."""

    parameters: dict[str, str] = Field(default={}, max_length=100)


class Told(Model):
    """At most one of `pass` and `fail` is true; neither: not yet, or nobody can say. `link` is of this server."""

    passed: bool = Field(serialization_alias="pass")
    fail: bool
    verdict: str = Field(examples=["pending"])
    reason: str
    analysis: str = Field(examples=["3f2a9c0d1e4b"])
    link: str


@router.get("/verdict", response_model=Told, summary="Ask for the verdict on a Rollout's newest revision")
async def verdict(asked: Annotated[InAddress, Query()], request: Request, caller: Asking, parts: Here) -> Response:
    """The first question starts the analysis of this attempt; it never acts, for the controller does.

    Arguments of a template arrive as they are written: a name that stands twice is refused, for one of the two came
    out of another's value.
    """
    names = [name for name, _ in request.query_params.multi_items() if name != "set"]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{twice[0]}: stands more than once in the address: a value with '&' in it must be encoded")
    return await _answer(asked, _parameters(asked.set), caller, parts)


@router.post("/verdict", response_model=Told, summary="The same, with the arguments in the body")
async def posted(asked: InBody, caller: Asking, parts: Here) -> Response:
    """For arguments that do not fit into an address."""
    return await _answer(asked, asked.parameters, caller, parts)


def _parameters(given: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or name in found:
            raise UsageError(f"set: {text[:100]!r} is not NAME=VALUE, or the name stands twice")
        found[name] = value
    return found


async def _answer(asked: Asked, parameters: dict[str, str], caller: Caller, parts: Parts) -> Response:
    need(caller, Role.START, asked.namespace)
    order = Order(
        target=f"rollout/{asked.rollout}",
        namespace=asked.namespace,
        rules=asked.rules,
        parameters=parameters,
        prometheus=asked.prometheus,
        dry_run=True,
    )
    digest = hashlib.sha256(order.model_dump_json().encode()).hexdigest()[:16]
    poll = Poll(asked.namespace, asked.rollout, asked.stable, asked.canary, asked.purpose, digest)

    async def start(key: str) -> str:
        # From now on: what earlier attempts at the same revision have left in Prometheus says nothing of this one.
        since = await parts.service.database.time()
        try:
            entry, _ = await place(parts, caller, order.model_copy(update={"since": since}), OURS + key)
        except Refused as refused:
            if refused.status != HTTPStatus.TOO_MANY_REQUESTS:
                raise
            raise Waiting(str(refused)) from refused
        return entry.id

    try:
        async with asyncio.timeout(IN_ALL):
            entry = await _entry(parts, poll, start)
    except Waiting as waiting:
        return _told(str(waiting))
    except StoreError:  # of every kind: a password that has changed is no failed release either
        return _told("nothing is known now: the database cannot be reached, or not be used")
    except TimeoutError:
        return _told("nothing is known now: the database does not answer in time")
    return _told(entry.summary.reason or "nothing has been judged yet", entry)


async def _entry(parts: Parts, poll: Poll, start: Callable[[str], Awaitable[str]]) -> Entry:
    try:
        entry = await parts.latest.get(await parts.polls.analysis(poll, start))
    except NoAnalysis:  # removed with what is old, and not in memory any more
        return await _confirmed(parts, poll, start)
    if entry.state == State.ENDED or entry.summary.verdict != Verdict.PENDING:
        return await _confirmed(parts, poll, start)
    return entry


async def _confirmed(parts: Parts, poll: Poll, start: Callable[[str], Awaitable[str]]) -> Entry:
    """That of the attempt that is under way now, as it is kept now: a verdict is told by nobody's memory."""
    try:
        return await parts.service.analyses.get(await parts.polls.confirmed(poll, start))
    except NoAnalysis:  # removed with what is old, while it was asked for again and again
        parts.polls.forget(poll)
        return await parts.service.analyses.get(await parts.polls.confirmed(poll, start))


def _told(reason: str, entry: Entry | None = None) -> Response:
    found = entry.summary.verdict if entry else Verdict.PENDING
    body = Told(
        passed=found == Verdict.PASS,
        fail=found == Verdict.FAIL,
        verdict=str(found),
        reason=reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 1]}…",
        analysis=entry.id if entry else "",
        link=f"/api/v1/analyses/{entry.id}/report.html" if entry else "",
    )
    return Response(body.model_dump_json(by_alias=True), 200, {}, "application/json")
