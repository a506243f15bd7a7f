"""What a caller wants: one analysis."""

import uuid
from dataclasses import dataclass, field
from pathlib import Path

from analyzer.model.gitops import GitOps
from analyzer.model.ruleset import OnFail
from analyzer.model.target import Target
from analyzer.platforms.helm import RollbackOptions
from analyzer.sources.endpoint import PATIENCE
from analyzer.sources.prometheus.access import PrometheusAccess


@dataclass(frozen=True)
class Wanted:
    """How the caller tells the sides apart, over the rule set's own `sides`; `since` in Unix seconds.

    `revision` and `previous` name the revisions where the platform has no names for them.
    """

    canary: str | None = None
    baseline: str | None = None
    since: float | None = None
    revision: str = "new"
    previous: str = "previous"


@dataclass(frozen=True)
class AnalysisOrder:
    """Everything that one analysis needs to know from its caller."""

    target: Target
    rules: str
    parameters: dict[str, str]
    access: PrometheusAccess | None  # None: scrape, or what the caller shares among many
    wanted: Wanted
    scrape_canary: tuple[str, ...] = ()
    scrape_baseline: tuple[str, ...] = ()
    scrape_timeout: float = PATIENCE  # seconds
    helm: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    rollback_command: str | None = None
    rollback: RollbackOptions = field(default_factory=RollbackOptions)
    to_revision: int | None = None
    expected_revision: str | None = None  # None: whichever is current
    on_fail: OnFail | None = None  # None: the rule set's
    retry: bool = False
    gitops: GitOps = field(default_factory=GitOps)
    needs_ready_pods: bool = False
    acting: bool = True
    actions_on: bool = True
    record: Path | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
