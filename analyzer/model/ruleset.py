"""The YAML schema of a rule set, version v1alpha1. See docs/rules.md for the reference written for people.

How later versions will be read: a version is never changed in a way that gives an old file another meaning. A newer
one gets a new `apiVersion`; every older one stays readable for at least a year after its successor, by conversion
into the newest models, and `canary lint` says what to write instead.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Discriminator, Field, StringConstraints, Tag, model_validator

from analyzer.model.base import Spec
from analyzer.model.units import Duration, Quantity, Share

API_VERSION = "canary-analyzer.io/v1alpha1"

Name = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=63, strip_whitespace=True)
]
LONGEST_TEXT = 8192
"""Signs of a selector, a query or matchers."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT, strip_whitespace=True)]


class OnPass(StrEnum):
    """What a passed analysis leads to."""

    NONE = "none"
    PROMOTE = "promote"


class OnFail(StrEnum):
    """What a failed analysis leads to."""

    ROLLBACK = "rollback"
    ABORT = "abort"
    PAUSE = "pause"
    NONE = "none"


class OnInconclusive(StrEnum):
    """What a deadline without a verdict leads to. No data at all is never a pass."""

    HOLD = "hold"
    EXTEND = "extend"
    PASS = "pass"  # noqa: S105 -- a verdict, not a password
    ROLLBACK = "rollback"


class Unit(StrEnum):
    """The unit that a metric is exposed in."""

    SECONDS = "seconds"
    MILLISECONDS = "milliseconds"
    MICROSECONDS = "microseconds"
    NANOSECONDS = "nanoseconds"
    BYTES = "bytes"
    SHARE = "share"

    @property
    def factor(self) -> float:
        """What one of the metric's units is in base units (seconds, bytes, fractions)."""
        return {"milliseconds": 1e-3, "microseconds": 1e-6, "nanoseconds": 1e-9}.get(self.value, 1.0)

    @property
    def base(self) -> str:
        """The base unit: seconds, bytes or share."""
        return self.value if self in {Unit.BYTES, Unit.SHARE} else "seconds"


class Metadata(Spec):
    """What the rule set is called."""

    name: Name = Field(description="how the rule set is called in reports")
    description: str = Field("", description="what it is for, in a sentence")


class Schedule(Spec):
    """When is read, judged and decided. All counted from the upgrade."""

    warmup: Duration = Field(30.0, description="read but not judged, after the canary starts to serve")
    interval: Annotated[Duration, Field(ge=1, le=3600)] = Field(15.0, description="one reading of both sides")
    minimum: Duration = Field(120.0, description="no pass before this")
    deadline: Annotated[Duration, Field(gt=0)] = Field(600.0, description="neither shown by then: see onInconclusive")
    watch_after_pass: Duration = Field(0.0, description="keep looking, and acting, for this long after a pass")
    baseline: Duration = Field(2400.0, description="history of the previous revision: the prior, and before-after")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warmup + self.interval > self.deadline:
            raise ValueError("deadline leaves no interval after the warmup: write a later deadline or a shorter warmup")
        if self.minimum > self.deadline:
            raise ValueError("minimum is after the deadline: write a smaller minimum or a later deadline")
        return self


class Comparison(StrEnum):
    """How the sides are compared."""

    SIDE_BY_SIDE = "side-by-side"
    BEFORE_AFTER = "before-after"
    ROLLING = "rolling"  # side by side while pods of both serve, then with the history


class Sides(Spec):
    """How series tell the sides apart: a label that the platform can fill, or matchers of your own.

    With neither, or with `canary` alone, the baseline is the same series before the upgrade (before-after).
    """

    label: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] | None = Field(
        None, description="a label of the series that the platform can fill, such as pod"
    )
    canary: Text | None = Field(None, description='matchers of the canary, such as version="2"')
    baseline: Text | None = Field(None, description='matchers of the baseline, such as version="1"')
    namespace_label: Annotated[str, StringConstraints(pattern=r"^([a-zA-Z_][a-zA-Z0-9_]*)?$")] | None = Field(
        None, description='with label: the label that holds the namespace, "" for none; default: namespace'
    )
    comparison: Comparison | None = Field(
        None, description="default: rolling for pods; else side-by-side where both sides are given"
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if self.label and (self.canary or self.baseline):
            raise ValueError("give either label, or canary and baseline matchers, not both")
        if self.baseline and not self.canary:
            raise ValueError("baseline without canary: give matchers for both, or for the canary alone")
        if self.comparison == Comparison.SIDE_BY_SIDE and not self.label and not self.baseline:
            raise ValueError("side-by-side needs a label, or matchers for both canary and baseline")
        return self


class Confidence(Spec):
    """Of the whole analysis, however often it looks."""

    false_alarm: Annotated[Share, Field(gt=0, lt=0.5)] = Field(
        0.01, description="a good release is taken back at most this often"
    )
    missed: Annotated[Share, Field(gt=0, lt=0.5)] = Field(
        0.05, description="a release beyond its margin passes at most this often"
    )


class Promql(Spec):
    """A query of your own, for what does not fit; `${selector}` and `${window}` are filled in."""

    promql: Text = Field(description="PromQL with ${selector} for the matchers of a side, and ${window} for its length")


def _series_tag(value: object) -> str:
    return "<query>" if isinstance(value, Mapping | Promql) else "<selector>"


Series = Annotated[Annotated[Text, Tag("<selector>")] | Annotated[Promql, Tag("<query>")], Discriminator(_series_tag)]
"""A selector, or a query of the user's own. The tag is told by the value, so that a mistake is told once."""


class RatioSource(Spec):
    """Counters of bad events and of all events, named by their selectors."""

    bad: Series = Field(description="counters of the bad events (of the good ones with direction: lower)")
    total: Series = Field(description="counters of all events")


class RatioMetric(Spec):
    """Bad events among all events. With `direction: lower` on the rule, `bad` counts the good ones."""

    ratio: RatioSource = Field(description="bad events among all events")


class HistogramMetric(Spec):
    """A histogram, classic (`_bucket`) or native: found out by asking."""

    histogram: Text = Field(description="selector of the histogram, without _bucket")
    unit: Unit = Field(Unit.SECONDS, description="the unit that the histogram is exposed in")


class GaugeMetric(Spec):
    """One number per pod or in all; any expression over selectors."""

    gauge: Series = Field(description="PromQL that gives one number per pod, or one in all")
    unit: Unit | None = Field(None, description="the unit that the gauge is exposed in; none: a plain number")


METRIC_KINDS: dict[str, type[Spec]] = {"ratio": RatioMetric, "histogram": HistogramMetric, "gauge": GaugeMetric}
"""The kinds of metrics by the key that makes them one."""


def kind_of(metric: object) -> str | None:
    """`ratio`, `histogram` or `gauge`: of a metric, or of a mapping that is to become one; None when it is neither."""
    if isinstance(metric, Mapping):
        return next((kind for kind in METRIC_KINDS if kind in metric), None)
    return next((kind for kind, model in METRIC_KINDS.items() if isinstance(metric, model)), None)


def _metric_tag(value: object) -> str | None:
    kind = kind_of(value)
    return f"<{kind}>" if kind else None


Metric = Annotated[
    Annotated[RatioMetric, Tag("<ratio>")]
    | Annotated[HistogramMetric, Tag("<histogram>")]
    | Annotated[GaugeMetric, Tag("<gauge>")],
    Discriminator(_metric_tag),
]


class Tolerance(Spec):
    """How much worse is still tolerated: worse than (1 + relative) x baseline + absolute."""

    relative: Share = Field(0.0, description="of the baseline: 10% tolerates 1.1 times as many")
    absolute: Quantity = Field(0.0, description="on top of that: 0.05% tolerates 5 more bad events in 10,000")

    @model_validator(mode="after")
    def _not_negative(self) -> Self:
        if self.absolute < 0:
            raise ValueError("absolute is negative: a tolerance is at least 0")
        return self


class Direction(StrEnum):
    """Which way is worse."""

    HIGHER = "higher"
    LOWER = "lower"


class JudgeKind(StrEnum):
    """How a rule is judged."""

    SEQUENTIAL = "sequential"
    THRESHOLD = "threshold"


class _Weighed(Spec):
    name: Name | None = Field(
        None, description="how the rule is called in answers; default: made of metric and quantile"
    )
    critical: bool = Field(False, description="must be shown good for a pass")
    advisory: bool = Field(False, description="is told, and never decides alone")
    weight: Annotated[float, Field(gt=0, le=1000)] | None = Field(
        None, description="share of the false-alarm probability; default 3 if critical, else 1"
    )

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.critical and self.advisory:
            raise ValueError("a rule is either critical or advisory, not both")
        return self


class MetricRule(_Weighed):
    """What of a metric counts as worse."""

    metric: Name = Field(description="the name of a metric under spec.metrics")
    judge: JudgeKind = Field(JudgeKind.SEQUENTIAL, description="sequential, or a plain threshold")
    direction: Direction = Field(Direction.HIGHER, description="which way is worse")
    quantile: Annotated[float, Field(gt=0, lt=1)] | None = Field(None, description="of a histogram, such as 0.99")
    tolerance: Tolerance | None = Field(None, description="shown worse than this: fail")
    pass_within: Tolerance | None = Field(None, description="shown better than this: pass")
    limit: Quantity | None = Field(None, description="worse than this fails, whatever the baseline")
    consecutive: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="readings in a row beyond the limit (threshold, and limits of gauges)"
    )

    @model_validator(mode="after")
    def _threshold_is_a_limit(self) -> Self:
        if self.judge == JudgeKind.THRESHOLD:
            if self.limit is None:
                raise ValueError("judge: threshold needs a limit")
            if self.tolerance or self.pass_within:
                raise ValueError("judge: threshold compares with its limit alone: leave out tolerance and passWithin")
        return self


class HealthRule(_Weighed):
    """What is said of the canary's pods or scrape targets themselves, before a single request.

    `targets` reads Prometheus' own `up` and `process_start_time_seconds`: the canary's targets down, or restarting
    again and again, while the baseline's are not. `pods` reads what Kubernetes says of the canary's pods: crash loops,
    images that cannot be pulled, OOM kills, pods that no node takes, readiness that never comes.
    """

    health: Literal["targets", "pods"] = Field(
        description="what is looked at: targets, the scrape targets of the canary, or pods, its pods in Kubernetes"
    )
    consecutive: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        None, description="readings in a row with targets down (default 3), or looks with pods in trouble (default 2)"
    )

    @property
    def in_a_row(self) -> int:
        """How many readings or looks in a row fail it."""
        return self.consecutive or {"targets": 3, "pods": 2}[self.health]


def _rule_tag(value: object) -> str:
    if isinstance(value, Mapping):
        return "<health rule>" if "health" in value and "metric" not in value else "<metric rule>"
    return "<health rule>" if isinstance(value, HealthRule) else "<metric rule>"


Rule = Annotated[
    Annotated[MetricRule, Tag("<metric rule>")] | Annotated[HealthRule, Tag("<health rule>")],
    Discriminator(_rule_tag),
]


class RuleSetSpec(Spec):
    """Metrics and rules, with a schedule."""

    parameters: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = Field(
        {}, description="what ${name} stands for in metrics and sides; overridden from outside (--set name=value)"
    )
    schedule: Schedule = Field(Schedule(), description="when is read, judged and decided")
    sides: Sides = Field(Sides(), description="how series tell the canary from the baseline")
    confidence: Confidence = Field(Confidence(), description="how sure the analysis must be, in all")
    metrics: dict[Name, Metric] = Field({}, max_length=200, description="what is read, by a name for the rules")
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=200)] = Field(
        description="what of the metrics counts as worse"
    )
    on_pass: OnPass = Field(OnPass.NONE, description="what a passed analysis leads to; promote: of a Rollout")
    on_fail: OnFail = Field(OnFail.ROLLBACK, description="what a failed analysis leads to")
    on_inconclusive: OnInconclusive = Field(
        OnInconclusive.HOLD, description="what a deadline without a verdict leads to; no data at all is never a pass"
    )
    messages: tuple[Name, ...] = Field((), description="who is told, configured elsewhere")

    @model_validator(mode="after")
    def _promotes_what_was_shown(self) -> Self:
        if self.on_pass == OnPass.PROMOTE and self.on_inconclusive == OnInconclusive.PASS:
            raise ValueError(
                "onPass: promote with onInconclusive: pass would promote what nobody has shown to be good: write "
                "onInconclusive: hold, or onPass: none"
            )
        return self


class RuleSet(Spec):
    """A rule set: what is read, what counts as worse, and what then follows."""

    api_version: Literal["canary-analyzer.io/v1alpha1"] = Field(description="the version of this schema")
    kind: Literal["RuleSet"] = Field(description="always RuleSet")
    metadata: Metadata = Field(description="what the rule set is called")
    spec: RuleSetSpec = Field(description="what is read, what counts as worse, and what then follows")
