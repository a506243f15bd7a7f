"""What all kinds of rules share: their name, weight and bars, and what the assessment asks of them."""

from dataclasses import dataclass
from math import log
from typing import Protocol, Self

from analyzer.model.judgement import Evidence, Standing
from analyzer.model.plan import Query
from analyzer.model.reading import History, Missing, Reading
from analyzer.model.ruleset import MetricRule, Rule


@dataclass(frozen=True)
class Terms:
    """What a rule is judged under, fixed before the first interval.

    An `advisory` rule is told and never decides; a `shy` one does not fail the release by its e-value alone, nor is it
    needed for a pass, but its limit counts.

    `alpha` and `beta` are the whole analysis' (judge.md §0); `weight` is the rule's share of alpha. `planned` is the
    number of intervals up to the deadline; `interval` their length in seconds.
    """

    name: str
    metric: str
    query: Query
    critical: bool
    advisory: bool
    shy: bool
    weight: float
    alpha: float
    beta: float
    planned: int
    interval: float

    @property
    def is_advisory(self) -> bool:
        """Whether its e-value never fails the release alone."""
        return self.advisory or self.shy

    @property
    def fail_bar(self) -> float:
        """Log E of all rules together that fails the release."""
        return -log(self.alpha)

    @property
    def pass_bar(self) -> float:
        """Log E of the pass side that shows this rule good."""
        return -log(self.beta)


class RuleState(Protocol):
    """One rule and all that it has heard; never changed in place."""

    @property
    def terms(self) -> Terms:
        """What it is judged under."""
        ...

    def learn(self, history: History) -> Self:
        """After the baseline's past was read, before the first interval."""
        ...

    def advance(self, reading: Reading) -> Self:
        """After one more window."""
        ...

    @property
    def log_e(self) -> float:
        """Log of the e-value against the rule's null; 0 for a rule that is not sequential."""
        ...

    @property
    def standing(self) -> Standing:
        """Where the rule stands on its own; FAIL only for rules that fail alone (threshold, health)."""
        ...

    @property
    def passes_at_deadline(self) -> bool:
        """Whether having come to the deadline without failing is a pass."""
        ...

    @property
    def last_missing(self) -> Missing | None:
        """Why the newest window had no numbers of the canary, if it had none."""
        ...

    def sentence(self, standing: Standing) -> str:
        """One sentence with numbers that says why the rule stands there."""
        ...

    def evidence(self, standing: Standing) -> Evidence:
        """What the judgement that the rule stands there rests on."""
        ...

    def acceptable(self, reading: Reading) -> bool | None:
        """Whether a window after the act looks recovered; None when it says nothing."""
        ...


def weight_of(rule: Rule) -> float:
    """The rule's share of the false-alarm probability, before all shares are made to sum to 1."""
    if rule.weight is not None:
        return rule.weight
    return 3.0 if rule.critical else 1.0


def is_sequential(rule: Rule) -> bool:
    """Whether the rule takes part in the combined e-value."""
    return isinstance(rule, MetricRule) and rule.judge == "sequential"
