"""What tests use of the bed: `Bed.attach()` in a process that `python -m tests.cluster` has started."""

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.cluster.control_plane import SERVER, ControlPlane
from tests.cluster.health import until
from tests.cluster.namespace import Namespace
from tests.cluster.process import CommandError, run
from tests.cluster.supervisor import ask

ENVIRONMENT = "E2E_BED"
_DESCRIPTION = "bed.json"


def describe(folder: Path, plane: ControlPlane) -> Path:
    """Write down, for `Bed.attach`, where everything is; return the admin's kubeconfig."""
    kubeconfig = plane.kubeconfig("admin")
    content = {
        "kubeconfig": str(kubeconfig),
        "authority": str(plane.authority),
        "programs": {name: str(path) for name, path in plane.programs.items()},
    }
    (folder / _DESCRIPTION).write_text(json.dumps(content))
    return kubeconfig


@dataclass(frozen=True)
class Bed:
    """A running control plane with one node. Its admin may do everything."""

    folder: Path
    kubeconfig: Path
    authority: Path
    programs: dict[str, Path]
    server: str = SERVER

    @classmethod
    def attach(cls, folder: Path | None = None) -> "Bed":
        """The bed around this process, or that in a folder. KeyError if there is none."""
        folder = folder or Path(os.environ[ENVIRONMENT])
        content = json.loads((folder / _DESCRIPTION).read_text())
        return cls(
            folder=folder,
            kubeconfig=Path(content["kubeconfig"]),
            authority=Path(content["authority"]),
            programs={name: Path(path) for name, path in content["programs"].items()},
        )

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """What it prints. CommandError with its complaint if it fails."""
        return run([self.programs["kubectl"], f"--kubeconfig={self.kubeconfig}", *arguments], stdin=stdin)

    def apply(self, manifest: str) -> None:
        """`manifest` is YAML or JSON, of any number of objects."""
        self.kubectl("apply", "--filename=-", stdin=manifest)

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        """One object. CommandError if it is not there."""
        where = [f"--namespace={namespace}"] if namespace else []
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "--output=json", *where))
        return found

    @contextmanager
    def namespace(self, prefix: str = "test") -> Iterator[Namespace]:
        """A new namespace that pods can be created in; at the end it is deleted, and nobody waits for that."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        self.kubectl("create", "namespace", name)
        try:
            until(lambda: self._has_account(name), seconds=30, what=f"the ServiceAccount `default` in {name}")
            folder = self.folder / "namespaces" / name
            folder.mkdir(parents=True)
            yield Namespace(self, name, folder)
        finally:
            self.kubectl("delete", "namespace", name, "--wait=false")

    def stop(self, program: str) -> None:
        """End a program of the control plane ("kube-apiserver", "etcd", "kubelet", …) and keep it from being restarted.

        Returns when it is down. A test that does this asks for the fixture `alone`.
        """
        ask(self.folder, f"stop {program}")

    def start(self, program: str) -> None:
        """Return when it is ready; nothing happens if it runs. StartError with the end of its log if it does not."""
        ask(self.folder, f"start {program}")

    def tools(self, helm: int) -> Path:
        """A folder for PATH, in which `helm` is Helm 3 or 4, beside `kubectl` and the plugin of Argo Rollouts."""
        folder = self.folder / f"tools-helm{helm}"
        folder.mkdir(exist_ok=True)
        for name, program in (("helm", f"helm{helm}"), ("kubectl", "kubectl"), *[("kubectl-argo-rollouts",) * 2]):
            link = folder / name
            if not link.exists():
                self._link(link, self.programs[program])
        return folder

    @staticmethod
    def _link(link: Path, target: Path) -> None:
        new = link.with_name(f"{link.name}.{secrets.token_hex(4)}")
        new.symlink_to(target)
        new.replace(link)  # other workers do the same

    def _has_account(self, namespace: str) -> bool:
        try:
            self.kubectl("get", "serviceaccount", "default", f"--namespace={namespace}")
        except CommandError:
            return False
        return True


__all__ = ["ENVIRONMENT", "Bed", "CommandError", "Namespace", "describe"]
