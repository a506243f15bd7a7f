"""A rule while an upgrade rolls: windows in which both revisions serve are compared side by side, later ones with the
history of the previous revision. So is a window in which the baseline has no series or no sample: its last pods may
have gone before anybody could see that.

Each window is heard by one of two states, so that their e-values A and B grow in turns, never in the same window:
A, B and A·B are e-values, and so is their mean.
"""

from dataclasses import dataclass, replace
from math import exp, log
from typing import Protocol, Self

import numpy as np

from analyzer.judge.arrays import logsumexp
from analyzer.judge.rules.rule import RuleState, Terms
from analyzer.model.judgement import Evidence, Standing
from analyzer.model.reading import Absence, History, Missing, Reading, Side

_GONE = frozenset({Absence.NO_SERIES, Absence.NO_SAMPLES})


class Sequential(RuleState, Protocol):
    """A rule state that judges by an e-process on each side."""

    @property
    def log_e_pass(self) -> float | None:
        """Log of the e-value against the margin to pass within; None where there is none."""
        ...


@dataclass(frozen=True)
class RollingRule:
    """The state of a rule that compares in both ways.

    `beside` hears the windows with a baseline, `alone` those without. `sup` is the largest log e-value so far.
    """

    terms: Terms
    beside: Sequential
    alone: Sequential
    heard: tuple[int, int] = (0, 0)
    last_missing: Missing | None = None
    sup: float = 0.0

    def learn(self, history: History) -> Self:
        """Both learn from the same past."""
        return replace(self, beside=self.beside.learn(history), alone=self.alone.learn(history))

    def advance(self, reading: Reading) -> Self:
        """After one more window: without a baseline, it is the canary's alone."""
        beside, alone = self.heard
        if _is_gone(reading.baseline):
            only = reading.model_copy(update={"baseline": None})
            state = replace(self, alone=self.alone.advance(only), heard=(beside, alone + 1))
        else:
            state = replace(self, beside=self.beside.advance(reading), heard=(beside + 1, alone))
        missing = reading.canary if isinstance(reading.canary, Missing) else None
        return replace(state, last_missing=missing, sup=max(self.sup, state.log_e))

    @property
    def log_e(self) -> float:
        """Of the mean of A, B and A·B."""
        return together(self.beside.log_e, self.alone.log_e)

    @property
    def log_e_pass(self) -> float | None:
        """As `log_e`; a way of comparing that shows nothing counts as 1."""
        shown = [self.beside.log_e_pass, self.alone.log_e_pass]
        if all(each is None for each in shown):
            return None
        return together(*(each or 0.0 for each in shown))

    @property
    def standing(self) -> Standing:
        """PASS once both ways together have shown it."""
        standings = {self.beside.standing, self.alone.standing}
        if Standing.FAIL in standings:
            return Standing.FAIL
        if standings == {Standing.NO_DATA}:
            return Standing.NO_DATA
        shown = self.log_e_pass
        return Standing.PASS if shown is not None and shown >= self.terms.pass_bar else Standing.PENDING

    @property
    def passes_at_deadline(self) -> bool:
        """Only by what was shown."""
        return self.standing == Standing.PASS

    def sentence(self, standing: Standing) -> str:
        """Of the way of comparing that has shown more of it."""
        return self._speaker(standing).sentence(standing)

    def evidence(self, standing: Standing) -> Evidence:
        """Of the way of comparing that has shown more; the e-values are those of both."""
        shown = self.log_e_pass
        return (
            self._speaker(standing)
            .evidence(standing)
            .model_copy(
                update={
                    "towards_fail": (self.log_e + log(self.terms.weight)) / self.terms.fail_bar,
                    "towards_pass": None if shown is None else shown / self.terms.pass_bar,
                    "p_value": exp(-self.sup),
                    "windows": sum(self.heard),
                }
            )
        )

    def acceptable(self, reading: Reading) -> bool | None:
        """By what is known of the baseline: of its history, or else of the windows beside it."""
        answer = self.alone.acceptable(reading)
        return self.beside.acceptable(reading) if answer is None else answer

    def _speaker(self, standing: Standing) -> Sequential:
        match standing:
            case Standing.FAIL:
                first = self.beside.log_e > self.alone.log_e
            case Standing.PASS:
                first = (self.beside.log_e_pass or 0.0) > (self.alone.log_e_pass or 0.0)
            case _:
                first = self.heard[0] > 0 and (not self.heard[1] or self.alone.standing == Standing.NO_DATA)
        return self.beside if first else self.alone


def _is_gone(baseline: Side | None) -> bool:
    return baseline is None or (isinstance(baseline, Missing) and baseline.why in _GONE)


def together(one: float, other: float) -> float:
    """Log of the mean of two e-values and their product."""
    return float(logsumexp(np.array([one, other, one + other]))) - log(3)
