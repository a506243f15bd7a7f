"""`helm upgrade --install` on a caller's behalf: which of its flags concern the way back, and what came of it."""

import asyncio
import re
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass

from analyzer.errors import NoRelease, UsageError
from analyzer.platforms.helm_complaint import complaint
from analyzer.platforms.helm_flags import flags
from analyzer.platforms.helm_history import once_deployed
from analyzer.platforms.helm_program import HelmProgram, RollbackOptions
from analyzer.platforms.program import Outcome

_ATOMIC = frozenset({"--atomic", "--rollback-on-failure"})
_OURS = frozenset({*_ATOMIC, "--install", "-i"})
_OFF = frozenset({"false", "0", "f"})
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(h|m(?!s)|s|ms|us|µs|ns)")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_WAITS_FOR_NO_PODS = frozenset({*_OFF, "hookonly"})
_LONGEST = 9e9  # seconds; about what helm can count
_LEEWAY = 600.0
"""Seconds beyond helm's own waits, for charts to be fetched and manifests to be applied."""


@dataclass(frozen=True)
class Upgrade:
    """`helm upgrade RELEASE CHART` with these words; `rollback` is how to come back with the same flags.

    `atomic` is `--atomic` or `--rollback-on-failure` as it was given, `waits` whether they say to wait for the pods,
    `is_dry_run` when helm is only to say what it would do.
    """

    chart: str
    words: tuple[str, ...]
    rollback: RollbackOptions
    atomic: tuple[str, ...] = ()
    waits: bool = False
    is_dry_run: bool = False

    def arguments(self, release: str, *, first: bool) -> list[str]:
        """The words for helm. What `--atomic` waits for is waited for, but the way back is ours: helm's would go to the
        previous revision, be it good or bad. A first install has none, and what helm then does is all there is."""
        added = self.atomic if first else ("--wait",) if self.atomic and not self.waits else ()
        return ["upgrade", "--install", release, self.chart, *self.words, *added]


@dataclass(frozen=True)
class BroughtOut:
    """What came of an upgrade. `first` when there was no good revision before it; `trouble` is why helm failed.

    `cancelled` when the one who waited for it was told to stop meanwhile.
    """

    output: str
    first: bool
    trouble: str = ""
    cancelled: bool = False


def read_upgrade(chart: str, words: Sequence[str]) -> Upgrade:
    """The flags of `helm upgrade` that concern the way back; all others are handed on as they are.

    Raises:
        UsageError: a time-out or number that cannot be read, or a flag that would hold for the upgrade alone.
    """
    given = list(flags(words))
    values = {flag.name: flag.value for flag in given}
    for name in values:
        if name.startswith("--kube-"):
            raise UsageError(
                f"{name} would hold for helm upgrade alone, and not for the analysis and the way back: write it into a "
                "kubeconfig, and give --kubeconfig or --kube-context"
            )
    options = RollbackOptions(
        timeout=_seconds(values.get("--timeout", "5m")),
        hooks=not _is_on(values.get("--no-hooks")),
        cleanup_on_fail=_is_on(values.get("--cleanup-on-fail")),
        history_max=_number(values["--history-max"]) if "--history-max" in values else None,
        force_conflicts=_is_on(values.get("--force-conflicts")),
    )
    return Upgrade(
        chart,
        tuple(word for flag in given if flag.name not in _OURS for word in flag.words),
        options,
        tuple(name for name in values if name in _ATOMIC and _is_on(values[name])),
        waits=values.get("--wait", "false").lower() not in _WAITS_FOR_NO_PODS,
        is_dry_run=values.get("--dry-run", "none") not in {"none", "false"},
    )


def _is_on(value: str | None) -> bool:
    return value is not None and value.lower() not in _OFF


def _seconds(text: str) -> float:
    """A duration as Go writes it: 5m0s, 1h30m, 90s."""
    if not text or _DURATION.sub("", text):
        raise UsageError(f"--timeout {text!r} is not a duration: write 5m or 1m30s")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _DURATION.findall(text))
    if not 0 < seconds < _LONGEST:
        raise UsageError(f"--timeout {text!r} is no time to wait for: write 5m or 1m30s")
    return seconds


def _number(text: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"--history-max {text!r} is not a number: write 10, or 0 for no limit")
    return int(text)


async def bring_out(helm: HelmProgram, upgrade: Upgrade) -> BroughtOut:
    """Run helm upgrade, to its end even when cancelled: that, and a failure that has made a revision, the result tells.

    Raises:
        PlatformError: helm failed and has changed nothing; its message.
    """
    await helm.version()
    before = await _newest(helm)
    limit = 3 * upgrade.rollback.timeout + _LEEWAY
    first = before is None or not before[1]
    arguments = upgrade.arguments(helm.release, first=before is None)
    outcome, cancelled = await _to_its_end(helm.run(arguments, time_limit=limit, uninterrupted=True))
    if outcome.ok:
        return BroughtOut(outcome.stdout, first, cancelled=cancelled)
    trouble = complaint(outcome, "helm upgrade", helm.release, helm.where)
    after = await _newest(helm)
    if after is None or after[0] == (before[0] if before else None):
        raise trouble
    return BroughtOut(outcome.stdout, first, str(trouble), cancelled)


async def _to_its_end(act: Coroutine[None, None, Outcome]) -> tuple[Outcome, bool]:
    """How it ended, and whether this coroutine was cancelled meanwhile."""
    running = asyncio.ensure_future(act)
    try:
        return await asyncio.shield(running), False
    except asyncio.CancelledError:
        return await running, True


async def _newest(helm: HelmProgram) -> tuple[int, bool] | None:
    """The newest revision's number, and whether any revision was once deployed; None without a release."""
    try:
        entries = await helm.history()
    except NoRelease:
        return None
    return entries[-1].revision, any(map(once_deployed, entries))
