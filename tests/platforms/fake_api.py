"""A Kubernetes API server of a few lines: objects by path, resourceVersions, reviews of rights, refusals."""

import asyncio
import itertools
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from analyzer.platforms.cluster import Cluster, ClusterSettings
from tests.platforms.fake_kubeconfig import written

T = TypeVar("T")
Object = dict[str, Any]
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
LISTS = {"configmaps", "controllerrevisions", "pods", "replicasets"}  # those that are there even when they are empty


class FakeApi:
    """What is there, by path; what was asked; and who may do what."""

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.requests: list[tuple[str, str]] = []
        self.refusals: dict[tuple[str, str], tuple[int, str]] = {}  # (method, path) -> status, message
        self.may: Callable[[Object], bool] = lambda _: True  # of a review's resourceAttributes
        self.before_put: Callable[[], None] = lambda: None
        self.after_patch: Callable[[str], None] = lambda _: None  # of this path
        self.kubeconfig = Path()
        self._versions = itertools.count(1)
        self._lock = threading.Lock()

    def put(self, path: str, found: Object) -> Object:
        """Set an object, as somebody else would."""
        stored = {**found, "metadata": {**(found.get("metadata") or {}), "resourceVersion": str(next(self._versions))}}
        self.objects[path] = stored
        return stored

    def cluster(self) -> Cluster:
        return Cluster(ClusterSettings(kubeconfig=str(self.kubeconfig), time_limit=5))

    def answer(self, method: str, path: str, query: dict[str, str], body: Object) -> tuple[int, Object]:
        with self._lock:
            self.requests.append((method, path))
        if refusal := self.refusals.get((method, path)):
            return refusal[0], {"message": refusal[1]}
        match method:
            case "GET":
                return self._get(path, query)
            case "POST" if path == REVIEWS:
                return 201, {**body, "status": {"allowed": self.may(body["spec"]["resourceAttributes"])}}
            case "POST":
                return self._create(f"{path}/{body['metadata']['name']}", body)
            case "PATCH":
                self.before_put()
                answer = self._patch(path.removesuffix("/status"), body)
                self.after_patch(path)
                return answer
            case _:
                self.before_put()
                return self._replace(path, body)

    def _get(self, path: str, query: dict[str, str]) -> tuple[int, Object]:
        if path in self.objects:
            return 200, self.objects[path]
        found = self._under(path)
        if found or path.rpartition("/")[2] in LISTS:
            return 200, {"items": [each for each in found if _fits(each, query.get("labelSelector"))]}
        return 404, {"message": f"{path} not found"}

    def _under(self, path: str) -> list[Object]:
        return [each for where, each in self.objects.items() if where.rpartition("/")[0] == path]

    def _create(self, path: str, body: Object) -> tuple[int, Object]:
        with self._lock:
            return (409, {"message": "already exists"}) if path in self.objects else (201, self.put(path, body))

    def _patch(self, path: str, change: Object | list[Object]) -> tuple[int, Object]:
        """A merge patch, or a JSON patch of the few operations that are used."""
        with self._lock:
            there = self.objects.get(path)
            if there is None:
                return 404, {"message": f"{path} not found"}
            version = there["metadata"]["resourceVersion"]
            if isinstance(change, dict):
                if (change.get("metadata") or {}).get("resourceVersion", version) != version:
                    return 409, {"message": "the object has been modified"}
                return 200, self.put(path, _merged(there, change))
            test, replace = change
            assert (test["op"], test["path"], replace["op"]) == ("test", "/metadata/resourceVersion", "replace")
            if test["value"] != version:
                return 422, {"message": "the test does not hold"}
            _, part, name = replace["path"].split("/")
            return 200, self.put(path, {**there, part: {**there[part], name: replace["value"]}})

    def _replace(self, path: str, body: Object) -> tuple[int, Object]:
        with self._lock:
            there = self.objects.get(path)
            if there is None:
                return 404, {"message": f"{path} not found"}
            version = body["metadata"].get("resourceVersion")
            if version and version != there["metadata"]["resourceVersion"]:
                return 409, {"message": "the object has been modified"}
            return 200, self.put(path, body)


def _merged(there: object, change: object) -> Any:  # noqa: ANN401 -- JSON
    """A JSON merge patch (RFC 7396)."""
    if not isinstance(change, dict):
        return change
    found = dict(there) if isinstance(there, dict) else {}
    for key, value in change.items():
        if value is None:
            found.pop(key, None)
        else:
            found[key] = _merged(found.get(key), value)
    return found


def ask(api: FakeApi, what: Callable[[Cluster], Awaitable[T]]) -> T:
    """What a cluster that speaks to it answers."""

    async def asking() -> T:
        cluster = api.cluster()
        try:
            return await what(cluster)
        finally:
            await cluster.close()

    return asyncio.run(asking())


def _fits(found: Object, selector: str | None) -> bool:
    labels = (found.get("metadata") or {}).get("labels") or {}
    terms = [term.partition("=") for term in (selector or "").split(",") if term]
    return all(name in labels and (not equals or labels[name] == value) for name, equals, value in terms)


@contextmanager
def running(folder: Path) -> Iterator[FakeApi]:
    api = FakeApi()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one(self) -> None:
            split = urlsplit(self.path)
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else {}
            query = {name: values[0] for name, values in parse_qs(split.query).items()}
            status, answer = api.answer(self.command, split.path, query, body)
            data = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = handle_one  # noqa: N815 -- as http.server looks for them

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    api.kubeconfig = written(folder, f"http://127.0.0.1:{server.server_port}")
    try:
        yield api
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
