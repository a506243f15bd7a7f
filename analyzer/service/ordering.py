"""What an order must be before it is kept: what its analysis will need is looked up now, and not at night."""

import math
import os
import re
from collections.abc import Sequence
from pathlib import Path

from analyzer.composition.rules import SHIPPED, finish_rules, sides_of
from analyzer.engine.planning import tell_sides
from analyzer.errors import UsageError
from analyzer.model.base import EARLIEST
from analyzer.model.document import read_rule_set, rule_text
from analyzer.model.order import RULES_NAME, Order
from analyzer.model.ruleset import RuleSet
from analyzer.model.suggestion import did_you_mean
from analyzer.model.target import Deployment, PlatformKind, Revision, Target
from analyzer.service.settings import Settings
from analyzer.sources.checking import check_rule_set

LARGEST = 256 * 1024
"""Signs of a rule set that is kept with an order."""
LATEST = 60.0
"""Seconds by which the clock of whoever orders may be ahead."""
MOST_WINDOWS = 100_000
"""Windows that one order may make an analysis read: 17 days of them at the interval of 15 s that is the default."""
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")


def resolve(order: Order, settings: Settings, now: float, found: str | None = None) -> Order:
    """The order as it is kept: checked against the settings, with the whole text of its rule set in it.

    What files say later makes no difference to it. `now` in Unix seconds. `found` is the text of the rule set that it
    names; without it files are read. For a thread.

    Raises:
        UsageError: it cannot be done; RuleSetError with every mistake in its rule set.
    """
    target = target_of(order)
    _check_target(order, target, settings)
    _check_connection(order, settings)
    _check_revisions(order)
    _check_since(order, now)
    _check_retry(order, target)
    text, name = order.rule_set, "rule_set"
    if text is None:
        text, name = found or rules_text(order.rules, settings), f"{order.rules}.yaml"
    rule_set = finish_rules(read_rule_set(text, name), order.parameters)
    _check_windows(order, rule_set, now)
    _check_sides(order, target, rule_set, now)
    return order.model_copy(update={"rule_set": text})


def target_of(order: Order) -> Target:
    """The target of an order.

    Raises:
        UsageError: it is none.
    """
    try:
        return Target.parse(order.target, order.namespace)
    except ValueError as error:
        raise UsageError(f"target {_shown(order.target)} {error}") from error


def folders(settings: Settings) -> Sequence[Path]:
    """Where rule sets are: those of the settings first, so that they may have one instead of a shipped one."""
    return (*settings.rules, *SHIPPED)


def rules_names(settings: Settings) -> Sequence[str]:
    """The names of all rule sets that the service has, sorted: those that can be asked for."""
    found = {file.stem for folder in folders(settings) for file in folder.glob("*.yaml")}
    return sorted(name for name in found if re.fullmatch(RULES_NAME, name))


def rules_text(name: str, settings: Settings) -> str:
    """The text of a rule set that the service has. Only its own folders are looked at: `name` is no path.

    Raises:
        UsageError: there is none of this name, or it cannot be read.
    """
    try:
        file = _file_of(name, settings)
    except OSError as error:
        raise UsageError(f"rules {_shown(name)}: cannot be looked for: {error.strerror}") from error
    text = rule_text(file)
    read_rule_set(text, str(file))  # refuses what has mistakes
    if len(text) > LARGEST:
        raise UsageError(f"rules {name}: the rule set is larger than 256 KiB")
    return text


def _file_of(name: str, settings: Settings) -> Path:
    """The first one of this name.

    Raises:
        UsageError: there is none. OSError: a folder or a link in it leads where this user may not look.
    """
    if not all(folder.is_dir() for folder in settings.rules):  # a shipped one of the same name is another one
        raise UsageError(f"rules {_shown(name)}: a folder of the service with rule sets is not there: tell who runs it")
    if name not in (known := rules_names(settings)):
        hint = did_you_mean(name, known) or f": it has {', '.join(known)}"
        raise UsageError(f"rules {_shown(name)}: the service has no rule set of that name{hint}")
    # A file may go, or be a link to nothing: a later folder's is not taken instead, for it is another one.
    file = next((path for folder in folders(settings) if os.path.lexists(path := folder / f"{name}.yaml")), None)
    if file is None or not file.exists():
        raise UsageError(f"rules {_shown(name)}: its file is not there now")
    return file


def _check_target(order: Order, target: Target, settings: Settings) -> None:
    if order.to_revision == 0 and target.kind not in {PlatformKind.APPLICATION, PlatformKind.COMMAND}:
        raise UsageError(f"to_revision: 0: revisions of {target} begin with 1; ids of Argo CD's history with 0")
    if target.kind != PlatformKind.COMMAND:
        if not order.namespace:
            raise UsageError(f"namespace: is missing: say in which one {target} is")
        if not _NAMESPACE.fullmatch(order.namespace):  # it stands in paths of the API server
            raise UsageError(f"namespace {_shown(order.namespace)}: is no name of a namespace: it has a-z, 0-9 and '-'")
        return
    known = settings.targets.get(target.name)
    # Whoever orders in one namespace does not learn what there is in another.
    if known is None or known.namespace != order.namespace:
        place = f" in the namespace {order.namespace}" if order.namespace else " without a namespace"
        raise UsageError(f"target {target}: the service's settings have no such target{place}")
    if order.expected_revision is not None:
        raise UsageError(f"expected_revision: {target} has no revisions that it can be at: leave it out")
    if order.to_revision is not None:
        raise UsageError(
            f"to_revision: is for helm/NAME, rollout/NAME and application/NAME; {target} is taken back by its command"
        )


def _check_connection(order: Order, settings: Settings) -> None:
    allowed = {name for name, connection in settings.prometheus.items() if connection.serves(order.namespace)}
    if order.prometheus not in allowed:
        listing = f": there is {', '.join(sorted(allowed))}" if allowed else ": it has none for this namespace"
        raise UsageError(f"prometheus {_shown(order.prometheus)}: the service has no such connection for it{listing}")


def _check_revisions(order: Order) -> None:
    """They stand in the environment of the command that takes a target back, and in reports."""
    for key, name in (("revision", order.revision), ("previous", order.previous)):
        if name is not None and (not name.strip() or not name.isprintable() or name.startswith("-")):
            raise UsageError(
                f"{key} {_shown(name)}: is no name of a revision: write it on one line, without '-' in front"
            )


def _check_since(order: Order, now: float) -> None:
    if order.since is None:
        return
    if not math.isfinite(order.since) or order.since < EARLIEST:
        raise UsageError("since: not a moment in Unix seconds: write one such as 1790000000, or leave it out")
    if order.since > now + LATEST:
        raise UsageError("since: is in the future: write the moment of the upgrade in Unix seconds, or leave it out")


def _check_retry(order: Order, target: Target) -> None:
    if not order.retry:
        return
    if target.kind != PlatformKind.ROLLOUT:
        raise UsageError(f"retry: is for rollout/NAME; {target} has no abort to clear")
    if order.dry_run:
        raise UsageError("retry: clears an abort, and a dry run changes nothing: leave out one of the two")


def _check_windows(order: Order, rule_set: RuleSet, now: float) -> None:
    """What has passed since the upgrade is read at once: one order must not keep the process, or Prometheus, busy."""
    schedule = rule_set.spec.schedule
    past = 0.0 if order.since is None else max(now - order.since, 0.0)
    windows = (past + schedule.deadline) / schedule.interval
    if windows > MOST_WINDOWS:
        raise UsageError(
            f"schedule.interval: {windows:.0f} windows would have to be read, and {MOST_WINDOWS} is the most: write a "
            "longer interval, a shorter schedule.deadline, or a later since"
        )


def _check_sides(order: Order, target: Target, rule_set: RuleSet, now: float) -> None:
    """What can be known of the sides before the platform is asked.

    Raises:
        UsageError: they cannot be told apart.
    """
    sides = rule_set.spec.sides
    if order.baseline is not None and order.canary is None:
        raise UsageError("baseline: without canary: give matchers for both, or for the canary alone")
    if order.canary is not None:
        sides = sides_of(order.canary, order.baseline)
        spec = rule_set.spec.model_copy(update={"sides": sides})
        for key, message in check_rule_set(rule_set.model_copy(update={"spec": spec})):
            raise UsageError(f"{key.removeprefix('spec.sides.')}: {message}")
    if target.kind == PlatformKind.COMMAND:
        tell_sides(sides, Deployment(target=target, current=Revision(number="new")), now)


def _shown(text: str) -> str:
    """What was written, short and on one line."""
    return repr(text if len(text) <= 100 else f"{text[:99]}…")  # noqa: PLR2004 -- enough to recognise it
