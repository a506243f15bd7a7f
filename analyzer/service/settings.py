"""Everything that can be set.

Where settings come from, and in which order, stands in `configuration`; docs/serve.md describes each for people.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator

from analyzer.errors import CanaryError, UsageError
from analyzer.model.gitops import GitOpsMode
from analyzer.model.target import PlatformKind, Target
from analyzer.platforms.command import Command
from analyzer.service.access import Access
from analyzer.service.configuration import PREFIX, configured, key_of
from analyzer.service.identity import EVERYWHERE
from analyzer.service.values import Bytes, Name, Namespaces, Part, Paths, Seconds, in_lower_case, period, seconds
from analyzer.service.watch_settings import Watch
from analyzer.sources.prometheus.access import PrometheusAccess
from analyzer.sources.prometheus.scope import fill_scope
from analyzer.store.address import Address

ALIASES = {
    "DATABASE_URL": "database",
    "CANARY_BEARER_TOKEN": "prometheus.default.token",
    "CANARY_USERNAME": "prometheus.default.user",
    "CANARY_PASSWORD": "prometheus.default.password",
}
"""Variables with a name of their own: those of everybody, and those that `canary check` reads too."""
NOT_OURS = frozenset({"CANARY_CONFIG", "CANARY_DEBUG", "CANARY_SERVER", "CANARY_TOKEN", "CANARY_TOKEN_FILE"})
"""Variables with our prefix that are no settings of the service."""
FLAGS = {
    "--host": "listen.host",
    "--port": "listen.port",
    "--database": "database",
    "--actions": "actions",
    "--log-format": "log.format",
    "--log-level": "log.level",
}
"""The settings that `canary serve` has a flag for."""
SCOPED_BY = ("namespace",)
"""What may stand in a scope as `${…}`: it is the order's."""

_DATABASES = ("DATABASE_URL", "CANARY_DATABASE")
_OF_SERVICES = re.compile(r"CANARY_(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
"""Variables that Kubernetes sets for each Service: one that is called `canary` must not hinder us from starting."""


class Actions(StrEnum):
    """Whether analyses act."""

    ON = "on"
    OFF = "off"  # every act is held
    DRY_RUN = "dry-run"  # every analysis is a dry run


class LogFormat(StrEnum):
    """How log lines are written."""

    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """From which level on log lines are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Listen(Part):
    """Where the API is served."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=255)
    port: int = Field(default=8080, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            there, lacking = ("tls_certificate", "tls_key") if self.tls_certificate else ("tls_key", "tls_certificate")
            raise ValueError(f"{there} without {lacking}: give both, or neither")
        return self


class PrometheusSettings(Part):
    """One connection; orders name it. `scope` are matchers that every selector gets (`namespace="${namespace}"`)."""

    url: str
    token: SecretStr | None = None
    token_file: Path | None = None
    user: str | None = None
    password: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default={})
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False
    timeout: Seconds = 30.0
    at_once: int = Field(default=8, ge=1, le=64)
    scope: str = Field(default="", max_length=1000)
    namespaces: Namespaces = ("*",)

    def serves(self, namespace: str) -> bool:
        """Whether orders of this namespace may use it."""
        return bool({EVERYWHERE, namespace}.intersection(self.namespaces))

    @model_validator(mode="before")
    @classmethod
    def _no_secret_in_the_address(cls, data: object) -> object:
        """A user and password in the address become those of basic auth, as `PrometheusAccess` has it."""
        if not isinstance(data, Mapping) or not isinstance(data.get("url"), str):
            return data
        given = {name: data[name] for name in ("url", "user") if data.get(name) is not None}
        access = _access(given)
        if access.password is None:
            return {**data, "url": access.url}
        return {**data, "url": access.url, "user": access.user, "password": access.password}

    @field_validator("scope")
    @classmethod
    def _can_be_filled(cls, scope: str) -> str:
        for name in re.findall(r"\$\{([^}]*)\}", scope):
            if name not in SCOPED_BY:
                raise ValueError(f"nobody fills ${{{name[:40]}}} here: write ${{namespace}}, which is the order's")
        try:
            fill_scope(scope, dict.fromkeys(SCOPED_BY, "x"))
        except UsageError:  # it repeats the text
            raise ValueError('is no list of matchers: write namespace="${namespace}", without braces') from None
        return scope

    @model_validator(mode="after")
    def _fits(self) -> Self:
        names = PrometheusAccess.model_fields.keys() & PrometheusSettings.model_fields.keys()
        _access({name: getattr(self, name) for name in names})
        return self


class CommandTarget(Part):
    """A target that is taken back by a command; orders name it as `command/NAME`."""

    rollback: str = Field(max_length=4000, repr=False)  # a command may have secrets in it
    namespace: Annotated[str, Field(pattern=r"^([a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?)?$")] = ""
    timeout: Seconds = 300.0

    @field_validator("rollback")
    @classmethod
    def _can_be_run(cls, command: str) -> str:
        try:
            Command(Target(kind=PlatformKind.COMMAND, name="web"), command or " ")
        except UsageError:  # it repeats the command, in which a secret may stand
            raise ValueError("is no command that can be run without a shell: write words, or sh -c '…'") from None
        return command


class Limits(Part):
    """What one request, one caller and one namespace may take."""

    request_bytes: Bytes = 2**20
    requests_per_minute: int = Field(default=600, ge=1)  # of one caller
    requests_at_once: int = Field(default=256, ge=1)  # of all
    streams_per_caller: int = Field(default=50, ge=1)
    analyses_per_namespace: int = Field(default=500, ge=1)  # that are not over


class LogSettings(Part):
    """The service's own log, on standard error."""

    format: Annotated[LogFormat, BeforeValidator(in_lower_case)] = LogFormat.JSON
    level: Annotated[LogLevel, BeforeValidator(in_lower_case)] = LogLevel.INFO


class TraceSettings(Part):
    """Where traces go, by OTLP over HTTP: `http://collector:4318/v1/traces`. None: nowhere."""

    endpoint: str | None = Field(default=None, max_length=2000)
    headers: dict[str, SecretStr] = Field(default={})

    @field_validator("endpoint")
    @classmethod
    def _is_address(cls, url: str | None) -> str | None:
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            _ = parts.port
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("is no URL: write http://collector:4318/v1/traces")
        if "@" in parts.netloc:
            raise ValueError("has a user in it: write credentials under traces.headers")
        return url


class Settings(Part):
    """The service's settings. Times are in seconds; a text says its unit (`10s`, `90d`)."""

    listen: Listen = Listen()
    database: SecretStr = SecretStr("sqlite:///canary.db")
    replicas: int = Field(default=1, ge=1, le=100)
    prometheus: dict[Name, PrometheusSettings] = Field(default={})
    rules: Paths = ()
    targets: dict[Name, CommandTarget] = Field(default={})
    helm: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    actions: Annotated[Actions, BeforeValidator(in_lower_case)] = Actions.ON
    gitops: Annotated[GitOpsMode, BeforeValidator(in_lower_case)] = GitOpsMode.HOLD
    rollbacks_per_hour: int = Field(default=10, ge=0)
    most_analyses: int = Field(default=2000, ge=1)
    lease: Annotated[float, BeforeValidator(seconds), Field(ge=3, le=600)] = 10.0
    keep_for: Annotated[timedelta, BeforeValidator(period), Field(ge=timedelta(hours=1))] = timedelta(days=90)
    keep_most: int = Field(default=100_000, ge=1)
    watch: Watch = Watch()
    access: Access = Access()
    limits: Limits = Limits()
    log: LogSettings = LogSettings()
    traces: TraceSettings = TraceSettings()

    @field_validator("prometheus", mode="before")
    @classmethod
    def _short_forms(cls, value: object) -> object:
        return expanded({"prometheus": value})["prometheus"]

    @field_validator("database")
    @classmethod
    def _is_database(cls, database: SecretStr) -> SecretStr:
        try:
            Address.read(database.get_secret_value())
        except UsageError as error:
            raise ValueError(str(error).removeprefix("the database's URL ")) from None
        return database

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.watch.catch_up > self.keep_for.total_seconds():
            raise ValueError(
                "watch.catch_up: is longer than keep_for: what was analysed and is not kept any more would be analysed "
                "again"
            )
        if self.replicas > 1 and Address.read(self.database.get_secret_value()).file:
            raise ValueError(
                f"replicas: {self.replicas} cannot share an SQLite database: give the URL of a PostgreSQL, "
                "or replicas: 1"
            )
        if self.watch.is_on:
            self.watch.check_connections(self.prometheus)
        return self


def expanded(values: Mapping[str, object]) -> dict[str, object]:
    """One layer of settings with short forms written out: `prometheus: URL` is that of the connection `default`."""
    found = values.get("prometheus")
    if isinstance(found, str):
        found = {"default": found}
    if isinstance(found, Mapping):
        found = {name: {"url": each} if isinstance(each, str) else each for name, each in found.items()}
    return {**values, **({"prometheus": found} if "prometheus" in values else {})}


def load(config: Path | None, flags: Mapping[str, object], environment: Mapping[str, str]) -> Settings:
    """The settings: flags (by name, such as `--port`; None: not given) before environment before file before defaults.

    Without `config` the file is the one that the variable CANARY_CONFIG names, if any.

    Raises:
        UsageError: every mistake, a line each: where, what, and what to write instead. No secret is in them.
    """
    file = config or (Path(named) if (named := environment.get("CANARY_CONFIG")) else None)
    given = {FLAGS[name]: (name, value) for name, value in flags.items() if value is not None}
    return configured(Settings, file, _variables(environment), given, expanded)


def _variables(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """The variables that are settings, with their keys. An empty one is as good as none."""
    found = {}
    for name, value in environment.items():
        if not value.strip() or name in NOT_OURS or not (name in ALIASES or name.startswith(PREFIX)):
            continue
        if _OF_SERVICES.fullmatch(name) and "__" not in name:
            continue
        is_address = name == "CANARY_PROMETHEUS" and not value.lstrip().startswith("{")
        found[name] = (ALIASES.get(name, "prometheus.default.url" if is_address else key_of(name)), value)
    if all(name in found for name in _DATABASES) and len({found[name][1] for name in _DATABASES}) == 1:
        del found["DATABASE_URL"]  # both say the same
    return found


def _access(given: Mapping[str, object]) -> PrometheusAccess:
    try:
        return PrometheusAccess.of(**given)
    except CanaryError as error:
        raise ValueError(str(error)) from None
