"""`canary serve` as a process that a test starts, kills and starts again, and what a pipeline asks of it over HTTP."""

import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from ruamel.yaml import YAML

from analyzer.platforms.verdicts import name_of
from tests.cluster.health import until
from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.checking import Checked, Checking
from tests.cluster.scenarios.shop import HERE, RELEASE, RULES, Shop

Json = dict[str, Any]

RIGHTS = HERE.parents[2] / "deploy" / "serve" / "rbac.yaml"
RULE_SETS = RULES.parent
_ACCOUNT = "canary-analyzer"
_STARTS_WITHIN = 60.0  # seconds
_ENDS_WITHIN = 30.0


class Serving:
    """The service of one shop: `start`, then `kill` or `end`, and `start` again on the same address and database.

    It may roll back if `acting`, else only observe; `of` begins the names of these roles. With `watch`, its settings
    for the shop's namespace, it sees upgrades by itself. `settings` replace those of its file. `token` is that of
    somebody who may do all in the shop's namespace. `name` is that of its files.
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
        self.shop, self.folder = shop, shop.namespace.folder
        self.token = f"canary_tests_{secrets.token_hex(16)}"
        self.url = ""
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
        sha256 = hashlib.sha256(self.token.encode()).hexdigest()
        return {
            "database": f"sqlite:///{self.folder / 'canary.db'}",
            "prometheus": {"default": {"url": self.shop.prometheus.url, "timeout": 10}},
            "rules": [str(RULE_SETS)],
            "access": {"tokens": {"tests": {"sha256": sha256, "grants": {self.shop.namespace.name: "admin"}}}},
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

    def ask(self, method: str, path: str, body: Json | None = None, *, token: str = "") -> httpx.Response:
        """One request, of who may do all unless another `token` is given."""
        headers = {"Authorization": f"Bearer {token or self.token}"}
        return httpx.request(method, self.url + path, json=body, headers=headers, timeout=30, trust_env=False)

    def order(self, rules: Path = RULES, **more: Any) -> str:  # noqa: ANN401 -- JSON
        """Order the analysis of the shop's release; its id."""
        wanted = {
            "target": f"helm/{RELEASE}",
            "namespace": self.shop.namespace.name,
            "rule_set": rules.read_text(),
        }
        answer = self.ask("POST", "/api/v1/analyses", wanted | more)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        return str(answer.json()["id"])

    def seen(self, count: int = 1) -> list[str]:
        """The ids of all analyses, the oldest first, once there are so many. TimeoutError if that does not come."""

        def all_of_them() -> list[str]:
            answer = self.ask("GET", "/api/v1/analyses?limit=200")
            assert answer.is_success, answer.text
            return [str(each["id"]) for each in reversed(answer.json()["items"])]

        try:
            until(lambda: len(all_of_them()) >= count, seconds=60, what=f"{count} analyses")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{self.said}") from None
        return all_of_them()

    def metric(self, line: str) -> float:
        """The value of a series, such as `canary_watch_upgrades_total{outcome="first"}`."""
        told = self.ask("GET", "/metrics").text
        return next((float(each.rpartition(" ")[2]) for each in told.splitlines() if each.startswith(f"{line} ")), 0.0)

    def analysis(self, id_: str) -> Json:
        """As it stands, with its report."""
        answer = self.ask("GET", f"/api/v1/analyses/{id_}")
        assert answer.is_success, answer.text
        found: Json = answer.json()
        return found

    def watched(self, id_: str) -> None:
        """Return when it has a plan. TimeoutError if that does not come."""
        until(lambda: self.analysis(id_)["report"], seconds=60, what=f"the plan of analysis {id_}")

    def ended(self, id_: str, seconds: float = 180) -> "Ended":
        """Wait for its end. TimeoutError, with how it stands and what the service has said, if that does not come."""
        try:
            until(lambda: self.analysis(id_)["ended_at"], seconds=seconds, what=f"the end of analysis {id_}")
        except TimeoutError as error:
            raise TimeoutError(f"{error}\n{json.dumps(self.analysis(id_), indent=1)}\n{self.said}") from None
        return Ended(self.analysis(id_), self.said)

    def events(self, id_: str) -> list[str]:
        """The types of the events of its record, in their order."""
        answer = self.ask("GET", f"/api/v1/analyses/{id_}/events?limit=1000")
        assert answer.is_success, answer.text
        assert answer.json()["next"] is None, "there are more events than are looked at"
        return [str(each["event"]["type"]) for each in answer.json()["items"]]

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


class Ended:
    """An analysis that is over, as the service tells it."""

    def __init__(self, analysis: Json, said: str) -> None:
        self.report: Json = analysis["report"] or {}
        self._analysis, self._said = analysis, said

    def __str__(self) -> str:
        return f"{json.dumps(self._analysis, indent=1)}\n{self._said}"

    @property
    def summary(self) -> tuple[str | None, ...]:
        """State, verdict, action, its result, held by."""
        told = self._analysis
        return told["state"], told["verdict"], told["action"]["kind"], told["action"]["result"], told["held_by"]

    @property
    def reason(self) -> str:
        return str(self._analysis["reason"])


def service_account(namespace: Namespace, *granted: str) -> Path:
    """A kubeconfig with the rights of deploy/serve/rbac.yaml, bound in this namespace alone, as its head says."""
    name = f"{_ACCOUNT}-{namespace.name}"  # what is of the whole cluster, each test has for itself
    kubeconfig = namespace.folder / f"{name}.kubeconfig"
    if kubeconfig.exists():  # another replica has made it
        return kubeconfig
    namespace.service_account(name)
    text = RIGHTS.read_text().replace(_ACCOUNT, name).replace("namespace: canary}", f"namespace: {namespace.name}}}")
    namespace.apply(text)
    for role in granted:
        account = f"--serviceaccount={namespace.name}:{name}"
        namespace.kubectl("create", "rolebinding", f"{name}-{role}", f"--clusterrole={name}-{role}", account)
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
