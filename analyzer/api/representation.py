"""What goes in and out as JSON. Times are Unix seconds, as in every report."""

from typing import Annotated, Self

from pydantic import AfterValidator, ConfigDict, Field

from analyzer.model.base import Model
from analyzer.model.event import Event
from analyzer.model.order import RULES_NAME, Order, Ordered
from analyzer.model.report import Report
from analyzer.service.settings import Actions
from analyzer.store.audit import Deed
from analyzer.store.entry import Entry

_PLAIN = r"^[^\x00-\x1f\x7f]*$"
"""On one line: it stands in logs, lists and reports."""


def _telling(text: str) -> str:
    if not text.strip():
        raise ValueError("say why in a sentence")
    return text.strip()


Plain = Annotated[str, Field(max_length=255, pattern=_PLAIN)]
Why = Annotated[
    str,
    Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f\s][^\x00-\x1f\x7f]*$",
        examples=["checkout fails for customers, seen by hand"],
    ),
    AfterValidator(_telling),
]


class Wrong(Model):
    """One mistake in what was sent. `line` counts from 1, in a rule set; `key` is a dotted path."""

    line: int | None = None
    key: str
    message: str


class Problem(Model):
    """An error (RFC 9457). `detail` is a sentence for a person."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    instance: str
    mistakes: tuple[Wrong, ...] | None = None


class Did(Model):
    """What was done, and what came of it: words of the report."""

    kind: str = Field(examples=["rollback"])
    result: str = Field(examples=["done"])


class Links(Model):
    """Where more is, relative to the server."""

    self: str
    report: str
    events: str


class Analysis(Model):
    """One analysis, as lists and changes show it. The first four fields lead in every output."""

    verdict: str = Field(examples=["pending"])
    action: Did
    held_by: str | None = None
    reason: str
    id: str = Field(examples=["3f2a9c0d1e4b"])
    state: str = Field(examples=["running"])
    namespace: str
    target: str = Field(examples=["helm/web"])
    created_at: float
    changed_at: float
    ended_at: float | None = None
    by: str
    dry_run: bool
    links: Links

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Of an analysis in the store."""
        return cls.model_validate(_fields(entry, Ordered.model_validate_json(entry.ordered)))


class AnalysisDetail(Analysis):
    """One analysis with what was ordered, and its report as it stands; null before its plan."""

    report: Report | None = None
    order: Order

    @classmethod
    def with_report(cls, entry: Entry, report: Report | None) -> Self:
        """Of an analysis in the store."""
        ordered = Ordered.model_validate_json(entry.ordered)
        return cls.model_validate({**_fields(entry, ordered), "report": report, "order": ordered.order})


def _fields(entry: Entry, ordered: Ordered) -> dict[str, object]:
    summary, here = entry.summary, f"/api/v1/analyses/{entry.id}"
    return {
        "verdict": str(summary.verdict),
        "action": Did(kind=str(summary.action), result=str(summary.result)),
        "held_by": str(summary.held_by) or None,
        "reason": summary.reason,
        "id": entry.id,
        "state": str(entry.state),
        "namespace": entry.namespace,
        "target": f"{entry.kind}/{entry.name}",
        "created_at": entry.created_at,
        "changed_at": entry.changed_at,
        "ended_at": entry.ended_at,
        "by": ordered.by,
        "dry_run": ordered.order.dry_run,
        "links": Links(self=here, report=f"{here}/report.json", events=f"{here}/events"),
    }


class AnalysisPage(Model):
    """A page of analyses, newest first. `next` is given as `after` for the next page; null: this was the last."""

    items: tuple[Analysis, ...]
    next: str | None = None


class NumberedEvent(Model):
    """An event of the record, and its number: 1, 2, 3, … without a gap."""

    seq: int
    event: Event


class EventPage(Model):
    """A page of the record. `next` is given as `after` for the next page; null: there is no more now."""

    items: tuple[NumberedEvent, ...]
    next: int | None = None


class EventObject(Model):
    """A page of the record as it is documented: the fields of an event depend on its `type`."""

    seq: int
    event: dict[str, object] = Field(examples=[{"at": 1790000000.0, "type": "ended", "cause": ""}])


class EventObjects(Model):
    """A page of the record. `next` is given as `after` for the next page; null: there is no more now."""

    items: tuple[EventObject, ...]
    next: int | None = None


class Reasoned(Model):
    """Why somebody decides something: a sentence, for the record."""

    why: Why


EXAMPLE_RULES = """\
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: own}
spec:
  sides: {canary: 'version="2"', baseline: 'version="1"'}
  metrics:
    errors: {ratio: {bad: 'http_requests_total{code=~"5.."}', total: http_requests_total}}
  rules: [{metric: errors, critical: true}]
"""


class Trial(Model):
    """Other rules for recorded readings: the name of a rule set that the service has, or the text of one."""

    rules: str | None = Field(default=None, max_length=100, pattern=RULES_NAME, examples=["http"])
    rule_set: str | None = Field(default=None, max_length=256 * 1024)
    parameters: dict[str, str] = Field(default={}, max_length=100)

    model_config = ConfigDict(json_schema_extra={"examples": [{"rules": "http"}, {"rule_set": EXAMPLE_RULES}]})


class RuleSetItem(Model):
    """A rule set that the service has: its rules by the metrics that they look at, and its parameters."""

    name: str
    rules: tuple[str, ...]
    metrics: tuple[str, ...]
    parameters: dict[str, str]


class BrokenRuleSet(Model):
    """A rule set whose file cannot be used, and why; while its last good version is in use, it is among the others."""

    name: str
    message: str
    last_good_in_use: bool


class RuleSetList(Model):
    """The rule sets that the service has, and those of them whose files are broken."""

    items: tuple[RuleSetItem, ...]
    broken: tuple[BrokenRuleSet, ...] = ()


class RuleSetText(Model):
    """A rule set as it is written."""

    name: str
    text: str


class Draft(Model):
    """A rule set to be checked."""

    rule_set: str = Field(max_length=256 * 1024, examples=[EXAMPLE_RULES])
    parameters: dict[str, str] = Field(default={}, max_length=100)


class Checked(Model):
    """Whether a rule set can be used, and every mistake in it."""

    valid: bool
    mistakes: tuple[Wrong, ...] = ()


class SwitchTo(Model):
    """What all acts are to be, and why."""

    actions: Actions
    why: Why


class Switched(Model):
    """Whether analyses act; `by`, `why` and `at` are empty while nobody has changed it here."""

    actions: Actions
    by: str | None = None
    why: str | None = None
    at: float | None = None
    rollbacks_last_hour: int
    rollbacks_per_hour: int


class AuditItem(Model):
    """One thing that somebody did."""

    seq: int
    at: float
    who: str
    what: str
    analysis: str | None = None
    detail: str

    @classmethod
    def of(cls, deed: Deed) -> Self:
        """Of a deed in the store."""
        return cls(
            seq=deed.seq,
            at=deed.at,
            who=deed.who,
            what=deed.what,
            analysis=deed.analysis_id or None,
            detail=deed.detail,
        )


class AuditPage(Model):
    """Who did what, newest first. `next` is given as `before` for the next page; null: this was the last."""

    items: tuple[AuditItem, ...]
    next: int | None = None


class Health(Model):
    """The process lives, or is ready."""

    status: str = Field(examples=["ok"])
