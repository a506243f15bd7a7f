"""What ServiceAccounts may do, by the settings."""

from collections.abc import Collection, Sequence

from analyzer.service.access import ServiceAccountGrant
from analyzer.service.identity import Role

GROUP = "group:"


def granted(grants: Sequence[ServiceAccountGrant], name: str, groups: Collection[str]) -> dict[str, Role]:
    """Namespaces (or `*`) and the highest role in each of somebody of this name, in these groups."""
    found: dict[str, Role] = {}
    for grant in grants:
        group = grant.subject.removeprefix(GROUP)
        if (group in groups) if grant.subject.startswith(GROUP) else (grant.subject == name):
            for namespace in grant.namespaces:
                found[namespace] = max(grant.role, found.get(namespace, grant.role))
    return found
