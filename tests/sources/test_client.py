"""Every way in which a server can fail, on real sockets: each told apart, none hanging, no secret in any message."""

import asyncio
import base64
import gzip
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from analyzer.errors import MalformedAnswer, QueryRefused, SourceError, SourceUnavailable, UsageError
from analyzer.sources.prometheus.answer import float_series, native_series, single_values
from analyzer.sources.prometheus.client import LONGEST_GET, LONGEST_URL, Answer, PrometheusAccess, PrometheusClient
from tests.sources import certificates
from tests.sources.misbehaving import Behaviour, Misbehaving, Request, http, misbehaving, says, vector

SECRET = "s3cr3t-t0k3n"


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with misbehaving(says(http(200, vector("1")))) as running:
        yield running


def ask(url: str, query: str = "up", /, **settings: object) -> Answer:
    async def asking() -> Answer:
        async with PrometheusClient(PrometheusAccess.of(url=url, **settings)) as client:
            return await client.instant(query, 1_000_123)

    return asyncio.run(asking())


def failure(url: str, **settings: object) -> SourceError:
    with pytest.raises(SourceError) as raised:
        ask(url, **settings)
    return raised.value


def prometheus_says(kind: str, message: str) -> dict[str, str]:
    return {"status": "error", "errorType": kind, "error": message}


# ---------------------------------------------------------------------- answers


def test_an_answer(server: Misbehaving) -> None:
    answer = ask(server.url, "sum(up)")
    assert single_values(answer) == [({"n": "0"}, 1.0)]
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/api/v1/query")
    assert request.parameters == {"query": "sum(up)", "time": "1000.123"}


def test_a_path_prefix_is_kept(server: Misbehaving) -> None:
    ask(f"{server.url}/prometheus/")
    assert server.requests[0].path == "/prometheus/api/v1/query"


def test_steps_are_asked_for_in_milliseconds(server: Misbehaving) -> None:
    async def asking() -> None:
        async with PrometheusClient(PrometheusAccess.of(url=server.url)) as client:
            await client.range("up", 1000, 61_500, 500)

    asyncio.run(asking())
    assert server.requests[0].path == "/api/v1/query_range"
    assert server.requests[0].parameters == {"query": "up", "start": "1.000", "end": "61.500", "step": "0.500"}


def test_values_that_are_no_numbers_are_values(server: Misbehaving) -> None:
    server.behaviour = says(http(200, vector("NaN", "+Inf", "-Inf")))
    assert str([value for _, value in single_values(ask(server.url))]) == "[nan, inf, -inf]"


def test_a_compressed_answer(server: Misbehaving) -> None:
    packed = gzip.compress(json.dumps(vector("7")).encode())
    server.behaviour = says(http(200, packed, Content_Encoding="gzip"))
    assert single_values(ask(server.url)) == [({"n": "0"}, 7.0)]


def test_infos_are_ignored_and_remarks_on_the_query_are_notes(server: Misbehaving) -> None:
    remarks = ["PromQL info: metric might not be a counter", "PromQL warning: bucket label is missing"]
    server.behaviour = says(http(200, vector("1", warnings=remarks, infos=["PromQL info: x"])))
    assert ask(server.url).notes == ("PromQL warning: bucket label is missing",)


# ---------------------------------------------------------------------- long queries


def test_a_long_query_goes_into_the_body_of_a_post(server: Misbehaving) -> None:
    query = f'up{{a="{"é" * LONGEST_URL}"}}'
    ask(server.url, query)
    (request,) = server.requests
    assert (request.method, request.target) == ("POST", "/api/v1/query")
    assert request.parameters["query"] == query


@pytest.mark.parametrize("status", [403, 405])
def test_where_post_is_not_allowed_get_is_tried(server: Misbehaving, status: int) -> None:
    server.behaviour = lambda request, connection: connection.sendall(
        http(200, vector("1")) if request.method == "GET" else http(status, "no")
    )
    assert ask(server.url, f'up{{a="{"x" * LONGEST_URL}"}}').kind == "vector"
    assert [request.method for request in server.requests] == ["POST", "GET"]


def test_where_post_is_not_allowed_a_query_can_be_too_long(server: Misbehaving) -> None:
    server.behaviour = says(http(405, "no"))
    with pytest.raises(QueryRefused, match="405"):
        ask(server.url, f'up{{a="{"x" * LONGEST_GET}"}}')


# ---------------------------------------------------------------------- refusals and failures by status


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (400, prometheus_says("bad_data", "1:5: parse error"), None, "refuses the query (400): 1:5: parse error"),
        (422, prometheus_says("execution", "too many samples"), None, "(422): too many samples"),
        (401, "go away", None, "answers 401, not authenticated: it wants a token or a user (go away)"),
        (403, "", None, "answers 403, not allowed: check the rights"),
        (404, "<html>nothing</html>", None, "check the address and its path prefix"),
        (429, prometheus_says("too_many", "slow down"), "unreachable", "429, too many requests: slow down"),
        (500, prometheus_says("internal", "broken"), "unreachable", "answers 500: broken"),
        (502, "<html>Bad Gateway</html>", "unreachable", "answers 502: <html>Bad Gateway</html>"),
        (503, prometheus_says("unavailable", "starting"), "unreachable", "answers 503: starting"),
        (503, prometheus_says("timeout", "query timed out"), "timeout", "in time: query timed out"),
        (504, "", "timeout", "did not answer the query in time"),
        (418, "tea" * 1000, None, "(418): teatea"),
    ],
)
def test_statuses(
    server: Misbehaving, status: int, body: str | dict[str, str], kind: str | None, sentence: str
) -> None:
    server.behaviour = says(http(status, body))
    error = failure(server.url)
    assert sentence in str(error)
    assert len(str(error)) < 500
    assert isinstance(error, QueryRefused if kind is None else SourceUnavailable)
    assert kind is None or (isinstance(error, SourceUnavailable) and error.kind == kind)
    assert len(server.requests) == 1  # nothing is tried twice behind the engine's back


def test_with_a_token_401_says_to_check_it(server: Misbehaving) -> None:
    server.behaviour = says(http(401, ""))
    assert "check the token, or user and password" in str(failure(server.url, token=SECRET))


def test_a_part_that_is_missing(server: Misbehaving) -> None:
    server.behaviour = says(http(200, vector("1", warnings=["store 10.0.0.7 did not answer"])))
    error = failure(server.url)
    assert isinstance(error, SourceUnavailable)
    assert error.kind == "partial"
    assert "store 10.0.0.7 did not answer" in str(error)


# ---------------------------------------------------------------------- answers that are none


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (http(200, "<html>Please log in</html>"), "something that is not JSON: <html>Please log in</html>"),
        (http(200, ""), "something that is not JSON: its answer is empty"),
        (http(200, '{"status":"success","data":{"resul'), "something that is not JSON"),
        (http(200, "[" * 100_000), "something that is not JSON"),
        (http(200, "null"), "JSON of another shape"),
        (http(200, "[]"), "JSON of another shape"),
        (http(200, {"status": "success"}), "JSON of another shape"),
        (http(200, {"status": "success", "data": {"result": []}}), "JSON of another shape"),
        (http(200, vector("1", warnings="text")), "warnings of another shape"),
        (http(200, vector("1"))[:-20], "is cut off after"),
        (b'HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{"status"', "is cut off after"),
        (http(200, b"no gzip", Content_Encoding="gzip"), "is cut off after"),
    ],
)
def test_malformed_answers(server: Misbehaving, answer: bytes, sentence: str) -> None:
    server.behaviour = says(answer)
    error = failure(server.url)
    assert isinstance(error, MalformedAnswer)
    assert sentence in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    "result",
    [
        None,
        7,
        "x",
        [7],
        [{}],
        [{"metric": {}, "value": 7}],
        [{"metric": {}, "value": [1, 2]}],
        [{"metric": {}, "value": [1, "x"]}],
        [{"metric": {}, "value": ["x", "2"]}],
        [{"metric": {"a": 1}, "value": [1, "2"]}],
        [{"metric": [], "value": [1, "2"]}],
    ],
)
def test_results_of_another_shape(result: object) -> None:
    with pytest.raises(MalformedAnswer, match="of another shape"):
        single_values(Answer("vector", result))


def test_histograms_of_another_shape() -> None:
    with pytest.raises(MalformedAnswer, match="of another shape"):
        native_series(Answer("matrix", [{"metric": {}, "histograms": [[1, {"count": "x"}]]}]))


def test_scalars_are_values_and_matrices_are_not() -> None:
    assert single_values(Answer("scalar", [1, "2.5"])) == [({}, 2.5)]
    with pytest.raises(MalformedAnswer, match="a matrix came"):
        single_values(Answer("matrix", []))
    with pytest.raises(MalformedAnswer, match="of another shape"):
        single_values(Answer("scalar", []))


def test_samples_of_a_matrix() -> None:
    result = [{"metric": {"a": "b"}, "values": [[1.5, "2"], [1700000000.123, "3"]]}]
    (series,) = float_series(Answer("matrix", result))
    assert (series.times, series.values) == ([1500, 1700000000123], [2.0, 3.0])


def test_an_answer_that_is_too_large(server: Misbehaving) -> None:
    server.behaviour = says(http(200, b"x" * 3_000_000))
    error = failure(server.url, max_answer=2 * 2**20)
    assert isinstance(error, QueryRefused)
    assert "larger than 2 MiB: name fewer series" in str(error)


def test_a_bomb_does_not_get_through(server: Misbehaving) -> None:
    server.behaviour = says(http(200, gzip.compress(b"x" * 50_000_000), Content_Encoding="gzip"))
    assert "larger than 2 MiB" in str(failure(server.url, max_answer=2 * 2**20))


HALF, WHOLE = "\ud800", "\U0001f600"
"""Half a sign, which JSON can spell and no text can hold; and one that JSON spells as two halves."""


@pytest.mark.parametrize(
    "answer",
    [
        http(400, prometheus_says("bad_data", f"no {HALF} {WHOLE}")),
        http(503, prometheus_says(HALF, f"no {HALF} {WHOLE}")),
        http(200, prometheus_says("bad_data", f"no {HALF} {WHOLE}")),
        http(200, vector("1", warnings=[f"no {HALF} {WHOLE}"])),
    ],
)
def test_half_a_sign_in_a_message(server: Misbehaving, answer: bytes) -> None:
    server.behaviour = says(answer)
    assert f"no ? {WHOLE}" in str(failure(server.url))


def test_half_a_sign_in_a_label_and_in_a_remark(server: Misbehaving) -> None:
    result = [{"metric": {"pod": f"{HALF} {WHOLE}"}, "value": [1000, "NaN"]}]
    remark = f"PromQL warning: {HALF}"
    answer = {"status": "success", "data": {"resultType": "vector", "result": result}, "warnings": [remark]}
    server.behaviour = says(http(200, answer))
    found = ask(server.url)
    ((labels, _),) = single_values(found)
    assert labels == {"pod": f"? {WHOLE}"}
    assert found.notes == ("PromQL warning: ?",)


@pytest.mark.parametrize("status", [200, 400])
def test_half_a_sign_that_is_not_even_spelled(server: Misbehaving, status: int) -> None:
    body = json.dumps(prometheus_says("x", HALF), ensure_ascii=False).encode(errors="surrogatepass")
    server.behaviour = says(http(status, body))
    str(failure(server.url)).encode()


# ---------------------------------------------------------------------- time


def hang(over: threading.Event) -> Behaviour:
    def behave(_request: Request, _connection: socket.socket) -> None:
        over.wait(30)

    return behave


def drip(answer: bytes, over: threading.Event) -> Behaviour:
    """One byte now and then, for ever."""

    def behave(_: Request, connection: socket.socket) -> None:
        for position in range(len(answer)):
            connection.sendall(answer[position : position + 1])
            if over.wait(0.05):
                return

    return behave


def test_a_server_that_hangs(server: Misbehaving) -> None:
    server.behaviour = hang(server.over)
    _is_over_in_time(server.url)


def test_a_server_that_answers_byte_by_byte(server: Misbehaving) -> None:
    server.behaviour = drip(http(200, vector(*["1"] * 1000)), server.over)
    _is_over_in_time(server.url)


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_server_whose_body_never_ends(server: Misbehaving, connection: str) -> None:
    """With `close` the library hands the socket to the answer, and takes the connection for closed."""

    def behave(request: Request, link: socket.socket) -> None:
        link.sendall(f"HTTP/1.1 200 X\r\nConnection: {connection}\r\nContent-Length: 9999\r\n\r\n".encode())
        drip(b" " * 9999, server.over)(request, link)

    server.behaviour = behave
    before = set(threading.enumerate())
    _is_over_in_time(server.url)
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("prometheus"):
            thread.join(2)
            assert not thread.is_alive(), "Python would wait for it at its end"


def test_a_server_whose_head_never_ends(server: Misbehaving) -> None:
    server.behaviour = drip(b"HTTP/1.1 200 X\r\nX-Long: " + b"x" * 10_000, server.over)
    _is_over_in_time(server.url)


def test_a_tls_handshake_that_never_ends() -> None:
    with misbehaving(says(b"")) as plain:  # it waits for a request that ends with an empty line
        _is_over_in_time(plain.url.replace("http:", "https:"))


def _is_over_in_time(url: str) -> None:
    began = time.monotonic()
    error = failure(url, timeout=0.4)
    assert isinstance(error, SourceUnavailable)
    assert error.kind == "timeout"
    assert time.monotonic() - began < 5


def test_a_cancelled_question_leaves_no_thread_waiting(server: Misbehaving) -> None:
    server.behaviour = hang(server.over)

    async def asking() -> float:
        async with PrometheusClient(PrometheusAccess.of(url=server.url)) as client:
            task = asyncio.create_task(client.instant("up", 1000))
            await asyncio.to_thread(server.asked.wait, 10)
            task.cancel()
            began = time.monotonic()
            with pytest.raises(asyncio.CancelledError):
                await task
        client._threads.shutdown(wait=True)
        return time.monotonic() - began

    assert asyncio.run(asking()) < 5


def test_more_questions_than_turns_are_all_answered(server: Misbehaving) -> None:
    async def asking() -> list[Answer]:
        async with PrometheusClient(PrometheusAccess.of(url=server.url)) as client:
            return await asyncio.gather(*(client.instant(f"up{number}", 1000) for number in range(30)))

    assert len(asyncio.run(asking())) == 30


# ---------------------------------------------------------------------- no connection


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(f"http://127.0.0.1:{port}")
    assert isinstance(error, SourceUnavailable)
    assert error.kind == "unreachable"
    assert "Connection refused" in str(error)


def test_a_name_that_nobody_knows() -> None:
    error = failure("http://does-not-exist.invalid:9090")
    assert isinstance(error, SourceUnavailable)
    assert "its name cannot be resolved" in str(error)


def test_a_connection_that_is_closed_before_the_answer(server: Misbehaving) -> None:
    server.behaviour = lambda _, connection: connection.close()
    error = failure(server.url)
    assert isinstance(error, SourceUnavailable)
    assert error.kind == "unreachable"


def test_something_that_is_not_http(server: Misbehaving) -> None:
    server.behaviour = says(b"SSH-2.0-OpenSSH_9.2\r\n")
    assert isinstance(failure(server.url), SourceUnavailable)


def test_proxies_of_the_environment_are_honoured(server: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    ask("http://prometheus.example:9090")
    assert server.requests[0].target.startswith("http://prometheus.example:9090/api/v1/query?")


def test_a_proxy_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    error = failure("http://prometheus.example:9090")
    assert isinstance(error, SourceUnavailable)
    assert "the proxy to" in str(error)


# ---------------------------------------------------------------------- redirects


def redirecting(target: str, status: int = 302) -> Behaviour:
    return lambda request, connection: connection.sendall(
        http(200, vector("1")) if request.path.startswith("/real") else http(status, "", Location=target)
    )


def test_a_redirect_within_the_host_is_followed(server: Misbehaving) -> None:
    server.behaviour = redirecting("/real/api/v1/query")
    ask(server.url, token=SECRET)
    assert [request.headers["authorization"] for request in server.requests] == [f"Bearer {SECRET}"] * 2
    assert server.requests[1].parameters["query"] == "up"


def test_a_long_query_is_redirected_with_its_body(server: Misbehaving) -> None:
    server.behaviour = redirecting("/real/api/v1/query", 307)
    query = f'up{{a="{"x" * LONGEST_URL}"}}'
    ask(server.url, query)
    assert [(request.method, request.parameters["query"]) for request in server.requests] == [("POST", query)] * 2


@pytest.mark.parametrize(
    "settings", [{"token": SECRET}, {"user": "me", "password": SECRET}, {"headers": {"X-Y": SECRET}}]
)
def test_credentials_do_not_go_to_another_host(server: Misbehaving, settings: dict[str, Any]) -> None:
    with misbehaving(says(http(200, vector("1")))) as other:
        server.behaviour = redirecting(f"{other.url}/login?from=x")
        error = failure(server.url, **settings)
        assert isinstance(error, QueryRefused)
        assert "where the credentials must not go: is it a login page?" in str(error)
        assert other.requests == []


def test_without_credentials_another_host_is_asked(server: Misbehaving) -> None:
    with misbehaving(says(http(200, vector("1")))) as other:
        server.behaviour = redirecting(f"{other.url}/api/v1/query")
        ask(server.url)
        assert other.requests[0].parameters["query"] == "up"


def test_a_circle(server: Misbehaving) -> None:
    server.behaviour = redirecting("/api/v1/query")
    assert "redirects in a circle" in str(failure(server.url))


@pytest.mark.parametrize("target", ["http://[", "http://h:99999/", "http://h:x/", "ftp://h/", "mailto:me"])
@pytest.mark.parametrize("settings", [{}, {"token": SECRET}])
def test_a_redirect_to_nowhere(server: Misbehaving, target: str, settings: dict[str, str]) -> None:
    server.behaviour = redirecting(target)
    error = failure(server.url, **settings)
    assert isinstance(error, QueryRefused)
    assert f"redirects to what is no address ({target}): check the address" in str(error)


# ---------------------------------------------------------------------- who asks


def test_basic_auth_of_the_address_is_not_in_it_any_more(server: Misbehaving) -> None:
    access = PrometheusAccess.of(url=server.url.replace("//", "//m%40e:p%3Aw@"))
    assert access.url == server.url
    ask(server.url.replace("//", "//m%40e:p%3Aw@"))
    assert base64.b64decode(server.requests[0].headers["authorization"].removeprefix("Basic ")) == b"m@e:p:w"


def test_extra_headers_are_sent(server: Misbehaving) -> None:
    ask(server.url, headers={"X-Scope-OrgID": "team-a"})
    assert server.requests[0].headers["x-scope-orgid"] == "team-a"


def test_a_token_file_is_read_anew_each_time(server: Misbehaving, tmp_path: Path) -> None:
    file = tmp_path / "token"

    async def asking() -> None:
        async with PrometheusClient(PrometheusAccess.of(url=server.url, token_file=file)) as client:
            for token in ("one\n", "two"):
                file.write_text(token)
                await client.instant("up", 1000)
            file.unlink()
            with pytest.raises(SourceUnavailable, match="cannot be read: FileNotFoundError"):
                await client.instant("up", 1000)
            file.write_text("\n")
            with pytest.raises(SourceUnavailable, match="holds no token"):
                await client.instant("up", 1000)

    asyncio.run(asking())
    assert [request.headers["authorization"] for request in server.requests] == ["Bearer one", "Bearer two"]


def test_no_password_is_taken_from_netrc(server: Misbehaving, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password x\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    ask(server.url)
    assert "authorization" not in server.requests[0].headers


@pytest.mark.parametrize(
    "settings", [{"token": SECRET}, {"user": "me", "password": SECRET}, {"headers": {"X-Y": SECRET}}]
)
def test_secrets_are_in_no_message_and_no_repr(server: Misbehaving, settings: dict[str, Any]) -> None:
    def parrot(request: Request, connection: socket.socket) -> None:
        connection.sendall(http(400, prometheus_says("bad_data", f"you sent {request.headers}")))

    server.behaviour = parrot
    error = failure(server.url, **settings)
    assert SECRET not in str(error)
    if sent := server.requests[0].headers.get("authorization"):
        assert sent.partition(" ")[2] not in str(error)
    assert SECRET not in repr(PrometheusAccess.of(url=server.url, **settings))
    assert "***" in str(error)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"url": "prometheus:9090"}, "is no URL: write http://prometheus:9090"),
        ({"url": ""}, "is no URL"),
        ({"url": "ftp://x"}, "is no URL"),
        ({"url": "http://"}, "is no URL"),
        ({"url": "http://x:port"}, "is no URL"),
        ({"url": "http://[::1"}, "is no URL"),
        ({"url": "http://x/?query=up"}, "has a ? or # in it"),
        ({"token": SECRET, "user": "me"}, "several ways to authenticate"),
        ({"password": SECRET}, "a password without a user"),
        ({"url": f"http://me:{SECRET}@x", "user": "you"}, "a user in the address and one beside it"),
        ({"key_file": "/dev/null"}, "a client key without its certificate"),
        ({"ca_file": "/does/not/exist"}, "/does/not/exist cannot be read"),
        ({"token": f"{SECRET}\n"}, "the token has a line break"),
        ({"headers": {"X Y": "z"}}, "is no header"),
        ({"headers": {"X-Y": f"{SECRET}\r\nHost: evil"}}, "is no header"),
        ({"timeout": 0}, "timeout"),
        ({"unknown": SECRET}, "unknown"),
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        PrometheusAccess.of(**{"url": "http://x", **settings})
    assert sentence in str(raised.value)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("given", ["http://x/prom/api/v1", "http://x/prom/", " http://x/prom "])
def test_addresses_are_tidied(given: str) -> None:
    assert PrometheusAccess.of(url=given).url == "http://x/prom"


# ---------------------------------------------------------------------- TLS


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.make(tmp_path_factory.mktemp("papers"))


def tls_of(papers: Path, *, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers / "server.pem", papers / "server.key")
    if wants_client:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(papers / "ca.pem")
    return context


def test_a_certificate_of_a_ca_of_ones_own(papers: Path) -> None:
    with misbehaving(says(http(200, vector("1"))), tls_of(papers)) as server:
        assert ask(server.url, ca_file=papers / "ca.pem").kind == "vector"
        error = failure(server.url)
        assert isinstance(error, QueryRefused)
        assert "is not trusted" in str(error)
        assert "give its CA certificate" in str(error)


def test_a_ca_that_is_given_is_not_replaced_by_the_environments(papers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(papers / "client.pem"))
    with misbehaving(says(http(200, vector("1"))), tls_of(papers)) as server:
        assert ask(server.url, ca_file=papers / "ca.pem").kind == "vector"


def test_certificates_are_not_looked_at_if_told_so(papers: Path) -> None:
    with misbehaving(says(http(200, vector("1"))), tls_of(papers)) as server:
        assert ask(server.url, insecure=True).kind == "vector"


def test_a_client_certificate(papers: Path) -> None:
    client = {"cert_file": papers / "client.pem", "key_file": papers / "client.key"}
    with misbehaving(says(http(200, vector("1"))), tls_of(papers, wants_client=True)) as server:
        assert ask(server.url, ca_file=papers / "ca.pem", **client).kind == "vector"
        # Found out after the handshake: as an alert, or as a connection that was hung up.
        assert "client certificate" in str(failure(server.url, ca_file=papers / "ca.pem"))


def test_a_missing_client_certificate_within_the_handshake(papers: Path) -> None:
    tls = tls_of(papers, wants_client=True)
    tls.maximum_version = ssl.TLSVersion.TLSv1_2
    with misbehaving(says(http(200, vector("1"))), tls) as server:
        error = failure(server.url, ca_file=papers / "ca.pem")
        assert isinstance(error, QueryRefused)
        assert "check the client certificate and its key" in str(error)


def test_tls_where_there_is_none(server: Misbehaving) -> None:
    def plain(_: Request, connection: socket.socket) -> None:
        connection.sendall(http(400, "plain"))

    server.behaviour = plain
    error = failure(server.url.replace("http:", "https:"), timeout=2)
    assert isinstance(error, SourceUnavailable | QueryRefused)
