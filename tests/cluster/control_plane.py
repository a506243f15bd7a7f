"""The control plane: the real etcd, API server and controllers, on addresses that only these namespaces have.

`enter` gives each bed a network of its own, so every port here is fixed.
"""

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.cluster.argocd import ArgoCD, settings
from tests.cluster.health import answers, until
from tests.cluster.kubeconfig import write_kubeconfig
from tests.cluster.process import CommandError, run
from tests.cluster.supervisor import Program

HERE = Path(__file__).parent
ADDRESS = "10.244.255.1"  # see `enter`
SERVER = f"https://{ADDRESS}:443"  # 443, and 10.96.0.1 is on the loopback: the Service `kubernetes` works as it stands
ETCD = "http://127.0.0.1:2379"
NODE = "node-1"

# Those that these tests have no use for; each costs watches, goroutines and processor time.
_IDLE_CONTROLLERS = (
    "certificatesigningrequest-approving-controller",
    "certificatesigningrequest-cleaner-controller",
    "certificatesigningrequest-signing-controller",
    "cloud-node-lifecycle-controller",
    "device-taint-eviction-controller",
    "ephemeral-volume-controller",
    "horizontal-pod-autoscaler-controller",
    "kube-apiserver-serving-clustertrustbundle-publisher-controller",
    "legacy-serviceaccount-token-cleaner-controller",
    "node-ipam-controller",
    "node-route-controller",
    "persistentvolume-attach-detach-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-expander-controller",
    "persistentvolume-protection-controller",
    "podcertificaterequest-cleaner-controller",
    "podgroup-protection-controller",
    "resourceclaim-controller",
    "resourcepoolstatusrequest-controller",
    "service-cidr-controller",
    "service-lb-controller",
    "storage-version-migrator-controller",
    "storageversion-garbage-collector-controller",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
    "volumeattributesclass-protection-controller",
)


def definitions(programs: Mapping[str, Path], program: str) -> Path:
    """The folder with the custom resource definitions of a program; `programs/manifests` fills it."""
    return programs[program].parent / "crds"


@dataclass
class ControlPlane:
    """Files and command lines of a control plane in a folder. `programs` are the paths of what was built."""

    folder: Path
    programs: Mapping[str, Path]
    tokens: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._write_tokens("admin", "controllers", "kubelet", "argo-rollouts", "argocd", "flagger")
        key = ["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(self.key)]
        subprocess.run(key, check=True, capture_output=True)

    @property
    def key(self) -> Path:
        """The key that signs the tokens of ServiceAccounts."""
        return self.folder / "service-account.key"

    @property
    def authority(self) -> Path:
        """What the API server makes at its first start: its certificate, and the one that this is signed with."""
        return self.folder / "certificates" / "apiserver.crt"

    def kubeconfig(self, user: str) -> Path:
        """That of one of the tokens' users; the API server must have been started before."""
        path = self.folder / f"{user}.kubeconfig"
        if not path.exists():
            write_kubeconfig(
                path,
                server=SERVER,
                authority=self.authority,
                user=user,
                token=self.tokens[user],
                namespace="default",
            )
        return path

    def all(self) -> list[Program]:
        """In the order of their start."""
        kubelet = [self._kubelet()] if (HERE / "kubelet" / "__main__.py").exists() else []
        cluster = [self._etcd(), self._api_server(), self._controllers(), *kubelet]
        return [*cluster, self._argo_rollouts(), *self._argocd(), self._flagger()]

    def _write_tokens(self, *users: str) -> None:
        self.tokens = {user: secrets.token_hex(16) for user in users}
        file = self.folder / "tokens.csv"
        file.touch(mode=0o600)
        file.write_text("".join(f"{token},{user},{user},system:masters\n" for user, token in self.tokens.items()))

    def _etcd(self) -> Program:
        command = [
            str(self.programs["etcd"]),
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={ETCD}",
            f"--advertise-client-urls={ETCD}",
            "--listen-peer-urls=http://127.0.0.1:2380",
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
        return Program("etcd", command, partial(answers, f"{ETCD}/readyz"))

    def _api_server(self) -> Program:
        command = [
            str(self.programs["kube-apiserver"]),
            f"--etcd-servers={ETCD}",
            "--bind-address=0.0.0.0",
            "--secure-port=443",
            f"--advertise-address={ADDRESS}",
            f"--cert-dir={self.authority.parent}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={self.key}",
            f"--service-account-key-file={self.key}",
            "--service-cluster-ip-range=10.96.0.0/16",
            "--authorization-mode=RBAC",
            f"--token-auth-file={self.folder / 'tokens.csv'}",
            "--enable-priority-and-fairness=false",  # many tests at once are no abuse
            "--max-requests-inflight=0",
            "--max-mutating-requests-inflight=0",
        ]
        ready = partial(answers, f"{SERVER}/readyz", authority=self.authority, token=self.tokens["admin"])
        return Program("kube-apiserver", command, ready, grace=1.0)  # it would let watches end, for a minute

    def _controllers(self) -> Program:
        command = [
            str(self.programs["kube-controller-manager"]),
            f"--kubeconfig={self.folder / 'controllers.kubeconfig'}",
            f"--service-account-private-key-file={self.key}",
            f"--root-ca-file={self.authority}",
            f"--controllers=*,{','.join(f'-{name}' for name in _IDLE_CONTROLLERS)}",
            "--leader-elect=false",
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            "--concurrent-namespace-syncs=4",
            "--node-monitor-period=1s",
            "--endpointslice-updates-batch-period=0s",
            "--endpoint-updates-batch-period=0s",
        ]
        return Program(
            "kube-controller-manager",
            command,
            partial(answers, "https://127.0.0.1:10257/healthz"),
            before=lambda: self._make("controllers"),
        )

    def _kubelet(self) -> Program:
        data = self.folder / "kubelet"
        data.mkdir(exist_ok=True)
        command = [
            *(sys.executable, "-m", "tests.cluster.kubelet"),
            f"--kubeconfig={self.folder / 'kubelet.kubeconfig'}",
            f"--node={NODE}",
            f"--folder={data}",
            *(f"--program={name}={self.programs[name]}" for name in ("helm3", "helm4", "kubectl")),
        ]
        return Program("kubelet", command, self._node_is_ready, before=lambda: self._make("kubelet"))

    def _argo_rollouts(self) -> Program:
        command = [
            str(self.programs["argo-rollouts"]),
            f"--kubeconfig={self.folder / 'argo-rollouts.kubeconfig'}",
            "--leader-elect=false",
            "--qps=1000",
            "--burst=2000",
            "--healthzPort=10258",  # not 8080, where pods would like to listen
            "--metricsPort=10259",
        ]
        ready = partial(answers, "http://127.0.0.1:10258/healthz")
        return Program("argo-rollouts", command, ready, before=lambda: self._install("argo-rollouts"), waits=True)

    def _flagger(self) -> Program:
        command = [
            str(self.programs["flagger"]),
            f"--kubeconfig={self.folder / 'flagger.kubeconfig'}",
            "--mesh-provider=kubernetes",  # without a mesh: Services alone
            "--metrics-server=http://127.0.0.1:1",  # none of its own checks is asked for
            "--port=10264",
        ]
        ready = partial(answers, "http://127.0.0.1:10264/healthz")
        return Program("flagger", command, ready, before=lambda: self._install("flagger"), waits=True)

    def _argocd(self) -> list[Program]:
        argocd = ArgoCD(
            folder=self.folder / "argocd",
            program=self.programs["argocd"],
            helm=self.programs["helm3"],
            kubeconfig=self.folder / "argocd.kubeconfig",
        )
        return argocd.programs(self._install_argocd)

    def _make(self, user: str) -> None:
        self.kubeconfig(user)

    def _install(self, program: str) -> None:
        self._make(program)
        self._define(program)

    def _install_argocd(self) -> None:
        self._install("argocd")
        self._kubectl("apply", "--filename=-", stdin=settings())

    def _define(self, program: str) -> None:
        folder = definitions(self.programs, program)
        self._kubectl("apply", "--server-side", "--force-conflicts", f"--filename={folder}")
        until(lambda: self._are_established(folder), seconds=30, what=f"{program}'s definitions are established")

    def _are_established(self, folder: Path) -> bool:
        """`kubectl wait` ends with an error at one that has no conditions yet."""
        found = json.loads(self._kubectl("get", f"--filename={folder}", "--output=json"))["items"]
        conditions = [one.get("status", {}).get("conditions") or [] for one in found]
        return all(any((one["type"], one["status"]) == ("Established", "True") for one in some) for some in conditions)

    def _node_is_ready(self) -> bool:
        query = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
        try:
            return self._kubectl("get", "node", NODE, "--ignore-not-found", "-o", query) == "True"
        except CommandError:
            return False

    def _kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        return run([self.programs["kubectl"], f"--kubeconfig={self.kubeconfig('admin')}", *arguments], stdin=stdin)
