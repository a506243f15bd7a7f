"""A Helm release as the commands about it are told of it: the helm program, the cluster, the namespace."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import UsageError
from analyzer.model.target import PlatformKind, Target
from analyzer.platforms.cluster import Cluster, ClusterSettings
from analyzer.platforms.helm_program import HelmProgram, HelmSettings


@dataclass(frozen=True)
class Order:
    """Which release, by the flags that were given. `release` may be written as `helm/NAME`."""

    release: str
    namespace: str | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    helm: Path | None = None

    @property
    def target(self) -> Target:
        """The release.

        Raises:
            UsageError: it is no Helm release.
        """
        kind, slash, name = self.release.rpartition("/")
        if (slash and kind != PlatformKind.HELM) or not name:
            raise UsageError(f"RELEASE {self.release!r}: write the name of a Helm release, such as web")
        return Target(kind=PlatformKind.HELM, name=name, namespace=self.namespace or "")


@dataclass(frozen=True)
class Opened:
    """A release whose history and cluster can be asked."""

    target: Target
    program: HelmProgram
    cluster: Cluster

    @property
    def name(self) -> str:
        return self.program.release

    async def namespace(self) -> str:
        """The release's namespace.

        Raises:
            PlatformError: none is given, and no cluster is configured.
        """
        named = self.target.namespace or self.program.env.get("HELM_NAMESPACE", "")
        return named or await self.cluster.namespace()


@asynccontextmanager
async def opened(order: Order) -> AsyncIterator[Opened]:
    """The release, to be asked; connections are closed at the end.

    Raises:
        UsageError: it cannot be the name of a release.
    """
    kubeconfig = str(order.kubeconfig) if order.kubeconfig else None
    settings = HelmSettings(
        program=str(order.helm) if order.helm else "helm", kubeconfig=kubeconfig, context=order.context
    )
    program = HelmProgram(order.target, settings)
    cluster = Cluster(ClusterSettings.of(order.kubeconfig, order.context))
    try:
        yield Opened(order.target, program, cluster)
    finally:
        await cluster.close()
