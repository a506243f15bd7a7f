"""Where a report goes, and in which form."""

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.cli.streams import deliver, tell
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.model.report import Report


class Output(StrEnum):
    """The forms that a report can take."""

    TEXT = "text"
    JSON = "json"
    JUNIT = "junit"
    MARKDOWN = "markdown"
    GITHUB = "github"
    HTML = "html"


def render(report: "Report", form: Output) -> str:
    """The report in one form, ending with a line break."""
    match form:
        case Output.TEXT:
            from analyzer.rendering.text import text

            return text(report) + "\n"
        case Output.JSON:
            return report.model_dump_json(indent=2) + "\n"
        case Output.JUNIT:
            from analyzer.rendering.junit import junit

            return junit(report)
        case Output.MARKDOWN:
            from analyzer.rendering.document import markdown

            return markdown(report)
        case Output.GITHUB:
            from analyzer.rendering.github import annotations
            from analyzer.rendering.text import text

            return annotations(report) + text(report) + "\n"
        case Output.HTML:
            from analyzer.rendering.html import render as page

            return page(report)


def emit(report: "Report", form: Output | None, file: Path | None) -> None:
    """Print the report, or write it into a file; on GitHub Actions the step's summary and outputs are written as well.

    Where that is not possible, it is said and the report goes to the next stream, so that it is not lost; nothing is
    raised, so that the exit code of the analysis stays.
    """
    on_github = os.environ.get("GITHUB_ACTIONS") == "true"
    form = form or (Output.GITHUB if on_github and file is None else Output.TEXT)
    if form == Output.GITHUB or on_github:
        _tell_github(report)
    rendered = render(report, form)
    if file is None:
        _print(report, rendered)
        return
    try:
        file.write_text(rendered, encoding="utf-8")
    except OSError as error:
        tell(f"canary: --output-file {file}: cannot be written: {error.strerror}")
        _print(report, rendered)
    else:
        tell(render(report, Output.TEXT).rstrip("\n"))


def _print(report: "Report", rendered: str) -> None:
    if trouble := deliver(rendered):
        tell(f"canary: the report could not be printed: {trouble}")
        tell(render(report, Output.TEXT).rstrip("\n"))


def check_writable(file: Path | None, flag: str) -> None:
    """Refuse early what could not be written at the end.

    Raises:
        UsageError: the folder does not exist, or the file is a folder.
    """
    if file is not None and (file.is_dir() or not file.absolute().parent.is_dir()):
        raise UsageError(f"{flag} {file}: cannot be written: no such folder, or a folder itself")


def _tell_github(report: "Report") -> None:
    from analyzer.rendering.document import markdown
    from analyzer.rendering.github import outputs

    _append("GITHUB_STEP_SUMMARY", "summary", lambda: markdown(report) + "\n")
    _append("GITHUB_OUTPUT", "outputs", lambda: outputs(report))


def _append(variable: str, what: str, rendered: Callable[[], str]) -> None:
    """To the file that this variable names, if it names one."""
    if not (name := os.environ.get(variable)):
        return
    try:
        with Path(name).open("a", encoding="utf-8") as file:
            file.write(rendered())
    except OSError as error:
        tell(f"canary: the step's {what} could not be written: {error.strerror}")
