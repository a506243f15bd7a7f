"""A report as plain text, for a terminal and for CI logs."""

from analyzer.model.judgement import Judgement, Standing
from analyzer.model.report import Report, Verdict
from analyzer.model.units import show_duration

SIGNS = {Standing.PASS: "✓", Standing.FAIL: "✗", Standing.PENDING: "…", Standing.NO_DATA: "?"}


def printable(text: str) -> str:
    """On one line, and with what a terminal would obey (escape sequences, reversed writing) spelled out.

    Words of servers, programs and label values stand in the texts: whoever writes them must not write the log.
    """
    line = "".join(sign if sign.isprintable() else " " if sign.isspace() else _spelled(sign) for sign in text)
    return line.replace("##[", "## [")  # a workflow's runner obeys that in the middle of a line, too


def _spelled(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")


def headline(report: Report) -> str:
    """The verdict in one line: `FAIL  helm/web revision 7: …`."""
    word = "stopped" if report.verdict == Verdict.PENDING else report.verdict.value
    return f"{word.upper()}  {report.target} revision {report.revision.number}"


def action_line(report: Report) -> str:
    """The action and its result in one line."""
    line = f"action: {report.action.kind.value} ({report.action.result.value})"
    return f"{line}, held by: {report.held_by.value}" if report.held_by else line


def judgement_line(judgement: Judgement) -> str:
    """One rule in one line."""
    kind = " (critical)" if judgement.critical else " (advisory)" if judgement.advisory else ""
    return f"{SIGNS[judgement.standing]} {judgement.rule}{kind}: {judgement.reason}"


def text(report: Report) -> str:
    """The whole report; ends without a line break."""
    lines = [headline(report), f"  {report.reason}", f"  {action_line(report)}"]
    if report.seconds_to_verdict is not None:
        times = f"verdict {show_duration(report.seconds_to_verdict)} after the upgrade"
        if report.seconds_to_recovery is not None:
            times += f", recovered {show_duration(report.seconds_to_recovery)} after the first bad window"
        lines.append(f"  {times}")
    if report.stage is not None and str(report.stage):
        lines.append(f"  {report.stage}")
    lines += [f"  {judgement_line(judgement)}" for judgement in report.judgements]
    lines += [f"  note: {warning}" for warning in report.warnings]
    return "\n".join(printable(line) for line in lines)
