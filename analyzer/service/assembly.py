"""From an order in the store to what its analysis needs. What many analyses share is made once."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from analyzer.composition.order import AnalysisOrder, Wanted
from analyzer.composition.planning import planned
from analyzer.composition.platforms import platform_of, recalled, with_health, with_verdicts
from analyzer.composition.rules import finish_rules
from analyzer.engine.ports import Platform, Record, Source
from analyzer.errors import UsageError
from analyzer.model.document import read_rule_set
from analyzer.model.event import Event
from analyzer.model.gitops import GitOps
from analyzer.model.order import Order, Ordered
from analyzer.model.plan import Plan
from analyzer.model.ruleset import RuleSet
from analyzer.model.target import PlatformKind
from analyzer.platforms.cluster import Cluster, ClusterSettings
from analyzer.platforms.helm import RollbackOptions
from analyzer.service.ordering import target_of
from analyzer.service.settings import PrometheusSettings, Settings
from analyzer.service.telemetry import Telemetry
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.scope import fill_scope
from analyzer.sources.prometheus.sharing import SharedClient
from analyzer.sources.prometheus.source import PrometheusSource
from analyzer.store.entry import Entry

HELMS_AT_ONCE = 8
"""Processes of helm that look at releases at once. The rollback itself never waits for a turn."""
LARGEST_ANSWER = 64 * 2**20
"""Bytes of one answer of Prometheus: many analyses share the memory."""


def access_of(settings: PrometheusSettings) -> PrometheusAccess:
    """How a connection of the settings is reached.

    Raises:
        UsageError: its settings do not fit together.
    """
    given = settings.model_dump(exclude={"at_once", "scope", "namespaces"}, exclude_none=True)
    return PrometheusAccess.of(**given, max_answer=LARGEST_ANSWER)


@dataclass(frozen=True)
class Prepared:
    """What one analysis needs, open."""

    order: AnalysisOrder
    rule_set: RuleSet
    source: Source
    platform: Platform

    async def plan(self, complain: Callable[[str], None]) -> Plan:
        """Its plan, from now on.

        Raises:
            CanaryError: as `analyzer.composition.planning.planned`.
        """
        plan = await planned(self.order, self.rule_set, self.platform, self.source, complain)
        return plan.model_copy(update={"on_grid": True})

    async def record(self, record: Record, complain: Callable[[str], None], past: Sequence[Event]) -> Record:
        """The record, and beside it the verdict where the platform keeps verdicts. `past` is what is in it already."""
        recalled(self.platform, past)
        return await with_verdicts(record, self.platform, complain, past)


class Assembly:
    """Makes what analyses need. To be closed."""

    def __init__(self, settings: Settings, clients: Mapping[str, SharedClient], cluster: Cluster) -> None:
        self._settings = settings
        self._clients = clients
        self._cluster = cluster
        self._turns = asyncio.Semaphore(HELMS_AT_ONCE)

    @classmethod
    @asynccontextmanager
    async def opened(cls, settings: Settings, telemetry: Telemetry) -> AsyncIterator["Assembly"]:
        """With a client for each Prometheus of the settings; `telemetry` is told of each query.

        Raises:
            UsageError: the settings of one do not fit together.
        """
        cluster = Cluster(ClusterSettings.of(settings.kubeconfig, settings.context))
        async with AsyncExitStack() as stack:
            stack.push_async_callback(cluster.close)
            clients = {}
            for name, each in settings.prometheus.items():
                client = SharedClient(access_of(each), at_once=each.at_once, observe=telemetry.answered)
                clients[name] = await stack.enter_async_context(client)
                telemetry.connection(name, client)
            yield cls(settings, clients, cluster)

    @property
    def cluster(self) -> Cluster:
        """The cluster that all analyses share."""
        return self._cluster

    @asynccontextmanager
    async def prepared(self, entry: Entry, *, dry_run: bool) -> AsyncIterator[Prepared]:
        """What the analysis of this order needs.

        Raises:
            CanaryError: it cannot be done any more: the settings have changed since it was ordered.
        """
        order = Ordered.model_validate_json(entry.ordered).order
        rule_set = finish_rules(read_rule_set(order.rule_set or "", f"{order.rules}.yaml"), order.parameters)
        wanted = self._wanted(entry, order, dry_run=dry_run)
        connection = self._settings.prometheus.get(order.prometheus)
        client = self._clients.get(order.prometheus)
        if connection is None or client is None:
            raise UsageError(f"prometheus {order.prometheus!r}: the service has no connection of that name")
        if not connection.serves(order.namespace):
            raise UsageError(f"prometheus {order.prometheus!r}: is not for that namespace any more")
        scope = fill_scope(connection.scope, {"namespace": order.namespace})
        async with PrometheusSource.sharing(client, who=entry.id, scope=scope) as metrics:
            platform = platform_of(wanted, self._cluster, turns=self._turns, shows_words=False)
            yield Prepared(wanted, rule_set, with_health(metrics, platform), platform)

    def _wanted(self, entry: Entry, order: Order, *, dry_run: bool) -> AnalysisOrder:
        """What the engine is to do.

        Raises:
            UsageError: the settings have no such target.
        """
        target = target_of(order)
        since, command, rollback = order.since, None, RollbackOptions()
        if target.kind == PlatformKind.COMMAND:
            since = entry.created_at if since is None else since  # nobody else can say when it was brought out
            found = self._settings.targets.get(target.name)
            if found is None or found.namespace != target.namespace:
                raise UsageError(f"the service's settings have no target {target} in that namespace")
            command, rollback = found.rollback, RollbackOptions(timeout=found.timeout)
        return AnalysisOrder(
            id=entry.id,
            target=target,
            rules=order.rules,
            parameters=order.parameters,
            access=None,  # the connection is shared
            rollback_command=command,
            rollback=rollback,
            wanted=Wanted(
                canary=order.canary,
                baseline=order.baseline,
                since=since,
                revision=order.revision or "new",
                previous=order.previous or "previous",
            ),
            helm=self._settings.helm,
            kubeconfig=self._settings.kubeconfig,
            context=self._settings.context,
            to_revision=order.to_revision,
            expected_revision=order.expected_revision,
            on_fail=order.on_fail,
            retry=order.retry,
            gitops=GitOps(mode=self._settings.gitops),
            needs_ready_pods=order.pods,
            acting=not (order.dry_run or dry_run),
        )
