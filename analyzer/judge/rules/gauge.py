"""Levels: the log ratio of canary and baseline against a tolerance, and a plain limit for several readings in a row."""

from dataclasses import dataclass, field, replace
from math import exp, inf, isnan, log, log1p
from typing import Self

import numpy as np

from analyzer.judge import gauge
from analyzer.judge.gauge import GaugeEvidence, GaugeSetting
from analyzer.judge.rules.gauge_past import SPENT, GaugePast, level_of
from analyzer.judge.rules.margins import Margins, margins
from analyzer.judge.rules.rule import Terms
from analyzer.judge.rules.sentences import in_a_row, no_baseline, nothing, run_of, times, tolerated, way
from analyzer.judge.threshold import Threshold
from analyzer.model.judgement import Evidence, Interval, SideEvidence, Standing
from analyzer.model.reading import History, Level, Missing, Reading, Side
from analyzer.model.ruleset import Comparison, Direction, MetricRule
from analyzer.model.units import show_level

CONSECUTIVE = 3
"""Readings in a row beyond a gauge's limit, where the rule names none."""
BLOCK_SECONDS = 120.0


@dataclass(frozen=True, eq=False)
class GaugeRule:
    """The state of a rule on a gauge. `past` is what the history says; `no_baseline` why the newest window had none."""

    terms: Terms
    rule: MetricRule
    setting: GaugeSetting | None = None
    seen: GaugeEvidence | None = None
    threshold: Threshold | None = None
    past: GaugePast = field(default_factory=GaugePast)
    canary: float | None = None
    baseline: float | None = None
    windows: int = 0
    odd: str = ""
    last_missing: Missing | None = None
    no_baseline: Missing | None = None

    @property
    def margins(self) -> Margins:
        """Tolerance, pass margin and limit."""
        return margins(self.rule, "gauge")

    @property
    def _sign(self) -> float:
        return 1.0 if self.rule.direction == Direction.HIGHER else -1.0

    @property
    def _side_by_side(self) -> bool:
        return self.terms.query.sides.comparison == Comparison.SIDE_BY_SIDE

    def learn(self, history: History) -> Self:
        """Learn the noise, and before-after the level itself, from the past."""
        past = GaugePast.side_by_side(history) if self._side_by_side else GaugePast.before_after(history)
        return replace(self, past=past)

    def advance(self, reading: Reading) -> Self:
        """Judge one window; a level of zero or below has no ratio, and only a limit can judge it."""
        canary = level_of(reading.canary)
        baseline = level_of(reading.baseline) if self._side_by_side else self.past.level
        heard = replace(
            self,
            windows=self.windows + 1,
            last_missing=reading.canary if isinstance(reading.canary, Missing) else None,
            no_baseline=reading.baseline if isinstance(reading.baseline, Missing) else None,
            canary=self.canary if canary is None else canary,
            baseline=self.baseline if baseline is None else baseline,
        )
        if canary is None:
            return heard
        heard = heard._with_threshold(canary)
        if baseline is None or self.margins.tolerated is None:
            return heard
        if canary <= 0 or baseline <= 0:
            return replace(heard, odd="a level of zero or below has no ratio: give the rule a limit")
        if heard.setting is None or heard.seen is None:
            heard = replace(heard, setting=heard._setting_for(reading), seen=gauge.start())
        assert heard.setting is not None
        assert heard.seen is not None
        return replace(heard, seen=gauge.advance(heard.setting, heard.seen, self._sign * (log(canary) - log(baseline))))

    def _setting_for(self, reading: Reading) -> GaugeSetting:
        tolerance, within = self.margins.tolerated, self.margins.within
        assert tolerance is not None
        assert within is not None
        share = self.terms.alpha * self.terms.weight
        pods = self.past.pod_term(_pods(reading.canary), _pods(reading.baseline) if self._side_by_side else None)
        return GaugeSetting(
            tolerance=self._as_growth(tolerance.relative),
            within=self._as_growth(within.relative),
            prior=self.past.prior,
            pods=pods if self._side_by_side else pods + self.past.uncertainty(share),
            block=max(1, round(BLOCK_SECONDS / self.terms.interval)),
        )

    def _as_growth(self, relative: float) -> float:
        """R such that log(1 + r) is tolerated: where lower is worse, a fall to 1 − r is a growth to 1/(1 − r)."""
        if self.rule.direction == Direction.HIGHER:
            return relative
        return 1 / max(1e-6, 1 - relative) - 1

    def _with_threshold(self, canary: float) -> Self:
        if self.margins.limit is None:
            return self
        threshold = self.threshold or Threshold(
            limit=self._sign * self.margins.limit, consecutive=self.rule.consecutive or CONSECUTIVE
        )
        return replace(self, threshold=threshold.advance(self._sign * canary))

    @property
    def log_e(self) -> float:
        """Against the tolerance; a limit takes no part in it."""
        return float(self.seen.log_e_fail) + self._log_level if self.seen is not None else 0.0

    @property
    def log_e_pass(self) -> float | None:
        """Of the tolerance's margin."""
        return float(self.seen.log_e_pass) + self._log_level if self.seen is not None else None

    @property
    def _log_level(self) -> float:
        """What before-after pays for a level that was estimated beforehand."""
        return 0.0 if self._side_by_side else log1p(-SPENT)

    @property
    def standing(self) -> Standing:
        """FAIL by the limit alone; PASS once shown within the margin, and not while readings are beyond the limit."""
        if self.threshold is not None and self.threshold.failed:
            return Standing.FAIL
        if self.canary is None or (self.seen is None and self.threshold is None):
            return Standing.NO_DATA
        shown = self.log_e_pass
        within = shown is not None and shown >= self.terms.pass_bar
        return Standing.PASS if within and (self.threshold is None or not self.threshold.run) else Standing.PENDING

    @property
    def passes_at_deadline(self) -> bool:
        """By what was shown; a rule that is a limit and nothing else, by not having crossed it."""
        if self.margins.tolerated is None:
            return self.threshold is not None and self.threshold.passes_at_deadline
        return self.standing == Standing.PASS

    def _shown(self, level: float | None) -> str:
        return "unknown" if level is None else show_level(level, self.terms.query.unit)

    def sentence(self, standing: Standing) -> str:
        """Both levels, their ratio with its interval, and what is tolerated."""
        if self.canary is None:
            return nothing(self.terms.metric, self.last_missing, self.windows, "level of the canary")
        words = f"{self.terms.metric} {self._shown(self.canary)}"
        if self.threshold is not None and self._by_limit(standing):
            return f"{words}{self._beyond_limit(self.threshold)}"
        if self.seen is None:
            return f"{words}, and nothing to compare it with: {self._why_no_ratio()}"
        before = "of the baseline" if self._side_by_side else "before"
        words += f" against {self._shown(self.baseline)} {before}: {self._ratio_in_words()}"
        assert self.margins.tolerated is not None
        assert self.margins.within is not None
        if standing == Standing.PASS:
            return f"{words}, shown to be better than {tolerated(self.margins.within, None, self.rule.direction)}"
        words += f", tolerated {tolerated(self.margins.tolerated, None, self.rule.direction)}"
        if self.setting is not None and self.setting.prior is None:
            return f"{words}; told only, for the history does not tell the noise"
        if standing == Standing.PENDING:
            words += f"; {way(self._towards_fail, self._towards_pass, advisory=self.terms.is_advisory)}"
        return words

    def _beyond_limit(self, threshold: Threshold) -> str:
        beyond = "above" if self.rule.direction == Direction.HIGHER else "below"
        limit = self._shown(self.margins.limit)
        if threshold.failed:
            return f", {beyond} the limit of {limit}{in_a_row(threshold.consecutive)}"
        return f", limit {limit}: {run_of(threshold.run, threshold.consecutive)} {beyond} it"

    def _why_no_ratio(self) -> str:
        if self.odd:
            return self.odd
        if not self._side_by_side:
            return "the previous revision has no history"
        return "no level of the baseline" if self.no_baseline is None else no_baseline(self.no_baseline)

    def _by_limit(self, standing: Standing) -> bool:
        """Whether the limit is what is to be told: nothing else there is, or readings are beyond it."""
        assert self.threshold is not None
        if self.margins.tolerated is None or self.threshold.failed:
            return True
        return self.threshold.run > 0 and standing == Standing.PENDING

    def _ratio(self) -> Interval | None:
        if self.setting is None or self.seen is None:
            return None
        found = gauge.interval(self.setting, self.seen, self.terms.alpha)
        low, estimate, high = found.low, found.estimate, found.high
        if self._sign < 0:
            low, estimate, high = _inverse(high), _inverse(estimate), _inverse(low)
        return Interval(low=low, estimate=None if isnan(estimate) else estimate, high=high)

    def _ratio_in_words(self) -> str:
        ratio = self._ratio()
        if ratio is None or ratio.estimate is None:
            return "no ratio yet"
        words = times(ratio.estimate)
        if ratio.high < inf:
            words += f" (between {ratio.low:.2g} and {ratio.high:.2g})"
        return words

    @property
    def _towards_fail(self) -> float:
        """By the evidence against the tolerance, or by the readings beyond the limit: whichever is nearer."""
        run = 0.0 if self.threshold is None else self.threshold.run / self.threshold.consecutive
        if self.margins.tolerated is None:
            return run
        return max(run, (self.log_e + log(self.terms.weight)) / self.terms.fail_bar)

    @property
    def _towards_pass(self) -> float | None:
        shown = self.log_e_pass
        return None if shown is None else shown / self.terms.pass_bar

    def evidence(self, standing: Standing) -> Evidence:  # noqa: ARG002 -- the numbers say it all
        """The newest levels, and the ratio of all windows."""
        sup = float(self.seen.sup_fail) + self._log_level if self.seen is not None else 0.0
        return Evidence(
            canary=SideEvidence(value=self.canary),
            baseline=SideEvidence(value=self.baseline) if self.baseline is not None else None,
            unit=self.terms.query.unit,
            ratio=self._ratio(),
            tolerated=tolerated(self.margins.tolerated, None, self.rule.direction) if self.margins.tolerated else "",
            limit=self.margins.limit,
            towards_fail=self._towards_fail,
            towards_pass=self._towards_pass,
            p_value=min(1.0, float(np.exp(-sup))),
            windows=self.windows,
        )

    def acceptable(self, reading: Reading) -> bool | None:
        """Whether no side's level is beyond the tolerance or the limit."""
        levels = [level for side in (reading.canary, reading.baseline) if (level := level_of(side)) is not None]
        bars = []
        if self.margins.tolerated is not None and self.baseline is not None and self.baseline > 0:
            growth = self._as_growth(self.margins.tolerated.relative) + 0.1  # single readings are noisy
            bars.append(self._sign * exp(log(self.baseline) + self._sign * log1p(growth)))
        if self.margins.limit is not None:
            bars.append(self._sign * self.margins.limit)
        if not levels or not bars:
            return None
        return all(self._sign * level <= min(bars) for level in levels)


def _pods(side: Side | None) -> int:
    return len(side.by) if isinstance(side, Level) else 0


def _inverse(value: float) -> float:
    return inf if value == 0 else 1 / value
