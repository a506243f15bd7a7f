"""`canary history`: Helm's history of a release with our verdicts beside it, and what is wrong with it."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TypeVar

from ruamel.yaml.error import YAMLError

from analyzer.cli.release import Opened, Order, opened
from analyzer.cli.streams import tell
from analyzer.concurrency import together
from analyzer.errors import PlatformError
from analyzer.model.base import Model
from analyzer.model.target import Revision
from analyzer.platforms.audit import Finding, Workload, audit, serving
from analyzer.platforms.cluster import Object, path, selector
from analyzer.platforms.helm_history import Entry
from analyzer.platforms.helm_manifest import digest, objects
from analyzer.platforms.parts import items, mapping
from analyzer.platforms.verdicts import Judged, Verdicts, verdict_of
from analyzer.rendering.text import printable

T = TypeVar("T")

_SHORT = 60  # characters of a reason
_AT_ONCE = 4  # helm processes


class Line(Model):
    """One revision, and what was found of it."""

    revision: Revision
    judged: Judged | None = None


class History(Model):
    """What `canary history` tells; `-o json` prints just this."""

    release: str
    namespace: str
    revisions: tuple[Line, ...]  # oldest first
    audit: tuple[Finding, ...]
    warnings: tuple[str, ...] = ()


def run(order: Order, *, as_json: bool) -> int:
    """Print the history; returns the exit code.

    Raises:
        CanaryError: Helm cannot be asked.
    """
    history = asyncio.run(_read(order))
    for warning in history.warnings:
        tell(f"canary: {warning}")
    print(history.model_dump_json(indent=2) if as_json else text(history))
    return 0


async def _read(order: Order) -> History:
    warnings: list[str] = []
    async with opened(order) as release:
        await release.program.version()
        entries = await release.program.history()
        namespace = await _or(release.namespace(), "", "the namespace is not known", warnings)
        verdicts = Verdicts(release.cluster, namespace, release.name)
        judged, workloads = await together(
            _or(verdicts.read(), (), "verdicts cannot be shown", warnings),
            _or(_workloads(release, entries[-1], namespace, warnings), (), "workloads cannot be looked at", warnings),
        )
        digests = await _digests(release, entries, judged, warnings)
    return History(
        release=release.name,
        namespace=namespace,
        revisions=tuple(_line(entry, digests, judged) for entry in entries),
        audit=audit(entries, release.name, workloads),
        warnings=tuple(dict.fromkeys(warnings)),
    )


async def _or(read: Awaitable[T], otherwise: T, trouble: str, warnings: list[str]) -> T:
    """What is read; what cannot be read takes nothing from the rest."""
    try:
        return await read
    except PlatformError as error:
        warnings.append(f"{trouble}: {error}")
        return otherwise


async def _digests(
    release: Opened, entries: Sequence[Entry], judged: Sequence[Judged], warnings: list[str]
) -> dict[int, str]:
    """Of the manifests of those revisions that have verdicts: a verdict is of one manifest."""
    numbers = {each.revision for each in judged}
    asked = [entry.revision for entry in entries if str(entry.revision) in numbers]
    turn = asyncio.Semaphore(_AT_ONCE)

    async def read(revision: int) -> str:
        async with turn:
            return digest(await release.program.manifest(revision))

    found = await together(
        *(_or(read(number), "", f"verdicts of revision {number} cannot be shown", warnings) for number in asked)
    )
    return dict(zip(asked, found, strict=True))


def _line(entry: Entry, digests: Mapping[int, str], judged: Sequence[Judged]) -> Line:
    revision = entry.as_revision(digests.get(entry.revision, ""))
    found = verdict_of(judged, revision.number, revision.digest, revision.deployed_at)
    return Line(revision=revision, judged=found)


async def _workloads(release: Opened, current: Entry, namespace: str, warnings: list[str]) -> tuple[Workload, ...]:
    manifest = await release.program.manifest(current.revision)
    try:
        specs = await asyncio.to_thread(lambda: serving([*objects(manifest)]))
    except YAMLError as error:
        raise PlatformError(f"the manifest cannot be parsed: {' '.join(str(error).split())}") from error
    pods = await together(
        *(_or(_pods(release, spec, namespace), [], "pods cannot be looked at", warnings) for spec in specs)
    )
    return tuple(Workload(spec, found) for spec, found in zip(specs, pods, strict=True))


async def _pods(release: Opened, spec: Object, namespace: str) -> list[Object]:
    chosen = mapping(spec, "spec", "selector")
    labels = selector(mapping(chosen, "matchLabels"), items(chosen.get("matchExpressions")))
    if not labels:
        return []
    where = path("v1", "pods", str(mapping(spec, "metadata").get("namespace") or namespace))
    return await release.cluster.items(where, {"labelSelector": labels})


def text(history: History) -> str:
    """The history as a table, and the audit below it; ends without a line break."""
    rows: list[tuple[str, ...]] = [("REVISION", "WHEN", "STATUS", "CHART", "APP VERSION", "VERDICT", "REASON")]
    rows += [_row(line) for line in history.revisions]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    if history.audit:
        lines += ["", "Worth knowing:"]
        lines += [f"- {finding.about}: {printable(finding.sentence)}" for finding in history.audit]
    return "\n".join(lines)


def _row(line: Line) -> tuple[str, ...]:
    revision, judged = line.revision, line.judged
    when = (
        "" if revision.deployed_at is None else f"{datetime.fromtimestamp(revision.deployed_at, UTC):%Y-%m-%d %H:%M}Z"
    )
    verdict, reason = (judged.verdict.value, judged.reason) if judged else ("", revision.description)
    if judged and judged.action != "none":
        verdict = f"{verdict} ({judged.action})"
    told = (revision.number, when, revision.status, revision.chart, revision.app_version, verdict, _short(reason))
    return tuple(printable(word) for word in told)


def _short(reason: str) -> str:
    return reason if len(reason) <= _SHORT else f"{reason[: _SHORT - 1]}…"
