"""Settings: in which order they count, and what each mistake is answered with: where, what, and what instead."""

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.service.configuration import variable
from analyzer.service.identity import Role
from analyzer.service.keys import every_key
from analyzer.service.settings import FLAGS, Actions, LogFormat, LogLevel, Settings, load

HASH = "a" * 64
SECRET = "geheim-4711"
WORDS = sorted({part for key in every_key(Settings) for part in re.split(r"\W+", key) if part})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "canary.yaml"


def mistakes(file: Path, text: str, flags: dict[str, object] | None = None, **environment: str) -> list[str]:
    """The lines of the error, without the file's folder."""
    file.write_text(text)
    with pytest.raises(UsageError) as raised:
        load(file, flags or {}, environment)
    lines = str(raised.value).replace(f"{file.parent}/", "").splitlines()
    assert all(line.isprintable() for line in lines)
    return lines


def complaint(file: Path) -> str:
    """What is said of this file; empty if it can be read."""
    try:
        load(file, {}, {})
    except UsageError as error:
        return str(error)
    return ""


class TestOrder:
    def test_defaults(self) -> None:
        assert load(None, {}, {}) == Settings()

    def test_a_file_before_defaults(self, file: Path) -> None:
        file.write_text("listen: {port: 1000}\nlog: {level: debug}\n")
        settings = load(file, {}, {})
        assert (settings.listen.port, settings.listen.host) == (1000, "127.0.0.1")
        assert settings.log.level == LogLevel.DEBUG

    def test_variables_before_the_file_key_by_key(self, file: Path) -> None:
        file.write_text("listen: {port: 1000, host: 0.0.0.0}\n")
        settings = load(file, {}, {"CANARY_LISTEN__PORT": "2000"})
        assert (settings.listen.port, settings.listen.host) == (2000, "0.0.0.0")

    def test_flags_before_variables(self, file: Path) -> None:
        file.write_text("listen: {port: 1000}\n")
        assert load(file, {"--port": 0}, {"CANARY_LISTEN__PORT": "2000"}).listen.port == 0

    def test_a_flag_that_is_not_given_says_nothing(self) -> None:
        assert load(None, dict.fromkeys(FLAGS), {"CANARY_LISTEN__PORT": "2000"}).listen.port == 2000

    def test_lists_are_replaced(self, file: Path) -> None:
        file.write_text("rules: [/a, /b]\n")
        assert load(file, {}, {"CANARY_RULES": "/c"}).rules == (Path("/c"),)

    def test_connections_are_merged_even_with_the_short_form(self, file: Path) -> None:
        file.write_text("prometheus: {default: http://one, other: http://two}\n")
        found = load(file, {}, {"CANARY_PROMETHEUS__DEFAULT__TIMEOUT": "5s"}).prometheus
        assert found["default"].url == "http://one"
        assert found["default"].timeout == 5
        assert found["other"].url == "http://two"

    def test_the_file_that_a_variable_names(self, file: Path) -> None:
        file.write_text("listen: {port: 1000}\n")
        assert load(None, {}, {"CANARY_CONFIG": str(file)}).listen.port == 1000

    def test_the_file_of_the_flag_before_that_of_the_variable(self, file: Path) -> None:
        file.write_text("listen: {port: 1000}\n")
        assert load(file, {}, {"CANARY_CONFIG": "/no/such/file"}).listen.port == 1000

    def test_an_empty_file(self, file: Path) -> None:
        file.write_text("# nothing yet\n\n")
        assert load(file, {}, {}) == Settings()

    @pytest.mark.parametrize("flag", FLAGS)
    def test_every_flag_is_a_setting(self, flag: str) -> None:
        assert FLAGS[flag] in set(every_key(Settings))


class TestVariables:
    def test_those_of_canary_check(self) -> None:
        environment = {
            "CANARY_PROMETHEUS": "http://prometheus:9090",
            "CANARY_USERNAME": "reader",
            "CANARY_PASSWORD": SECRET,
            "CANARY_ACTIONS": "OFF",
            "CANARY_HELM": "/opt/helm",
        }
        settings = load(None, {}, environment)
        assert settings.prometheus["default"].url == "http://prometheus:9090"
        assert settings.prometheus["default"].user == "reader"
        assert settings.prometheus["default"].password is not None
        assert settings.prometheus["default"].password.get_secret_value() == SECRET
        assert settings.actions == Actions.OFF
        assert settings.helm == Path("/opt/helm")

    def test_a_bearer_token(self) -> None:
        found = load(None, {}, {"CANARY_PROMETHEUS": "http://p", "CANARY_BEARER_TOKEN": SECRET}).prometheus["default"]
        assert found.token is not None
        assert found.token.get_secret_value() == SECRET

    def test_the_database_of_everybody(self) -> None:
        url = "postgresql://canary@db/canary"
        assert load(None, {}, {"DATABASE_URL": url}).database.get_secret_value() == url

    def test_both_names_of_the_database(self) -> None:
        same = {"DATABASE_URL": "sqlite:///a", "CANARY_DATABASE": "sqlite:///a"}
        assert load(None, {}, same).database.get_secret_value() == "sqlite:///a"
        with pytest.raises(UsageError, match=r"^DATABASE_URL: CANARY_DATABASE sets the same key: keep one of them$"):
            load(None, {}, same | {"DATABASE_URL": "sqlite:///b"})

    def test_nested_ones_and_json(self) -> None:
        environment = {
            "CANARY_ACCESS__TOKENS__CI__SHA256": HASH,
            "CANARY_ACCESS__TOKENS__CI__GRANTS": '{"shop": "start", "*": "read"}',
            "CANARY_LIMITS__REQUEST_BYTES": "2MiB",
            "CANARY_LOG__FORMAT": "Text",
            "CANARY_KEEP_FOR": "30d",
            "CANARY_RULES": '["/a,b", "/c"]',
            "CANARY_ACCESS__METRICS_OPEN": "true",
            "CANARY_PROMETHEUS": '{"default": "http://one", "two": {"url": "http://two", "namespaces": ["shop"]}}',
        }
        settings = load(None, {}, environment)
        assert settings.access.tokens["ci"].grants == {"shop": Role.START, "*": Role.READ}
        assert settings.limits.request_bytes == 2 * 2**20
        assert settings.log.format == LogFormat.TEXT
        assert settings.keep_for == timedelta(days=30)
        assert settings.rules == (Path("/a,b"), Path("/c"))
        assert settings.access.metrics_open
        assert {name: each.url for name, each in settings.prometheus.items()} == {
            "default": "http://one",
            "two": "http://two",
        }

    def test_an_empty_one_is_none(self) -> None:
        assert load(None, {}, {"CANARY_LISTEN__PORT": "", "CANARY_HELM": " ", "CANARY_NONSENSE": ""}) == Settings()

    @pytest.mark.parametrize("name", ["CANARY_DEBUG", "CANARY_TOKEN", "CANARY_SERVER", "PATH", "XCANARY_LISTEN"])
    def test_those_of_others_are_left_alone(self, name: str) -> None:
        assert load(None, {}, {name: "1"}) == Settings()

    @pytest.mark.parametrize(
        "name",
        [
            "CANARY_SERVICE_HOST",
            "CANARY_SERVICE_PORT",
            "CANARY_SERVICE_PORT_HTTP",
            "CANARY_PORT",
            "CANARY_PORT_8080_TCP",
            "CANARY_PORT_8080_TCP_ADDR",
            "CANARY_ANALYZER_SERVICE_HOST",
            "CANARY_ANALYZER_PORT_8080_TCP_PROTO",
        ],
    )
    def test_those_that_kubernetes_sets_for_services(self, name: str) -> None:
        assert load(None, {}, {name: "tcp://10.0.0.1:8080"}) == Settings()

    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("CANARY_LISTN__PORT", "is not known: did you mean CANARY_LISTEN__PORT?"),
            ("CANARY_LISTEN__PROT", "is not known: did you mean CANARY_LISTEN__PORT?"),
            ("CANARY_PROMETHEUS__DEFAULT__URLL", "is not known: did you mean CANARY_PROMETHEUS__DEFAULT__URL?"),
            ("CANARY_TLS_KEY", "does not belong here: did you mean CANARY_LISTEN__TLS_KEY?"),
            ("CANARY_LEASE__X", "does not belong here: take it out"),
            ("CANARY_ZZZ", "is not known: write CANARY_LISTEN, CANARY_DATABASE"),
            ("CANARY_", "is not known: write CANARY_LISTEN"),
            ("CANARY_LISTEN__", "is not known: write CANARY_LISTEN__HOST"),
        ],
    )
    def test_unknown_ones(self, name: str, words: str) -> None:
        with pytest.raises(UsageError, match="^" + re.escape(f"{name}: {words}")):
            load(None, {}, {name: "1"})

    def test_two_that_clash(self) -> None:
        environment = {"CANARY_PROMETHEUS__B": "http://b", "CANARY_PROMETHEUS__B__TIMEOUT": "5s"}
        with pytest.raises(UsageError, match=r"CANARY_PROMETHEUS__B__TIMEOUT: CANARY_PROMETHEUS__B sets the same key"):
            load(None, {}, environment)

    def test_broken_json(self) -> None:
        for value in ('["/a"', "[" * 100_000):
            with pytest.raises(UsageError, match=r"^CANARY_RULES: begins like JSON, and is none"):
                load(None, {}, {"CANARY_RULES": value})

    def test_the_name_of_a_variable(self) -> None:
        assert variable("listen.tls_key") == "CANARY_LISTEN__TLS_KEY"


class TestMistakes:
    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("listen: {prot: 1}", "canary.yaml:1: listen.prot: is not known: did you mean listen.port?"),
            ("\ntls_key: x", "canary.yaml:2: tls_key: does not belong here: did you mean listen.tls_key?"),
            ("listen:\n  port: 99999", "canary.yaml:2: listen.port: 99999 is out of range: at most 65535 is meant"),
            ("listen: {port: x}", "canary.yaml:1: listen.port: is no whole number: write one, such as 3"),
            ("listen: [1]", "canary.yaml:1: listen: is no mapping: write keys and values"),
            ("listen:", "canary.yaml:1: listen: has no value: write one, or take the key out"),
            ("lease: 1s", "canary.yaml:1: lease: 1s is out of range: at least 3 is meant"),
            ("lease: soon", "canary.yaml:1: lease: is no time: write a number with a unit, such as 10s or 90d"),
            ("keep_for: 90", "canary.yaml:1: keep_for: 90 has no unit: write 90d"),
            ("actions: onn", "canary.yaml:1: actions: onn is not known: write on, off or dry-run: did you mean on?"),
            ("actions: true", "canary.yaml:1: actions: is not known: write on, off or dry-run"),
            (
                "access: {metrics_open: maybe}",
                "canary.yaml:1: access.metrics_open: is no truth value: write true or",
            ),
            (
                "limits: {request_bytes: much}",
                "canary.yaml:1: limits.request_bytes: is no size: write a number with a unit",
            ),
            ("helm: [x]", "canary.yaml:1: helm: is no text: write one, in quotes if it looks like a number"),
            ("prometheus:\n  a:\n    timeout: 5s", "canary.yaml:2: prometheus.a.url: is missing: write url: …"),
            (
                "prometheus: prometheus:9090",
                "canary.yaml:1: prometheus.default: the address of Prometheus is no URL: write http://prometheus:9090",
            ),
            (
                """prometheus:\n  a: {url: http://p, scope: 'namespace="${team}"'}""",
                "canary.yaml:2: prometheus.a.scope: nobody fills ${team} here: write ${namespace}, which is",
            ),
            (
                """prometheus:\n  a: {url: http://p, scope: '{job="x"}'}""",
                """canary.yaml:2: prometheus.a.scope: is no list of matchers: write""",
            ),
            (
                "prometheus:\n  a: {url: http://p, token: x, user: y}",
                "canary.yaml:2: prometheus.a: several ways to authenticate: give a token, a token file, or a user",
            ),
            ("prometheus: {'a b': http://p}", "canary.yaml:1: prometheus.a b: is no name: write letters, digits"),
            (
                "listen: {tls_key: /k}",
                "canary.yaml:1: listen: tls_key without tls_certificate: give both, or neither",
            ),
            ("database: mysql://x", "canary.yaml:1: database: begins with neither sqlite: nor postgresql:; give"),
            (
                "replicas: 2",
                "replicas: 2 cannot share an SQLite database: give the URL of a PostgreSQL, or replicas: 1",
            ),
            ("keep_for: 1h\nwatch: {catch_up: 2h}", "watch.catch_up: is longer than keep_for: what was analysed and"),
            (
                "replicas: 3\ndatabase: ' sqlite:///x.db'",
                "replicas: 3 cannot share an SQLite database: give the URL of a PostgreSQL, or replicas: 1",
            ),
            (
                "targets: {web: {rollback: 'a && b'}}",
                "canary.yaml:1: targets.web.rollback: is no command that can be run without a shell: write words",
            ),
            ("targets: {web: {rollback: ''}}", "canary.yaml:1: targets.web.rollback: is no command that can be run"),
            (
                "traces: {endpoint: 'collector:4318'}",
                "canary.yaml:1: traces.endpoint: is no URL: write http://collector",
            ),
            (
                "traces: {endpoint: 'http://a:b@c'}",
                "canary.yaml:1: traces.endpoint: has a user in it: write credentials",
            ),
            (
                "access: {tokens: {ci: {sha256: x, grants: {}}}}",
                "canary.yaml:1: access.tokens.ci.sha256: is no SHA-256",
            ),
            (
                f"access: {{tokens: {{ci: {{sha256: {HASH}, grants: {{shop: strt}}}}}}}}",
                "canary.yaml:1: access.tokens.ci.grants.shop: a role is one of read, start, decide or admin: did",
            ),
            (
                f"access: {{tokens: {{ci: {{sha256: {HASH}, grants: {{shop: 3}}}}}}}}",
                "canary.yaml:1: access.tokens.ci.grants.shop: a role is one of read, start, decide or admin",
            ),
            (
                f"access: {{tokens: {{ci: {{sha256: {HASH}, grants: {{Shop: read}}}}}}}}",
                "canary.yaml:1: access.tokens.ci.grants.Shop: is no namespace: write small letters, digits",
            ),
            (
                f"access: {{tokens: {{a: {{sha256: {HASH}, grants: {{}}}}, b: {{sha256: {HASH}, grants: {{}}}}}}}}",
                "canary.yaml:1: access: tokens a and b are the same one",
            ),
            (
                f"access:\n  tokens:\n    a: {{sha256: {HASH}, grants: {{}}}}\n    a: {{sha256: {HASH}, grants: {{}}}}",
                "canary.yaml:4: access.tokens.a: stands here twice, first in line 3: keep one of them",
            ),
            (
                "access: {service_accounts: {grants: [{subject: a, namespaces: '*', role: read}]}}",
                "canary.yaml:1: access.service_accounts: grants without enabled: true",
            ),
            (
                "access:\n service_accounts:\n  enabled: 1\n  grants:\n  - {subject: a b, namespaces: x, role: read}",
                "canary.yaml:5: access.service_accounts.grants[0].subject: is no subject: write system:serviceaccount:",
            ),
            ("- a", "canary.yaml: settings are a mapping, such as listen: {port: 8080}; something else stands here"),
            ("a: &x 1", "canary.yaml:1: a: anchors (&x) are not read: write the value out where it is needed"),
            ("a: 1\n---\nb: 2", "canary.yaml:2: a second document starts here: write all settings into one"),
            ("%YAML 1.1\n---\na: 1", "canary.yaml:1: directives (%YAML, %TAG) are not read: start with a key"),
            ("a: [" * 60, "canary.yaml:1: nested more than 50 deep: this is not a settings file"),
            ("a: 'x", "canary.yaml:1: the file ends in the middle of a value: a quote or a bracket is not closed"),
        ],
    )
    def test_in_the_file(self, file: Path, text: str, told: str) -> None:
        (line,) = mistakes(file, text)
        assert line.startswith(told)

    def test_all_at_once_each_where_it_comes_from(self, file: Path) -> None:
        text = "listen: {host: ''}\nlease: 1s\nprometheus:\n  a: {urll: http://x}\n"
        found = mistakes(file, text, {"--port": 70000}, CANARY_LOG__LEVEL="loud", CANARY_KEEP_MOST="x")
        assert sorted(found) == [
            "--port: 70000 is out of range: at most 65535 is meant",
            "CANARY_KEEP_MOST: is no whole number: write one, such as 3",
            "CANARY_LOG__LEVEL: loud is not known: write debug, info, warning or error",
            "canary.yaml:1: listen.host: is empty: write at least one",
            "canary.yaml:2: lease: 1s is out of range: at least 3 is meant",
            "canary.yaml:4: prometheus.a.url: is missing: write url: …",
            "canary.yaml:4: prometheus.a.urll: is not known: did you mean prometheus.a.url?",
        ]

    def test_within_the_json_of_a_variable(self, file: Path) -> None:
        (line,) = mistakes(file, "listen: {port: 1}", CANARY_ACCESS='{"tokens": {"ci": {"sha256": 3, "grants": {}}}}')
        assert line == (
            "CANARY_ACCESS: access.tokens.ci.sha256: is no text: write one, in quotes if it looks like a number"
        )

    def test_a_file_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match=r"no\.yaml: there is no such file$"):
            load(tmp_path / "no.yaml", {}, {})

    def test_files_that_are_none(self, tmp_path: Path, file: Path) -> None:
        with pytest.raises(UsageError, match=r"cannot be read: Is a directory$"):
            load(tmp_path, {}, {})
        with pytest.raises(UsageError, match="cannot be read: "):
            load(Path("a\0b"), {}, {})
        file.write_bytes(b"a: \xff")
        with pytest.raises(UsageError, match="is not UTF-8"):
            load(file, {}, {})
        file.write_bytes(b"#" * (2**20 + 1))
        with pytest.raises(UsageError, match="is larger than 1 MiB"):
            load(file, {}, {})


class TestSecrets:
    def test_none_is_in_a_repr(self) -> None:
        environment = {
            "CANARY_PROMETHEUS": f"http://u:{SECRET}@prometheus",
            "CANARY_PROMETHEUS__B": json.dumps({"url": "http://b", "headers": {"X-Key": SECRET}}),
            "DATABASE_URL": f"postgresql://u:{SECRET}@db/x",
            "CANARY_TARGETS": json.dumps({"web": {"rollback": f"undo --token {SECRET}"}}),
            "CANARY_TRACES__HEADERS": json.dumps({"Authorization": SECRET}),
        }
        settings = load(None, {}, environment)
        assert settings.prometheus["default"].url == "http://prometheus"
        assert SECRET not in repr(settings)
        assert SECRET not in str(settings)

    @pytest.mark.parametrize("key", sorted(every_key(Settings)))
    def test_none_is_in_a_message_wherever_it_is_put(self, file: Path, key: str) -> None:
        """As if somebody had taken the wrong line; what is no mistake there is of no interest."""
        value: object = f"{SECRET} x\\u0007 && $(x)"
        text = f'"{value}"'
        for part in reversed(key.replace("[]", ".[]").split(".")):
            text = f"[{text}]" if part == "[]" else f"{{{part}: {text}}}"
        file.write_text(text)
        assert SECRET not in complaint(file)

    @given(st.text(min_size=1))
    def test_nor_whatever_a_variable_holds(self, value: str) -> None:
        secret = f"{SECRET}{value}"
        for name in ("CANARY_LISTEN__PORT", "CANARY_LEASE", "CANARY_PROMETHEUS", "CANARY_ACCESS__TOKENS__A"):
            with pytest.raises(UsageError) as raised:
                load(None, {}, {name: secret})
            assert SECRET not in str(raised.value)
            assert raised.value.__cause__ is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(WORDS), below, max_size=4),
        max_leaves=12,
    )
)
def test_whatever_stands_in_a_file_is_read_or_refused_in_sentences(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_text(json.dumps(value))
    assert all(line and line.isprintable() for line in complaint(file).splitlines())
