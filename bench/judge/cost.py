"""What one step of the judge costs in a single analysis."""

from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TypeVar

import numpy as np
from numpy.random import Generator

from analyzer.judge import gauge, latency, process
from analyzer.judge.dispersion import NO_HISTORY, learn_prior
from analyzer.judge.gauge import GaugePrior, GaugeSetting
from analyzer.judge.histogram import Tails
from analyzer.judge.intervals import ConfidenceInterval, ratio_interval
from analyzer.judge.latency import LatencySetting
from analyzer.judge.null import Null
from analyzer.judge.process import Setting
from analyzer.judge.stretch import Plan, learn_plan
from bench.judge.table import Table

State = TypeVar("State")
Input = TypeVar("Input")

LIMIT = 1000.0
"""Microseconds that an update may take, in the median."""

STEPS = 400
COLUMNS = ["median", "95 %"]

SETTINGS = {
    "ratio, the defaults": Setting(Null(1.1, 5e-4), Null(1.5, 1e-3), planned=40),
    "ratio, relative, 12 starts": Setting(Null(1.1), Null(1.5), planned=120),
    "limit": Setting(Null(0.0, 0.05), Null(0.0, 0.1), planned=40),
}
LEVEL = GaugeSetting(0.1, 0.3, GaugePrior(0.01, 0.02, 14.0))
UNKNOWN = ConfidenceInterval(0.0, np.nan, np.inf)
BOUNDS = np.geomspace(0.01, 2.0, 40)


def cost(_runs: int) -> list[str]:
    """Microseconds a step over 400 steps, so that the state is as large as in an analysis of hours."""
    rng = np.random.default_rng(1)
    counts = [(1500.0, float(x), 1500.0, float(y)) for x, y in rng.binomial(1500, 0.01, (STEPS, 2))]
    table = Table("Cost of one step, microseconds", COLUMNS)
    for name, setting in SETTINGS.items():
        times = _times(_stepper(setting), process.start(setting), counts)
        _row(table, name, times, LIMIT)
    plan = LatencySetting.of(_plan(rng), planned=40)
    slow = [rng.binomial(1500, np.linspace(0.5, 0.005, plan.plan.boundaries.size)) for _ in range(STEPS)]
    times = _times(lambda s, c: latency.advance(plan, s, 1500, c, 1500, c), latency.start(plan), slow)
    size = plan.plan.boundaries.size
    _row(table, f"latency, {size} boundaries", times, LIMIT)
    share = np.linspace(0.5, 0.005, size)
    alone = Setting(Null(0.0, 1.2 * share), Null(0.0, 1.5 * share), planned=40)
    times = _times(lambda s, c: process.advance(alone, s, 1500, c, 0, 0), process.start(alone, (size,)), slow)
    _row(table, f"latency before-after, {size} boundaries", times, LIMIT)
    levels = list(0.1 * rng.standard_normal(STEPS))
    _row(table, "gauge", _times(lambda s, y: gauge.advance(LEVEL, s, y), gauge.start(), levels), LIMIT)
    return table.failures + _once(rng)


def _once(rng: Generator) -> list[str]:
    table = Table("Cost once an analysis, or once a report, microseconds", COLUMNS)
    n, e = np.full(160, 700.0), rng.binomial(700, 0.01, (2, 160))
    _row(table, "prior of 160 intervals", _times(lambda _, __: learn_prior(n, e[0], n, e[1]), NO_HISTORY, range(50)))
    rows = np.stack([n[:40], e[0, :40], n[:40], e[1, :40]])
    _row(table, "interval of the ratio", _times(lambda _, __: ratio_interval(rows, 0.01), UNKNOWN, range(50)))
    return table.failures


def _stepper(setting: Setting) -> Callable[[process.Evidence, tuple[float, float, float, float]], process.Evidence]:
    return lambda evidence, counts: process.advance(setting, evidence, *counts)


def _plan(rng: Generator) -> Plan:
    share = np.exp(-BOUNDS * 6)
    first, second = (
        Tails(tuple(BOUNDS), np.full(160, 1000.0), rng.binomial(1000, share[:, None], (40, 160)).astype(float))
        for _ in range(2)
    )
    return learn_plan(first, second, 0.99, 0.05, 0.3)


def _times(step: Callable[[State, Input], State], state: State, inputs: Iterable[Input]) -> list[float]:
    times = []
    for one in inputs:
        began = perf_counter()
        state = step(state, one)
        times.append(1e6 * (perf_counter() - began))
    return times


def _row(table: Table, name: str, times: list[float], limit: float = np.inf) -> None:
    middle, late = np.quantile(times, [0.5, 0.95])
    table.row(name, [f"{middle:.0f}", f"{late:.0f}"], [bool(middle > limit), False])
