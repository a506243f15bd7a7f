"""The state of one analysis, folded from its events alone: no clock, no I/O.

The live engine and a replay go through the same functions: `begin`, `advance` for each event, `decide` after it. A
recording judged again therefore gives the same verdict, byte for byte.
"""

from dataclasses import dataclass, field, replace

from analyzer.judge import assessment as judge
from analyzer.judge.assessment import Assessment
from analyzer.model.event import (
    Acted,
    Commanded,
    Decided,
    Dropped,
    Ended,
    Event,
    Extended,
    Held,
    HistoryRead,
    Intended,
    Planned,
    Regrouped,
    Staged,
    Troubled,
    Verified,
    WindowRead,
)
from analyzer.model.plan import PODS, Plan, SideMatchers
from analyzer.model.reading import Absence, Cursor, Events, Missing, Pods, Reading, Targets
from analyzer.model.report import Verdict
from analyzer.model.target import TAKES_BACK, Stage


@dataclass(frozen=True)
class Progress:
    """How far one metric has been read, and where the next read goes on."""

    read_to: float
    cursor: Cursor | None = None
    windows: int = 0
    with_data: int = 0
    quiet: int = 0  # windows since the newest one with data
    longest_quiet: int = 0  # windows without data between two that had some: it is scraped more rarely than it is read
    first_bad: float | None = None  # start of the first window with bad events of the canary, or its pods in trouble
    trouble: Troubled | None = None
    refused: str = ""  # the source's own words, if it refuses this metric for good

    @property
    def fell_silent(self) -> bool:
        """Whether there was data, and there has been none for longer than ever before."""
        return self.with_data > 0 and self.quiet > self.longest_quiet


@dataclass(frozen=True)
class Analysis:
    """One analysis as it stands. Times are Unix seconds."""

    plan: Plan
    assessment: Assessment
    progress: dict[str, Progress]
    deadline_at: float
    as_of: float
    sides: SideMatchers | None = None  # the newest, where the pods of the sides have changed since the plan
    stage: Stage | None = None  # how far the canary is brought out, at the newest look
    serving_since: float | None = None  # start of the first window in which the canary had data
    platform_trouble: Troubled | None = None
    extended: bool = False
    commanded: Commanded | None = None
    obeyed: bool = False  # whether the verdict is that of the newest command
    decided: Decided | None = None
    passed_at: float | None = None
    held: Held | None = None
    intended: Intended | None = None
    acted: Acted | None = None
    verified: Verified | None = None
    ended: Ended | None = None
    after_act: tuple[Reading, ...] = ()  # windows that began after the act, the newest per metric
    warnings: tuple[str, ...] = field(default=())

    @property
    def read_all(self) -> bool:
        """Whether every metric has been read up to the deadline."""
        return all(progress.read_to >= self.deadline_at for progress in self.progress.values())

    @property
    def takes_back(self) -> bool:
        """Whether the act that was begun goes back to another revision: then the service must recover from it."""
        return self.intended is not None and self.intended.intent.kind in TAKES_BACK

    @property
    def is_watching(self) -> bool:
        """Whether a pass stands and the rule set keeps looking."""
        return self.decided is not None and self.decided.verdict == Verdict.PASS and self.intended is None


def begin(planned: Planned) -> Analysis:
    """The analysis right after its plan was made."""
    plan = planned.plan
    schedule = plan.rule_set.spec.schedule
    return Analysis(
        plan=plan,
        assessment=judge.start(plan),
        progress={query.metric: Progress(read_to=plan.upgraded_at) for query in plan.queries},
        deadline_at=plan.upgraded_at + schedule.deadline,
        stage=plan.deployment.stage,
        as_of=planned.at,
        warnings=plan.notes,
    )


def advance(analysis: Analysis, event: Event) -> Analysis:  # noqa: C901, PLR0911, PLR0912 -- one for each kind of event
    """The analysis after one more event.

    Raises:
        ValueError: a second Planned event.
    """
    analysis = replace(analysis, as_of=max(analysis.as_of, event.at))
    match event:
        case WindowRead():
            return _hear(analysis, event)
        case HistoryRead():
            return _learn(analysis, event)
        case Regrouped():
            return replace(analysis, sides=event.sides)
        case Staged():
            return replace(analysis, stage=event.stage)
        case Troubled():
            return _note_trouble(analysis, event)
        case Commanded():
            return replace(analysis, commanded=event, obeyed=False)
        case Extended():
            return replace(analysis, deadline_at=event.deadline_at, extended=True)
        case Decided():
            return _conclude(analysis, event)
        case Held():
            return replace(analysis, held=event)
        case Intended():
            return replace(analysis, intended=event)
        case Dropped():
            return replace(analysis, intended=None)
        case Acted():
            return replace(analysis, acted=event)
        case Verified():
            return replace(analysis, verified=event)
        case Ended():
            return replace(analysis, ended=event)
        case Planned():
            raise ValueError("an analysis is planned once")


def _conclude(analysis: Analysis, event: Decided) -> Analysis:
    analysis = replace(analysis, obeyed=analysis.commanded is not None)
    if event.verdict == Verdict.PASS:
        return replace(analysis, decided=event, passed_at=event.at)
    if event.verdict == Verdict.FAIL:  # at the deadline a failure is the deadline's own, and not yet in the assessment
        closed = judge.at_deadline(analysis.assessment, analysis.deadline_at)
        return replace(analysis, decided=event, assessment=closed)
    return replace(analysis, decided=event)


def _learn(analysis: Analysis, event: HistoryRead) -> Analysis:
    progress = dict(analysis.progress)
    if before := progress.get(event.history.metric):
        progress[event.history.metric] = before if before.refused else replace(before, trouble=None)
    return replace(analysis, progress=progress, assessment=judge.learn(analysis.assessment, event.history))


def _hear(analysis: Analysis, event: WindowRead) -> Analysis:
    reading = event.reading
    before = analysis.progress.get(reading.metric)
    if before is None or reading.window.end <= before.read_to:
        return analysis  # a metric that no rule uses, or a window heard already
    has_data = not isinstance(reading.canary, Missing)
    first_bad = before.first_bad
    if first_bad is None and _is_bad(reading):
        first_bad = reading.window.start
    progress = Progress(
        read_to=reading.window.end,
        cursor=event.cursor,
        windows=before.windows + 1,
        with_data=before.with_data + has_data,
        quiet=0 if has_data else before.quiet + 1,
        longest_quiet=max(before.longest_quiet, before.quiet)
        if has_data and before.with_data
        else before.longest_quiet,
        first_bad=first_bad,
        refused=_refusal(reading),
    )
    serving_since = analysis.serving_since
    if serving_since is None and _serves(reading):
        serving_since = reading.window.start
    warnings = analysis.warnings + tuple(text for text in reading.warnings if text not in analysis.warnings)
    analysis = replace(
        analysis,
        progress=analysis.progress | {reading.metric: progress},
        serving_since=serving_since,
        warnings=warnings[:20],
    )
    if analysis.acted is not None:
        return _hear_after_act(analysis, reading)
    # A canary that has not served yet is warmed up from the upgrade on: what it lacks is told, its health is judged.
    # That of its pods at once: they say so themselves when they only need time.
    warm_at = (serving_since or analysis.plan.upgraded_at) + analysis.plan.rule_set.spec.schedule.warmup
    if reading.window.start < warm_at and not isinstance(reading.canary, Pods):
        return analysis
    return replace(analysis, assessment=judge.advance(analysis.assessment, reading))


def _refusal(reading: Reading) -> str:
    sides = (reading.canary, reading.baseline)
    refusals = [side.detail for side in sides if isinstance(side, Missing) and side.why == Absence.REFUSED]
    return refusals[0] if refusals else ""


def _is_bad(reading: Reading) -> bool:
    match reading.canary:
        case Events() as events:
            return events.bad > 0
        case Pods() as pods:
            return bool(pods.troubles or pods.overdue)
    return False


def _serves(reading: Reading) -> bool:
    side = reading.canary
    match side:
        case Missing() | Pods():  # pods serve once a metric says so
            return False
        case Events():
            return side.total > 0
        case Targets():
            return side.up > 0
    return True


def _hear_after_act(analysis: Analysis, reading: Reading) -> Analysis:
    assert analysis.acted is not None
    if reading.window.start < analysis.acted.at:
        return analysis
    others = tuple(earlier for earlier in analysis.after_act if earlier.metric != reading.metric)
    return replace(analysis, after_act=(*others, reading))


def _note_trouble(analysis: Analysis, event: Troubled) -> Analysis:
    if not event.metric:
        return replace(analysis, platform_trouble=event)
    before = analysis.progress.get(event.metric)
    if before is None:
        return analysis
    refused = event.detail if event.why == Absence.REFUSED else before.refused
    return replace(
        analysis, progress=analysis.progress | {event.metric: replace(before, trouble=event, refused=refused)}
    )


def never_answered(analysis: Analysis) -> Troubled | None:
    """The trouble, if no metric has been read even once: then nothing could be analysed at all."""
    asked = _asked(analysis)
    if any(progress.windows for progress in asked):
        return None
    troubles = [progress.trouble for progress in asked if progress.trouble]
    return troubles[0] if troubles else None


def refused(analysis: Analysis) -> str:
    """The server's own words, if every metric is refused for good; else empty."""
    details = [progress.refused for progress in _asked(analysis)]
    return details[0] if details and all(details) else ""


def _asked(analysis: Analysis) -> list[Progress]:
    """What an analysis stands on: the metrics; its pods alone only where nothing else is asked."""
    metrics = [analysis.progress[query.metric] for query in analysis.plan.queries if query.kind != PODS]
    return metrics or list(analysis.progress.values())
