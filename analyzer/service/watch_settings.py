"""What `canary serve` sees by itself in the cluster, and what it tells there, as the settings have it."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from analyzer.model.route import Mode, Route
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

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if "*" in self.namespaces and len(self.namespaces) > 1:
            raise ValueError("namespaces: '*' is all of them: take the others out")
        return self
