"""The exit codes, as the README promises them."""

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analyzer.model.report import Report


class Exit(IntEnum):
    """What an exit code says. 1 is Python's own crash code and is never used on purpose."""

    PASS = 0
    USAGE = 2
    INCONCLUSIVE = 3
    ERROR = 4
    TAKEN_BACK = 10
    NOT_TAKEN_BACK = 11
    INTERRUPTED = 130
    TERMINATED = 143


SIGNALS = {"SIGINT": Exit.INTERRUPTED, "SIGTERM": Exit.TERMINATED}


def exit_code(report: "Report") -> Exit:
    """The exit code of a finished analysis, its signals aside."""
    from analyzer.model.report import ActionResult, Verdict
    from analyzer.model.target import TAKES_BACK

    match report.verdict:
        case Verdict.PASS:
            return Exit.PASS
        case Verdict.FAIL:
            done = report.action.result in {ActionResult.DONE, ActionResult.UNVERIFIED}
            taken_back = done and report.action.kind in TAKES_BACK
            return Exit.TAKEN_BACK if taken_back else Exit.NOT_TAKEN_BACK
        case Verdict.ERROR:
            return Exit.ERROR
        case Verdict.INCONCLUSIVE | Verdict.PENDING:
            return Exit.INCONCLUSIVE
