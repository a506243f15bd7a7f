"""The entry point: runs a command and turns every outcome into an exit code and, at most, one sentence."""

import os
import sys

from analyzer.cli.exits import Exit


def main() -> None:
    """Run the command line and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:  # noqa: PLR0911 -- one return for each way to end
    """Run one command; returns the exit code, and prints what went wrong on standard error."""
    import typer

    from analyzer.cli.app import app
    from analyzer.errors import CanaryError, RecordError, UsageError

    try:
        result = app(arguments, prog_name="canary", standalone_mode=False)
    except typer.Exit as leaving:
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
    except BrokenPipeError:
        # Whoever read the output has gone; the verdict's exit code is lost with it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing may flush into the closed pipe
        return int(Exit.ERROR)
    except Exception as error:  # noqa: BLE001 -- the last line before the user: no traceback passes it
        return _unforeseen(error)
    return int(result or 0)


def _say(sentence: str, code: Exit) -> int:
    print(f"canary: {sentence}", file=sys.stderr)
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
