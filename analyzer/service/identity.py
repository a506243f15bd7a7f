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
