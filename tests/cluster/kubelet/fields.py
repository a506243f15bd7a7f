"""What a pod says of itself: `fieldRef`, `resourceFieldRef`, and `$(NAME)` in texts. Pure."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from tests.cluster.kubelet.addresses import HOST

Json = dict[str, Any]

_REFERENCE: Final = re.compile(r"\$\(([\w.-]+)\)")
_QUANTITY: Final = re.compile(r"([\d.]+)(m|[kKMGTPE]i?)?")
_UNITS: Final = {"m": Decimal("0.001"), "": Decimal(1)} | {
    f"{letter}{binary}": Decimal(1024 if binary else 1000) ** power
    for power, letter in enumerate("KMGTPE", start=1)
    for binary in ("", "i")
}


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """The text with each `$(NAME)` that is known replaced, as Kubernetes does."""
    return _REFERENCE.sub(lambda found: environment.get(found[1], found[0]), text)


def field_of(pod: Json, address: str, path: str) -> str:
    """What a fieldRef points to; empty where there is nothing."""
    known = {"status.podIP": address, "status.podIPs": address, "status.hostIP": str(HOST)}
    if path in known:
        return known[path]
    if found := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str(pod["metadata"].get(found[1], {}).get(found[2], ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part, {})
    return str(value) if isinstance(value, str) else ""


def resource_of(container: Json, reference: Json) -> str:
    """What a resourceFieldRef points to, in units of its divisor, rounded up; 0 where there is no limit."""
    kind, _, name = reference["resource"].partition(".")
    given = container.get("resources", {}).get(kind, {}).get(name, "0")
    divisor = reference.get("divisor") or "1"
    return str(math.ceil(_amount(given) / (_amount(divisor) or 1)))


def _amount(quantity: str) -> Decimal:
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        raise ValueError(f"{quantity!r} is not a quantity")
    unit = (found[2] or "").replace("k", "K")
    return Decimal(found[1]) * _UNITS[unit]
