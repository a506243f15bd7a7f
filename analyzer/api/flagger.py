"""For Flagger: the gate that the webhooks of a Canary ask for. 200 is Flagger's word for yes, 4xx for no.

Yes to what depends on the webhook's type (`analyzer.service.gating.Gate`), and Flagger does not send the type. So the
metadata says which gate is meant, and the Canary is asked whether that is so.
"""

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter
from pydantic import ConfigDict, Field, StringConstraints, ValidationError
from starlette.responses import Response

from analyzer.api.analyses import place
from analyzer.api.callers import Asking, need
from analyzer.api.flagger_token import KEY as TOKEN
from analyzer.api.parts import Here, Parts
from analyzer.api.problem import Refused
from analyzer.errors import NoAnalysis, PlatformError, StoreError, UsageError
from analyzer.model.base import Model
from analyzer.model.order import Order
from analyzer.model.report import Verdict
from analyzer.platforms.flagger_canary import Try
from analyzer.service.gating import Gate
from analyzer.service.identity import Caller, Role
from analyzer.service.placing import OURS
from analyzer.service.polling import IN_ALL
from analyzer.store.entry import Entry

LONGEST = 500
"""Signs of a reason: Flagger writes it into an Event."""
SET = "set."
"""Begins the key of a parameter of the rule set."""

router = APIRouter(prefix="/api/v1/flagger", tags=["flagger"])

_log = logging.getLogger(__name__)
_NAME = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"
_Value = Annotated[str, StringConstraints(max_length=2000)]


class Payload(Model):
    """What Flagger sends. What later versions send beside it is not looked at."""

    model_config = ConfigDict(extra="ignore")

    name: str = Field(max_length=253, pattern=_NAME, examples=["web"])
    namespace: str = Field(max_length=63, pattern=_NAME, examples=["shop"])
    phase: str = Field(default="", max_length=63, examples=["Progressing"])
    checksum: str = Field(default="", max_length=63, pattern=r"^[a-z0-9]*$", examples=["65d4f8c7b9"])
    metadata: dict[str, _Value] = Field(
        default={},
        max_length=100,
        examples=[{"gate": "confirm-promotion", "rules": "http"}],
        description="that of the webhook: gate, rules, prometheus, set.NAME, token",
    )


class Answer(Model):
    """That the gate is open. `link` is of this server."""

    gate: Gate
    verdict: str = Field(examples=["pass"])
    reason: str
    analysis: str = Field(examples=["3f2a9c0d1e4b"])
    link: str


@router.post(
    "/gate",
    response_model=Answer,
    responses={409: {"description": "The gate is closed"}},
    summary="Ask whether Flagger may go on",
)
async def gate(payload: Payload, caller: Asking, parts: Here) -> Response:
    """The first call starts the analysis of this try; it never acts, for Flagger does."""
    need(caller, Role.START, payload.namespace)
    asked = _gate(payload.metadata)
    entry, reason = None, ""
    try:
        async with asyncio.timeout(IN_ALL):
            entry = await _entry(payload, asked, caller, parts)
    except _Unknown as unknown:
        reason = str(unknown)
    except StoreError:  # of every kind: a password that has changed is no failed release either
        reason = "nothing is known now: the database cannot be reached, or not be used"
    except TimeoutError:
        reason = "nothing is known now: the database does not answer in time"
    except UsageError as error:
        if asked != Gate.ROLLOUT:
            raise
        # A mistake in the Canary is no failed release: what holds the promotion is the other gate.
        _log.warning("flagger: Canary %s in %s: %s", payload.name, payload.namespace, error)
        reason = f"nothing can be judged: {error}"
    return _told(asked, reason, entry)


class _Unknown(Exception):  # noqa: N818 -- no error: there is nothing to analyse (yet), or nobody can say
    """Why there is no analysis to answer from, a sentence."""


async def _entry(payload: Payload, asked: Gate, caller: Caller, parts: Parts) -> Entry:
    try:
        current = await parts.service.canaries.try_of(payload.namespace, payload.name)
    except PlatformError as error:
        raise _Unknown(f"which try is under way is not known now: {error}") from error
    _check_type(current, asked, payload.metadata)
    if not current.id:
        raise _Unknown(current.why)
    order = _order(payload)
    digest = hashlib.sha256(order.model_dump_json().encode()).hexdigest()[:16]
    key = f"flagger/{payload.name}/{payload.checksum}/{current.id}/{digest}"

    async def start(key: str) -> str:
        try:
            entry, _ = await place(parts, caller, order, OURS + key)
        except Refused as refused:
            if refused.status != HTTPStatus.TOO_MANY_REQUESTS:
                raise
            raise _Unknown(str(refused)) from refused
        return entry.id

    try:
        return await parts.service.analyses.get(await parts.gates.analysis(key, start))
    except NoAnalysis:  # removed with what is old, while it was asked for again and again
        parts.gates.forget(key)
        return await parts.service.analyses.get(await parts.gates.analysis(key, start))


def _gate(metadata: Mapping[str, str]) -> Gate:
    try:
        return Gate(metadata.get("gate", ""))
    except ValueError:
        raise UsageError(
            f"metadata.gate: write the webhook's type there, which is one of {', '.join(Gate)}; no other type of "
            "webhook is answered here"
        ) from None


def _check_type(current: Try, asked: Gate, metadata: Mapping[str, str]) -> None:
    """That the webhook is of the type that its metadata says.

    Raises:
        Refused: it is not: the answer would mean something else to Flagger. Said to every type, 4xx promotes nothing.
    """
    types = current.canary.asked_by(metadata)
    if types != {asked.value}:
        found = f"its type is {' and '.join(sorted(types))}" if types else "there is none with just this metadata"
        raise Refused(
            422, f"metadata.gate: says {asked.value} of a webhook of Canary {current.canary.name}, and {found}"
        )


def _order(payload: Payload) -> Order:
    """The order of a webhook.

    Raises:
        UsageError: its metadata has a key that nobody knows, or a value that cannot be.
    """
    given = dict(payload.metadata)
    parameters = {key.removeprefix(SET): given.pop(key) for key in [*given] if key.startswith(SET)}
    known = {"gate", "rules", "prometheus", TOKEN}
    if unknown := sorted(set(given) - known):
        raise UsageError(f"metadata.{unknown[0]}: is not known: write {', '.join(sorted(known))} or {SET}NAME")
    try:
        return Order(
            target=f"flagger/{payload.name}",
            namespace=payload.namespace,
            rules=given.get("rules", "http"),
            parameters=parameters,
            prometheus=given.get("prometheus", "default"),
            dry_run=True,
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        raise UsageError(f"metadata.{wrong['loc'][0]}: {wrong['msg']}") from None


def _told(asked: Gate, reason: str, entry: Entry | None) -> Response:
    verdict = Verdict(entry.summary.verdict) if entry else Verdict.PENDING
    reason = reason or (entry.summary.reason if entry else "") or "nothing has been judged yet"
    reason = reason if len(reason) <= LONGEST else f"{reason[: LONGEST - 1]}…"
    if not asked.opens(verdict):
        found = f" (analysis {entry.id})" if entry else ""
        raise Refused(HTTPStatus.CONFLICT, f"{verdict}: {reason}{found}")
    body = Answer(
        gate=asked,
        verdict=str(verdict),
        reason=reason,
        analysis=entry.id if entry else "",
        link=f"/api/v1/analyses/{entry.id}/report.html" if entry else "",
    )
    return Response(body.model_dump_json(), 200, {}, "application/json")
