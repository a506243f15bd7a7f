"""`judge: threshold`: a plain limit that fails after so many readings in a row beyond it, and passes only at the
deadline. For teams that come from tools which know nothing else."""

from dataclasses import dataclass, replace
from typing import Self

from analyzer.judge.rules.rule import Terms
from analyzer.judge.rules.sentences import nothing
from analyzer.model.judgement import Evidence, SideEvidence, Standing
from analyzer.model.reading import Buckets, Events, History, Level, Missing, Reading, Side
from analyzer.model.ruleset import Direction, MetricRule
from analyzer.model.units import show_level, show_share

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
        if standing == Standing.FAIL:
            return f"{self.terms.name} {value}, {relation} the limit of {limit} in {self._needed} readings in a row"
        return f"{self.terms.name} {value}, limit {limit}: {self.run} of {self._needed} readings in a row {relation} it"

    def evidence(self) -> Evidence:
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
    """The value of a side in one window: a share of bad events, a quantile's bucket bound, or a mean; None without
    events."""
    match side:
        case Events():
            return side.bad / side.total if side.total > 0 else None
        case Level():
            return side.mean
        case Buckets():
            return quantile_of(side, quantile if quantile is not None else 0.99)
    return None


def quantile_of(buckets: Buckets, quantile: float) -> float | None:
    """The quantile, interpolated linearly within its bucket as Prometheus does it; the last finite bound beyond it."""
    total = buckets.total
    if total <= 0:
        return None
    wanted, seen, below = quantile * total, 0.0, 0.0
    for bound, count in zip(buckets.bounds, buckets.counts, strict=True):
        if count > 0 and seen + count >= wanted:
            if bound == float("inf"):
                return below
            start = below if buckets.scale is None else max(below, bound / 2 ** (2.0**-buckets.scale))
            return start + (bound - start) * (wanted - seen) / count
        seen += count
        if bound != float("inf"):
            below = bound
    return below


def shown(value: float | None, unit: str | None) -> str:
    """A value for people; a dash for none."""
    return "–" if value is None else show_share(value) if unit == "share" else show_level(value, unit)
