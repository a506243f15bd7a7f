"""Decisions by hand: who, what and why are kept before anything happens."""

from fastapi import APIRouter
from starlette.responses import Response

from analyzer.api.callers import Asking, need
from analyzer.api.parts import AnalysisId, Here, Parts
from analyzer.api.problem import Refused
from analyzer.api.representation import Analysis, Reasoned
from analyzer.api.writing import json
from analyzer.model.order import Ordered
from analyzer.model.report import ActionResult
from analyzer.service.identity import Caller, Role
from analyzer.store.audit import Deed
from analyzer.store.entry import Decision, DecisionKind, Entry, State

_BEGUN = {ActionResult.UNVERIFIED, ActionResult.DONE, ActionResult.FAILED}

router = APIRouter(prefix="/api/v1/analyses/{analysis_id}", tags=["decisions"])


@router.post("/cancel", status_code=202, response_model=Analysis, responses={409: {}}, summary="Stop an analysis")
async def cancel(analysis_id: AnalysisId, body: Reasoned, caller: Asking, parts: Here) -> Response:
    """At its next safe point, without an action; what was acted already is not verified any more.

    Whoever ordered it may do so with the role that ordering needs.
    """
    return await _decide(parts, caller, analysis_id, DecisionKind.CANCEL, body.why)


@router.post("/approve", status_code=202, response_model=Analysis, responses={409: {}}, summary="Approve a revision")
async def approve(analysis_id: AnalysisId, body: Reasoned, caller: Asking, parts: Here) -> Response:
    """End the analysis with a pass, whatever the rules say so far."""
    return await _decide(parts, caller, analysis_id, DecisionKind.APPROVE, body.why)


@router.post("/reject", status_code=202, response_model=Analysis, responses={409: {}}, summary="Reject a revision")
async def reject(analysis_id: AnalysisId, body: Reasoned, caller: Asking, parts: Here) -> Response:
    """End the analysis with a fail, and do what its rule set says of one."""
    return await _decide(parts, caller, analysis_id, DecisionKind.REJECT, body.why)


@router.post("/rollback", status_code=202, response_model=Analysis, responses={409: {}}, summary="Roll back now")
async def rollback(analysis_id: AnalysisId, body: Reasoned, caller: Asking, parts: Here) -> Response:
    """Take the revision back, whatever the rule set says of a fail."""
    return await _decide(parts, caller, analysis_id, DecisionKind.ROLLBACK, body.why)


async def _decide(parts: Parts, caller: Caller, id_: str, kind: DecisionKind, why: str) -> Response:
    entry = await parts.entry(caller, id_)
    need(caller, _needed(caller, entry, kind), entry.namespace)
    _refuse_impossible(entry, kind)
    service = parts.service
    now = await service.database.time()
    await service.audit.append(Deed(at=now, who=caller.name, what=kind, analysis_id=id_, detail=why))
    if not await service.analyses.ask(id_, Decision(kind, caller.name, why, now)):
        sentence = "came too late: the analysis is over, or another decision was faster"
        await service.audit.append(Deed(at=now, who=caller.name, what=kind, analysis_id=id_, detail=sentence))
        _refuse_impossible(await service.analyses.get(id_), kind)
        raise Refused(409, f"analysis {id_}: another decision was faster: look at it, and decide again")
    service.work.wake()
    return json(Analysis.of(await service.analyses.get(id_)), 202)


def _needed(caller: Caller, entry: Entry, kind: DecisionKind) -> Role:
    is_own = kind == DecisionKind.CANCEL and Ordered.model_validate_json(entry.ordered).by == caller.name
    return Role.START if is_own else Role.DECIDE


def _refuse_impossible(entry: Entry, kind: DecisionKind) -> None:
    if entry.state == State.ENDED:
        raise Refused(409, f"analysis {entry.id} is over: nothing can be decided about it any more")
    if (waiting := entry.asked) is not None:
        raise Refused(409, f"analysis {entry.id}: {waiting.kind.value} by {waiting.by} waits to be done: wait for it")
    if entry.summary.result in _BEGUN and kind != DecisionKind.CANCEL:
        raise Refused(
            409,
            f"analysis {entry.id}: its {entry.summary.action} has begun, and {kind.value} would change nothing: "
            "cancel ends the verification of the recovery",
        )
