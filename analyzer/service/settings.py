"""Everything that can be set."""

from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Seconds = Annotated[float, Field(gt=0)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Actions(StrEnum):
    """Whether analyses act."""

    ON = "on"
    OFF = "off"  # every act is held
    DRY_RUN = "dry-run"  # every analysis is a dry run


class Listen(_Part):
    """Where the API is served."""

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=0, le=65535)
    tls_certificate: Path | None = None
    tls_key: Path | None = None


class PrometheusSettings(_Part):
    """One connection; orders name it. `scope` are matchers that every selector gets (`namespace="${namespace}"`)."""

    url: str
    token: SecretStr | None = None
    token_file: Path | None = None
    user: str | None = None
    password: SecretStr | None = None
    headers: dict[str, SecretStr] = {}
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False
    timeout: Seconds = 30.0
    at_once: int = Field(default=8, ge=1, le=64)
    scope: str = ""
    namespaces: tuple[str, ...] = ("*",)


class CommandTarget(_Part):
    """A target that is taken back by a command; orders name it as `command/NAME`."""

    rollback: str
    namespace: str = ""
    timeout: Seconds = 300.0


class Settings(_Part):
    """The service's settings."""

    listen: Listen = Listen()
    database: SecretStr = SecretStr("sqlite:///canary.db")
    prometheus: dict[str, PrometheusSettings] = {}
    rules: tuple[Path, ...] = ()
    targets: dict[str, CommandTarget] = {}
    helm: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    actions: Actions = Actions.ON
    rollbacks_per_hour: int = Field(default=10, ge=0)
    most_analyses: int = Field(default=2000, ge=1)
    lease: Seconds = 10.0
    keep_for: timedelta = timedelta(days=90)
    keep_most: int = Field(default=100_000, ge=1)
