"""One /metrics endpoint, read once: what it exposes, or why nothing could be read. A broken one hurts nobody else."""

import asyncio
import time
from dataclasses import dataclass, field

import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from analyzer.errors import UsageError

LARGEST = 16 * 2**20
"""Bytes of an exposition at most."""
PATIENCE = 10.0
"""Seconds for a whole answer, where nothing else is said."""
ACCEPT = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.8,*/*;q=0.1"

Sample = tuple[dict[str, str], float]


@dataclass(frozen=True)
class Scrape:
    """What one endpoint exposed at one time (Unix ms): samples by metric name; or why there are none."""

    url: str
    time: int
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    trouble: str = ""

    @property
    def is_up(self) -> bool:
        return not self.trouble


class _TooLargeError(Exception):
    pass


def checked(url: str) -> str:
    """The address of an endpoint; `/metrics` where no path is given.

    Raises:
        UsageError: it is none.
    """
    try:
        parsed = httpx.URL(url.strip())
    except httpx.InvalidURL as error:
        raise UsageError(f"{url!r} is no address of an endpoint: write http://HOST:PORT/metrics") from error
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise UsageError(f"{url!r} is no address of an endpoint: write http://HOST:PORT/metrics")
    return str(parsed if parsed.path not in {"", "/"} else parsed.copy_with(path="/metrics"))


async def scrape(client: httpx.AsyncClient, url: str, timeout: float) -> Scrape:  # noqa: ASYNC109 -- none is raised
    """Read an endpoint now, within `timeout` seconds. Never raises for what the endpoint does."""
    now = round(time.time() * 1000)
    try:
        async with asyncio.timeout(timeout):
            kind, body = await _get(client, url)
            return Scrape(url, now, await asyncio.to_thread(_parsed, kind, body))
    except TimeoutError:
        return Scrape(url, now, trouble=f"no whole answer within {timeout:g} s")
    except httpx.HTTPStatusError as error:
        return Scrape(url, now, trouble=f"it answers {error.response.status_code}")
    except httpx.HTTPError as error:
        return Scrape(url, now, trouble=str(error) or error.__class__.__name__)
    except _TooLargeError:
        return Scrape(url, now, trouble=f"its exposition is larger than {LARGEST // 2**20} MiB")
    except (ValueError, LookupError, TypeError, AttributeError) as error:  # all that the parsers raise on bad text
        return Scrape(url, now, trouble=f"its exposition cannot be read: {str(error)[:100]}")


async def _get(client: httpx.AsyncClient, url: str) -> tuple[str, bytes]:
    body = bytearray()
    async with client.stream("GET", url, headers={"Accept": ACCEPT}) as response:
        if not response.is_success:
            raise httpx.HTTPStatusError("no success", request=response.request, response=response)
        async for part in response.aiter_bytes():
            body += part
            if len(body) > LARGEST:
                raise _TooLargeError
        return response.headers.get("Content-Type", ""), bytes(body)


def _parsed(kind: str, body: bytes) -> dict[str, list[Sample]]:
    text = body.decode()
    parse = parse_openmetrics if "openmetrics" in kind else parse_classic
    samples: dict[str, list[Sample]] = {}
    for family in parse(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append((dict(sample.labels), float(sample.value)))
    if not samples:
        raise ValueError("there are no metrics in it")
    return samples
