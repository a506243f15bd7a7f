"""The parts of a running service, together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from prometheus_client.metrics_core import Metric

from analyzer.service.gating import Canaries
from analyzer.service.identity import Identities
from analyzer.service.polling import Rollouts
from analyzer.service.settings import Settings
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit
from analyzer.store.database import Database


class Work(Protocol):
    """What the API may say to the supervisor, and ask of it."""

    def wake(self) -> None:
        """Look for new orders and decisions now, not at the next turn."""
        ...

    def troubles(self) -> Sequence[str]:
        """Why this replica is not ready to work now, a sentence each; none: it is."""
        ...

    def is_lost(self) -> bool:
        """Whether only a new start of this replica helps."""
        ...

    async def metrics(self) -> Sequence[Metric]:
        """The metrics of what works on analyses, if that is another process."""
        ...


@dataclass(frozen=True)
class Service:
    """Everything that a request may need."""

    settings: Settings
    database: Database
    analyses: Analyses
    audit: Audit
    identities: Identities
    work: Work
    rollouts: Rollouts
    canaries: Canaries
