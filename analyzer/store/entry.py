"""One analysis as the store knows it: a row to find it by, beside the record of its events."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from analyzer.model.event import Event
from analyzer.model.report import ActionResult, Report, Verdict
from analyzer.model.target import ActionKind


class State(StrEnum):
    """Whether an analysis goes on."""

    RUNNING = "running"
    ENDED = "ended"


class DecisionKind(StrEnum):
    """What a person may want of a running analysis."""

    CANCEL = "cancel"
    APPROVE = "approve"
    REJECT = "reject"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class Decision:
    """A decision by hand: what, by whom, why, and when (Unix seconds)."""

    kind: DecisionKind
    by: str
    why: str
    at: float


@dataclass(frozen=True)
class Summary:
    """What stands in a list of analyses: words of `analyzer.model`, and a sentence."""

    verdict: str = Verdict.PENDING
    action: str = ActionKind.NONE
    result: str = ActionResult.NONE
    held_by: str = ""
    reason: str = ""

    @property
    def values(self) -> Mapping[str, object]:
        """For the table of analyses. A reason may quote anything; PostgreSQL takes neither NUL nor half a sign."""
        plain = self.reason.replace("\0", "\ufffd").encode(errors="replace").decode()
        return asdict(self) | {"reason": plain}

    @classmethod
    def of(cls, report: Report) -> "Summary":
        """Of a report."""
        action, held_by = report.action, report.held_by
        return cls(report.verdict, action.kind, action.result, held_by or "", report.reason)


@dataclass(frozen=True)
class Entry:
    """One analysis. Times are Unix seconds.

    The first fields are the orderer's: `key` makes an order idempotent, `kind` and `name` are the target's, `ordered`
    is JSON that the store does not look into. The others are the store's.
    """

    id: str
    key: str
    namespace: str
    kind: str
    name: str
    ordered: str
    created_at: float
    summary: Summary = field(default_factory=Summary)
    state: State = State.RUNNING
    ended_at: float | None = None
    changed_at: float = 0.0
    last_seq: int = 0  # of its newest event; 0: none yet
    position: int = 0  # of its last change among the changes of all
    lease_owner: str | None = None
    lease_until: float | None = None
    lease: int = 0
    asked: Decision | None = None


@dataclass(frozen=True)
class Numbered:
    """An event of an analysis, and its number: 1, 2, 3, … without a gap."""

    seq: int
    event: Event


@dataclass(frozen=True)
class Claim:
    """The right to work on an analysis until `until` (Unix seconds). Every write carries the number `lease`."""

    id: str
    lease: int
    until: float


def entry_of(row: RowMapping) -> Entry:
    """From a row of the table of analyses."""
    values: dict[str, Any] = dict(row)
    summary = Summary(**{name: values.pop(name) for name in ("verdict", "action", "result", "held_by", "reason")})
    return Entry(
        **values | {"summary": summary, "state": State(values["state"]), "asked": decision_of(values["asked"])}
    )


def values_of(entry: Entry) -> Mapping[str, object]:
    """A row of the table of analyses."""
    values: dict[str, object] = asdict(entry)
    del values["summary"]
    return values | dict(entry.summary.values) | {"asked": entry.asked and decision_text(entry.asked)}


def decision_of(text: str | None) -> Decision | None:
    """A decision from JSON; None if it is of a kind that only a later version knows: that one carries it out."""
    if text is None:
        return None
    values = json.loads(text)
    if values["kind"] not in set(DecisionKind):
        return None
    return Decision(**values | {"kind": DecisionKind(values["kind"])})


def decision_text(decision: Decision) -> str:
    """A decision as JSON."""
    return json.dumps(asdict(decision))
