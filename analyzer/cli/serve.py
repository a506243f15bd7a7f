"""`canary serve`: settings in, a running service out."""

import asyncio
import os
from dataclasses import dataclass
from pathlib import Path

from analyzer.cli.exits import Exit
from analyzer.cli.streams import tell
from analyzer.errors import CanaryError, UsageError


@dataclass(frozen=True)
class Options:
    """The flags of `canary serve`, as they were given."""

    config: Path | None
    host: str | None
    port: int | None
    database: str | None
    actions: str | None
    log_format: str | None
    log_level: str | None
    check: bool

    def flags(self) -> dict[str, object]:
        """Those that are settings."""
        return {
            "--host": self.host,
            "--port": self.port,
            "--database": self.database,
            "--actions": self.actions,
            "--log-format": self.log_format,
            "--log-level": self.log_level,
        }


def run(options: Options) -> int:
    """Serve until a signal comes, or check whether that would be possible; returns the exit code.

    Raises:
        UsageError: the settings cannot be used, with every mistake in them.
    """
    try:
        from analyzer.cli import serve_check, serving
        from analyzer.service.settings import load
    except ModuleNotFoundError as error:
        return needs_extra(error)
    settings = load(options.config, options.flags(), os.environ)
    try:
        if options.check:
            return asyncio.run(serve_check.check(settings))
        _forget_secrets()
        return serving.serve(settings)
    except UsageError:
        raise
    except CanaryError as error:
        tell(f"canary: could not serve: {error}")
        return int(Exit.ERROR)


def _forget_secrets() -> None:
    """Settings may hold secrets, and helm and the commands of targets find our environment as theirs."""
    for name in list(os.environ):
        if name.startswith("CANARY_") or name == "DATABASE_URL":
            del os.environ[name]


def needs_extra(error: ModuleNotFoundError) -> int:
    """Say what is to be installed; returns the exit code.

    Raises:
        ModuleNotFoundError: it is a part of our own that is missing.
    """
    if (error.name or "").partition(".")[0] == "analyzer":
        raise error
    tell(f"canary: this needs {error.name}: pip install 'canary-analyzer[serve]'")
    return int(Exit.ERROR)
