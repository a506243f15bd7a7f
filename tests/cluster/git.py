"""A Git repository as a team has it: one that everybody pushes to, and a clone in which somebody works."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.cluster.process import run

BRANCH = "main"


class Commit(NamedTuple):
    """`sha` in full, and the first line of its message."""

    sha: str
    subject: str


@dataclass(frozen=True)
class GitRepository:
    """`url` may be cloned, fetched from and pushed to by whoever runs on this machine."""

    folder: Path

    @classmethod
    def create(cls, folder: Path) -> "GitRepository":
        """An empty one, in a new folder."""
        repository = cls(folder)
        _git(folder.parent, "init", "--quiet", "--bare", f"--initial-branch={BRANCH}", str(repository.bare))
        _git(folder, "clone", "--quiet", repository.url, "clone")
        return repository

    @property
    def bare(self) -> Path:
        """What is pushed to."""
        return self.folder / "origin.git"

    @property
    def url(self) -> str:
        return f"file://{self.bare}"

    def commit(self, files: Mapping[str, str | None], message: str) -> str:
        """Write these files (None deletes one) on top of what others have pushed, push, and return the commit."""
        clone = self.folder / "clone"
        if self.log():
            _git(clone, "fetch", "--quiet", "origin")
            _git(clone, "checkout", "--quiet", "-B", BRANCH, f"origin/{BRANCH}")
        for name, text in files.items():
            path = clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True) if text is None else path.write_text(text)
        _git(clone, "add", "--all")
        _git(clone, "commit", "--quiet", f"--message={message}")
        _git(clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{BRANCH}")
        return _git(clone, "rev-parse", "HEAD").strip()

    def log(self, branch: str = BRANCH) -> list[Commit]:
        """What has been pushed, the newest first; empty if there is no such branch."""
        if not _git(self.bare, "branch", "--list", branch):
            return []
        lines = _git(self.bare, "log", "--format=%H %s", branch).splitlines()
        return [Commit(*line.split(" ", 1)) for line in lines]

    def read(self, name: str, revision: str = BRANCH) -> str:
        """A file as it was pushed. CommandError if there is none."""
        return _git(self.bare, "show", f"{revision}:{name}")


def _git(folder: Path, *arguments: str) -> str:
    """As somebody whose settings on this machine do not matter."""
    person = {f"GIT_{role}_{field}": value for role in ("AUTHOR", "COMMITTER") for field, value in _PERSON.items()}
    environment = {**os.environ, **person, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    return run(["git", "-C", folder, *arguments], env=environment)


_PERSON = {"NAME": "Team", "EMAIL": "team@shop.example"}
