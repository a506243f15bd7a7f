"""Flagger sends no header of anybody's choice with a webhook: its token comes in the metadata, within the body.

In the address it would be found again: Flagger writes addresses that it cannot reach into Events and into its log.
"""

import asyncio
import json
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from analyzer.api.problem import Refused, answer

GATE = "/api/v1/flagger/gate"
KEY = "token"
"""Of the metadata."""
LARGEST = 64 * 1024
"""Bytes of a body that is read before anybody knows who sends it."""
ARRIVAL = 5.0
"""Seconds in which it must be there."""
AT_ONCE = 32
"""Such bodies: whoever has no token must not keep all others waiting."""


class TokenInBody:
    """Puts the token of a webhook's metadata into the header that all others send. Pure ASGI."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._reading = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if not _is_meant(scope):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._body(receive)
        except Refused as refused:
            await answer(scope, refused)(scope, receive, send)
            return
        token = _token(body)
        headers = [*scope["headers"], *([(b"authorization", b"Bearer " + token)] if token else [])]
        await self._app({**scope, "headers": headers}, _again(body, receive), send)

    async def _body(self, receive: Receive) -> bytes:
        if self._reading >= AT_ONCE:
            raise Refused(503, "too many webhooks at once: try again", {"Retry-After": "1"})
        self._reading += 1
        try:
            async with asyncio.timeout(ARRIVAL):
                return await _read(receive)
        except TimeoutError:
            raise Refused(408, f"the body was not there within {ARRIVAL:.0f} s") from None
        finally:
            self._reading -= 1


def _is_meant(scope: Scope) -> bool:
    return (
        scope["type"] == "http"
        and scope["path"] == GATE
        and scope["method"] == "POST"
        and all(name != b"authorization" for name, _ in scope["headers"])
    )


async def _read(receive: Receive) -> bytes:
    body, is_more = b"", True
    while is_more:
        message = await receive()
        body += message.get("body", b"")
        is_more = message.get("more_body", False)
        if len(body) > LARGEST:
            too_large = HTTPStatus.REQUEST_ENTITY_TOO_LARGE
            raise Refused(too_large, f"the body is larger than {LARGEST} bytes", {"Connection": "close"})
    return body


def _token(body: bytes) -> bytes:
    """As it is sent; empty if there is none, or nothing that a header could hold."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return b""
    metadata = found.get("metadata") if isinstance(found, dict) else None
    token = metadata.get(KEY) if isinstance(metadata, dict) else None
    return token.encode() if isinstance(token, str) and token.isascii() and token.isprintable() else b""


def _again(body: bytes, receive: Receive) -> Receive:
    """The body as one message, then what comes after it."""
    is_told = False

    async def again() -> Message:
        nonlocal is_told
        if is_told:
            return await receive()
        is_told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again
