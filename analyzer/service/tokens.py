"""Tokens of our own making: 256 random bits, of which the settings hold only the SHA-256.

A plain hash is enough: nobody guesses what is as long and random as that, and nothing is gained by making it slow.
"""

import asyncio
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import Field

from analyzer.errors import UsageError
from analyzer.service.access import Access, Token
from analyzer.service.configuration import configured
from analyzer.service.identity import Caller, bearer
from analyzer.service.values import Name, Part

LOOKS_APART = 5.0
"""Seconds between two looks whether the file of tokens has changed."""
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_LENGTH = 43  # digits of base 62 for 256 bits


class TokensFile(Part):
    """What stands in a file of tokens."""

    tokens: dict[Name, Token] = Field(default={}, max_length=1000)


def new_token(name: str) -> str:
    """A new token, `canary_NAME_…`. The name in it is for people who find it somewhere."""
    number, digits = secrets.randbits(256), ""
    for _ in range(_LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits += _DIGITS[digit]
    return f"canary_{name}_{digits}"


def hashed(token: str) -> str:
    """What the settings hold of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def read_tokens(file: Path) -> dict[str, Token]:
    """The tokens in a file.

    Raises:
        UsageError: every mistake in it, a line each.
    """
    return dict(configured(TokensFile, file, {}, {}, dict).tokens)


class TokensOf:
    """Callers by the tokens of the settings and of their file, which is read anew when it has changed.

    A file that cannot be read any more leaves the tokens as they were; `complain` is told.

    Raises:
        UsageError: the file cannot be read at the start, or has a token of the settings.
    """

    def __init__(
        self,
        access: Access,
        complain: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._access, self._complain, self._now = access, complain, now
        self._seen = self._state()
        self._tokens = self._read()
        self._looked = now()

    async def of(self, authorization: str | None) -> Caller | None:
        """As `Identities` has it."""
        if self._access.tokens_file and self._now() - self._looked >= LOOKS_APART:
            self._looked = self._now()
            await self._look()
        token = bearer(authorization)
        return _owner(self._tokens, hashed(token)) if token else None

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return len(self._tokens)

    async def _look(self) -> None:
        state = self._state()
        if state == self._seen:
            return
        try:
            self._tokens = await asyncio.to_thread(self._read)
        except UsageError as error:
            self._complain(f"the tokens stay as they were: {error}")
        self._seen = state

    def _state(self) -> tuple[int, ...]:
        """What changes when the file does."""
        try:
            found = self._access.tokens_file.stat() if self._access.tokens_file else None
        except (OSError, ValueError):
            return ()
        return (found.st_ino, found.st_dev, found.st_mtime_ns, found.st_size) if found else ()

    def _read(self) -> Mapping[str, Token]:
        file = self._access.tokens_file
        if file is None:
            return self._access.tokens
        tokens = dict(self._access.tokens)
        hashes = {token.sha256: name for name, token in tokens.items()}
        for name, token in read_tokens(file).items():
            if name in tokens:
                raise UsageError(f"{file}: tokens.{name} stands in the settings too: keep one of them")
            if (other := hashes.setdefault(token.sha256, name)) != name:
                raise UsageError(f"{file}: tokens {other} and {name} are the same one: canary token NAME makes another")
            tokens[name] = token
        return tokens


def _owner(tokens: Mapping[str, Token], digest: str) -> Caller | None:
    """Every token is compared, each in constant time: how long it takes says nothing about any."""
    found = None
    for name, token in tokens.items():
        if hmac.compare_digest(token.sha256, digest):
            found = Caller(name, dict(token.grants))
    return found
