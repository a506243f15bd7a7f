"""What is read of a release as Helm keeps it, and what becomes of one that somebody else has written."""

import base64
import gzip
import json
import time
import tracemalloc
from typing import Any

import pytest

from analyzer.errors import PlatformError
from analyzer.platforms.helm_storage import LARGEST, Kept, Storage, kept, read
from analyzer.platforms.workloads import Workload

Object = dict[str, Any]

LABELS = {"owner": "helm", "name": "web", "version": "2", "status": "deployed"}
MANIFEST = """\
# Source: web/templates/service.yaml
apiVersion: v1
kind: Service
metadata: {name: web}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {spec: {containers: [{name: web, image: web:2}]}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Rollout
metadata: {name: other, namespace: elsewhere}
spec: {template: {spec: {}}}
---
apiVersion: v1
kind: List
items:
  - {apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {template: {}}}
"""
RELEASE = {
    "name": "web",
    "info": {"first_deployed": "2026-11-22T00:00:00Z", "description": "Upgrade complete", "status": "deployed"},
    "chart": {"templates": [{"name": "templates/all.yaml", "data": 'e30=\\"}]'}], "values": {"a": {"b": [1, None]}}},
    "config": {},
    "manifest": MANIFEST,
    "version": 2,
    "namespace": "shop",
}
"""In the order in which Go writes its fields."""


def metadata(**more: object) -> Object:
    found = {"name": "sh.helm.release.v1.web.v2", "namespace": "shop", "uid": "u-2", "labels": LABELS}
    return {"metadata": {**found, "creationTimestamp": "2026-11-22T00:00:00Z", **more}}


def kept_as(content: bytes | Object, storage: Storage = Storage.SECRETS, *, packed: bool = True) -> Object:
    text = content if isinstance(content, bytes) else json.dumps(content).encode()
    data = base64.b64encode(gzip.compress(text) if packed else text)
    return {
        **metadata(),
        "data": {"release": (base64.b64encode(data) if storage == Storage.SECRETS else data).decode()},
    }


def mark(storage: Storage = Storage.SECRETS) -> Kept:
    found = kept(metadata(), storage)
    assert found is not None
    return found


def test_what_the_metadata_tell() -> None:
    assert mark() == Kept(Storage.SECRETS, "shop", "web", 2, "deployed", "u-2", 1795305600.0)
    assert mark().object_name == "sh.helm.release.v1.web.v2"


@pytest.mark.parametrize(
    "wrong",
    [
        {"labels": None},
        {"labels": []},
        {"labels": {**LABELS, "owner": "flux"}},
        {"labels": {**LABELS, "name": "other"}},  # labels that lie
        {"labels": {**LABELS, "version": "3"}},
        {"labels": {**LABELS, "version": 2}},
        {"name": "sh.helm.release.v1.web.v0"},
        {"name": "sh.helm.release.v1.web.v2x"},
        {"name": "sh.helm.release.v1.web.v99999999999"},
        {"name": "sh.helm.release.v1.WEB.v2"},
        {"name": "sh.helm.release.v1.web/../other.v2"},
        {"name": "something"},
        {"name": None},
        {"creationTimestamp": None},
        {"creationTimestamp": "yesterday"},
    ],
)
def test_metadata_that_are_not_those_of_a_release(wrong: Object) -> None:
    assert kept(metadata(**wrong), Storage.SECRETS) is None
    assert kept({"metadata": []}, Storage.SECRETS) is None


@pytest.mark.parametrize("storage", Storage)
@pytest.mark.parametrize("packed", [True, False])
def test_its_workloads(storage: Storage, packed: bool) -> None:
    release = read(kept_as(RELEASE, storage, packed=packed), mark(storage))
    assert not release.is_way_back
    assert release.workloads == (
        Workload("Deployment", "apps/v1", "shop", "web", {}),
        Workload("Rollout", "argoproj.io/v1alpha1", "elsewhere", "other", {}),
        Workload("StatefulSet", "apps/v1", "shop", "db", {}),
    )


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        ({"description": "Rollback to 1"}, True),
        ({"description": 'Rollback "web" failed: timed out'}, True),
        ({"description": "Upgrade complete", "rollback_revision": 1}, True),  # Helm 4
        ({"description": "Upgrade complete"}, False),
        ({"description": 'Upgrade "web" failed: context deadline exceeded', "status": "failed"}, False),
        ({}, False),
    ],
)
def test_whether_it_restores_an_earlier_one(info: Object, expected: bool) -> None:
    assert read(kept_as({**RELEASE, "info": info}), mark()).is_way_back is expected


def test_when_it_was_brought_out() -> None:
    assert read(kept_as(RELEASE), mark()).deployed_at is None
    info = {"last_deployed": "2026-11-22T01:00:00.123456789+01:00"}
    assert read(kept_as({**RELEASE, "info": info}), mark()).deployed_at == pytest.approx(1795305600.123456)
    odd = {"last_deployed": ["yesterday"]}
    assert read(kept_as({**RELEASE, "info": odd}), mark()).deployed_at is None


def nested(sign: bytes) -> bytes:
    return b'{"chart":' + sign * 5_000_000


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (metadata(), "it has no data"),
        ({**metadata(), "data": {"release": "%%%"}}, "it is no base64"),
        ({**metadata(), "data": {"release": base64.b64encode(b"\xff\xfe").decode()}}, "it is no base64"),
        (kept_as(b""), "it is no JSON object"),
        (kept_as(b"null"), "it is no JSON object"),
        (kept_as(b'{"name":"web"'), "it is no JSON object"),
        (kept_as(b'{"name" "web"}'), "it is no JSON object"),
        (kept_as(b'{"info": {"a": "'), "it is cut off"),
        (kept_as(nested(b"[")), "it has too many parts"),
        (kept_as(nested(b'[""')), "it has too many parts"),
        (kept_as(b'{"chart":["' + b'\\"' * 5_000_000), "it is cut off"),
        (kept_as(b'{"chart":["' + b'\\"' * 5_000_000 + b"\\"), "it is cut off"),
        (kept_as(b'{"info":' + b"[" * 100_000 + b"]" * 100_000 + b"}"), "its info is nested too deeply"),
        (kept_as(b" " * (LARGEST + 1)), "it is cut off, or has more than 32 MiB"),
        (kept_as({**RELEASE, "name": "other"}), "it is another release than its name and labels say"),
        (kept_as({**RELEASE, "namespace": "elsewhere"}), "it is another release than its name and labels say"),
        (kept_as({**RELEASE, "version": 3}), "it is another release than its name and labels say"),
        (kept_as({**RELEASE, "version": "2"}), "it is another release than its name and labels say"),
        (kept_as({**RELEASE, "info": {"rollback_revision": "x"}}), "it is none of Helm's"),
        (kept_as({**RELEASE, "manifest": "kind: Deployment\n\t- {{"}), "it is none of Helm's"),
        (kept_as({**RELEASE, "manifest": MANIFEST * 300}), "it has more than 500 workloads"),
        (kept_as({**RELEASE, "manifest": "a: Deployment\n---\n" * 200_000}), "its workloads take more than 2 MiB"),
    ],
)
def test_what_is_none_of_helms_is_one_sentence(found: Object, why: str) -> None:
    began = time.monotonic()
    with pytest.raises(PlatformError) as raised:
        read(found, mark())
    expected = f"the release in secret sh.helm.release.v1.web.v2 in namespace shop cannot be read: {why}"
    assert str(raised.value) == expected
    assert time.monotonic() - began < 20


@pytest.mark.parametrize("odd", [None, 5, [MANIFEST], "", "kind: Deployment", "- kind: Deployment\n", "metadata: [a]"])
def test_odd_manifests_have_no_workloads(odd: object) -> None:
    assert read(kept_as({**RELEASE, "manifest": odd}), mark()).workloads == ()


@pytest.mark.parametrize("content", [b'{"chart":[' + b"{}," * 9_000_000, b'{"a":1,' + b" " * (LARGEST - 10)])
def test_a_bomb_takes_no_more_than_its_text(content: bytes) -> None:
    bomb = kept_as(content)
    assert len(bomb["data"]["release"]) < 2**20
    tracemalloc.start()
    try:
        with pytest.raises(PlatformError):
            read(bomb, mark())
        _, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert highest < 3 * LARGEST
