"""From a decision to a receipt: look again, ask the guards, keep the intent, do it, keep the receipt."""

import asyncio
from collections.abc import AsyncIterator

from analyzer.engine.guards import hold
from analyzer.engine.ports import Ports
from analyzer.errors import CanaryError, LeaseLost, PlatformUnavailable
from analyzer.model.event import Acted, Decided, Held, Intended
from analyzer.model.plan import Plan
from analyzer.model.report import Guard
from analyzer.model.target import TAKES_BACK, Deployment, Intent, Receipt

PATIENCE = 120.0
"""Seconds that a platform which cannot be reached is waited for before it counts as unknown: an API server that is
restarted is away for less."""
LOOKS = 5
"""How often a platform that can be reached is asked, if it does not say what is deployed."""
PAUSE = 2.0
"""Seconds between two looks."""


async def carry_out(plan: Plan, decided: Decided, ports: Ports) -> AsyncIterator[Held | Intended | Acted]:
    """The events of one act, each to be kept before the next is asked for: Held, or Intended and then Acted."""
    if not plan.acting:
        return
    deployment = await _look(ports)
    if isinstance(deployment, str):
        reason = f"nothing was done, for the platform could not be asked what is deployed now: {deployment}"
        yield Held(at=ports.clock.now(), guard=Guard.UNKNOWN, reason=reason)
        return
    held = hold(plan, deployment, ports.clock.now(), decided.action, actions_on=ports.actions_on)
    if held is not None:
        yield held
        return
    intent = Intent(
        kind=decided.action,
        analysis=plan.id,
        target=plan.deployment.target,
        from_revision=deployment.current,
        to_revision=deployment.wanted if decided.action in TAKES_BACK else None,
        reason=decided.reason,
    )
    if withheld := await ports.permission.withheld(intent):
        yield Held(at=ports.clock.now(), guard=Guard.STOPPED, reason=withheld)
        return
    yield Intended(at=ports.clock.now(), intent=intent)
    receipt = await asyncio.shield(_take_back(intent, ports))
    yield Acted(at=ports.clock.now(), receipt=receipt)


async def _look(ports: Ports) -> Deployment | str:
    give_up, refusals = ports.clock.now() + PATIENCE, 0
    while True:
        try:
            return await ports.platform.look()
        except PlatformUnavailable as error:
            trouble = str(error)
        except CanaryError as error:
            trouble, refusals = str(error), refusals + 1
        if refusals >= LOOKS or ports.clock.now() >= give_up:
            return trouble
        await ports.clock.sleep(PAUSE)


async def _take_back(intent: Intent, ports: Ports) -> Receipt:
    try:
        return await ports.platform.take_back(intent, ports.permission.confirm)
    except LeaseLost:
        raise
    except CanaryError as error:
        return Receipt(ok=False, detail=str(error))
