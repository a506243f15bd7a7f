"""Latency: log-normal with median 80 ms in classic default buckets, quantile 0.99, tolerance 5 %, α = 5 %.

The method's text gives no more than that; the rest are parameters of this generator. The log sd 0.6 reproduces the
prototype's times for the whole distribution. "The tail" is the slowest quarter, its logarithm stretched. In `shared`
the median swings for both sides (AR(1), sd 0.2) and outages triple it; in `one-sided noise` each side's median has
its own noise, sd 5 % an interval.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from analyzer.judge.arrays import array
from analyzer.judge.dispersion import Prior
from analyzer.judge.histogram import Tails
from analyzer.judge.latency import LatencyEvidence, LatencySetting, advance, start
from analyzer.judge.stretch import Plan, learn_plan
from bench.judge import prototype
from bench.judge.criteria import Outcome, later, too_few, too_many
from bench.judge.prototype import LATENCY, LATENCY_TRAFFIC
from bench.judge.simulation import BATCH, NEVER, taken
from bench.judge.streams import INTERVAL, STREAMS, Floats, Stream, autoregression, outages, seeded, unit_mean
from bench.judge.table import Table

BUCKETS = np.array([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
MEDIAN, SPREAD, TAIL = 0.08, 0.6, 0.25
QUANTILE, TOLERANCE, WITHIN, ALPHA = 0.99, 0.05, 0.3, 0.05
HISTORY, CHECKS = 160, 120
MOST = 9
"""Boundaries of a plan; plans with fewer are filled up with boundaries of no weight."""


@dataclass(frozen=True)
class Change:
    """What the new revision does to the distribution: nothing, or a stretch of the whole or of the tail."""

    part: str = "whole"
    factor: float = 1.0


@dataclass(frozen=True)
class Moods:
    """How medians move: `common` sd of both, `own` sd of each side, per interval; outages by a factor."""

    common: float = 0.0
    outage: float = 1.0
    own: float = 0.0


MOODS = {"stationary": Moods(), "shared": Moods(0.2, 3.0), "one-sided noise": Moods(own=0.05)}


def tail(scale: Floats, change: Change) -> Floats:
    """The share of requests slower than each bucket's bound, (…, bounds), for medians `scale` times the usual."""
    z = (np.log(BUCKETS / MEDIAN) - np.log(scale[..., None])) / SPREAD
    if change.part == "whole":
        return array(1 - ndtr(z - np.log(change.factor) / SPREAD))
    start_of_tail = ndtri(1 - TAIL)
    return array(1 - ndtr(np.where(z <= start_of_tail, z, start_of_tail + (z - start_of_tail) / change.factor)))


def slower(rng: Generator, requests: Floats, beyond: Floats) -> Floats:
    """Requests slower than each bound, (runs, intervals, bounds), drawn bucket by bucket."""
    left = requests.astype(np.int64)
    share = np.ones_like(requests)
    counts = np.empty_like(beyond)
    for i in range(BUCKETS.size):
        left = rng.binomial(left, np.clip(beyond[..., i] / np.maximum(share, 1e-300), 0.0, 1.0))
        share, counts[..., i] = beyond[..., i], left
    return counts


Side = tuple[Floats, Floats]
"""Requests (runs, intervals), and slower ones (runs, intervals, bounds)."""


def sides(name: str, rate: float, change: Change, rng: Generator, runs: int) -> tuple[Side, Side, Side, Side]:
    """Two halves of the history, the canary, and the baseline."""
    stream, moods, length = STREAMS[name], MOODS[name], HISTORY + CHECKS
    traffic, scale = _common(stream, moods, rng, runs, length)

    def side(span: slice, factor: float, what: Change) -> Side:
        own = unit_mean(moods.own, rng.standard_normal((runs, length))[:, span])
        requests = rng.poisson(rate * factor * INTERVAL * traffic[:, span]).astype(np.float64)
        return requests, slower(rng, requests, tail(scale[:, span] * own, what))

    past, now, same = slice(0, HISTORY), slice(HISTORY, None), Change()
    return side(past, 0.5, same), side(past, 0.5, same), side(now, 1.0, change), side(now, 1.0, same)


def _common(stream: Stream, moods: Moods, rng: Generator, runs: int, length: int) -> tuple[Floats, Floats]:
    phase = rng.random((runs, 1))
    traffic = 1 + stream.swing * np.sin(2 * np.pi * (np.arange(length) / stream.period + phase))
    traffic = traffic * unit_mean(stream.traffic_sd, autoregression(rng, runs, length, stream.common_rho))
    scale = unit_mean(moods.common, autoregression(rng, runs, length, stream.common_rho))
    return traffic, scale * np.where(outages(stream, rng, runs, length), moods.outage, 1.0)


def plans(first: Side, second: Side) -> tuple[Plan, NDArray[np.intp]]:
    """One plan for each run, filled up to the same number of boundaries; and the boundaries' indices."""
    found = [
        learn_plan(_tails(first, run), _tails(second, run), QUANTILE, TOLERANCE, WITHIN)
        for run in range(first[0].shape[0])
    ]
    plan = Plan(
        boundaries=_filled([plan.boundaries for plan in found], BUCKETS[0]),
        weights=_filled([plan.weights for plan in found], 0.0),
        kappa_fail=_filled([plan.kappa_fail for plan in found], 1.0),
        kappa_pass=_filled([plan.kappa_pass for plan in found], 1.0),
        nearest=np.array([plan.nearest for plan in found]),
        prior=Prior(
            phi=_filled([np.asarray(plan.prior.phi) for plan in found], 1.0),
            nu=_filled([np.asarray(plan.prior.nu) for plan in found], 3.0),
            s=_filled([np.asarray(plan.prior.s) for plan in found], 1.0),
            trim=_filled([np.asarray(plan.prior.trim, dtype=np.float64) for plan in found], 0.0) > 0,
        ),
    )
    return plan, np.searchsorted(BUCKETS, plan.boundaries)


def _filled(values: list[Floats], empty: float) -> Floats:
    return np.stack([np.pad(x, (0, MOST - x.size), constant_values=empty) for x in values])


def _tails(side: Side, run: int) -> Tails:
    return Tails(tuple(BUCKETS), side[0][run], side[1][run].T)


def judged(name: str, rate: float, change: Change, seed: object, runs: int, *, protected: bool = True) -> Outcome:
    """First crossings of a cell."""
    crossed = []
    for done in range(0, runs, BATCH):
        size = min(BATCH, runs - done)
        first, second, canary, baseline = sides(name, rate, change, seeded(seed, name, rate, change, done), size)
        plan, where = plans(first, second)
        if not protected:
            sure = np.ones_like(plan.weights)
            plan = replace(plan, prior=Prior(sure, 1e9 * sure, sure, sure < 0))
        crossed.append(_crossings(plan, where, canary, baseline))
    return Outcome.of(np.concatenate(crossed))


def _crossings(plan: Plan, where: NDArray[np.intp], canary: Side, baseline: Side) -> NDArray[np.int64]:
    setting = LatencySetting.of(plan)
    setting = replace(setting, boundaries=replace(setting.boundaries, pass_=None))
    runs = where.shape[0]
    crossed, alive = np.full(runs, NEVER, dtype=np.int64), np.arange(runs)
    evidence: LatencyEvidence = start(setting)
    for check in range(CHECKS):
        seen = [
            (n[alive, check], np.take_along_axis(slow[alive, check], where[alive], axis=-1))
            for n, slow in (canary, baseline)
        ]
        evidence = advance(setting, evidence, *seen[0], *seen[1])
        crossed[alive[(evidence.log_e_fail >= np.log(1 / ALPHA)) & (crossed[alive] == NEVER)]] = check
        going = np.flatnonzero(crossed[alive] == NEVER)
        if not going.size:
            break
        if going.size < 0.75 * alive.size:
            evidence, setting = taken(evidence, going, alive.size), taken(setting, going, alive.size)
            alive = alive[going]
    return crossed


def latency(runs: int) -> list[str]:
    """False rollbacks, with and without protection against over-dispersion, and what is found."""
    columns = [f"{rate}/s" for rate in LATENCY_TRAFFIC]
    limit = prototype.LATENCY_FALSE
    table = Table(f"Latency, false rollbacks, {runs} runs a cell: at most {limit} % (unprotected), %", columns)
    for name in MOODS:
        cells = [judged(name, rate, Change(), "latency", runs) for rate in LATENCY_TRAFFIC]
        bare = [judged(name, rate, Change(), "latency", min(runs, BATCH), protected=False) for rate in LATENCY_TRAFFIC]
        shown = [f"{ours.share:.1f} ({other.share:.1f})" for ours, other in zip(cells, bare, strict=True)]
        table.row(name, shown, [too_many(ours, limit, 9) for ours in cells])
    return table.failures + _found(runs, columns)


def _found(runs: int, columns: list[str]) -> list[str]:
    table = Table(f"Latency, found, {runs} runs a cell: share, median time (prototype)", columns, width=34)
    for (part, factor), theirs in LATENCY.items():
        shown, failed = [], []
        for rate, cell in zip(LATENCY_TRAFFIC, theirs, strict=True):
            ours = judged("stationary", rate, Change(part, factor), "latency", runs)
            mark = later(ours, cell, prototype.LATENCY_RUNS)
            share = "" if cell.share is None else f"{cell.share:.0f} % "
            shown.append(f"{ours.share:.0f} % {ours.median:.0f} s ({share}{cell.median:.0f} s) {mark}".strip())
            few = cell.share is not None and too_few(ours, cell.share, prototype.LATENCY_RUNS)
            failed.append(mark == "late" or few)
        table.row(f"{part} × {factor:g}", shown, failed)
    return table.failures
