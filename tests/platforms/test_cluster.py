"""Every way in which a Kubernetes API server can fail, on real sockets: one sentence each, and nothing left open."""

import asyncio
import gzip
import json
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from fake_kubeconfig import written

from analyzer.errors import PlatformConflict, PlatformError, PlatformForbidden, PlatformUnavailable
from analyzer.platforms import cluster as module
from analyzer.platforms.cluster import Cluster, ClusterSettings, path, selector
from tests.sources import certificates
from tests.sources.misbehaving import Behaviour, Misbehaving, Request, http, misbehaving, says

T = TypeVar("T")
PODS = path("v1", "pods", "shop")
POD = path("v1", "pods", "shop", "web-1")


@pytest.fixture(autouse=True)
def _silence(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    caplog.set_level(logging.WARNING)
    yield
    assert capfd.readouterr().err == ""
    assert caplog.messages == []


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with misbehaving(says(http(200, {"metadata": {"name": "web-1"}}))) as running:
        yield running


def asking(folder: Path, url: str, question: Callable[[Cluster], Awaitable[T]], limit: float = 20, **user: object) -> T:
    """What the question gives, asked of a cluster at this address."""

    async def asked() -> T:
        cluster = Cluster(ClusterSettings(kubeconfig=str(written(folder, url, **user)), time_limit=limit))
        try:
            return await question(cluster)
        finally:
            await cluster.close()

    return asyncio.run(asked())


def failure(
    folder: Path, url: str, question: Callable[[Cluster], Awaitable[object]] | None = None, limit: float = 20
) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        asking(folder, url, question or (lambda cluster: cluster.get(POD)), limit)
    sentence = str(raised.value)
    assert sentence.isprintable()
    assert len(sentence) < 1000
    return raised.value


# Answers


def test_an_object(tmp_path: Path, server: Misbehaving) -> None:
    assert asking(tmp_path, server.url, lambda cluster: cluster.get(POD)) == {"metadata": {"name": "web-1"}}
    (request,) = server.requests
    assert (request.method, request.target) == ("GET", POD)
    assert request.headers["authorization"] == "Bearer t"
    assert request.headers["accept"] == "application/json"


def test_metadata_alone(tmp_path: Path, server: Misbehaving) -> None:
    asking(tmp_path, server.url, lambda cluster: cluster.get(POD, metadata_only=True))
    assert "PartialObjectMetadata" in server.requests[0].headers["accept"]


def test_an_object_that_is_not_there(tmp_path: Path, server: Misbehaving) -> None:
    server.behaviour = says(http(404, {"message": 'pods "web-1" not found'}))
    assert asking(tmp_path, server.url, lambda cluster: cluster.get(POD)) is None


def test_a_list_in_pages(tmp_path: Path, server: Misbehaving) -> None:
    def page(request: Request, connection: socket.socket) -> None:
        more = {"": "second", "second": ""}[request.parameters.get("continue", "")]
        connection.sendall(http(200, {"metadata": {"continue": more}, "items": [{"page": more}]}))

    server.behaviour = page
    found = asking(tmp_path, server.url, lambda cluster: cluster.items(PODS, {"labelSelector": "app in (a,b)"}))
    assert found == [{"page": "second"}, {"page": ""}]
    assert [request.parameters["labelSelector"] for request in server.requests] == ["app in (a,b)"] * 2


@pytest.mark.parametrize("answer", [{}, {"items": None}, {"items": [], "metadata": None}, {"items": [], "metadata": 1}])
def test_an_empty_list(tmp_path: Path, server: Misbehaving, answer: dict[str, object]) -> None:
    server.behaviour = says(http(200, answer))
    assert asking(tmp_path, server.url, lambda cluster: cluster.items(PODS)) == []


def test_bodies_are_sent(tmp_path: Path, server: Misbehaving) -> None:
    async def both(cluster: Cluster) -> None:
        await cluster.create(PODS, {"kind": "Pod"})
        await cluster.replace(POD, {"kind": "Pod", "spec": None})

    asking(tmp_path, server.url, both)
    sent = [(each.method, each.target, json.loads(each.body)) for each in server.requests]
    assert [each[:2] for each in sent] == [("POST", PODS), ("PUT", POD)]
    assert sent[0][2] == {"kind": "Pod"}


def test_the_namespace_of_the_context(tmp_path: Path) -> None:
    assert asking(tmp_path, "http://127.0.0.1:1", lambda cluster: cluster.namespace()) == "shop"


# Refusals

CANNOT = 'pods "web-1" is forbidden: User "ci" cannot get resource "pods" in API group "" in the namespace "shop"'
CANNOT_ANYWHERE = 'User "ci" cannot list resource "nodes" in API group "metrics.k8s.io" at the cluster scope'
BUSY = "cannot answer now (HTTP"


@pytest.mark.parametrize(
    ("status", "message", "error", "sentence"),
    [
        (400, "no such field", PlatformError, f"refuses GET {POD} (HTTP 400): no such field"),
        (401, "Unauthorized", PlatformForbidden, "does not accept our credentials: Unauthorized; log in again"),
        (403, CANNOT, PlatformForbidden, 'user ci may not get pods (API group "") in namespace "shop"; grant it with '),
        (403, CANNOT_ANYWHERE, PlatformForbidden, "in the whole cluster; grant it with a ClusterRole and"),
        (403, "no way", PlatformForbidden, "forbids that: no way; grant it with a Role and a RoleBinding"),
        (403, "", PlatformForbidden, "forbids that: {"),
        (409, "the object has been modified", PlatformConflict, "was changed by something else at the same time"),
        (410, "the continue token has expired", module.Expired, f"{BUSY} 410): the continue token has expired"),
        (422, "is invalid", PlatformError, "(HTTP 422): is invalid"),
        (429, "too many requests", PlatformUnavailable, f"{BUSY} 429): too many requests"),
        (500, "etcdserver: leader changed", PlatformUnavailable, f"{BUSY} 500): etcdserver: leader changed"),
        (503, "\x1b[2Jline\nbreak", PlatformUnavailable, f"{BUSY} 503): [2Jline break"),
        (504, "x" * 100_000, PlatformUnavailable, f"{BUSY} 504): {'x' * 500}…"),
    ],
)
def test_refusals(
    tmp_path: Path, server: Misbehaving, status: int, message: str, error: type[PlatformError], sentence: str
) -> None:
    server.behaviour = says(http(status, {"kind": "Status", "message": message}))
    found = failure(tmp_path, server.url)
    assert type(found) is error
    assert sentence in str(found)


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (502, "<html>\n<h1>Bad Gateway</h1>", f"{BUSY} 502): <html> <h1>Bad Gateway</h1>"),
        (503, "", f"{BUSY} 503): HTTP 503"),
        (200, "<html>a portal</html>", f"{BUSY} 200): <html>a portal</html>"),
        (200, '{"kind": "Pod', f"{BUSY} 200): "),
        (200, "[1, 2]", f"{BUSY} 200): [1, 2]"),
        (200, "null", f"{BUSY} 200): null"),
        (200, "[" * 200_000, f"{BUSY} 200): [["),
        (200, b"\xff\xfe\x00", f"{BUSY} 200): "),
    ],
)
def test_what_is_no_answer_of_an_api_server(
    tmp_path: Path, server: Misbehaving, status: int, body: bytes | str, sentence: str
) -> None:
    server.behaviour = says(http(status, body))
    found = failure(tmp_path, server.url)
    assert type(found) is PlatformUnavailable
    assert sentence in str(found)


@pytest.mark.parametrize("status", [404, 409])
def test_writing(tmp_path: Path, server: Misbehaving, status: int) -> None:
    server.behaviour = says(http(status, {"message": "no"}))
    found = failure(tmp_path, server.url, lambda cluster: cluster.create(PODS, {"kind": "Pod"}))
    assert isinstance(found, PlatformConflict) is (status == 409)


# Lists


@pytest.mark.parametrize("items", [{"a": 1}, "text", [1], [{"a": 1}, None]])
def test_what_is_no_list(tmp_path: Path, server: Misbehaving, items: object) -> None:
    server.behaviour = says(http(200, {"items": items}))
    found = failure(tmp_path, server.url, lambda cluster: cluster.items(PODS))
    assert type(found) is PlatformUnavailable
    assert str(found).endswith(f"answers with something else than a list of {PODS}")


def test_a_list_that_is_not_there(tmp_path: Path, server: Misbehaving) -> None:
    server.behaviour = says(http(404, "404 page not found"))
    found = failure(tmp_path, server.url, lambda cluster: cluster.items(PODS))
    assert f"knows no {PODS}: 404 page not found" in str(found)


def test_a_list_without_end(tmp_path: Path, server: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_PAGES", 5)
    server.behaviour = says(http(200, {"metadata": {"continue": "more"}, "items": [{}, {}]}))
    found = failure(tmp_path, server.url, lambda cluster: cluster.items(PODS))
    assert str(found).endswith(f"list of {PODS} has no end: it has 10 objects")
    assert len(server.requests) == 5


# The connection


@pytest.mark.parametrize("packed", [False, True])
def test_an_answer_without_end(
    tmp_path: Path, server: Misbehaving, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    monkeypatch.setattr(module, "_LARGEST", 2**20)
    body = b" " * 2**25
    server.behaviour = says(http(200, gzip.compress(body), Content_Encoding="gzip") if packed else http(200, body))
    assert str(failure(tmp_path, server.url)).endswith(f"answer about {POD} has more than 1 MiB")


def hanging(server: Misbehaving, first: bytes = b"") -> Behaviour:
    def hangs(_: Request, connection: socket.socket) -> None:
        connection.sendall(first)
        server.over.wait(60)

    return hangs


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\n", b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"kind"']
)
def test_a_server_that_hangs(tmp_path: Path, server: Misbehaving, first: bytes) -> None:
    server.behaviour = hanging(server, first)
    found = failure(tmp_path, server.url, limit=0.3)
    assert type(found) is PlatformUnavailable
    assert str(found) == f"the Kubernetes API server at {server.url} cannot be reached: it did not answer in time"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"kind": "Pod"',
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n{"kind',
        b"SSH-2.0-OpenSSH_9.2\r\n",
        http(200, b"not packed", Content_Encoding="gzip"),
    ],
)
def test_an_answer_that_is_cut_off_or_none_at_all(tmp_path: Path, server: Misbehaving, answer: bytes) -> None:
    server.behaviour = says(answer)
    found = failure(tmp_path, server.url)
    assert type(found) is PlatformUnavailable
    assert str(found).startswith(f"the Kubernetes API server at {server.url} cannot be reached: ")


def test_a_refused_connection(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = failure(tmp_path, url)
    assert type(found) is PlatformUnavailable
    assert str(found) == f"the Kubernetes API server at {url} cannot be reached: Connection refused"


def test_a_name_that_nobody_knows(tmp_path: Path) -> None:
    assert type(failure(tmp_path, "http://nowhere.invalid")) is PlatformUnavailable


@pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:80", "http://[", "http://127.0.0.1:99999999", "http://"])
def test_what_is_no_address(tmp_path: Path, url: str) -> None:
    assert "cannot be " in str(failure(tmp_path, url))


def test_a_circle_of_redirects(tmp_path: Path, server: Misbehaving) -> None:
    server.behaviour = says(http(302, "", Location=f"{server.url}{POD}"))
    assert type(failure(tmp_path, server.url)) is PlatformUnavailable


@pytest.mark.parametrize("token", ["two\nlines", "nul\0"])
def test_a_token_that_fits_in_no_header(tmp_path: Path, server: Misbehaving, token: str) -> None:
    with pytest.raises(PlatformError) as raised:
        asking(tmp_path, server.url, lambda cluster: cluster.get(POD), token=token)
    assert token not in str(raised.value)


# Tokens that are renewed


def renewed(server: Misbehaving, file: Path, *, after: int) -> None:
    """Accepts the token that is in the file now; the first requests come before it is renewed."""

    def answer(request: Request, connection: socket.socket) -> None:
        if len(server.requests) == after:
            file.write_text("new\n")
        ok = request.headers["authorization"] == ("Bearer new" if len(server.requests) > after else "Bearer old")
        connection.sendall(http(200, {"ok": True}) if ok else http(401, {"message": "Unauthorized"}))

    server.behaviour = answer


def test_a_renewed_token_is_read_anew(tmp_path: Path, server: Misbehaving) -> None:
    token = tmp_path / "token"
    token.write_text("old\n")
    renewed(server, token, after=2)

    async def several(cluster: Cluster) -> list[object]:
        return [await cluster.get(POD) for _ in range(4)]

    assert asking(tmp_path, server.url, several, token=None, tokenFile=str(token)) == [{"ok": True}] * 4
    given = [request.headers["authorization"] for request in server.requests]
    assert given == ["Bearer old"] * 3 + ["Bearer new"] * 2


def test_many_at_once_survive_a_renewed_token(tmp_path: Path, server: Misbehaving) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    renewed(server, token, after=1)

    async def several(cluster: Cluster) -> list[object]:
        await cluster.get(POD)
        return await asyncio.gather(*(cluster.get(POD) for _ in range(20)))

    assert asking(tmp_path, server.url, several, token=None, tokenFile=str(token)) == [{"ok": True}] * 20


def test_a_token_that_stays_bad_is_no_circle(tmp_path: Path, server: Misbehaving) -> None:
    async def twice(cluster: Cluster) -> None:
        await cluster.get(POD)
        server.behaviour = says(http(401, {"message": "Unauthorized"}))
        for _ in range(2):
            with pytest.raises(PlatformForbidden):
                await cluster.get(POD)

    asking(tmp_path, server.url, twice)
    assert len(server.requests) == 4  # one, then two with a connection that was open, then one with a new one


def test_a_cancelled_request_leaves_nothing_open(tmp_path: Path, server: Misbehaving) -> None:
    server.behaviour = hanging(server, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")

    async def cancelled(cluster: Cluster) -> None:
        asked = asyncio.create_task(cluster.get(POD))
        assert await asyncio.to_thread(server.asked.wait, 20)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked

    asking(tmp_path, server.url, cancelled)


def test_a_closed_cluster_connects_anew(tmp_path: Path, server: Misbehaving) -> None:
    async def again(cluster: Cluster) -> object:
        await cluster.get(POD)
        await cluster.close()
        return await cluster.get(POD)

    assert asking(tmp_path, server.url, again)


# TLS


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def secure(keys: Path) -> Iterator[Misbehaving]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys / "server.pem", keys / "server.key")
    with misbehaving(says(http(200, {"ok": True})), tls=context) as running:
        yield running


def test_a_server_that_is_not_trusted(tmp_path: Path, secure: Misbehaving) -> None:
    found = failure(tmp_path, secure.url)
    assert type(found) is PlatformError
    assert str(found).startswith(f"the Kubernetes API server at {secure.url} is not trusted: ")
    assert str(found).endswith("; correct the kubeconfig's certificate-authority")
    assert secure.requests == []


@pytest.mark.parametrize("authority", [{"certificate-authority": "ca.pem"}, {"insecure-skip-tls-verify": True}])
def test_a_server_that_is_trusted(
    tmp_path: Path, keys: Path, secure: Misbehaving, authority: dict[str, object]
) -> None:
    (tmp_path / "ca.pem").write_text((keys / "ca.pem").read_text())  # beside the kubeconfig
    assert asking(tmp_path, secure.url, lambda cluster: cluster.get(POD), cluster=authority) == {"ok": True}


def test_a_server_without_tls(tmp_path: Path, server: Misbehaving) -> None:
    assert type(failure(tmp_path, server.url.replace("http:", "https:"), limit=0.5)) is PlatformUnavailable


# Words of the API


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("v1", "pods"), "/api/v1/pods"),
        (("v1", "pods", "shop"), "/api/v1/namespaces/shop/pods"),
        (("apps/v1", "deployments", "shop", "web", "scale"), "/apis/apps/v1/namespaces/shop/deployments/web/scale"),
        (("v1", "nodes", "", "one"), "/api/v1/nodes/one"),
    ],
)
def test_paths(words: tuple[str, ...], expected: str) -> None:
    assert path(*words) == expected


@pytest.mark.parametrize(
    "words",
    [
        ("apps/v1", "deployments", "shop", "../../../../../../api/v1/namespaces/kube-system/secrets/x"),
        ("apps/v1", "deployments", "shop", ".."),
        ("apps/v1", "deployments", "shop", "web?watch=1"),
        ("apps/v1", "deployments", "shop", "web%2f.."),
        ("apps/v1", "deployments", "shop", "web\n"),
        ("apps/v1", "deployments", "..", "web"),
        ("apps/v1", "deployments", "victim/deployments/pay?", "web"),
        ("apps/v1/namespaces/victim", "deployments", "shop", "web"),
        ("v1", "pods", "shop", "x" * 300),
    ],
)
def test_a_name_leads_nowhere_else(words: tuple[str, ...]) -> None:
    with pytest.raises(PlatformError, match="is no name of an object or a kind of Kubernetes"):
        path(*words)


@pytest.mark.parametrize(
    ("labels", "expressions", "expected"),
    [
        (None, None, ""),
        ({"app": "web", "tier": "front"}, None, "app=web,tier=front"),
        ({"app": "web"}, [{"key": "canary", "operator": "DoesNotExist"}], "app=web,!canary"),
        (
            None,
            [{"key": "a", "operator": "In", "values": ["b", "c"]}, {"key": "d", "operator": "Exists"}],
            "a in (b,c),d",
        ),
        (None, [{"key": "a", "operator": "NotIn", "values": ["b"]}], "a notin (b)"),
    ],
)
def test_selectors(labels: dict[str, str] | None, expressions: list[dict[str, object]] | None, expected: str) -> None:
    assert selector(labels, expressions) == expected
