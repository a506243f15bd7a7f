"""What is told on workloads: Events, and annotations with the result of an analysis."""

from collections.abc import Sequence

from analyzer.platforms.cluster import Cluster


async def tell_refused(cluster: Cluster, workloads: Sequence[str], about: str, reason: str) -> None:
    """An Event of the reason CanaryNotAnalysed (Warning) on these workloads (`Deployment shop/web`, as `str` of a
    `Marked`): why an upgrade that was seen is not analysed.

    `about` names what was seen (the key of its order), so that each is told once, also by two replicas and after a
    crash.

    Raises:
        PlatformError: it could not be told; PlatformForbidden without the right to create Events.
    """
    raise NotImplementedError
