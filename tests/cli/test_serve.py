"""`canary serve` as a process: it listens, it knows its callers, it ends as it is asked to."""

import http.client
import json
import logging
import re
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
import structlog
from starlette.applications import Starlette

from analyzer.cli import serving as serving_module
from analyzer.cli.__main__ import run
from analyzer.service.tokens import hashed
from tests.sources import certificates

TOKEN = f"canary_me_{'aB3' * 14}x"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "canary.yaml"
    file.write_text(
        f"""\
listen: {{port: 0}}
database: sqlite:///{tmp_path}/canary.db
prometheus: http://127.0.0.1:9
targets: {{web: {{rollback: "true"}}}}
access: {{tokens: {{me: {{sha256: "{hashed(TOKEN)}", grants: {{"*": admin}}}}}}}}
"""
    )
    return file


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """What is run in this process sets logging up for good."""
    loggers = [logging.getLogger(name) for name in ("", "analyzer", "uvicorn", "uvicorn.access", "uvicorn.error")]
    before = [(each, each.level, each.handlers[:], each.filters[:], each.propagate) for each in loggers]
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    for each, level, handlers, filters, propagate in before:
        each.setLevel(level)
        each.handlers[:], each.filters[:], each.propagate = handlers, filters, propagate


class Serving:
    """A process that serves; what it has said is in `said`."""

    def __init__(self, config: Path, *flags: str) -> None:
        self._log = config.with_suffix(".log")
        with self._log.open("w") as log:
            command = [sys.executable, "-m", "analyzer.cli", "serve", "--config", str(config), *flags]
            self.process = subprocess.Popen(command, stderr=log, stdout=subprocess.PIPE)

    @property
    def said(self) -> str:
        return self._log.read_text()

    def url(self) -> str:
        until = time.monotonic() + 30
        while not (found := re.search(r"^serving on (\S+)$", self.said, flags=re.MULTILINE)):
            assert self.process.poll() is None, self.said
            assert time.monotonic() < until, self.said
            time.sleep(0.02)
        return found[1]

    def end(self, name: str = "SIGTERM") -> int:
        self.process.send_signal(signal.Signals[name])
        return self.process.wait(timeout=20)


@contextmanager
def serving(config: Path, *flags: str) -> Iterator[Serving]:
    running = Serving(config, *flags)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.process.kill()
        running.process.communicate()


def test_a_life(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(config) as service:
        url = service.url()
        assert httpx.get(f"{url}/healthz").status_code == 200
        ready(url)
        assert httpx.get(f"{url}/api/v1/analyses").status_code == 401
        known = httpx.get(f"{url}/api/v1/analyses", headers={"Authorization": f"Bearer {TOKEN}"})
        assert known.json() == {"items": [], "next": None}
        assert "canary_build_info" in httpx.get(f"{url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).text
        assert run(["serve", "--config", str(config)]) == 4
        assert "canary.db: another canary serve works on it; stop that one" in capsys.readouterr().err
        assert service.end("SIGINT") == 0
        assert "Traceback" not in service.said
        assert TOKEN not in service.said


def ready(url: str) -> None:
    until = time.monotonic() + 20
    while (answer := httpx.get(f"{url}/readyz")).status_code != 200:
        assert time.monotonic() < until, answer.text
        time.sleep(0.05)


def test_the_end_with_an_analysis_and_a_stream(config: Path) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    order = {"target": "command/web", "rules": "http", "canary": 'version="2"'}
    with serving(config) as service:
        url = service.url()
        answer = httpx.post(f"{url}/api/v1/analyses", headers=headers, json=order)
        assert answer.status_code == 201, answer.text
        with httpx.stream("GET", f"{url}/api/v1/changes?analysis={answer.json()['id']}", headers=headers) as stream:
            lines = stream.iter_lines()
            assert any(line.startswith("data:") for line in lines)
            began = time.monotonic()
            assert service.end() == 0
            assert time.monotonic() - began < 10
            list(lines)  # the stream has ended properly: a reader may go on elsewhere
    with serving(config) as service:  # and the analysis is gone on with
        entry = httpx.get(f"{service.url()}{answer.json()['links']['self']}", headers=headers).json()
        assert (entry["id"], entry["state"]) == (answer.json()["id"], "running")
        assert service.end() == 0


def test_a_second_signal_ends_it_at_once(config: Path) -> None:
    """A connection on which a request never comes to its end would hold it for some seconds."""
    with serving(config) as service:
        host, _, port = service.url().removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /api/v1/analyses HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
            httpx.get(f"http://{host}:{port}/healthz")  # after it the other one has been seen
            service.process.send_signal(signal.SIGTERM)
            said(service, "SIGTERM: handing analyses on, and stopping")
            code = service.end("SIGINT")
        # It may have come to its end just before.
        assert code in {0, 130}
        assert code == 0 or "SIGINT again: leaving at once" in service.said


def test_a_request_that_has_not_arrived_at_the_end(config: Path) -> None:
    with serving(config) as service:
        host, _, port = service.url().removeprefix("http://").partition(":")
        with socket.create_connection((host, int(port)), timeout=20) as connection:
            head = f"POST /api/v1/analyses HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
            connection.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{{".encode())
            httpx.get(f"http://{host}:{port}/healthz")  # after it the other one has been seen
            assert service.end() == 0
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            problem = json.loads(answer.read())
    assert (answer.status, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert (answer.headers["Retry-After"], problem["status"]) == ("5", 503)
    assert "is stopping, and has not finished this request" in problem["detail"]
    assert '"level":"error"' not in service.said


def said(service: Serving, words: str) -> None:
    until = time.monotonic() + 20
    while words not in service.said:
        assert time.monotonic() < until, service.said
        time.sleep(0.01)


def test_a_port_that_is_taken(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", "--config", str(config), "--port", str(port)]) == 2
    assert f"port {port} of 127.0.0.1 cannot be used: Address already in use" in capsys.readouterr().err


def test_an_api_that_cannot_start(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def broken(_: Starlette) -> AsyncIterator[None]:
        raise ZeroDivisionError
        yield

    monkeypatch.setattr(serving_module, "make_app", lambda *_: Starlette(lifespan=broken))
    monkeypatch.setattr(serving_module, "close_streams", lambda _: None)
    assert run(["serve", "--config", str(config)]) == 4
    assert capsys.readouterr().err.splitlines()[-1] == (
        "canary: could not serve: the API could not start: the log says why"
    )


def test_an_api_that_ends_by_itself(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ended(*_: object) -> None:
        pass

    monkeypatch.setattr("uvicorn.Server.main_loop", ended)
    assert run(["serve", "--config", str(config)]) == 4
    assert "canary: could not serve: the API has ended by itself: the log says why" in capsys.readouterr().err


def test_a_supervisor_that_fails(
    config: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr("analyzer.service.supervisor.Supervisor.run", failing)
    assert run(["serve", "--config", str(config)]) == 4
    assert "ZeroDivisionError: division by zero" in capsys.readouterr().err.splitlines()[-1]


def test_tls(config: Path, tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    with serving(with_tls(config, made / "server.pem", made / "server.key")) as service:
        url = service.url()
        assert url.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=str(made / "ca.pem"))
        assert httpx.get(f"{url}/healthz", verify=trusting).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(url.replace("https", "http") + "/healthz")
        assert service.end() == 0


def with_tls(config: Path, certificate: Path, key: Path) -> Path:
    text = config.read_text()
    config.write_text(text.replace("{port: 0}", f"{{port: 0, tls_certificate: {certificate}, tls_key: {key}}}"))
    return config


def test_tls_that_cannot_be(config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.pem").write_text("x")
    assert run(["serve", "--config", str(with_tls(config, tmp_path / "x.pem", tmp_path / "x.pem"))]) == 2
    assert "write a certificate with its key, in PEM" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--port", "70000"], "canary: --port: 70000 is out of range: at most 65535 is meant"),
        (["--actions", "of"], "canary: --actions: of is not known: write on, off or dry-run: did you mean off?"),
        (["--database", "oracle://x"], "canary: --database: begins with neither sqlite: nor postgresql:"),
        (["--host", "no such host"], "canary: listen.host: 'no such host' cannot be used: "),
        (["--config", "/no/such.yaml"], "canary: /no/such.yaml: there is no such file"),
    ],
)
def test_mistakes(flags: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--port", "0", "--database", f"sqlite:///{tmp_path}/x.db", *flags]) == 2
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.parametrize(
    ("database", "told"),
    [
        ("sqlite:////no/such/folder/x.db", "canary: could not serve: the SQLite file /no/such/folder/x.db: "),
        ("postgresql://u:geheim@127.0.0.1:9/x", "canary: could not serve: PostgreSQL at 127.0.0.1:9, database x: "),
    ],
)
def test_a_database_that_cannot_be_had(database: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", "--port", "0", "--database", database]) == 4
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith(told)
    assert "geheim" not in last


@pytest.mark.parametrize("arguments", [["serve"], ["token", "ci"]])
def test_without_the_extra(arguments: list[str]) -> None:
    program = "import sys; sys.modules['pydantic_settings'] = None; from analyzer.cli.__main__ import run; "
    ran = subprocess.run(
        [sys.executable, "-c", f"{program}sys.exit(run({arguments}))"], capture_output=True, text=True, check=False
    )
    assert ran.stderr == "canary: this needs pydantic_settings: pip install 'canary-analyzer[serve]'\n"
    assert (ran.returncode, ran.stdout) == (4, "")
