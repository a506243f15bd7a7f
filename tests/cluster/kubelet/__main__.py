"""`python -m tests.cluster.kubelet`: see the package's docstring."""

import argparse
import asyncio
import logging
import signal
from contextlib import suppress
from pathlib import Path

from tests.cluster.kubelet.api import Access, Api
from tests.cluster.kubelet.kubelet import Kubelet
from tests.cluster.kubelet.surroundings import Surroundings


def main() -> None:
    options = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with suppress(asyncio.CancelledError):
        asyncio.run(_run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.kubelet", description="a simulated kubelet")
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--node", required=True, help="the name of the node that it registers")
    parser.add_argument("--folder", type=Path, required=True, help="for the logs and files of real processes")
    parser.add_argument(
        "--program", action="append", default=[], help="NAME=PATH: helm3, helm4, kubectl, for real processes"
    )
    parser.add_argument("--back-off", type=float, default=10.0, help="the first back-off of a container, in seconds")
    return parser


async def _run(options: argparse.Namespace) -> None:
    running = asyncio.current_task()
    assert running is not None
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    access = Access.load(options.kubeconfig)
    options.folder.mkdir(parents=True, exist_ok=True)
    programs = {name: Path(path) for name, _, path in (one.partition("=") for one in options.program)}
    surroundings = Surroundings(options.folder, access.server, options.back_off, programs)
    async with Api(access) as api:
        await Kubelet(api, options.node, surroundings).run()


if __name__ == "__main__":
    main()
