"""What one window gave for one metric, both sides: numbers, or the reason why there are none."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from analyzer.model.base import Model, Moment


class Window(Model):
    """A span of wall-clock time, Unix seconds: start < t <= end."""

    start: Moment
    end: Moment

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Absence(StrEnum):
    """Why a side has no numbers. Zero requests is not an absence: it is `Events(total=0, bad=0)`."""

    NO_SERIES = "no-series"  # nothing matches the selector
    NO_SAMPLES = "no-samples"  # series match, and have no sample in this window
    NOT_A_NUMBER = "nan"
    INFINITE = "infinite"
    SEVERAL_SERIES = "several-series"  # where one value was meant
    REFUSED = "refused"  # a query error or another 4xx, with the server's own message
    UNREACHABLE = "unreachable"  # no connection, or a 5xx
    TIMEOUT = "timeout"
    MALFORMED = "malformed"  # cut off, not JSON, or of another shape
    PARTIAL = "partial"  # answered with a warning that something is missing (Thanos, Mimir)
    MIXED = "mixed"  # pods of both revisions bear the same names in this window
    NOT_RECORDED = "not-recorded"  # a recording judged again by rules that ask for something else


class Missing(Model):
    """No numbers, and why. `detail` is a sentence, with the server's own message where there is one."""

    kind: Literal["missing"] = "missing"
    why: Absence
    detail: str


class Events(Model):
    """Events of one side in one window; whole numbers unless a `promql:` query made them."""

    kind: Literal["events"] = "events"
    total: float
    bad: float


class Buckets(Model):
    """Observations of one side in one window by bucket.

    `bounds` are the upper bounds, ascending, in the metric's base unit (seconds for times), the last one infinite;
    `counts[i]` are the observations above `bounds[i-1]` and at most `bounds[i]`. Of a native histogram only the
    populated buckets are listed: `scale` is its schema (bounds are powers of 2^(2^-scale)), and a bound that is a
    power but not listed splits no observations. `scale` is None for classic buckets, whose bounds are all listed.
    """

    kind: Literal["buckets"] = "buckets"
    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    scale: int | None = None

    @property
    def total(self) -> float:
        return sum(self.counts)


class Level(Model):
    """A gauge of one side at the end of one window: its mean over the series, and each series' value.

    `by` is keyed by the pod (or the instance, or the series' labels where there is neither).
    """

    kind: Literal["level"] = "level"
    mean: float
    by: dict[str, float] = {}


class Targets(Model):
    """The scrape targets of one side in one window: up and down at its end, and processes started anew within it."""

    kind: Literal["targets"] = "targets"
    up: int
    down: int
    restarts: int


class PodTrouble(Model):
    """What is wrong with one pod, in Kubernetes' own word. `since` in Unix seconds, where it is known."""

    pod: str
    reason: str
    detail: str = ""
    since: float | None = None


class Pods(Model):
    """The pods of one side as they are now.

    `wanted` are as many as the workloads want (of the baseline, as many as there are); `restarts` and `oom_kills` those
    of all their containers so far. `overdue` is a sentence once a workload's progress deadline has passed. `seen_at`
    (Unix seconds) is when they were looked at; None: at the window's end. One look serves all windows that were over.
    """

    kind: Literal["pods"] = "pods"
    wanted: int
    ready: int
    total: int
    restarts: int
    oom_kills: int = 0
    troubles: tuple[PodTrouble, ...] = ()
    overdue: str = ""
    seen_at: float | None = None


Side = Annotated[Missing | Events | Buckets | Level | Targets | Pods, Field(discriminator="kind")]


class Reading(Model):
    """What one window gave for one metric. Without a baseline to read (before-after) `baseline` is None."""

    metric: str
    window: Window
    canary: Side
    baseline: Side | None = None
    warnings: tuple[str, ...] = ()


class History(Model):
    """The baseline's past, once per analysis, in intervals of equal length, oldest first.

    In each reading the two sides are two halves of the baseline's pods (`canary` the first half, `baseline` the
    second; with one pod all of it is in `canary` and `baseline` is None): their differences show the noise that
    releases are judged against, their sum is the baseline of a before-after comparison.
    """

    metric: str
    span: Window
    readings: tuple[Reading, ...]
    note: str = ""  # why it is shorter than asked for, or empty


class Cursor(Model):
    """Where reading of one metric stands: what makes the next read exact. Opaque to all but the source."""

    read_to: float
    series: dict[str, tuple[float, ...]] = {}
    extra: dict[str, str] = {}
