"""Record what the real Helm 3 and Helm 4 print, against a real API server (etcd and kube-apiserver, no controllers).

    python tests/platforms/recorded/record.py

builds the programs of tests/cluster/programs (minutes, the first time) and writes helm3/*.json and helm4/*.json anew.
Each file is one call: argv (without the program), exit code, stdout, stderr. Paths and ports of the machine are
replaced. Nothing here runs in `make test`; the tests replay the files.
"""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "cluster" / "programs" / "build"
NAMESPACE = "shop"

CHART = {
    "Chart.yaml": "apiVersion: v2\nname: shop\nversion: 0.1.0\nappVersion: '1.0'\n",
    "values.yaml": "tag: '1'\ngreeting: hello\nworkload: true\n",
    "templates/config.yaml": """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
data:
  greeting: {{ .Values.greeting }}
""",
    "templates/deployment.yaml": """\
{{- if .Values.workload }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  labels:
    helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
spec:
  replicas: 2
  selector:
    matchLabels: {app: {{ .Release.Name }}}
  template:
    metadata:
      labels: {app: {{ .Release.Name }}}
    spec:
      containers:
        - name: web
          image: registry.example/web:{{ .Values.tag }}
{{- end }}
""",
}

# user -> what it may do, beside "admin"; "stranger" may do nothing
ROLES = {
    "reader": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}],
    "half": [
        {"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["*"]},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list", "watch"]},
    ],
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


@dataclass
class Cluster:
    """A running API server; `kubeconfig(user)` is a file for each of its users."""

    folder: Path
    server: str

    def kubeconfig(self, user: str, server: str | None = None) -> Path:
        path = self.folder / f"{user}{'-away' if server else ''}.kubeconfig"
        cluster = {"server": server or self.server, "insecure-skip-tls-verify": True}
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": user}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
            "current-context": "test",
        }
        path.write_text(json.dumps(content))
        path.chmod(0o600)
        return path

    def ask(self, path: str, body: dict[str, object] | None = None) -> str:
        request = urllib.request.Request(
            self.server + path,
            data=json.dumps(body).encode() if body else None,
            headers={"Authorization": "Bearer admin", "Content-Type": "application/json"},
        )
        context = ssl._create_unverified_context()
        with urllib.request.urlopen(request, context=context, timeout=10) as answer:
            return str(answer.read().decode())


@contextmanager
def cluster(programs: dict[str, str]) -> Iterator[Cluster]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        client, peer, port = free_port(), free_port(), free_port()
        etcd = f"http://127.0.0.1:{client}"
        stack.enter_context(
            running(
                [
                    programs["etcd"],
                    f"--data-dir={folder / 'etcd'}",
                    f"--listen-client-urls={etcd}",
                    f"--advertise-client-urls={etcd}",
                    f"--listen-peer-urls=http://127.0.0.1:{peer}",
                    "--unsafe-no-fsync",
                ],
                folder / "etcd.log",
            )
        )
        users = ["admin,admin,1,system:masters", *(f"{user},{user},{user}" for user in [*ROLES, "stranger"])]
        (folder / "tokens.csv").write_text("\n".join(users) + "\n")
        key = folder / "service-account.key"
        subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
        log = folder / "kube-apiserver.log"
        stack.enter_context(
            running(
                [
                    programs["kube-apiserver"],
                    f"--etcd-servers={etcd}",
                    f"--secure-port={port}",
                    "--bind-address=127.0.0.1",
                    "--endpoint-reconciler-type=none",
                    f"--cert-dir={folder / 'certs'}",
                    "--service-account-issuer=https://kubernetes.default.svc",
                    f"--service-account-signing-key-file={key}",
                    f"--service-account-key-file={key}",
                    "--service-cluster-ip-range=10.96.0.0/16",
                    "--authorization-mode=RBAC",
                    f"--token-auth-file={folder / 'tokens.csv'}",
                ],
                log,
            )
        )
        bed = Cluster(folder, f"https://127.0.0.1:{port}")
        wait_until_ready(bed, log)
        bed.ask("/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        for user, rules in ROLES.items():
            rbac = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}"
            bed.ask(f"{rbac}/roles", {"metadata": {"name": user}, "rules": rules})
            subject = {"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
            role = {"kind": "Role", "name": user, "apiGroup": "rbac.authorization.k8s.io"}
            bed.ask(f"{rbac}/rolebindings", {"metadata": {"name": user}, "subjects": [subject], "roleRef": role})
        yield bed


def wait_until_ready(bed: Cluster, log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if bed.ask("/readyz") == "ok":
                return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.3)
    raise SystemExit(f"the API server is not ready:\n{log.read_text()[-3000:]}")


@dataclass
class Recorder:
    """Calls one helm and keeps what it prints."""

    helm: str
    bed: Cluster
    folder: Path
    chart: Path
    names: set[str] = field(default_factory=set)

    def call(self, *argv: str, user: str = "admin", kubeconfig: Path | None = None) -> subprocess.CompletedProcess[str]:
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.bed.folder),
            "KUBECONFIG": str(kubeconfig or self.bed.kubeconfig(user)),
        }
        return subprocess.run(
            [self.helm, *argv, f"--namespace={NAMESPACE}"],
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def change(self, *argv: str, works: bool = True, user: str = "admin") -> None:
        """A call that prepares, with the chart at the end; not recorded."""
        answer = self.call(*argv, str(self.chart), f"--namespace={NAMESPACE}", user=user)
        if (answer.returncode == 0) != works:
            raise SystemExit(f"{argv}: exit code {answer.returncode}\n{answer.stdout}\n{answer.stderr}")

    def record(
        self,
        name: str,
        *argv: str,
        code: int = 0,
        user: str = "admin",
        kubeconfig: Path | None = None,
        context: str | None = None,
    ) -> None:
        """One call as the adapter makes it: the namespace and the context come last."""
        argv = (*argv, f"--namespace={NAMESPACE}", *([f"--kube-context={context}"] if context else []))
        answer = self.call(*argv, user=user, kubeconfig=kubeconfig)
        if answer.returncode != code:
            raise SystemExit(f"{name}: exit code {answer.returncode}\n{answer.stdout}\n{answer.stderr}")
        assert name not in self.names, name
        self.names.add(name)
        case = {
            "argv": argv,
            "code": answer.returncode,
            "stdout": self.scrub(answer.stdout),
            "stderr": self.scrub(answer.stderr),
        }
        text = json.dumps(case, indent=2, ensure_ascii=False).replace(str(self.chart), "./chart")
        (self.folder / f"{name}.json").write_text(text + "\n")
        print(f"{self.folder.name}/{name}: {answer.returncode} {answer.stderr.strip()[:150]}")  # noqa: T201

    def record_flags(self, *argv: str) -> None:
        """The names of the flags that a subcommand knows, without its text."""
        flags = re.findall(r"^ +(?:-\w, )?(--[\w-]+)", self.call(*argv, "--help").stdout, re.MULTILINE)
        path = self.folder / f"{'-'.join(argv)}-flags.json"
        path.write_text(json.dumps(flags, indent=2) + "\n")

    def scrub(self, text: str) -> str:
        text = text.replace(str(self.bed.folder), "/home/ci")
        return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:6443", text)

    def kill_on_the_way(self, *argv: str) -> None:
        """Start a call that waits for pods, and kill it as a cancelled CI job would, once the revision is stored."""
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.bed.folder),
            "KUBECONFIG": str(self.bed.kubeconfig("admin")),
        }
        command = [self.helm, *argv, f"--namespace={NAMESPACE}", "--wait", "--timeout", "60s"]
        with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            newest = ("history", argv[1], "--max=1", "--output=json", f"--namespace={NAMESPACE}")
            deadline = time.monotonic() + 30
            while f"pending-{argv[0]}" not in self.call(*newest).stdout:
                if time.monotonic() > deadline:
                    raise SystemExit(f"{argv}: never pending")
                time.sleep(0.1)
            process.send_signal(signal.SIGKILL)


def strangers(recorder: Recorder) -> None:
    """What helm says when it cannot or may not look."""
    r, bed = recorder, recorder.bed
    away = bed.kubeconfig("admin", server=f"https://127.0.0.1:{free_port()}")
    history = ("history", "web", "--max=256", "--output=json")
    r.record("version", "version", "--short")
    r.record_flags("rollback")
    r.record("history-not-found", *history, code=1)
    r.record("history-unreachable", *history, code=1, kubeconfig=away)
    r.record("history-no-kubeconfig", *history, code=1, kubeconfig=bed.folder / "missing")
    r.record("history-no-context", *history, context="nope", code=1)
    r.record("history-forbidden", *history, code=1, user="stranger")
    r.record("history-unauthorized", *history, code=1, user="nobody-known")


def life(recorder: Recorder) -> None:
    """One release from its install to its end: every status, and every way in which a rollback ends."""
    r = recorder
    history = ("history", "web", "--max=256", "--output=json")
    r.change("install", "web")
    r.record("history-installed", *history)
    r.change("upgrade", "web", "--set", "tag=2")
    r.record("history-upgraded", *history)
    r.record("status", "status", "web", "--output", "json")
    r.record("manifest-1", "get", "manifest", "web", "--revision=1")
    r.record("manifest-2", "get", "manifest", "web", "--revision=2")
    r.record("manifest-not-found", "get", "manifest", "web", "--revision=99", code=1)
    r.record("rollback-not-found", "rollback", "web", "99", "--timeout=300s", code=1)
    r.record("rollback-of-nothing", "rollback", "nothing", "1", "--timeout=300s", code=1)
    r.change("upgrade", "web", "--set", "tag=2,greeting=hi")
    r.record("history-same-pods", *history)
    r.record("manifest-3", "get", "manifest", "web", "--revision=3")
    r.change("upgrade", "web", "--set", "tag=4", "--wait", "--timeout", "1s", works=False)
    r.record("history-failed", *history)
    r.record("rollback", "rollback", "web", "3", "--timeout=300s")
    r.record("history-rolled-back", *history)
    r.record("history-newest", "history", "web", "--max=1", "--output=json")
    r.record("rollback-timed-out", "rollback", "web", "2", "--timeout=1s", "--wait", code=1)
    r.record("history-rollback-timed-out", *history)
    r.record("rollback-forbidden", "rollback", "web", "2", "--timeout=300s", code=1, user="reader")
    r.record("rollback-half-forbidden", "rollback", "web", "1", "--timeout=300s", code=1, user="half")
    r.record("history-rollback-failed", *history)
    r.kill_on_the_way("upgrade", "web", str(r.chart), "--set", "tag=8")
    r.record("history-pending-upgrade", *history)
    r.record("status-pending-upgrade", "status", "web", "--output", "json")
    r.record("upgrade-in-progress", "upgrade", "web", str(r.chart), code=1)
    r.kill_on_the_way("rollback", "web", "2")
    r.record("history-pending-rollback", *history)
    r.record("rollback-after-pending", "rollback", "web", "2", "--timeout=300s")
    r.record("history-after-pending", *history)
    for number in range(4, 11):
        r.record(f"manifest-{number}", "get", "manifest", "web", f"--revision={number}")
    r.change("upgrade", "web", "--set", "tag=9", "--history-max", "1")
    r.record("history-pruned", *history)
    r.record("manifest-11", "get", "manifest", "web", "--revision=11")
    r.call("uninstall", "web", "--keep-history", f"--namespace={NAMESPACE}")
    r.record("history-uninstalled", *history)


def others(recorder: Recorder) -> None:
    """Releases that a life of one does not show."""
    r = recorder
    # A failed install becomes `superseded` by the upgrade after it, without ever having been deployed.
    r.change("install", "broken", "--wait", "--timeout", "1s", works=False)
    r.change("upgrade", "broken", "--set", "tag=2")
    r.record("history-never-deployed", "history", "broken", "--max=256", "--output=json")
    for number in (1, 2):
        r.record(f"manifest-broken-{number}", "get", "manifest", "broken", f"--revision={number}")
    # Without a workload the wait ends at once: no controller runs here that would make pods ready.
    r.change("install", "config", "--set", "workload=false")
    r.change("upgrade", "config", "--set", "workload=false,greeting=hi")
    r.record("rollback-waited", "rollback", "config", "1", "--timeout=300s", "--wait")
    r.record("history-config", "history", "config", "--max=1", "--output=json")
    flags = ("--timeout=90s", "--wait", "--no-hooks", "--cleanup-on-fail", "--history-max=5")
    r.record("rollback-all-flags", "rollback", "config", "1", *flags)
    if r.folder.name == "helm3":
        r.record("rollback-force", "rollback", "config", "2", "--force")
    else:
        r.record("rollback-force-conflicts", "rollback", "config", "2", "--force-conflicts")
        r.record("rollback-force-replace", "rollback", "config", "1", "--force-replace", code=1)
        r.record("rollback-client-side", "rollback", "config", "1", "--force-replace", "--server-side=false")
    r.record("history-forced", "history", "config", "--max=256", "--output=json")


def main() -> None:
    names = ["helm3", "helm4", "etcd", "kube-apiserver"]
    built = subprocess.run([BUILD, *names], check=True, capture_output=True, text=True).stdout
    programs = dict(line.split(maxsplit=1) for line in built.splitlines())
    for name in ("helm3", "helm4"):
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        with cluster(programs) as bed:
            chart = bed.folder / "chart"
            for path, content in CHART.items():
                (chart / path).parent.mkdir(parents=True, exist_ok=True)
                (chart / path).write_text(content)
            recorder = Recorder(programs[name], bed, folder, chart)
            for part in (strangers, life, others):
                part(recorder)


if __name__ == "__main__":
    main()
