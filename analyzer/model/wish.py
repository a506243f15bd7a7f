"""Which analysis a workload wants when it has got a new revision: from annotations, routes and settings. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from analyzer.errors import UsageError
from analyzer.model.marks import MODE, NONE, ON_FAIL, PARAMETERS, PROMETHEUS, RULES, Said, said_by
from analyzer.model.route import Mode, Route, way
from analyzer.model.ruleset import OnFail

__all__ = ["Marked", "Mode", "Watching", "Wish", "wish_of"]

T = TypeVar("T", bound=str)


@dataclass(frozen=True)
class Marked:
    """What an object of the cluster says of itself: a workload, or a namespace (whose own `namespace` is empty)."""

    kind: str
    namespace: str
    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        """As sentences name it, and as `Ordered.workloads` has it: `Deployment shop/web`."""
        return f"{self.kind} {self.namespace}/{self.name}" if self.namespace else f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Wish:
    """An analysis that is wanted. `because` says who wants it: `annotation of Deployment shop/web`."""

    rules: str
    parameters: dict[str, str]
    mode: Mode
    on_fail: OnFail | None
    prometheus: str
    because: str


class Watching(Protocol):
    """What the settings say of it; `Settings.watch` is one."""

    @property
    def mode(self) -> Mode:
        """Where neither annotation nor route says another."""
        ...

    @property
    def prometheus(self) -> str:
        """The connection, as for `mode`."""
        ...

    @property
    def routes(self) -> Sequence[Route]:
        """The outermost ones."""
        ...


def wish_of(workloads: Sequence[Marked], namespace: Marked, watch: Watching) -> Wish | None:
    """The analysis that the workloads of one release (or one Rollout) want together; None: it is left alone.

    Each value by itself: workloads before their namespace before routes before settings. Parameters belong to a rule
    set: those of a place that says another rule set are not taken over.

    Raises:
        UsageError: a value cannot be used, or two workloads contradict one another; a sentence with the place.
    """
    if not workloads:
        return None
    marked = [said_by(str(each), each.annotations) for each in workloads]
    around = said_by(str(namespace), namespace.annotations)
    levels = _Levels(marked, [around], [_routed(each, watch.routes) for each in workloads])
    _refuse(marked, around, only=RULES)
    rules, because = levels.rules()
    if rules in {None, NONE}:
        if rules is None:
            _refuse(marked, around)
        return None
    _refuse(marked, around)
    return Wish(
        rules=rules,
        parameters=levels.parameters(rules),
        mode=levels.value(lambda said: said.mode, MODE) or watch.mode,
        on_fail=levels.value(lambda said: said.on_fail, ON_FAIL),
        prometheus=levels.value(lambda said: said.prometheus, PROMETHEUS) or watch.prometheus,
        because=because,
    )


def _refuse(marked: Sequence[Said], around: Said, only: str = "") -> None:
    """Say what is wrong with annotations (or with those of one name).

    Raises:
        UsageError: every mistake, joined in one sentence.
    """
    found = [told for said in (*marked, around) for name, told in said.mistakes.items() if only in {"", name}]
    if found:
        raise UsageError("; ".join(found))


def _routed(workload: Marked, routes: Sequence[Route]) -> Said:
    """What the routes say of a workload, the deepest first."""
    said = Said(where="")
    for key, route in reversed(list(way(routes, workload.kind, workload.namespace, workload.labels))):
        is_of_another = None not in {route.rules, said.rules} and route.rules != said.rules
        mine = {} if is_of_another else route.parameters
        said = Said(
            where=said.where if said.rules is not None else f"{key} of the settings ({workload})",
            rules=said.rules if said.rules is not None else route.rules,
            parameters={**mine, **said.parameters},
            mode=said.mode or route.mode,
            on_fail=said.on_fail or route.on_fail,
            prometheus=said.prometheus or route.prometheus,
        )
    return said


class _Levels:
    """The places that may say a value, each before all of those that follow; those of one level must agree."""

    def __init__(self, *levels: Sequence[Said]) -> None:
        self._levels = levels

    def rules(self) -> tuple[str | None, str]:
        """The name of the rule set, and who says it."""
        for level in self._levels:
            if (said := _agreed(level, lambda said: said.rules, RULES)) is not None:
                return said.rules, said.where
        return None, ""

    def value(self, pick: Callable[[Said], T | None], name: str) -> T | None:
        """A value by itself."""
        for level in self._levels:
            if (said := _agreed(level, pick, name)) is not None:
                return pick(said)
        return None

    def parameters(self, rules: str) -> dict[str, str]:
        """All values for this rule set, each name by itself."""
        found: dict[str, str] = {}
        for level in self._levels:
            mine = [said for said in level if said.rules in {None, rules}]
            for name in sorted({name for said in mine for name in said.parameters} - found.keys()):
                said = _agreed(mine, _parameter(name), f"{PARAMETERS}, {name},")
                assert said is not None, "one of them has it"
                found[name] = said.parameters[name]
        return found


def _parameter(name: str) -> Callable[[Said], str | None]:
    return lambda said: said.parameters.get(name)


def _agreed(level: Sequence[Said], pick: Callable[[Said], str | None], name: str) -> Said | None:
    """The first one of a level that says a value, if no other one says another.

    Raises:
        UsageError: one does.
    """
    saying = [said for said in level if pick(said) is not None]
    for other in saying[1:]:
        if pick(other) != pick(saying[0]):
            raise UsageError(
                f"{saying[0].where} and {other.where} contradict one another, and what they are for is taken back as "
                f"one: {name} is {pick(saying[0])} in the first and {pick(other)} in the second: write the same in both"
            )
    return saying[0] if saying else None
