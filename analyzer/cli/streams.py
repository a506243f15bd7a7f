"""Standard output and error as they really are: closed, full, a pipe whose reader has gone, without Unicode.

Whoever read the progress may leave; the analysis goes on, the bad release is taken back, and the exit code stays true.
"""

import codecs
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TextIO


def secure() -> None:
    """Make both streams usable: a closed one prints nowhere, and a sign that one does not know is spelled out."""
    for descriptor in (0, 1, 2):  # a closed one would else become that of the next file or socket that is opened
        try:
            os.fstat(descriptor)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    sys.stdout = sys.stdout or _nowhere()
    sys.stderr = sys.stderr or _nowhere()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)  # what a test has put there has none
        if reconfigure is not None:
            codecs.register_error("canary-analyzer", _spelled)
            reconfigure(errors="canary-analyzer")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    r"""What a stream does not know, as `\u2717`: readable, and right within JSON as well."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end


def _nowhere() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")


def tell(sentence: str) -> None:
    """A sentence on standard error, if anybody is there to read it."""
    try:
        print(sentence, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def deliver(text: str) -> str:
    """Print on standard output; returns why that was not possible, or nothing."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        silence(sys.stdout)
        return error.strerror or "it is closed"
    return ""


def silence(stream: TextIO) -> None:
    """Let what a stream still holds and will get go nowhere: Python flushes it once more when it ends."""
    with suppress(OSError, ValueError):  # it has no descriptor
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
