"""What every request finds."""

from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Path, Request

from analyzer.api.hub import Hub
from analyzer.api.latest import Latest
from analyzer.errors import NoAnalysis
from analyzer.service.brakes import Brakes
from analyzer.service.gating import Gates
from analyzer.service.identity import Caller, Role
from analyzer.service.placing import Placing
from analyzer.service.polling import Polls
from analyzer.service.reporting import Reports
from analyzer.service.running import Service
from analyzer.service.telemetry import Telemetry
from analyzer.store.entry import Entry
from analyzer.store.switch import Switch

AnalysisId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", examples=["3f2a9c0d1e4b"])]


@dataclass(frozen=True)
class Parts:
    """The service, and what the API adds to it."""

    service: Service
    telemetry: Telemetry
    reports: Reports
    hub: Hub
    switch: Switch
    brakes: Brakes
    polls: Polls
    latest: Latest
    placing: Placing
    gates: Gates = field(default_factory=Gates)

    async def entry(self, caller: Caller, id_: str) -> Entry:
        """An analysis that this caller may read.

        Raises:
            NoAnalysis: there is none, or they may not: who may not look does not learn that it is there.
        """
        entry = await self.service.analyses.get(id_)
        if not caller.may(Role.READ, entry.namespace):
            raise NoAnalysis(f"there is no analysis {id_}")
        return entry


def parts_of(request: Request) -> Parts:
    """Those of the application."""
    parts = request.app.state.parts
    assert isinstance(parts, Parts)
    return parts


Here = Annotated[Parts, Depends(parts_of)]
