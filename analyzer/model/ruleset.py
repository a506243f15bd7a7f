"""The YAML schema of a rule set, version v1alpha1. See docs/rules.md for the reference written for people.

How later versions will be read: a version is never changed in a way that gives an old file another meaning. A newer
one gets a new `apiVersion`; every older one stays readable for at least a year after its successor, by conversion
into the newest models, and `canary lint` says what to write instead.
"""

from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from analyzer.model.base import Spec
from analyzer.model.units import Duration, Quantity, Share

API_VERSION = "canary-analyzer.io/v1alpha1"

Name = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$", max_length=63, strip_whitespace=True)
]
Text = Annotated[str, StringConstraints(min_length=1, max_length=8192, strip_whitespace=True)]


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

    name: Name
    description: str = ""


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


class Sides(Spec):
    """How series tell the sides apart: a label that the platform can fill, or matchers of your own.

    With neither, or with `canary` alone, the baseline is the same series before the upgrade (before-after).
    """

    label: Annotated[str, StringConstraints(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] | None = None
    canary: Text | None = Field(None, description='matchers of the canary, such as version="2"')
    baseline: Text | None = Field(None, description='matchers of the baseline, such as version="1"')
    comparison: Comparison | None = None

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

    promql: Text


Series = Text | Promql


class RatioSource(Spec):
    """Counters of bad events and of all events, named by their selectors."""

    bad: Series
    total: Series


class RatioMetric(Spec):
    """Bad events among all events. With `direction: lower` on the rule, `bad` counts the good ones."""

    ratio: RatioSource


class HistogramMetric(Spec):
    """A histogram, classic (`_bucket`) or native: found out by asking."""

    histogram: Text
    unit: Unit = Unit.SECONDS


class GaugeMetric(Spec):
    """One number per pod or in all; any expression over selectors."""

    gauge: Series
    unit: Unit | None = None


Metric = RatioMetric | HistogramMetric | GaugeMetric


class Tolerance(Spec):
    """How much worse is still tolerated: worse than (1 + relative) x baseline + absolute."""

    relative: Share = 0.0
    absolute: Quantity = 0.0

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

    metric: Name
    judge: JudgeKind = JudgeKind.SEQUENTIAL
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
    again and again, while the baseline's are not.
    """

    health: Literal["targets"]
    consecutive: Annotated[int, Field(ge=1, le=1000)] = Field(3, description="readings in a row with targets down")


Rule = MetricRule | HealthRule


class RuleSetSpec(Spec):
    """Metrics and rules, with a schedule."""

    parameters: dict[Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")], str] = {}
    schedule: Schedule = Schedule()
    sides: Sides = Sides()
    confidence: Confidence = Confidence()
    metrics: dict[Name, Metric] = {}
    rules: Annotated[tuple[Rule, ...], Field(min_length=1, max_length=200)]
    on_fail: OnFail = OnFail.ROLLBACK
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    messages: tuple[Name, ...] = Field((), description="who is told, configured elsewhere")


class RuleSet(Spec):
    """A rule set: what is read, what counts as worse, and what then follows."""

    api_version: Literal["canary-analyzer.io/v1alpha1"]
    kind: Literal["RuleSet"]
    metadata: Metadata
    spec: RuleSetSpec
