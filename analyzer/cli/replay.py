"""`canary replay`: a recorded analysis judged again."""

from pathlib import Path

from analyzer.cli.check import pairs
from analyzer.cli.exits import SIGNALS, exit_code
from analyzer.cli.output import Output, emit
from analyzer.composition import plan_again
from analyzer.engine.replay import judge_again, judge_by, planned
from analyzer.errors import UsageError
from analyzer.model.event import Ended
from analyzer.store.recording import read_recording


def run(recording: Path, rules: str | None, parameters: tuple[str, ...], form: Output) -> int:
    """Judge again and print the report; returns the exit code of the analysis.

    Raises:
        RecordError: the recording cannot be read.
        UsageError: the other rule set cannot be used.
    """
    events = read_recording(recording)
    first = planned(events)
    if rules is None:
        if parameters:
            raise UsageError("--set belongs to --rules: the recorded rule set has its parameters filled in")
        report = judge_again(events)
    else:
        report = judge_by(events, plan_again(first, events, rules, pairs(parameters, "--set")))
    emit(report, form, None)
    last = events[-1]
    if rules is None and isinstance(last, Ended) and last.cause in SIGNALS:
        return int(SIGNALS[last.cause])
    return int(exit_code(report))
