"""A real Prometheus that finds the pods of a namespace through the API server, as one in a cluster does.

It is built with the control plane: Debian's leaves the discovery of Kubernetes out.
"""

import json
import shutil
import subprocess
import tempfile
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analyzer.demo.port import LOOPBACK, Port
from tests.cluster.health import answers, until

_META = "__meta_kubernetes_pod"
_DEADLINE = 60.0  # seconds
_GRACE = 10.0  # seconds


class LivePrometheus:
    """`stop` and `start` keep its data and address. `url` has no slash at the end.

    A target is a container port named `http`, or any port of a pod annotated `prometheus.io/scrape: "true"`, of a pod
    that runs. Prometheus is not told that a pod is being deleted: it scrapes until the pod is gone, and hears of
    changes at most every five seconds.
    """

    def __init__(self, program: Path, folder: Path, log: Path, port: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}"
        self._program, self._folder, self._log = program, folder, log
        self._process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def running(
        cls, program: Path, namespace: str, kubeconfig: Path, log: Path, *, scrape: float, data: Path | None
    ) -> Iterator["LivePrometheus"]:
        """One that is ready; it ends, and its data go, on the way out. The data are beside the kubeconfig."""
        with tempfile.TemporaryDirectory(prefix="prometheus-", dir=kubeconfig.parent) as name, Port() as port:
            folder = Path(name)
            document = {"scrape_configs": [_scraping(namespace, kubeconfig, scrape)]}
            (folder / "prometheus.yml").write_text(json.dumps(document))  # JSON is YAML
            if data is not None:
                shutil.copytree(data, folder / "data")
            prometheus = cls(program, folder, log, port.number)
            try:
                prometheus.start()
                yield prometheus
            finally:
                prometheus.stop()

    def start(self) -> None:
        """Return when it is ready; it must not be running. TimeoutError with the end of its log if it does not."""
        assert self._process is None, "it runs already"
        command = [
            str(self._program),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--log.level=warn",
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            until(self._is_ready, seconds=_DEADLINE, what="Prometheus is ready")
        except TimeoutError as error:
            raise TimeoutError(f"{error}:\n{self._log.read_text()[-2000:]}") from error

    def stop(self) -> None:
        """Let it end in good order; nothing if it is away."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def query(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        """The result of an instant query: now, or at these Unix seconds."""
        parameters = {"query": expression} | ({"time": str(at)} if at is not None else {})
        found: list[dict[str, Any]] = self._ask("query", parameters)["result"]
        return found

    def targets(self) -> list[dict[str, Any]]:
        """The active targets."""
        found: list[dict[str, Any]] = self._ask("targets", {"state": "active"})["activeTargets"]
        return found

    def _ask(self, path: str, parameters: dict[str, str]) -> dict[str, Any]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}", timeout=30) as answer:
            data: dict[str, Any] = json.load(answer)["data"]
        return data

    def _is_ready(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise TimeoutError(f"Prometheus ended with exit code {self._process.returncode}")
        return answers(f"{self.url}/-/ready")


def _scraping(namespace: str, kubeconfig: Path, scrape: float) -> dict[str, Any]:
    interval = f"{round(scrape * 1000)}ms"
    discovery = {"role": "pod", "kubeconfig_file": str(kubeconfig), "namespaces": {"names": [namespace]}}
    return {
        "job_name": "pods",
        "scrape_interval": interval,
        "scrape_timeout": interval,
        "kubernetes_sd_configs": [discovery],
        "relabel_configs": _relabelling(),
    }


def _relabelling() -> list[dict[str, Any]]:
    scrape, path, port = (f"{_META}_annotation_prometheus_io_{one}" for one in ("scrape", "path", "port"))
    return [
        {"action": "keep", "source_labels": [f"{_META}_phase"], "regex": "Running"},
        {"action": "drop", "source_labels": [f"{_META}_container_init"], "regex": "true"},
        {"action": "drop", "source_labels": [scrape], "regex": "false"},
        {
            "action": "keep",
            "source_labels": [f"{_META}_container_port_name", scrape],
            "regex": "http;.*|.*;true",
        },
        {"source_labels": [path], "regex": "(.+)", "target_label": "__metrics_path__"},
        {
            "source_labels": [f"{_META}_ip", port],
            "regex": r"([^;]+);(\d+)",
            "replacement": "$1:$2",
            "target_label": "__address__",
        },
        {"action": "labelmap", "regex": f"{_META}_label_(.+)"},
        {"source_labels": [f"{_META}_label_app_kubernetes_io_name"], "regex": "(.+)", "target_label": "app"},
        {"source_labels": [f"{_META}_label_app"], "regex": "(.+)", "target_label": "app"},
        {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
        {"source_labels": [f"{_META}_name"], "target_label": "pod"},
        {"source_labels": [f"{_META}_container_name"], "target_label": "container"},
        {"source_labels": [f"{_META}_node_name"], "target_label": "node"},
    ]
