"""A namespace of a test's own, with what a team does in it."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML

from tests.cluster.health import until
from tests.cluster.kubeconfig import write_kubeconfig
from tests.cluster.process import run
from tests.cluster.prometheus import LivePrometheus

if TYPE_CHECKING:
    from tests.cluster.bed import Bed

_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True)
class Namespace:
    """`folder` is for whatever the test writes; it goes with the bed."""

    bed: "Bed"
    name: str
    folder: Path

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """As the admin, in this namespace. CommandError if it fails."""
        return self.bed.kubectl(f"--namespace={self.name}", *arguments, stdin=stdin)

    def apply(self, manifest: str) -> None:
        """`manifest` is YAML or JSON, of any number of objects."""
        self.kubectl("apply", "--filename=-", stdin=manifest)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        """One object. CommandError if it is not there."""
        return self.bed.get(kind, name, self.name)

    def list(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind, those with these labels if any are given."""
        answer = self.kubectl("get", kind, "--output=json", *([f"--selector={selector}"] if selector else []))
        items: list[dict[str, Any]] = json.loads(answer)["items"]
        return items

    def until(self, check: Callable[[], object], what: str, seconds: float = 60) -> None:
        """Poll until `check()` is true; TimeoutError, with `what` was awaited, after so many seconds."""
        until(check, seconds=seconds, what=f"{what} (namespace {self.name})")

    def environment(self, helm: int = 3, kubeconfig: Path | None = None) -> dict[str, str]:
        """For a command that finds `helm` and `kubectl` on PATH, and this cluster as a user of it would."""
        home = self.folder / f"helm{helm}"
        return {
            **os.environ,
            "PATH": os.pathsep.join([str(self.bed.tools(helm)), os.environ.get("PATH", os.defpath)]),
            "KUBECONFIG": str(kubeconfig or self.bed.kubeconfig),
            **{f"HELM_{one}_HOME": str(home / one.lower()) for one in ("CACHE", "CONFIG", "DATA")},
        }

    def helm(self, version: int, *arguments: str | Path, kubeconfig: Path | None = None) -> str:
        """What Helm 3 or 4 prints. CommandError if it fails."""
        program = self.bed.programs[f"helm{version}"]
        words = [program, *arguments, f"--namespace={self.name}"]
        return run(words, env=self.environment(version, kubeconfig))

    def service_account(self, name: str, rules: str | None = None) -> Path:
        """A kubeconfig of a new ServiceAccount. `rules` (YAML, a list as in a Role) is what it may do here."""
        self.kubectl("create", "serviceaccount", name)
        if rules is not None:
            self.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": _role(self.name, name, rules)}))
        token = self.kubectl("create", "token", name, "--duration=12h").strip()
        return write_kubeconfig(
            self.folder / f"{name}.kubeconfig",
            server=self.bed.server,
            authority=self.bed.authority,
            user=name,
            token=token,
            namespace=self.name,
        )

    @contextmanager
    def prometheus(self, scrape: float = 1.0, *, data: Path | None = None) -> Iterator[LivePrometheus]:
        """A Prometheus that scrapes the pods of this namespace every `scrape` seconds.

        It starts on a copy of `data`, a folder of blocks (see analyzer/demo/history.py), if one is given.
        """
        rules = '[{apiGroups: [""], resources: [pods], verbs: [get, list, watch]}]'
        kubeconfig = self.folder / "prometheus.kubeconfig"
        if not kubeconfig.exists():
            kubeconfig = self.service_account("prometheus", rules)
        log = self.bed.folder / "logs" / f"prometheus-{self.name}.log"
        program = self.bed.programs["prometheus"]
        with LivePrometheus.running(program, self.name, kubeconfig, log, scrape=scrape, data=data) as prometheus:
            yield prometheus


def _role(namespace: str, name: str, rules: str) -> list[dict[str, Any]]:
    role = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "Role",
        "metadata": {"name": name},
        "rules": YAML(typ="safe").load(rules),
    }
    binding = {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": name},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
        "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
    }
    return [role, binding]
