"""`canary serve --check`: a line for each part, an exit code for all of them, and nothing is changed."""

import asyncio
import socket
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer.cli.__main__ import run
from analyzer.store.database import Database
from analyzer.store.inspection import Schema, inspect
from tests.sources import certificates
from tests.sources.misbehaving import Misbehaving, http, misbehaving, says, vector

RULES = """\
apiVersion: canary-analyzer.io/v1alpha1
kind: RuleSet
metadata: {name: quick}
spec:
  sides: {canary: 'version="2"'}
  metrics: {errors: {ratio: {bad: bad_total, total: all_total}}}
  rules: [{metric: errors}]
"""


@pytest.fixture
def prometheus() -> Iterator[Misbehaving]:
    with misbehaving(says(http(200, vector("1")))) as server:
        yield server


class Bench:
    """A file of settings in which everything is good, to be spoiled."""

    def __init__(self, folder: Path, prometheus: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        (folder / "rules").mkdir()
        (folder / "rules" / "quick.yaml").write_text(RULES)
        (folder / "tokens.yaml").write_text("tokens: {}\n")
        self.settings: dict[str, str] = {
            "listen": "{port: 0}",
            "database": f"sqlite:///{folder}/canary.db",
            "prometheus": prometheus,
            "rules": f"{folder}/rules",
            "targets": f'{{web: {{rollback: "{sys.executable} -V"}}}}',
            "helm": sys.executable,
            "access": f"{{tokens_file: {folder}/tokens.yaml}}",
        }

    def check(self) -> tuple[int, str, str]:
        """Exit code, what is good, what is not."""
        file = self.folder / "canary.yaml"
        file.write_text("".join(f"{key}: {value}\n" for key, value in self.settings.items()))
        code = run(["serve", "--config", str(file), "--check"])
        printed = self._capsys.readouterr()
        assert "Traceback" not in printed.err
        return code, printed.out, printed.err


@pytest.fixture
def bench(tmp_path: Path, prometheus: Misbehaving, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, prometheus.url, capsys)


def test_all_is_good(bench: Bench, prometheus: Misbehaving) -> None:
    code, good, bad = bench.check()
    assert (code, bad) == (0, "")
    assert good.splitlines() == [
        "settings: good",
        "listen: good: port 0 of 127.0.0.1",
        "access: good: 0 tokens",
        f"database: good: the SQLite file {bench.folder}/canary.db can be used; its tables are made at the start",
        f"prometheus.default: good: {prometheus.url} answers",
        f"rules: good: {bench.folder}/rules/quick.yaml, 1 rules",
        "targets.web: good: its command is there",
        f"helm: good: {sys.executable}",
    ]
    assert [request.parameters["query"] for request in prometheus.requests] == ["vector(1)"]
    assert not (bench.folder / "canary.db").exists()


def test_rule_sets_that_routes_name(bench: Bench) -> None:
    bench.settings["watch"] = "{routes: [{rules: none}, {rules: quick, routes: [{rules: quik}]}]}"
    code, good, bad = bench.check()
    assert code == 2
    assert "watch.routes[1].rules: good: quick" in good
    assert "watch.routes[1].routes[0].rules: rules 'quik': the service has no rule set of that name: did you" in bad


@pytest.mark.parametrize(
    ("key", "value", "code", "told"),
    [
        ("lease", "1s", 2, "lease: 1s is out of range"),
        ("rules", "/no/such/folder", 2, "rules: /no/such/folder: cannot be read: No such file or directory"),
        ("rules", "/proc/self/fdinfo", 2, "has no rule set (*.yaml) in it"),
        ("targets", "{web: {rollback: no-such-program}}", 2, "targets.web: the command that takes command/web back"),
        ("helm", "/no/such/helm", 2, "helm: /no/such/helm is no program that can be run"),
        ("access", "{tokens_file: /no/tokens.yaml}", 2, "access: /no/tokens.yaml: there is no such file"),
        ("database", "sqlite:////no/such/canary.db", 2, "may not be written by this user, or its folder is missing"),
        ("database", "' sqlite:////no/such/canary.db'", 2, "may not be written by this user, or its folder is missing"),
        ("database", "postgresql://u:geheim@127.0.0.1:9/x", 4, "database: PostgreSQL at 127.0.0.1:9, database x: "),
        ("listen", "{tls_certificate: /no.pem, tls_key: /no.key}", 2, "/no.key cannot be read: No such file"),
        ("access", "{service_accounts: {enabled: true}}", 4, "access.service_accounts: no Kubernetes cluster is"),
        ("watch", "{namespaces: [shop]}", 4, "watch: no Kubernetes cluster is"),
    ],
)
def test_something_is_wrong(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, key: str, value: str, code: int, told: str
) -> None:
    monkeypatch.setenv("KUBECONFIG", "/no/such/kubeconfig")
    bench.settings[key] = value
    found, _, bad = bench.check()
    assert told in bad
    assert "geheim" not in bad
    assert found == code


def test_nobody_else_writes_lines_or_obeyed_signs(bench: Bench, prometheus: Misbehaving) -> None:
    prometheus.behaviour = says(http(400, {"status": "error", "errorType": "x", "error": "\x1b[2Jgone\0"}))
    (bench.folder / "rules" / "quick.yaml").rename(bench.folder / "rules" / "\x1b[2J\nhelm: good.yaml")
    (bench.folder / "rules" / "\x1b[2J\nhelm: wrong.yaml").write_text("\n")
    _, good, bad = bench.check()
    assert "refuses the query (400): \\x1b[2Jgone\\x00" in bad
    assert "/rules/\\x1b[2J helm: good.yaml, 1 rules\n" in good
    assert "/rules/\\x1b[2J\\nhelm: wrong.yaml" in bad
    assert all(sign.isprintable() or sign == "\n" for sign in good + bad)


def test_a_rule_set_with_a_mistake(bench: Bench) -> None:
    (bench.folder / "rules" / "wrong.yaml").write_text(RULES.replace("rules: [", "ruels: ["))
    code, good, bad = bench.check()
    assert "wrong.yaml:7: spec.ruels: is not known here: did you mean rules?" in bad
    assert "quick.yaml, 1 rules" in good
    assert code == 2


def test_a_prometheus_that_is_away_and_a_mistake(bench: Bench) -> None:
    """What is away may come back; a mistake does not go away."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        bench.settings["prometheus"] = f"http://127.0.0.1:{held.getsockname()[1]}"
        code, good, bad = bench.check()
        assert "cannot be reached: Connection refused" in bad
        assert (code, "helm: good" in good) == (4, True)
        bench.settings["helm"] = "/no/such/helm"
        assert bench.check()[0] == 2


def test_a_port_that_is_taken(bench: Bench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bench.settings["listen"] = f"{{port: {taken.getsockname()[1]}}}"
        code, _, bad = bench.check()
    assert (code, "cannot be used: Address already in use" in bad) == (2, True)


def test_a_key_of_another_certificate(bench: Bench, tmp_path: Path) -> None:
    made = certificates.make(tmp_path)
    bench.settings["listen"] = f"{{port: 0, tls_certificate: {made}/server.pem, tls_key: {made}/client.key}}"
    code, _, bad = bench.check()
    assert (code, "the key is not that of the certificate" in bad) == (2, True)


def test_cautions(bench: Bench) -> None:
    bench.settings |= {"listen": "{port: 0, host: 0.0.0.0}", "prometheus": "{}", "access": "{}"}
    code, _, said = bench.check()
    assert code == 0
    assert [line.split(":")[1].split(" ")[1] for line in said.splitlines()] == ["nobody", "tokens", "there"]


class TestSchemas:
    def test_of_an_sqlite_file(self, bench: Bench) -> None:
        url = bench.settings["database"]
        assert asyncio.run(inspect(url)).schema == Schema.NONE

        async def made() -> None:
            async with Database.open(url):
                pass

        asyncio.run(made())
        assert asyncio.run(inspect(url)).schema == Schema.CURRENT
        assert "can be used; its tables are there" in bench.check()[1]

    @pytest.mark.parametrize(("revision", "schema"), [("0001", Schema.OLDER), ("9999", Schema.LATER)])
    def test_of_another_version(self, bench: Bench, revision: str, schema: Schema) -> None:
        self.test_of_an_sqlite_file(bench)
        with sqlite3.connect(bench.folder / "canary.db") as connection:
            connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        connection.close()
        assert asyncio.run(inspect(bench.settings["database"])).schema == schema
        code, good, bad = bench.check()
        if schema == Schema.LATER:
            assert (code, "is of a later version of the canary analyzer" in bad) == (2, True)
        else:
            assert (code, "are upgraded at the start" in good) == (0, True)

    def test_a_file_that_is_no_database(self, bench: Bench) -> None:
        (bench.folder / "canary.db").write_text("not a database at all, whatever its name says")
        code, _, bad = bench.check()
        assert (code, "not an SQLite database" in bad) == (4, True)


@pytest.mark.parametrize(("there", "code"), [(True, 0), (False, 4)])
def test_a_revert_needs_git(bench: Bench, monkeypatch: pytest.MonkeyPatch, there: bool, code: int) -> None:
    bench.settings["gitops"] = "revert"
    if not there:
        monkeypatch.setenv("PATH", str(bench.folder))
    found, good, bad = bench.check()
    assert found == code
    assert ("gitops: good: " in good) is there
    assert ("gitops: there is no program git on PATH" in bad) is not there
