"""What `canary serve` sees by itself in the cluster, and what it tells there, as the settings have it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from analyzer.model.marks import NONE
from analyzer.model.route import Mode, Route
from analyzer.model.suggestion import listed
from analyzer.service.values import Name, Namespace, Part, in_lower_case, listed_text, seconds


class Watch(Part):
    """Which namespaces are watched (none: nothing is, `*`: all), and what is done with an upgrade that is seen.

    `catch_up` is in seconds: an upgrade that is older when it is first seen is not analysed. `events` and `annotate`
    say whether analyses are told on the workloads, as Events and as annotations.
    """

    namespaces: Annotated[tuple[Namespace, ...], BeforeValidator(listed_text), Field(max_length=1000)] = ()
    mode: Annotated[Mode, BeforeValidator(in_lower_case)] = Mode.OBSERVE
    prometheus: Name = "default"
    catch_up: Annotated[float, BeforeValidator(seconds), Field(ge=0, le=30 * 86400, allow_inf_nan=False)] = 3600.0
    events: bool = True
    annotate: bool = False
    routes: tuple[Route, ...] = Field(default=(), max_length=1000)

    @property
    def is_on(self) -> bool:
        """Whether anything is watched."""
        return bool(self.namespaces)

    def sees(self, namespace: str) -> bool:
        """Whether this namespace is watched."""
        return "*" in self.namespaces or namespace in self.namespaces

    def check_connections(self, known: Iterable[str]) -> None:
        """Whether there is each connection that is named.

        Raises:
            ValueError: there is not; with its key.
        """
        names = sorted(known)
        for key, name in (("watch.prometheus", self.prometheus), *_named(self.routes)):
            if name not in names:
                instead = f"write {listed(names)}" if names else "write one, such as prometheus: http://prometheus:9090"
                raise ValueError(f"{key}: there is no connection of that name: {instead}")

    @field_validator("namespaces")
    @classmethod
    def _is_one_or_the_other(cls, namespaces: tuple[str, ...]) -> tuple[str, ...]:
        if "*" in namespaces and len(namespaces) > 1:
            raise ValueError("'*' is all of them: take the others out")
        return namespaces


def rules_of(routes: Sequence[Route]) -> Iterator[tuple[str, str]]:
    """The rule sets that routes name, with their keys."""
    for key, route in _every(routes, "watch.routes"):
        if route.rules not in {None, NONE}:
            yield f"{key}.rules", str(route.rules)


def _named(routes: Sequence[Route]) -> Iterator[tuple[str, str]]:
    """The connections that routes name, with their keys."""
    for key, route in _every(routes, "watch.routes"):
        if route.prometheus is not None:
            yield f"{key}.prometheus", route.prometheus


def _every(routes: Sequence[Route], around: str) -> Iterator[tuple[str, Route]]:
    for number, route in enumerate(routes):
        key = f"{around}[{number}]"
        yield key, route
        yield from _every(route.routes, f"{key}.routes")
