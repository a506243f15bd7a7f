"""Keeps an analysis' verdict in the cluster as soon as it is there, and what was done then. Beside another record."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from analyzer.errors import PlatformError
from analyzer.model.event import Acted, Decided, Event, Held, Planned, Verified
from analyzer.model.report import Verdict
from analyzer.platforms.verdicts import Judged, Verdicts

PATIENCE = 5.0
"""Seconds for one write: a way back does not wait for it any longer."""


class Keeps(Protocol):
    """A record of events."""

    async def append(self, event: Event) -> None:
        """Keep one event."""
        ...


class VerdictRecord:
    """A record that hands every event on, and keeps the verdict in the release's ConfigMap.

    `past` are the events that the other record has already. What cannot be written is told once through `complain`,
    and tried again with the next news. A dry run keeps nothing.
    """

    def __init__(
        self, record: Keeps, verdicts: Verdicts, complain: Callable[[str], None], past: Sequence[Event] = ()
    ) -> None:
        self._record = record
        self._verdicts = verdicts
        self._complain = complain
        self._planned: Planned | None = None
        self._judged: Judged | None = None
        self._complained = False
        for event in past:
            self._hear(event)

    async def append(self, event: Event) -> None:
        """Keep one event; the other record first."""
        await self._record.append(event)
        judged = self._hear(event)
        if judged is not None:
            await self._write(judged)

    def _hear(self, event: Event) -> Judged | None:
        """The verdict, if this event changes it."""
        if isinstance(event, Planned):
            self._planned = event
        if self._planned is None or not self._planned.plan.acting:
            return None
        judged = _judged(self._planned, self._judged, event)
        self._judged = judged or self._judged
        return judged

    async def _write(self, judged: Judged) -> None:
        try:
            await asyncio.wait_for(self._verdicts.write(judged), PATIENCE)
        except (PlatformError, TimeoutError) as error:
            if not self._complained:
                why = str(error) or "the Kubernetes API server did not answer in time"
                self._complain(f"the verdict could not be kept in the cluster: {why}")
            self._complained = True


def _judged(planned: Planned, before: Judged | None, event: Event) -> Judged | None:
    """The verdict after this event, if it has changed."""
    if isinstance(event, Decided):
        return _decided(planned, event)
    if before is None:
        return None
    kind = before.action.partition(" ")[0]
    done = ""
    match event:
        case Held() if kind != "none":
            done = f"{kind} held by {event.guard.value}"
        case Acted():
            done = f"{kind} {'done' if event.receipt.ok else 'failed'}"
        case Verified() if before.action.endswith("done"):
            done = f"{before.action}, {'recovered' if event.recovered else 'no recovery seen'}"
    return before.model_copy(update={"action": done}) if done else None


def _decided(planned: Planned, event: Decided) -> Judged | None:
    """Nothing where nothing was found out about the revision: not by an upgrade that changes no pod either."""
    if event.verdict == Verdict.ERROR or planned.plan.deployment.unchanged:
        return None
    revision = planned.plan.deployment.current
    return Judged(
        revision=revision.number,
        digest=revision.digest,
        verdict=event.verdict,
        at=max(event.at, revision.deployed_at or 0.0),  # helm's clock may be ahead of ours
        reason=event.reason,
        analysis=planned.plan.id,
        action=event.action.value,
    )
