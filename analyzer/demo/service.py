"""The simulated service as a program of its own: `python -m analyzer.demo.service --version 2 --behaviour errors`.

It prints one line of JSON when it serves (`port`, `url`, `pid`, `version`, `behaviour`) and ends with 0 on SIGTERM or
Ctrl-C. When its behaviour makes it crash it exits with 1, as a container does: to start it again is its supervisor's.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence

from analyzer.demo.behaviour import PRESETS
from analyzer.demo.instance import Instance
from analyzer.errors import DemoError


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until told to end, or until the crash; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return asyncio.run(_serve(options))
    except DemoError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m analyzer.demo.service", description="the simulated service")
    parser.add_argument("--port", type=int, default=0, help="0: a free one")
    parser.add_argument("--version", default="1", help="what revision it says it is")
    parser.add_argument("--label-version", action="store_true", help="put the version on its metrics as a label")
    parser.add_argument("--behaviour", choices=sorted(PRESETS), default="good")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--native-schema", type=int, choices=range(9), help="native histograms of this schema")
    return parser


async def _serve(options: argparse.Namespace) -> int:
    told_to_end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_end.set)
    instance = Instance(
        PRESETS[options.behaviour],
        seed=options.seed,
        port=options.port,
        native_schema=options.native_schema,
        labels={"version": options.version} if options.label_version else None,
        restarts=False,
    )
    async with instance:
        _tell(instance, options)
        await _first(told_to_end, instance.dead)
        return 0 if instance.alive else 1


def _tell(instance: Instance, options: argparse.Namespace) -> None:
    line = {
        "port": int(instance.address.rpartition(":")[2]),
        "url": instance.url,
        "pid": os.getpid(),
        "version": options.version,
        "behaviour": options.behaviour,
    }
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


async def _first(*events: asyncio.Event) -> None:
    waits = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()


if __name__ == "__main__":
    sys.exit(main())
