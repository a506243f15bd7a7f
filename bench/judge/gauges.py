"""Gauges: paired log ratio with sd 0.1 an interval and AR(1), tolerance 10 %, α = 5 %, an hour of history."""

import numpy as np
from numpy.typing import NDArray

from analyzer.judge.gauge import GaugeSetting, advance, learn_gauge, start
from bench.judge import prototype
from bench.judge.criteria import Outcome, later, too_many
from bench.judge.prototype import GAUGE_MEDIANS, GAUGE_RHO, Found
from bench.judge.simulation import BATCH, NEVER
from bench.judge.streams import Floats, autoregression, seeded
from bench.judge.table import Table

SD, TOLERANCE, ALPHA = 0.1, 0.1, 0.05
HISTORY, CHECKS = 240, 120


def judged(rho: float, ratio: float, runs: int) -> Outcome:
    """First crossings of runs whose gauge is `ratio` times the baseline's."""
    crossed = []
    for done in range(0, runs, BATCH):
        size = min(BATCH, runs - done)
        y = SD * autoregression(seeded("gauges", rho, ratio, done), size, HISTORY + CHECKS, rho)
        crossed.append(_crossings(y[:, :HISTORY], y[:, HISTORY:] + np.log(ratio)))
    return Outcome.of(np.concatenate(crossed))


def _crossings(past: Floats, now: Floats) -> NDArray[np.int64]:
    setting = GaugeSetting(TOLERANCE, None, learn_gauge(past))
    evidence = start((len(now),))
    crossed = np.full(len(now), NEVER, dtype=np.int64)
    for check in range(CHECKS):
        evidence = advance(setting, evidence, now[:, check])
        crossed[(evidence.log_e_fail >= np.log(1 / ALPHA)) & (crossed == NEVER)] = check
    return crossed


def gauges(runs: int) -> list[str]:
    """Good releases, canaries at the tolerance, and levels half as high again."""
    columns = [f"ρ = {rho:g}" for rho in GAUGE_RHO]
    table = Table(f"Gauges, {runs} runs a cell (prototype)", columns)
    for name, ratio, limit in (
        ("false, %", 1.0, prototype.GAUGE_FALSE),
        ("at the boundary, %", 1 + TOLERANCE, prototype.GAUGE_BOUNDARY),
    ):
        cells = [judged(rho, ratio, runs) for rho in GAUGE_RHO]
        shown = [f"{ours.share:.1f} (≤ {limit})" for ours in cells]
        table.row(name, shown, [too_many(ours, limit, len(GAUGE_RHO)) for ours in cells])
    cells = [judged(rho, 1.5, runs) for rho in GAUGE_RHO]
    marks = [later(ours, Found(None, median), 5000) for ours, median in zip(cells, GAUGE_MEDIANS, strict=True)]
    shown = [
        f"{ours.share:.0f} % {ours.median:.0f} s ({median} s){mark and ' ' + mark}"
        for ours, median, mark in zip(cells, GAUGE_MEDIANS, marks, strict=True)
    ]
    table.row("× 1.5", shown, [mark == "late" for mark in marks])
    return table.failures
