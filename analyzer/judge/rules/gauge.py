"""Levels: the log ratio of canary and baseline against a tolerance, and a plain limit for several readings in a row."""

from dataclasses import dataclass, replace
from math import inf, isfinite, isnan, log, log1p
from typing import Self

import numpy as np

from analyzer.judge import gauge
from analyzer.judge.gauge import GaugeEvidence, GaugeSetting, learn_gauge, pod_term
from analyzer.judge.rules.margins import Margins, margins
from analyzer.judge.rules.rule import Terms
from analyzer.judge.rules.sentences import nothing, times, tolerated, way
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
    """The state of a rule on a gauge. `past` is the mean level of the history, for before-after."""

    terms: Terms
    rule: MetricRule
    setting: GaugeSetting | None = None
    seen: GaugeEvidence | None = None
    threshold: Threshold | None = None
    history: tuple[tuple[float, float], ...] = ()
    pods: tuple[tuple[float, ...], ...] = ()
    past: float | None = None
    canary: float | None = None
    baseline: float | None = None
    windows: int = 0
    odd: str = ""
    last_missing: Missing | None = None

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
        """Keep the log ratios of the two halves, and the mean level."""
        pairs, levels = [], []
        for reading in history.readings:
            first, second = _mean(reading.canary), _mean(reading.baseline)
            levels += [level for level in (first, second) if level is not None]
            if first is not None and second is not None and first > 0 and second > 0:
                pairs.append((first, second))
        if not pairs:
            # One pod: its odd and even intervals are the two halves (judge.md §3).
            alone = [
                level for reading in history.readings if (level := _mean(reading.canary)) is not None and level > 0
            ]
            pairs = list(zip(alone[::2], alone[1::2], strict=False))
        past = sum(levels) / len(levels) if levels else None
        return replace(self, history=tuple(pairs), past=past, pods=_levels_by_pod(history))

    def advance(self, reading: Reading) -> Self:
        """Judge one window; a level of zero or below has no ratio, and only a limit can judge it."""
        canary = _mean(reading.canary)
        baseline = _mean(reading.baseline) if self._side_by_side else self.past
        heard = replace(
            self,
            windows=self.windows + 1,
            last_missing=reading.canary if isinstance(reading.canary, Missing) else None,
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
        return replace(heard, seen=gauge.advance(heard.setting, heard.seen, self._sign * log(canary / baseline)))

    def _setting_for(self, reading: Reading) -> GaugeSetting:
        tolerance, within = self.margins.tolerated, self.margins.within
        assert tolerance is not None
        assert within is not None
        y = np.array([self._sign * log(first / second) for first, second in self.history])
        kept = [levels for levels in self.pods if all(level > 0 for level in levels)]
        return GaugeSetting(
            tolerance=self._as_growth(tolerance.relative),
            within=self._as_growth(within.relative),
            prior=learn_gauge(y),
            pods=pod_term(np.array(kept), _pods(reading.canary), _pods(reading.baseline)) if len(kept) > 1 else 0.0,
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
        return float(self.seen.log_e_fail) if self.seen is not None else 0.0

    @property
    def standing(self) -> Standing:
        """FAIL by the limit alone; PASS once shown within the margin."""
        if self.threshold is not None and self.threshold.failed:
            return Standing.FAIL
        if self.canary is None or (self.seen is None and self.threshold is None):
            return Standing.NO_DATA
        if self.seen is not None and float(self.seen.log_e_pass) >= self.terms.pass_bar:
            return Standing.PASS
        return Standing.PENDING

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
        metric = self.terms.metric
        if self.canary is None:
            return nothing(metric, self.last_missing, self.windows)
        if self.margins.limit is not None and (self.margins.tolerated is None or self._by_limit):
            assert self.threshold is not None
            beyond = "above" if self.rule.direction == Direction.HIGHER else "below"
            limit = self._shown(self.margins.limit)
            if self.threshold.failed:
                run = f"in {self.threshold.consecutive} readings in a row"
                return f"{metric} {self._shown(self.canary)}, {beyond} the limit of {limit} {run}"
            run = f"{self.threshold.run} of {self.threshold.consecutive} readings in a row {beyond} it"
            return f"{metric} {self._shown(self.canary)}, limit {limit}: {run}"
        words = f"{metric} {self._shown(self.canary)}"
        if self.seen is None:
            why = self.odd or ("no baseline" if self._side_by_side else "the previous revision has no history")
            return f"{words}, and nothing to compare it with: {why}"
        before = "of the baseline" if self._side_by_side else "before"
        words += f" against {self._shown(self.baseline)} {before}: {self._ratio_in_words()}"
        assert self.margins.tolerated is not None
        words += f", tolerated {tolerated(self.margins.tolerated, None, self.rule.direction)}"
        if self.setting is not None and self.setting.prior is None:
            return f"{words}; told only, for the history is too short to know the noise"
        if standing == Standing.PENDING:
            words += f"; {way(self._towards_fail, self._towards_pass)}"
        return words

    @property
    def _by_limit(self) -> bool:
        return self.threshold is not None and (self.threshold.failed or self.threshold.run > 0)

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
        if isfinite(ratio.high):
            words += f" (between {ratio.low:.2g} and {ratio.high:.2g})"
        return words

    @property
    def _towards_fail(self) -> float:
        return (self.log_e + log(self.terms.weight)) / self.terms.fail_bar

    @property
    def _towards_pass(self) -> float | None:
        return float(self.seen.log_e_pass) / self.terms.pass_bar if self.seen is not None else None

    def evidence(self) -> Evidence:
        """The newest levels, and the ratio of all windows."""
        sup = float(self.seen.sup_fail) if self.seen is not None else 0.0
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
        levels = [level for side in (reading.canary, reading.baseline) if (level := _mean(side)) is not None]
        if not levels:
            return None
        bars = [inf]
        if self.margins.tolerated is not None and self.baseline is not None and self.baseline > 0:
            growth = self._as_growth(self.margins.tolerated.relative) + 0.1  # single readings are noisy
            bars.append(log(self.baseline) * self._sign + log1p(growth))
        within = all(self._sign * log(level) <= min(bars) for level in levels if level > 0)
        if self.margins.limit is not None:
            within = within and all(self._sign * level <= self._sign * self.margins.limit for level in levels)
        return within


def _mean(side: Side | None) -> float | None:
    return side.mean if isinstance(side, Level) else None


def _pods(side: Side | None) -> int:
    return len(side.by) if isinstance(side, Level) else 0


def _levels_by_pod(history: History) -> tuple[tuple[float, ...], ...]:
    levels: dict[str, list[float]] = {}
    for reading in history.readings:
        for side in (reading.canary, reading.baseline):
            if isinstance(side, Level):
                for pod, level in side.by.items():
                    levels.setdefault(pod, []).append(level)
    # Pods of unequal lives are cut to the shortest: their log means are all that is looked at.
    shortest = min((len(values) for values in levels.values()), default=0)
    return tuple(tuple(values[:shortest]) for _, values in sorted(levels.items()) if shortest)


def _inverse(value: float) -> float:
    return inf if value == 0 else 1 / value
