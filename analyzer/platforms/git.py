"""Runs git on a repository of its own, in a folder of ours: bounded in time, without prompts, hooks or a work tree."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from analyzer.errors import PlatformError, PlatformUnavailable
from analyzer.model.target import Confirm
from analyzer.platforms.program import Outcome, run

MINIMUM = (2, 38)
"""The first git that merges trees without a work tree."""
_KEPT = re.compile(
    r"GIT_(ASKPASS|SSH|SSH_COMMAND|SSH_VARIANT|SSL_\w+|HTTP_\w+|PROXY_\w+|CONFIG_\w+|AUTHOR_\w+|COMMITTER_\w+)"
)
"""Variables of git that say who we are and how to get there; others would lead it to another repository."""
_QUIET = {"GIT_TERMINAL_PROMPT": "0", "GCM_INTERACTIVE": "never", "GIT_LFS_SKIP_SMUDGE": "1", "LC_ALL": "C"}
_SSH = "ssh -oBatchMode=yes -oConnectTimeout=15"
_NAME = {"NAME": "canary-analyzer", "EMAIL": "canary-analyzer@localhost"}
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "gc.auto=0",
    "maintenance.auto=false",
    "commit.gpgSign=false",
    "push.gpgSign=false",
)
_ADDRESS = re.compile(r"(?:https?|ssh)://(?:[^@/\s]+@)?[A-Za-z0-9\[][^\s/]*/\S+")
_SCP = re.compile(r"(?:[A-Za-z0-9_.][A-Za-z0-9_.-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*:(?!/?/|:)[^\s:-][^\s:]*")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")
"""Up to the last @ of the host's part: a password may have others, and quotes."""
_CHATTER = ("warning:", "hint:")
_OUTAGES = re.compile(
    r"could not resolve|timed out|connection (refused|reset)|unable to access|early eof|remote end hung up|"
    r"returned error: (429|5\d\d)|failed to connect",
    re.IGNORECASE,
)


def unusable(url: str, *, named_by_hand: bool) -> str:
    """Why this is no repository for us: the end of a sentence, empty if it is one.

    An Application's address comes from whoever may change Applications: paths and other ways into this machine, such as
    `ext::`, are none. A path is one where our own user has `named_by_hand` it.
    """
    if not url.isprintable() or len(url) > 2000:  # noqa: PLR2004 -- longer than any address
        return "is no address: it has signs that none has, or too many"
    if named_by_hand and (url.startswith("file:///") or Path(url).is_absolute()):
        return ""
    if _ADDRESS.fullmatch(url) or _SCP.fullmatch(url):
        return ""
    return "is none that a revert is pushed to: https://…, ssh://… or git@host:path are"


def shown(text: str) -> str:
    """What git says, without credentials, on one line."""
    line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
    return _CREDENTIALS.sub("", line)


def environment(given: Mapping[str, str], *, paths: bool) -> dict[str, str]:
    """What git gets of our environment. `paths` says whether a repository on this machine may be used."""
    kept = {name: value for name, value in given.items() if not name.startswith("GIT_") or _KEPT.fullmatch(name)}
    names = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _NAME.items()}
    allowed = {"GIT_ALLOW_PROTOCOL": "https:http:ssh" + (":file" if paths else "")}
    ssh = {} if {"GIT_SSH", "GIT_SSH_COMMAND"} & kept.keys() else {"GIT_SSH_COMMAND": _SSH}
    return {**names, **ssh, **kept, **_QUIET, **allowed}


@dataclass(frozen=True)
class Git:
    """One bare repository in `folder`. `time_limit` is in seconds, for one run."""

    folder: Path
    time_limit: float
    paths: bool = False

    async def run(self, *words: str, confirm: Confirm | None = None) -> Outcome:
        """How one run ended, whatever its exit code.

        Raises:
            PlatformError: there is no git program.
            LeaseLost: it was not begun, for `confirm` did not allow it.
        """
        settings = [word for each in _SETTINGS for word in ("-c", each)]
        places = [f"--git-dir={self.folder / 'repository'}", f"--work-tree={self.folder / 'empty'}"]
        env = environment(os.environ, paths=self.paths)
        return await run(
            ["git", *settings, *places, *words],
            time_limit=self.time_limit,
            env=env,
            uninterrupted=confirm is not None,
            confirm=confirm,
        )

    async def out(self, *words: str) -> str:
        """What it prints.

        Raises:
            PlatformError: it fails, with its last words; PlatformUnavailable when trying again may help.
        """
        outcome = await self.run(*words)
        if not outcome.ok:
            raise failure(outcome, words[0], self.time_limit)
        return outcome.stdout.strip()

    async def holds(self, *words: str) -> bool:
        """Whether it ends with 0: for questions."""
        return (await self.run(*words)).ok

    async def begin(self) -> None:
        """Make the repository.

        Raises:
            PlatformError: there is no git, or it is too old.
        """
        (self.folder / "empty").mkdir()
        told = await self.out("version")
        match = re.search(r"(\d+)\.(\d+)", told)
        if not match or (int(match[1]), int(match[2])) < MINIMUM:
            raise PlatformError(f"{shown(told)} is too old for a revert: git {'.'.join(map(str, MINIMUM))} is needed")
        await self.out("init", "--quiet")


def failure(outcome: Outcome, what: str, time_limit: float) -> PlatformError:
    """Why git failed."""
    if outcome.timed_out:
        return PlatformError(f"git {what} did not end within {time_limit:g} s")
    refused = [line for line in outcome.stdout.splitlines() if line.startswith("!")]  # of push --porcelain
    said = [line for line in outcome.stderr.splitlines() if line.strip() and not line.startswith(_CHATTER)]
    words = shown(" ".join([*refused, *said][:4]))[:500] or f"exit code {outcome.code}"
    kind = PlatformUnavailable if _OUTAGES.search(words) else PlatformError
    return kind(f"git {what} failed: {words}")
