"""A shop: one Helm release in a namespace of its own, with traffic, and a Prometheus that has known it for a while."""

import asyncio
import copy
import json
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from analyzer.demo.history import write_blocks
from tests.cluster.load import Tally, Traffic, load
from tests.cluster.namespace import Namespace
from tests.cluster.prometheus import LivePrometheus
from tests.cluster.scenarios.checking import Checked, Checking
from tests.cluster.scenarios.past import past
from tests.cluster.scenarios.rights import CHECK, grant

Json = dict[str, Any]

HERE = Path(__file__).parent
CHART = HERE.parent / "chart"
RULES = HERE / "rules" / "shop.yaml"
RIGHTS = HERE.parents[2] / "deploy" / "rbac.yaml"
OF_ROLLOUTS = RIGHTS.parent / "argo" / "rbac.yaml"
RELEASE = "shop"
PAST = 600.0
"""Seconds of history that the installed pods have, in Prometheus."""
_RATE = 50.0  # requests per second


@dataclass
class Shop:
    """`helm` is the version that people upgrade with, `analyzer_helm` the one that the analyzer finds.

    `kubeconfig` is the analyzer's, None for the admin's.
    """

    namespace: Namespace
    helm: int
    prometheus: LivePrometheus
    traffic: Traffic
    analyzer_helm: int
    kubeconfig: Path | None = None
    old_pods: dict[str, str] = field(default_factory=dict)  # name -> tag

    def upgrade(self, tag: str, *flags: str) -> None:
        """`helm upgrade` to this tag; it does not wait, unless told by flags."""
        self.note_pods()
        self.namespace.helm(self.helm, "upgrade", RELEASE, CHART, "--set", f"image.tag={tag}", *flags)

    @contextmanager
    def running(self, *words: str) -> Iterator[Checking]:
        """Any command of the analyzer, in the background."""
        environment = self.namespace.environment(self.analyzer_helm, self.kubeconfig)
        with Checking(words, environment, self.namespace.folder) as running:
            yield running

    @contextmanager
    def checking(self, *flags: str, rules: Path = RULES) -> Iterator[Checking]:
        """`canary check`, in the background."""
        with self.running("check", f"helm/{RELEASE}", *self.where(rules), "--output=json", *flags) as checking:
            yield checking

    def check(self, *flags: str, rules: Path = RULES) -> Checked:
        """`canary check`, to its end."""
        with self.checking(*flags, rules=rules) as checking:
            return checking.result()

    def where(self, rules: Path = RULES) -> list[str]:
        """The flags that say where it all is."""
        return [f"--namespace={self.namespace.name}", f"--prometheus={self.prometheus.url}", f"--rules={rules}"]

    def rules(self, schedule: Json | None = None, **spec: Any) -> Path:  # noqa: ANN401 -- YAML
        """The rule set with these keys of its schedule and its spec replaced."""
        document = copy.deepcopy(YAML(typ="safe").load(RULES))
        document["spec"] |= spec
        document["spec"]["schedule"] |= schedule or {}
        file = self.namespace.folder / "rules.yaml"
        file.write_text(json.dumps(document))  # JSON is YAML
        return file

    def pods(self) -> list[Json]:
        """Those that are not on their way out."""
        return [pod for pod in pods_of(self.namespace) if "deletionTimestamp" not in pod["metadata"]]

    def tags(self) -> list[str]:
        """Of the pods that there are."""
        return sorted(tag_of(pod) for pod in self.pods())

    def history(self) -> list[tuple[int, str]]:
        """Revision and status of each revision that Helm keeps."""
        told = self.namespace.helm(self.helm, "history", RELEASE, "--output=json")
        return [(one["revision"], one["status"]) for one in json.loads(told)]

    def serves(self, *tags: str) -> None:
        """The pods are just these, ready, soon; TimeoutError if not."""

        def they_are() -> bool:
            pods = self.pods()
            return sorted(tag_of(pod) for pod in pods) == sorted(tags) and all(is_ready(pod) for pod in pods)

        self.namespace.until(they_are, f"ready pods of just the tags {tags}", seconds=60)

    def note_pods(self) -> None:
        """Those that serve now are not the upgrade's."""
        self.old_pods = {pod["metadata"]["name"]: tag_of(pod) for pod in self.pods()}

    def felt(self) -> Tally:
        """What clients got from the pods of the upgrade: those that were not there before, nor are a way back.

        The pods of a StatefulSet keep their names: then it is what they got from all.
        """
        if any(name.rpartition("-")[2].isdigit() for name in self.old_pods):
            return self.traffic.tally()
        back = {pod["metadata"]["name"] for pod in self.pods() if tag_of(pod) in self.old_pods.values()}
        return self.traffic.tally({*self.traffic.pods} - back - {*self.old_pods})


def tag_of(pod: Json) -> str:
    """The tag of its image."""
    return str(pod["spec"]["containers"][0]["image"]).rpartition(":")[2]


def is_ready(pod: Json) -> bool:
    """Whether it serves."""
    conditions = pod["status"].get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


@contextmanager
def open_shop(
    namespace: Namespace,
    helm: int,
    *flags: str,
    tag: str = "good",
    scrape: float = 2.0,
    rate: float = _RATE,
    service: str = RELEASE,
    analyzer_helm: int | None = None,
    plain: bool = False,
) -> Iterator[Shop]:
    """Install the chart, and yield when it serves, is scraped, and has a past of ten minutes.

    `rate` 0 is a shop without customers, in its past as well. `service` is the one that gets the load. `plain` applies
    what the chart says, without a release.
    """
    if plain:
        namespace.apply(rendered(namespace, helm, tag, *flags))
    else:
        namespace.helm(helm, "install", RELEASE, CHART, "--set", f"image.tag={tag}", "--wait", "--timeout=60s", *flags)
    namespace.until(lambda: pods_of(namespace) and all(map(is_ready, pods_of(namespace))), "ready pods")
    pods = pods_of(namespace)
    with tempfile.TemporaryDirectory(dir=namespace.folder) as data:
        history = past(pods, rate=rate, scrape=scrape, seconds=PAST, until=time.time())
        asyncio.run(write_blocks(history, Path(data)))
        with (
            namespace.prometheus(scrape, data=Path(data)) as prometheus,
            load(namespace.bed.kubeconfig, namespace.name, service, rate=rate) as traffic,
        ):
            namespace.until(lambda: len(fresh(prometheus)) == len(pods), "scraped pods")
            assert len(prometheus.query("last_over_time(up[10m])")) == len(pods), "the past is of other series"
            yield Shop(namespace, helm, prometheus, traffic, analyzer_helm or helm, analyzer_account(namespace))


def rendered(namespace: Namespace, helm: int, tag: str, *flags: str) -> str:
    """What the chart says, as YAML."""
    return namespace.helm(helm, "template", RELEASE, CHART, "--set", f"image.tag={tag}", *flags)


def pods_of(namespace: Namespace) -> list[Json]:
    """All pods of the shop."""
    return namespace.list("pods", f"app.kubernetes.io/instance={RELEASE}")


def analyzer_account(namespace: Namespace) -> Path:
    """A kubeconfig with the rights that the analyzer asks for, and no others."""
    kubeconfig = namespace.service_account("canary-analyzer")
    grant(namespace, CHECK)
    return kubeconfig


def fresh(prometheus: LivePrometheus) -> list[Json]:
    """The targets that have answered just now."""
    return [one for one in prometheus.targets() if one["health"] == "up"]
