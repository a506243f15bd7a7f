"""How what a GitOps tool brings out is taken back: through it, and never against it."""

from dataclasses import dataclass
from enum import StrEnum


class GitOpsMode(StrEnum):
    """What the analyzer may do to an owner that would bring the revision out again."""

    HOLD = "hold"  # nothing: a person reverts in Git
    SUSPEND = "suspend"  # switch its automation off, and pin it to the last good revision
    ROLLBACK = "rollback"  # switch its automation off, and have it roll back by its own history
    REVERT = "revert"  # push a revert to the branch that it follows
    PROPOSE = "propose"  # push a revert as a branch of its own, for a pull request


IN_GIT = frozenset({GitOpsMode.REVERT, GitOpsMode.PROPOSE})
"""The modes that change Git, and not the cluster."""


@dataclass(frozen=True)
class GitOps:
    """How to act through an owner. `repository` (a URL, or a path) and `branch` are where a revert is pushed to; empty:
    what the owner itself follows."""

    mode: GitOpsMode = GitOpsMode.HOLD
    repository: str = ""
    branch: str = ""
