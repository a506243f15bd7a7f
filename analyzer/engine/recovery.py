"""Has the service recovered after the act? Judged from the windows that began after it. Pure."""

from analyzer.engine.analysis import Analysis
from analyzer.judge import assessment as judge
from analyzer.model.event import Verified
from analyzer.model.plan import HEALTH_OF_PODS
from analyzer.model.reading import Reading
from analyzer.model.units import show_duration

PATIENCE = 120.0
"""Seconds after the act in which the recovery must be seen, at least; long intervals get eight of them."""


def patience(analysis: Analysis) -> float:
    """How long after the act the recovery is waited for, in seconds."""
    return max(PATIENCE, 8 * analysis.plan.rule_set.spec.schedule.interval)


def verify(analysis: Analysis, now: float) -> Verified | None:
    """Whether the service has recovered; None while that is still open, and where nothing was taken back.

    Every metric of a rule that failed must have been read after the act and be no worse than tolerated, or have no
    canary left to read.
    """
    acted = analysis.acted
    if acted is None or analysis.verified is not None or not analysis.takes_back:
        return None
    if not acted.receipt.ok:
        return Verified(at=now, recovered=False, reason=acted.receipt.detail)
    culprits = judge.culprits(analysis.assessment)
    metrics = sorted({metric for _, metric in culprits}) or _without_culprit(analysis)
    readings = {reading.metric: reading for reading in analysis.after_act}
    answers = {
        metric: judge.recovered(analysis.assessment, readings[metric]) if metric in readings else None
        for metric in metrics
    }
    if all(answers.values()):
        since = _first_bad(analysis, metrics)
        start = max(readings[metric].window.start for metric in metrics)
        seconds = start - since
        return Verified(
            at=now,
            recovered=True,
            seconds=seconds,
            reason=f"recovered within {show_duration(seconds)} of the first bad window",
        )
    if now >= acted.at + patience(analysis):
        waited = show_duration(patience(analysis))
        behind = ", ".join(metric for metric, answer in answers.items() if answer is False)
        unsaid = [metric for metric, answer in answers.items() if answer is None]
        alone = ", ".join(metric for metric in unsaid if _lacks_comparison(analysis, readings.get(metric)))
        silent = ", ".join(metric for metric in unsaid if not _lacks_comparison(analysis, readings.get(metric)))
        parts = [
            f"{behind} still worse than tolerated" if behind else "",
            f"nothing is known to compare {alone} with" if alone else "",
            f"no data of {silent}" if silent else "",
        ]
        reason = f"no recovery was seen within {waited}: {'; '.join(part for part in parts if part)}"
        return Verified(at=now, recovered=False, reason=reason)
    return None


def _without_culprit(analysis: Analysis) -> list[str]:
    """What must look good where no rule has failed: the pods, whose revision did not come out whole; or all."""
    return [HEALTH_OF_PODS] if HEALTH_OF_PODS in analysis.progress else sorted(analysis.progress)


def _lacks_comparison(analysis: Analysis, reading: Reading | None) -> bool:
    return reading is not None and judge.lacks_comparison(analysis.assessment, reading)


def _first_bad(analysis: Analysis, metrics: list[str]) -> float:
    starts = [analysis.progress[metric].first_bad for metric in metrics]
    return min((start for start in starts if start is not None), default=analysis.plan.upgraded_at)
