"""Who may ask the service, as the settings have it."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from analyzer.service.values import Held, Name, Namespace, Namespaces, Part, Texts


class Token(Part):
    """A token by its SHA-256, and what it may do: namespaces (or `*`) to roles. `canary token NAME` makes one."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$", repr=False)
    grants: dict[Namespace, Held] = Field(max_length=1000)


class ServiceAccountGrant(Part):
    """What a ServiceAccount may do, `system:serviceaccount:shop:ci`, or a group of them, `group:NAME`."""

    subject: str = Field(pattern=r"^(group:)?[!-~]{1,300}$")
    namespaces: Namespaces
    role: Held


class ServiceAccountSettings(Part):
    """ServiceAccounts of Kubernetes: their tokens are shown to the API server (TokenReview)."""

    enabled: bool = False
    audiences: Texts = ()
    grants: tuple[ServiceAccountGrant, ...] = Field(default=(), max_length=1000)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.grants and not self.enabled:
            raise ValueError("grants without enabled: true: write it, or take the grants out")
        return self


class Access(Part):
    """Who may ask. `metrics_open`: /metrics needs no rights."""

    tokens: dict[Name, Token] = Field(default={}, max_length=1000)
    tokens_file: Path | None = None
    service_accounts: ServiceAccountSettings = ServiceAccountSettings()
    metrics_open: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        seen: dict[str, str] = {}
        for name, token in self.tokens.items():
            if (other := seen.setdefault(token.sha256, name)) != name:
                raise ValueError(f"tokens {other} and {name} are the same one: canary token NAME makes another")
        return self
