"""A Helm release, through the helm CLI: versions 3 and 4."""

import asyncio
import itertools
import os
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from analyzer.errors import PlatformError, PlatformUnavailable, UsageError
from analyzer.model.target import Deployment, Intent, Receipt, Target
from analyzer.platforms.helm_complaint import complaint, quote
from analyzer.platforms.helm_history import (
    IN_PROGRESS,
    Entry,
    labels,
    last_known_good,
    no_way_back,
    parse_history,
    rolled_back_to,
)
from analyzer.platforms.helm_manifest import digest, same_pods
from analyzer.platforms.program import OUTPUT_LIMIT, Outcome, run, tail

_OLDEST = (3, 5)  # the first whose rollback knows --history-max
_NEWEST_MAJOR = 4
_VERSION = re.compile(r"(?:Client: )?v(\d+)\.(\d+)\S*")  # Helm 2 says "Client: "
_RELEASE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")
_LONGEST_NAME = 53
_HISTORY_LENGTH = 256  # revisions that are looked at

_Key = tuple[int, datetime | None]


@dataclass(frozen=True)
class RollbackOptions:
    """How `helm rollback` is called. `timeout` is in seconds, for each of its waits: hooks, pods, hooks again."""

    wait: bool = True
    timeout: float = 300.0
    hooks: bool = True
    cleanup_on_fail: bool = False
    history_max: int | None = None  # None: Helm's own (HELM_MAX_HISTORY, 10)

    def arguments(self) -> list[str]:
        """The flags. Helm 4's `--wait` alone means its watcher, so that these are the same for both versions.

        Neither is forced, and Helm 4 applies as the revision that it restores was applied (`--server-side=auto`).
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
    """How helm is called. `program` is a name on PATH or a path; `read_limit` is in seconds, for each look."""

    program: str = "helm"
    kubeconfig: str | None = None
    context: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)  # on top of our own environment
    read_limit: float = 30.0
    rollback: RollbackOptions = RollbackOptions()


class Helm:
    """The platform of one Helm release; implements the engine's port `Platform`.

    Without a namespace in `target`, Helm's own applies: that of the kubeconfig's context, or HELM_NAMESPACE.

    Raises:
        UsageError: the name cannot be that of a release.
    """

    def __init__(self, target: Target, settings: HelmSettings | None = None) -> None:
        if not _RELEASE_NAME.fullmatch(target.name) or len(target.name) > _LONGEST_NAME:
            raise UsageError(
                f"{target.name!r} cannot be the name of a Helm release: it has at most {_LONGEST_NAME} lower case "
                "letters, digits, - and ., and begins and ends with a letter or digit"
            )
        self._target = target
        self._release = target.name
        self._settings = settings or HelmSettings()
        # HELM_DEBUG would mix helm's log into the messages that are quoted.
        self._env = {**os.environ, "HELM_DEBUG": "false", **self._settings.env}
        self._where = f'namespace "{target.namespace}"' if target.namespace else "the kubeconfig's namespace"
        self._version: tuple[int, int] | None = None
        self._manifests: dict[_Key, str] = {}  # of the current and the wanted revision; a manifest never changes

    async def version(self) -> tuple[int, int]:
        """Major and minor version of helm, asked once.

        Raises:
            PlatformError: it is missing, hangs, is no Helm, too old or too new.
        """
        if self._version is None:
            self._version = parse_version(await self._run(["version", "--short"]))
        return self._version

    async def look(self) -> Deployment:
        """What Helm says of the release now.

        Raises:
            PlatformError: a sentence for the user; PlatformUnavailable when asking again may help.
        """
        await self.version()
        entries = await self._history(_HISTORY_LENGTH)
        current, wanted = entries[-1], last_known_good(entries)
        if current.status == "uninstalled":
            raise PlatformError(
                f"release {self._release} in {self._where} has been uninstalled (its history was kept): there is "
                "nothing to analyse"
            )
        manifests = {_key(entry): await self._manifest(entry) for entry in (current, wanted) if entry}
        self._manifests = manifests
        unchanged = False
        if wanted:
            # In a thread: parsing two large manifests takes seconds.
            unchanged = await asyncio.to_thread(same_pods, manifests[_key(current)], manifests[_key(wanted)])
        digests = {key: digest(manifest) for key, manifest in manifests.items()}
        revisions = {entry.revision: entry.as_revision(digests.get(_key(entry), "")) for entry in entries}
        return Deployment(
            target=self._target,
            current=revisions[current.revision],
            wanted=revisions[wanted.revision] if wanted else None,
            no_way_back=no_way_back(entries, self._release),
            history=tuple(revisions.values()),
            in_progress=current.status if current.status in IN_PROGRESS else "",
            is_way_back=rolled_back_to(current) is not None,
            unchanged=unchanged,
            labels=labels(revisions[current.revision], revisions[wanted.revision]) if wanted else {},
        )

    async def take_back(self, intent: Intent) -> Receipt:
        """Roll back to the intent's revision, then look whether Helm has just that.

        A failed attempt is a receipt that says so. When cancelled, it first comes to its end.
        """
        if intent.to_revision is None:
            return Receipt(ok=False, detail=f"release {self._release} was not rolled back: no revision was given")
        number = intent.to_revision.number
        arguments = ["rollback", self._release, number, *self._settings.rollback.arguments()]
        command = tuple(self._command(arguments))
        try:
            await self.version()
            outcome = await self._run(arguments, time_limit=self._settings.rollback.time_limit, uninterrupted=True)
        except PlatformError as error:
            return Receipt(ok=False, detail=f"release {self._release} was not rolled back: {error}", command=command)
        if outcome.ok:
            ok, detail = await self._verified(number)
        else:
            why = complaint(outcome, "helm rollback", self._release, self._where)
            ok, detail = False, f"{why}; {await self._state()}; to try again by hand: {shlex.join(command)}"
        output = tail("\n".join(text.strip() for text in (outcome.stdout, outcome.stderr)))
        return Receipt(ok=ok, detail=detail, command=command, output=output)

    async def _verified(self, number: str) -> tuple[bool, str]:
        """Helm has no compare-and-set: something else may have changed the release in the same moment."""
        done = f"helm rolled release {self._release} in {self._where} back to revision {number}"
        try:
            newest = (await self._history(1))[-1]
        except PlatformError as error:
            return True, f"{done}; its history could not be read after that: {error}"
        if newest.status == "deployed" and str(rolled_back_to(newest)) == number:
            return True, f"{done}, as revision {newest.revision}"
        return False, (
            f"{done}, and yet its newest revision is {newest.revision} ({newest.status}, “{newest.description}”): "
            f"something else has changed the release at the same time; look at helm history {self._release}"
        )

    async def _state(self) -> str:
        try:
            newest = (await self._history(1))[-1]
        except PlatformError:
            return "what became of the release could not be asked"
        return f"its newest revision is now {newest.revision} ({newest.status})"

    async def _history(self, length: int) -> list[Entry]:
        return parse_history(await self._read(["history", self._release, f"--max={length}", "--output=json"]))

    async def _manifest(self, entry: Entry) -> str:
        if (kept := self._manifests.get(_key(entry))) is not None:
            return kept
        return await self._read(["get", "manifest", self._release, f"--revision={entry.revision}"])

    async def _read(self, arguments: Sequence[str]) -> str:
        outcome = await self._run(arguments)
        doing = "helm " + " ".join(itertools.takewhile(lambda word: word != self._release, arguments))
        if not outcome.ok:
            raise complaint(outcome, doing, self._release, self._where)
        if outcome.cut:
            raise PlatformError(f"{doing} of release {self._release} printed more than {OUTPUT_LIMIT >> 20} MiB")
        return outcome.stdout

    async def _run(
        self, arguments: Sequence[str], *, time_limit: float | None = None, uninterrupted: bool = False
    ) -> Outcome:
        return await run(
            self._command(arguments),
            time_limit=self._settings.read_limit if time_limit is None else time_limit,
            env=self._env,
            uninterrupted=uninterrupted,
        )

    def _command(self, arguments: Sequence[str]) -> list[str]:
        settings = self._settings
        program = shutil.which(settings.program, path=self._env.get("PATH")) or settings.program
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


def _key(entry: Entry) -> _Key:
    """Tells a revision apart from one of the same number in an earlier life of the release."""
    return entry.revision, entry.updated
