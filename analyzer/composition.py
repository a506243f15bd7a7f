"""The composition root: the one place that knows which source, platform and store an analysis gets."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from analyzer import __version__
from analyzer.engine.clock import SystemClock
from analyzer.engine.guards import preflight
from analyzer.engine.planning import plan_analysis
from analyzer.engine.ports import Observer, Platform, Ports, Record, Source
from analyzer.engine.runner import Runner
from analyzer.errors import NoWayBack, PlatformError, PlatformForbidden, RuleSetError, UsageError
from analyzer.model.document import Document, read_rule_file
from analyzer.model.event import Event, Planned
from analyzer.model.gitops import GitOps, GitOpsMode
from analyzer.model.plan import Plan
from analyzer.model.ruleset import LONGEST_TEXT, Comparison, HealthRule, OnFail, OnInconclusive, OnPass, RuleSet, Sides
from analyzer.model.target import Deployment, PlatformKind, Revision, Target
from analyzer.platforms.application import Application, ApplicationSettings
from analyzer.platforms.cluster import Cluster, ClusterSettings
from analyzer.platforms.command import Command
from analyzer.platforms.flagger import Flagger
from analyzer.platforms.flux import FluxHelm
from analyzer.platforms.helm import Helm, HelmSettings, RollbackOptions
from analyzer.platforms.helm_program import HelmProgram
from analyzer.platforms.helm_upgrade import BroughtOut, Upgrade, bring_out
from analyzer.platforms.rollout import Rollout, RolloutSettings
from analyzer.platforms.verdict_record import VerdictRecord
from analyzer.sources.checking import check_rule_set
from analyzer.sources.combined import Combined
from analyzer.sources.endpoint import PATIENCE
from analyzer.sources.pods import PodSource
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
    access: PrometheusAccess | None  # None: scrape, or what the caller shares among many
    wanted: Wanted
    scrape_canary: tuple[str, ...] = ()
    scrape_baseline: tuple[str, ...] = ()
    scrape_timeout: float = PATIENCE  # seconds
    helm: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    rollback_command: str | None = None
    rollback: RollbackOptions = field(default_factory=RollbackOptions)
    to_revision: int | None = None
    retry: bool = False
    gitops: GitOps = field(default_factory=GitOps)
    needs_ready_pods: bool = False
    acting: bool = True
    actions_on: bool = True
    record: Path | None = None
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])


IN_CLUSTER = (Helm, Rollout, Application, Flagger)
"""The platforms that know pods, may keep verdicts in the cluster, and need rights there."""
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
    rule_set = load_rules(order.rules, order.parameters)
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(_platform(order))
        source = with_health(await stack.enter_async_context(_source(order)), platform)
        plan = await planned(order, rule_set, platform, source, complain)
        record: Record = (
            stack.enter_context(RecordingFile(order.record, f"canary-analyzer {__version__}", complain))
            if order.record
            else NoRecording()
        )
        record = await with_verdicts(record, platform, complain)
        yield Runner(plan, Ports(source, platform, record, observer, clock, order.actions_on))


def with_health(metrics: Source, platform: Platform) -> Source:
    """The source of the metrics, and of the health of the platform's pods where it knows them."""
    return Combined(metrics, PodSource(platform.health)) if isinstance(platform, IN_CLUSTER) else metrics


async def with_verdicts(
    record: Record, platform: Platform, complain: Callable[[str], None], past: Sequence[Event] = ()
) -> Record:
    """The record, and beside it the verdict where the platform keeps verdicts."""
    if isinstance(platform, IN_CLUSTER) and (verdicts := await platform.verdicts()) is not None:
        return VerdictRecord(record, verdicts, complain, past)
    return record


def recalled(platform: Platform, past: Sequence[Event]) -> None:
    """Tell a platform what it was when the analysis began, where another process goes on with it."""
    if isinstance(platform, Rollout) and past and isinstance(past[0], Planned):
        platform.recall(past[0].plan.deployment)


async def planned(
    order: AnalysisOrder, rule_set: RuleSet, platform: Platform, source: Source, complain: Callable[[str], None]
) -> Plan:
    """The plan of an analysis that starts now, if it can be done and its way back is possible.

    Raises:
        CanaryError: as `make_plan`; PlatformUnavailable when asking again may help; PlatformForbidden without the
            rights that the way back needs.
    """
    rule_set = _with_sides(rule_set, order)
    if order.needs_ready_pods:
        rule_set = with_pods(rule_set)
    deployment = await platform.look()
    if order.retry and deployment.taken_back:
        # What cannot be analysed is refused while it is aborted still: nobody would look at it once it is out again.
        aborted = deployment.model_copy(update={"taken_back": ""})
        await _checked_plan(order, rule_set, platform, aborted, source, lambda _: None)
        retried_at = await _retry(order, platform)
        order = replace(order, wanted=replace(order.wanted, since=retried_at))
        deployment = await platform.look()
    return await _checked_plan(order, rule_set, platform, deployment, source, complain)


async def _checked_plan(
    order: AnalysisOrder,
    rule_set: RuleSet,
    platform: Platform,
    deployment: Deployment,
    source: Source,
    complain: Callable[[str], None],
) -> Plan:
    """The plan for what was looked at, once the rights for its way back are known to be there."""
    plan = make_plan(order, rule_set, deployment, source, SystemClock().now())
    if isinstance(platform, IN_CLUSTER) and plan.acting and acts(rule_set):
        await _check_rights(platform, deployment, complain)
    return plan


def make_plan(order: AnalysisOrder, rule_set: RuleSet, deployment: Deployment, source: Source, now: float) -> Plan:
    """The plan of an analysis that starts now, if its way back is possible.

    Raises:
        PlatformError: an operation is in progress.
        NoWayBack: the way back is impossible, and acting is wanted.
        UsageError: the sides cannot be told apart.
    """
    if deployment.in_progress:
        target, wanted = deployment.target, deployment.wanted
        where = f" --namespace {target.namespace}" if target.namespace else ""
        is_helm = target.kind == PlatformKind.HELM
        by_hand = f": helm rollback {target.name} {wanted.number}{where}" if wanted else ""
        killed = f"; if the program that began it was killed, roll back by hand first{by_hand}" if is_helm else ""
        raise PlatformError(
            f"an operation on {target} is in progress ({deployment.in_progress}): wait for it to end{killed}"
        )
    if deployment.taken_back:
        raise PlatformError(deployment.taken_back)
    # By the clock of helm's machine, which may be ahead of ours: what we see has happened.
    upgraded_at = order.wanted.since or min(deployment.current.deployed_at or now, now)
    plan = plan_analysis(
        id=order.id,
        rule_set=rule_set,
        parameters=order.parameters,
        deployment=deployment,
        source=source,
        upgraded_at=upgraded_at,
        started_at=now,
        acting=order.acting,
    )
    if reason := preflight(plan, needs_way_back=needs_way_back(rule_set)):
        raise NoWayBack(reason)
    return plan


def needs_way_back(rule_set: RuleSet) -> bool:
    """Whether a verdict may lead to going back."""
    return rule_set.spec.on_fail != OnFail.NONE or rule_set.spec.on_inconclusive == OnInconclusive.ROLLBACK


def acts(rule_set: RuleSet) -> bool:
    """Whether a verdict may lead to doing anything."""
    return needs_way_back(rule_set) or rule_set.spec.on_pass != OnPass.NONE


async def _retry(order: AnalysisOrder, platform: Platform) -> float:
    """Clear the abort of the newest revision; since when it is on its way again, in Unix seconds.

    Raises:
        PlatformError: it was not cleared; the sentence says why.
    """
    if not order.acting or not order.actions_on:
        raise PlatformError(f"{order.target} was not retried: that changes it, and here nothing may be done")
    since = SystemClock().now()
    assert isinstance(platform, Rollout), "only a Rollout is retried"
    await platform.retry()
    return since


async def _check_rights(
    platform: Helm | Rollout | Application | Flagger, deployment: Deployment, complain: Callable[[str], None]
) -> None:
    """Now, and not in the middle of an incident.

    Raises:
        PlatformForbidden: the way back would fail for want of rights.
        NoWayBack: the cluster does not know a kind any more that the release has.
    """
    if deployment.unchanged or deployment.is_way_back:
        return
    try:
        lacking = await platform.lacking(deployment)
    except NoWayBack as error:
        raise NoWayBack(f"the way back is impossible: {error}; to look without acting, add --dry-run") from error
    except PlatformError as error:
        complain(f"whether the rights for the way back are there could not be asked: {error}")
        return
    if lacking:
        raise PlatformForbidden(f"the way back is impossible: {lacking}; to look without acting, add --dry-run")


def with_pods(rule_set: RuleSet) -> RuleSet:
    """The rule set, with the health of the pods among its rules."""
    rules = rule_set.spec.rules
    if any(isinstance(rule, HealthRule) and rule.health == "pods" for rule in rules):
        return rule_set
    added = (*rules, HealthRule(health="pods"))
    return rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"rules": added})})


def sides_of(canary: str, baseline: str | None, dashes: str = "") -> Sides:
    """The sides by the matchers that a caller gives; `dashes` stand before the names that the caller knows them by.

    Raises:
        UsageError: one of them is empty, or too long.
    """
    for name, matchers in (("canary", canary), ("baseline", baseline)):
        if matchers is not None and not matchers.strip():
            raise UsageError(f'{dashes}{name}: is empty: write matchers such as version="2", or leave it out')
        if matchers is not None and len(matchers) > LONGEST_TEXT:
            raise UsageError(f"{dashes}{name}: is longer than {LONGEST_TEXT} signs: these are no matchers")
    return Sides(canary=canary, baseline=baseline)


def _with_sides(rule_set: RuleSet, order: AnalysisOrder) -> RuleSet:
    """The rule set with the sides that the caller gives, if any."""
    canary, baseline = order.wanted.canary, order.wanted.baseline
    if order.access is None and (order.scrape_canary or order.scrape_baseline):
        # Which endpoint belongs to which side is told by the caller: no matcher is needed.
        comparison = Comparison.SIDE_BY_SIDE if order.scrape_baseline else Comparison.BEFORE_AFTER
        sides = Sides.model_construct(label=None, canary="", baseline="", comparison=comparison)
    elif canary is None and baseline is None:
        return rule_set
    elif canary is None:
        raise UsageError("--baseline without --canary: give matchers for both, or for the canary alone")
    else:
        sides = sides_of(canary, baseline, "--")
    return rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"sides": sides})})


@asynccontextmanager
async def _platform(order: AnalysisOrder) -> AsyncIterator[Platform]:
    cluster = Cluster(ClusterSettings.of(order.kubeconfig, order.context))
    try:
        yield platform_of(order, cluster)
    finally:
        await cluster.close()


def platform_of(
    order: AnalysisOrder, cluster: Cluster, *, turns: asyncio.Semaphore | None = None, shows_words: bool = True
) -> Platform:
    """The platform of an order's target. `turns` bounds how many looks of helm run at once, `shows_words` says whether
    reports show the words of a command.

    Raises:
        UsageError: it cannot be the name of such a target.
    """
    match order.target.kind:
        case PlatformKind.COMMAND:
            return Command(
                order.target,
                order.rollback_command or "",
                revision=Revision(number=order.wanted.revision),
                previous=Revision(number=order.wanted.previous),
                time_limit=order.rollback.timeout,
                shows_words=shows_words,
            )
        case PlatformKind.ROLLOUT:
            return Rollout(order.target, cluster, RolloutSettings(order.rollback.timeout, order.to_revision))
        case PlatformKind.FLAGGER:
            return Flagger(order.target, cluster)
        case PlatformKind.APPLICATION:
            settings = ApplicationSettings(order.rollback.timeout, order.to_revision, order.gitops)
            return Application(order.target, cluster, settings)
        case PlatformKind.HELM if order.gitops.mode == GitOpsMode.SUSPEND:
            return FluxHelm(order.target, _helm_settings(order, turns), cluster)
        case PlatformKind.HELM:
            return Helm(order.target, _helm_settings(order, turns), cluster)


def _helm_settings(order: AnalysisOrder, turns: asyncio.Semaphore | None = None) -> HelmSettings:
    return HelmSettings(
        program=str(order.helm) if order.helm else "helm",
        kubeconfig=str(order.kubeconfig) if order.kubeconfig else None,
        context=order.context,
        rollback=order.rollback,
        to_revision=order.to_revision,
        turns=turns,
    )


async def upgrade_release(order: AnalysisOrder, upgrade: Upgrade) -> BroughtOut:
    """Run helm upgrade for the order's release, to its end even when cancelled.

    Raises:
        PlatformError: helm failed and has changed nothing.
    """
    return await bring_out(HelmProgram(order.target, _helm_settings(order)), upgrade)


@asynccontextmanager
async def _source(order: AnalysisOrder) -> AsyncIterator[Source]:
    if order.access is None:
        async with ScrapeSource(order.scrape_canary, order.scrape_baseline, order.scrape_timeout) as scraping:
            yield scraping
    else:
        async with PrometheusSource(order.access) as prometheus:
            yield prometheus


def plan_again(first: Planned, events: Sequence[Event], rules: str, parameters: dict[str, str]) -> Planned:
    """The plan of a recorded analysis with another rule set, by its file or name; see `replanned`.

    Raises:
        UsageError: the rule set cannot be used on this recording.
    """
    return replanned(first, events, load_rules(rules, parameters), parameters)


def replanned(first: Planned, events: Sequence[Event], rule_set: RuleSet, parameters: dict[str, str]) -> Planned:
    """The plan of a recorded analysis with another rule set, over the recorded series.

    Raises:
        UsageError: the rule set cannot be used on this recording.
    """
    recorded = first.plan
    sides = recorded.rule_set.spec.sides
    plan = plan_analysis(
        id=recorded.id,
        rule_set=rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"sides": sides})}),
        parameters=parameters,
        deployment=recorded.deployment,
        source=RecordingSource(events),
        upgraded_at=recorded.upgraded_at,
        started_at=recorded.started_at,
        acting=False,
    )
    return Planned(at=first.at, plan=plan)
