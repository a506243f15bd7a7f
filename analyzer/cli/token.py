"""`canary token`: a new token for the service, and what its settings hold of it."""

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.cli.exits import Exit
from analyzer.cli.streams import deliver, tell
from analyzer.errors import UsageError

if TYPE_CHECKING:
    from analyzer.service.identity import Role

EVERYONE_READS = ("*=read",)


def run(name: str, grants: tuple[str, ...], add: Path | None) -> int:
    """Print a token on standard output, and the lines for the settings on standard error, or add these to a file.

    Raises:
        UsageError: a name or a grant that cannot be used, or the file cannot be changed.
    """
    try:
        from analyzer.service.tokens import hashed, new_token
    except ModuleNotFoundError as error:
        from analyzer.cli.serve import needs_extra

        return needs_extra(error)
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?", name):
        raise UsageError(f"NAME {name[:100]!r}: write letters, digits, '.', '_' and '-', such as ci")
    roles = _roles(grants or EVERYONE_READS)
    token = new_token(name)
    if add is None:
        tell("# for the settings; the token itself, on standard output, is shown only now")
        tell("access:\n  tokens:\n" + _lines(name, hashed(token), roles, "    ").rstrip())
    else:
        added(add, name, hashed(token), roles)
    if trouble := deliver(f"{token}\n"):
        tell(f"canary: the token could not be printed: {trouble}")
        return int(Exit.ERROR)
    return int(Exit.PASS)


def _roles(given: tuple[str, ...]) -> "dict[str, Role]":
    from analyzer.cli.check import pairs
    from analyzer.service.values import named_role

    for each in given:
        if "=" not in each:
            raise UsageError(f"--grant {each[:100]!r}: write NAMESPACE=ROLE, such as shop=start")
    roles = {}
    for namespace, role in pairs(given, "--grant").items():
        if not re.fullmatch(r"\*|[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", namespace):
            raise UsageError(f"--grant {namespace[:100]!r}=…: write a namespace, or '*' for all: --grant 'shop=start'")
        try:
            roles[namespace] = named_role(role)
        except ValueError as error:
            raise UsageError(f"--grant {namespace}=…: {error}") from None
    return roles


def _lines(name: str, sha256: str, roles: "dict[str, Role]", indent: str) -> str:
    grants = ", ".join(f'"{namespace}": {role.name.lower()}' for namespace, role in roles.items())
    return f'{indent}"{name}":\n{indent}  sha256: "{sha256}"\n{indent}  grants: {{{grants}}}\n'


def added(file: Path, name: str, sha256: str, roles: "dict[str, Role]") -> None:
    """Add a token to a file of tokens, which is made if there is none: all of it or nothing.

    Raises:
        UsageError: the file is none of tokens, has one of this name, or cannot be written.
    """
    from analyzer.service.tokens import read_tokens

    text = "# Tokens of canary serve: `canary token NAME --add` adds to them, taking lines out revokes.\ntokens:\n"
    if file.exists():
        if name in read_tokens(file):
            raise UsageError(f"{file}: there is a token {name} already: choose another name, or take it out first")
        text = file.read_text(encoding="utf-8").rstrip() + "\n"
    try:
        descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as writing:
            writing.write(text + _lines(name, sha256, roles, "  "))
        if name not in _readable(Path(temporary)):
            raise UsageError(
                f"{file}: cannot be added to: write its last tokens as lines of their own, or choose another"
            )
        if file.exists():
            shutil.copymode(file, temporary)
        Path(temporary).replace(file)
    except OSError as error:
        raise UsageError(f"{file}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(FileNotFoundError):
            Path(temporary).unlink()


def _readable(file: Path) -> set[str]:
    from analyzer.service.tokens import read_tokens

    try:
        return set(read_tokens(file))
    except UsageError:
        return set()
