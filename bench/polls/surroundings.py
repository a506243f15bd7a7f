"""What the service finds around it, in a process of its own: an API server with Rollouts, and services to scrape.

Nothing in it computes: who measures must not wait for it.
"""

import asyncio
import json
import multiprocessing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit

from analyzer.demo.port import LOOPBACK
from tests.faults.exporter import Exporter

NAMESPACE = "shop"
STABLE, CANARY = "5d4f8c7b9", "6c9b7d5f4"
_ROLLOUTS = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/rollouts"
_RUNS = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/analysisruns"
_CREATED = "2026-01-01T00:00:00Z"

Object = dict[str, Any]


@contextmanager
def surroundings(services: tuple[str, ...], rollouts: int, pods: int, rate: float) -> Iterator[tuple[str, str]]:
    """host:port of the API server, and of what is to be scraped."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_main, args=(theirs, services, rollouts, pods, rate), daemon=True
    )
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _main(told: Connection, services: tuple[str, ...], rollouts: int, pods: int, rate: float) -> None:
    asyncio.run(_serve(told, services, rollouts, pods, rate))


async def _serve(told: Connection, services: tuple[str, ...], rollouts: int, pods: int, rate: float) -> None:
    objects = _objects(rollouts)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await _answer(reader, writer, objects)
        except (OSError, EOFError):
            writer.close()

    server = await asyncio.start_server(answer, LOOPBACK, 0)
    async with server, Exporter(services, rate=rate, pods=pods, with_latency=True) as exporter:
        host, port = server.sockets[0].getsockname()
        told.send((f"{host}:{port}", exporter.address))
        await server.serve_forever()


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, objects: Callable[[str, str], bytes | None]
) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    address = urlsplit(head.split(" ", 2)[1])
    chosen = parse_qs(address.query).get("labelSelector", [""])[0]
    found = objects(address.path, chosen.removeprefix("app="))
    status, body = ("200 OK", found) if found is not None else ("404 Not Found", b'{"message": "not found"}')
    writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode())
    writer.write(body)
    await writer.drain()


def _objects(rollouts: int) -> Callable[[str, str], bytes | None]:
    """What stands at a path; of a list, that of one application."""
    names = [f"web-{number}" for number in range(rollouts)]
    single: dict[str, Object] = {f"/api/v1/namespaces/{NAMESPACE}": {"metadata": {"name": NAMESPACE}}}
    lists: dict[tuple[str, str], Object] = {}
    for name in names:
        single[f"{_ROLLOUTS}/{name}"] = _rollout(name)
        single[f"{_RUNS}/{name}-2"] = {"metadata": {"name": f"{name}-2", "uid": f"run-of-{name}"}}
        lists[f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets", name] = _listed(_set(name, 1), _set(name, 2))
        lists[f"/api/v1/namespaces/{NAMESPACE}/pods", name] = _listed(_pod(name, STABLE), _pod(name, CANARY))
    written = {where: json.dumps(each).encode() for where, each in (single | lists).items()}
    empty = json.dumps(_listed()).encode()

    def found(path: str, application: str) -> bytes | None:
        if path.endswith("/configmaps"):
            return empty
        return written.get((path, application)) if (path, application) in written else written.get(path)

    return found


def _listed(*items: Object) -> Object:
    return {"items": list(items)}


def _labels(name: str, hash_: str) -> Object:
    return {"app": name, "rollouts-pod-template-hash": hash_}


def _rollout(name: str) -> Object:
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": name,
            "generation": 2,
            "annotations": {"rollout.argoproj.io/revision": "2"},
        },
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "web"}]}},
        },
        "status": {
            "observedGeneration": "2",
            "stableRS": STABLE,
            "currentPodHash": CANARY,
            "phase": "Progressing",
            "canary": {"currentStepAnalysisRunStatus": {"name": f"{name}-2", "status": "Running"}},
        },
    }


def _set(name: str, revision: int) -> Object:
    hash_ = (STABLE, CANARY)[revision - 1]
    template = {"metadata": {"labels": _labels(name, hash_)}, "spec": {"containers": [{"name": "web"}]}}
    return {
        "metadata": {
            "name": f"{name}-{hash_}",
            "labels": _labels(name, hash_),
            "annotations": {"rollout.argoproj.io/revision": str(revision)},
            "creationTimestamp": _CREATED,
            "ownerReferences": [{"uid": name}],
        },
        "spec": {"template": template},
    }


def _pod(name: str, hash_: str) -> Object:
    ready = {"type": "Ready", "status": "True", "lastTransitionTime": _CREATED}
    return {
        "metadata": {"name": f"{name}-{hash_}-abcde", "labels": _labels(name, hash_), "creationTimestamp": _CREATED},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [ready]},
    }
