"""One line judged by one e-process, with what it takes to feed and to read it. A batch of boundaries is one strand."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from analyzer.judge import process
from analyzer.judge.arrays import Array, array, logsumexp
from analyzer.judge.merging import Gathering, gather, gathering
from analyzer.judge.process import Setting


@dataclass(frozen=True, eq=False)
class Strand:
    """An e-process and the windows gathered for it.

    `paired` strands compare two sides; others look at the canary alone (limits, before-after). `log_weights` are those
    of the batch (0 for a single line); `pass_at` the line of the batch that a pass is shown on. `log_level` ≤ 0 pays
    for what was estimated beforehand: the limit of a before-after comparison (judge.md §6).
    """

    setting: Setting
    evidence: process.Evidence
    gathering: Gathering
    paired: bool
    log_weights: Array
    pass_at: int | None = None
    log_level: float = 0.0

    @classmethod
    def begin(
        cls,
        setting: Setting,
        *,
        paired: bool,
        log_weights: Array | None = None,
        pass_at: int | None = None,
        log_level: float = 0.0,
    ) -> Self:
        """Before the first interval."""
        shape = () if log_weights is None else log_weights.shape
        return cls(
            setting=setting,
            evidence=process.start(setting, shape),
            gathering=gathering(shape),
            paired=paired,
            log_weights=np.zeros(()) if log_weights is None else log_weights,
            pass_at=pass_at,
            log_level=log_level,
        )

    def advance(self, counts: Array, seconds: float) -> Self:
        """After one window: n_c, e_c, n_b, e_b in the last axis, of this many seconds."""
        waiting, ready = gather(self.gathering, counts, seconds, baseline=self.paired)
        evidence = process.advance(self.setting, self.evidence, *np.moveaxis(ready, -1, 0))
        return replace(self, gathering=waiting, evidence=evidence)

    @property
    def log_e(self) -> float:
        """Log of the e-value against the line: of a batch, of the weighted mean."""
        if self.setting.fail is None:
            return 0.0
        return float(logsumexp(array(self.log_weights + self.evidence.log_e_fail).reshape(-1))) + self.log_level

    @property
    def log_e_pass(self) -> float | None:
        """Log of the e-value of the pass side, on the boundary that a pass is shown on."""
        if self.setting.pass_ is None:
            return None
        logs = self.evidence.log_e_pass
        return float(logs if self.pass_at is None else logs[self.pass_at]) + self.log_level

    @property
    def total(self) -> Array:
        """n_c, e_c, n_b, e_b of all windows, those that still wait included; shape (…, 4)."""
        return array(self.evidence.totals + self.gathering.counts)

    @property
    def rows(self) -> Array:
        """The judged counts by interval, shape (…, 4, intervals)."""
        return self.evidence.rows

    @property
    def nu(self) -> float:
        """Degrees of freedom of the design effect, as `phi`."""
        return float(self.evidence.nu if self.pass_at is None else self.evidence.nu[self.pass_at])

    @property
    def phi(self) -> float:
        """The design effect in use; of a batch, on the boundary that a pass is shown on."""
        return float(self.evidence.phi if self.pass_at is None else self.evidence.phi[self.pass_at])
