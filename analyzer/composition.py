"""The composition root: the one place that knows which source, platform and store an analysis gets."""

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from analyzer import __version__
from analyzer.engine.clock import SystemClock
from analyzer.engine.guards import preflight
from analyzer.engine.planning import plan_analysis
from analyzer.engine.ports import Observer, Platform, Source
from analyzer.engine.runner import Ports, Runner
from analyzer.errors import NoWayBack, PlatformError, RuleSetError, UsageError
from analyzer.model.document import Document, read_rule_file
from analyzer.model.event import Event, Planned
from analyzer.model.plan import Plan
from analyzer.model.ruleset import Comparison, OnFail, OnInconclusive, RuleSet, Sides
from analyzer.model.target import Deployment, PlatformKind, Revision, Target
from analyzer.platforms.command import Command
from analyzer.platforms.helm import Helm, HelmSettings, RollbackOptions
from analyzer.sources.checking import check_rule_set
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.source import PrometheusSource
from analyzer.sources.recording import RecordingSource
from analyzer.sources.scrape import ScrapeSource
from analyzer.store.recording import NoRecording, RecordingFile


@dataclass(frozen=True)
class Wanted:
    """How the caller tells the sides apart, over the rule set's own `sides`; `since` in Unix seconds.

    `revision` and `previous` name the revisions where the platform has no names for them.
    """

    canary: str | None = None
    baseline: str | None = None
    since: float | None = None
    revision: str = "new"
    previous: str = "previous"


@dataclass(frozen=True)
class AnalysisOrder:
    """Everything that one analysis needs to know from its caller."""

    target: Target
    rules: str
    parameters: dict[str, str]
    access: PrometheusAccess | None  # None: scrape
    wanted: Wanted
    scrape_canary: tuple[str, ...] = ()
    scrape_baseline: tuple[str, ...] = ()
    helm: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    rollback_command: str | None = None
    rollback_timeout: float = 300.0
    acting: bool = True
    actions_on: bool = True
    record: Path | None = None


SHIPPED = (Path(__file__).parent / "rules", Path(__file__).parent.parent / "rules")
"""Where the shipped rule sets are: in an installed package, and in a checkout."""


def find_rules(name: str) -> Path:
    """The file of a rule set: a path, or the name of a shipped one.

    Raises:
        UsageError: there is neither.
    """
    path = Path(name)
    if path.exists() or "/" in name or path.suffix:
        return path
    for folder in SHIPPED:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    shipped = ", ".join(sorted({file.stem for folder in SHIPPED for file in folder.glob("*.yaml")}))
    raise UsageError(f"--rules {name}: no such file, nor a shipped rule set of that name: {shipped}")


def load_rules(name: str, parameters: dict[str, str]) -> RuleSet:
    """A rule set, ready to be used: read, filled, its PromQL checked.

    Raises:
        UsageError: with every mistake in it.
    """
    document = read_rule_file(find_rules(name))
    return finish_rules(document, parameters)


def finish_rules(document: Document, parameters: dict[str, str]) -> RuleSet:
    """The rule set of a document with every `${…}` filled and its PromQL checked.

    Raises:
        RuleSetError: with every mistake in it, each with its line.
    """
    rule_set = document.fill(parameters)
    mistakes = [document.mistake(key, message) for key, message in check_rule_set(rule_set)]
    if mistakes:
        raise RuleSetError(mistakes)
    return rule_set


@asynccontextmanager
async def analysis(order: AnalysisOrder, observer: Observer, complain: Callable[[str], None]) -> AsyncIterator[Runner]:
    """A runner with all that it needs, ready to run; everything is closed at the end.

    `complain` is told what went wrong beside the analysis, such as a recording that cannot be written any more.

    Raises:
        CanaryError: the analysis cannot begin; the sentence says why.
    """
    rule_set = _with_sides(load_rules(order.rules, order.parameters), order)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        platform = _platform(order)
        source: Source = await stack.enter_async_context(_source(order))
        deployment = await platform.look()
        plan = make_plan(order, rule_set, deployment, source, clock.now())
        record = (
            stack.enter_context(RecordingFile(order.record, f"canary-analyzer {__version__}", complain))
            if order.record
            else NoRecording()
        )
        yield Runner(plan, Ports(source, platform, record, observer, clock, order.actions_on))


def make_plan(order: AnalysisOrder, rule_set: RuleSet, deployment: Deployment, source: Source, now: float) -> Plan:
    """The plan of an analysis that starts now, if its way back is possible.

    Raises:
        PlatformError: an operation is in progress.
        NoWayBack: the way back is impossible, and acting is wanted.
        UsageError: the sides cannot be told apart.
    """
    if deployment.in_progress:
        raise PlatformError(
            f"an operation on {deployment.target} is in progress ({deployment.in_progress}): wait for it to end; if "
            "the program that began it was killed, roll back by hand first"
        )
    upgraded_at = order.wanted.since or (deployment.current.deployed_at or now)
    plan = plan_analysis(
        id=uuid.uuid4().hex[:12],
        rule_set=rule_set,
        parameters=order.parameters,
        deployment=deployment,
        source=source,
        upgraded_at=upgraded_at,
        started_at=now,
        acting=order.acting,
    )
    spec = rule_set.spec
    needs_way_back = spec.on_fail != OnFail.NONE or spec.on_inconclusive == OnInconclusive.ROLLBACK
    if reason := preflight(plan, needs_way_back=needs_way_back):
        raise NoWayBack(reason)
    return plan


def _with_sides(rule_set: RuleSet, order: AnalysisOrder) -> RuleSet:
    """The rule set with the sides that the caller gives, if any."""
    canary, baseline = order.wanted.canary, order.wanted.baseline
    if order.access is None:
        # Which endpoint belongs to which side is told by the caller: no matcher is needed.
        comparison = Comparison.SIDE_BY_SIDE if order.scrape_baseline else Comparison.BEFORE_AFTER
        sides = Sides.model_construct(label=None, canary="", baseline="", comparison=comparison)
    elif canary is None and baseline is None:
        return rule_set
    else:
        try:
            sides = Sides(canary=canary, baseline=baseline)
        except ValueError as error:
            raise UsageError("--baseline without --canary: give matchers for both, or for the canary alone") from error
    return rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"sides": sides})})


def _platform(order: AnalysisOrder) -> Platform:
    if order.target.kind == PlatformKind.COMMAND:
        return Command(
            order.target,
            order.rollback_command or "",
            revision=Revision(number=order.wanted.revision),
            previous=Revision(number=order.wanted.previous),
            time_limit=order.rollback_timeout,
        )
    settings = HelmSettings(
        program=str(order.helm) if order.helm else "helm",
        kubeconfig=str(order.kubeconfig) if order.kubeconfig else None,
        context=order.context,
        rollback=RollbackOptions(timeout=order.rollback_timeout),
    )
    return Helm(order.target, settings)


@asynccontextmanager
async def _source(order: AnalysisOrder) -> AsyncIterator[Source]:
    if order.access is None:
        async with ScrapeSource(order.scrape_canary, order.scrape_baseline) as scraping:
            yield scraping
    else:
        async with PrometheusSource(order.access) as prometheus:
            yield prometheus


def plan_again(first: Planned, events: Sequence[Event], rules: str, parameters: dict[str, str]) -> Planned:
    """The plan of a recorded analysis with another rule set, over the recorded series.

    Raises:
        UsageError: the rule set cannot be used on this recording.
    """
    recorded = first.plan
    rule_set = load_rules(rules, parameters)
    sides = recorded.rule_set.spec.sides
    rule_set = rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"sides": sides})})
    plan = plan_analysis(
        id=recorded.id,
        rule_set=rule_set,
        parameters=parameters,
        deployment=recorded.deployment,
        source=RecordingSource(events),
        upgraded_at=recorded.upgraded_at,
        started_at=recorded.started_at,
        acting=False,
    )
    return Planned(at=first.at, plan=plan)
