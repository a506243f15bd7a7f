"""What the controller needs: 300 Helm releases of ten revisions each, watched by a real `canary serve`.

`python -m bench watch`: release Secrets of 200 to 500 kB, on an API server that is a stub and speaks list, watch and
get on real sockets. All newest revisions are new when the service begins, so that it fetches and unpacks each of them;
then every release is upgraded, so that it does so again. What is measured is the proportional set size of both of its
processes, at its highest: they share the pages that neither has written since one was forked from the other, and a
page that two processes share is there once, as a container's limit counts it.
"""

import asyncio
import tempfile
from pathlib import Path

from bench.watch.watched import measured


def run(arguments: list[str]) -> bool:
    """Print the memory and the times; whether the memory is within its limit."""
    _ = arguments
    with tempfile.TemporaryDirectory(prefix="canary-watch-") as folder:
        return asyncio.run(measured(Path(folder)))
