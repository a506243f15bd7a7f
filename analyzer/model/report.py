"""The verdict, the action and its result, with the evidence: what every face shows, in one order of fields."""

from enum import StrEnum

from analyzer.model.base import Model
from analyzer.model.guard import Guard
from analyzer.model.judgement import Judgement
from analyzer.model.target import ActionKind, Receipt, Revision, Stage, Target

__all__ = ["Action", "ActionResult", "Guard", "Report", "Verdict"]


class Verdict(StrEnum):
    """What came of an analysis; PENDING while it runs."""

    PASS = "pass"  # noqa: S105 -- a verdict, not a password
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"
    PENDING = "pending"


class ActionResult(StrEnum):
    """What came of the action."""

    NONE = "none"  # nothing was to be done
    DONE = "done"  # done, and where something was taken back the service has recovered
    UNVERIFIED = "unverified"  # begun or done, and the recovery has not been seen
    FAILED = "failed"
    HELD = "held"  # a guard held it back
    DRY_RUN = "dry-run"


class Action(Model):
    """What was done, and what came of it."""

    kind: ActionKind = ActionKind.NONE
    result: ActionResult = ActionResult.NONE


class Report(Model):
    """The result of an analysis, or where it stands. The first four fields lead in every output."""

    verdict: Verdict
    action: Action = Action()
    held_by: Guard | None = None
    reason: str
    analysis: str
    target: Target
    revision: Revision
    baseline: Revision | None = None
    rule_set: str
    upgraded_at: float
    started_at: float
    decided_at: float | None = None
    ended_at: float | None = None
    as_of: float  # the end of the last window that was read, or the time of the last event
    deadline_at: float
    seconds_to_verdict: float | None = None  # from the upgrade
    seconds_to_recovery: float | None = None  # from the first window with bad events of a failing rule
    judgements: tuple[Judgement, ...] = ()
    receipt: Receipt | None = None
    stage: Stage | None = None  # of the revision, where it was brought out in steps when it was last looked at
    warnings: tuple[str, ...] = ()
