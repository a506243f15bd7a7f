"""Work that ends with an error leaves a record that another goes on with: it is not ended, and nothing is left out."""

import asyncio

import pytest

from analyzer.engine.runner import Runner
from analyzer.errors import LeaseLost
from analyzer.model.event import Acted, Decided, Ended
from analyzer.model.report import Verdict
from analyzer.model.target import Confirm, Intent, Receipt
from tests.engine.world import World, rates


class Withheld:
    """A permission that fails right before the act."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    async def withheld(self, intent: Intent) -> str:  # noqa: ARG002 -- the port's
        raise self.error

    def confirm(self) -> None:
        raise self.error


@pytest.mark.parametrize("error", [LeaseLost("the lease is over"), ZeroDivisionError()])
def test_a_bad_release_is_taken_back_by_who_comes_after(error: Exception) -> None:
    world = World(rates(0.2))
    first = world.runner()
    first._ports.permission = Withheld(error)
    with pytest.raises(type(error)):
        asyncio.run(first.run())
    past = list(world.record.events)
    assert isinstance(past[-1], Decided)
    report = asyncio.run(Runner(first._plan, world.runner()._ports, past).run())
    assert report.verdict == Verdict.FAIL
    assert len(world.platform.intents) == 1
    kinds = [type(event) for event in world.record.events]
    assert kinds.count(Acted) == kinds.count(Ended) == kinds.count(Decided) == 1


def test_the_last_question_is_handed_to_the_act() -> None:
    """A process that stands still in between would act late: it is for the act to ask, in its last moment."""
    world = World(rates(0.2))
    runner = world.runner()
    turns: list[str] = []
    take_back = world.platform.take_back

    class Confirming:
        async def withheld(self, intent: Intent) -> str:  # noqa: ARG002 -- the port's
            return ""

        def confirm(self) -> float:
            turns.append("confirmed")
            return 0.0

    async def noting(intent: Intent, confirm: Confirm) -> Receipt:
        turns.append("act")
        return await take_back(intent, confirm)

    runner._ports.permission = Confirming()
    world.platform.take_back = noting  # type: ignore[method-assign]
    asyncio.run(runner.run())
    assert turns == ["act", "confirmed"]
