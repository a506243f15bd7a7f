"""`canary demo`: a bad release, caught and taken back."""

import asyncio
import json
import signal
import sys

from analyzer.cli.exits import SIGNALS, Exit
from analyzer.errors import DemoError
from analyzer.model.report import ActionResult, Report


def run(scenario: str, *, as_json: bool) -> int:
    """Play the scenario. The exit code is 0 when it ended as the scenario promises, else 4.

    Raises:
        DemoError: a part could not be started, or the demo's extra is not installed.
    """
    try:
        from analyzer.demo.scenario import Outcome, play
    except ModuleNotFoundError as error:
        raise DemoError(f"the demo needs {error.name}: pip install 'canary-analyzer[demo]'") from error

    async def go() -> tuple[Outcome, str]:
        loop = asyncio.get_running_loop()
        stop: asyncio.Future[str] = loop.create_future()

        def stopped(name: str) -> None:
            if not stop.done():
                stop.set_result(name)

        for name in SIGNALS:
            loop.add_signal_handler(signal.Signals[name], stopped, name)
        outcome = await play(scenario, _say, stop)
        return outcome, stop.result() if stop.done() else ""

    outcome, stopped_by = asyncio.run(go())
    report = outcome.report
    _say("")
    _say(_summary(report, outcome.seconds_to_recovery, outcome.seconds_of_bad_answers))
    if as_json:
        _say(json.dumps(_result(report, outcome.seconds_to_recovery), allow_nan=False))
    if stopped_by:
        return int(SIGNALS[stopped_by])
    return int(Exit.PASS if outcome.as_expected else Exit.ERROR)


def _say(sentence: str) -> None:
    sys.stdout.write(sentence + "\n")
    sys.stdout.flush()


def _summary(report: Report, to_recovery: float | None, of_bad_answers: float | None) -> str:
    words = f"{report.verdict.value.upper()}: {report.action.kind.value} ({report.action.result.value})"
    if report.action.result == ActionResult.DONE and to_recovery is not None:
        words += f"; {to_recovery:.1f} s from the first bad answer to the verified recovery"
    if report.action.result == ActionResult.DONE and of_bad_answers is not None:
        words += f", {of_bad_answers:.1f} s to the last bad answer"
    return words


def _result(report: Report, to_recovery: float | None) -> dict[str, object]:
    whole = report.model_dump(mode="json", include={"verdict", "action", "held_by", "reason", "seconds_to_recovery"})
    seconds = to_recovery if to_recovery is not None else whole["seconds_to_recovery"]
    return {
        "verdict": whole["verdict"],
        "action": whole["action"],
        "held_by": whole["held_by"],
        "reason": whole["reason"],
        "seconds_to_recovery": None if seconds is None else round(float(seconds), 1),
    }
