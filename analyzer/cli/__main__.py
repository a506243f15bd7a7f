"""The entry point: runs a command and turns every outcome into an exit code and, at most, one sentence."""

import os
import signal
import sys
import warnings

from analyzer.cli.exits import Exit
from analyzer.cli.streams import deliver, secure, silence, tell


def main() -> None:
    """Run the command line and leave with its exit code."""
    if os.getpid() == 1:
        _be_first()
    secure()
    if not sys.warnoptions and not os.environ.get("CANARY_DEBUG"):
        warnings.simplefilter("ignore")  # they are for developers: a user gets sentences
    code = run(sys.argv[1:])
    if (trouble := deliver("")) and code == Exit.PASS:  # what a command has printed and not flushed
        code = _say(f"nothing could be printed: {trouble}", Exit.ERROR)
    sys.exit(code)


def _be_first() -> None:
    """SIGTERM ends us until somebody handles it better, in a container as well.

    There the kernel drops a signal that process 1 does not handle: a pod that is to end while it starts would be waited
    for until its grace period is over.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(Exit.TERMINATED))


def run(arguments: list[str]) -> int:  # noqa: PLR0911 -- one return for each way to end
    """Run one command; returns the exit code, and prints what went wrong on standard error."""
    import typer

    from analyzer.cli.app import app
    from analyzer.errors import CanaryError, RecordError, UsageError

    try:
        result = app(arguments, prog_name="canary", standalone_mode=False)
    except typer.Exit as leaving:
        if leaving.exit_code == Exit.INTERRUPTED:  # Typer's answer to Ctrl-C
            return _say("stopped by Ctrl-C", Exit.INTERRUPTED)
        return leaving.exit_code
    except typer.TyperException as error:
        message = error.format_message()
        return _say(f"{message} (canary --help tells more)", Exit.USAGE) if message else int(Exit.USAGE)
    except (typer.Abort, KeyboardInterrupt):
        return _say("stopped by Ctrl-C", Exit.INTERRUPTED)
    except (UsageError, RecordError) as error:
        return _say(str(error), Exit.USAGE)
    except CanaryError as error:
        return _say(f"could not analyse: {error}", Exit.ERROR)
    except (BrokenPipeError, SystemExit):  # whoever read the output has gone: Typer makes exit code 1 of it
        silence(sys.stdout)
        return int(Exit.ERROR)
    except OSError as error:
        trouble = deliver("")  # what could not be printed before cannot be printed now
        return _say(f"nothing could be printed: {trouble}", Exit.ERROR) if trouble else _unforeseen(error)
    except Exception as error:  # noqa: BLE001 -- the last line before the user: no traceback passes it
        return _unforeseen(error)
    return int(result or 0)


def _say(sentence: str, code: Exit) -> int:
    tell(f"canary: {sentence}")
    return int(code)


def _unforeseen(error: Exception) -> int:
    import traceback

    if os.environ.get("CANARY_DEBUG"):
        traceback.print_exception(error)
    return _say(
        f"could not analyse: an error that was not foreseen: {type(error).__name__}: {error} "
        "(set CANARY_DEBUG=1 to see where)",
        Exit.ERROR,
    )


if __name__ == "__main__":
    main()
