"""`canary check`: one analysis, from flags to an exit code."""

import asyncio
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from analyzer.cli.exits import SIGNALS, exit_code
from analyzer.cli.flags import NO_TARGET
from analyzer.cli.output import Output, check_writable, emit
from analyzer.cli.progress import observer
from analyzer.cli.server_access import HERE, Server
from analyzer.cli.streams import tell
from analyzer.composition.analysis import analysis
from analyzer.composition.order import AnalysisOrder, Wanted
from analyzer.errors import UsageError
from analyzer.model.base import EARLIEST
from analyzer.model.gitops import IN_GIT, GitOps, GitOpsMode
from analyzer.model.report import Report
from analyzer.model.target import PlatformKind, Target
from analyzer.model.units import parse_duration
from analyzer.platforms.helm import RollbackOptions
from analyzer.sources.prometheus.access import PrometheusAccess


@dataclass(frozen=True)
class Options:
    """The flags of `canary check`, as they were given."""

    target: str
    rules: str
    prometheus: str | None
    bearer_token_file: Path | None
    username: str | None
    headers: tuple[str, ...]
    ca_file: Path | None
    cert_file: Path | None
    key_file: Path | None
    insecure: bool
    query_timeout: str
    scrape: tuple[str, ...]
    canary: str | None
    baseline: str | None
    since: str | None
    parameters: tuple[str, ...]
    namespace: str | None
    kubeconfig: Path | None
    context: str | None
    helm: Path | None
    revision: str | None
    previous: str | None
    rollback_command: str | None
    rollback_timeout: str
    rollback_hooks: bool
    force_conflicts: bool
    history_max: int | None
    to_revision: int | None
    dry_run: bool
    record: Path | None
    output: Output | None
    output_file: Path | None
    gitops: GitOpsMode = GitOpsMode.HOLD
    gitops_repository: str | None = None
    gitops_branch: str | None = None
    server: Server = HERE
    retry: bool = False


def run(options: Options) -> int:
    """Run the analysis, here or on a server; returns the exit code.

    Raises:
        CanaryError: a sentence for the user.
    """
    if options.server.url is not None:
        from analyzer.cli import remote

        return remote.run(options, options.server, options.server.url)
    if options.server != HERE:
        raise UsageError(
            "--token-file, --connection, --attach, --key, --on-interrupt and --server-patience need --server URL"
        )
    check_writable(options.output_file, "--output-file")
    order = read_order(options)
    return finish(options, *asyncio.run(run_order(order)))


def finish(options: Options, report: Report | None, stopped_by: str) -> int:
    """Tell how an analysis ended; returns the exit code."""
    if report is None:
        tell(f"canary: stopped by {stopped_by} before the analysis began; nothing was done")
        return int(SIGNALS[stopped_by])
    emit(report, options.output, options.output_file)
    if stopped_by:
        tell(f"canary: {report.reason}")
        return int(SIGNALS[stopped_by])
    return int(exit_code(report))


async def run_order(
    order: AnalysisOrder, before: Callable[[], Awaitable[None]] | None = None
) -> tuple[Report | None, str]:
    """The report, None if the analysis has not begun, and the name of the signal that stopped it, or nothing.

    `before` is done first, and to its end even when a signal comes.
    """
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[str] = loop.create_future()
    beginning: asyncio.Task[object] | None = (
        asyncio.current_task()
    )  # looking at the platform may take long, and changes nothing

    def stopped(name: str) -> None:
        if not stop.done():
            stop.set_result(name)
            tell(f"canary: {name}: leaving at the next safe point")
            if beginning is not None:
                beginning.cancel()

    for name in SIGNALS:
        loop.add_signal_handler(signal.Signals[name], stopped, name)
    try:
        if before is not None:
            await before()
        with observer() as watching:
            async with analysis(order, watching, lambda sentence: tell(f"canary: {sentence}")) as runner:
                beginning = None
                report = await runner.run(stop)
    except asyncio.CancelledError:
        if beginning is None or not stop.done():
            raise
        return None, stop.result()
    finally:
        for name in SIGNALS:
            loop.remove_signal_handler(signal.Signals[name])
    return report, stop.result() if stop.done() else ""


def read_order(options: Options) -> AnalysisOrder:
    """What is to be analysed, from the flags.

    Raises:
        UsageError: flags that contradict each other, are missing or cannot be understood.
    """
    now = time.time()
    target = _target(options)
    if not options.rules:
        raise UsageError("Missing option '--rules': name a rule set file, or a shipped one such as http")
    return AnalysisOrder(
        target=target,
        rules=options.rules,
        parameters=pairs(options.parameters, "--set"),
        access=_access(options),
        wanted=Wanted(
            canary=options.canary,
            baseline=options.baseline,
            since=moment(options.since, now) if options.since is not None else None,
            revision=options.revision or "new",
            previous=options.previous or "previous",
        ),
        scrape_canary=_scraped(options, "canary"),
        scrape_baseline=_scraped(options, "baseline"),
        scrape_timeout=_query_timeout(options),
        helm=options.helm,
        kubeconfig=options.kubeconfig,
        context=options.context,
        rollback_command=options.rollback_command,
        rollback=RollbackOptions(
            timeout=seconds_of(options.rollback_timeout, "--rollback-timeout"),
            hooks=options.rollback_hooks,
            history_max=options.history_max,
            force_conflicts=options.force_conflicts,
        ),
        to_revision=options.to_revision,
        retry=options.retry,
        gitops=_gitops(options, target),
        acting=not options.dry_run,
        actions_on=_actions_on(),
        record=options.record,
    )


def _target(options: Options) -> Target:
    if not options.target:
        raise UsageError(NO_TARGET)
    try:
        target = Target.parse(options.target, options.namespace or "")
    except ValueError as error:
        raise UsageError(f"TARGET {options.target!r} {error}") from error
    if target.kind == PlatformKind.COMMAND:
        if options.rollback_command is None and not options.dry_run:
            raise UsageError(f"{options.target} needs --rollback-command '…', or --dry-run to look without acting")
    elif options.rollback_command is not None:
        raise UsageError(f"--rollback-command is for command/NAME; {options.target} has a way back of its own")
    if options.to_revision == 0 and target.kind != PlatformKind.APPLICATION:
        raise UsageError(
            f"--to-revision 0: revisions of {options.target} begin with 1; ids of Argo CD's history with 0"
        )
    if options.retry and target.kind != PlatformKind.ROLLOUT:
        raise UsageError(f"--retry is for rollout/NAME; {options.target} has no abort to clear")
    if options.retry and options.dry_run:
        raise UsageError("--retry clears an abort, and --dry-run changes nothing: leave out one of the two")
    return target


def _gitops(options: Options, target: Target) -> GitOps:
    possible = {PlatformKind.APPLICATION: set(GitOpsMode), PlatformKind.HELM: {GitOpsMode.HOLD, GitOpsMode.SUSPEND}}
    if options.gitops not in possible.get(target.kind, {GitOpsMode.HOLD}):
        raise UsageError(
            f"--gitops {options.gitops.value} is not possible for {target}: it is for application/NAME, and suspend "
            "for helm/NAME too"
        )
    for flag, value in (("--gitops-repository", options.gitops_repository), ("--gitops-branch", options.gitops_branch)):
        if value is not None and options.gitops not in IN_GIT:
            raise UsageError(f"{flag} says where a revert is pushed to: it needs --gitops revert or propose")
        if value is not None and (not value.strip() or value.startswith("-") or not value.isprintable()):
            raise UsageError(f"{flag} {value!r}: write an address or a name that Git knows")
    return GitOps(mode=options.gitops, repository=options.gitops_repository or "", branch=options.gitops_branch or "")


def _access(options: Options) -> PrometheusAccess | None:
    if options.prometheus is None and not options.scrape:
        raise UsageError("nothing to read from: give --prometheus URL (or CANARY_PROMETHEUS), or --scrape canary=URL")
    if options.scrape:
        if options.prometheus is not None:
            raise UsageError("give --prometheus or --scrape, not both")
        return None
    assert options.prometheus is not None
    return PrometheusAccess.of(
        url=options.prometheus,
        token=os.environ.get("CANARY_BEARER_TOKEN") if options.bearer_token_file is None else None,
        token_file=options.bearer_token_file,
        user=options.username,
        password=os.environ.get("CANARY_PASSWORD"),
        headers=headers_of(options.headers),
        ca_file=options.ca_file,
        cert_file=options.cert_file,
        key_file=options.key_file,
        insecure=options.insecure,
        timeout=_query_timeout(options),
    )


def _query_timeout(options: Options) -> float:
    return seconds_of(options.query_timeout, "--query-timeout")


def headers_of(given: tuple[str, ...]) -> dict[str, str]:
    """`--header` flags as a mapping.

    Raises:
        UsageError: one is no header.
    """
    headers = {}
    for header in given:
        name, colon, value = header.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name.strip()) or re.search(r"[\r\n\0]", value):
            raise UsageError("--header: write 'Name: value', such as 'X-Scope-OrgID: team-web'")
        headers[name.strip()] = value.strip()
    return headers


def _scraped(options: Options, side: str) -> tuple[str, ...]:
    urls = pairs(options.scrape, "--scrape", repeat=True)
    for name in urls:
        if name.rstrip("0123456789") not in {"canary", "baseline"}:
            raise UsageError(f"--scrape {name}=…: write canary=URL or baseline=URL")
    return tuple(url for given in options.scrape for name, _, url in [given.partition("=")] if name == side)


def pairs(given: tuple[str, ...], flag: str, *, repeat: bool = False) -> dict[str, str]:
    """`NAME=VALUE` flags as a mapping.

    Raises:
        UsageError: no `=`, no name, or a name given twice (unless `repeat`).
    """
    values: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise UsageError(f"{flag} {text!r}: write NAME=VALUE")
        if name in values and not repeat:
            raise UsageError(f"{flag} {name}=… is given twice")
        values[name] = value
    return values


def seconds_of(text: str, flag: str) -> float:
    """A duration in seconds.

    Raises:
        UsageError: it is none, or none at all.
    """
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{flag}: {error}") from error
    if seconds <= 0:
        raise UsageError(f"{flag}: {text} is no time at all: write more than 0s")
    return seconds


def moment(text: str, now: float) -> float:
    """A moment in Unix seconds: a time with its zone, Unix seconds, or how long ago.

    Raises:
        UsageError: it is none, in the future, or before any upgrade that is meant.
    """
    if re.fullmatch(r"\d{9,11}(\.\d+)?", text):
        moment = float(text)
    elif re.match(r"\d{4}-\d\d-\d\d", text):
        try:
            read = datetime.fromisoformat(text)
        except ValueError as error:
            raise UsageError(f"--since {text!r} is not a time: write 2026-01-31T12:00:00Z") from error
        moment = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    else:
        try:
            moment = now - parse_duration(text)
        except ValueError as error:
            raise UsageError(
                f"--since {text!r}: write 2026-01-31T12:00:00Z, Unix seconds, or how long ago: 5m"
            ) from error
    if moment > now + 60:
        raise UsageError(f"--since {text} is in the future")
    if moment < EARLIEST:
        raise UsageError(f"--since {text} is before 2001: write when the upgrade was")
    return moment


def _actions_on() -> bool:
    value = os.environ.get("CANARY_ACTIONS", "on").strip().lower()
    if value not in {"on", "off"}:
        raise UsageError(f"CANARY_ACTIONS={value}: write on or off")
    return value == "on"
