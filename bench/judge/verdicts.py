"""Late onsets, passes with the planner beside them, and whole verdicts with the product's defaults."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analyzer.judge.dispersion import Prior, learn_prior
from analyzer.judge.merging import gather, gathering
from analyzer.judge.null import Null
from analyzer.judge.planner import Service, until_pass
from analyzer.judge.process import Evidence, Setting, advance, start
from bench.judge import prototype
from bench.judge.criteria import Outcome, later, too_many
from bench.judge.prototype import CALIBRATED, LATE_ONSET, PASSES, TRAFFIC, Found
from bench.judge.rollbacks import batches, judged
from bench.judge.simulation import NEVER, first_crossing
from bench.judge.streams import INTERVAL, STREAMS, Floats, Sample, Scenario
from bench.judge.table import Table

BETA = 0.05
WITHIN = Null(1.5)


def late_onset(runs: int) -> list[str]:
    """A regression that starts after ten minutes of half an hour, at α = 5 %, with restarts and without."""
    table = Table(
        f"Late onset after 10 min, α = 5 %, {runs} runs a cell: median delay (prototype)",
        ["with restarts", "without"],
        width=24,
    )
    for base, ratio, rate, median, without in LATE_ONSET:
        scenario = Scenario(STREAMS["stationary"], rate, rate, base, ratio, onset=40)
        samples = batches(scenario, "late onset", runs)
        ours, plain = (
            Outcome.of(np.concatenate([judged(one, planned, 0.05) for one in samples]), scenario.onset)
            for planned in (scenario.checks, 0)
        )
        mark = later(ours, Found(None, median), prototype.FALSE_RUNS)
        shown = [
            f"+{ours.median:.0f} s (+{median} s){mark and ' ' + mark}",
            f"+{plain.median:.0f} s (+{without} s)",
        ]
        table.row(f"{100 * base:g} % × {ratio:g} at {rate}/s", shown, [mark == "late", False])
    return table.failures


def _passing(scenario: Scenario, name: str, runs: int) -> tuple[Outcome, float]:
    """Passes at β, and the mean design effect that history showed."""
    crossed, effects = [], []
    for one in batches(scenario, name, runs):
        prior = learn_prior(*one.history)
        setting = Setting(None, WITHIN, prior=prior)
        crossed.append(first_crossing(setting, one.run, np.log(1 / BETA), lambda evidence: evidence.log_e_pass))
        effects.append(np.mean(np.asarray(prior.phi) * np.asarray(prior.s)))
    return Outcome.of(np.concatenate(crossed)), float(np.mean(effects))


def passes(runs: int) -> list[str]:
    """Good releases against a pass margin of × 1.5, canaries exactly at it, and the planner's mean.

    The planner knows no looks; a verdict is given at looks, half an interval later on average, which is added. The
    measured mean is that of runs as long as it takes, up to eight times the planned time.
    """
    columns = ["median (prototype)", "at the margin, %", "mean", "planned", "φ of history"]
    table = Table(f"Passes, {runs} runs a cell", columns)
    for base, rate, median in PASSES:
        good = Scenario(STREAMS["stationary"], rate, rate, base)
        within_the_hour, effect = _passing(good, "passes", runs)
        plan = until_pass(Service(rate, rate, base, effect), WITHIN, 1.0, BETA).mean
        planned = plan + INTERVAL / 2
        long = replace(good, checks=max(120, int(8 * plan / INTERVAL)))
        ours, _ = _passing(long, "passes, however long", runs)
        at_margin, _ = _passing(replace(good, ratio=1.5), "margin", runs)
        mark = later(within_the_hour, Found(None, median), prototype.FALSE_RUNS)
        shown = [
            f"{within_the_hour.median:.0f} s ({median} s){mark and ' ' + mark}",
            f"{at_margin.share:.1f} (≤ {prototype.PASSES_AT_MARGIN})",
            f"{ours.mean:.0f} s",
            f"{planned:.0f} s",
            f"{effect:.2f}",
        ]
        wrong = abs(planned - ours.mean) > 0.25 * ours.mean or ours.found < 0.99 * ours.runs
        failed = [
            mark == "late",
            too_many(at_margin, prototype.PASSES_AT_MARGIN, len(PASSES)),
            False,
            wrong,
            False,
        ]
        table.row(f"{100 * base:g} % at {rate}/s", shown, failed)
    table.note("planned: the planner's mean with that φ, and half an interval; fails beyond 25 % of the measured mean")
    return table.failures


TOLERATED, PASSED = Null(1.1, 0.0005), Null(1.5, 0.001)


@dataclass(frozen=True)
class Defaults:
    """The product's defaults for an error ratio (judge.md §13), in intervals of 15 s."""

    fail: Null = TOLERATED
    pass_: Null = PASSED
    alpha: float = 0.01
    beta: float = 0.05
    warmup: int = 2
    minimum: int = 8
    deadline: int = 40


@dataclass(frozen=True)
class Verdicts:
    """The check at which each run failed or passed; NEVER where it did not."""

    fails: NDArray[np.int64]
    passes: NDArray[np.int64]


def verdicts(one: Sample, prior: Prior, terms: Defaults) -> Verdicts:
    """Whole analyses: warm-up, merged windows, restarts, a pass after the minimum, the first verdict final."""
    setting = Setting(terms.fail, terms.pass_, planned=terms.deadline, prior=prior)
    runs = one.run[0].shape[0]
    evidence: Evidence = start(setting, (runs,))
    waiting = gathering((runs,))
    fails, passed = (np.full(runs, NEVER, dtype=np.int64) for _ in range(2))
    for check in range(terms.warmup, terms.deadline):
        window: Floats = np.stack([counts[:, check] for counts in one.run], axis=-1)
        waiting, counts = gather(waiting, window, INTERVAL)
        evidence = advance(setting, evidence, *np.moveaxis(counts, -1, 0))
        pending = (fails == NEVER) & (passed == NEVER)
        worse = pending & (evidence.log_e_fail >= np.log(1 / terms.alpha))
        better = pending & ~worse & (evidence.log_e_pass >= np.log(1 / terms.beta)) & (check + 1 >= terms.minimum)
        fails[worse], passed[better] = check, check
    return Verdicts(fails, passed)


def defaults(runs: int) -> list[str]:
    """Verdicts with the product's defaults: good releases in every stream, and regressions."""
    terms = Defaults()
    columns = [f"{rate}/s" for rate in TRAFFIC]
    table = Table(
        f"The product's defaults, 10 min, {runs} runs a cell: fail %/pass %, median time of the more frequent one",
        columns,
        first=40,
    )
    cases = [(name, base, 1.0) for name in STREAMS for base in prototype.BASES]
    cases += [("stationary", base, ratio) for base, ratio in ((0.001, 2.0), (0.001, 10.0), (0.01, 1.5), (0.01, 5.0))]
    cells = len(cases) * len(TRAFFIC)
    for name, base, ratio in cases:
        shown, failed = [], []
        for rate in TRAFFIC:
            scenario = Scenario(STREAMS[name], rate, rate, base, ratio, checks=terms.deadline)
            found = [verdicts(one, learn_prior(*one.history), terms) for one in batches(scenario, "defaults", runs)]
            fails = Outcome.of(np.concatenate([one.fails for one in found]))
            passed = Outcome.of(np.concatenate([one.passes for one in found]))
            often = fails if fails.found > passed.found else passed
            time = f" {often.median:.0f} s" if often.found else ""
            shown.append(f"{fails.share:.1f}/{passed.share:.1f}{time}")
            good = ratio == 1 and name in CALIBRATED
            bad = bool(ratio * base > terms.pass_.line(base))
            wrong, promised = (fails, terms.alpha) if good else (passed, terms.beta)
            failed.append((good or bad) and too_many(wrong, 100 * promised, cells))
        table.row(f"{name}, {100 * base:g} %{f' × {ratio:g}' if ratio > 1 else ''}", shown, failed)
    table.note(
        "fails: more false rollbacks than α, or more false passes beyond the margin than β, 99.9 % over all cells"
    )
    return table.failures
