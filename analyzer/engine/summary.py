"""The report of an analysis as it stands: every output is made from it. Pure."""

from analyzer.engine.analysis import Analysis
from analyzer.engine.guards import foreseen
from analyzer.judge import assessment as judge
from analyzer.model.report import Action, ActionResult, Report, Verdict
from analyzer.model.target import TAKES_BACK, ActionKind, Intent
from analyzer.model.units import show_duration

_DONE = {
    ActionKind.ROLLBACK: "taken back",
    ActionKind.ABORT: "taken back",
    ActionKind.PAUSE: "paused",
    ActionKind.PROMOTE: "promoted",
}


def report(analysis: Analysis) -> Report:
    """The report after all events so far; pending while there is no verdict."""
    plan, decided = analysis.plan, analysis.decided
    return Report(
        verdict=_verdict(analysis),
        action=_action(analysis),
        held_by=analysis.held.guard if analysis.held else None,
        reason=_reason(analysis),
        analysis=plan.id,
        target=plan.deployment.target,
        revision=plan.deployment.current,
        baseline=plan.deployment.wanted,
        rule_set=plan.rule_set.metadata.name,
        upgraded_at=plan.upgraded_at,
        started_at=plan.started_at,
        decided_at=decided.at if decided else None,
        ended_at=analysis.ended.at if analysis.ended else None,
        as_of=analysis.as_of,
        deadline_at=analysis.deadline_at,
        seconds_to_verdict=decided.at - plan.upgraded_at if decided else None,
        seconds_to_recovery=analysis.verified.seconds if analysis.verified else None,
        judgements=judge.judgements(analysis.assessment, {query.metric: query.rendered for query in plan.queries}),
        receipt=analysis.acted.receipt if analysis.acted else None,
        stage=analysis.stage,
        warnings=analysis.warnings + _notes(analysis),
    )


def _verdict(analysis: Analysis) -> Verdict:
    if analysis.decided is not None:
        return analysis.decided.verdict
    return Verdict.INCONCLUSIVE if analysis.ended is not None else Verdict.PENDING


def _action(analysis: Analysis) -> Action:
    decided = analysis.decided
    if decided is None or decided.action == ActionKind.NONE:
        return Action()
    if not analysis.plan.acting:
        return Action(kind=decided.action, result=ActionResult.DRY_RUN)
    if analysis.held is not None:
        return Action(kind=decided.action, result=ActionResult.HELD)
    if analysis.acted is None:
        begun = analysis.intended is not None
        return Action(kind=decided.action, result=ActionResult.UNVERIFIED if begun else ActionResult.NONE)
    if not analysis.acted.receipt.ok:
        return Action(kind=decided.action, result=ActionResult.FAILED)
    recovered = (analysis.verified is not None and analysis.verified.recovered) or not analysis.takes_back
    return Action(kind=decided.action, result=ActionResult.DONE if recovered else ActionResult.UNVERIFIED)


def _reason(analysis: Analysis) -> str:
    decided = analysis.decided
    if decided is None:
        return _unfinished(analysis) if analysis.ended else so_far(analysis)
    parts = [decided.reason]
    if analysis.held is not None and analysis.held.reason not in decided.reason:
        parts.append(
            f"not {_DONE[decided.action]}: {analysis.held.reason}"
            if decided.action != ActionKind.NONE
            else analysis.held.reason
        )
    if analysis.acted is None and analysis.intended is not None:
        parts.append(f"{_intended(analysis.intended.intent)} was begun, and what came of it is not recorded")
    if analysis.acted is not None:
        parts.append(analysis.acted.receipt.detail)
        if analysis.verified is not None and analysis.acted.receipt.ok:
            parts.append(analysis.verified.reason)
    elif decided.action != ActionKind.NONE and not analysis.plan.acting:
        wanted = analysis.plan.deployment.wanted if decided.action in TAKES_BACK else None
        parts.append(f"dry run: would {decided.action.value}" + (f" to revision {wanted.number}" if wanted else ""))
    if (
        analysis.ended is not None
        and analysis.ended.cause
        and analysis.intended is None
        and decided.action != ActionKind.NONE
    ):
        parts.append(f"stopped by {analysis.ended.cause} before anything was done")
    return "; ".join(parts)


def _intended(intent: Intent) -> str:
    return f"a {intent.kind.value}" + (f" to revision {intent.to_revision.number}" if intent.to_revision else "")


def so_far(analysis: Analysis) -> str:
    """What is known before there is a verdict, a sentence: as `report` has it, in a fraction of its time."""
    known = judge.reason_undecided(analysis.assessment)
    troubles = [progress.trouble.detail for progress in analysis.progress.values() if progress.trouble]
    return f"{known}; {troubles[0]}" if troubles else known


def _unfinished(analysis: Analysis) -> str:
    assert analysis.ended is not None
    after = show_duration(max(0.0, analysis.ended.at - analysis.plan.started_at))
    return (
        f"stopped by {analysis.ended.cause or 'its caller'} after {after}, before a verdict; nothing was done; "
        f"{so_far(analysis)}"
    )


def _notes(analysis: Analysis) -> tuple[str, ...]:
    passed = analysis.decided is not None and analysis.decided.verdict == Verdict.PASS
    notes = [] if passed else list(judge.notes(analysis.assessment))
    if names := analysis.plan.rule_set.spec.messages:
        notes.append(f"messages: {', '.join(names)} not told: only the caller of this analysis is")
    if analysis.platform_trouble is not None:
        notes.append(f"the platform could not be asked at times: {analysis.platform_trouble.detail}")
    if not passed:
        held = analysis.held.reason if analysis.held else ""
        obstacles = [reason for reason in foreseen(analysis.plan) if reason != held]
        notes += [f"when it started, this spoke against taking it back: {reason}" for reason in obstacles]
    notes += analysis.plan.deployment.cautions
    if analysis.plan.deployment.is_way_back:
        notes.append(
            f"revision {analysis.plan.deployment.current.number} is itself a rollback: it will not be rolled back"
        )
    return tuple(notes)
