"""The whole controller on a stub of an API server and a real database: what is seen becomes an order, once."""

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from analyzer.controller.helm_look import TAKES_BACK, HelmLook
from analyzer.controller.sighting import Candidate, Place, Sighting, Unsettled
from analyzer.controller.watching import Controller, watching_rights
from analyzer.model.order import Ordered
from analyzer.model.target import PlatformKind
from analyzer.platforms.cluster import Cluster, ClusterSettings
from analyzer.platforms.helm_storage import Storage, kept
from analyzer.platforms.rights import sentence
from analyzer.service.placing import Placing
from analyzer.service.rulesets import RuleSets
from analyzer.service.settings import Settings
from analyzer.service.telemetry import Telemetry
from analyzer.store.analyses import Analyses
from analyzer.store.audit import Audit
from analyzer.store.database import Database
from analyzer.store.entry import Entry, State
from analyzer.store.schema import ANALYSES
from tests.controller.conftest import QuickClock, until
from tests.controller.test_releases import NOW, secret
from tests.controller.watched_api import Line, WatchedApi, page, refuses, stream
from tests.platforms.fake_kubeconfig import written

pytestmark = pytest.mark.anyio
Object = dict[str, Any]
Logs = list[MutableMapping[str, Any]]

SECRETS, MAPS = "/api/v1/namespaces/shop/secrets", "/api/v1/namespaces/shop/configmaps"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts"
WEB = "/apis/apps/v1/namespaces/shop/deployments/web"
MANIFEST = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {}}}\n"
RULES = "canary-analyzer.io/rules"


@pytest.fixture
def logs() -> Iterator[Logs]:
    with capture_logs() as found:
        yield found


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    async with Database.open(f"sqlite:///{tmp_path / 'canary.db'}") as opened:
        yield opened


class World:
    """A cluster as its API server tells it, and the controllers that watch it."""

    def __init__(self, api: WatchedApi, database: Database, folder: Path) -> None:
        self.api, self.database, self.folder = api, database, folder
        self.clock = QuickClock(NOW)
        self.watch: Object = {"namespaces": ["shop"], "events": False}
        self.limits: Object = {}
        self.telemetry = [Telemetry(), Telemetry()]
        self.put(WEB, {"labels": {"app": "web"}, "annotations": {RULES: "http"}})
        self.put("/api/v1/namespaces/shop", {"name": "shop"})
        for where in (MAPS, ROLLOUTS):  # nothing of them, but no trouble either: none is waited for
            for _ in range(3):
                api.at[where].lists.put(page())

    def put(self, path: str, metadata: Object) -> None:
        self.api.plain[path] = {"metadata": metadata}

    def keep(self, each: Object, **told: object) -> Object:
        """The Secret with a release in it, as it is fetched; the metadata, as they are listed."""
        metadata = each["metadata"]
        release = {
            "name": metadata["labels"]["name"],
            "namespace": metadata["namespace"],
            "version": int(metadata["labels"]["version"]),
            "info": {"description": "Upgrade complete"},
            "manifest": MANIFEST,
        }
        data = base64.b64encode(base64.b64encode(gzip.compress(json.dumps({**release, **told}).encode()))).decode()
        self.api.plain[f"{SECRETS}/{metadata['name']}"] = {**each, "data": {"release": data}}
        return each

    def placing(self) -> Placing:
        settings = Settings.model_validate(
            {"prometheus": "http://127.0.0.1:9", "watch": self.watch, "limits": self.limits}
        )
        analyses, audit = Analyses(self.database), Audit(self.database)
        return Placing(settings, self.database, analyses, audit, RuleSets(settings, self.database), lambda: None)

    @asynccontextmanager
    async def running(self, replica: int = 0) -> AsyncIterator[None]:
        placing = self.placing()
        kubeconfig = written(self.folder, self.api.url)
        cluster = Cluster(ClusterSettings(kubeconfig=str(kubeconfig), time_limit=5, connections=0))
        controller = Controller(placing.settings, cluster, placing, self.telemetry[replica], self.clock)
        task = asyncio.create_task(controller.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            await cluster.close()

    async def ordered(self) -> list[tuple[Entry, Ordered]]:
        found = (await Analyses(self.database).find(limit=100)).entries
        return [(each, Ordered.model_validate_json(each.ordered)) for each in found]

    def became(self, outcome: str, replica: int = 0) -> int:
        for metric in self.telemetry[replica].metrics():
            for sample in metric.samples:
                if sample.name == "canary_watch_upgrades_total" and sample.labels["outcome"] == outcome:
                    return int(sample.value)
        return 0


@pytest.fixture
def world(api: WatchedApi, database: Database, tmp_path: Path) -> World:
    return World(api, database, tmp_path)


RECENT = "2027-01-15T07:59:00Z"


def upgraded(release: str = "web", revision: int = 2, status: str = "deployed", created: str = RECENT) -> Object:
    found = secret(release, revision, status)
    found["metadata"]["creationTimestamp"] = created
    return found


def lists(api: WatchedApi, *secrets: Object) -> None:
    api.at[SECRETS].lists.put(page(*secrets, version="5"))


async def test_an_upgrade_becomes_an_order(world: World, api: WatchedApi) -> None:
    world.watch["mode"] = "enforce"
    lists(api, secret("web", 1, "superseded"), world.keep(upgraded()))
    async with world.running():
        await until(lambda: world.became("ordered") == 1)
    ((entry, ordered),) = await world.ordered()
    order = ordered.order
    assert entry.key == "shop/ watch/helm/shop/web/2/web-2"
    assert (entry.kind, entry.name, entry.namespace) == ("helm", "web", "shop")
    assert (order.target, order.rules, order.pods, order.dry_run) == ("helm/web", "http", True, False)
    assert order.rule_set is not None
    assert (ordered.by, ordered.workloads) == ("controller", ("Deployment shop/web",))
    assert "Deployment shop/web" in ordered.why
    (deed,) = await Audit(world.database).list()
    assert (deed.who, deed.what, deed.analysis_id) == ("controller", "start", entry.id)


async def test_observing_is_the_default(world: World, api: WatchedApi) -> None:
    lists(api, world.keep(upgraded()))
    async with world.running():
        await until(lambda: world.became("ordered") == 1)
    ((_, ordered),) = await world.ordered()
    assert ordered.order.dry_run is True


async def test_two_replicas_and_a_restart_order_it_once(world: World, api: WatchedApi) -> None:
    for _ in range(3):
        lists(api, world.keep(upgraded()))
    async with world.running(0), world.running(1):
        await until(lambda: sum(world.became(what, of) for what in ("ordered", "known") for of in (0, 1)) == 2)
    async with world.running(0):
        await until(lambda: world.became("ordered") + world.became("known") == 2)
    assert len(await world.ordered()) == 1
    assert len(await Audit(world.database).list()) == 1


@pytest.mark.parametrize(
    ("found", "told", "outcome"),
    [
        (upgraded(revision=1), {}, "first"),
        (upgraded(created="2027-01-15T06:59:00Z"), {}, "too_old"),
        (upgraded(status="uninstalled"), {}, "over"),
        (upgraded(), {"info": {"description": "Rollback to 1"}}, "way_back"),
        (upgraded(), {"manifest": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"}, "no_pods"),
        (upgraded(), {"manifest": MANIFEST.replace("name: web", "name: gone")}, "over"),
        (upgraded(), {"name": "another"}, "unreadable"),
        (upgraded(status="failed"), {}, "ordered"),
    ],
)
async def test_what_becomes_of_an_upgrade(
    world: World, api: WatchedApi, found: Object, told: Object, outcome: str
) -> None:
    lists(api, world.keep(found, **told))
    async with world.running():
        await until(lambda: world.became(outcome) == 1)
    assert len(await world.ordered()) == (outcome == "ordered")


async def test_what_says_nothing_is_left_alone(world: World, api: WatchedApi) -> None:
    world.put(WEB, {})
    lists(api, world.keep(upgraded()))
    async with world.running():
        await until(lambda: world.became("left_alone") == 1)
    assert await world.ordered() == []


async def test_one_that_is_on_its_way_waits_for_its_end(world: World, api: WatchedApi) -> None:
    pending = upgraded(status="pending-upgrade")
    lists(api, pending)
    api.at[SECRETS].watches.put(stream(("MODIFIED", world.keep(upgraded()))))
    async with world.running():
        await until(lambda: world.became("ordered") == 1)
    fetched = [each for each in api.requests if each.path == f"{SECRETS}/sh.helm.release.v1.web.v2"]
    assert len(fetched) == 1


async def test_what_helm_may_take_back_by_itself_is_left_to_it_for_a_moment(
    world: World, cluster: Cluster, clock: QuickClock
) -> None:
    mark = kept(world.keep(upgraded(status="failed")), Storage.SECRETS)
    assert mark is not None
    sighting = Sighting(Place(PlatformKind.HELM, "shop", "web"), 2, mark, NOW - 60, NOW)
    look = HelmLook(cluster, world.placing(), clock, 3600)
    for passed in (0.0, TAKES_BACK - 0.1):
        clock.time = NOW + passed
        with pytest.raises(Unsettled, match="helm may take it back by itself"):
            await look.look(sighting)
    clock.time = NOW + TAKES_BACK
    assert isinstance(await look.look(sighting), Candidate)


async def test_what_cannot_be_ordered_is_told_once_and_tried_again_when_it_is_mended(
    world: World, api: WatchedApi, logs: Logs
) -> None:
    world.put(WEB, {"annotations": {RULES: "htpp"}})
    world.watch["catch_up"] = "30d"
    lists(api, world.keep(upgraded()))
    async with world.running():
        await until(lambda: len(world.clock.slept) > 3)
        assert world.became("refused") == 1
        world.put(WEB, {"annotations": {RULES: "http"}})
        await until(lambda: world.became("ordered") == 1)
    told = [str(each.get("detail")) for each in logs if each["event"] == "not analysed"]
    assert len(told) == 1
    assert "did you mean http?" in told[0]
    fetched = [each for each in api.requests if each.path == f"{SECRETS}/sh.helm.release.v1.web.v2"]
    assert len(fetched) == 1  # not for each try


async def test_what_is_never_mended_is_let_go(world: World, api: WatchedApi) -> None:
    world.put(WEB, {"annotations": {RULES: "htpp"}})
    world.watch["catch_up"] = "5m"
    lists(api, world.keep(upgraded()))
    async with world.running():
        await until(lambda: world.clock.time > NOW + 240)
        await asyncio.sleep(0.2)
        asked = len([each for each in api.requests if each.path == WEB])
        await asyncio.sleep(0.3)
        assert len([each for each in api.requests if each.path == WEB]) == asked
    assert await world.ordered() == []


async def test_an_api_server_that_is_away_when_it_is_looked_at_is_asked_again(
    world: World, api: WatchedApi, logs: Logs
) -> None:
    lists(api, world.keep(upgraded()))
    kept = api.plain.pop(WEB)
    api.refusals[WEB] = 503, "etcdserver: request timed out"
    async with world.running():
        await until(lambda: len(world.clock.slept) > 5)
        del api.refusals[WEB]
        api.plain[WEB] = kept
        await until(lambda: world.became("ordered") == 1)
    assert not any("exc_info" in each for each in logs)


async def test_too_many_analyses_in_a_namespace_wait(world: World, api: WatchedApi) -> None:
    lists(api, world.keep(upgraded()))
    await Analyses(world.database).create(Entry("0" * 12, "shop/x", "shop", "helm", "x", "{}", NOW))
    world.limits = {"analyses_per_namespace": 1}
    async with world.running():
        await until(lambda: len(world.clock.slept) > 3)
        assert world.became("ordered") == 0
        async with world.database.write() as connection:
            await connection.execute(update(ANALYSES).values(state=State.ENDED))
        await until(lambda: world.became("ordered") == 1)


async def test_thousands_of_changes_fetch_nothing_anew(world: World, api: WatchedApi) -> None:
    changed = upgraded()
    versions = [{**changed["metadata"], "resourceVersion": str(number)} for number in range(3000)]
    words = [("MODIFIED", {"metadata": each}) for each in versions]
    lists(api, world.keep(changed))
    last = world.keep(upgraded(revision=3))
    api.at[SECRETS].watches.put(stream(*words, ("ADDED", last)))
    async with world.running():
        await until(lambda: world.became("ordered") == 2)
    fetched = [each.path.rpartition(".")[2] for each in api.requests if each.path.startswith(f"{SECRETS}/")]
    assert sorted(fetched) == ["v2", "v3"]


async def test_what_may_not_be_read_is_told_and_the_rest_goes_on(world: World, api: WatchedApi, logs: Logs) -> None:
    api.at[MAPS] = Line()
    api.at[MAPS].lists.put(refuses(403, 'configmaps is forbidden: User "c" cannot list resource "configmaps"'))
    lists(api, world.keep(upgraded()))
    async with world.running():
        await until(lambda: world.became("ordered") == 1)
    assert sum(each["event"] == "the cluster is not watched" for each in logs) == 1


def rollout(revision: int, current: str, **annotations: str) -> Object:
    told = {"rollout.argoproj.io/revision": str(revision), RULES: "http", **annotations}
    metadata = {"name": "api", "namespace": "shop", "uid": "r", "annotations": told}
    return {"metadata": metadata, "spec": {}, "status": {"currentPodHash": current, "stableRS": "a"}}


def replica_set(hash_: str, number: int, created: str) -> Object:
    return {
        "metadata": {
            "labels": {"rollouts-pod-template-hash": hash_},
            "annotations": {"rollout.argoproj.io/revision": str(number)},
            "creationTimestamp": created,
            "ownerReferences": [{"uid": "r"}],
        }
    }


async def test_a_rollout_becomes_an_order_when_its_status_says_which(world: World, api: WatchedApi) -> None:
    sets = "/apis/apps/v1/namespaces/shop/replicasets"
    api.at[ROLLOUTS] = Line()
    api.at[ROLLOUTS].lists.put(page(rollout(2, "b")))
    api.plain[f"{ROLLOUTS}/api"] = rollout(2, "a")  # its status comes after its annotation
    api.plain[sets] = {"items": [replica_set("a", 1, "2027-01-15T06:00:00Z"), replica_set("b", 2, RECENT)]}
    async with world.running():
        await until(lambda: len(world.clock.slept) > 3)
        assert await world.ordered() == []
        api.plain[f"{ROLLOUTS}/api"] = rollout(2, "b")
        await until(lambda: world.became("ordered") == 1)
    ((entry, ordered),) = await world.ordered()
    assert entry.key == "shop/ watch/rollout/shop/api/r/2/b"
    assert (ordered.order.target, ordered.workloads) == ("rollout/api", ("Rollout shop/api",))


async def test_a_rollout_of_a_release_is_the_releases(world: World, api: WatchedApi) -> None:
    api.at[ROLLOUTS] = Line()
    api.at[ROLLOUTS].lists.put(page(rollout(2, "b", **{"meta.helm.sh/release-name": "web"})))
    async with world.running():
        await until(lambda: world.became("of_release") == 1)
    assert await world.ordered() == []


@pytest.mark.parametrize(("seconds", "outcome"), [(59, "ordered"), (61, "too_old")])
async def test_without_catching_up_what_is_seen_at_once_is_analysed(
    world: World, api: WatchedApi, seconds: int, outcome: str
) -> None:
    world.watch["catch_up"] = "0s"
    found = world.keep(upgraded(created=datetime.fromtimestamp(NOW - seconds, UTC).isoformat()))
    lists(api, found)
    async with world.running():
        await until(lambda: world.became(outcome) == 1)


async def test_a_secret_that_may_not_be_fetched_is_told_once_and_let_go(
    world: World, api: WatchedApi, logs: Logs
) -> None:
    found = world.keep(upgraded())
    api.refusals[f"{SECRETS}/{found['metadata']['name']}"] = 403, "secrets is forbidden"
    world.watch["catch_up"] = "5m"
    lists(api, found)
    async with world.running():
        await until(lambda: world.clock.time > NOW + 300)
    assert [each["event"] for each in logs if each["log_level"] == "warning"] == ["not analysed"]
    assert world.became("refused") == 1


def test_the_rights_that_are_looked_for() -> None:
    assert sentence(watching_rights(["*"]), grant="ask").endswith("in the whole cluster; grant it: ask")
    assert 'list, watch configmaps and secrets, list, watch rollouts (argoproj.io) in namespace "shop"' in sentence(
        watching_rights(["shop"])
    )
