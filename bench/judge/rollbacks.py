"""False rollbacks and detections of one ratio rule, in the setting of judge.md §15: tolerance 10 %, α = 1 %."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from analyzer.judge.dispersion import learn_prior
from analyzer.judge.null import Null
from analyzer.judge.process import Setting
from bench.judge import alternatives, prototype
from bench.judge.criteria import Outcome, later, too_few, too_many
from bench.judge.prototype import BASES, CALIBRATED, DETECTIONS, TRAFFIC, Detection
from bench.judge.simulation import BATCH, first_crossing
from bench.judge.streams import INTERVAL, STREAMS, Sample, Scenario, sample, seeded
from bench.judge.table import Table

ALPHA = 0.01
TOLERANCE = Null(1.1)


def batches(scenario: Scenario, name: object, runs: int) -> list[Sample]:
    """The runs of a cell, in batches, seeded by the table's `name`, the cell and the batch."""
    sizes = [min(BATCH, runs - done) for done in range(0, runs, BATCH)]
    return [sample(scenario, seeded(name, scenario, i), size) for i, size in enumerate(sizes)]


def judged(sample_: Sample, planned: int = 0, alpha: float = ALPHA) -> NDArray[np.int64]:
    """First crossings of the fail side, by the product's own code with the prior from history."""
    setting = Setting(TOLERANCE, planned=planned, prior=learn_prior(*sample_.history))
    return first_crossing(setting, sample_.run, np.log(1 / alpha))


def measured(scenario: Scenario, name: object, runs: int) -> Outcome:
    """All batches of a cell."""
    return Outcome.of(np.concatenate([judged(batch) for batch in batches(scenario, name, runs)]))


def _columns() -> list[str]:
    return [f"{100 * base:g} %, {rate}/s" for base in BASES for rate in TRAFFIC]


def false_rollbacks(runs: int) -> list[str]:
    """Good releases, and canaries exactly at the tolerance."""
    cells = len(STREAMS) * len(BASES) * len(TRAFFIC)
    title = f"False rollbacks of a good release, {runs} runs a cell: ours (prototype), %"
    table = Table(title, _columns(), width=14)
    for name, stream in STREAMS.items():
        outcomes = [measured(Scenario(stream, rate, rate, base), "false", runs) for base in BASES for rate in TRAFFIC]
        theirs = prototype.FALSE[name]
        shown = [f"{ours.share:.1f} ({share:.1f})" for ours, share in zip(outcomes, theirs, strict=True)]
        failed = [too_many(ours, share, cells) for ours, share in zip(outcomes, theirs, strict=True)]
        table.row(name, shown, failed)
    table.note("fails: above the prototype's figure + 0.05 points, exact binomial, 99.9 % over all cells")
    return table.failures + _at_the_boundary(runs)


def _at_the_boundary(runs: int) -> list[str]:
    cells = len(CALIBRATED) * len(BASES) * len(TRAFFIC)
    title = f"False rollbacks at the boundary (canary 1.1 times as bad): at most {prototype.BOUNDARY} %, %"
    table = Table(title, _columns(), width=14)
    for name, stream in STREAMS.items():
        outcomes = [
            measured(Scenario(stream, rate, rate, base, 1.1), "boundary", runs) for base in BASES for rate in TRAFFIC
        ]
        bound = name in CALIBRATED
        failed = [bound and too_many(ours, prototype.BOUNDARY, cells) for ours in outcomes]
        table.row(name, [f"{ours.share:.1f}" for ours in outcomes], failed)
    table.note("the last two have no bar: a canary that is persistently worse than tolerated, by bad luck, is worse")
    return table.failures


def comparisons(runs: int) -> list[str]:
    """Simple methods on good releases: no bars, for comparison."""
    methods = ("threshold, 1 allowed", "threshold, 4 allowed", "twice the baseline", "z-test, every look")
    for i, method in enumerate(methods):
        table = Table(f"For comparison, false rollbacks in %: {method}", _columns(), width=14)
        for name, stream in STREAMS.items():
            shares = []
            for base in BASES:
                for rate in TRAFFIC:
                    run = batches(Scenario(stream, rate, rate, base), "false", min(runs, BATCH))[0].run
                    limit = 0.01 if base == BASES[0] else 0.02
                    fails = (
                        lambda n_c, e_c, _n, _e, limit=limit: alternatives.threshold(n_c, e_c, limit, 1),
                        lambda n_c, e_c, _n, _e, limit=limit: alternatives.threshold(n_c, e_c, limit, 4),
                        alternatives.twice,
                        alternatives.z_test,
                    )[i](*run)
                    shares.append(f"{100 * fails.mean():.1f}")
            table.row(name, shares)
    return []


def detections(runs: int) -> list[str]:
    """Regressions found in half an hour, and how many more requests they took than any test needs."""
    runs = max(runs, prototype.DETECTION_RUNS)
    title = f"Detections, {runs} runs a cell: share, median time (prototype)"
    table = Table(title, [f"{rate}/s" for rate in TRAFFIC], first=40, width=30)
    ratios: list[tuple[str, list[str]]] = []
    for row in DETECTIONS:
        name = f"{row.stream}, {row.traffic}:1, {100 * row.base:g} % × {row.ratio:g}"
        cells, failed, costs = [], [], []
        for rate in TRAFFIC:
            cell, fails, cost = _detection(row, rate, runs)
            cells.append(cell)
            failed.append(fails)
            costs.append(cost)
        table.row(name, cells, failed)
        if row.stream == "stationary":
            ratios.append((name, costs))
    table.note("fails: share below (Fisher, 99.9 %), or median later by more than an interval beyond sampling error;")
    table.note("~ later by more than an interval within sampling error; under 20 % found: time not compared")
    bound = Table("Requests needed over the lower bound log(1/α)/KL", [f"{rate}/s" for rate in TRAFFIC], first=40)
    for name, costs in ratios:
        bound.row(name, costs)
    bound.note("mean time; ≥ where not all were found (those count with 1800 s); a look takes 15 s of requests")
    return table.failures


def _detection(row: Detection, rate: int, runs: int) -> tuple[str, bool, str]:
    theirs = row.found.get(rate)
    if theirs is None or theirs.share is None:
        return "–", False, "–"
    scenario = Scenario(STREAMS[row.stream], rate, rate * row.traffic, row.base, row.ratio)
    ours = measured(scenario, "detections", runs)
    behind = later(ours, theirs, prototype.DETECTION_RUNS)
    fails = behind == "late" or too_few(ours, theirs.share, prototype.DETECTION_RUNS)
    shown = (
        f"{ours.share:.0f} % {ours.median:.0f} s ({theirs.share:.0f} % {theirs.median:.0f} s){behind and ' ' + behind}"
    )
    everything = np.append(ours.times, np.full(ours.runs - ours.found, scenario.checks * INTERVAL))
    ratio = everything.mean() * _information(scenario) / np.log(1 / ALPHA)
    return shown, fails, f"{'≥ ' if ours.found < ours.runs else ''}{ratio:.2f}"


def _information(scenario: Scenario) -> float:
    """Nats a second that the best test can gain against the null: the least Kullback-Leibler divergence from it."""
    p_c, p_b = scenario.ratio * scenario.base, scenario.base

    def divergence(log_rate: float) -> float:
        q_b = float(np.exp(log_rate))
        q_c = TOLERANCE.line(q_b)
        return scenario.canary * _kl(p_c, float(q_c)) + scenario.baseline * _kl(p_b, q_b)

    found = minimize_scalar(divergence, bounds=(np.log(p_b), np.log(p_c)), method="bounded")
    return float(found.fun)


def _kl(p: float, q: float) -> float:
    return float(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
