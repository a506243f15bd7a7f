"""What a rule says of all readings so far, with its evidence."""

from enum import StrEnum

from analyzer.model.base import Model


class Standing(StrEnum):
    """Where a rule stands."""

    PASS = "pass"  # noqa: S105 -- a verdict, not a password
    FAIL = "fail"
    PENDING = "pending"
    NO_DATA = "no-data"


class SideEvidence(Model):
    """What one side has shown: counts where events are counted, the value in base units where there is one."""

    total: float | None = None
    bad: float | None = None
    value: float | None = None  # share of bad events, quantile, or mean level


class Interval(Model):
    """An estimate with its anytime-valid confidence interval; infinite ends where nothing is known."""

    low: float
    estimate: float | None
    high: float


class Evidence(Model):
    """What a judgement rests on. `towards_*` are log E / log(1/alpha): 1 is the bar, negative is evidence against."""

    canary: SideEvidence = SideEvidence()
    baseline: SideEvidence | None = None
    unit: str | None = None  # of the values: seconds, bytes, share, or none
    ratio: Interval | None = None  # canary / baseline
    rate: Interval | None = None  # of the canary alone, for limits
    tolerated: str = ""  # in words: "1.1 times + 0.05 %"
    limit: float | None = None
    towards_fail: float | None = None
    towards_pass: float | None = None
    p_value: float | None = None  # anytime-valid
    dispersion: float | None = None  # the design effect phi in use
    windows: int = 0  # judged
    seconds_left: float | None = None  # the planner's mean to a verdict, if the ratio is what it is estimated at
    extra_bad_per_second: float | None = None  # more than the baseline would have, at the interval's worst
    queries: dict[str, str] = {}


class Judgement(Model):
    """What a rule says of all readings so far."""

    rule: str
    metric: str
    standing: Standing
    reason: str  # one sentence with numbers
    critical: bool = False
    advisory: bool = False
    evidence: Evidence = Evidence()
