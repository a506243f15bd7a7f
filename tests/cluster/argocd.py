"""Argo CD on the bed: its application controller, its repository server and their Redis; no API server, no web page.

They look at Git every two seconds, and heal within two. Manifests may be plain YAML or a Helm chart: there is no
`kustomize`.
"""

import json
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.cluster.health import answers, listens
from tests.cluster.supervisor import Program

NAMESPACE = "argocd"
_RECONCILE = 2  # seconds, between two looks at Git
_REDIS = 10260  # ports: none at which pods would like to listen
_REPOSITORIES = 10261
_REPOSITORIES_METRICS = 10262
_CONTROLLER_METRICS = 10263


@dataclass(frozen=True)
class ArgoCD:
    """The command lines. `program` has all three in it; `helm` renders charts; `folder` is Argo CD's own."""

    folder: Path
    program: Path
    helm: Path
    kubeconfig: Path

    def programs(self, prepare: Callable[[], None]) -> list[Program]:
        """None starts with the bed. `prepare` installs what `settings` and the custom resource definitions say."""
        return [self._redis(), self._repositories(), self._controller(prepare)]

    def _redis(self) -> Program:
        command = [str(self.program), "argocd-redis", f"127.0.0.1:{_REDIS}"]
        return Program("argocd-redis", command, partial(listens, _REDIS), waits=True)

    def _repositories(self) -> Program:
        command = [
            *(str(self.program), "argocd-repo-server"),
            "--address=127.0.0.1",
            f"--port={_REPOSITORIES}",
            "--metrics-address=127.0.0.1",
            f"--metrics-port={_REPOSITORIES_METRICS}",
            "--disable-tls",
            f"--redis=127.0.0.1:{_REDIS}",
            f"--revision-cache-expiration={_RECONCILE}s",
            "--logformat=text",
        ]
        ready = partial(answers, f"http://127.0.0.1:{_REPOSITORIES_METRICS}/healthz")
        return Program(
            "argocd-repo-server",
            command,
            ready,
            before=self._make_folders,
            waits=True,
            environment=self._environment(),
            needs=("argocd-redis",),
        )

    def _controller(self, prepare: Callable[[], None]) -> Program:
        command = [
            *(str(self.program), "argocd-application-controller"),
            f"--kubeconfig={self.kubeconfig}",
            f"--namespace={NAMESPACE}",
            "--application-namespaces=*",
            f"--repo-server=127.0.0.1:{_REPOSITORIES}",
            "--repo-server-plaintext",
            f"--redis=127.0.0.1:{_REDIS}",
            f"--metrics-port={_CONTROLLER_METRICS}",
            f"--app-resync={_RECONCILE}",
            "--app-resync-jitter=0",
            "--self-heal-backoff-timeout-seconds=1",  # and each further attempt as soon as the first
            "--self-heal-backoff-factor=1",
            "--logformat=text",
        ]
        ready = partial(answers, f"http://127.0.0.1:{_CONTROLLER_METRICS}/healthz")
        return Program(
            "argocd",
            command,
            ready,
            before=prepare,
            waits=True,
            environment=self._environment(),
            needs=("argocd-repo-server",),
        )

    def _environment(self) -> dict[str, str]:
        """All that they would read or write in folders of an image of their own is in `folder`."""
        return {
            **os.environ,
            "PATH": os.pathsep.join([str(self.folder / "bin"), os.environ.get("PATH", os.defpath)]),
            "HOME": str(self.folder),
            "TMPDIR": str(self.folder / "tmp"),
            "KUBECONFIG": str(self.kubeconfig),
            "ARGOCD_FAKE_IN_CLUSTER": "true",  # https://kubernetes.default.svc is the cluster of KUBECONFIG
            "ARGOCD_APP_CONF_PATH": str(self.folder),
            "ARGOCD_TLS_DATA_PATH": str(self.folder / "tls"),
            "ARGOCD_SSH_DATA_PATH": str(self.folder / "ssh"),
            "ARGOCD_PLUGINSOCKFILEPATH": str(self.folder / "plugins"),
            "ARGOCD_ASK_PASS_SOCK": str(self.folder / "ask-pass.sock"),
            "ARGOCD_GPG_ENABLED": "false",
        }

    def _make_folders(self) -> None:
        for name in ("bin", "tmp", "tls", "ssh", "plugins"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "bin" / "helm").symlink_to(self.helm)


def settings() -> str:
    """The objects that Argo CD's own installation has in its namespace, and that its controller looks for (JSON)."""
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        _setting("ConfigMap", "argocd-cm"),
        _setting("ConfigMap", "argocd-rbac-cm"),
        {**_setting("Secret", "argocd-secret"), "stringData": {"server.secretkey": secrets.token_hex(16)}},
        _everything_allowed(),
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})


def _setting(kind: str, name: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "argocd"}  # it finds them by the second
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels}}


def _everything_allowed() -> dict[str, Any]:
    """The project that each Application belongs to that names no other."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AppProject",
        "metadata": {"name": "default", "namespace": NAMESPACE},
        "spec": {
            "sourceRepos": ["*"],
            "sourceNamespaces": ["*"],
            "destinations": [{"server": "*", "namespace": "*"}],
            "clusterResourceWhitelist": [{"group": "*", "kind": "*"}],
        },
    }
