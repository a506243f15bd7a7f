"""`canary serve` as a process that a test starts, kills and starts again, and what a pipeline asks of it over HTTP."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from ruamel.yaml import YAML

from analyzer.platforms.verdicts import name_of
from tests.cluster.health import until
from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.asking import Asking
from tests.cluster.scenarios.checking import Checked, Checking
from tests.cluster.scenarios.rights import grant_across
from tests.cluster.scenarios.shop import HERE, RELEASE, RULES, Shop

Json = dict[str, Any]

RIGHTS = HERE.parents[2] / "deploy" / "serve" / "rbac.yaml"
RULE_SETS = RULES.parent
_ACCOUNT = "canary-analyzer"
_STARTS_WITHIN = 60.0  # seconds
_ENDS_WITHIN = 30.0


class Serving(Asking):
    """The service of one shop: `start`, then `kill` or `end`, and `start` again on the same address and database.

    It may roll back if `acting`, else only observe; `of` begins the names of these roles. With `watch`, its settings
    for the shop's namespace, it sees upgrades by itself. `settings` replace those of its file. `name` is that of its
    files.
    """

    def __init__(
        self,
        shop: Shop,
        *,
        acting: bool = True,
        of: str = "",
        watch: Json | None = None,
        name: str = "serve",
        **settings: Any,  # noqa: ANN401 -- YAML
    ) -> None:
        super().__init__(shop)
        self.folder = shop.namespace.folder
        self._process: subprocess.Popen[bytes] | None = None
        self._name, self._port, self._starts = name, 0, 0
        self._config = self.folder / f"{name}.yaml"
        if watch is not None:
            settings["watch"] = {"namespaces": [shop.namespace.name]} | watch
        self._config.write_text(json.dumps(self._settings() | settings))  # JSON is YAML
        granted = [f"{of}{role}" for role in (["observe", "enforce"] if acting else ["observe"])]
        granted += ["watch"] if watch is not None else []
        granted += ["annotate"] if watch and watch.get("annotate") else []
        kubeconfig = service_account(shop.namespace, *granted)
        given = shop.namespace.environment(shop.analyzer_helm, kubeconfig)
        self._environment = {name: value for name, value in given.items() if not name.startswith("CANARY_")}

    def _settings(self) -> Json:
        return {
            "database": f"sqlite:///{self.folder / 'canary.db'}",
            "prometheus": {"default": {"url": self.shop.prometheus.url, "timeout": 10}},
            "rules": [str(RULE_SETS)],
            "access": {"tokens": self.tokens},
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.end()

    @property
    def pid(self) -> int:
        assert self._process is not None, "the service does not run"
        return self._process.pid

    @property
    def said(self) -> str:
        """All that it has said on standard error, in all of its lives: the log among it."""
        return "".join(file.read_text() for file in sorted(self.folder.glob(f"{self._name}-*.err")))

    def looked(self) -> int:
        """The exit code of `canary serve --check`, which says what it has found."""
        words = [sys.executable, "-m", "analyzer.cli", "serve", f"--config={self._config}", "--check"]
        with (self.folder / f"{self._name}-0.err").open("wb") as file:
            looking = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self._environment,
                timeout=60,
                check=False,
            )
        return looking.returncode

    def start(self) -> None:
        """Return when it is ready. AssertionError, with what it has said, if it ends instead."""
        assert self._process is None, "the service runs already"
        self._starts += 1
        words = [sys.executable, "-m", "analyzer.cli", "serve", f"--config={self._config}", f"--port={self._port}"]
        log = self.folder / f"{self._name}-{self._starts}.err"
        with log.open("wb") as file:
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=self._environment
            )

        def tells_where() -> bool:
            assert self._process is not None
            assert self._process.poll() is None, log.read_text()
            return "serving on " in log.read_text()

        until(tells_where, seconds=_STARTS_WITHIN, what="canary serve listens")
        self.url = log.read_text().partition("serving on ")[2].split()[0]
        self._port = urlsplit(self.url).port or 0
        until(lambda: self.ask("GET", "/readyz").is_success, seconds=_STARTS_WITHIN, what="canary serve is ready")

    def kill(self) -> None:
        """kill -9, of this process alone: what it has started goes on."""
        assert self._process is not None
        process, self._process = self._process, None
        process.kill()
        process.wait()

    def end(self) -> int:
        """SIGTERM; its exit code."""
        assert self._process is not None
        process, self._process = self._process, None
        process.terminate()
        try:
            return process.wait(_ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f"canary serve has not ended within {_ENDS_WITHIN:g} s:\n{self.said}") from None

    @contextmanager
    def checking(self, *flags: str, token: str, namespace: str = "", rules: Path = RULES) -> Iterator[Checking]:
        """`canary check --server`, as a pipeline that knows nothing of the cluster."""
        where = [f"--namespace={namespace or self.shop.namespace.name}", f"--rules={rules}", f"--server={self.url}"]
        known = {name: value for name, value in os.environ.items() if not name.startswith(("CANARY_", "KUBE"))}
        words = ["check", f"helm/{RELEASE}", *where, "--output=json", *flags]
        with Checking(words, known | {"CANARY_TOKEN": token}, self.folder) as checking:
            yield checking

    def check(self, *flags: str, token: str, namespace: str = "") -> Checked:
        """`canary check --server`, to its end."""
        with self.checking(*flags, token=token, namespace=namespace) as checking:
            return checking.result()


def service_account(namespace: Namespace, *granted: str) -> Path:
    """A kubeconfig with the rights of the chart's roles, bound in this namespace alone."""
    name = f"{_ACCOUNT}-{namespace.name}"  # what is of the whole cluster, each test has for itself
    kubeconfig = namespace.folder / f"{name}.kubeconfig"
    if kubeconfig.exists():  # another replica has made it
        return kubeconfig
    namespace.service_account(name)
    grant_across(namespace, name, granted)
    return kubeconfig


def caller(namespace: Namespace, name: str) -> str:
    """A new ServiceAccount that may do nothing in the cluster; its name for the grants."""
    namespace.kubectl("create", "serviceaccount", name)
    return f"system:serviceaccount:{namespace.name}:{name}"


def token_of(namespace: Namespace, name: str, audience: str = "") -> str:
    """A token of a ServiceAccount, as a pod would get it; without an audience it is meant for the API server."""
    flags = [f"--audience={audience}"] if audience else []
    return namespace.kubectl("create", "token", name, "--duration=1h", *flags).strip()


def rolled_back(shop: Shop) -> list[str]:
    """To which revision Helm was told to go back, each time that it was."""
    told = shop.namespace.helm(shop.helm, "history", RELEASE, "--output=json")
    return re.findall(r"Rollback to (\d+)", " ".join(one["description"] for one in json.loads(told)))


def kept_in_cluster(shop: Shop) -> list[str]:
    """What the cluster remembers of the analyses of the release: `fail, rollback done, recovered`."""
    judged = map(json.loads, shop.namespace.get("configmap", name_of(RELEASE))["data"].values())
    return [f"{each['verdict']}, {each['action']}" for each in judged]


def rollback_under(pid: int) -> int:
    """The `helm rollback` that a process has started, or one of its own; 0 if there is none."""
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _read(children).split()):
            if b"rollback" in _read(Path(f"/proc/{child}/cmdline")).split(b"\0"):
                return child
            if found := rollback_under(child):
                return found
    return 0


def _read(file: Path) -> bytes:
    """Nothing, of a process that has just ended."""
    try:
        return file.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def roles(file: Path) -> Mapping[str, Any]:
    """The rules of each Role or ClusterRole of a file, by its name."""
    documents = YAML(typ="safe").load_all(file.read_text())
    return {each["metadata"]["name"]: each["rules"] for each in documents if "rules" in each}
