"""`canary replay`: a recorded analysis judged again."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

from analyzer.cli.check import pairs
from analyzer.cli.exits import SIGNALS, exit_code
from analyzer.cli.output import Output, emit
from analyzer.cli.serve import needs_extra
from analyzer.composition.planning import plan_again
from analyzer.engine.replay import judge_again, judge_by, planned
from analyzer.errors import UsageError
from analyzer.model.event import Ended, Event
from analyzer.store.recording import read_recording


def run(recording: Path, rules: str | None, parameters: tuple[str, ...], form: Output, database: str | None) -> int:
    """Judge again and print the report; returns the exit code of the analysis.

    Raises:
        RecordError: the recording cannot be read.
        UsageError: the other rule set cannot be used.
    """
    try:
        events = read_recording(recording) if database is None else asyncio.run(_stored(str(recording), database))
    except ModuleNotFoundError as error:
        return needs_extra(error)
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


async def _stored(id_: str, url: str) -> Sequence[Event]:
    """The events of an analysis in the database of a service, which may be running. It is only read.

    Raises:
        NoAnalysis: there is none of this id.
        StoreError: the database cannot be read.
    """
    from analyzer.store.analyses import Analyses
    from analyzer.store.database import Database

    async with Database.reading(url) as database:
        analyses = Analyses(database)
        await analyses.get(id_)
        return [numbered.event async for page in analyses.pages(id_) for numbered in page]
