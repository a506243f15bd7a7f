"""`canary upgrade`: helm upgrade, the analysis of what it brought out, and the way back. One command for a pipeline."""

import asyncio
import json
from dataclasses import dataclass, field, replace

from analyzer.cli import check
from analyzer.cli.exits import SIGNALS, Exit
from analyzer.cli.output import Output, check_writable
from analyzer.cli.streams import deliver, tell
from analyzer.composition.order import AnalysisOrder
from analyzer.composition.platforms import upgrade_release
from analyzer.composition.rules import load_rules
from analyzer.platforms.helm_upgrade import BroughtOut, Upgrade, read_upgrade


class _NothingToCompare(Exception):  # noqa: N818 -- an end, not an error
    """The upgrade is done, and there is nothing to analyse: `sentence` says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass
class _Step:
    """The upgrade itself, before the analysis."""

    order: AnalysisOrder
    upgrade: Upgrade
    done: BroughtOut | None = field(default=None)

    async def __call__(self) -> None:
        """Upgrade, and tell what helm printed.

        Raises:
            PlatformError: helm failed and has changed nothing.
            CancelledError: a signal came; the upgrade is done.
            _NothingToCompare: there was no good revision before.
        """
        self.done = await upgrade_release(self.order, self.upgrade)
        if self.done.output.strip():
            tell(self.done.output.rstrip())
        if self.done.trouble:
            tell(f"canary: {self.done.trouble}")
        if self.done.cancelled:
            raise asyncio.CancelledError
        if self.upgrade.is_dry_run:
            raise _NothingToCompare("helm was asked for a dry run: nothing was upgraded, and nothing analysed")
        if self.done.first and not self.done.trouble:
            name = self.order.target.name
            raise _NothingToCompare(f"nothing to compare: release {name} had no good revision before this one")


def run(options: check.Options, chart: str, words: tuple[str, ...]) -> int:
    """Upgrade, analyse, take back; returns the exit code.

    Raises:
        CanaryError: a sentence for the user.
    """
    check_writable(options.output_file, "--report-file")
    upgrade = read_upgrade(chart, words)
    order = replace(check.read_order(options), rollback=upgrade.rollback, needs_ready_pods=True)
    load_rules(order.rules, order.parameters)  # a mistake in the rules is told before anything is changed
    step = _Step(order, upgrade)
    try:
        report, stopped_by = asyncio.run(check.run_order(order, step))
    except _NothingToCompare as end:
        return _pass(end.sentence, options)
    if report is None and step.done is not None:
        back = f"to take it back: helm rollback {order.target.name}"
        done = f"helm failed to upgrade it; {back}" if step.done.trouble else f"it was upgraded; {back}"
        done = "helm was asked for a dry run" if upgrade.is_dry_run else done
        tell(f"canary: stopped by {stopped_by}: release {order.target.name} was not analysed; {done}")
        return int(SIGNALS[stopped_by])
    return check.finish(options, report, stopped_by)


def _pass(sentence: str, options: check.Options) -> int:
    result = {"verdict": "pass", "action": {"kind": "none", "result": "none"}, "held_by": None, "reason": sentence}
    text = json.dumps(result, indent=2) if options.output == Output.JSON else f"PASS: none (none)\n{sentence}"
    if options.output_file is None:
        _print(text)
        return int(Exit.PASS)
    try:
        options.output_file.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        tell(f"canary: --report-file {options.output_file}: cannot be written: {error.strerror}")
        _print(text)
    return int(Exit.PASS)


def _print(text: str) -> None:
    if trouble := deliver(text + "\n"):
        tell(f"canary: the report could not be printed: {trouble}")
