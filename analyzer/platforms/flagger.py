"""A Canary of Flagger: whose pods are whose. Flagger itself promotes and takes back; this only looks."""

from analyzer.errors import PlatformError
from analyzer.model.reading import Absence, Missing, Pods
from analyzer.model.target import Confirm, Deployment, Intent, PodSides, Receipt, Revision, Target, at_any_time
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.flagger_canary import Canary, canary_of, number_of
from analyzer.platforms.parts import mapping, seconds
from analyzer.platforms.pods import Group, ReleasePods, health
from analyzer.platforms.workloads import Workload, either, exactly, is_serving, name_of


class Flagger:
    """The platform of one Canary; implements the engine's port `Platform`.

    The Deployment that the Canary names has the new revision, the one that Flagger makes beside it (`NAME-primary`) the
    last good one. Without a namespace in `target`, that of the kubeconfig's context applies.
    """

    def __init__(self, target: Target, cluster: Cluster) -> None:
        self._target = target
        self._cluster = cluster

    async def namespace(self) -> str:
        """The namespace of the Canary.

        Raises:
            PlatformError: no cluster is configured.
        """
        return self._target.namespace or await self._cluster.namespace()

    async def look(self) -> Deployment:
        """What the Canary and both Deployments say now.

        Raises:
            NoRelease: there is no such Canary.
            PlatformError: a sentence for the user; PlatformUnavailable when asking again may help.
        """
        namespace = await self.namespace()
        canary = await canary_of(self._cluster, namespace, self._target.name)
        if not canary.deployment:
            raise PlatformError(canary.over)
        new, primary = await self._groups(canary, namespace)
        if new.live is None or new.generations is None:
            raise PlatformError(f"there is no Deployment {canary.deployment} in namespace {namespace}")
        return Deployment(
            target=self._target,
            current=Revision(
                number=number_of(new.live),
                status=canary.phase,
                deployed_at=_brought_out(canary, new),
                digest=new.generations.current,
            ),
            no_way_back=self._no_way_back,
            taken_back=canary.over,
            pods=_sides(new, primary, namespace),
            no_pods=f"the cluster has no pods of {self._target} yet",
        )

    async def _groups(self, canary: Canary, namespace: str) -> tuple[Group, Group]:
        """The new revision's, and the primary."""
        names = (canary.deployment, canary.primary)
        both = tuple(Workload("Deployment", "apps/v1", namespace, name, {}) for name in names)
        new, primary = await ReleasePods(self._cluster).look(both, ())
        return new, primary

    async def health(self) -> tuple[Pods | Missing, Pods | None]:
        """How the pods of the new revision and of the primary fare now.

        Raises:
            PlatformError: as for `look`.
        """
        namespace = await self.namespace()
        canary = await canary_of(self._cluster, namespace, self._target.name)
        if not canary.deployment:
            return Missing(why=Absence.NO_SERIES, detail=canary.over), None
        new, primary = await self._groups(canary, namespace)
        fares, _ = health((new,))
        before, _ = health((primary,))
        return fares, before if isinstance(before, Pods) else None

    async def lacking(self, deployment: Deployment) -> str:  # noqa: ARG002 -- as the other platforms have it
        """No rights are needed for a way back that is Flagger's."""
        return ""

    async def verdicts(self) -> None:
        """Flagger's own status says what became of a revision: nothing is kept beside it."""

    async def take_back(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt:  # noqa: ARG002 -- the port's
        """Never; see the port."""
        return Receipt(ok=False, detail=self._no_way_back)

    async def settle(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt | None:  # noqa: ARG002 -- the port's
        """Nothing was begun; see the port."""
        return None

    @property
    def _no_way_back(self) -> str:
        return f"Flagger itself takes {self._target} back, by what its webhooks are answered (docs/flagger.md)"


def _sides(new: Group, primary: Group, namespace: str) -> PodSides | None:
    """Which pods are whose; None before there is a ReplicaSet. The primary is waited for only while it serves."""
    if new.generations is None or not new.generations.current:
        return None
    canary = new.generations.pattern(new.generations.current)
    serving = [pod for pod in primary.current if is_serving(pod)]
    past = primary.generations.pattern(primary.generations.current) if primary.generations else ""
    sides = PodSides(
        namespace=namespace,
        canary=canary,
        baseline=past if serving else "",
        past=past,
        whole=either(group.generations.whole for group in (new, primary) if group.generations),
    )
    if past != canary:
        return sides
    # Names so long that both ReplicaSets' are cut off at the same sign: then it is just the pods that there are.
    return sides.model_copy(
        update={
            "canary": exactly(map(name_of, new.current)),
            "baseline": exactly(map(name_of, serving)),
            "past": exactly(map(name_of, primary.current)),
            "shares_names": True,
        }
    )


def _brought_out(canary: Canary, new: Group) -> float | None:
    """When the current try was: its pods were started for it; before there is one, when Flagger began it."""
    created = [seconds(mapping(pod, "metadata").get("creationTimestamp")) for pod in new.current]
    times = [moment for moment in created if moment is not None]
    return min(times) if times else canary.began_at
