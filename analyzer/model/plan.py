"""One analysis as it will be done: every query, both sides, all times. Made once, frozen, recorded."""

from analyzer.model.base import Model, Moment
from analyzer.model.ruleset import Comparison, RuleSet
from analyzer.model.target import Deployment

HEALTH_OF_TARGETS = "health:targets"
"""The name of the metric behind `health: targets`."""
HEALTH_OF_PODS = "health:pods"
"""The name of the metric behind `health: pods`."""
PODS = "pods"
"""The kind of query that asks for the health of pods."""


class SideMatchers(Model):
    """How series tell the sides apart, as PromQL matchers without braces (`version="2"`); empty matches all.

    `baseline` is None where the baseline is read from history alone. `past` are the matchers of the baseline's history
    where they differ: the pods that served then are not those that are left now; `whole` are those of any pod of the
    workloads: after a way back they may be new ones. `alone_since` (Unix seconds) is since when no pod of the baseline
    serves beside the canary, `told_since` since when these matchers tell the sides apart: earlier the same names were
    another revision's.
    """

    canary: str
    baseline: str | None
    comparison: Comparison
    past: str | None = None
    whole: str | None = None
    alone_since: float | None = None
    told_since: float | None = None

    def beginning(self, start: float) -> "SideMatchers":
        """As a window that begins at `start` (Unix seconds) is read: side by side, or the canary alone."""
        if self.comparison != Comparison.ROLLING:
            return self
        served = self.past if self.baseline is None else self.baseline
        alone = self.baseline is None if self.alone_since is None else start >= self.alone_since
        if alone or served is None:
            return self.model_copy(update={"baseline": None, "comparison": Comparison.BEFORE_AFTER})
        return self.model_copy(update={"baseline": served, "comparison": Comparison.SIDE_BY_SIDE})

    @property
    def afterwards(self) -> "SideMatchers":
        """As windows after a rollback are read: what is left of the canary, and the baseline that serves again."""
        if self.comparison != Comparison.ROLLING:
            return self
        served = self.past if self.whole is None else self.whole
        return self.model_copy(update={"baseline": served, "comparison": Comparison.SIDE_BY_SIDE})


class Query(Model):
    """What is asked for one metric, ready to be sent.

    `kind` is `ratio`, `histogram`, `gauge`, `targets` or `pods`. `selectors` hold the expressions by their role, filled
    and parsed, without the sides: `bad` and `total`, `histogram`, or `gauge`; none of `pods`. `own` marks roles that
    are a `promql:` query of the user's, with `${selector}` and `${window}` still open. `rendered` is every query as it
    is sent, by `role/side`, with the window as `${window}`; it goes into the record and the evidence.
    """

    metric: str
    kind: str
    selectors: dict[str, str]
    own: tuple[str, ...] = ()
    unit: str | None = None  # base unit of what comes out: seconds, bytes, share
    factor: float = 1.0  # from the metric's unit to the base unit
    sides: SideMatchers
    rendered: dict[str, str] = {}


class Plan(Model):
    """One analysis: frozen before the first interval. `notes` tell the report what was left out, and why."""

    id: str
    rule_set: RuleSet  # with every `${…}` filled
    parameters: dict[str, str] = {}
    deployment: Deployment
    queries: tuple[Query, ...]
    upgraded_at: Moment
    started_at: Moment
    acting: bool  # False in a dry run
    on_grid: bool = False  # windows end at multiples of the interval: who asks the same asks at the same time
    notes: tuple[str, ...] = ()
