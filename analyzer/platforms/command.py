"""What is neither Helm nor Argo: anything that a command of the user's takes back."""

import os
import re
import shlex
import shutil
from collections.abc import Mapping

from analyzer.errors import PlatformError, UsageError
from analyzer.model.target import Confirm, Deployment, Intent, Receipt, Revision, Target, at_any_time
from analyzer.platforms.program import run, tail

_SHELL_ONLY = re.compile(r"^[();<>|&]+$|\$[\w{(]|`")
_LONGEST_VALUE = 4096  # characters; an environment has little room


class Command:
    """The platform of one target that a command takes back; implements the engine's port `Platform`.

    The command is split as a shell would and run without one, at most `time_limit` seconds. It finds what it is for in
    its environment: CANARY_TARGET (`command/web`), CANARY_NAME, CANARY_NAMESPACE, CANARY_ANALYSIS, CANARY_ACTION,
    CANARY_REASON, CANARY_FROM_REVISION and CANARY_TO_REVISION, and what `env` adds. Exit code 0 means taken back.

    Receipts have the whole command, or without `shows_words` its program alone: the words may hold secrets of who set
    it up, and receipts are for others.

    There is no history to ask: `revision` and `previous` name the two revisions, as far as the caller knows them.

    Raises:
        UsageError: the command cannot be split, is empty, or needs a shell.
    """

    def __init__(
        self,
        target: Target,
        rollback_command: str = "",
        *,
        revision: Revision | None = None,
        previous: Revision | None = None,
        time_limit: float = 300.0,
        env: Mapping[str, str] | None = None,
        shows_words: bool = True,
    ) -> None:
        self._target = target
        self._command = _split(rollback_command) if rollback_command else []
        self._shown = tuple(self._command if shows_words else self._command[:1])
        self._revision = revision or Revision(number="new")
        self._previous = previous or Revision(number="previous")
        self._time_limit = time_limit
        self._env = {**os.environ, **(env or {})}

    async def look(self) -> Deployment:
        """What is known: the two revisions, and whether the command is there at all."""
        no_way_back = ""
        if not self._command:
            no_way_back = f"no command was given that takes {self._target} back (--rollback-command)"
        elif not shutil.which(self._command[0], path=self._env.get("PATH")):
            no_way_back = f"the command that takes {self._target} back is not there: no program {self._command[0]!r}"
        return Deployment(
            target=self._target,
            current=self._revision,
            wanted=None if no_way_back else self._previous,
            no_way_back=no_way_back,
            history=(self._previous, self._revision),
        )

    async def take_back(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt:
        """Run the command. A failed attempt is a receipt that says so. When cancelled, it first comes to its end."""
        if not self._command:
            return Receipt(ok=False, detail=f"no command was given that takes {self._target} back")
        command = tuple(self._command)
        name = shlex.quote(command[0])
        try:
            outcome = await run(
                command,
                time_limit=self._time_limit,
                env={**self._env, **_variables(intent)},
                uninterrupted=True,
                confirm=confirm,
            )
        except PlatformError as error:
            return Receipt(ok=False, detail=f"{self._target} was not taken back: {error}", command=self._shown)
        if outcome.timed_out:
            how = f"did not end within {self._time_limit:g} s and was stopped"
        elif outcome.code < 0:
            how = f"was ended by signal {-outcome.code}"
        else:
            how = f"ended with exit code {outcome.code}"
        detail = f"{self._target} was {'' if outcome.ok else 'not '}taken back: {name} {how}"
        output = tail("\n".join(text.strip() for text in (outcome.stdout, outcome.stderr)))
        return Receipt(ok=outcome.ok, detail=detail, command=self._shown, output=output)

    async def settle(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt | None:
        """Nobody can know: a command leaves no trace that is ours. It is not run twice."""
        _ = intent, confirm
        detail = (
            f"the analyzer was ended while {self._target} was being taken back, and nobody knows whether the command "
            "came to its end: look, and run it by hand if it did not"
        )
        return Receipt(ok=False, detail=detail, command=self._shown)


def _split(command: str) -> list[str]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"--rollback-command {command!r} cannot be split into words: {error}") from None
    if not words:
        raise UsageError("--rollback-command is empty")
    if special := _shell_words(command):
        raise UsageError(
            f"--rollback-command is run without a shell, and {special[0]!r} needs one; write it as "
            f"sh -c {shlex.quote(command)}"
        )
    return words


def _shell_words(command: str) -> list[str]:
    """The words that only a shell understands; in quotes they are ordinary."""
    words = shlex.shlex(command, posix=False, punctuation_chars=True)
    words.whitespace_split = True
    try:
        return [word for word in words if word[0] not in "'\"" and _SHELL_ONLY.search(word)]
    except ValueError:  # an apostrophe that posix rules allow: not told apart
        return []


def _variables(intent: Intent) -> dict[str, str]:
    variables = {
        "CANARY_TARGET": str(intent.target),
        "CANARY_NAME": intent.target.name,
        "CANARY_NAMESPACE": intent.target.namespace,
        "CANARY_ANALYSIS": intent.analysis,
        "CANARY_ACTION": intent.kind.value,
        "CANARY_REASON": intent.reason,
        "CANARY_FROM_REVISION": intent.from_revision.number,
        "CANARY_TO_REVISION": intent.to_revision.number if intent.to_revision else "",
    }
    return {name: value.replace("\0", "")[:_LONGEST_VALUE] for name, value in variables.items()}
