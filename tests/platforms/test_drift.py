"""Drift: what pods use and the release does not own, and what has become of it."""

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fake_api import FakeApi, running
from ruamel.yaml.error import YAMLError

from analyzer.platforms.cluster import Cluster
from analyzer.platforms.drift import Used, changed, used

SINCE = 1_800_000_000.0
Spec = dict[str, object]


def document(kind: str, name: str, **more: object) -> str:
    """An object of a manifest (JSON is YAML)."""
    return f"---\n{json.dumps({'kind': kind, 'metadata': {'name': name}, **more})}\n"


def workload(kind: str = "Deployment", name: str = "web", namespace: str | None = None, **pod: object) -> str:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    spec = {"template": {"spec": {"containers": [{"name": "main"}], **pod}}}
    return document(kind, name, metadata=metadata, spec=spec)


def container(**of_it: object) -> list[object]:
    return [{"name": "main", "image": "web", **of_it}]


USES = {
    "envFrom": workload(containers=container(envFrom=[{"configMapRef": {"name": "x"}}])),
    "env": workload(
        containers=container(
            env=[
                {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "a"}}},
                {"name": "B", "value": "b"},
            ]
        )
    ),
    "init container": workload(initContainers=container(envFrom=[{"configMapRef": {"name": "x"}}])),
    "volume": workload(volumes=[{"name": "v", "configMap": {"name": "x"}}, {"name": "e", "emptyDir": {}}]),
    "projected": workload(
        volumes=[{"name": "v", "projected": {"sources": [{"serviceAccountToken": {}}, {"configMap": {"name": "x"}}]}}]
    ),
}


@pytest.mark.parametrize("how", USES)
@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
def test_every_way_to_use_one(how: str, kind: str) -> None:
    manifest = USES[how]
    if kind == "Secret":
        manifest = manifest.replace("configMap", "secret")
        if how == "volume":
            manifest = manifest.replace('"secret": {"name"', '"secret": {"secretName"')
    assert used(manifest, "shop") == (Used(kind, "shop", "x", ("Deployment web",)),)


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        workload(),
        workload(imagePullSecrets=[{"name": "registry"}]),
        workload(volumes=[{"name": "v", "configMap": {"name": "x"}}]) + document("ConfigMap", "x"),
        document("ConfigMap", "x") + workload(containers=container(envFrom=[{"configMapRef": {"name": "x"}}])),
        workload("Job", volumes=[{"name": "v", "configMap": {"name": "x"}}]),
        document("Odd", "x", spec="text"),
        document("Odd", "x", spec={"template": "text"}),
        document("Odd", "x", spec={"template": {"spec": None}}),
        document("Odd", "x"),
        workload("Odd", containers={"main": {}}, volumes="text", initContainers=["text"]),
        workload("Odd", containers=container(env={"A": "b"}, envFrom=[{"secretRef": "text"}])),
        workload("Odd", containers=container(env=[{"name": "A", "valueFrom": "text"}])),
        workload("Odd", volumes=[{"projected": "text"}, {"projected": {"sources": {}}}, {"configMap": None}]),
    ],
)
def test_nothing_is_used_that_the_release_does_not_own(manifest: str) -> None:
    assert used(manifest, "shop") == ()


def test_users_namespaces_and_what_may_be_missing() -> None:
    optional = {"name": "v", "secret": {"secretName": "x", "optional": True}}
    manifest = (
        workload(name="a", volumes=[optional])
        + workload("StatefulSet", name="b", volumes=[{"name": "v", "secret": {"secretName": "x"}}, optional])
        + workload(name="c", volumes=[optional], namespace="other")
        + document("Secret", "x", metadata={"name": "x", "namespace": "third"})
        + document("ConfigMap", "x")
        + document("Pod", "d", spec={"containers": [], "volumes": [{"name": "v", "configMap": {"name": "y"}}]})
    )
    assert used(manifest, "shop") == (
        Used("ConfigMap", "shop", "y", ("Pod d",)),
        Used("Secret", "other", "x", ("Deployment c",), optional=True),
        Used("Secret", "shop", "x", ("Deployment a", "StatefulSet b")),
    )


def test_a_manifest_that_cannot_be_parsed() -> None:
    with pytest.raises(YAMLError):
        used("a: [", "shop")


FLAGS = Used("ConfigMap", "shop", "flags", ("Deployment web",))
KEYS = Used("Secret", "shop", "keys", ("Deployment web", "StatefulSet db"))
WHERE = {FLAGS: "/api/v1/namespaces/shop/configmaps/flags", KEYS: "/api/v1/namespaces/shop/secrets/keys"}


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as fake:
        yield fake


def ask(api: FakeApi, *these: Used) -> tuple[str, ...]:
    async def asking() -> tuple[str, ...]:
        cluster = api.cluster()
        try:
            return await changed(cluster, these, SINCE)
        finally:
            await cluster.close()

    return asyncio.run(asking())


def after(seconds: float) -> str:
    return datetime.fromtimestamp(SINCE + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def entry(seconds: float, manager: str = "kubectl-edit", *fields: str) -> Spec:
    return {"manager": manager, "time": after(seconds), "fieldsV1": {field: {} for field in fields or ("f:data",)}}


@pytest.mark.parametrize(
    ("created", "entries", "words"),
    [
        (-900, [], ""),
        (-900, [entry(-900, "kubectl-create")], ""),
        (-900, [entry(-900, "helm"), entry(60)], "was changed since the revision to go back to was deployed (2027"),
        (
            -900,
            [entry(60), entry(-900, "helm")],
            "(2027-01-15 08:01:00 UTC by kubectl-edit), and the release does not own it",
        ),
        (-900, [entry(60, "a"), entry(120, "b")], "by b)"),
        (-900, [entry(60, "reloader", "f:metadata")], ""),  # labels and annotations are not what pods read
        (-900, [entry(60, "vault", "f:metadata", "f:binaryData")], "by vault)"),
        (-900, [{"manager": "old", "time": after(60)}], "by old)"),
        (60, [], "was created since the revision to go back to was deployed (2027-01-15 08:01:00 UTC)"),
        (
            60,
            [entry(90, "kubectl-create")],
            "(2027-01-15 08:01:30 UTC by kubectl-create)",
        ),
        (0, [entry(0)], ""),
    ],
)
def test_what_has_changed_since(api: FakeApi, created: float, entries: list[Spec], words: str) -> None:
    api.put(WHERE[KEYS], {"metadata": {"creationTimestamp": after(created), "managedFields": entries}})
    sentences = ask(api, KEYS)
    if not words:
        assert sentences == ()
        return
    (sentence,) = sentences
    assert sentence.startswith("Secret shop/keys, used by Deployment web, StatefulSet db, was ")
    assert words in sentence
    assert "a rollback does not bring it back" in sentence


def test_what_is_missing_is_told_unless_it_may_be(api: FakeApi) -> None:
    (sentence,) = ask(api, FLAGS, Used("ConfigMap", "shop", "extra", ("Deployment web",), optional=True))
    assert sentence.startswith("ConfigMap shop/flags, needed by Deployment web, is not there")


def test_what_is_forbidden_is_one_sentence_and_the_rest_is_looked_at(api: FakeApi) -> None:
    api.put(WHERE[FLAGS], {"metadata": {"creationTimestamp": after(-9), "managedFields": [entry(1)]}})
    message = (
        'secrets "keys" is forbidden: User "ci" cannot get resource "secrets" in API group "" in the namespace "shop"'
    )
    others = [Used("Secret", "shop", f"keys-{number}", ("Deployment web",)) for number in range(30)]
    for each in (KEYS, *others):
        api.refusals["GET", f"/api/v1/namespaces/shop/secrets/{each.name}"] = (403, message)
    about_flags, unseen = ask(api, FLAGS, KEYS, *others)
    assert "ConfigMap shop/flags" in about_flags
    assert unseen.startswith("whether Secret shop/keys, Secret shop/keys-0, ")
    assert "Secret shop/keys-3 and 26 more changed since" in unseen
    assert unseen.count("user ci may not get secrets") == 1


def test_a_server_that_cannot_answer_does_not_stop_anything(api: FakeApi) -> None:
    api.refusals["GET", WHERE[FLAGS]] = (503, "etcd is away")
    (sentence,) = ask(api, FLAGS)
    assert "is not known" in sentence
    assert "etcd is away" in sentence


def test_only_metadata_are_asked_for() -> None:
    asked: list[tuple[str, bool]] = []

    class Recording(Cluster):
        async def get(self, where: str, *, metadata_only: bool = False) -> Spec | None:
            asked.append((where, metadata_only))
            return None

    asyncio.run(changed(Recording(), (FLAGS, KEYS), SINCE))
    assert sorted(asked) == sorted((where, True) for where in WHERE.values())
