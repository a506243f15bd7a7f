"""What a server of `canary serve` answers, as far as `canary check --server` looks into it.

A later server may say more: what is not known here is left out. One that says something else is told apart.
"""

import json
import math
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analyzer.errors import CanaryError
from analyzer.model.event import EVENT, Event
from analyzer.model.guard import Guard
from analyzer.model.report import Action, Report, Verdict
from analyzer.model.target import PlatformKind, Revision, Target
from analyzer.rendering.text import printable

_LONGEST_WORDS = 600
_MOST_MISTAKES = 20
_LATEST = 4e9
"""Unix seconds; no moment of an analysis is later."""

_Shape = TypeVar("_Shape", bound="_Answer")
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,100}$")]


class Garbled(CanaryError):  # noqa: N818 -- named after what happened, as in analyzer.errors
    """The answer is not what the API promises."""


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Did(_Answer):
    """What was done, and what came of it."""

    kind: str
    result: str


class Analysis(_Answer):
    """One analysis, as the server tells it."""

    verdict: Verdict
    action: Did
    held_by: str | None = None
    reason: str
    id: Id
    state: str
    target: str = ""
    namespace: str = ""
    created_at: float = 0.0
    ended_at: float | None = None

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state == "ended"


class _Detail(Analysis):
    report: dict[str, Any] | None = None


class _Numbered(_Answer):
    seq: int = Field(ge=1)
    event: dict[str, Any]


class _Events(_Answer):
    items: tuple[_Numbered, ...]
    next: int | None = None


def read_analysis(text: bytes | str) -> Analysis:
    """An analysis.

    Raises:
        Garbled: it is none.
    """
    return _read(Analysis, text)


def read_report(text: bytes) -> Report:
    """The report of an analysis that has ended; a short one where the server has none, or one of another version.

    Raises:
        Garbled: the answer is no analysis.
    """
    detail = _read(_Detail, text)
    if detail.report is None:
        return _short(detail, ())
    far_apart = "the server's whole report cannot be shown here: the versions are too far apart"
    try:
        report = _known(detail.report)
    except ValidationError:
        return _short(detail, (far_apart,))
    if not _has_times(report):
        return _short(detail, (far_apart,))
    return report.model_copy(update=_leading(detail))  # of an analysis that broke off the record alone knows less


def read_events(text: bytes) -> tuple[list[tuple[int, Event]], bool]:
    """A page of a record, each event with its number, and whether more may come after it.

    Raises:
        Garbled: it is none, or an event of it is of a later version.
    """
    page = _read(_Events, text)
    try:
        return [(each.seq, EVENT.validate_python(each.event)) for each in page.items], page.next is not None
    except ValidationError:
        raise Garbled("its record has events that are not known here") from None


def problem(text: bytes) -> str:
    """What an error says, on lines that no terminal and no workflow's runner obeys; empty if it says nothing."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(told, dict):
        return ""
    words = [word for word in (told.get("detail"), told.get("title")) if isinstance(word, str) and word]
    lines = [_bounded(word) for word in words[:1]]
    mistakes = told.get("mistakes")
    if isinstance(mistakes, list):
        lines += [f"- {_mistake(each)}" for each in mistakes[:_MOST_MISTAKES] if isinstance(each, dict)]
    return "\n".join(lines)


def _mistake(mistake: dict[str, Any]) -> str:
    line, key, message = (mistake.get(name) for name in ("line", "key", "message"))
    words = [f"line {line}"] if isinstance(line, int) and line else []
    words += [str(each) for each in (key, message) if each]
    return _bounded(": ".join(words))


def _bounded(words: str) -> str:
    shown = printable(words[: _LONGEST_WORDS + 1])
    return shown if len(shown) <= _LONGEST_WORDS else shown[:_LONGEST_WORDS] + "…"


def _read(kind: type[_Shape], text: bytes | str) -> _Shape:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Garbled(_bounded(f"{place}: {first['msg']}" if place else first["msg"])) from None


def _known(told: dict[str, Any]) -> Report:
    """The report without what a later version has added to it."""
    try:
        return Report.model_validate(told)
    except ValidationError as error:
        for each in error.errors(include_input=False, include_url=False):
            if each["type"] == "extra_forbidden":
                _remove(told, each["loc"])
    return Report.model_validate(told)


def _remove(told: Any, place: tuple[int | str, ...]) -> None:  # noqa: ANN401 -- JSON
    for part in place[:-1]:
        told = told[part]
    del told[place[-1]]


def _has_times(report: Report) -> bool:
    moments = [report.upgraded_at, report.started_at, report.as_of, report.deadline_at]
    moments += [each for each in (report.decided_at, report.ended_at) if each is not None]
    lengths = [each for each in (report.seconds_to_verdict, report.seconds_to_recovery) if each is not None]
    return all(math.isfinite(each) and abs(each) < _LATEST for each in (*moments, *lengths))


def _leading(analysis: Analysis) -> dict[str, Any]:
    """The four fields that lead in every output.

    Raises:
        Garbled: there are words in them that are not known here.
    """
    try:
        action = Action.model_validate(analysis.action.model_dump())
        held_by = Guard(analysis.held_by) if analysis.held_by else None
    except ValueError:
        raise Garbled("the analysis has words in it that are not known here: this canary is too old for it") from None
    return {"verdict": analysis.verdict, "action": action, "held_by": held_by, "reason": analysis.reason}


def _short(analysis: Analysis, warnings: tuple[str, ...]) -> Report:
    """What the answer itself says, as a report."""
    kind, _, name = analysis.target.partition("/")
    if kind not in {each.value for each in PlatformKind}:
        raise Garbled(_bounded(f"what {analysis.target} is is not known here: this canary is too old for it"))
    at = analysis.created_at if abs(analysis.created_at) < _LATEST else 0.0
    ended_at = analysis.ended_at if analysis.ended_at is not None and abs(analysis.ended_at) < _LATEST else at
    return Report(
        **_leading(analysis),
        analysis=analysis.id,
        target=Target(kind=PlatformKind(kind), name=name, namespace=analysis.namespace),
        revision=Revision(number="?"),
        rule_set="?",
        upgraded_at=at,
        started_at=at,
        ended_at=ended_at,
        as_of=ended_at,
        deadline_at=ended_at,
        warnings=warnings,
    )
