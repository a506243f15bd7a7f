"""All rules of an analysis together: a fold over histories and readings, and what follows from it. Pure.

Sequential rules share the false-alarm probability by their weights: the weighted mean of their e-values is an e-value
whatever their dependence (judge.md §9). Threshold and health rules fail on their own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from analyzer.judge.combination import Combination, combine
from analyzer.judge.rules.health_of_pods import HealthOfPods
from analyzer.judge.rules.margins import margins
from analyzer.judge.rules.ratio import RatioRule
from analyzer.judge.rules.rule import RuleState, Terms, is_sequential, weight_of
from analyzer.judge.rules.selection import rule_state
from analyzer.judge.rules.threshold import ThresholdRule, level_of
from analyzer.model.consistency import rule_name
from analyzer.model.judgement import Judgement, Standing
from analyzer.model.plan import Plan, Query
from analyzer.model.reading import History, Reading
from analyzer.model.ruleset import MetricRule, Rule


@dataclass(frozen=True)
class Assessment:
    """Where all rules stand. `failed` holds the names of the rules that failed the release at the first crossing:
    it is final."""

    states: tuple[RuleState, ...]
    sequential: tuple[bool, ...]
    alpha: float
    failed: tuple[str, ...] = ()


def start(plan: Plan) -> Assessment:
    """Before the first interval."""
    spec = plan.rule_set.spec
    total = sum(weight_of(rule) for rule in spec.rules if _takes_part(rule, plan))
    return Assessment(
        states=tuple(rule_state(rule, _terms(rule, plan, total)) for rule in spec.rules),
        sequential=tuple(_takes_part(rule, plan) for rule in spec.rules),
        alpha=spec.confidence.false_alarm,
    )


def _terms(rule: Rule, plan: Plan, total: float) -> Terms:
    spec = plan.rule_set.spec
    metric = rule.metric if isinstance(rule, MetricRule) else f"health:{rule.health}"
    query = _query(plan, metric)
    return Terms(
        name=rule_name(rule, query.kind),
        metric=metric,
        query=query,
        critical=rule.critical,
        advisory=rule.advisory,
        shy=_is_shy(rule, query.kind),
        weight=weight_of(rule) / total if _takes_part(rule, plan) else 0.0,
        alpha=spec.confidence.false_alarm,
        beta=spec.confidence.missed,
        planned=max(1, round(spec.schedule.deadline / spec.schedule.interval)),
        interval=spec.schedule.interval,
    )


def _is_shy(rule: Rule, kind: str) -> bool:
    """Gauges are advisory unless the rule says critical (judge.md §13); a plain limit is what its author wants."""
    return isinstance(rule, MetricRule) and kind == "gauge" and not rule.critical and not _is_limit(rule, kind)


def _is_limit(rule: MetricRule, kind: str) -> bool:
    """Whether the rule fails alone and has no e-value: `judge: threshold`, or a gauge's limit and nothing else."""
    return not is_sequential(rule) or (kind == "gauge" and margins(rule, kind).tolerated is None)


def _takes_part(rule: Rule, plan: Plan) -> bool:
    """Whether the rule takes part in the combined e-value."""
    if not isinstance(rule, MetricRule):
        return False
    return not _is_limit(rule, _query(plan, rule.metric).kind)


def _query(plan: Plan, metric: str) -> Query:
    found = next((query for query in plan.queries if query.metric == metric), None)
    if found is None:
        raise ValueError(f"its plan has no query of {metric}, which a rule is about")
    return found


def learn(assessment: Assessment, history: History) -> Assessment:
    """After the baseline's past of one metric was read."""
    return _each(assessment, history.metric, lambda state: state.learn(history))


def advance(assessment: Assessment, reading: Reading) -> Assessment:
    """After one window of one metric."""
    after = _each(assessment, reading.metric, lambda state: state.advance(reading))
    return after if after.failed else replace(after, failed=_failing(after))


def _each(assessment: Assessment, metric: str, change: Callable[[RuleState], RuleState]) -> Assessment:
    states = tuple(change(state) if state.terms.metric == metric else state for state in assessment.states)
    return replace(assessment, states=states)


def _failing(assessment: Assessment) -> tuple[str, ...]:
    """Who fails the release now: rules that fail alone, or the largest of those that fail it together."""
    alone = tuple(
        state.terms.name for state in assessment.states if state.standing == Standing.FAIL and not state.terms.advisory
    )
    return alone or _together(assessment)


def _together(assessment: Assessment) -> tuple[str, ...]:
    combined = _combined(assessment)
    if combined is None or not combined.failed:
        return ()
    states = _sequential(assessment)
    proven = [states[index] for index in np.flatnonzero(combined.proven)]
    return tuple(state.terms.name for state in proven or [states[int(combined.culprits[0])]])


def _sequential(assessment: Assessment) -> list[RuleState]:
    return [state for state, counts in zip(assessment.states, assessment.sequential, strict=True) if counts]


def _combined(assessment: Assessment) -> Combination | None:
    states = _sequential(assessment)
    if not states:
        return None
    return combine(
        [state.log_e for state in states],
        [state.terms.weight for state in states],
        [state.terms.is_advisory for state in states],
        assessment.alpha,
    )


def _deciding(assessment: Assessment) -> list[RuleState]:
    """The rules that a pass needs: critical ones; where none is, all that are not advisory. And pods that are not
    ready yet: whoever is right about those that serve says nothing of the others."""
    critical = any(state.terms.critical for state in assessment.states)
    return [
        state
        for state in assessment.states
        if (state.terms.critical if critical else not state.terms.is_advisory)
        or (isinstance(state, HealthOfPods) and state.is_waiting and not state.terms.advisory)
    ]


def at_deadline(assessment: Assessment, deadline_at: float) -> Assessment:
    """Now that the deadline (Unix seconds) has come: a canary whose pods are not ready has failed."""
    if assessment.failed:
        return assessment
    states = tuple(
        state.at_deadline(deadline_at) if isinstance(state, HealthOfPods) else state for state in assessment.states
    )
    after = replace(assessment, states=states)
    return replace(after, failed=_failing(after))


def standing(assessment: Assessment) -> Standing:
    """FAIL when the evidence of all rules together crosses, or a rule fails alone; PASS when all that a pass needs
    are shown good; else PENDING, or NO_DATA while one that a pass needs has heard nothing."""
    if assessment.failed:
        return Standing.FAIL
    deciding = _deciding(assessment)
    if deciding and all(state.standing == Standing.PASS for state in deciding):
        return Standing.PASS
    return Standing.PENDING if has_data(assessment) else Standing.NO_DATA


def passes_at_deadline(assessment: Assessment) -> bool:
    """Whether all rules that a pass needs are good now that the deadline has come (threshold rules pass only then)."""
    deciding = _deciding(assessment)
    return bool(deciding) and all(state.passes_at_deadline for state in deciding)


def has_data(assessment: Assessment) -> bool:
    """Whether every rule that a pass needs has heard something."""
    deciding = _deciding(assessment)
    return bool(deciding) and all(state.standing != Standing.NO_DATA for state in deciding)


def culprits(assessment: Assessment) -> tuple[tuple[str, str], ...]:
    """(rule, metric) of the rules that failed the release, the worst first."""
    return tuple((state.terms.name, state.terms.metric) for state in _culprits(assessment))


def _culprits(assessment: Assessment) -> list[RuleState]:
    return [state for name in assessment.failed for state in assessment.states if state.terms.name == name]


def reason_to_fail(assessment: Assessment) -> str:
    """The sentence of the rule that failed the release, and the names of the others."""
    first, *others = _culprits(assessment)
    also = f"; so did {', '.join(state.terms.name for state in others)}" if others else ""
    return f"{first.sentence(Standing.FAIL)}{also}"


def reason_to_pass(assessment: Assessment) -> str:
    """The sentences of the rules that a pass needs."""
    return "; ".join(state.sentence(Standing.PASS) for state in _deciding(assessment))


def reason_undecided(assessment: Assessment) -> str:
    """The sentence of the rule that a pass waits for, one without data first."""
    waiting = [state for state in _deciding(assessment) if state.standing != Standing.PASS]
    if not waiting:
        return "every rule is good so far"
    waiting.sort(key=lambda state: state.standing != Standing.NO_DATA)
    return waiting[0].sentence(waiting[0].standing)


def judgements(assessment: Assessment, queries: Mapping[str, dict[str, str]]) -> tuple[Judgement, ...]:
    """What each rule says; `queries` are the rendered queries by metric."""
    return tuple(_judgement(state, assessment, queries) for state in assessment.states)


def _judgement(state: RuleState, assessment: Assessment, queries: Mapping[str, dict[str, str]]) -> Judgement:
    terms = state.terms
    now = Standing.FAIL if terms.name in assessment.failed else state.standing
    return Judgement(
        rule=terms.name,
        metric=terms.metric,
        standing=now,
        reason=state.sentence(now),
        critical=terms.critical,
        advisory=terms.is_advisory,
        evidence=state.evidence(now).model_copy(update={"queries": queries.get(terms.metric, {})}),
    )


def notes(assessment: Assessment) -> tuple[str, ...]:
    """What is to be known beside the judgements: what will not be found by the deadline at this traffic."""
    if assessment.failed:
        return ()
    told = [state.note() for state in assessment.states if isinstance(state, RatioRule)]
    return tuple(sentence for sentence in told if sentence)


def recovered(assessment: Assessment, reading: Reading) -> bool | None:
    """Whether a window after the act looks good to the rules on its metric; None when it says nothing.

    Advisory rules never decide, unless there are no others.
    """
    states = [state for state in assessment.states if state.terms.metric == reading.metric]
    asked = [state for state in states if not state.terms.advisory] or states
    known = [answer for state in asked if (answer := state.acceptable(reading)) is not None]
    return all(known) if known else None


def lacks_comparison(assessment: Assessment, reading: Reading) -> bool:
    """Whether a window in which nothing is known to be good or bad has numbers all the same: then nothing is known of
    the baseline that they could be compared with."""
    compares = any(
        state.terms.metric == reading.metric and not isinstance(state, ThresholdRule) for state in assessment.states
    )
    sides = [side for side in (reading.canary, reading.baseline) if side is not None]
    return compares and any(level_of(side, None) is not None for side in sides)
