"""A report as one HTML page that needs nothing else: no script, no font, no picture, no other address.

The page is a tree of elements until its very end, and only the tree's writer makes text of it: nothing that a server,
a program or a label has said can become markup.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from xml.etree import ElementTree as ET  # written only, never parsed

from analyzer.model.judgement import Evidence, Interval, Judgement, SideEvidence, Standing
from analyzer.model.report import Report, Verdict
from analyzer.model.target import Receipt, Revision
from analyzer.model.units import show_duration, show_level
from analyzer.rendering.text import SIGNS, action_line, headline, printable

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6570; --page: #f5f6f8; --card: #fff; --line: #d9dde2;
  --pass: #1a7f37; --fail: #c62828; --wait: #9a6700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ec; --soft: #9aa5b1; --page: #14171a; --card: #1e2226;
  --line: #343a41; --pass: #4ac26b; --fail: #ff7b72; --wait: #e3b341; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; color: var(--ink); background: var(--page);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0; font-size: 1.4rem; } h2 { margin: 1.5rem 0 .5rem; font-size: 1.1rem; }
h3 { margin: 0; font-size: 1rem; }
p { margin: .4rem 0; } ul { margin: .4rem 0; padding-left: 1.2rem; }
header, article, section.card { background: var(--card); border: 1px solid var(--line);
  border-left: .4rem solid var(--wait); border-radius: .4rem; padding: .8rem 1rem; margin: 0 0 .7rem; }
.pass { border-left-color: var(--pass); } .fail, .error { border-left-color: var(--fail); }
.pass > h1, .pass > h3 { color: var(--pass); } .fail > h1, .fail > h3, .error > h1 { color: var(--fail); }
section.card { border-left: 1px solid var(--line); }
.soft, dt, summary { color: var(--soft); } .soft { font-size: .9rem; font-weight: normal; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .1rem 1rem;
  margin: .5rem 0; font-size: .9rem; }
dd { margin: 0; }
.bar { height: .4rem; max-width: 16rem; border-radius: .2rem; background: var(--line); overflow: hidden; }
.bar > div { height: 100%; background: var(--soft); }
.bar.worse > div { background: var(--fail); } .bar.better > div { background: var(--pass); }
pre { margin: .4rem 0; white-space: pre-wrap; font: .85rem/1.4 ui-monospace, monospace; }
@media (max-width: 30rem) { body { padding: .5rem; } dl { grid-template-columns: 1fr; } dd { margin-bottom: .3rem; } }
@media print { body { background: none; } details > * { display: block; } }
"""
_LONGEST_LEVEL = 1e15
"""Beyond that a level is written as a plain number: no unit makes it readable."""


def render(report: Report) -> str:
    """The page, ending with a line break: what every other form says, in the same order."""
    title = f"{headline(report)} · canary analyzer"
    head = _element(
        "head",
        _element("meta", charset="utf-8"),
        _element("meta", {"http-equiv": "Content-Security-Policy"}, content=_POLICY),
        _element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        _element("meta", name="referrer", content="no-referrer"),
        _element("title", title),
        _style(),
    )
    page = _element("html", head, _element("body", *_body(report)), lang="en")
    return "<!DOCTYPE html>\n" + ET.tostring(page, encoding="unicode", method="html") + "\n"


def _body(report: Report) -> Iterator[ET.Element]:
    yield _top(report)
    if report.judgements:
        yield _element("h2", "Rules")
        yield from (_rule(judgement) for judgement in report.judgements)
    if report.warnings:
        notes = (_element("li", warning) for warning in report.warnings)
        yield _element("h2", "Notes")
        yield _element("section", _element("ul", *notes), {"class": "card"})
    if report.receipt is not None:
        yield _element("h2", "What was done")
        yield _done(report.receipt)
    yield _element("h2", "The analysis")
    yield _element("section", _facts(_of_analysis(report)), {"class": "card"})


def _top(report: Report) -> ET.Element:
    kinds = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.ERROR: "error"}
    parts = [
        _element("h1", headline(report)),
        _element("p", report.reason),
        _element("p", _element("strong", action_line(report))),
    ]
    if report.seconds_to_verdict is not None:
        parts.append(_element("p", _times(report.seconds_to_verdict, report.seconds_to_recovery), {"class": "soft"}))
    return _element("header", *parts, {"class": kinds.get(report.verdict, "wait")})


def _times(verdict: float, recovery: float | None) -> str:
    words = f"verdict {_duration(verdict)} after the upgrade"
    return words if recovery is None else f"{words}, recovered {_duration(recovery)} after the first bad window"


def _rule(judgement: Judgement) -> ET.Element:
    kind = " (critical)" if judgement.critical else " (advisory)" if judgement.advisory else ""
    name = _element("h3", f"{SIGNS[judgement.standing]} {judgement.rule}")
    name.append(_element("span", f" {judgement.standing.value}{kind}", {"class": "soft"}))
    evidence = judgement.evidence
    parts = [name, _element("p", judgement.reason), _facts(_of_evidence(evidence))]
    if evidence.queries:
        queries = "\n".join(f"{printable(role)}: {printable(query)}" for role, query in evidence.queries.items())
        parts.append(_folded("queries", queries))
    kinds = {Standing.PASS: "pass", Standing.FAIL: "fail"}
    return _element("article", *parts, {"class": kinds.get(judgement.standing, "wait")})


def _of_evidence(evidence: Evidence) -> Iterator[tuple[str, str | ET.Element]]:
    facts: tuple[tuple[str, str | ET.Element | None], ...] = (
        ("canary", _side(evidence.canary, evidence.unit)),
        ("baseline", _side(evidence.baseline, evidence.unit)),
        ("canary / baseline", _interval(evidence.ratio, None)),
        ("of the canary alone", _interval(evidence.rate, evidence.unit)),
        ("tolerated", evidence.tolerated),
        ("limit", None if evidence.limit is None else _level(evidence.limit, evidence.unit)),
        ("towards fail", None if evidence.towards_fail is None else _bar(evidence.towards_fail, "worse")),
        ("towards pass", None if evidence.towards_pass is None else _bar(evidence.towards_pass, "better")),
        ("p-value", None if evidence.p_value is None else f"{evidence.p_value:.2g}"),
        ("windows judged", str(evidence.windows or "")),
        ("left to a verdict", None if evidence.seconds_left is None else f"about {_duration(evidence.seconds_left)}"),
    )
    yield from ((name, what) for name, what in facts if what is not None and what != "")


def _of_analysis(report: Report) -> Iterator[tuple[str, str]]:
    yield "target", f"{report.target}" + (f" in {report.target.namespace}" if report.target.namespace else "")
    yield "revision", _revision(report.revision)
    if report.baseline is not None:
        yield "baseline", _revision(report.baseline)
    if report.stage is not None and str(report.stage):
        yield "brought out", str(report.stage)
    yield "rule set", report.rule_set
    yield "analysis", report.analysis
    moments = (
        ("upgraded", report.upgraded_at),
        ("started", report.started_at),
        ("read until", report.as_of),
        ("decided", report.decided_at),
        ("ended", report.ended_at),
        ("deadline", report.deadline_at),
    )
    yield from ((name, _moment(at)) for name, at in moments if at is not None)


def _done(receipt: Receipt) -> ET.Element:
    parts = [_element("p", receipt.detail)]
    if receipt.command:
        parts.append(_folded("command", " ".join(printable(word) for word in receipt.command)))
    if receipt.output.strip():
        parts.append(_folded("output", "\n".join(printable(line) for line in receipt.output.splitlines())))
    return _element("section", *parts, {"class": "card"})


def _revision(revision: Revision) -> str:
    more = ", ".join(word for word in (revision.chart, revision.app_version and f"app {revision.app_version}") if word)
    return f"{revision.number} ({more})" if more else revision.number


def _side(side: SideEvidence | None, unit: str | None) -> str:
    if side is None:
        return ""
    words = [] if side.value is None else [_level(side.value, unit)]
    if side.bad is not None and side.total is not None:
        words.append(f"{_count(side.bad)} of {_count(side.total)}")
    elif side.total is not None:
        words.append(f"of {_count(side.total)}")
    return ", ".join(words)


def _interval(interval: Interval | None, unit: str | None) -> str:
    if interval is None:
        return ""
    between = f"between {_level(interval.low, unit)} and {_level(interval.high, unit)}"
    return between if interval.estimate is None else f"{_level(interval.estimate, unit)}, {between}"


def _level(level: float, unit: str | None) -> str:
    if not math.isfinite(level):
        return "unknown" if math.isnan(level) else "any" if level > 0 else "none"
    return show_level(level, unit if abs(level) < _LONGEST_LEVEL else None)


def _duration(seconds: float) -> str:
    return show_duration(seconds) if 0 <= seconds < _LONGEST_LEVEL else "unknown"


def _count(number: float) -> str:
    return f"{number:.0f}"


def _moment(at: float) -> str:
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):  # no time that a calendar has
        return "unknown"


def _bar(share: float, kind: str) -> ET.Element:
    filled = 0.0 if math.isnan(share) else min(1.0, max(0.0, share))
    words = f"{100 * share:.0f} %" if math.isfinite(share) else "unknown"
    bar = _element("div", _element("div", style=f"width: {100 * filled:.0f}%"), {"class": f"bar {kind}"})
    bar.set("aria-hidden", "true")
    return _element("div", words, bar)


def _facts(facts: Iterator[tuple[str, str]] | Iterator[tuple[str, str | ET.Element]]) -> ET.Element:
    """A list of names and what they are."""
    return _element("dl", *(part for name, what in facts for part in (_element("dt", name), _element("dd", what))))


def _folded(summary: str, text: str) -> ET.Element:
    """What is shown when it is asked for, as it is written."""
    words = ET.Element("pre")
    words.text = text
    return _element("details", _element("summary", summary), words)


def _style() -> ET.Element:
    style = ET.Element("style")
    style.text = _STYLE
    return style


def _element(tag: str, *children: "str | ET.Element | dict[str, str]", **attributes: str) -> ET.Element:
    """An element; strings become text on one line, with control characters spelled out."""
    made = ET.Element(tag, {name: printable(value) for name, value in attributes.items()})
    for child in children:
        if isinstance(child, dict):
            made.attrib.update(child)
        elif isinstance(child, str):
            made.text = (made.text or "") + printable(child)
        else:
            made.append(child)
    return made
