"""Routes: which rules a workload gets that does not say so itself. A tree, as in Alertmanager."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from analyzer.model.order import RULES_NAME
from analyzer.model.ruleset import OnFail
from analyzer.model.selector import check_label_name, check_label_value, parse_selector

DEEPEST = 20
"""Levels of routes."""


class Mode(StrEnum):
    """Whether an analysis that nobody has ordered by hand acts."""

    OBSERVE = "observe"  # it tells what it would have done
    ENFORCE = "enforce"


class WorkloadKind(StrEnum):
    """The kinds that can be annotated."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"
    ROLLOUT = "Rollout"


def _in_lower_case(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


class _Part(BaseModel):
    """A part of the settings."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


_ModeWord = Annotated[Mode, BeforeValidator(_in_lower_case)]


_LabelName = Annotated[str, AfterValidator(check_label_name)]
_LabelValue = Annotated[str, AfterValidator(check_label_value)]


class Match(_Part):
    """Which workloads: all that is given must fit. `selector` is in Kubernetes' own syntax."""

    namespace: str | None = Field(default=None, pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")
    kind: WorkloadKind | None = None
    labels: dict[_LabelName, _LabelValue] = Field(default={}, max_length=100)
    selector: str | None = Field(default=None, max_length=2000)

    def fits(self, kind: str, namespace: str, labels: Mapping[str, str]) -> bool:
        """Whether a workload is one of them."""
        return (
            self.namespace in {None, namespace}
            and self.kind in {None, kind}
            and self.labels.items() <= labels.items()
            and (self.selector is None or parse_selector(self.selector).matches(labels))
        )

    @field_validator("selector")
    @classmethod
    def _can_be_read(cls, selector: str | None) -> str | None:
        if selector is not None:
            parse_selector(selector)
        return selector


class Route(_Part):
    """What the workloads get that match. What it does not say, the route around it says."""

    match: Match = Match()
    rules: str | None = Field(default=None, max_length=100, pattern=RULES_NAME)
    parameters: dict[str, str] = Field(default={}, max_length=100)
    mode: _ModeWord | None = None
    on_fail: Annotated[OnFail, BeforeValidator(_in_lower_case)] | None = None
    prometheus: str | None = Field(default=None, min_length=1, max_length=100)
    routes: tuple["Route", ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _is_not_too_deep(self) -> Self:
        if _depth(self) > DEEPEST:
            raise ValueError(f"routes: are more than {DEEPEST} deep: write fewer levels")
        return self


def _depth(route: Route) -> int:
    return 1 + max((_depth(each) for each in route.routes), default=0)


def way(
    routes: Sequence[Route], kind: str, namespace: str, labels: Mapping[str, str], around: str = "watch.routes"
) -> Iterator[tuple[str, Route]]:
    """The routes that lead to a workload, with their keys in the settings, the outermost first.

    On each level it is the first one that matches, and then the first that matches within that one.
    """
    for number, route in enumerate(routes):
        if route.match.fits(kind, namespace, labels):
            key = f"{around}[{number}]"
            yield key, route
            yield from way(route.routes, kind, namespace, labels, f"{key}.routes")
            return
