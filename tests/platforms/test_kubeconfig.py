"""Kubeconfigs as people have them: several, none, empty, garbage, with programs for credentials; and pods without."""

import asyncio
import json
import logging
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_kubeconfig import content, written

from analyzer.errors import PlatformError, PlatformForbidden, PlatformUnavailable
from analyzer.platforms import kubeconfig as module
from analyzer.platforms.cluster import Cluster, ClusterSettings, path
from tests.sources import certificates
from tests.sources.misbehaving import Misbehaving, http, misbehaving, says

POD = path("v1", "pods", "shop", "web-1")
EXEC = "client.authentication.k8s.io/v1"
SECRET = "s3cr3t"


@pytest.fixture(autouse=True)
def _silence(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[None]:
    """Nobody's own cluster is asked, and nothing is printed or logged."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    caplog.set_level(logging.WARNING)
    yield
    assert capfd.readouterr().err == ""
    assert caplog.messages == []


@pytest.fixture
def server() -> Iterator[Misbehaving]:
    with misbehaving(says(http(200, {"ok": True}))) as running:
        yield running


async def _ask(kubeconfig: object, context: str | None) -> tuple[str, object]:
    cluster = Cluster(ClusterSettings(kubeconfig=str(kubeconfig) if kubeconfig else None, context=context))
    try:
        return await cluster.namespace(), await cluster.get(POD)
    finally:
        await cluster.close()


def ask(kubeconfig: object = None, context: str | None = None) -> tuple[str, object]:
    return asyncio.run(_ask(kubeconfig, context))


def failure(kubeconfig: object = None, context: str | None = None) -> PlatformError:
    with pytest.raises(PlatformError) as raised:
        ask(kubeconfig, context)
    assert str(raised.value).isprintable()
    assert SECRET not in str(raised.value)
    return raised.value


# Files


def test_a_file(tmp_path: Path, server: Misbehaving) -> None:
    assert ask(written(tmp_path, server.url)) == ("shop", {"ok": True})


def test_a_context_without_a_namespace(tmp_path: Path, server: Misbehaving) -> None:
    assert ask(written(tmp_path, server.url, namespace=""))[0] == "default"


def test_a_context_without_a_user(tmp_path: Path, server: Misbehaving) -> None:
    given = content(server.url)
    given["contexts"][0]["context"].pop("user")  # type: ignore[index]
    file = tmp_path / "config"
    file.write_text(json.dumps(given))
    assert ask(file)[1] == {"ok": True}
    assert "authorization" not in server.requests[0].headers


def test_the_usual_file(tmp_path: Path, server: Misbehaving) -> None:
    folder = tmp_path / "home" / ".kube"
    folder.mkdir(parents=True)
    written(folder, server.url).rename(folder / "config")
    assert ask()[1] == {"ok": True}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it is empty"),
        ("# nothing\n", "it cannot be understood"),
        ("garbage", "it cannot be understood"),
        ("[1, 2]", "it cannot be understood"),
        ("a: b: c", "it cannot be understood (ScannerError: mapping values are not allowed here"),
        ("\x00\x01", "it cannot be understood (ReaderError: "),
        ("{}", "Expected key current-context"),
        ("current-context: fake", "contexts"),
        ("current-context: fake\ncontexts: 3", "it cannot be understood"),
        ("current-context: fake\ncontexts: [{name: other}]", "Expected object with name fake"),
        ("current-context: fake\ncontexts: [{name: fake}]", "Expected key context"),
        ("current-context: fake\ncontexts: [{name: fake, context: {cluster: gone}}]", "Expected object with name gone"),
    ],
)
def test_what_is_no_kubeconfig(tmp_path: Path, text: str, sentence: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    found = str(failure(file))
    assert found.startswith(f"no Kubernetes cluster is configured ({file}): ")
    assert sentence in found
    assert found.endswith("; give --kubeconfig or set KUBECONFIG")


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"client-certificate-data": "%%"}, "a certificate or key in it cannot be read"),
        ({"client-certificate-data": "Z2FyYmFnZQ==", "client-key-data": "Z2FyYmFnZQ=="}, "a certificate or key in it"),
        ({"client-certificate": "missing.pem"}, "File does not exist"),
        ({"tokenFile": "missing", "token": None}, "No such file or directory"),
        ({"cluster": {"certificate-authority-data": "Z2FyYmFnZQ=="}}, "a certificate or key in it"),
        ({"cluster": {"certificate-authority": "missing.pem"}}, "File does not exist"),
        (
            {"auth-provider": {"name": "oidc", "config": {"refresh-token": SECRET, "id-token": SECRET}}},
            "it cannot be understood",
        ),
        ({"auth-provider": {"name": "oidc", "config": {"refresh-token": SECRET}}}, "Expected key client-id; give"),
    ],
)
def test_credentials_that_cannot_be_used(tmp_path: Path, more: dict[str, object], sentence: str) -> None:
    assert sentence in str(failure(written(tmp_path, "https://127.0.0.1:1", **more)))


def test_a_missing_file(tmp_path: Path) -> None:
    file = tmp_path / "missing"
    assert f"({file}): there is no such file; give" in str(failure(file))


def test_no_file_at_all(tmp_path: Path) -> None:
    assert f"({tmp_path}/home/.kube/config): there is no such file" in str(failure())


def test_a_folder(tmp_path: Path) -> None:
    assert "Is a directory" in str(failure(tmp_path))


def test_a_file_that_may_not_be_read(tmp_path: Path, server: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, server.url)
    file.chmod(0)

    def refuses(*_: object) -> None:
        raise PermissionError(13, "Permission denied", str(file))

    monkeypatch.setattr(module, "KubeConfigMerger", refuses)  # the tests may run as root
    assert "Permission denied" in str(failure(file))


def test_a_context_that_does_not_exist(tmp_path: Path, server: Misbehaving) -> None:
    assert "Expected object with name prod" in str(failure(written(tmp_path, server.url), context="prod"))


# Several files


@pytest.fixture
def several(tmp_path: Path, server: Misbehaving, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """An empty one, one that is missing, and two with a cluster each."""
    files = [tmp_path / "empty", tmp_path / "missing", tmp_path / "first", tmp_path / "second"]
    files[0].touch()
    for file, url in ((files[2], server.url), (files[3], "http://127.0.0.1:1")):
        text = json.dumps(content(url, namespace=file.name))
        file.write_text(text.replace('"fake"', f'"{file.name}"').replace('"ci"', f'"{file.name}"'))
    monkeypatch.setenv("KUBECONFIG", ":".join(map(str, files)))
    return files


@pytest.mark.usefixtures("several")
def test_the_first_file_says_which_context_is_current() -> None:
    """As for helm: the two must not look at different clusters."""
    assert ask() == ("first", {"ok": True})


def test_a_later_file_says_which_context_is_current(several: list[Path]) -> None:
    first = json.loads(several[2].read_text())
    several[2].write_text(json.dumps({**first, "current-context": ""}))
    second = json.loads(several[3].read_text())
    several[3].write_text(json.dumps({**second, "current-context": "first"}))
    assert ask() == ("first", {"ok": True})


@pytest.mark.usefixtures("several")
def test_a_context_of_another_file() -> None:
    assert type(failure(context="second")) is PlatformUnavailable


# Programs for credentials


def plugin(folder: Path, script: str) -> dict[str, object]:
    file = folder / "plugin"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return {"apiVersion": EXEC, "command": "./plugin", "args": ["a"], "env": [{"name": "WHO", "value": "ci"}]}


def printing(status: object, version: str = EXEC) -> str:
    printed = json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})
    return f"printf %s {shlex.quote(printed)}"


def with_plugin(folder: Path, url: str, script: str, **more: object) -> Path:
    return written(folder, url, token=None, exec={**plugin(folder, script), **more})


def test_a_token_of_a_program(tmp_path: Path, server: Misbehaving) -> None:
    script = f'echo "$1 $WHO $KUBERNETES_EXEC_INFO" > {tmp_path}/told; echo noise >&2; {printing({"token": "fresh"})}'
    assert ask(with_plugin(tmp_path, server.url, script))[1] == {"ok": True}
    assert server.requests[0].headers["authorization"] == "Bearer fresh"
    words, who, told = (tmp_path / "told").read_text().split(" ", 2)
    assert (words, who) == ("a", "ci")
    assert json.loads(told)["apiVersion"] == EXEC


def test_a_program_is_asked_again_when_its_token_has_expired(tmp_path: Path, server: Misbehaving) -> None:
    count = tmp_path / "count"
    script = f'echo >> {count}; printf \'{{"apiVersion": "{EXEC}", "status": {{"token": "%s"}}}}\' $(wc -l < {count})'

    def answer(request: object, connection: object) -> None:
        ok = request.headers["authorization"] == ("Bearer 1" if len(server.requests) == 1 else "Bearer 2")  # type: ignore[attr-defined]
        connection.sendall(http(200 if ok else 401, {"ok": ok}))  # type: ignore[attr-defined]

    server.behaviour = answer

    async def twice() -> None:
        cluster = Cluster(ClusterSettings(kubeconfig=str(with_plugin(tmp_path, server.url, script))))
        try:
            assert await cluster.get(POD) == {"ok": True}
            assert await cluster.get(POD) == {"ok": True}
        finally:
            await cluster.close()

    asyncio.run(twice())
    assert count.read_text() == "\n\n"


def test_a_certificate_of_a_program(tmp_path: Path) -> None:
    keys = certificates.make(tmp_path)
    status = {
        "clientCertificateData": (keys / "client.pem").read_text(),
        "clientKeyData": (keys / "client.key").read_text(),
    }
    file = with_plugin(tmp_path, "https://127.0.0.1:1", printing(status))
    assert type(failure(file)) is PlatformUnavailable  # nobody listens there: what matters is that it was taken


@pytest.mark.parametrize(
    ("script", "error", "sentence"),
    [
        ("echo expired, log in again >&2; exit 3", PlatformUnavailable, "exit code 3 and said “expired, log in again”"),
        ("exit 1", PlatformUnavailable, "exit code 1 and said “nothing”"),
        ("kill -9 $$", PlatformUnavailable, "exit code -9"),
        (f"echo {SECRET}", PlatformError, "printed no ExecCredential"),
        ("echo '[]'", PlatformError, "printed no ExecCredential"),
        ("true", PlatformError, "printed no ExecCredential"),
        (printing({"token": SECRET}, "v0"), PlatformError, f"answers in v0, and the kubeconfig says {EXEC}"),
        (printing({}), PlatformError, "printed neither a token nor a certificate"),
        (printing(None), PlatformError, "printed neither a token nor a certificate"),
        (printing({"clientCertificateData": "x"}), PlatformError, "a certificate or key in it"),
    ],
)
def test_a_program_that_fails(tmp_path: Path, script: str, error: type[PlatformError], sentence: str) -> None:
    found = failure(with_plugin(tmp_path, "https://127.0.0.1:1", script))
    assert type(found) is error
    assert sentence in str(found)


def test_a_program_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PLUGIN_LIMIT", 0.2)
    found = failure(with_plugin(tmp_path, "http://127.0.0.1:1", "exec sleep 600"))
    assert type(found) is PlatformUnavailable
    assert str(found) == (
        f"{tmp_path}/plugin, which the kubeconfig names for credentials, did not end in 0.2 s and was stopped"
    )


@pytest.mark.parametrize(("command", "part"), [("./gone", "there is no program"), (None, "missing key 'command'")])
def test_a_program_that_is_not_there(tmp_path: Path, command: str | None, part: str) -> None:
    file = with_plugin(tmp_path, "http://127.0.0.1:1", "true")
    given = json.loads(file.read_text())
    given["users"][0]["user"]["exec"] |= {"command": command}
    if command is None:
        given["users"][0]["user"]["exec"].pop("command")
    file.write_text(json.dumps(given))
    assert part in str(failure(file))


def test_a_server_that_takes_nobody(tmp_path: Path, server: Misbehaving) -> None:
    server.behaviour = says(http(401, {"message": "Unauthorized"}))
    found = failure(with_plugin(tmp_path, server.url, printing({"token": "old"})))
    assert type(found) is PlatformForbidden
    assert len(server.requests) == 2  # the second time with what the program says anew


# In a pod


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    monkeypatch.setattr(module, "IN_CLUSTER", folder)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")
    return folder


def test_a_pod_without_a_service_account(account: Path) -> None:
    assert str(failure()) == (
        "no Kubernetes cluster is configured (no kubeconfig, and this is no pod of a cluster): Service token file does "
        "not exist; give --kubeconfig or set KUBECONFIG"
    )
    assert not list(account.iterdir())


@pytest.mark.parametrize("empty", ["token", "ca.crt"])
def test_a_pod_with_an_empty_service_account(account: Path, empty: str) -> None:
    for name in ("token", "ca.crt", "namespace"):
        (account / name).write_text("" if name == empty else "x")
    assert "exists but empty" in str(failure())


def test_a_pod(account: Path, tmp_path: Path) -> None:
    keys = certificates.make(tmp_path)
    (account / "ca.crt").write_text((keys / "ca.pem").read_text())
    (account / "token").write_text("t")
    (account / "namespace").write_text("shop\n")
    found = failure()
    assert type(found) is PlatformUnavailable
    assert str(found) == "the Kubernetes API server at https://127.0.0.1:1 cannot be reached: Connection refused"


def test_a_context_in_a_pod_is_one_of_a_kubeconfig(account: Path) -> None:
    assert account.is_dir()
    assert "home/.kube/config): there is no such file" in str(failure(context="prod"))
