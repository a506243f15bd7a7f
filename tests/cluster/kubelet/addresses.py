"""Addresses for pods: 10.244.0.0/16 without its last 256, which belong to the bed."""

from ipaddress import IPv4Address, IPv4Network
from itertools import cycle
from typing import Final

PODS: Final = IPv4Network("10.244.0.0/16")
HOST: Final = IPv4Address("10.244.255.2")
"""The node's own address."""

_OURS: Final = range(1, PODS.num_addresses - 256)


class Addresses:
    """Gives each pod an address of its own; one that was given back comes last again, for nobody may still mean it."""

    def __init__(self) -> None:
        self._next = cycle(_OURS)
        self._taken: set[str] = set()

    def take(self, wanted: str | None = None) -> str:
        """An address that no pod has: the wanted one if it is free."""
        if wanted is not None and wanted not in self._taken:
            self._taken.add(wanted)
            return wanted
        if len(self._taken) >= len(_OURS):
            raise RuntimeError(f"all addresses of {PODS} are taken")
        while (address := str(PODS[next(self._next)])) in self._taken:
            pass
        self._taken.add(address)
        return address

    def give_back(self, address: str) -> None:
        """The pod has gone."""
        self._taken.discard(address)
