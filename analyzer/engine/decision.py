"""From what the rules say to a verdict, and from a verdict to what is to be done. Pure."""

from analyzer.engine.analysis import Analysis, never_answered, refused
from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.model.event import Command, Decided, Extended
from analyzer.model.judgement import Standing
from analyzer.model.report import Verdict
from analyzer.model.ruleset import OnFail, OnInconclusive, OnPass
from analyzer.model.target import ActionKind
from analyzer.model.units import show_duration

ACTION_ON_FAIL = {
    OnFail.ROLLBACK: ActionKind.ROLLBACK,
    OnFail.ABORT: ActionKind.ABORT,
    OnFail.PAUSE: ActionKind.PAUSE,
    OnFail.NONE: ActionKind.NONE,
}


FAILED = "failed"
"""The status of a revision whose pods or hooks were waited for in vain."""


def _on_fail(analysis: Analysis) -> ActionKind:
    return ACTION_ON_FAIL[analysis.plan.rule_set.spec.on_fail]


def decide(  # noqa: C901, PLR0911 -- one return for each reason to decide, in their order
    analysis: Analysis, now: float
) -> Decided | Extended | None:
    """The verdict, if there is one at this time; an extension of the deadline; or None to go on."""
    if analysis.intended is not None or (analysis.decided is not None and not analysis.is_watching):
        return None
    if analysis.held is not None and analysis.decided is None:
        reason = f"stopped without a verdict: {analysis.held.reason}"
        return Decided(at=now, verdict=Verdict.INCONCLUSIVE, reason=reason, action=ActionKind.NONE)
    if analysis.held is not None:
        return None  # a pass whose watch was ended by a newer upgrade
    if (by_hand := _by_hand(analysis, now)) is not None:
        return by_hand
    standing = judge.standing(analysis.assessment)
    if standing == Standing.FAIL:
        return _failed(analysis, analysis.assessment, now)
    if analysis.decided is not None:
        return None  # a pass that is being watched
    if (known := _known_beforehand(analysis, now)) is not None:
        return known
    if refusal := refused(analysis):
        reason = f"could not analyse: every query is refused: {refusal}"
        return Decided(at=now, verdict=Verdict.ERROR, reason=reason, action=ActionKind.NONE)
    schedule = analysis.plan.rule_set.spec.schedule
    read_to = min(progress.read_to for progress in analysis.progress.values())
    # What was seen may be enough, and yet be old: who has fallen silent may have turned bad since.
    is_heard = not any(progress.fell_silent for progress in analysis.progress.values())
    if standing == Standing.PASS and is_heard and read_to >= analysis.plan.upgraded_at + schedule.minimum:
        return _passed(analysis, now, judge.reason_to_pass(analysis.assessment))
    if now >= analysis.deadline_at and (analysis.read_all or _is_out_of_patience(analysis, now)):
        return _not_ready(analysis, now) or _at_deadline(analysis, now)
    return None


def _by_hand(analysis: Analysis, now: float) -> Decided | None:
    """What a person has decided, if that is still to be done. A pass that is watched stays one when it is cancelled."""
    commanded = analysis.commanded
    if commanded is None or analysis.obeyed:
        return None
    said = f"by {commanded.by}: {commanded.why}"
    match commanded.command:
        case Command.APPROVE:
            return _passed(analysis, now, f"approved {said}")
        case Command.REJECT:
            return Decided(at=now, verdict=Verdict.FAIL, reason=f"rejected {said}", action=_on_fail(analysis))
        case Command.ROLLBACK:
            return Decided(at=now, verdict=Verdict.FAIL, reason=f"ordered back {said}", action=ActionKind.ROLLBACK)
        case Command.CANCEL if analysis.decided is None:
            reason = f"cancelled {said}"
            return Decided(at=now, verdict=Verdict.INCONCLUSIVE, reason=reason, action=ActionKind.NONE)
    return None


def _known_beforehand(analysis: Analysis, now: float) -> Decided | None:
    """The verdict where nothing needs to be read for it."""
    deployment = analysis.plan.deployment
    current = deployment.current
    if current.status == FAILED:
        reason = f"revision {current.number} was not brought out whole: {current.description or current.status}"
        return Decided(at=now, verdict=Verdict.FAIL, reason=reason, action=_on_fail(analysis))
    if deployment.unchanged:
        reason = "nothing to compare: the upgrade changes no pod template"
        return Decided(at=now, verdict=Verdict.PASS, reason=reason, action=ActionKind.NONE)
    return None


def _is_out_of_patience(analysis: Analysis, now: float) -> bool:
    """Whether what is still unread will not be waited for: its source is away, and the deadline is well past."""
    interval = analysis.plan.rule_set.spec.schedule.interval
    behind = [progress for progress in analysis.progress.values() if progress.read_to < analysis.deadline_at]
    if not all(progress.trouble for progress in behind):
        return False  # an analysis that began late is still catching up
    return now >= max(analysis.deadline_at + 2 * interval, analysis.plan.started_at + 4 * interval)


def _passed(analysis: Analysis, now: float, reason: str) -> Decided:
    promotes = analysis.plan.rule_set.spec.on_pass == OnPass.PROMOTE
    action = ActionKind.PROMOTE if promotes else ActionKind.NONE
    return Decided(at=now, verdict=Verdict.PASS, reason=reason, action=action)


def _failed(analysis: Analysis, assessment: Assessment, now: float) -> Decided:
    action = ACTION_ON_FAIL[analysis.plan.rule_set.spec.on_fail]
    return Decided(at=now, verdict=Verdict.FAIL, reason=judge.reason_to_fail(assessment), action=action)


def _not_ready(analysis: Analysis, now: float) -> Decided | None:
    """A fail, if pods of the canary are not ready now that the deadline has come: no extension waits for them."""
    closed = judge.at_deadline(analysis.assessment, analysis.deadline_at)
    return _failed(analysis, closed, now) if closed.failed else None


def _at_deadline(analysis: Analysis, now: float) -> Decided | Extended:
    spec = analysis.plan.rule_set.spec
    after = show_duration(analysis.deadline_at - analysis.plan.upgraded_at)
    trouble = never_answered(analysis)
    if trouble is not None:
        reason = f"could not analyse: nothing was read within {after}: {trouble.detail}"
        return Decided(at=now, verdict=Verdict.ERROR, reason=reason, action=ActionKind.NONE)
    if judge.passes_at_deadline(analysis.assessment):
        return _passed(analysis, now, judge.reason_to_pass(analysis.assessment))
    reason = f"neither better nor worse was shown within {after}: {judge.reason_undecided(analysis.assessment)}"
    troubles = [progress.trouble.detail for progress in analysis.progress.values() if progress.trouble]
    if troubles:
        reason += f"; {troubles[0]}"
    undecided = Decided(at=now, verdict=Verdict.INCONCLUSIVE, reason=reason, action=ActionKind.NONE)
    match spec.on_inconclusive:
        case OnInconclusive.EXTEND if not analysis.extended:
            return Extended(at=now, deadline_at=analysis.deadline_at + spec.schedule.deadline)
        case OnInconclusive.ROLLBACK:
            return undecided.model_copy(update={"action": ActionKind.ROLLBACK})
        case OnInconclusive.PASS if judge.has_data(analysis.assessment):
            return _passed(analysis, now, f"{reason}; the rule set says to pass then (onInconclusive: pass)")
    return undecided


def _is_called_off(analysis: Analysis) -> bool:
    """Whether nothing more is to be watched or verified, for a person says so. An act is never cut in half."""
    commanded = analysis.commanded
    calls_off = commanded is not None and (
        commanded.command == Command.CANCEL or (commanded.command == Command.APPROVE and not _promotes(analysis))
    )
    return calls_off and (analysis.intended is None or analysis.acted is not None)


def _promotes(analysis: Analysis) -> bool:
    """Whether a promotion is what was decided, and is still to be done."""
    decided = analysis.decided
    promotes = decided is not None and decided.action == ActionKind.PROMOTE and analysis.plan.acting
    return promotes and analysis.acted is None


def _watched_until(analysis: Analysis) -> float:
    return (analysis.passed_at or 0.0) + analysis.plan.rule_set.spec.schedule.watch_after_pass


def is_due(analysis: Analysis, now: float) -> bool:
    """Whether what was decided is to be done now: a promotion once the watch is over, or a person has approved it."""
    decided = analysis.decided
    if decided is None or decided.action == ActionKind.NONE or analysis.held is not None or _is_called_off(analysis):
        return False
    approved = analysis.commanded is not None and analysis.commanded.command == Command.APPROVE
    return decided.action != ActionKind.PROMOTE or approved or now >= _watched_until(analysis)


def is_over(analysis: Analysis, now: float) -> bool:
    """Whether nothing more is to be read or done."""
    if analysis.decided is None:
        return False
    if analysis.held is not None or _is_called_off(analysis):
        return True
    if analysis.acted is not None:
        return analysis.verified is not None or not analysis.takes_back
    if analysis.decided.verdict != Verdict.PASS and analysis.decided.action != ActionKind.NONE:
        return not analysis.plan.acting  # in a dry run the verdict is the end, otherwise the act is still to come
    if analysis.passed_at is None or analysis.plan.deployment.unchanged:
        return True
    return now >= _watched_until(analysis) and not _promotes(analysis)
