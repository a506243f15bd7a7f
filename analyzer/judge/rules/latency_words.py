"""What is said of a rule on a histogram."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from analyzer.judge.rules.sentences import no_baseline, nothing, number, times, way
from analyzer.model.judgement import Standing
from analyzer.model.units import show_duration, show_level, show_share

if TYPE_CHECKING:
    from analyzer.judge.rules.histogram import HistogramRule


@dataclass(frozen=True)
class LatencyWords:
    """The sentences of one rule as it stands."""

    rule: "HistogramRule"

    @property
    def _unit(self) -> str | None:
        return self.rule.terms.query.unit

    @property
    def _beyond(self) -> str:
        """Times are slow; sizes are not."""
        return "slower than" if self._unit == "seconds" else "above"

    @property
    def _much(self) -> str:
        return "as slow" if self._unit == "seconds" else "as large"

    @property
    def _way(self) -> str:
        rule = self.rule
        return way(rule.towards_fail, rule.towards_pass, advisory=rule.terms.is_advisory)

    @property
    def _name(self) -> str:
        return f"{self.rule.terms.metric} p{self.rule.quantile * 100:g}"

    @property
    def _canary(self) -> str:
        return f"{self._name} {self.rule.seen[0].shown(self.rule.quantile, self.rule.terms.query.factor, self._unit)}"

    def sentence(self, standing: Standing) -> str:
        """Why the rule stands there, with numbers."""
        rule = self.rule
        if not rule.seen[0].total:
            return nothing(rule.terms.metric, rule.last_missing, rule.windows)
        if rule.fails_by_limit(standing) or rule.margins.tolerated is None:
            return self._against_limit(standing)
        if not rule.baseline.total:
            return f"{self._canary}, and nothing to compare it with: {self._why_no_baseline()}{self._untold_limit()}"
        before = "of the baseline" if rule.is_side_by_side else "before"
        baseline = rule.baseline.shown(rule.quantile, rule.terms.query.factor, self._unit)
        words = f"{self._canary} against {baseline} {before}"
        if rule.plan is None:
            return f"{words}: {self._why_no_plan()}{self._untold_limit()}"
        return f"{words}{self._compared(standing)}{self._untold_limit()}"

    def _compared(self, standing: Standing) -> str:
        tolerated, within = self.rule.margins.tolerated, self.rule.margins.within
        assert tolerated is not None
        assert within is not None
        trouble = f"; not compared now: {self.rule.trouble}" if self.rule.trouble else ""
        if standing == Standing.PASS:
            return f": shown to be less than {times(1 + within.relative)} {self._much}{trouble}"
        words = f"{self._at_boundary(standing)}; tolerated {times(1 + tolerated.relative)} {self._much}"
        if standing == Standing.PENDING:
            words += f"; {self._way}"
        return f"{words}{trouble}"

    def _why_no_baseline(self) -> str:
        if self.rule.is_side_by_side:
            return no_baseline(self.rule.no_baseline)
        return "the previous revision has no history"

    def _why_no_plan(self) -> str:
        if self.rule.trouble:
            return f"nothing to compare them by: {self.rule.trouble}"
        if self.rule.is_learning:
            minutes = show_duration(self.rule.learning_time)
            return f"learning the baseline's distribution from its first {minutes}, for it has no history"
        return "compared from the next window on"

    def _untold_limit(self) -> str:
        """A limit that cannot be judged must not be thought to be."""
        return f"; the limit is not judged, for {self.rule.no_limit}" if self.rule.no_limit else ""

    def _against_limit(self, standing: Standing) -> str:
        rule, limit = self.rule, self.rule.margins.limit
        assert limit is not None
        shown = show_level(limit, self._unit)
        if rule.limit is None or rule.limit_at is None:
            return f"{self._canary}, limit {shown}{self._untold_limit()}"
        total = rule.limit.total
        at = show_level(rule.limit_at * rule.terms.query.factor, self._unit)
        requests = f"{number(total[1])} of {number(total[0])} requests {self._beyond} {at}"
        slow = f": {requests}, {show_share(1 - rule.quantile)} allowed"
        if standing == Standing.FAIL:
            return f"{self._canary}, above the limit of {shown}{slow}"
        if standing == Standing.PASS:
            return f"{self._canary}, shown to be within the limit of {shown}{slow}"
        return f"{self._canary}, limit {shown}{slow}; {self._way}"

    def _at_boundary(self, standing: Standing) -> str:
        """The shares of slow requests where they tell most."""
        rule = self.rule
        assert rule.plan is not None
        index = rule.worst if standing == Standing.FAIL else int(rule.plan.nearest)
        at = show_level(float(rule.plan.boundaries[index]) * rule.terms.query.factor, self._unit)
        n_c, e_c, n_b, e_b = rule.totals(index)
        if not n_c:
            return ""
        words = f": {show_share(e_c / n_c)} of requests {self._beyond} {at}"
        if n_b:
            words += f" against {show_share(e_b / n_b)}"
        ratio = rule.ratio(index, standing)
        if ratio is not None and standing == Standing.FAIL:
            words += f", at least {times(ratio.low)} as many"
        return words
