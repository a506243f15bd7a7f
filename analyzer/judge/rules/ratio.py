"""Bad events among all events: the tolerance against the baseline, and the limit whatever the baseline."""

from dataclasses import dataclass, replace
from math import exp, inf, isnan, log, nan
from typing import Self

import numpy as np

from analyzer.judge.arrays import array
from analyzer.judge.before_after import fail_limit, pass_limit
from analyzer.judge.combination import mean
from analyzer.judge.intervals import rate_interval, ratio_interval
from analyzer.judge.null import Null
from analyzer.judge.poisson import at_least
from analyzer.judge.process import Setting
from analyzer.judge.rules.counts import events_of
from analyzer.judge.rules.margins import Margins, limit_line, line, margins
from analyzer.judge.rules.outlook import ENOUGH_WINDOWS, Outlook, note
from analyzer.judge.rules.past import Past
from analyzer.judge.rules.rule import Terms
from analyzer.judge.rules.sentences import between, no_baseline, nothing, share_of, tolerated, way
from analyzer.judge.rules.strand import Strand
from analyzer.model.judgement import Evidence, Interval, SideEvidence, Standing
from analyzer.model.reading import History, Missing, Reading, Side
from analyzer.model.ruleset import Comparison, Direction, MetricRule
from analyzer.model.units import show_share

NO_EVENTS = (0.0, 0.0)

NOT_CHANCE = 0.01
"""Probability below which a window after the act is not put down to chance."""


@dataclass(frozen=True, eq=False)
class RatioRule:
    """The state of a rule on a ratio.

    `tolerance` and `limit` are its strands; before-after the first exists only once the history is known. `sup` is the
    largest log e-value that the rule ever had, `no_baseline` why the newest window had no baseline.
    """

    terms: Terms
    rule: MetricRule
    margins: Margins
    tolerance: Strand | None
    limit: Strand | None
    past: Past | None = None
    seen: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    sup: float = 0.0
    windows: int = 0
    last_missing: Missing | None = None
    no_baseline: Missing | None = None

    @classmethod
    def begin(cls, terms: Terms, rule: MetricRule) -> Self:
        """Before the first interval."""
        state = cls(terms=terms, rule=rule, margins=margins(rule, "ratio"), tolerance=None, limit=None)
        return state._with_strands(Past.of([], terms.interval))

    @property
    def _side_by_side(self) -> bool:
        return self.terms.query.sides.comparison == Comparison.SIDE_BY_SIDE

    @property
    def _lines(self) -> tuple[Null, Null]:
        """What is tolerated, and the margin to pass within."""
        assert self.margins.tolerated is not None
        assert self.margins.within is not None
        return line(self.margins.tolerated, self.rule.direction), line(self.margins.within, self.rule.direction)

    def _with_strands(self, past: Past) -> Self:
        """With fresh strands under the priors that this past teaches."""
        limit = None
        if self.margins.limit is not None:
            null = limit_line(self.margins.limit, self.rule.direction)
            setting = Setting(
                fail=null,
                pass_=null if self.margins.tolerated is None else None,
                planned=self.terms.planned,
                prior=past.prior(paired=self._side_by_side),
            )
            limit = Strand.begin(setting, paired=False)
        return replace(self, tolerance=self._tolerance_strand(past), limit=limit)

    def _tolerance_strand(self, past: Past) -> Strand | None:
        if self.margins.tolerated is None:
            return None
        tolerated_line, within = self._lines
        if self._side_by_side:
            setting = Setting(tolerated_line, within, planned=self.terms.planned, prior=past.prior(paired=True))
            return Strand.begin(setting, paired=True)
        if not past.requests:
            return None
        # Before-after spends a part of the tolerance's own share of alpha: the rule's, or half of it beside a limit.
        level = self.terms.alpha * self.terms.weight / (1 if self.margins.limit is None else 2)
        n, e = past.blocks()
        worse = fail_limit(n, e, tolerated_line, level)
        better = pass_limit(n, e, within, self.terms.beta)
        setting = Setting(
            fail=Null(0.0, worse.rate) if worse.rate < 1 else None,
            pass_=Null(0.0, better.rate) if better.rate > 0 else None,
            planned=self.terms.planned,
            prior=past.prior(paired=False),
        )
        return Strand.begin(setting, paired=False, log_level=log(worse.level / level))

    def learn(self, history: History) -> Self:
        """Learn the noise, and before-after the baseline itself, from the past."""
        intervals = []
        for reading in history.readings:
            n_1, e_1 = self._counts(reading.canary) or NO_EVENTS
            n_2, e_2 = self._counts(reading.baseline) or NO_EVENTS
            intervals.append((array(n_1), array(e_1), array(n_2), array(e_2)))
        past = Past.of(intervals, self.terms.interval)
        return replace(self._with_strands(past), past=past)

    def advance(self, reading: Reading) -> Self:
        """Judge one window.

        One that a side is missing from compares nothing. It is left out, not gathered: counts of one side alone would
        be compared with those of other times.
        """
        canary, baseline = self._counts(reading.canary), self._counts(reading.baseline)
        beside = baseline if self._side_by_side else NO_EVENTS
        n_c, e_c = canary or NO_EVENTS
        n_b, e_b = beside or NO_EVENTS
        counts, nothing_told = np.array([n_c, e_c, n_b, e_b]), np.zeros(4)
        compared = nothing_told if canary is None or beside is None else counts
        seconds = reading.window.seconds
        judged = replace(
            self,
            tolerance=self.tolerance and self.tolerance.advance(compared, seconds),
            limit=self.limit and self.limit.advance(counts, seconds),
            seen=(self.seen[0] + n_c, self.seen[1] + e_c, self.seen[2] + n_b, self.seen[3] + e_b),
            windows=self.windows + 1,
            last_missing=reading.canary if isinstance(reading.canary, Missing) else None,
            no_baseline=reading.baseline if isinstance(reading.baseline, Missing) else None,
        )
        return replace(judged, sup=max(self.sup, judged.log_e))

    def _counts(self, side: Side | None) -> tuple[float, float] | None:
        return events_of(side, self.rule.direction)

    @property
    def _strands(self) -> list[Strand]:
        return [strand for strand in (self.tolerance, self.limit) if strand is not None]

    @property
    def _requests(self) -> float:
        return self.seen[0]

    @property
    def log_e(self) -> float:
        """The mean of the e-values of tolerance and limit."""
        logs = [strand.log_e for strand in self._strands]
        return float(mean(logs, np.ones(len(logs)))) if logs else 0.0

    @property
    def log_e_pass(self) -> float | None:
        """Of the tolerance's margin; of the limit, where there is nothing else."""
        deciding = self.tolerance if self.margins.tolerated is not None else self.limit
        return deciding.log_e_pass if deciding is not None else None

    @property
    def standing(self) -> Standing:
        """PASS once shown within the margin; NO_DATA without a request or without anything to compare with."""
        if not self._requests or (not self._baseline[0] and self.limit is None):
            return Standing.NO_DATA
        shown = self.log_e_pass
        return Standing.PASS if shown is not None and shown >= self.terms.pass_bar else Standing.PENDING

    @property
    def passes_at_deadline(self) -> bool:
        """Only by what was shown."""
        return self.standing == Standing.PASS

    @property
    def _baseline(self) -> tuple[float, float]:
        """Events of the baseline and the bad ones: of the same windows, or of the history."""
        if self._side_by_side:
            return self.seen[2], self.seen[3]
        if self.past is None or not self.past.requests:
            return 0.0, 0.0
        return self.past.requests, float(self.past.e.sum())

    def _shown(self, events: tuple[float, float]) -> str:
        total, bad = events
        return share_of(bad if self._higher else total - bad, total)

    def sentence(self, standing: Standing) -> str:
        """Both rates, the ratio with its interval, and what is tolerated."""
        if not self._requests:
            return nothing(self.terms.metric, self.last_missing, self.windows)
        words = f"{self.terms.metric} {self._shown(self.seen[:2])}"
        if self._fails_by_limit(standing):
            assert self.margins.limit is not None
            beyond = "above" if self._higher else "below"
            return f"{words}, {beyond} the limit of {show_share(self.margins.limit)}{self._limit_shown()}"
        if self.margins.tolerated is None:
            assert self.margins.limit is not None
            within = "below" if self._higher else "above"
            shown = f"shown to be {within} the limit of" if standing == Standing.PASS else "limit"
            return f"{words}, {shown} {show_share(self.margins.limit)}{self._progress(standing)}"
        if not self._baseline[0]:
            limit = "" if self.margins.limit is None else f"; limit {show_share(self.margins.limit)}"
            return f"{words}, and nothing to compare it with: {self._why_no_baseline()}{limit}"
        before = " of the baseline" if self._side_by_side else " before"
        tolerated_words = tolerated(self.margins.tolerated, "share", self.rule.direction)
        compared = f"{words} against {self._shown(self._baseline)}{before}"
        if standing == Standing.PASS:
            assert self.margins.within is not None
            within = tolerated(self.margins.within, "share", self.rule.direction)
            return f"{compared}: shown to be better than {within}"
        return f"{compared}: {self._compared(standing)}{tolerated_words}{self._progress(standing)}"

    def _compared(self, standing: Standing) -> str:
        """The ratio with its interval; where lower is worse the judged ratio is that of the other events: not told."""
        if self._higher:
            return f"{between(self._ratio(standing), standing)}, tolerated "
        return "shown to be less than is tolerated, " if standing == Standing.FAIL else "tolerated "

    def _why_no_baseline(self) -> str:
        return no_baseline(self.no_baseline) if self._side_by_side else "the previous revision has no history"

    def _fails_by_limit(self, standing: Standing) -> bool:
        if standing != Standing.FAIL or self.limit is None:
            return False
        return self.tolerance is None or self.limit.log_e > self.tolerance.log_e

    def _limit_shown(self) -> str:
        rate = self._rate()
        if rate is None or self.margins.limit is None:
            return ""
        if self._higher:
            return f": shown to be at least {show_share(max(rate.low, self.margins.limit))}"
        return f": shown to be at most {show_share(min(rate.high, self.margins.limit))}"

    def _progress(self, standing: Standing) -> str:
        if standing != Standing.PENDING:
            return ""
        return f"; {way(self._towards_fail, self._towards_pass, advisory=self.terms.is_advisory)}"

    @property
    def _towards_fail(self) -> float:
        return (self.log_e + log(self.terms.weight)) / self.terms.fail_bar

    @property
    def _towards_pass(self) -> float | None:
        shown = self.log_e_pass
        return None if shown is None else shown / self.terms.pass_bar

    def _ratio(self, standing: Standing) -> Interval:
        """Of the ratio of the rates of bad events; before-after, of the canary's rate to the history's pooled one."""
        strand = self.tolerance
        if strand is None:
            return Interval(low=0.0, estimate=None, high=inf)
        if self._side_by_side:
            found = ratio_interval(strand.rows, self.terms.alpha, strand.phi, strand.nu)
            low, estimate, high = found.low, found.estimate, found.high
        else:
            n, e = self._baseline
            rate = self._rate()
            low, estimate, high = 0.0, nan, inf
            if rate is not None and e:
                low, high = rate.low * n / e, rate.high * n / e
                estimate = (rate.estimate or 0.0) * n / e
        if standing == Standing.FAIL and not self._fails_by_limit(standing):
            low = max(low, float(array(self._lines[0].a)))
        return Interval(low=low, estimate=None if isnan(estimate) else estimate, high=high)

    def _rate(self) -> Interval | None:
        """Of the canary's own share, in the rule's direction."""
        strand = self.limit or self.tolerance
        if strand is None or not strand.total[0]:
            return None
        found = rate_interval(float(strand.total[0]), float(strand.total[1]), self.terms.alpha, strand.phi, strand.nu)
        if not self._higher:
            return Interval(low=1 - found.high, estimate=1 - found.estimate, high=1 - found.low)
        return Interval(low=found.low, estimate=found.estimate, high=found.high)

    @property
    def _outlook(self) -> Outlook | None:
        """Side by side, once there were some windows."""
        strand = self.tolerance
        if strand is None or not self._side_by_side or not self._higher or self.windows < ENOUGH_WINDOWS:
            return None
        tolerated_line, within = self._lines
        return Outlook(
            counts=self.seen,
            seconds=self.windows * self.terms.interval,
            tolerated=tolerated_line,
            within=within,
            alpha=self.terms.alpha * self.terms.weight,
            beta=self.terms.beta,
            phi=strand.phi,
            interval=self.terms.interval,
        )

    def note(self) -> str:
        """What can be found by the deadline at this traffic; empty while that is unknown, or decided."""
        outlook = self._outlook
        if outlook is None or self.standing == Standing.PASS:
            return ""
        found = outlook.found_by(self.terms.planned * self.terms.interval)
        return note(self.terms.metric, found, self.seen[0] / outlook.seconds)

    def evidence(self, standing: Standing) -> Evidence:
        """Both sides' counts and rates, the intervals, the e-values against their bars."""
        baseline = self._baseline
        compared = self.tolerance is not None and baseline[0] and self.seen[0] and self._higher
        ratio = self._ratio(standing) if compared else None
        done = (self._towards_fail, self._towards_pass or 0.0)
        return Evidence(
            canary=self._side(*self.seen[:2]),
            baseline=self._side(*baseline) if baseline[0] else None,
            unit="share",
            ratio=ratio,
            rate=self._rate(),
            tolerated=tolerated(self.margins.tolerated, "share", self.rule.direction) if self.margins.tolerated else "",
            limit=self.margins.limit,
            towards_fail=self._towards_fail,
            towards_pass=self._towards_pass,
            p_value=exp(-self.sup),
            dispersion=self._strands[0].phi if self._strands else None,
            seconds_left=self._outlook.seconds_left(ratio, done) if self._outlook else None,
            extra_bad_per_second=self._outlook.extra_bad(ratio) if self._outlook else None,
            windows=self.windows,
        )

    @property
    def _higher(self) -> bool:
        return self.rule.direction == Direction.HIGHER

    def _side(self, total: float, bad: float) -> SideEvidence:
        if not self._higher:
            bad = total - bad
        return SideEvidence(total=total, bad=bad, value=bad / total if total else None)

    def acceptable(self, reading: Reading) -> bool | None:
        """Whether no side with traffic is shown worse than tolerated, by a Poisson test of each."""
        told = [self._counts(side) for side in (reading.canary, reading.baseline)]
        sides = [counts for counts in told if counts is not None and counts[0] > 0]
        allowed = self._allowed()
        if not sides or allowed is None:
            return None
        return all(at_least(bad, total * allowed) > NOT_CHANCE for total, bad in sides)

    def _allowed(self) -> float | None:
        """The share of bad events that is tolerated, by all that is known of the baseline; with one event more than it
        has had, for none so far does not mean none ever. None where nothing is known."""
        shares = []
        n, e = self._baseline
        if self.margins.tolerated is not None and n:
            shares.append(float(array(self._lines[0].line((e + 1) / n))))
        if self.margins.limit is not None:
            shares.append(float(array(limit_line(self.margins.limit, self.rule.direction).d)))
        return min(shares, default=None)
