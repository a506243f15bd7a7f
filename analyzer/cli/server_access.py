"""Where a server of `canary serve` is, and how it is spoken to. Secrets are never in a message or a repr."""

import ipaddress
import os
import re
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from analyzer.errors import UsageError

_LONGEST_TOKEN = 64 * 1024
_HEADER_VALUE = re.compile(r"[\x21-\x7e]+")


class OnInterrupt(StrEnum):
    """What becomes of an analysis on a server when the command that follows it is stopped."""

    CANCEL = "cancel"
    DETACH = "detach"


@dataclass(frozen=True)
class Server:
    """The flags of `canary check` that are about a server, as they were given; without `url` it runs here."""

    url: str | None = None
    token_file: Path | None = None
    connection: str | None = None
    attach: str | None = None
    key: str | None = None
    on_interrupt: OnInterrupt | None = None
    patience: str = "5m"


HERE = Server()
"""No server: the analysis runs in this process."""


@dataclass(frozen=True)
class ServerAccess:
    """How to reach a server. `url` is what stands before `/api/v1`; make one with `server_access`."""

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    insecure: bool = False

    @property
    def cautions(self) -> tuple[str, ...]:
        """What speaks against speaking to it this way, a sentence each."""
        found = []
        parts = urlsplit(self.url)
        if parts.scheme == "http" and (self.token or self.token_file) and not _is_here(parts.hostname or ""):
            found.append(f"the token goes to {parts.hostname} unencrypted: anybody on the way can read it; use https")
        if self.insecure:
            found.append(f"--insecure: whoever answers in the place of {parts.hostname} gets the token and is believed")
        return tuple(found)

    def read_token(self) -> str | None:
        """The token as it is now; files are read anew, for such tokens expire.

        Raises:
            UsageError: the file cannot be read, or what is in it is no token.
        """
        if self.token_file is None:
            return self.token
        try:
            with self.token_file.open("rb") as file:
                given = file.read(_LONGEST_TOKEN + 1)
        except OSError as error:
            raise UsageError(f"--token-file {self.token_file}: cannot be read: {error.strerror}") from None
        return _checked(given.decode("latin-1").strip(), f"--token-file {self.token_file}")

    def context(self) -> ssl.SSLContext:
        """What TLS works with.

        Raises:
            UsageError: a file is not there, or holds something else.
        """
        import httpx

        context = httpx.create_ssl_context() if self.ca_file is None else self._own_authorities(self.ca_file)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self.cert_file is not None:
            try:
                context.load_cert_chain(self.cert_file, self.key_file, password=_no_password)
            except (OSError, ValueError) as error:
                raise UsageError(f"--cert-file {self.cert_file}: cannot be used: {_of(error)}") from None
        return context

    @staticmethod
    def _own_authorities(file: Path) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=file)
        except (OSError, ValueError) as error:
            raise UsageError(f"--ca-file {file}: cannot be used: {_of(error)}") from None


def server_access(url: str, **more: object) -> ServerAccess:
    """How to reach the server at this address; `more` are fields of ServerAccess.

    Without a token file the token is that of the environment (CANARY_TOKEN).

    Raises:
        UsageError: it is no address, or the rest does not fit together.
    """
    token = os.environ.get("CANARY_TOKEN", "").strip() if more.get("token_file") is None else ""
    if token:
        _checked(token, "CANARY_TOKEN")
    access = ServerAccess(url=_address(url), token=token or None, **more)  # type: ignore[arg-type] # fields by name
    if access.key_file is not None and access.cert_file is None:
        raise UsageError("--key-file without --cert-file: give both, or one file that holds both")
    if any(name.lower() == "authorization" for name in access.headers):
        raise UsageError("--header Authorization: the token comes from CANARY_TOKEN or --token-file")
    return access


def _address(url: str) -> str:
    try:
        parts = urlsplit(url.strip())
        _ = parts.port
    except ValueError:
        raise UsageError("--server: no URL: write https://canary.example.com") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or not url.isprintable() or " " in url.strip():
        raise UsageError("--server: no URL: write https://canary.example.com")
    if parts.username is not None or parts.password is not None:
        raise UsageError("--server: a user stands in the address: the token comes from CANARY_TOKEN or --token-file")
    if parts.query or parts.fragment:
        raise UsageError("--server: a ? or # stands in the address: write it without")
    path = re.sub(r"(/api(/v1)?)?/*$", "", parts.path)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _checked(token: str, where: str) -> str:
    if not token:
        raise UsageError(f"{where}: is empty: a token is expected")
    if len(token) > _LONGEST_TOKEN or not _HEADER_VALUE.fullmatch(token):
        raise UsageError(f"{where}: is no token: one line of letters, digits and signs is expected")
    return token


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _no_password() -> str:
    """OpenSSL would ask on the terminal, and wait for ever in CI."""
    raise ValueError("its key has a password, and none can be given")


def _of(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return "it holds no certificate or key in PEM"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
