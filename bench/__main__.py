"""Runs the benchmarks named on the command line, or all; exits with 1 when one of them fails.

A sub-benchmark is a module of this package with `run(arguments: list[str]) -> bool`: true when it passed.
"""

import importlib
import sys

BENCHMARKS = {
    "judge": "bench.judge",
    "engine": "bench.engine",
    "load": "bench.load",
    "polls": "bench.polls",
    "watch": "bench.watch",
}
"""Name on the command line, module. Each is imported only when it runs."""


def main(arguments: list[str]) -> int:
    if arguments and arguments[0] not in BENCHMARKS:
        print(f"bench: no benchmark {arguments[0]!r}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    chosen = arguments[:1] or list(BENCHMARKS)
    results = [importlib.import_module(BENCHMARKS[name]).run(arguments[1:]) for name in chosen]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
