"""What an image's tag says of a container: the grammar stands in the package's docstring. Pure."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from analyzer.demo.behaviour import GOOD, MEBIBYTE, Behaviour

SIMULATED: Final = "simulated.example/"
ANALYZER: Final = "canary-analyzer"
_NUMBER: Final = re.compile(r"\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended."""

    code: int = 0
    reason: str = "Completed"


CRASHED: Final = Exit(1, "Error")
KILLED: Final = Exit(137, "OOMKilled")


@dataclass(frozen=True, slots=True)
class Plan:
    """What becomes of a container. Times are in seconds after its start, `leak` in bytes per second.

    `ends` is when and how each of its lives ends by itself; `held` is the reason why it never starts.
    """

    behaviour: Behaviour = GOOD
    late_errors: tuple[float, float] | None = None
    leak: float = 0.0
    starts_after: float = 0.0
    never_ready: bool = False
    ends: tuple[float, Exit] | None = None
    held: str | None = None
    unschedulable: bool = False

    def behaviour_at(self, age: float) -> Behaviour:
        """How it behaves at this age of the container."""
        behaviour = self.behaviour
        if self.late_errors is not None and age >= self.late_errors[0]:
            behaviour = replace(behaviour, error_rate=behaviour.error_rate + self.late_errors[1])
        return behaviour

    def memory_at(self, age: float) -> float:
        """Its resident memory in bytes while idle, at this age."""
        return self.behaviour.memory + self.leak * age


def plan_of(image: str) -> Plan:
    """The plan in the tag of an image; a tag with a number out of its range is held up as an InvalidImageName."""
    words = tag_of(image).split("-")
    plan = Plan()
    try:
        while words:
            plan, words = _apply_next(plan, words)
    except ValueError:
        return Plan(held="InvalidImageName")
    return plan


def tag_of(image: str) -> str:
    """The tag of an image, `latest` if it has none."""
    name = image.partition("@")[0].rpartition("/")[2]
    return name.partition(":")[2] or "latest"


def is_simulated(image: str) -> bool:
    """Whether its containers are simulated even with a command of their own."""
    return image.startswith(SIMULATED)


def is_analyzer(image: str) -> bool:
    """Whether it is the analyzer's own, in whatever registry."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0] == ANALYZER


def helm_of(image: str) -> str:
    """Which Helm a real process finds: Helm 3 if a word of the tag is `helm3`, else Helm 4."""
    return "helm3" if "helm3" in tag_of(image).split("-") else "helm4"


def _apply_next(plan: Plan, words: list[str]) -> tuple[Plan, list[str]]:
    for length in (2, 1):
        name, rest = "-".join(words[:length]), words[length:]
        if name in _WORDS:
            most, change = _WORDS[name]
            count = 0
            while count < min(most, len(rest)) and _NUMBER.fullmatch(rest[count]):
                count += 1
            return change(plan, *map(float, rest[:count])), rest[count:]
    return plan, words[1:]


def _clean(plan: Plan) -> Plan:
    return replace(plan, behaviour=replace(plan.behaviour, base_error_rate=0.0))


def _errors(plan: Plan, percent: float = 2.0) -> Plan:
    return replace(plan, behaviour=replace(plan.behaviour, error_rate=percent / 100))


def _late_errors(plan: Plan, after: float = 40.0, percent: float = 5.0) -> Plan:
    plan = replace(plan, late_errors=(after, percent / 100))
    plan.behaviour_at(math.inf)  # refuses a rate above 1 now, and not in the middle of a request
    return plan


def _slow(plan: Plan, factor: float = 2.0) -> Plan:
    latency = plan.behaviour.latency
    return replace(plan, behaviour=replace(plan.behaviour, latency=replace(latency, median=latency.median * factor)))


def _leaking(plan: Plan, mebibytes: float = 1.0) -> Plan:
    return replace(plan, leak=mebibytes * MEBIBYTE)


def _slow_start(plan: Plan, after: float = 20.0) -> Plan:
    return replace(plan, starts_after=after)


def _crashing(plan: Plan, after: float = 0.0) -> Plan:
    return replace(plan, ends=(after, CRASHED))


def _oom(plan: Plan, after: float = 3.0) -> Plan:
    return replace(plan, ends=(after, KILLED))


_WORDS: Final[Mapping[str, tuple[int, Callable[..., Plan]]]] = {
    "clean": (0, _clean),
    "errors": (1, _errors),
    "late-errors": (2, _late_errors),
    "slow": (1, _slow),
    "leaking": (1, _leaking),
    "slow-start": (1, _slow_start),
    "never-ready": (0, lambda plan: replace(plan, never_ready=True)),
    "crashing": (1, _crashing),
    "oom": (1, _oom),
    "image-pull": (0, lambda plan: replace(plan, held="ErrImagePull")),
    "config-error": (0, lambda plan: replace(plan, held="CreateContainerConfigError")),
    "unschedulable": (0, lambda plan: replace(plan, unschedulable=True)),
}
