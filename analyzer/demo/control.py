"""How the demo's release is taken back: a command that asks the fleet, as a deploy script would ask its platform.

`python -m analyzer.demo.control URL` posts to the URL and prints the answer; exit code 0 when it was taken back.
"""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from analyzer.demo.port import LOOPBACK, Port
from analyzer.demo.server import Server
from analyzer.errors import DemoError

TIMEOUT = 20.0


@asynccontextmanager
async def listening(take_back: Callable[[], Awaitable[str]]) -> AsyncIterator[str]:
    """The URL at which a POST takes the release back; `take_back` returns what to answer."""

    async def answer(_: Request) -> PlainTextResponse:
        try:
            return PlainTextResponse(await take_back() + "\n")
        except DemoError as error:
            return PlainTextResponse(f"{error}\n", status_code=409)

    port = Port()
    server = Server(Starlette(routes=[Route("/take-back", answer, methods=["POST"])]), port.listener())
    await server.start()
    try:
        yield f"http://{LOOPBACK}:{port.number}/take-back"
    finally:
        await server.stop()
        port.close()


def main(arguments: list[str]) -> int:
    """Post to the URL."""
    try:
        response = httpx.post(arguments[0], timeout=TIMEOUT, trust_env=False)
    except httpx.HTTPError as error:
        sys.stderr.write(f"the fleet did not answer: {error}\n")
        return 1
    sys.stdout.write(response.text)
    return 0 if response.is_success else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
