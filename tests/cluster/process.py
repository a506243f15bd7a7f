"""Commands that run to their end."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_DEADLINE = 300.0  # seconds


class CommandError(Exception):
    """A command has failed; the message is the command and what it has complained."""

    def __init__(self, command: Sequence[str], code: int, stdout: str, stderr: str) -> None:
        super().__init__(f"{' '.join(command)}: exit code {code}\n{stderr or stdout}")
        self.code, self.stdout, self.stderr = code, stdout, stderr


def run(command: Sequence[str | Path], *, stdin: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """What it prints on stdout. CommandError when its exit code is not 0."""
    words = [str(word) for word in command]
    done = subprocess.run(
        words, input=stdin or "", env=env, capture_output=True, text=True, timeout=_DEADLINE, check=False
    )
    if done.returncode != 0:
        raise CommandError([Path(words[0]).name, *words[1:]], done.returncode, done.stdout, done.stderr)
    return done.stdout
