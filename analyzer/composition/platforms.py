"""Which platform an analysis gets, and what goes with it."""

import asyncio
from collections.abc import Callable, Sequence

from analyzer.composition.order import AnalysisOrder
from analyzer.engine.ports import Platform, Record, Source
from analyzer.model.event import Event, Planned
from analyzer.model.gitops import GitOpsMode
from analyzer.model.target import PlatformKind, Revision
from analyzer.platforms.application import Application, ApplicationSettings
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.command import Command
from analyzer.platforms.flagger import Flagger
from analyzer.platforms.flux import FluxHelm
from analyzer.platforms.helm import Helm, HelmSettings
from analyzer.platforms.helm_program import HelmProgram
from analyzer.platforms.helm_upgrade import BroughtOut, Upgrade, bring_out
from analyzer.platforms.rollout import Rollout, RolloutSettings
from analyzer.platforms.verdict_record import VerdictRecord
from analyzer.sources.combined import Combined
from analyzer.sources.pods import PodSource

IN_CLUSTER = (Helm, Rollout, Application, Flagger)
"""The platforms that know pods, may keep verdicts in the cluster, and need rights there."""


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
