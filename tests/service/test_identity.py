"""Callers, what they may do, and several ways to tell them."""

import asyncio

import pytest

from analyzer.service.access import ServiceAccountGrant
from analyzer.service.grants import granted
from analyzer.service.identity import Caller, FirstKnown, Role, bearer

CI = "system:serviceaccount:shop:ci"


@pytest.mark.parametrize(
    ("grants", "role", "namespace", "may"),
    [
        ({}, Role.READ, "shop", False),
        ({"shop": Role.START}, Role.START, "shop", True),
        ({"shop": Role.START}, Role.READ, "shop", True),
        ({"shop": Role.START}, Role.DECIDE, "shop", False),
        ({"shop": Role.ADMIN}, Role.READ, "pay", False),
        ({"shop": Role.ADMIN}, Role.READ, "*", False),
        ({"shop": Role.ADMIN}, Role.READ, "", False),
        ({"*": Role.READ}, Role.READ, "shop", True),
        ({"*": Role.READ}, Role.READ, "*", True),
        ({"*": Role.READ, "shop": Role.DECIDE}, Role.DECIDE, "shop", True),
        ({"*": Role.DECIDE, "shop": Role.READ}, Role.DECIDE, "shop", True),
    ],
)
def test_what_a_caller_may_do(grants: dict[str, Role], role: Role, namespace: str, may: bool) -> None:
    assert Caller("x", grants).may(role, namespace) is may


def test_where_a_caller_may_do_it() -> None:
    assert Caller("x", {"shop": Role.START, "pay": Role.READ}).namespaces(Role.START) == {"shop"}
    assert Caller("x", {"*": Role.READ, "pay": Role.START}).namespaces(Role.READ) is None
    assert Caller("x", {"*": Role.READ, "pay": Role.START}).namespaces(Role.START) == {"pay"}


@pytest.mark.parametrize(
    ("authorization", "token"),
    [
        ("Bearer abc", "abc"),
        ("BEARER  abc ", "abc"),
        ("Basic abc", None),
        ("abc", None),
        ("Bearer a b", None),
        (None, None),
    ],
)
def test_the_token_of_a_header(authorization: str | None, token: str | None) -> None:
    assert bearer(authorization) == token


def test_the_first_that_knows_somebody_is_believed() -> None:
    class Knows:
        def __init__(self, *known: str) -> None:
            self.known = known

        async def of(self, authorization: str | None) -> Caller | None:
            return Caller(self.known[-1], {}) if authorization in self.known else None

    ways = FirstKnown(Knows("a", "x"), Knows("a", "b", "y"))
    assert [asyncio.run(ways.of(each)) for each in ("a", "b", "c")] == [Caller("x", {}), Caller("y", {}), None]


def grant(subject: str, role: str, *namespaces: str) -> ServiceAccountGrant:
    return ServiceAccountGrant.model_validate({"subject": subject, "namespaces": list(namespaces), "role": role})


def test_grants_of_a_service_account_and_of_its_groups() -> None:
    grants = [
        grant(CI, "start", "shop", "pay"),
        grant("group:system:serviceaccounts:shop", "read", "*", "shop"),
        grant("group:system:serviceaccounts:shop", "decide", "pay"),
        grant("system:serviceaccount:shop:other", "admin", "*"),
        grant("group:others", "admin", "*"),
    ]
    assert granted(grants, CI, {"system:serviceaccounts:shop"}) == {
        "shop": Role.START,
        "pay": Role.DECIDE,
        "*": Role.READ,
    }


def test_a_group_is_no_name_and_a_name_no_group() -> None:
    """Else somebody who may name a group would be taken for a ServiceAccount."""
    assert granted([grant(CI, "admin", "*")], "x", {CI}) == {}
    assert granted([grant("group:x", "admin", "*")], "group:x", set()) == {}
    assert granted([grant("group:x", "admin", "*")], "x", set()) == {}
