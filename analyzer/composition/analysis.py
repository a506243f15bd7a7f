"""One analysis with all that it needs, open."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from analyzer import __version__
from analyzer.composition.order import AnalysisOrder
from analyzer.composition.planning import planned
from analyzer.composition.platforms import platform_of, with_health, with_verdicts
from analyzer.composition.rules import load_rules
from analyzer.engine.clock import SystemClock
from analyzer.engine.ports import Observer, Platform, Ports, Record, Source
from analyzer.engine.runner import Runner
from analyzer.platforms.cluster import Cluster, ClusterSettings
from analyzer.sources.prometheus.source import PrometheusSource
from analyzer.sources.scrape import ScrapeSource
from analyzer.store.recording import NoRecording, RecordingFile


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


@asynccontextmanager
async def _platform(order: AnalysisOrder) -> AsyncIterator[Platform]:
    cluster = Cluster(ClusterSettings.of(order.kubeconfig, order.context))
    try:
        yield platform_of(order, cluster)
    finally:
        await cluster.close()


@asynccontextmanager
async def _source(order: AnalysisOrder) -> AsyncIterator[Source]:
    if order.access is None:
        async with ScrapeSource(order.scrape_canary, order.scrape_baseline, order.scrape_timeout) as scraping:
            yield scraping
    else:
        async with PrometheusSource(order.access) as prometheus:
            yield prometheus
