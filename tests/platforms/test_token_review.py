"""Whose token is this? Asked of a real socket."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_kubeconfig import written

from analyzer.errors import PlatformForbidden, PlatformUnavailable
from analyzer.platforms.cluster import Cluster, ClusterSettings
from analyzer.platforms.token_review import Account, review
from tests.sources.misbehaving import Misbehaving, http, misbehaving, says

CI = "system:serviceaccount:shop:ci"
USER = {"username": CI, "uid": "1", "groups": ["system:serviceaccounts", "system:serviceaccounts:shop"]}
KNOWN = Account(CI, frozenset(USER["groups"]))


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with misbehaving(says(http(201, {"status": {"authenticated": True, "user": USER}}))) as running:
        yield running


def asked(folder: Path, server: Misbehaving, *audiences: str) -> Account | None:
    async def ask() -> Account | None:
        cluster = Cluster(ClusterSettings(kubeconfig=str(written(folder, server.url)), time_limit=5))
        try:
            return await review(cluster, "the.token.itself", audiences)
        finally:
            await cluster.close()

    return asyncio.run(ask())


def test_what_is_asked_and_answered(tmp_path: Path, server: Misbehaving) -> None:
    assert asked(tmp_path, server) == KNOWN
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/apis/authentication.k8s.io/v1/tokenreviews")
    assert json.loads(request.body) == {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": "the.token.itself"},
    }


@pytest.mark.parametrize(
    ("status", "known"),
    [
        ({"authenticated": True, "user": USER, "audiences": ["canary"]}, True),
        ({"authenticated": True, "user": USER, "audiences": ["x", "other"]}, True),
        ({"authenticated": True, "user": USER, "audiences": ["x"]}, False),
        ({"authenticated": True, "user": USER}, False),  # it knows nothing of audiences
        ({"authenticated": True, "user": USER, "audiences": "canary"}, False),
    ],
)
def test_audiences(tmp_path: Path, server: Misbehaving, status: dict[str, Any], known: bool) -> None:
    server.behaviour = says(http(201, {"status": status}))
    assert asked(tmp_path, server, "canary", "other") == (KNOWN if known else None)
    assert json.loads(server.requests[0].body)["spec"]["audiences"] == ["canary", "other"]


@pytest.mark.parametrize(
    "status",
    [
        {},
        {"authenticated": False},
        {"authenticated": False, "user": USER},
        {"authenticated": "true", "user": USER},
        {"authenticated": 1, "user": USER},
        {"authenticated": True, "user": USER, "error": "the token could not be checked"},
        {"authenticated": True},
        {"authenticated": True, "user": CI},
        {"authenticated": True, "user": {"username": ""}},
        {"authenticated": True, "user": {"username": ["x"]}},
    ],
)
def test_nobody(tmp_path: Path, server: Misbehaving, status: dict[str, Any]) -> None:
    server.behaviour = says(http(201, {"status": status}))
    assert asked(tmp_path, server) is None


def test_odd_groups_are_none(tmp_path: Path, server: Misbehaving) -> None:
    server.behaviour = says(
        http(201, {"status": {"authenticated": True, "user": {"username": "x", "groups": ["a", 3, None]}}})
    )
    assert asked(tmp_path, server) == Account("x", frozenset({"a"}))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (http(503, {"message": "not now"}), PlatformUnavailable),
        (http(403, {"message": "no"}), PlatformForbidden),
        (http(201, {"status": "x"}), PlatformUnavailable),
        (http(201, "[]"), PlatformUnavailable),
    ],
)
def test_no_answer(tmp_path: Path, server: Misbehaving, answer: bytes, kind: type[Exception]) -> None:
    server.behaviour = says(answer)
    with pytest.raises(kind) as raised:
        asked(tmp_path, server)
    assert "the.token.itself" not in str(raised.value)
