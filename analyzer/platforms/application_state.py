"""What an Argo CD Application says: what it has brought out, from where, what it does now. Pure.

The facts are in the API types of Argo CD (`argoproj.io/v1alpha1`), read in v3.6.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from analyzer.model.report import Verdict
from analyzer.model.target import Revision
from analyzer.platforms.cluster import Object
from analyzer.platforms.parts import items, mapping, seconds
from analyzer.platforms.verdicts import Judged
from analyzer.platforms.workloads import RESOURCES, Workload

API = "argoproj.io/v1alpha1"
TAKEN_BACK = "canary-analyzer.io/taken-back"
"""The annotation that says by which analysis, and why."""
AUTOMATED = "canary-analyzer.io/automated"
"""The annotation that keeps `spec.syncPolicy.automated` as it was, as JSON."""
REVERT = "canary-analyzer.io/revert"
"""The annotation that names the commit of a revert: a rollback, although its history does not tell."""
INFO = "canary-analyzer"
"""Under this name an operation says for which analysis it is."""
_HERE = frozenset({"https://kubernetes.default.svc", "in-cluster"})
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_SHORT = 12  # digits of a commit, in sentences


def short(revision: str) -> str:
    """A commit as people write it; a chart's version as it is."""
    return revision[:_SHORT] if _COMMIT.fullmatch(revision) else revision


@dataclass(frozen=True)
class Generation:
    """What one sync has brought out, or several in a row of the same revision and source. `entry` is the newest's."""

    revision: str
    digest: str  # of the revision and its source
    ids: tuple[int, ...]
    started_at: float | None  # of the first of them, in Unix seconds
    entry: Object

    @property
    def number(self) -> str:
        return "+".join(map(short, self.revision.split("+"))) if self.has_several_sources else short(self.revision)

    @property
    def has_several_sources(self) -> bool:
        return bool(self.entry.get("sources"))

    @property
    def source(self) -> Mapping[str, Any]:
        """The only source; empty where there are several."""
        return mapping(self.entry, "source")

    def as_revision(self) -> Revision:
        """The same in the analyzer's words."""
        return Revision(
            number=self.number,
            status="synced",
            deployed_at=self.started_at,
            chart=str(self.source.get("chart") or ""),
            description=f"history id {self.ids[-1]}",
            digest=self.digest,
        )


@dataclass(frozen=True)
class State:
    """An Application as it is now, with what it has brought out, oldest first."""

    live: Object
    generations: tuple[Generation, ...]

    @classmethod
    def of(cls, live: Object) -> "State":
        """From the Application."""
        found: list[Generation] = []
        for entry in items(mapping(live, "status").get("history")):
            new = _generation(entry)
            if found and found[-1].digest == new.digest:
                before = found.pop()
                new = Generation(new.revision, new.digest, (*before.ids, *new.ids), before.started_at, entry)
            found.append(new)
        return cls(live, tuple(found))

    @property
    def current(self) -> Generation | None:
        """What was synced last, whole; None before the first sync."""
        return self.generations[-1] if self.generations else None

    @property
    def number(self) -> str:
        """The current revision, as people write it."""
        return self.current.number if self.current else "none"

    def current_is(self, revision: Revision | None) -> bool:
        """Whether just this was synced last."""
        return self.current is not None and revision is not None and self.current.digest == revision.digest

    @property
    def automated(self) -> Mapping[str, Any] | None:
        """The automated sync, None where it is off."""
        found = mapping(self.live, "spec", "syncPolicy").get("automated")
        return found if isinstance(found, dict) and found.get("enabled") is not False else None

    @property
    def operating(self) -> bool:
        """Whether any operation is asked for or under way."""
        return bool(self.live.get("operation"))

    @property
    def under_way(self) -> str:
        """Argo CD's word for a sync to another revision that is not over, empty if there is none.

        One of the same revision (somebody has changed an object, and it is healed) changes nothing that is analysed.
        """
        operation, told = mapping(self.live, "operation", "sync"), mapping(self.live, "status", "operationState")
        running = told.get("phase") in {"Running", "Terminating"}
        if not self.operating and not running:
            return ""
        wanted = operation.get("revision") or (mapping(told, "syncResult").get("revision") if running else "")
        if self.current and wanted == self.current.revision:
            return ""
        return str(told.get("phase") if running else "Pending")

    @property
    def broken(self) -> str:
        """That a newer sync has failed, so that parts of two revisions may serve: a sentence's end, empty if not."""
        told = mapping(self.live, "status", "operationState")
        revision = str(
            mapping(told, "syncResult").get("revision") or mapping(told, "operation", "sync").get("revision")
        )
        if self.operating or told.get("phase") not in {"Failed", "Error"}:
            return ""
        if self.current and (revision == self.current.revision or not _COMMIT.fullmatch(revision)):
            return ""
        return f"to {short(revision)} has failed ({one_line(told.get('message'))})"

    @property
    def destination(self) -> str:
        """The namespace that it deploys into."""
        return str(mapping(self.live, "spec", "destination").get("namespace") or "default")

    @property
    def elsewhere(self) -> str:
        """The cluster that it deploys to, empty for this one."""
        to = mapping(self.live, "spec", "destination")
        server = str(to.get("server") or to.get("name") or "").rstrip("/")
        return "" if not server or server in _HERE else server

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Those whose pods are analysed."""
        return tuple(
            Workload(
                str(each.get("kind")),
                f"{each.get('group')}/{each.get('version')}",
                str(each.get("namespace") or self.destination),
                str(each.get("name")),
                {},
            )
            for each in items(mapping(self.live, "status").get("resources"))
            if (each.get("group"), each.get("kind")) in RESOURCES
        )

    def is_ours(self, analysis: str) -> bool:
        """Whether this analysis has written its way back into it."""
        said = str(mapping(self.live, "metadata", "annotations").get(TAKEN_BACK) or "")
        return said.startswith(mark(analysis, ""))

    def operation_of(self, analysis: str) -> Mapping[str, Any]:
        """What became of the operation that this analysis has asked for; empty before Argo CD has begun it."""
        told = mapping(self.live, "status", "operationState")
        info = items(mapping(told, "operation").get("info"))
        return told if {"name": INFO, "value": analysis} in info else {}

    def is_asked(self, analysis: str) -> bool:
        """Whether this analysis has asked for an operation that is there still."""
        info = items(mapping(self.live, "operation").get("info"))
        return {"name": INFO, "value": analysis} in info or bool(self.operation_of(analysis))

    @property
    def is_way_back(self) -> bool:
        """Whether the current revision is one from before the previous one, brought out again, or our own revert."""
        noted = mapping(self.live, "metadata", "annotations").get(REVERT)
        if self.current and noted == self.current.revision:
            return True
        if len(self.generations) < 2:  # noqa: PLR2004 -- a previous one and a current one
            return False
        first = {each.revision: number for number, each in reversed(list(enumerate(self.generations)))}
        previous, current = self.generations[-2:]
        return current.revision != previous.revision and first[current.revision] < first[previous.revision]

    def wanted(self, judged: Sequence[Judged], id_: int | None = None) -> Generation | None:
        """What to go back to: the one with this id, else the newest that passed, else the newest not judged bad.

        What somebody has gone back from is no good one.
        """
        current = self.current
        earlier = [each for each in self.generations[:-1] if current and each.revision != current.revision]
        if id_ is not None:
            return next((each for each in earlier if id_ in each.ids), None)
        verdicts = {(each.revision, each.digest): each.verdict for each in sorted(judged, key=lambda each: each.at)}
        left = {one.digest for one, later in pairwise(self.generations) if self._goes_back(one, later)}
        kept = [(each, verdicts.get((each.number, each.digest))) for each in earlier if each.digest not in left]
        passed = [each for each, verdict in kept if verdict == Verdict.PASS]
        not_bad = [each for each, verdict in kept if verdict != Verdict.FAIL]
        good = passed or not_bad
        return good[-1] if good else None

    def after(self, wanted: Generation) -> Generation:
        """What replaced it."""
        return self.generations[self.generations.index(wanted) + 1]

    def _goes_back(self, one: Generation, later: Generation) -> bool:
        revisions = [each.revision for each in self.generations]
        return revisions.index(later.revision) < revisions.index(one.revision)


def mark(analysis: str, reason: str) -> str:
    """What is left on the Application."""
    return f"canary-analyzer {analysis}: {reason}"


def one_line(told: object, longest: int = 300) -> str:
    """What somebody else says, on one line of bounded length."""
    text = " ".join("".join(sign if sign.isprintable() else " " for sign in str(told or "")).split())
    return text if len(text) <= longest else f"{text[:longest]}…"


def _generation(entry: Object) -> Generation:
    revisions = entry.get("revisions") if entry.get("sources") else None
    revision = "+".join(map(str, revisions)) if isinstance(revisions, list) else str(entry.get("revision") or "")
    told = entry.get("id")
    return Generation(
        revision=revision,
        digest=_digest(revision, entry),
        ids=(told if isinstance(told, int) else 0,),
        started_at=seconds(entry.get("deployStartedAt") or entry.get("deployedAt")),
        entry=entry,
    )


def _digest(revision: str, entry: Object) -> str:
    """Of what was brought out: which branch or tag led to it makes no difference."""
    sources = items(entry.get("sources")) or items([entry.get("source")])
    bare = [{name: value for name, value in each.items() if name != "targetRevision"} for each in sources]
    text = json.dumps([revision, bare], sort_keys=True)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
