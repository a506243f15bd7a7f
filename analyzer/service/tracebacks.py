"""An exception as values for one line of the log."""

from pathlib import PurePath
from traceback import FrameSummary, walk_tb
from types import TracebackType

MOST_FRAMES = 20
"""The innermost ones: where it happened says more than where it began."""
MOST_CAUSES = 3
"""Exceptions behind an exception, and members of a group."""


def told(error: BaseException, causes: int = MOST_CAUSES) -> dict[str, object]:
    """Type, message and frames (outermost first, `file:line function`), and the same of what it came from."""
    described: dict[str, object] = {
        "type": type(error).__name__,
        "message": _message(error),
        "frames": _frames(error.__traceback__),
    }
    if causes <= 0:
        return described
    if isinstance(error, BaseExceptionGroup):
        described["errors"] = [told(member, causes - 1) for member in error.exceptions[:MOST_CAUSES]]
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None:
        described["cause"] = told(cause, causes - 1)
    return described


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 -- as it says
        return "a message that cannot be shown"


def _frames(traceback: TracebackType | None) -> list[str]:
    frames = [
        FrameSummary(frame.f_code.co_filename, line, frame.f_code.co_name, lookup_line=False)
        for frame, line in walk_tb(traceback)
    ]
    return [f"{_short(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames[-MOST_FRAMES:]]


def _short(file: str) -> str:
    """The file's path from its package on: where it is installed is nobody's business."""
    parts = PurePath(file).parts
    for root in ("site-packages", "analyzer"):
        if root in parts[:-1]:
            start = len(parts) - 1 - parts[::-1].index(root)
            return "/".join(parts[start + (root == "site-packages") :])
    return "/".join(parts[-2:])
