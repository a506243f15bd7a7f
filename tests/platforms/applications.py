"""Applications of Argo CD for the fake API: their history, what runs of them, and a controller of a few lines."""

import hashlib
from collections.abc import Callable
from typing import Any

from fake_api import FakeApi

Object = dict[str, Any]

NAMESPACE = "argocd"
WHERE = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/applications/web"
SETS = "/apis/apps/v1/namespaces/shop/replicasets"
PODS = "/api/v1/namespaces/shop/pods"
DEPLOYMENT = "/apis/apps/v1/namespaces/shop/deployments/web"
REPOSITORY = "https://git.example.com/shop.git"


def commit(name: str) -> str:
    """A commit's hash, of this letter."""
    return hashlib.sha1(name.encode()).hexdigest()


def at(minute: int) -> str:
    return f"2026-01-05T00:{minute:02}:00Z"


def source(**other: object) -> Object:
    return {"repoURL": REPOSITORY, "path": "web", "targetRevision": "main", **other}


def entry(id_: int, name: str, **of_source: object) -> Object:
    """A sync of the commit of this letter, in the minute of its id."""
    where = source(**of_source)
    return {"id": id_, "revision": commit(name), "deployStartedAt": at(id_), "deployedAt": at(id_), "source": where}


def an_application(api: FakeApi, names: str = "ab", **spec: object) -> Object:
    """It has brought out these commits, one a minute, and is synced to the last one by automated sync."""
    resources = [{"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "web"}]
    history = [entry(number, name) for number, name in enumerate(names)]
    found = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": "web", "namespace": NAMESPACE, "uid": "a1"},
        "spec": {
            "project": "default",
            "source": source(),
            "destination": {"server": "https://kubernetes.default.svc", "namespace": "shop"},
            "syncPolicy": {"automated": {"prune": True, "selfHeal": True}, "syncOptions": ["ServerSideApply=true"]},
            **spec,
        },
        "status": {
            "history": history,
            "resources": [*resources, {"version": "v1", "kind": "Service", "namespace": "shop", "name": "web"}],
            "sync": {"status": "Synced", "revision": history[-1]["revision"] if history else ""},
            "operationState": {"phase": "Succeeded", "syncResult": {"revision": commit(names[-1:])}},
        },
    }
    return api.put(WHERE, found)


def with_status(found: Object, **status: object) -> Object:
    return {**found, "status": {**found["status"], **status}}


def with_metadata(found: Object, **metadata: object) -> Object:
    return {**found, "metadata": {**found["metadata"], **metadata}}


def template(hash_: str) -> Object:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": f"web:{hash_}"}]}}


def a_deployment(api: FakeApi, *hashes: str) -> None:
    """It has had these generations, one a minute and few seconds later, and the last one's pod serves."""
    for number, hash_ in enumerate(hashes):
        a_set(api, hash_, number)
    serving(api, hashes[-1], len(hashes))


def a_set(api: FakeApi, hash_: str, number: int) -> None:
    labels = {"app": "web", "pod-template-hash": hash_}
    of_pods = template(hash_)
    of_pods["metadata"]["labels"] |= labels
    metadata = {
        "name": f"web-{hash_}",
        "labels": labels,
        "annotations": {"deployment.kubernetes.io/revision": str(number + 1)},
        "creationTimestamp": at(number).replace("00Z", "05Z"),
        "ownerReferences": [{"uid": "d1"}],
    }
    api.put(f"{SETS}/web-{hash_}", {"metadata": metadata, "spec": {"template": of_pods}})


def serving(api: FakeApi, hash_: str, revision: int) -> None:
    """This generation is the current one, and its pod the only one."""
    for path in [path for path in api.objects if path.startswith(PODS)]:
        del api.objects[path]
    found = api.objects[f"{SETS}/web-{hash_}"]
    annotations = {"deployment.kubernetes.io/revision": str(revision)}
    api.put(f"{SETS}/web-{hash_}", with_metadata(found, annotations=annotations))
    live = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "uid": "d1", "generation": 1, "annotations": annotations},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template(hash_)},
        "status": {"observedGeneration": 1},
    }
    api.put(DEPLOYMENT, live)
    a_pod(api, hash_)


def a_pod(api: FakeApi, hash_: str, minute: int = 30) -> None:
    metadata = {
        "name": f"web-{hash_}-abcde",
        "labels": {"app": "web", "pod-template-hash": hash_},
        "creationTimestamp": at(minute),
    }
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": at(minute)}
    status = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]}
    api.put(f"{PODS}/{metadata['name']}", {"metadata": metadata, "status": status})


def syncing(api: FakeApi, bring_out: Callable[[str], None], phase: str = "Succeeded") -> Callable[[], None]:
    """What the controller makes of an operation that is asked for, whenever it is called."""

    def synced() -> None:
        found = api.objects[WHERE]
        operation = found.get("operation")
        if operation is None:
            return
        sync = operation["sync"]
        done = {key: value for key, value in found.items() if key != "operation"}
        result = {
            "operation": operation,
            "phase": phase,
            "message": "as told",
            "syncResult": {"revision": sync["revision"]},
        }
        status = {**done["status"], "operationState": result}
        if phase == "Succeeded":
            history = done["status"]["history"]
            new = {"id": history[-1]["id"] + 1, "revision": sync["revision"], "deployStartedAt": at(40)}
            new["source"] = sync.get("source") or found["spec"]["source"]
            status["history"] = [*history, new]
            bring_out(sync["revision"])
        api.put(WHERE, {**done, "status": status})

    return synced
