"""`judge: threshold`: a plain limit that fails after so many readings in a row beyond it, and passes only at the
deadline. For teams that come from tools which know nothing else."""

from dataclasses import dataclass, replace
from math import isfinite
from typing import Self

from analyzer.judge.rules.counts import events_of
from analyzer.judge.rules.quantile import quantile_of
from analyzer.judge.rules.rule import Terms
from analyzer.judge.rules.sentences import in_a_row, nothing, run_of
from analyzer.model.defaults import QUANTILE
from analyzer.model.judgement import Evidence, SideEvidence, Standing
from analyzer.model.reading import Buckets, Events, History, Level, Missing, Reading, Side
from analyzer.model.ruleset import Direction, MetricRule
from analyzer.model.units import show_level

CONSECUTIVE = 1


@dataclass(frozen=True)
class ThresholdRule:
    """The state of a threshold rule: the readings in a row beyond the limit, and the newest value."""

    terms: Terms
    rule: MetricRule
    run: int = 0
    windows: int = 0
    value: float | None = None
    failed: bool = False
    last_missing: Missing | None = None

    @property
    def log_e(self) -> float:
        """Takes no part in the combined e-value."""
        return 0.0

    @property
    def _needed(self) -> int:
        return self.rule.consecutive or CONSECUTIVE

    @property
    def _limit(self) -> float:
        assert self.rule.limit is not None
        return self.rule.limit

    @property
    def standing(self) -> Standing:
        """FAIL once the run was long enough; never PASS before the deadline."""
        if self.failed:
            return Standing.FAIL
        return Standing.PENDING if self.windows else Standing.NO_DATA

    @property
    def passes_at_deadline(self) -> bool:
        """Some reading was seen, and no run was long enough."""
        return not self.failed and self.windows > 0 and self.run == 0

    def learn(self, history: History) -> Self:  # noqa: ARG002 -- a limit has no past
        """Nothing: a limit has no past."""
        return self

    def advance(self, reading: Reading) -> Self:
        """Count the reading; one without numbers neither counts nor breaks the run."""
        side = reading.canary
        if isinstance(side, Missing):
            return replace(self, last_missing=side)
        value = level_of(side, self.rule.quantile)
        if value is None:
            return replace(self, last_missing=None)
        run = self.run + 1 if self._beyond(value) else 0
        failed = self.failed or run >= self._needed
        return replace(self, run=run, value=value, windows=self.windows + 1, failed=failed, last_missing=None)

    def _beyond(self, value: float) -> bool:
        return value > self._limit if self.rule.direction == Direction.HIGHER else value < self._limit

    def sentence(self, standing: Standing) -> str:
        """The newest value against the limit."""
        if self.value is None:
            return nothing(self.terms.metric, self.last_missing, self.windows)
        unit = self.terms.query.unit
        relation = "above" if self.rule.direction == Direction.HIGHER else "below"
        value, limit = show_level(self.value, unit), show_level(self._limit, unit)
        if value == limit and self._beyond(self.value):
            value = f"{'more' if self.rule.direction == Direction.HIGHER else 'less'} than {value}"
        if standing == Standing.FAIL:
            return f"{self.terms.name} {value}, {relation} the limit of {limit}{in_a_row(self._needed)}"
        return f"{self.terms.name} {value}, limit {limit}: {run_of(self.run, self._needed)} {relation} it"

    def evidence(self, standing: Standing) -> Evidence:  # noqa: ARG002 -- the numbers say it all
        """The newest value and the limit."""
        return Evidence(
            canary=SideEvidence(value=self.value),
            unit=self.terms.query.unit,
            limit=self._limit,
            towards_fail=self.run / self._needed,
            windows=self.windows,
        )

    def acceptable(self, reading: Reading) -> bool | None:
        """Within the limit, or no canary left."""
        value = None if isinstance(reading.canary, Missing) else level_of(reading.canary, self.rule.quantile)
        if value is None:
            return None
        return not self._beyond(value)


def level_of(side: Side, quantile: float | None) -> float | None:
    """The value of a side in one window: a share of bad events, a quantile, or a mean; None without events, and for
    what is no number."""
    match side:
        case Events():
            counted = events_of(side, Direction.HIGHER)
            return counted[1] / counted[0] if counted and counted[0] > 0 else None
        case Level():
            return side.mean if isfinite(side.mean) else None
        case Buckets():
            return quantile_of(side, quantile if quantile is not None else QUANTILE)
    return None
