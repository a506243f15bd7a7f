"""Where the server is, and how it is spoken to. Secrets are never in a message or a repr."""

import os
import re
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import unquote, urlsplit, urlunsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator

from analyzer.errors import UsageError

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
MEBIBYTE = 1024 * 1024


class PrometheusAccess(BaseModel):
    """How to reach a server. `url` is where `/api/v1/query` is answered, with a path prefix if there is one."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str
    token: SecretStr | None = None  # bearer token
    token_file: Path | None = None  # read anew for each request: such tokens expire
    user: str | None = None
    password: SecretStr | None = None
    headers: dict[str, SecretStr] = Field(default={}, description="such as X-Scope-OrgID, the tenant")
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False
    connect_timeout: Annotated[float, Field(gt=0)] = 5.0  # seconds
    timeout: Annotated[float, Field(gt=0)] = 30.0  # seconds, for a whole answer
    max_answer: Annotated[int, Field(gt=0)] = 256 * MEBIBYTE  # bytes, after decompression

    @classmethod
    def of(cls, **settings: object) -> Self:
        """The access with these settings.

        Raises:
            UsageError: they do not fit together; one sentence, without any secret.
        """
        try:
            return cls.model_validate(settings)
        except ValidationError as error:
            sentences = [
                f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}".removeprefix(": ")
                for each in error.errors(include_input=False, include_url=False)
            ]
            raise UsageError("; ".join(sentences).replace("Value error, ", "")) from None

    @model_validator(mode="before")
    @classmethod
    def _user_of_url(cls, data: object) -> object:
        """A user and password in the address become those of basic auth."""
        if not isinstance(data, dict) or not isinstance(data.get("url"), str):
            return data
        try:
            parts = urlsplit(data["url"].strip())
            host = parts.netloc.rpartition("@")[2]
            _ = parts.port
        except ValueError as error:
            raise ValueError("the address of Prometheus is no URL: write http://prometheus:9090") from error
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("the address of Prometheus is no URL: write http://prometheus:9090")
        if parts.query or parts.fragment:
            raise ValueError("the address of Prometheus has a ? or # in it: write it without")
        path = re.sub(r"(/api/v1)?/*$", "", parts.path)
        given = {**data, "url": urlunsplit((parts.scheme, host, path, "", ""))}
        if parts.username is not None:
            if data.get("user") is not None:
                raise ValueError("a user in the address and one beside it: give one")
            given |= {"user": unquote(parts.username), "password": unquote(parts.password or "")}
        return given

    @model_validator(mode="after")
    def _fits(self) -> Self:
        ways = [self.token is not None, self.token_file is not None, self.user is not None]
        if sum(ways) > 1:
            raise ValueError("several ways to authenticate: give a token, a token file, or a user with a password")
        if self.password is not None and self.user is None:
            raise ValueError("a password without a user: give both")
        if self.key_file and not self.cert_file:
            raise ValueError("a client key without its certificate: give both, or one file that holds both")
        for file in (self.ca_file, self.cert_file, self.key_file):
            if file and not os.access(file, os.R_OK):
                raise ValueError(f"{file} cannot be read")
        if self.token is not None and not _is_header_value(self.token.get_secret_value()):
            raise ValueError("the token has a line break or another character that no header can carry")
        for name, value in self.headers.items():
            if not _HEADER_NAME.fullmatch(name) or not _is_header_value(value.get_secret_value()):
                raise ValueError(f"the header {name!r} is no header: write NAME: VALUE")
        return self

    @property
    def has_credentials(self) -> bool:
        """Whether a request carries anything that another host must not get."""
        return any((self.token, self.token_file, self.user is not None, self.headers, self.cert_file))

    def secrets(self) -> list[str]:
        """Every secret text in these settings, so that it can be kept out of messages."""
        given = [self.token, self.password, *self.headers.values()]
        return [text for secret in given if secret is not None and (text := secret.get_secret_value())]


def _is_header_value(text: str) -> bool:
    return text.isprintable() and text.isascii() and text == text.strip() and text != ""
