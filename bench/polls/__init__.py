"""How fast the web provider of Argo Rollouts is answered while `canary serve` is at work.

`python -m bench polls`: 500 Rollouts of 50 services ask every ten seconds, each with a live analysis of four rules on a
real Prometheus; an endpoint of the same server that does nothing is asked as often. The API server is a stub.
"""

import asyncio
import tempfile
from pathlib import Path

from bench.polls.asking import measured


def run(arguments: list[str]) -> bool:
    """Print the answers' times; whether they are within the limit."""
    _ = arguments
    with tempfile.TemporaryDirectory(prefix="canary-polls-") as folder:
        return asyncio.run(measured(Path(folder)))
