"""`canary rbac`: the Role that the analyzer needs for one release."""

import asyncio
from collections.abc import Sequence

from analyzer.cli.release import Opened, Order, opened
from analyzer.cli.streams import tell
from analyzer.errors import PlatformError
from analyzer.platforms.rights import Needs, Release, role, survey

_AT_ONCE = 4  # helm processes
_RBAC_GROUP = "rbac.authorization.k8s.io"


def run(order: Order, account: str, *, acting: bool) -> int:
    """Print the Role; returns the exit code.

    Raises:
        CanaryError: a sentence for the user.
    """
    print(asyncio.run(_written(order, account, acting=acting)), end="")
    return 0


async def _written(order: Order, account: str, *, acting: bool) -> str:
    async with opened(order) as release:
        namespace = await release.namespace()
        kept = Release(namespace, release.program.storage, release.name)
        needs = await survey(release.cluster, await _manifests(release), kept)
    for kind in needs.unknown:
        tell(f"canary: the cluster does not know {kind}, which a kept revision has: no right is written for it")
    rights = {*needs.looking, *((*needs.verdicts, *needs.rollback) if acting else ())}
    subject = account if "/" in account else f"{namespace}/{account}"
    doing = "look at, keep verdicts of and roll back" if acting else "look at"
    head = f"# What canary needs to {doing} release {release.name} in namespace {namespace}.\n"
    return (
        head
        + (_escalation(needs) if acting else "")
        + role(tuple(rights), f"canary-analyzer.{namespace}.{release.name}", subject)
    )


async def _manifests(release: Opened) -> Sequence[str]:
    """Manifests and hooks of every revision that Helm keeps. What cannot be read any more is told."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def read(revision: int) -> tuple[str, ...]:
        async with turn:
            return await release.program.manifest(revision), await release.program.hooks(revision)

    await release.program.version()
    entries = await release.program.history()
    answers = await asyncio.gather(*(read(entry.revision) for entry in entries), return_exceptions=True)
    for entry, answer in zip(entries, answers, strict=True):
        if isinstance(answer, PlatformError):
            tell(f"canary: revision {entry.revision} is left out: {answer}")
        elif isinstance(answer, BaseException):
            raise answer
    return [text for answer in answers if not isinstance(answer, BaseException) for text in answer]


def _escalation(needs: Needs) -> str:
    """Kubernetes lets nobody grant what he has not."""
    granted = sorted({right.resource for right in needs.rollback if right.group == _RBAC_GROUP})
    if not granted:
        return ""
    return (
        f"# The release has {', '.join(granted)}. To change these one must have every right that they grant, or the\n"
        "# verbs bind and escalate on them, which amount to all rights: neither is written here; add what you will.\n"
    )
