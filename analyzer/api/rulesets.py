"""The rule sets that the service has, and checking one that is being written."""

import asyncio
from functools import lru_cache
from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from analyzer.api.callers import Asking, need_anywhere
from analyzer.api.parts import Here
from analyzer.api.problem import Refused, mistakes_of
from analyzer.api.representation import BrokenRuleSet, Checked, Draft, RuleSetItem, RuleSetList, RuleSetText, Wrong
from analyzer.api.writing import json
from analyzer.composition.rules import finish_rules
from analyzer.errors import RuleSetError, UsageError
from analyzer.model.document import read_rule_set
from analyzer.model.order import RULES_NAME
from analyzer.model.ruleset import MetricRule
from analyzer.service.identity import Role

router = APIRouter(prefix="/api/v1/rulesets", tags=["rule sets"])


@router.get("", response_model=RuleSetList, summary="List the rule sets that the service has")
async def listed(caller: Asking, parts: Here) -> Response:
    """Those that can be used, and those whose files are broken."""
    need_anywhere(caller, Role.READ)
    rule_sets, items = parts.placing.rule_sets, []
    for name in await rule_sets.names():
        try:
            items.append(_item(name, await rule_sets.text(name)))
        except UsageError:
            continue  # who asks for it by its name is told what is wrong
    usable = {item.name for item in items}
    broken = (
        BrokenRuleSet(name=name, message=message, last_good_in_use=name in usable)
        for name, message in sorted(rule_sets.broken().items())
    )
    return json(RuleSetList(items=tuple(items), broken=tuple(broken)))


@router.get("/{name}", response_model=RuleSetText, summary="Read a rule set")
async def text(name: Annotated[str, Path(max_length=100, pattern=RULES_NAME)], caller: Asking, parts: Here) -> Response:
    """As it is written."""
    need_anywhere(caller, Role.READ)
    rule_sets = parts.placing.rule_sets
    if name not in await rule_sets.names():
        raise Refused(404, f"the service has no rule set {name}")
    return json(RuleSetText(name=name, text=await rule_sets.text(name)))


@router.post("/validate", response_model=Checked, summary="Check a rule set")
async def validate(body: Draft, caller: Asking, parts: Here) -> Response:
    """Every mistake in it, with its line. It is not kept."""
    need_anywhere(caller, Role.READ)
    async with parts.placing.checking:
        return json(await asyncio.to_thread(_check, body))


def _check(draft: Draft) -> Checked:
    try:
        finish_rules(read_rule_set(draft.rule_set), draft.parameters)
    except RuleSetError as error:
        return Checked(valid=False, mistakes=tuple(mistakes_of(error)))
    except UsageError as error:
        return Checked(valid=False, mistakes=(Wrong(key="parameters", message=str(error)),))
    return Checked(valid=True)


@lru_cache(maxsize=200)
def _item(name: str, text: str) -> RuleSetItem:
    spec = read_rule_set(text, f"{name}.yaml").rule_set.spec
    rules = (rule.metric if isinstance(rule, MetricRule) else f"health:{rule.health}" for rule in spec.rules)
    return RuleSetItem(name=name, rules=tuple(rules), metrics=tuple(spec.metrics), parameters=dict(spec.parameters))
