"""The controller: every watch, and what they see, beside the supervisor of `canary serve`."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import Final

from analyzer.controller.desk import Desk
from analyzer.controller.following import Follower, Following
from analyzer.controller.helm_look import HelmLook
from analyzer.controller.ordering import Ordering
from analyzer.controller.releases import Releases
from analyzer.controller.rollout_look import RolloutLook
from analyzer.controller.rollouts import Rollouts, Stamp
from analyzer.controller.sighting import Sighting
from analyzer.controller.trouble import Troubles
from analyzer.engine.clock import SystemClock
from analyzer.engine.ports import Clock
from analyzer.model.target import PlatformKind
from analyzer.platforms.cluster import Cluster, ClusterSettings, path
from analyzer.platforms.cluster_watch import Collection
from analyzer.platforms.helm_storage import SECRET_TYPE, Kept, Storage
from analyzer.platforms.rights import Right
from analyzer.platforms.rollout_watch import API
from analyzer.service.identity import EVERYWHERE
from analyzer.service.logs import logger
from analyzer.service.placing import Placing
from analyzer.service.settings import Settings
from analyzer.service.telemetry import Telemetry

LOG = logger(__name__)

AGAIN: Final = 10.0
"""Seconds after which it begins anew when it has failed in a way that nobody foresaw."""


def watching_rights(namespaces: Sequence[str]) -> list[Right]:
    """What must be granted in these namespaces, or in all."""
    return [
        Right(group, resource, verb, "" if namespace == EVERYWHERE else namespace)
        for namespace in namespaces
        for group, resource in (("", "secrets"), ("", "configmaps"), ("argoproj.io", "rollouts"))
        for verb in ("list", "watch")
    ]


async def watch(settings: Settings, placing: Placing, telemetry: Telemetry) -> None:
    """See upgrades and order their analyses, until cancelled; at once back if the settings watch nothing."""
    while settings.watch.is_on:
        try:
            async with AsyncExitStack() as stack:
                # A watch holds its connection: others would wait for theirs.
                many = Cluster(ClusterSettings.of(settings.kubeconfig, settings.context, connections=0))
                stack.push_async_callback(many.close)
                await Controller(settings, many, placing, telemetry).run()
        except Exception:
            LOG.exception("the controller has failed, and begins anew")
            await asyncio.sleep(AGAIN)


class Controller:
    """Watches the namespaces of the settings."""

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        placing: Placing,
        telemetry: Telemetry,
        clock: Clock | None = None,
    ) -> None:
        self._watch = settings.watch
        self._cluster = cluster
        self._clock = clock or SystemClock()
        self._telemetry = telemetry.watch
        catch_up = self._watch.catch_up
        self._desk = Desk(Ordering(cluster, placing, self._watch), self._telemetry, self._clock, catch_up)
        self._helm = HelmLook(cluster, placing, self._clock, catch_up)
        self._rollout = RolloutLook(cluster, catch_up)
        self._troubles = Troubles()

    async def run(self) -> None:
        """Until cancelled."""
        followed = list(self._followed())
        for kind in (PlatformKind.HELM, PlatformKind.ROLLOUT):
            self._telemetry.watched(kind.value, partial(_count, [each for of, _, each in followed if of == kind]))
        followings = [self._following(collection, follower) for _, collection, follower in followed]
        self._telemetry.heard(lambda: [each.heard_at for each in followings])
        LOG.info("watching", namespaces=" ".join(self._watch.namespaces)[:300], mode=self._watch.mode.value)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._desk.run())
            for each in followings:
                group.create_task(each.run())

    def _followed(self) -> Iterator[tuple[PlatformKind, Collection, Releases | Rollouts]]:
        for namespace in self._watch.namespaces:
            within = "" if namespace == EVERYWHERE else namespace
            secrets = Collection(path("v1", "secrets", within), {"fieldSelector": f"type={SECRET_TYPE}"})
            yield PlatformKind.HELM, secrets, self._releases(Storage.SECRETS)
            maps = Collection(path("v1", "configmaps", within), {"labelSelector": "owner=helm"})
            yield PlatformKind.HELM, maps, self._releases(Storage.CONFIGMAPS)
            rollouts = Rollouts(self._rollout_seen, self._desk.drop, self._clock)
            yield PlatformKind.ROLLOUT, Collection(path(API, "rollouts", within)), rollouts

    def _releases(self, storage: Storage) -> Releases:
        return Releases(storage, self._release_seen, self._desk.drop, self._clock)

    def _release_seen(self, seen: Sighting[Kept]) -> None:
        self._desk.put(seen.place, seen.revision, partial(self._helm.look, seen))

    def _rollout_seen(self, seen: Sighting[Stamp]) -> None:
        self._desk.put(seen.place, seen.revision, partial(self._rollout.look, seen))

    def _following(self, collection: Collection, follower: Follower) -> Following:
        return Following(self._cluster, collection, follower, self._troubles, self._telemetry, self._clock)


def _count(followers: Sequence[Releases | Rollouts]) -> int:
    return sum(each.count for each in followers)
