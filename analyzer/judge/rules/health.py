"""`health: targets`: the canary's scrape targets down, or restarting again and again, while the baseline's are not."""

from dataclasses import dataclass, replace
from typing import Self

from analyzer.judge.rules.rule import Terms
from analyzer.judge.rules.sentences import often
from analyzer.model.judgement import Evidence, SideEvidence, Standing
from analyzer.model.reading import History, Missing, Reading, Targets
from analyzer.model.ruleset import HealthRule

RESTARTS = 3
"""Restarts of a canary's processes that fail it, beyond twice the baseline's."""


@dataclass(frozen=True)
class HealthOfTargets:
    """The state of the rule: readings in a row with half or more of the canary's targets down, and restarts so far."""

    terms: Terms
    rule: HealthRule
    run: int = 0
    windows: int = 0
    up: int = 0
    down: int = 0
    restarts: int = 0
    baseline_restarts: int = 0
    failed: str = ""
    last_missing: Missing | None = None

    @property
    def log_e(self) -> float:
        """Takes no part in the combined e-value."""
        return 0.0

    @property
    def standing(self) -> Standing:
        """FAIL once shown; PASS while targets are up, for being down is what the rule looks for."""
        if self.failed:
            return Standing.FAIL
        if not self.windows:
            return Standing.NO_DATA
        return Standing.PASS if self.run == 0 and self.up else Standing.PENDING

    @property
    def passes_at_deadline(self) -> bool:
        """Whether targets are up."""
        return self.standing == Standing.PASS

    def learn(self, history: History) -> Self:  # noqa: ARG002 -- health has no past
        """Nothing: health has no past."""
        return self

    def advance(self, reading: Reading) -> Self:
        """Count one window. When the baseline is down as well, that is an incident and not the release."""
        canary = reading.canary
        if not isinstance(canary, Targets):
            missing = canary if isinstance(canary, Missing) else None
            return replace(self, last_missing=missing)
        baseline = reading.baseline if isinstance(reading.baseline, Targets) else None
        down = canary.down > 0 and canary.down >= canary.up
        both = baseline is not None and baseline.down > 0 and baseline.down >= baseline.up
        heard = replace(
            self,
            run=self.run + 1 if down and not both else 0,
            windows=self.windows + 1,
            up=canary.up,
            down=canary.down,
            restarts=self.restarts + canary.restarts,
            baseline_restarts=self.baseline_restarts + (baseline.restarts if baseline else 0),
            last_missing=None,
        )
        return replace(heard, failed=self.failed or heard._verdict())

    def _verdict(self) -> str:
        if self.run >= self.rule.in_a_row:
            return (
                f"{self.down} of {self.up + self.down} targets of the canary down "
                f"in {self.run} {'reading' if self.run == 1 else 'readings in a row'}"
            )
        if self.restarts >= RESTARTS + 2 * self.baseline_restarts:
            return (
                f"the canary's processes restarted {often(self.restarts)} in {self.windows} "
                f"{'window' if self.windows == 1 else 'windows'}, the baseline's {often(self.baseline_restarts)}"
            )
        return ""

    def sentence(self, standing: Standing) -> str:  # noqa: ARG002 -- the state says it all
        """What is up, what is down, and how often processes restarted."""
        if self.failed:
            return self.failed
        if not self.windows:
            detail = f": {self.last_missing.detail}" if self.last_missing else ""
            return f"no scrape target of the canary seen{detail}"
        restarts = f", restarted {often(self.restarts)}" if self.restarts else ""
        return f"{self.up} of {self.up + self.down} targets of the canary up{restarts}"

    def evidence(self, standing: Standing) -> Evidence:  # noqa: ARG002 -- the state says it all
        """Targets down among all, as counts."""
        return Evidence(
            canary=SideEvidence(total=self.up + self.down, bad=self.down),
            towards_fail=max(self.run / self.rule.in_a_row, self.restarts / (RESTARTS + 2 * self.baseline_restarts)),
            windows=self.windows,
        )

    def acceptable(self, reading: Reading) -> bool | None:
        """Targets are up and none restarted, on either side."""
        sides = [side for side in (reading.canary, reading.baseline) if isinstance(side, Targets)]
        if not any(side.up for side in sides):
            return None
        return all(side.down <= side.up and not side.restarts for side in sides)
