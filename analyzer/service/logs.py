"""The service's log: one line for each thing that happened, as JSON or as text, on standard error.

Our own lines come by `logger(__name__)`, those of libraries by `logging`; both go the same way and look the same.
"""

import json
import logging
import sys
from collections.abc import Mapping, MutableMapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import structlog
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.stdlib import ProcessorFormatter
from structlog.typing import Processor

from analyzer.service.masking import clean, masked
from analyzer.service.repeats import Repeats
from analyzer.service.tracebacks import told

Format = Literal["json", "text"]
Values = MutableMapping[str, Any]

LEADING = ("time", "level", "event", "analysis")
"""The fields that each line begins with, in this order; `analysis` only where the line is about one."""
OURS = ("analyzer", "uvicorn")
"""Loggers that speak at the level that is set. Others only warn: some would tell SQL with its values."""
ACCESS = "uvicorn.access"


def configure_logs(format: Format = "json", level: str = "info", stream: TextIO | None = None) -> None:  # noqa: A002
    """Begin to log: own and foreign lines of at least this level (`debug`, `info`, `warning`, `error`).

    Whatever was set up before is replaced; uvicorn must be told not to set up its own (`log_config=None`).
    """
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(_formatter(format))
    handler.addFilter(Repeats())
    root, number = logging.getLogger(), logging.getLevelNamesMapping()[level.upper()]
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
    logging.captureWarnings(capture=True)
    for name in (*OURS, ACCESS, "uvicorn.error"):
        ours = logging.getLogger(name)
        ours.handlers.clear()
        ours.propagate = True
        ours.setLevel(number)
    access = logging.getLogger(ACCESS)
    access.filters[:] = [_Access(number)]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_BEFORE, ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # else loggers of modules would keep what an earlier call has set up
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The logger of a module; `name` is its `__name__`. A line is a short event and values: `.info("claimed", n=3)`."""
    bound_logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return bound_logger


def bound(**values: str) -> AbstractContextManager[None]:
    """Within it, each line of this task, and of the tasks that it starts, has these values: `bound(analysis=id)`."""
    return bound_contextvars(**values)


def line_of(values: Mapping[str, object], format: Format) -> str:  # noqa: A002 -- its name in the settings
    """One line of the log."""
    if format == "json":
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))
    rest = " ".join(f"{key}={_short(value)}" for key, value in values.items() if key not in LEADING[:3])
    return f"{values.get('time')} {values.get('level', ''):<8} {values.get('event')}{'  ' if rest else ''}{rest}"


def _short(value: object) -> str:
    if isinstance(value, str) and value and " " not in value and '"' not in value:
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _stamp(_: object, __: str, values: Values) -> Values:
    values["time"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return values


def _describe_error(_: object, __: str, values: Values) -> Values:
    """`exc_info` in each form that logging knows becomes `error`: type, message and frames."""
    info = values.pop("exc_info", None)
    if isinstance(info, tuple):
        info = info[1]
    elif info and not isinstance(info, BaseException):
        info = sys.exc_info()[1]
    if isinstance(info, BaseException):
        values["error"] = told(info)
    return values


def _put_in_order(_: object, __: str, values: Values) -> Values:
    cleaned = clean({key: value for key, value in values.items() if not key.startswith("_")})
    return {key: cleaned.pop(key) for key in LEADING if key in cleaned} | cleaned


_BEFORE: list[Processor] = [
    merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    _stamp,
    _describe_error,
]


def _formatter(format: Format) -> ProcessorFormatter:  # noqa: A002 -- its name in the settings
    def render(_: object, __: str, values: Values) -> str:
        return line_of(values, format)

    return ProcessorFormatter(
        foreign_pre_chain=_BEFORE, processors=[ProcessorFormatter.remove_processors_meta, _put_in_order, render]
    )


class _Handler(logging.StreamHandler[TextIO]):
    """Writes lines. That one cannot be written (a full disk, a reader who left) is no reason to stop the work."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 -- logging's
        error = sys.exception()
        if isinstance(error, OSError | ValueError) and not isinstance(error, UnicodeError):
            return  # the stream's; ValueError: it is closed
        line = {"level": "error", "event": "a line could not be formatted", "logger": masked(record.name)}
        try:
            self.stream.write(json.dumps(line | {"error": type(error).__name__}) + self.terminator)
        except (OSError, ValueError):
            return


class _Access(logging.Filter):
    """Each request is a line for debugging only, and without the query of its path: some send secrets in it."""

    def __init__(self, level: int) -> None:
        super().__init__()
        self._level = level

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(value.partition("?")[0] if isinstance(value, str) else value for value in record.args)
        record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return self._level <= logging.DEBUG
