"""The analyzer as its chart installs it: pods of the bed, with the rights of their ServiceAccount and nothing more."""

import copy
import json
import os
import signal
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self

import httpx

from tests.cluster.kubelet.process import first_of
from tests.cluster.scenarios.asking import Asking, Ended
from tests.cluster.scenarios.shop import HERE, RELEASE, RULES, Shop, is_ready

Json = dict[str, Any]

CHART: Final = HERE.parents[2] / "deploy" / "chart"
INSTALLED: Final = "analyzer"
"""The name of its release."""
NAME: Final = f"{INSTALLED}-canary-analyzer"
"""What the chart names its objects, and its ServiceAccount: another than the shop has for `canary check`."""
_SELECTOR: Final = f"app.kubernetes.io/instance={INSTALLED}"
_WITHIN: Final = 120.0  # seconds until a pod is ready, or gone


BAD: Final = "errors-10"
"""A tag with so many errors that the verdict is never a matter of luck."""
ENFORCE: Final = {"watch": {"mode": "enforce"}}
TAKEN_BACK: Final = ["CanaryFailed", "CanaryRecovered", "CanaryRolledBack", "CanaryStarted"]
"""What is told of a revision that was taken back."""


class Installed(Asking):
    """`helm install` of the chart in the shop's namespace, which it watches; `helm uninstall` at the end.

    `values` are put over those of `_values`, mapping by mapping.
    """

    def __init__(self, shop: Shop, **values: Any) -> None:  # noqa: ANN401 -- YAML
        super().__init__(shop)
        self.namespace = shop.namespace
        self._given = _merged(self._values(), values)

    def _values(self) -> Json:
        return {
            "image": {"tag": f"bed-helm{self.shop.analyzer_helm}"},
            "prometheus": {"url": self.shop.prometheus.url},
            "settings": {"access": {"tokens": self.tokens}},
            "watch": {"namespaces": [self.shop.namespace.name]},
            "enforce": {"enabled": True},
            "ruleSets": {"shop": RULES.read_text()},
            "terminationGracePeriodSeconds": 20,
        }

    def __enter__(self) -> Self:
        self._helm("install")
        self.is_ready()
        return self

    def __exit__(self, *_: object) -> None:
        # First this: what is of the whole cluster does not go with the namespace.
        self.namespace.helm(self.shop.helm, "uninstall", INSTALLED, "--wait", "--timeout=60s")

    def upgrade(self, **values: Any) -> None:  # noqa: ANN401 -- YAML
        """`helm upgrade` to its values with these over them; returns when the new pods are ready, and the old gone."""
        self._given = _merged(self._given, values)
        self._helm("upgrade")
        self.is_ready()

    def scale(self, replicas: int) -> None:
        """As a person does; returns when there are so many pods, ready."""
        self.namespace.kubectl("scale", f"deployment/{NAME}", f"--replicas={replicas}")
        self.is_ready()

    def is_ready(self) -> None:
        """Return when the Deployment has just the pods that it wants, ready. TimeoutError with what they have said."""
        try:
            self.namespace.until(self._is_complete, "the analyzer's pods", seconds=_WITHIN)
        except TimeoutError as error:
            states = [pod["status"] for pod in self.pods()]
            raise TimeoutError(f"{error}\n{json.dumps(states, indent=1)}\n{self.said}") from None
        self._point()

    def kill(self) -> None:
        """kill -9, of the first process of its only pod; returns when it is there again, in another life."""
        (pod,) = self.pods()
        before = _restarts(pod)
        number = self._files(pod, "pid").read_text()
        first = first_of(int(number))
        assert first is not None, "the analyzer's process is not there"
        os.kill(first, signal.SIGKILL)
        self.namespace.until(lambda: _restarts(self.pods()[0]) > before, "another life")
        self.is_ready()

    def delete_pod(self, name: str = "") -> None:
        """`kubectl delete pod`, of its only one unless another is named; returns when there is another, ready."""
        self.namespace.kubectl("delete", "pod", name or self.pods()[0]["metadata"]["name"], "--timeout=60s")
        self.is_ready()

    def pods(self) -> list[Json]:
        """All that there are, also those on their way out."""
        return self.namespace.list("pods", _SELECTOR)

    def at(self, pod: Json, path: str) -> httpx.Response:
        """What one of the pods answers."""
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.get(f"http://{pod['status']['podIP']}:8080{path}", headers=headers, timeout=30, trust_env=False)

    @property
    def said(self) -> str:
        """All that its pods have said so far, also those that have gone."""
        files = (self.namespace.bed.folder / "kubelet").glob(f"{self.namespace.name}_{NAME}-*_canary.log")
        return "".join(file.read_text() for file in sorted(files, key=lambda file: file.stat().st_ctime))

    def judged(self, number: int) -> Ended:
        """The end of the analysis with this number, from 1, which is the last that it has ordered by itself."""
        found = self.seen(number)
        assert len(found) == number, self.said
        return self.ended(found[-1])

    def _helm(self, verb: str) -> None:
        file = self.namespace.folder / "analyzer.yaml"
        file.write_text(json.dumps(self._given))  # JSON is YAML
        self.namespace.helm(self.shop.helm, verb, INSTALLED, CHART, f"--values={file}")

    def _is_complete(self) -> bool:
        deployment = self.namespace.get("deployment", NAME)
        wanted, status = deployment["spec"]["replicas"], deployment["status"]
        if status.get("observedGeneration") != deployment["metadata"]["generation"]:
            return False
        return status.get("updatedReplicas", 0) == wanted == len(self.pods()) and all(map(is_ready, self.pods()))

    def _point(self) -> None:
        pods = self.pods()
        self.url = f"http://{pods[0]['status']['podIP']}:8080" if pods else ""

    def _files(self, pod: Json, ending: str) -> Path:
        folder = self.namespace.bed.folder / "kubelet"
        return folder / f"{self.namespace.name}_{pod['metadata']['name']}_canary.{ending}"


def _restarts(pod: Json) -> int:
    return int(pod["status"]["containerStatuses"][0]["restartCount"])


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Json:
    found = copy.deepcopy(dict(below))
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = _merged(found[key], value) if both else value
    return found


def annotated(**more: str) -> tuple[str, ...]:
    """Flags of Helm: the shop's workloads are annotated so, from here on."""
    values = {"rules": "shop", **more}
    return tuple(f"--set-string=annotations.canary-analyzer\\.io/{name}={value}" for name, value in values.items())


def told(shop: Shop) -> dict[str, list[str]]:
    """The reasons of the Events on the shop's Deployment, by what they are about, in alphabetical order."""
    found: dict[str, list[str]] = defaultdict(list)
    for event in shop.namespace.list("events"):
        if event["reason"].startswith("Canary"):
            assert event["involvedObject"]["name"] == RELEASE, event
            found[event["message"].partition(":")[0]].append(event["reason"])
    return {about: sorted(reasons) for about, reasons in found.items()}
