"""The judge's tables (judge.md §15), for the product's own code: `python -m bench judge [--runs N] [TABLE …]`."""

from argparse import ArgumentParser
from time import monotonic

from bench.judge.cost import cost
from bench.judge.gauges import gauges
from bench.judge.latency import latency
from bench.judge.rollbacks import comparisons, detections, false_rollbacks
from bench.judge.verdicts import defaults, late_onset, passes

TABLES = {
    "false": false_rollbacks,
    "detections": detections,
    "latency": latency,
    "gauges": gauges,
    "onset": late_onset,
    "passes": passes,
    "defaults": defaults,
    "comparisons": comparisons,
    "cost": cost,
}


def run(arguments: list[str]) -> bool:
    """Print the tables, or those named; whether no cell failed."""
    parser = ArgumentParser(prog="python -m bench judge", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000, help="runs a cell (default: 1000)")
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}; default: all")
    options = parser.parse_args(arguments)
    unknown = set(options.tables) - set(TABLES)
    if unknown:
        parser.error(f"no table {', '.join(sorted(unknown))}; there are {', '.join(TABLES)}")
    failures = []
    for name in options.tables or TABLES:
        began = monotonic()
        failures += TABLES[name](options.runs)
        print(f"  [{name}: {monotonic() - began:.0f} s]", flush=True)
    print(f"\njudge: {len(failures)} cells failed" if failures else "\njudge: every cell passed")
    for failure in failures:
        print(f"  {failure}")
    return not failures
