"""One analysis as it will be done: every query, both sides, all times. Made once, frozen, recorded."""

from analyzer.model.base import Model
from analyzer.model.ruleset import Comparison, RuleSet
from analyzer.model.target import Deployment


class SideMatchers(Model):
    """How series tell the sides apart, as PromQL matchers without braces (`version="2"`); empty matches all.

    `baseline` is None where the baseline is read from history alone.
    """

    canary: str
    baseline: str | None
    comparison: Comparison


class Query(Model):
    """What is asked for one metric, ready to be sent.

    `kind` is `ratio`, `histogram`, `gauge` or `targets`. `selectors` hold the expressions by their role, filled and
    parsed, without the sides: `bad` and `total`, `histogram`, or `gauge`. `own` marks roles that are a `promql:` query
    of the user's, with `${selector}` and `${window}` still open. `rendered` is every query as it is sent, by
    `role/side`, with the window as `${window}`; it goes into the record and the evidence.
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
    """One analysis: frozen before the first interval."""

    id: str
    rule_set: RuleSet  # with every `${…}` filled
    parameters: dict[str, str] = {}
    deployment: Deployment
    queries: tuple[Query, ...]
    upgraded_at: float
    started_at: float
    acting: bool  # False in a dry run
