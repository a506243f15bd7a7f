"""Quantiles, by the share of requests slower than bucket boundaries: the stretch of the distribution against the
baseline's, and the limit of a quantile."""

from dataclasses import dataclass, field, replace
from math import exp, isnan, log
from typing import Self

import numpy as np

from analyzer.judge.arrays import array
from analyzer.judge.combination import mean
from analyzer.judge.dispersion import NO_HISTORY
from analyzer.judge.histogram import Buckets, round_up
from analyzer.judge.intervals import ratio_interval
from analyzer.judge.null import Null
from analyzer.judge.poisson import at_least
from analyzer.judge.process import Setting
from analyzer.judge.rules import boundaries
from analyzer.judge.rules.latency_past import FIRST_MINUTES, LatencyPast, heard, served
from analyzer.judge.rules.latency_words import LatencyWords
from analyzer.judge.rules.margins import Margins, margins
from analyzer.judge.rules.quantile import Observed
from analyzer.judge.rules.ratio import NOT_CHANCE
from analyzer.judge.rules.rule import Terms
from analyzer.judge.rules.sentences import times
from analyzer.judge.rules.strand import Strand
from analyzer.judge.stretch import Plan
from analyzer.model.defaults import QUANTILE
from analyzer.model.judgement import Evidence, Interval, SideEvidence, Standing
from analyzer.model.reading import History, Missing, Reading
from analyzer.model.ruleset import Comparison, MetricRule
from analyzer.model.units import show_level


@dataclass(frozen=True, eq=False)
class HistogramRule:
    """The state of a rule on a histogram.

    `plan` and the strands come to be with the canary's first observations: boundaries must divide both sides'
    buckets. `stretch` is the strand over all boundaries; before-after, `before` are the requests and the slow ones of
    the history at each. `sup` is the largest log e-value that the rule ever had.
    `trouble` is why the newest window could not be compared, `no_limit` why the limit cannot be judged, `no_baseline`
    why the newest window had no baseline.
    """

    terms: Terms
    rule: MetricRule
    past: LatencyPast = field(default_factory=LatencyPast)
    plan: Plan | None = None
    stretch: Strand | None = None
    before: tuple[tuple[float, float], ...] = ()
    limit: Strand | None = None
    limit_at: float | None = None
    seen: tuple[Observed, Observed] = field(default_factory=lambda: (Observed(), Observed()))
    sup: float = 0.0
    windows: int = 0
    trouble: str = ""
    no_limit: str = ""
    last_missing: Missing | None = None
    no_baseline: Missing | None = None

    @property
    def margins(self) -> Margins:
        """Tolerance, pass margin and limit."""
        return margins(self.rule, "histogram")

    @property
    def quantile(self) -> float:
        """The quantile that is compared, or limited."""
        return self.rule.quantile if self.rule.quantile is not None else QUANTILE

    @property
    def is_side_by_side(self) -> bool:
        """Whether both sides serve in the same windows."""
        return self.terms.query.sides.comparison == Comparison.SIDE_BY_SIDE

    def learn(self, history: History) -> Self:
        """Keep the past until the canary's buckets are known."""
        return replace(self, past=LatencyPast.of(history, self.terms.query.factor))

    def advance(self, reading: Reading) -> Self:
        """Judge one window; the first ones may go into learning the baseline."""
        factor, seconds = self.terms.query.factor, reading.window.seconds
        canary, baseline = heard(reading.canary, factor), heard(reading.baseline, factor)
        if not self.is_side_by_side:
            baseline = None
        state = replace(
            self,
            windows=self.windows + 1,
            seen=(self.seen[0].heard(canary), self.seen[1].heard(baseline)),
            trouble="",
            last_missing=reading.canary if isinstance(reading.canary, Missing) else None,
            no_baseline=reading.baseline if isinstance(reading.baseline, Missing) else None,
        )
        state = state._prepared(served(canary), served(baseline), seconds)._judge(canary, baseline, seconds)
        return replace(state, sup=max(self.sup, state.log_e))

    def _prepared(self, canary: Buckets | None, baseline: Buckets | None, seconds: float) -> Self:
        """With the strands that can be made now; without a history the baseline's first minutes are learned from."""
        state = self if canary is None else self._with_limit(canary)
        if state.margins.tolerated is None or state.plan is not None:
            return state
        if state.is_learning:
            learned = baseline is not None and seconds > 0
            return replace(state, past=state.past.learned(baseline, seconds)) if learned and baseline else state
        return state if canary is None else state._with_plan(canary)

    @property
    def is_learning(self) -> bool:
        """Whether windows go into learning the baseline's distribution, side by side and without a history."""
        return self.is_side_by_side and not self.past.is_history and self.past.seconds < self.learning_time

    @property
    def learning_time(self) -> float:
        """Two minutes; of a short schedule a quarter, so that there is something left to judge."""
        return min(FIRST_MINUTES, self.terms.planned * self.terms.interval / 4)

    @property
    def can_compare(self) -> bool:
        """Whether there is, or will be, something that the canary's distribution is compared with."""
        return self.margins.tolerated is not None and (self.is_side_by_side or bool(self.past.windows))

    def _with_limit(self, canary: Buckets) -> Self:
        limit, factor = self.margins.limit, self.terms.query.factor
        if limit is None or self.limit is not None:
            return self
        try:
            boundary = round_up(limit / factor, canary)
        except (ValueError, OverflowError):
            why = f"the histogram has no bucket boundary at {show_level(limit, self.terms.query.unit)} or above"
            return replace(self, no_limit=why)
        null = Null(0.0, 1 - self.quantile)
        prior = NO_HISTORY
        if self.past.is_history:
            prior = self.past.at(boundary, self.terms.interval).prior(paired=self.is_side_by_side)
        setting = Setting(null, null if self.margins.tolerated is None else None, self.terms.planned, prior=prior)
        return replace(self, limit=Strand.begin(setting, paired=False), limit_at=boundary, no_limit="")

    def _with_plan(self, canary: Buckets) -> Self:
        tolerated, within = self.margins.tolerated, self.margins.within
        assert tolerated is not None
        assert within is not None
        if not self.past.windows:
            return self
        try:
            plan = self.past.plan(self.quantile, tolerated.relative, within.relative, canary)
            if self.is_side_by_side:
                return replace(self, plan=plan, stretch=boundaries.side_by_side(plan, self.terms.planned))
            return self._before_after(plan)
        except (ValueError, OverflowError) as error:
            return replace(self, trouble=str(error))

    def _before_after(self, plan: Plan) -> Self:
        """Beside a limit, the comparison has half of the rule's share of alpha."""
        share = self.terms.alpha * self.terms.weight / (1 if self.margins.limit is None else 2)
        pasts = [self.past.at(float(boundary), self.terms.interval) for boundary in plan.boundaries]
        stretch = boundaries.before_after(plan, pasts, self.terms.planned, (share, self.terms.beta))
        before = tuple((float(past.n.sum()), float(past.e.sum())) for past in pasts)
        return replace(self, plan=plan, stretch=stretch, before=before)

    def _judge(self, canary: Buckets | None, baseline: Buckets | None, seconds: float) -> Self:
        """A side that has told nothing compares nothing; that window is left out, not gathered (as for ratios)."""
        stretch, limit, trouble = self.stretch, self.limit, self.trouble
        if self.plan is not None and stretch is not None:
            bounds = self.plan.boundaries
            counts = boundaries.counted(canary, baseline, bounds, paired=self.is_side_by_side)
            stretch = stretch.advance(counts, seconds)
            if canary is not None and (baseline is not None or not self.is_side_by_side):
                trouble = self._undivided(canary, baseline, float(bounds[int(self.plan.nearest)]))
        if limit is not None and self.limit_at is not None:
            counts = boundaries.counted(canary, baseline, array([self.limit_at]), paired=False)
            limit = limit.advance(counts[0], seconds)
        return replace(self, stretch=stretch, limit=limit, trouble=trouble)

    def _undivided(self, canary: Buckets, baseline: Buckets | None, boundary: float) -> str:
        """Why the window says nothing at the boundary that a pass is shown on; empty if it does."""
        for side, whose in ((canary, "the canary's"), (baseline, "the baseline's")):
            if side is not None and boundaries.at_boundary(side, boundary) is None:
                at = show_level(boundary * self.terms.query.factor, self.terms.query.unit)
                return f"{whose} histogram has no bucket boundary at {at} any more"
        return ""

    @property
    def log_stretch(self) -> float | None:
        """Log of the e-value of all boundaries together; None while there are none."""
        return None if self.stretch is None else self.stretch.log_e

    @property
    def log_e(self) -> float:
        """The mean of the e-values of stretch and limit; what is still to come holds its weight as cash."""
        logs = [self.log_stretch or 0.0] if self.can_compare else []
        if self.margins.limit is not None:
            logs.append(self.limit.log_e if self.limit is not None else 0.0)
        return float(mean(logs, np.ones(len(logs)))) if logs else 0.0

    @property
    def log_e_pass(self) -> float | None:
        """On the boundary nearest the quantile; of the limit, where there is nothing else."""
        if self.margins.tolerated is None:
            return self.limit.log_e_pass if self.limit else None
        return None if self.stretch is None else self.stretch.log_e_pass

    @property
    def standing(self) -> Standing:
        """PASS once shown within the margin; NO_DATA without a request or without anything to judge it by."""
        if not self.seen[0].total or (self.limit is None and not self.is_comparing):
            return Standing.NO_DATA
        shown = self.log_e_pass
        return Standing.PASS if shown is not None and shown >= self.terms.pass_bar else Standing.PENDING

    @property
    def is_comparing(self) -> bool:
        """Whether the distribution is compared with the baseline's, or is about to be."""
        if not self.can_compare or (self.is_side_by_side and not self.seen[1].total):
            return False
        return self.plan is not None or not self.trouble

    @property
    def passes_at_deadline(self) -> bool:
        """Only by what was shown."""
        return self.standing == Standing.PASS

    @property
    def baseline(self) -> Observed:
        """What the baseline has shown: of the same windows, or of the history."""
        return self.seen[1] if self.is_side_by_side else self.past.observed

    def fails_by_limit(self, standing: Standing) -> bool:
        """Whether it is the limit that the rule fails by."""
        if standing != Standing.FAIL or self.limit is None:
            return False
        stretched = self.log_stretch
        return stretched is None or self.limit.log_e > stretched

    def sentence(self, standing: Standing) -> str:
        """Both quantiles, the share of slow requests where it differs most, and what is tolerated."""
        return LatencyWords(self).sentence(standing)

    @property
    def worst(self) -> int:
        """The boundary with the most evidence."""
        assert self.stretch is not None
        return int(np.argmax(self.stretch.evidence.log_e_fail + self.stretch.log_weights))

    def totals(self, index: int) -> tuple[float, float, float, float]:
        """n_c, e_c, n_b, e_b at one boundary."""
        assert self.stretch is not None
        n_c, e_c, n_b, e_b = (float(value) for value in self.stretch.total[index])
        return (n_c, e_c, n_b, e_b) if self.is_side_by_side else (n_c, e_c, *self.before[index])

    def ratio(self, index: int, standing: Standing) -> Interval | None:
        """Of the shares of slow requests at one boundary, side by side."""
        strand = self.stretch
        if not self.is_side_by_side or strand is None or self.plan is None:
            return None
        phi, nu = float(strand.evidence.phi[index]), float(strand.evidence.nu[index])
        found = ratio_interval(strand.rows[index], self.terms.alpha, phi, nu)
        low = found.low
        if standing == Standing.FAIL and not self.fails_by_limit(standing):
            low = max(low, float(self.plan.kappa_fail[index]))
        return Interval(low=low, estimate=None if isnan(found.estimate) else found.estimate, high=found.high)

    @property
    def towards_fail(self) -> float:
        """Of the way to a fail by this rule alone."""
        return (self.log_e + log(self.terms.weight)) / self.terms.fail_bar

    @property
    def towards_pass(self) -> float | None:
        """Of the way to a pass."""
        shown = self.log_e_pass
        return None if shown is None else shown / self.terms.pass_bar

    def evidence(self, standing: Standing) -> Evidence:
        """Both sides' quantiles and requests; the ratio of slow requests at the quantile's boundary, or where it has
        failed."""
        factor = self.terms.query.factor
        canary, baseline = (side.quantile(self.quantile, factor) for side in (self.seen[0], self.baseline))
        strands = [strand for strand in (self.stretch, self.limit) if strand is not None]
        ratio = None
        if self.plan is not None and self.stretch is not None:
            ratio = self.ratio(self.worst if standing == Standing.FAIL else int(self.plan.nearest), standing)
        return Evidence(
            canary=SideEvidence(total=self.seen[0].total, value=canary),
            baseline=SideEvidence(total=self.baseline.total, value=baseline) if self.baseline.total else None,
            unit=self.terms.query.unit,
            ratio=ratio,
            tolerated=times(1 + self.margins.tolerated.relative) if self.margins.tolerated else "",
            limit=self.margins.limit,
            towards_fail=self.towards_fail,
            towards_pass=self.towards_pass,
            p_value=exp(-self.sup),
            dispersion=strands[0].phi if strands else None,
            windows=self.windows,
        )

    def acceptable(self, reading: Reading) -> bool | None:
        """Whether no side with traffic is shown slower than tolerated at the boundaries, by a Poisson test of each."""
        told = (served(heard(side, self.terms.query.factor)) for side in (reading.canary, reading.baseline))
        sides = [side for side in told if side is not None]
        answers = [
            _is_as_allowed(counts, share)
            for side in sides
            for boundary, share in self._allowed()
            if (counts := boundaries.at_boundary(side, boundary)) is not None
        ]
        return all(answers) if answers else None

    def _allowed(self) -> list[tuple[float, float]]:
        """Boundaries, and the share of slower requests that is tolerated there."""
        allowed = []
        if self.plan is not None:
            for index, boundary in enumerate(self.plan.boundaries):
                _, _, n_b, e_b = self.totals(index)
                if n_b:
                    allowed.append((float(boundary), min(1.0, float(self.plan.kappa_fail[index]) * (e_b + 1) / n_b)))
        if self.limit_at is not None:
            allowed.append((self.limit_at, 1 - self.quantile))
        return allowed


def _is_as_allowed(counts: tuple[float, float], share: float) -> bool:
    """By a Poisson test, at a smaller probability than of a ratio: there are several boundaries."""
    total, slow = counts
    return at_least(slow, total * share) > NOT_CHANCE / 10
