"""A report as Markdown."""

from analyzer.model.report import Report
from analyzer.rendering.text import SIGNS, action_line, headline, printable


def markdown(report: Report) -> str:
    """The document, ending with a line break."""
    lines = [
        f"### {_escape(headline(report))}",
        "",
        _escape(report.reason),
        "",
        f"**{_escape(action_line(report))}**",
        "",
    ]
    if report.stage is not None and str(report.stage):
        lines += [_escape(str(report.stage)), ""]
    if report.judgements:
        lines += ["| | rule | what it says | towards fail | towards pass |", "|---|---|---|---|---|"]
        for judgement in report.judgements:
            evidence = judgement.evidence
            kind = " (critical)" if judgement.critical else " (advisory)" if judgement.advisory else ""
            lines.append(
                f"| {SIGNS[judgement.standing]} | {_escape(judgement.rule)}{kind} | {_escape(judgement.reason)} "
                f"| {_way(evidence.towards_fail)} | {_way(evidence.towards_pass)} |"
            )
        lines.append("")
    lines += [f"- {_escape(warning)}" for warning in report.warnings]
    queries = [
        f"{judgement.rule} {role}: {query}"
        for judgement in report.judgements
        for role, query in judgement.evidence.queries.items()
    ]
    if queries:
        fence = "`" * max(3, 1 + max(len(run) for run in _backticks("\n".join(queries))))
        lines += ["", "<details><summary>queries</summary>", "", fence + "promql", *queries, fence, "", "</details>"]
    return "\n".join(lines).rstrip("\n") + "\n"


def _way(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.0f} %"


def _backticks(text: str) -> list[str]:
    runs, run = [""], ""
    for sign in text:
        run = run + sign if sign == "`" else ""
        runs.append(run)
    return runs


def _escape(text: str) -> str:
    text = printable(text).replace("\\", "\\\\")
    for sign in "|*_`[]#":
        text = text.replace(sign, "\\" + sign)
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
