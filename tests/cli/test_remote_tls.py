"""`canary check --server` by TLS: whom it trusts, and how it shows who it is."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_service import FakeService, record, serving

from analyzer.cli.__main__ import run
from tests.sources import certificates


@pytest.fixture(scope="module")
def papers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificates.make(tmp_path_factory.mktemp("papers"))


@pytest.fixture(params=[False, True], ids=["anybody", "known"])
def wants_papers(request: pytest.FixtureRequest) -> bool:
    wanted: bool = request.param
    return wanted


@pytest.fixture
def service(papers: Path, wants_papers: bool) -> Iterator[FakeService]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(papers / "server.pem", papers / "server.key")
    if wants_papers:
        context.load_verify_locations(papers / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    with serving(FakeService(record()), context) as served:
        yield served


def check(url: str, *more: str) -> int:
    return run(["check", "helm/web", "-n", "prod", "--rules", "http", "--server", url, *more])


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY_TOKEN", "s3cr3t")
    monkeypatch.setenv("CANARY_ACTIONS", "on")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)


def test_a_certificate_of_nobody_that_is_known_ends_it_at_once(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check(service.url) == 4
    err = capsys.readouterr().err
    assert "is not trusted" in err
    assert "(--ca-file FILE)" in err
    assert "trying again" not in err
    assert service.asked == []


def test_a_client_shows_its_certificate_where_that_is_wanted(
    service: FakeService, papers: Path, wants_papers: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    code = check(service.url, "--ca-file", str(papers / "ca.pem"), "--server-patience", "10ms")
    err = capsys.readouterr().err
    assert code == (4 if wants_papers else 10), err
    assert ("--cert-file FILE" in err) is wants_papers
    mine = ["--cert-file", str(papers / "client.pem"), "--key-file", str(papers / "client.key")]
    assert check(service.url, "--ca-file", str(papers / "ca.pem"), *mine) == 10


@pytest.mark.parametrize("wants_papers", [False], indirect=True)
def test_whoever_looks_away_is_warned(service: FakeService, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(service.url, "--insecure") == 10
    assert "--insecure: whoever answers in the place of 127.0.0.1 gets the token" in capsys.readouterr().err


@pytest.mark.parametrize("wants_papers", [False], indirect=True)
def test_papers_that_are_none(
    service: FakeService, papers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nonsense = tmp_path / "nonsense.pem"
    nonsense.write_text("nonsense")
    assert check(service.url, "--ca-file", str(nonsense)) == 2
    assert "cannot be used: it holds no certificate or key in PEM" in capsys.readouterr().err
    assert check(service.url, "--cert-file", str(papers / "client.pem"), "--key-file", str(papers / "server.key")) == 2
    assert "--cert-file" in capsys.readouterr().err


def test_plain_http_on_a_port_of_tls_and_the_other_way_round(
    service: FakeService, capsys: pytest.CaptureFixture[str]
) -> None:
    with serving(FakeService(record())) as plain:
        assert check(plain.url.replace("http:", "https:")) == 4
    assert "cannot be spoken to by TLS" in capsys.readouterr().err
    assert check(service.url.replace("https:", "http:"), "--server-patience", "100ms") == 4
    assert "has not answered" in capsys.readouterr().err
