"""The helm CLI, versions 3 and 4: asking about a release, and changing it."""

import asyncio
import itertools
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from analyzer.errors import PlatformError, PlatformUnavailable, UsageError
from analyzer.model.target import Confirm, Target
from analyzer.platforms.helm_complaint import complaint, quote
from analyzer.platforms.helm_history import Entry, parse_history
from analyzer.platforms.program import OUTPUT_LIMIT, Outcome, run
from analyzer.platforms.rights import Storage

_OLDEST = (3, 5)  # the first whose rollback knows --history-max
_NEWEST_MAJOR = 4
_SERVER_SIDE_SINCE = 4  # the first major version that applies on the server's side
_SERVER_SIDE = {"ssa", "server-side apply"}  # what it calls that in JSON, and in text
_VERSION = re.compile(r"(?:Client: )?v(\d+)\.(\d+)\S*")  # Helm 2 says "Client: "
_RELEASE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST_NAME = 53
_STORAGE: dict[str, Storage] = {
    "": "secrets",
    "secret": "secrets",
    "secrets": "secrets",
    "configmap": "configmaps",
    "configmaps": "configmaps",
    "sql": "",
}
"""By HELM_DRIVER, in which helm itself tells capitals from small letters."""
_HISTORY_LENGTH = 256  # revisions that are looked at


@dataclass(frozen=True)
class RollbackOptions:
    """How `helm rollback` is called. `timeout` is in seconds, for each of its waits: hooks, pods, hooks again.

    `force_conflicts` overrides fields that others own (an autoscaler's `spec.replicas`) where Helm 4 applies on the
    server's side; otherwise such a rollback fails and says so.
    """

    wait: bool = True
    timeout: float = 300.0
    hooks: bool = True
    cleanup_on_fail: bool = False
    history_max: int | None = None  # None: Helm's own (HELM_MAX_HISTORY, 10)
    force_conflicts: bool = False

    def arguments(self) -> list[str]:
        """The flags. Helm 4's `--wait` alone means its watcher, so that these are the same for both versions.

        Helm 4 applies as the revision that it restores was applied (`--server-side=auto`).
        """
        return [
            f"--timeout={self.timeout:.10g}s",
            *(["--wait"] if self.wait else []),
            *([] if self.hooks else ["--no-hooks"]),
            *(["--cleanup-on-fail"] if self.cleanup_on_fail else []),
            *([] if self.history_max is None else [f"--history-max={self.history_max}"]),
        ]

    @property
    def time_limit(self) -> float:
        """Seconds after which a rollback that does not end is stopped: longer than all of its own waits."""
        return 3 * self.timeout + 60


@dataclass(frozen=True)
class HelmSettings:
    """How helm is called. `program` is a name on PATH or a path; `read_limit` is in seconds, for each look.

    `to_revision` is the revision to go back to, None for the last known good one. `turns` bounds how many looks of all
    who share it run at once: each is a process.
    """

    program: str = "helm"
    kubeconfig: str | None = None
    context: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)  # on top of our own environment
    read_limit: float = 30.0
    rollback: RollbackOptions = RollbackOptions()
    to_revision: int | None = None
    turns: asyncio.Semaphore | None = field(default=None, compare=False)


def storage_of(environment: Mapping[str, str]) -> Storage:
    """Where a helm with this environment keeps its releases; empty: not in the cluster.

    Raises:
        UsageError: HELM_DRIVER names no place for releases.
    """
    driver = environment.get("HELM_DRIVER", "")
    if driver not in _STORAGE:
        raise UsageError(f"HELM_DRIVER={driver}: write secret, configmap or sql")
    return _STORAGE[driver]


class HelmProgram:
    """The helm CLI, for one release.

    Without a namespace in `target`, Helm's own applies: that of the kubeconfig's context, or HELM_NAMESPACE.

    Raises:
        UsageError: the name cannot be that of a release, or HELM_DRIVER names no place for releases.
    """

    def __init__(self, target: Target, settings: HelmSettings) -> None:
        if not _RELEASE_NAME.fullmatch(target.name) or len(target.name) > _LONGEST_NAME:
            raise UsageError(
                f"{target.name!r} cannot be the name of a Helm release: it has at most {_LONGEST_NAME} lower case "
                "letters, digits, - and ., and begins and ends with a letter or digit"
            )
        self.release = target.name
        self.settings = settings
        self.where = f'namespace "{target.namespace}"' if target.namespace else "the kubeconfig's namespace"
        self._target = target
        # HELM_DEBUG would mix helm's log into the messages that are quoted.
        self.env = {**os.environ, "HELM_DEBUG": "false", **settings.env}
        self.storage = storage_of(self.env)
        """Where helm keeps its releases; empty: not in the cluster."""
        self._version: tuple[int, int] | None = None

    async def version(self) -> tuple[int, int]:
        """Major and minor version of helm, asked once.

        Raises:
            PlatformError: it is missing, hangs, is no Helm, too old or too new.
        """
        if self._version is None:
            # Whatever keeps the releases: it may be away, and that is not what is asked here.
            env = {**self.env, "HELM_DRIVER": ""}
            self._version = parse_version(await self.run(["version", "--short"], env=env))
        return self._version

    async def history(self, length: int = _HISTORY_LENGTH) -> list[Entry]:
        """The newest revisions, oldest first; never empty.

        Raises:
            PlatformError: a sentence for the user; PlatformUnavailable when asking again may help.
        """
        return parse_history(await self._read(["history", self.release, f"--max={length}", "--output=json"]))

    async def manifest(self, revision: int) -> str:
        """The manifest of a revision.

        Raises:
            PlatformError: as for `history`.
        """
        return await self._read(["get", "manifest", self.release, f"--revision={revision}"])

    async def hooks(self, revision: int) -> str:
        """The hooks of a revision, as manifests.

        Raises:
            PlatformError: as for `history`.
        """
        return await self._read(["get", "hooks", self.release, f"--revision={revision}"])

    async def applied_by_server(self, revision: int) -> bool:
        """Whether a revision was applied on the server's side; Helm 3 and its releases know nothing of that."""
        if (await self.version())[0] < _SERVER_SIDE_SINCE:
            return False
        told = await self._read(["get", "metadata", self.release, f"--revision={revision}", "--output=json"])
        try:
            return str(json.loads(told).get("applyMethod", "")) in _SERVER_SIDE
        except (ValueError, AttributeError):
            return False

    async def rollback_command(self, revision: int, *, has_rollouts: bool = False) -> list[str]:
        """The words that roll back to a revision, with the flags that fit how it was applied.

        Helm 4's own way of waiting never sees the end of a Rollout, whose observedGeneration is a text: with one, as
        Helm 3 did.
        """
        options = self.settings.rollback
        force = options.force_conflicts and await self.applied_by_server(revision)
        flags = [*options.arguments(), *(["--force-conflicts"] if force else [])]
        if has_rollouts and (await self.version())[0] >= _SERVER_SIDE_SINCE:
            flags = ["--wait=legacy" if flag == "--wait" else flag for flag in flags]
        return ["rollback", self.release, str(revision), *flags]

    async def _read(self, arguments: Sequence[str]) -> str:
        async with self.settings.turns or nullcontext():
            outcome = await self.run(arguments)
        doing = "helm " + " ".join(itertools.takewhile(lambda word: word != self.release, arguments))
        if not outcome.ok:
            raise complaint(outcome, doing, self.release, self.where)
        if outcome.cut:
            raise PlatformError(f"{doing} of release {self.release} printed more than {OUTPUT_LIMIT >> 20} MiB")
        return outcome.stdout

    async def run(
        self,
        arguments: Sequence[str],
        *,
        time_limit: float | None = None,
        uninterrupted: bool = False,
        confirm: Confirm | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run helm with these words, and another environment than its own if one is given.

        Raises:
            PlatformError: it cannot be started.
            LeaseLost: `confirm` did not allow it; see `program.run`.
        """
        return await run(
            self.command(arguments),
            time_limit=self.settings.read_limit if time_limit is None else time_limit,
            env=self.env if env is None else env,
            uninterrupted=uninterrupted,
            confirm=confirm,
        )

    def command(self, arguments: Sequence[str]) -> list[str]:
        """The whole command line."""
        settings = self.settings
        program = shutil.which(settings.program, path=self.env.get("PATH")) or settings.program
        return [
            program,
            *arguments,
            *([f"--namespace={self._target.namespace}"] if self._target.namespace else []),
            *([f"--kubeconfig={settings.kubeconfig}"] if settings.kubeconfig else []),
            *([f"--kube-context={settings.context}"] if settings.context else []),
        ]


def parse_version(outcome: Outcome) -> tuple[int, int]:
    """Major and minor version from `helm version --short`.

    Raises:
        PlatformError: a sentence about what it is instead of Helm 3 or 4.
    """
    program = outcome.command[0]
    if outcome.timed_out:
        raise PlatformUnavailable(f"{program} version did not end in time and was stopped: does it hang?")
    match = _VERSION.match(outcome.stdout)
    if not match:
        raise PlatformError(
            f"{program} does not answer as Helm does: {program} version --short ended with exit code {outcome.code} "
            f"and said {quote(outcome)}; put Helm 3 or 4 on PATH"
        )
    version = int(match[1]), int(match[2])
    if version < _OLDEST:
        raise PlatformError(f"{program} is Helm {match[0]}, which is too old: Helm 3.5 or later is needed")
    if version[0] > _NEWEST_MAJOR:
        raise PlatformError(f"{program} is Helm {match[0]}, which is not known yet: Helm 3 or 4 is needed")
    return version
