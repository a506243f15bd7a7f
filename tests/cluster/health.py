"""Health endpoints of programs, polled with a deadline."""

import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

_POLL = 0.05  # seconds
_TIMEOUT = 2.0  # seconds


def answers(url: str, *, authority: Path | None = None, token: str | None = None) -> bool:
    """Whether it answers with 2xx. An https address without an `authority` is not verified."""
    context = None
    if url.startswith("https:"):
        # Between its start and its first certificate a program has no file to verify it with.
        if authority is not None and not authority.exists():
            return False
        try:
            context = ssl.create_default_context(cafile=authority)
        except ssl.SSLError:  # it is being written
            return False
        if authority is None:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)]
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=_TIMEOUT):
            return True
    except urllib.error.HTTPError as error:
        error.close()
        return False
    except (OSError, urllib.error.URLError):
        return False


def listens(port: int) -> bool:
    """Whether something accepts connections at this port of 127.0.0.1."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT):
            return True
    except OSError:
        return False


def until(check: Callable[[], object], *, seconds: float, what: str) -> None:
    """Return as soon as `check()` is true; TimeoutError, which says what was awaited, after so many seconds."""
    deadline = time.monotonic() + seconds
    while not check():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(_POLL)
