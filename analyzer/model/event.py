"""What an analysis saw and did. A record is a sequence of events; an analysis' state is folded from them alone."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from analyzer.model.base import Model, Moment
from analyzer.model.plan import Plan, SideMatchers
from analyzer.model.reading import Absence, Cursor, History, Reading
from analyzer.model.report import Guard, Verdict
from analyzer.model.target import ActionKind, Intent, Receipt, Stage


class _Event(Model):
    at: Moment  # Unix seconds


class Planned(_Event):
    """The analysis begins; always the first event."""

    type: Literal["planned"] = "planned"
    plan: Plan


class HistoryRead(_Event):
    """The baseline's past of one metric."""

    type: Literal["history"] = "history"
    history: History


class WindowRead(_Event):
    """One window of one metric. The cursor is where the next read goes on after a crash."""

    type: Literal["window"] = "window"
    reading: Reading
    cursor: Cursor | None = None


class Regrouped(_Event):
    """The pods of the two sides are others now; windows that begin later are read by these matchers."""

    type: Literal["regrouped"] = "regrouped"
    sides: SideMatchers


class Staged(_Event):
    """The revision is brought out further, or less far, than before; None when it is not on its way any more."""

    type: Literal["staged"] = "staged"
    stage: Stage | None


class Troubled(_Event):
    """A metric could not be read; it is asked again. `metric` is empty when it concerns the platform."""

    type: Literal["trouble"] = "trouble"
    metric: str
    why: Absence
    detail: str


class Extended(_Event):
    """The deadline has been moved, once."""

    type: Literal["extended"] = "extended"
    deadline_at: Moment


class Decided(_Event):
    """The verdict. `action` is what it leads to if no guard holds."""

    type: Literal["decided"] = "decided"
    verdict: Verdict
    reason: str
    action: ActionKind


class Held(_Event):
    """A guard held the action back."""

    type: Literal["held"] = "held"
    guard: Guard
    reason: str


class Intended(_Event):
    """The action is about to be done; without an Acted after it, nobody knows whether it was."""

    type: Literal["intended"] = "intended"
    intent: Intent


class Dropped(_Event):
    """The action that was about to be done never came to be: the process had ended before. It may be done now."""

    type: Literal["dropped"] = "dropped"


class Acted(_Event):
    """What came of the action."""

    type: Literal["acted"] = "acted"
    receipt: Receipt


class Verified(_Event):
    """Whether the service was seen to recover after the action."""

    type: Literal["verified"] = "verified"
    recovered: bool
    reason: str
    seconds: float | None = None


class Command(StrEnum):
    """What a person may decide by hand."""

    CANCEL = "cancel"  # no verdict is wanted any more
    APPROVE = "approve"  # it is good
    REJECT = "reject"  # it is bad: what the rule set says of a failure is done
    ROLLBACK = "rollback"  # it is bad, and is to be taken back whatever the rule set says


class Commanded(_Event):
    """A person has decided by hand. `by` and `why` are theirs, `asked_at` (Unix seconds) is when they said so."""

    type: Literal["commanded"] = "commanded"
    command: Command
    by: str
    why: str
    asked_at: Moment


class Ended(_Event):
    """The analysis is over; always the last event of a whole record. `cause` is empty, or a signal's name."""

    type: Literal["ended"] = "ended"
    cause: str = ""


Event = Annotated[
    Planned
    | HistoryRead
    | WindowRead
    | Regrouped
    | Staged
    | Troubled
    | Extended
    | Commanded
    | Decided
    | Held
    | Intended
    | Dropped
    | Acted
    | Verified
    | Ended,
    Field(discriminator="type"),
]
# Said again: an adapter of a union does not take it from the models, and the last bucket of a histogram is infinite.
EVENT: TypeAdapter[Event] = TypeAdapter(Event, config=ConfigDict(ser_json_inf_nan="strings"))
