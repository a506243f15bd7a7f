"""A report for GitHub Actions: as workflow commands, an annotation for the verdict and one for each failed rule; and as
outputs of the step."""

from analyzer.model.judgement import Standing
from analyzer.model.report import Report, Verdict
from analyzer.rendering.text import headline, printable

LEVELS = {Verdict.PASS: "notice", Verdict.FAIL: "error", Verdict.ERROR: "error"}


def annotations(report: Report) -> str:
    """The commands, a line each, ending with a line break."""
    lines = [_command(LEVELS.get(report.verdict, "warning"), headline(report), report.reason)]
    lines += [
        _command("warning" if judgement.advisory else "error", f"rule {judgement.rule}", judgement.reason)
        for judgement in report.judgements
        if judgement.standing == Standing.FAIL
    ]
    return "\n".join(lines) + "\n"


def outputs(report: Report) -> str:
    """The report's leading fields as outputs of a step, a line each: whatever they say, it cannot name another one."""
    fields = {
        "verdict": report.verdict.value,
        "action": report.action.kind.value,
        "result": report.action.result.value,
        "held-by": report.held_by.value if report.held_by else "",
        "reason": report.reason,
    }
    return "".join(f"{name}={printable(value)}\n" for name, value in fields.items())


def _command(level: str, title: str, message: str) -> str:
    return f"::{level} title={_property(title)}::{_data(message)}"


def _data(text: str) -> str:
    return "%0A".join(printable(line).replace("%", "%25") for line in text.splitlines())


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
