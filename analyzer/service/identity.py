"""Who asks, and what they may do."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol


class Role(IntEnum):
    """What somebody may do in a namespace; each may do what those before it may."""

    READ = 1
    START = 2
    DECIDE = 3
    ADMIN = 4


EVERYWHERE = "*"
"""The namespace that stands for all."""


@dataclass(frozen=True)
class Caller:
    """Somebody who has shown who they are. `grants` maps namespaces, or `*`, to a role."""

    name: str
    grants: Mapping[str, Role]

    def may(self, role: Role, namespace: str) -> bool:
        """Whether they may do what `role` may, in this namespace (`*`: in all)."""
        held = max(self.grants.get(EVERYWHERE, 0), self.grants.get(namespace, 0))
        return held >= role

    def namespaces(self, role: Role) -> frozenset[str] | None:
        """Where they may do what `role` may; None: everywhere."""
        if self.may(role, EVERYWHERE):
            return None
        return frozenset(name for name, held in self.grants.items() if held >= role)


class Identities(Protocol):
    """Tells callers by what they send."""

    async def of(self, authorization: str | None) -> Caller | None:
        """Who sends this Authorization header; None: nobody that is known.

        Raises:
            PlatformUnavailable: it cannot be found out now (the API server is asked, and does not answer).
        """
        ...


class FirstKnown:
    """Several ways to tell callers: the first that knows somebody is believed."""

    def __init__(self, *ways: Identities) -> None:
        self._ways = ways

    async def of(self, authorization: str | None) -> Caller | None:
        """As `Identities` has it."""
        for way in self._ways:
            if (caller := await way.of(authorization)) is not None:
                return caller
        return None


LONGEST_TOKEN = 16 * 1024
"""Characters of a token; a longer one is nobody's."""


def bearer(authorization: str | None) -> str | None:
    """The token in an Authorization header; None if there is none that could be one."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    token = token.strip()
    fits = scheme.lower() == "bearer" and 0 < len(token) <= LONGEST_TOKEN and token.isascii() and token.isprintable()
    return token if fits and " " not in token else None
