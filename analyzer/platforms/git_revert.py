"""A revert in Git: what some commits have changed at some paths is taken out again, on top of what came since.

Not commit by commit: in a repository of many services that would take back what the same commits have done to others,
and a merge would need a choice of its parent. The tree of the bad commit gets the paths as they were in the good one;
that change is merged, three ways, into the branch as it is now.
"""

import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import PlatformConflict, PlatformError, UsageError
from analyzer.model.target import Confirm
from analyzer.platforms.git import Git, failure, shown, unusable

TRAILER = "Canary-Analysis"
PREFIX = "canary-analyzer/revert-"
"""Of the branches that are pushed for a pull request."""
_ATTEMPTS = 5  # pushes, if somebody pushes at the same time
_NAMED = 20  # commits in the message
_LONGEST = 200  # signs of each: a subject may be larger than what a program can be given
_BRANCH = "refs/heads/"
_NAME = re.compile(r"(?![-./])(?!.*(\.\.|//|@\{|\.lock(/|$)|/\.))[^\x00-\x20~^:?*\[\\\x7f]{1,250}(?<![/.])")
_CONFLICT = 1  # the exit code of git merge-tree


@dataclass(frozen=True)
class Wanted:
    """What is to be reverted. `paths` are folders or files from the root of the repository; none: all of it.

    `branch` is where the change is; empty: the default one of the repository. With `propose` the revert becomes a
    branch of its own. `trailer` marks the commit: its words are of one analysis alone.
    """

    good: str
    bad: str
    paths: tuple[str, ...]
    branch: str
    propose: bool
    title: str
    reason: str
    analysis: str


@dataclass(frozen=True)
class Reverted:
    """A commit that is pushed, and the branch that it is on. `before` says that it was there already."""

    commit: str
    branch: str
    before: bool = False


class Repository:
    """One remote repository, with a copy of what is needed of it."""

    def __init__(self, git: Git, url: str) -> None:
        self._git = git
        self._url = url

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, *, time_limit: float, named_by_hand: bool = False) -> AsyncIterator["Repository"]:
        """Nothing is fetched yet; what is copied goes at the end.

        Raises:
            PlatformError: there is no usable git, or the address is none.
        """
        if why := unusable(url, named_by_hand=named_by_hand):
            raise PlatformError(f"the repository {shown(url)!r} {why}")
        with _folder() as folder:
            git = Git(Path(folder), time_limit, paths=named_by_hand)
            await git.begin()
            yield cls(git, url)

    async def branch(self, named: str) -> str:
        """The branch of this name, or the default one.

        Raises:
            PlatformError: there is none, or the repository cannot be asked.
        """
        name = named.removeprefix(_BRANCH)
        if name in {"", "HEAD"}:
            told = await self._git.out("ls-remote", "--symref", "--", self._url, "HEAD")
            match = re.match(rf"ref: {_BRANCH}(\S+)\tHEAD", told)
            if not match:
                raise PlatformError(
                    "the repository does not say which branch is its default: name it (--gitops-branch)"
                )
            name = match[1]
        if not _NAME.fullmatch(name):
            raise PlatformError(f"{shown(name)!r} cannot be the name of a branch")
        if not await self._git.out("ls-remote", "--", self._url, _BRANCH + name):
            raise PlatformError(f"the repository has no branch {name}: say which one is meant by --gitops-branch")
        return name

    async def pushed(self, wanted: Wanted) -> Reverted | None:
        """The revert of this analysis, if it is there already.

        Raises:
            PlatformError: the repository cannot be asked.
        """
        branch = await self.branch(wanted.branch)
        if wanted.propose:
            own = PREFIX + wanted.analysis
            told = await self._git.out("ls-remote", "--", self._url, _BRANCH + own)
            return Reverted(told.split()[0], own, before=True) if told else None
        tip = await self._fetch(branch)
        return await self._marked(wanted, branch, tip)

    async def revert(self, wanted: Wanted, confirm: Confirm) -> Reverted:
        """Make the revert and push it, unless the branch has it already; ask `pushed` first.

        Raises:
            PlatformConflict: somebody pushes all the time.
            PlatformError: it cannot be done; the sentence says why. PlatformUnavailable when trying again may help.
            LeaseLost: it was not pushed, for `confirm` did not allow it.
        """
        branch = await self.branch(wanted.branch)
        to = PREFIX + wanted.analysis if wanted.propose else branch
        for _ in range(_ATTEMPTS):
            tip = await self._fetch(branch)
            if found := await self._marked(wanted, branch, tip):
                return found
            tree = await self._merged(wanted, tip, branch)
            if tree == await self._git.out("rev-parse", f"{tip}^{{tree}}"):
                return Reverted(tip, branch, before=True)  # somebody has done just that
            commit = await self._git.out("commit-tree", tree, "-p", tip, "-m", await self._message(wanted))
            if await self._push(commit, to, confirm):
                return Reverted(commit, to)
        raise PlatformConflict(f"somebody pushes to {branch} all the time, and each push came before ours")

    async def _fetch(self, branch: str) -> str:
        ref = _BRANCH + branch
        await self._git.out("fetch", "--quiet", "--no-tags", "--", self._url, f"+{ref}:{ref}")
        return await self._git.out("rev-parse", ref)

    async def _marked(self, wanted: Wanted, branch: str, tip: str) -> Reverted | None:
        await self._check_known(wanted, branch, tip)
        mark = f"^{TRAILER}: {re.escape(wanted.analysis)}$"
        found = await self._git.out("log", "--extended-regexp", f"--grep={mark}", "--format=%H", f"{wanted.bad}..{tip}")
        return Reverted(found.splitlines()[0], branch, before=True) if found else None

    async def _check_known(self, wanted: Wanted, branch: str, tip: str) -> None:
        for commit in (wanted.good, wanted.bad):
            if not re.fullmatch(r"[0-9a-f]{40,64}", commit):
                raise PlatformError(f"{shown(commit)[:50]!r} is no commit of Git")
            if not await self._git.holds("merge-base", "--is-ancestor", commit, tip):
                raise PlatformError(
                    f"the branch {branch} does not have the commit {commit[:12]}: say which branch has it by "
                    "--gitops-branch, or revert by hand"
                )

    async def _merged(self, wanted: Wanted, tip: str, branch: str) -> str:
        """The tree of the branch with the change taken out."""
        paths = [f":(top,literal){path}" for path in wanted.paths] or [":(top)"]
        await self._git.out("read-tree", wanted.bad)
        await self._git.out("restore", f"--source={wanted.good}", "--staged", "--", *paths)
        tree = await self._git.out("write-tree")
        if tree == await self._git.out("rev-parse", f"{wanted.bad}^{{tree}}"):
            where = f"in {', '.join(wanted.paths)}" if wanted.paths else "in the repository"
            raise PlatformError(
                f"nothing {where} differs between {wanted.good[:12]} and {wanted.bad[:12]}: revert by hand"
            )
        undone = await self._git.out("commit-tree", tree, "-p", wanted.bad, "-m", "revert")
        outcome = await self._git.run("merge-tree", "--write-tree", "--name-only", "--no-messages", tip, undone)
        if outcome.code == _CONFLICT and not outcome.timed_out:
            files = ", ".join(dict.fromkeys(outcome.stdout.splitlines()[1:]))
            raise PlatformError(
                f"the revert conflicts with later commits on {branch} in {shown(files)[:300]}: revert "
                f"{wanted.good[:12]}..{wanted.bad[:12]} by hand"
            )
        if not outcome.ok:
            raise failure(outcome, "merge-tree", self._git.time_limit)
        return outcome.stdout.strip()

    async def _message(self, wanted: Wanted) -> str:
        paths = [f":(top,literal){path}" for path in wanted.paths]
        listed = await self._git.out(
            "log",
            "--no-decorate",
            "--format=- %h %s",
            f"--max-count={_NAMED}",
            f"{wanted.good}..{wanted.bad}",
            "--",
            *paths,
        )
        commits = "\n".join(line[:_LONGEST] for line in listed.splitlines())
        where = f" in {', '.join(wanted.paths)}" if wanted.paths else ""
        told = f"Takes back what was changed{where} by:\n{commits}"
        return "\n\n".join([wanted.title, wanted.reason, told, f"{TRAILER}: {wanted.analysis}"])

    async def _push(self, commit: str, branch: str, confirm: Confirm) -> bool:
        """Whether it was taken; False if somebody else has pushed meanwhile. Never forced: the server compares."""
        words = ("push", "--quiet", "--porcelain", "--no-verify", "--", self._url, f"{commit}:{_BRANCH}{branch}")
        outcome = await self._git.run(*words, confirm=confirm)
        if outcome.ok:
            return True
        said = outcome.stdout + outcome.stderr
        if re.search(r"\[rejected\]|fetch first|non-fast-forward|cannot lock ref|failed to update ref", said):
            return False
        raise failure(outcome, f"push to {branch}", self._git.time_limit)


def _folder() -> tempfile.TemporaryDirectory[str]:
    try:
        return tempfile.TemporaryDirectory(prefix="canary-git-", ignore_cleanup_errors=True)
    except OSError as error:
        raise PlatformError(f"there is no place for a copy of the repository: {error.strerror}") from error


def paths_of(path: str, annotation: str) -> tuple[str, ...]:
    """The paths that an Application is made of: its source's `path`, or what the `annotation` of Argo CD says
    (`manifest-generate-paths`: relative to that, with `/` in front from the root). None: the whole repository.

    Raises:
        UsageError: one leads out of the repository, or is a pattern.
    """
    told = [each.strip() for each in annotation.split(";") if each.strip()] or ["."]
    found = [_normal(each if each.startswith("/") else f"{path}/{each}") for each in told]
    return tuple(dict.fromkeys(found)) if all(found) else ()


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if any(sign in part for sign in "*?[") or not part.isprintable():
            raise UsageError(f"the path {shown(path)!r} is a pattern, and which files it means is for a person to say")
        if part == ".." and not parts:
            raise UsageError(f"the path {shown(path)!r} leads out of the repository")
        if part == "..":
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)
