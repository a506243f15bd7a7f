"""The rule set of an analysis: found, filled, checked, and what follows from it."""

from pathlib import Path

from analyzer.composition.order import AnalysisOrder
from analyzer.errors import RuleSetError, UsageError
from analyzer.model.document import Document, read_rule_file
from analyzer.model.ruleset import LONGEST_TEXT, Comparison, HealthRule, OnFail, OnInconclusive, OnPass, RuleSet, Sides
from analyzer.sources.checking import check_rule_set

SHIPPED = (Path(__file__).parents[1] / "rules", Path(__file__).parents[2] / "rules")
"""Where the shipped rule sets are: in an installed package, and in a checkout."""


def find_rules(name: str) -> Path:
    """The file of a rule set: a path, or the name of a shipped one.

    Raises:
        UsageError: there is neither.
    """
    path = Path(name)
    if path.exists() or "/" in name or path.suffix:
        return path
    for folder in SHIPPED:
        if (folder / f"{name}.yaml").is_file():
            return folder / f"{name}.yaml"
    shipped = ", ".join(sorted({file.stem for folder in SHIPPED for file in folder.glob("*.yaml")}))
    raise UsageError(f"--rules {name}: no such file, nor a shipped rule set of that name: {shipped}")


def load_rules(name: str, parameters: dict[str, str]) -> RuleSet:
    """A rule set, ready to be used: read, filled, its PromQL checked.

    Raises:
        UsageError: with every mistake in it.
    """
    document = read_rule_file(find_rules(name))
    return finish_rules(document, parameters)


def finish_rules(document: Document, parameters: dict[str, str]) -> RuleSet:
    """The rule set of a document with every `${…}` filled and its PromQL checked.

    Raises:
        RuleSetError: with every mistake in it, each with its line.
    """
    rule_set = document.fill(parameters)
    mistakes = [document.mistake(key, message) for key, message in check_rule_set(rule_set)]
    if mistakes:
        raise RuleSetError(mistakes)
    return rule_set


def with_pods(rule_set: RuleSet) -> RuleSet:
    """The rule set, with the health of the pods among its rules."""
    rules = rule_set.spec.rules
    if any(isinstance(rule, HealthRule) and rule.health == "pods" for rule in rules):
        return rule_set
    added = (*rules, HealthRule(health="pods"))
    return rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"rules": added})})


def with_on_fail(rule_set: RuleSet, on_fail: OnFail | None) -> RuleSet:
    """The rule set, with what a failed analysis leads to as the order says it; None: as it is written."""
    if on_fail is None:
        return rule_set
    return rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"on_fail": on_fail})})


def sides_of(canary: str, baseline: str | None, dashes: str = "") -> Sides:
    """The sides by the matchers that a caller gives; `dashes` stand before the names that the caller knows them by.

    Raises:
        UsageError: one of them is empty, or too long.
    """
    for name, matchers in (("canary", canary), ("baseline", baseline)):
        if matchers is not None and not matchers.strip():
            raise UsageError(f'{dashes}{name}: is empty: write matchers such as version="2", or leave it out')
        if matchers is not None and len(matchers) > LONGEST_TEXT:
            raise UsageError(f"{dashes}{name}: is longer than {LONGEST_TEXT} signs: these are no matchers")
    return Sides(canary=canary, baseline=baseline)


def with_sides(rule_set: RuleSet, order: AnalysisOrder) -> RuleSet:
    """The rule set with the sides that the caller gives, if any."""
    canary, baseline = order.wanted.canary, order.wanted.baseline
    if order.access is None and (order.scrape_canary or order.scrape_baseline):
        # Which endpoint belongs to which side is told by the caller: no matcher is needed.
        comparison = Comparison.SIDE_BY_SIDE if order.scrape_baseline else Comparison.BEFORE_AFTER
        sides = Sides.model_construct(label=None, canary="", baseline="", comparison=comparison)
    elif canary is None and baseline is None:
        return rule_set
    elif canary is None:
        raise UsageError("--baseline without --canary: give matchers for both, or for the canary alone")
    else:
        sides = sides_of(canary, baseline, "--")
    return rule_set.model_copy(update={"spec": rule_set.spec.model_copy(update={"sides": sides})})


def needs_way_back(rule_set: RuleSet) -> bool:
    """Whether a verdict may lead to going back."""
    return rule_set.spec.on_fail != OnFail.NONE or rule_set.spec.on_inconclusive == OnInconclusive.ROLLBACK


def acts(rule_set: RuleSet) -> bool:
    """Whether a verdict may lead to doing anything."""
    return needs_way_back(rule_set) or rule_set.spec.on_pass != OnPass.NONE
