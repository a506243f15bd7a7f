"""Quantiles, by the share of requests slower than bucket boundaries: the stretch of the distribution against the
baseline's, and the limit of a quantile."""

from dataclasses import dataclass, field, replace
from math import isnan, log
from typing import Self

import numpy as np
from scipy.stats import poisson

from analyzer.judge.arrays import Array, array
from analyzer.judge.before_after import fail_limit, pass_limit
from analyzer.judge.combination import mean
from analyzer.judge.histogram import Buckets, divides, round_up, slower
from analyzer.judge.intervals import ratio_interval
from analyzer.judge.null import Null
from analyzer.judge.process import Setting
from analyzer.judge.rules.latency_past import FIRST_MINUTES, LatencyPast, add, judged, stacked
from analyzer.judge.rules.margins import Margins, margins
from analyzer.judge.rules.ratio import NOT_CHANCE
from analyzer.judge.rules.rule import Terms
from analyzer.judge.rules.sentences import nothing, times, way
from analyzer.judge.rules.strand import Strand
from analyzer.judge.rules.threshold import quantile_of
from analyzer.judge.stretch import Plan
from analyzer.model import reading as model
from analyzer.model.defaults import QUANTILE
from analyzer.model.judgement import Evidence, Interval, SideEvidence, Standing
from analyzer.model.reading import History, Missing, Reading
from analyzer.model.ruleset import Comparison, MetricRule
from analyzer.model.units import show_duration, show_level, show_share


@dataclass(frozen=True, eq=False)
class HistogramRule:
    """The state of a rule on a histogram.

    `plan` and the strands come to be with the canary's first observations: boundaries must divide both sides'
    buckets. `stretch` is one strand over all boundaries side by side, and one for each of them before-after.
    """

    terms: Terms
    rule: MetricRule
    past: LatencyPast = field(default_factory=LatencyPast)
    plan: Plan | None = None
    stretch: tuple[Strand, ...] = ()
    limit: Strand | None = None
    limit_at: float | None = None
    seen: tuple[dict[float, float], dict[float, float]] = field(default_factory=lambda: ({}, {}))
    scale: int | None = None
    windows: int = 0
    trouble: str = ""
    last_missing: Missing | None = None

    @property
    def margins(self) -> Margins:
        """Tolerance, pass margin and limit."""
        return margins(self.rule, "histogram")

    @property
    def quantile(self) -> float:
        """The quantile that is compared, or limited."""
        return self.rule.quantile if self.rule.quantile is not None else QUANTILE

    @property
    def _side_by_side(self) -> bool:
        return self.terms.query.sides.comparison == Comparison.SIDE_BY_SIDE

    def learn(self, history: History) -> Self:
        """Keep the past until the canary's buckets are known."""
        return replace(self, past=LatencyPast.of(history, self.terms.query.factor))

    def advance(self, reading: Reading) -> Self:
        """Judge one window; the first ones may go into learning the baseline."""
        canary, baseline = self._judged(reading.canary), self._judged(reading.baseline)
        missing = reading.canary if isinstance(reading.canary, Missing) else None
        heard = replace(
            self,
            windows=self.windows + 1,
            last_missing=missing,
            seen=(add(self.seen[0], canary), add(self.seen[1], baseline)),
            scale=_coarser(self.scale, canary),
        )
        heard = heard._learning(canary, baseline, reading.window.seconds)
        return heard._judge(canary, baseline, reading.window.seconds)

    def _judged(self, side: model.Side | None) -> Buckets | None:
        return judged(side, self.terms.query.factor)

    def _learning(self, canary: Buckets | None, baseline: Buckets | None, seconds: float) -> Self:
        if canary is None or self.trouble:
            return self if canary is not None or self.past.windows else self._heard(baseline, seconds)
        state = self
        if state.margins.limit is not None and state.limit is None:
            state = state._with_limit(canary)
        if state.margins.tolerated is None or state.plan is not None:
            return state
        if not state.past.is_history and state.past.seconds < state._learning_time:
            return state._heard(baseline, seconds)
        return state._with_plan(canary)

    @property
    def _learning_time(self) -> float:
        """Two minutes; of a short schedule a quarter, so that there is something left to judge."""
        return min(FIRST_MINUTES, self.terms.planned * self.terms.interval / 4)

    def _heard(self, baseline: Buckets | None, seconds: float) -> Self:
        """Without a history the baseline is learned from its first minutes, side by side."""
        if self.past.is_history or not self._side_by_side or baseline is None:
            return self
        return replace(self, past=self.past.heard(baseline, seconds))

    def _with_limit(self, canary: Buckets) -> Self:
        assert self.margins.limit is not None
        try:
            boundary = round_up(self.margins.limit / self.terms.query.factor, canary)
        except ValueError as error:
            return replace(self, trouble=str(error))
        null = Null(0.0, 1 - self.quantile)
        prior = self.past.at(boundary, self.terms.interval).prior(paired=self._side_by_side)
        setting = Setting(null, null if self.margins.tolerated is None else None, self.terms.planned, prior=prior)
        return replace(self, limit=Strand.begin(setting, paired=False), limit_at=boundary)

    def _with_plan(self, canary: Buckets) -> Self:
        tolerated, within = self.margins.tolerated, self.margins.within
        assert tolerated is not None
        assert within is not None
        if not self.past.windows:
            return self
        try:
            plan = self.past.plan(self.quantile, tolerated.relative, within.relative, canary)
            stretch = (self._paired(plan),) if self._side_by_side else self._before_after(plan)
        except ValueError as error:
            return replace(self, trouble=str(error))
        return replace(self, plan=plan, stretch=stretch)

    def _paired(self, plan: Plan) -> Strand:
        setting = Setting(Null(plan.kappa_fail), Null(plan.kappa_pass), self.terms.planned, prior=plan.prior)
        return Strand.begin(setting, paired=True, log_weights=np.log(plan.weights), pass_at=int(plan.nearest))

    def _before_after(self, plan: Plan) -> tuple[Strand, ...]:
        """One strand for each boundary: its limit follows from the history there (judge.md §6)."""
        strands = []
        for index, boundary in enumerate(plan.boundaries):
            past = self.past.at(float(boundary), self.terms.interval)
            n, e = past.blocks()
            level = self.terms.alpha * self.terms.weight * float(plan.weights[index])
            worse = fail_limit(n, e, Null(float(plan.kappa_fail[index])), level)
            better = pass_limit(n, e, Null(float(plan.kappa_pass[index])), self.terms.beta)
            setting = Setting(
                fail=Null(0.0, worse.rate) if worse.rate < 1 else None,
                pass_=Null(0.0, better.rate) if better.rate > 0 else None,
                planned=self.terms.planned,
                prior=past.prior(paired=False),
            )
            strands.append(Strand.begin(setting, paired=False, log_level=log(worse.level / level)))
        return tuple(strands)

    def _judge(self, canary: Buckets | None, baseline: Buckets | None, seconds: float) -> Self:
        try:
            stretch = self._stretched(canary, baseline, seconds)
            limit = self.limit
            if limit is not None and self.limit_at is not None:
                limit = limit.advance(self._counts(canary, None, array([self.limit_at]))[0], seconds)
        except ValueError as error:
            return replace(self, trouble=str(error))
        return replace(self, stretch=stretch, limit=limit)

    def _stretched(self, canary: Buckets | None, baseline: Buckets | None, seconds: float) -> tuple[Strand, ...]:
        if self.plan is None:
            return self.stretch
        if self._side_by_side:
            counts = self._counts(canary, baseline, self.plan.boundaries)
            return tuple(strand.advance(counts, seconds) for strand in self.stretch)
        counts = self._counts(canary, None, self.plan.boundaries)
        return tuple(strand.advance(counts[i], seconds) for i, strand in enumerate(self.stretch))

    def _counts(self, canary: Buckets | None, baseline: Buckets | None, boundaries: Array) -> Array:
        """n_c, e_c, n_b, e_b at each boundary, shape (boundaries, 4)."""
        sides: list[Array | float] = []
        for side in (canary, baseline):
            sides += [sum(side.counts), slower(side, [float(b) for b in boundaries])] if side else [0.0, 0.0]
        return stacked(sides[0], np.zeros(boundaries.size) + sides[1], sides[2], sides[3])

    @property
    def _log_stretch(self) -> float | None:
        if not self.stretch or self.plan is None:
            return None
        if len(self.stretch) == 1:
            return self.stretch[0].log_e
        return float(mean([strand.log_e for strand in self.stretch], self.plan.weights))

    @property
    def log_e(self) -> float:
        """The mean of the e-values of stretch and limit."""
        logs = [value for value in (self._log_stretch, self.limit.log_e if self.limit else None) if value is not None]
        return float(mean(logs, np.ones(len(logs)))) if logs else 0.0

    @property
    def log_e_pass(self) -> float | None:
        """On the boundary nearest the quantile; of the limit, where there is nothing else."""
        if self.margins.tolerated is None:
            return self.limit.log_e_pass if self.limit else None
        if self.plan is None or not self.stretch:
            return None
        deciding = self.stretch[0] if self._side_by_side else self.stretch[int(self.plan.nearest)]
        return deciding.log_e_pass

    @property
    def _requests(self) -> tuple[float, float]:
        return sum(self.seen[0].values()), sum(self.seen[1].values())

    @property
    def standing(self) -> Standing:
        """PASS once shown within the margin; NO_DATA without a request or without a boundary to judge at."""
        if not self._requests[0] or (self.trouble and not self.stretch and self.limit is None):
            return Standing.NO_DATA
        if not self.stretch and self.limit is None and not self.past.windows and not self._side_by_side:
            return Standing.NO_DATA
        shown = self.log_e_pass
        return Standing.PASS if shown is not None and shown >= self.terms.pass_bar else Standing.PENDING

    @property
    def passes_at_deadline(self) -> bool:
        """Only by what was shown."""
        return self.standing == Standing.PASS

    def _quantile(self, seen: dict[float, float]) -> float | None:
        """In base units."""
        bounds = sorted(seen)
        merged = model.Buckets(bounds=tuple(bounds), counts=tuple(seen[bound] for bound in bounds), scale=self.scale)
        value = quantile_of(merged, self.quantile)
        return None if value is None else value * self.terms.query.factor

    @property
    def _values(self) -> tuple[float | None, float | None]:
        """The quantile of the canary and of the baseline: of the same windows, or of the history."""
        baseline = self.seen[1]
        if not self._side_by_side:
            baseline = {}
            for window in self.past.windows:
                baseline = add(baseline, window)
        return self._quantile(self.seen[0]), self._quantile(baseline)

    def _shown(self, value: float | None) -> str:
        return "unknown" if value is None else show_level(value, self.terms.query.unit)

    def sentence(self, standing: Standing) -> str:
        """Both quantiles, the share of slow requests where it differs most, and what is tolerated."""
        if not self._requests[0]:
            return nothing(self.terms.metric, self.last_missing, self.windows)
        name = f"{self.terms.metric} p{self.quantile * 100:g}"
        canary, baseline = self._values
        if self.trouble and standing == Standing.NO_DATA:
            return f"{name} {self._shown(canary)}, and nothing to judge it by: {self.trouble}"
        if self._fails_by_limit(standing) or self.margins.tolerated is None:
            return self._limit_sentence(name, canary, standing)
        before = "of the baseline" if self._side_by_side else "before"
        words = f"{name} {self._shown(canary)} against {self._shown(baseline)} {before}"
        if self.plan is None:
            return f"{words}: {self._why_no_plan()}"
        tolerated, within = self.margins.tolerated, self.margins.within
        assert within is not None
        if standing == Standing.PASS:
            return f"{words}: shown to be within {times(1 + within.relative)}"
        told = f"{words}{self._at_boundary(standing)}; tolerated {times(1 + tolerated.relative)} as slow"
        return f"{told}; {way(self._towards_fail, self._towards_pass)}" if standing == Standing.PENDING else told

    def _why_no_plan(self) -> str:
        if self._side_by_side:
            minutes = show_duration(self._learning_time)
            return f"learning the baseline's distribution from its first {minutes}, for it has no history"
        return "the previous revision has no history to compare with"

    def _fails_by_limit(self, standing: Standing) -> bool:
        if standing != Standing.FAIL or self.limit is None:
            return False
        stretched = self._log_stretch
        return stretched is None or self.limit.log_e > stretched

    def _limit_sentence(self, name: str, canary: float | None, standing: Standing) -> str:
        assert self.margins.limit is not None
        unit = self.terms.query.unit
        limit = show_level(self.margins.limit, unit)
        slow = ""
        if self.limit is not None and self.limit_at is not None:
            total = self.limit.total
            at = show_level(self.limit_at * self.terms.query.factor, unit)
            slow = (
                f": {total[1]:.0f} of {total[0]:.0f} requests slower than {at}, {show_share(1 - self.quantile)} allowed"
            )
        if standing == Standing.FAIL:
            return f"{name} {self._shown(canary)}, above the limit of {limit}{slow}"
        words = f"{name} {self._shown(canary)}, limit {limit}{slow}"
        if standing == Standing.PENDING:
            words += f"; {way(self._towards_fail, self._towards_pass)}"
        return words

    def _worst(self) -> int:
        """The boundary with the most evidence."""
        if len(self.stretch) == 1:
            return int(np.argmax(self.stretch[0].evidence.log_e_fail + self.stretch[0].log_weights))
        return int(np.argmax([strand.log_e for strand in self.stretch]))

    def _at_boundary(self, standing: Standing) -> str:
        assert self.plan is not None
        index = self._worst() if standing == Standing.FAIL else int(self.plan.nearest)
        boundary = float(self.plan.boundaries[index]) * self.terms.query.factor
        at = show_level(boundary, self.terms.query.unit)
        n_c, e_c, n_b, e_b = self._totals(index)
        if not n_c:
            return ""
        words = f": {show_share(e_c / n_c)} slower than {at}"
        if n_b:
            words += f" against {show_share(e_b / n_b)}"
        ratio = self._ratio(index)
        if ratio is not None and standing == Standing.FAIL:
            words += f", at least {times(ratio.low)} as many"
        return words

    def _totals(self, index: int) -> tuple[float, float, float, float]:
        """n_c, e_c, n_b, e_b at one boundary."""
        assert self.plan is not None
        if self._side_by_side:
            n_c, e_c, n_b, e_b = (float(value) for value in self.stretch[0].total[index])
            return n_c, e_c, n_b, e_b
        past = self.past.at(float(self.plan.boundaries[index]), self.terms.interval)
        total = self.stretch[index].total
        return float(total[0]), float(total[1]), float(past.n.sum()), float(past.e.sum())

    def _ratio(self, index: int) -> Interval | None:
        """Of the shares of slow requests at one boundary, side by side."""
        if not self._side_by_side or not self.stretch or self.plan is None:
            return None
        strand = self.stretch[0]
        phi, nu = float(strand.evidence.phi[index]), float(strand.evidence.nu[index])
        found = ratio_interval(strand.rows[index], self.terms.alpha, phi, nu)
        return Interval(low=found.low, estimate=None if isnan(found.estimate) else found.estimate, high=found.high)

    @property
    def _towards_fail(self) -> float:
        return (self.log_e + log(self.terms.weight)) / self.terms.fail_bar

    @property
    def _towards_pass(self) -> float | None:
        shown = self.log_e_pass
        return None if shown is None else shown / self.terms.pass_bar

    def evidence(self) -> Evidence:
        """Both sides' quantiles and requests, the ratio of slow requests at the quantile's boundary."""
        canary, baseline = self._values
        requests = self._requests
        strands = [*self.stretch, *([self.limit] if self.limit else [])]
        sup = max((strand.sup_log_e for strand in strands), default=0.0)
        return Evidence(
            canary=SideEvidence(total=requests[0], value=canary),
            baseline=SideEvidence(total=requests[1] if self._side_by_side else None, value=baseline),
            unit=self.terms.query.unit,
            ratio=self._ratio(int(self.plan.nearest)) if self.plan is not None else None,
            tolerated=times(1 + self.margins.tolerated.relative) if self.margins.tolerated else "",
            limit=self.margins.limit,
            towards_fail=self._towards_fail,
            towards_pass=self._towards_pass,
            p_value=min(1.0, float(np.exp(-sup))),
            dispersion=strands[0].phi if strands else None,
            windows=self.windows,
        )

    def acceptable(self, reading: Reading) -> bool | None:
        """Whether no side with traffic is shown slower than tolerated at the boundaries, by a Poisson test of each."""
        sides = [side for told in (reading.canary, reading.baseline) if (side := self._judged(told)) is not None]
        if not sides:
            return None
        allowed = self._allowed()
        return all(self._as_allowed(side, boundary, share) for side in sides for boundary, share in allowed)

    def _allowed(self) -> list[tuple[float, float]]:
        """Boundaries, and the share of slower requests that is tolerated there."""
        allowed = []
        if self.plan is not None:
            for index, boundary in enumerate(self.plan.boundaries):
                _, _, n_b, e_b = self._totals(index)
                if n_b:
                    allowed.append((float(boundary), min(1.0, float(self.plan.kappa_fail[index]) * (e_b + 1) / n_b)))
        if self.limit_at is not None:
            allowed.append((self.limit_at, 1 - self.quantile))
        return allowed

    @staticmethod
    def _as_allowed(side: Buckets, boundary: float, share: float) -> bool:
        if not divides(side, boundary):
            return True
        bad = float(slower(side, [boundary])[0])
        return float(poisson.sf(bad - 1, sum(side.counts) * share)) > NOT_CHANCE / 10


def _coarser(scale: int | None, window: Buckets | None) -> int | None:
    if window is None or window.scale is None:
        return scale
    return window.scale if scale is None else min(scale, window.scale)
