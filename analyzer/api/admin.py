"""The switch for all acts, and who did what."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from analyzer.api.callers import Asking, need, need_anywhere
from analyzer.api.parts import Here, Parts
from analyzer.api.representation import AuditItem, AuditPage, Switched, SwitchTo
from analyzer.api.writing import json
from analyzer.model.base import Model
from analyzer.service.identity import EVERYWHERE, Role
from analyzer.service.settings import Actions
from analyzer.store.audit import Deed
from analyzer.store.switch import Setting

router = APIRouter(prefix="/api/v1", tags=["administration"])


class Audited(Model):
    """Which deeds."""

    analysis: str | None = Query(default=None, pattern=r"^[0-9a-f]{12}$")
    before: int | None = Query(default=None, ge=1, le=2**63 - 1, description="`next` of the page before")
    limit: int = Query(default=100, ge=1, le=500)


@router.get("/actions", response_model=Switched, summary="Whether analyses act")
async def actions(caller: Asking, parts: Here) -> Response:
    """The stricter one of the settings and the switch."""
    need_anywhere(caller, Role.READ)
    return json(await _switched(parts))


@router.put("/actions", response_model=Switched, summary="Switch all acts on or off")
async def switch(body: SwitchTo, caller: Asking, parts: Here) -> Response:
    """For all replicas, at once. What the settings forbid stays forbidden."""
    need(caller, Role.ADMIN, EVERYWHERE)
    now = await parts.service.database.time()
    detail = f"{body.actions.value}: {body.why}"
    await parts.service.audit.append(Deed(at=now, who=caller.name, what="actions", detail=detail))
    await parts.switch.set(Setting(body.actions.value, caller.name, body.why, now))
    parts.service.work.wake()
    return json(await _switched(parts))


async def _switched(parts: Parts) -> Switched:
    state = await parts.brakes.state()
    counts = {"rollbacks_last_hour": state.begun, "rollbacks_per_hour": state.most}
    if state.at is not None:
        return Switched(actions=state.actions, by=state.by, why=state.why, at=state.at, **counts)
    if state.actions == Actions.ON:
        return Switched(actions=state.actions, **counts)
    why = f"actions: {state.actions.value} in the service's settings"
    return Switched(actions=state.actions, by="settings", why=why, **counts)


@router.get("/audit", response_model=AuditPage, summary="Who did what, newest first")
async def audit(caller: Asking, parts: Here, which: Annotated[Audited, Query()]) -> Response:
    """Every start, decision and switch."""
    need(caller, Role.ADMIN, EVERYWHERE)
    deeds = await parts.service.audit.list(which.analysis, which.before, which.limit)
    following = deeds[-1].seq if len(deeds) == which.limit else None
    return json(AuditPage(items=tuple(AuditItem.of(deed) for deed in deeds), next=following))
