"""Of several things at once, none outlives the wait for them."""

import asyncio

import pytest

from analyzer.concurrency import together


async def _after(turns: int, answer: int) -> int:
    for _ in range(turns):
        await asyncio.sleep(0)
    return answer


def test_answers_come_in_order() -> None:
    async def asking() -> list[int]:
        return list(await together(_after(3, 1), _after(1, 2), _after(2, 3)))

    assert asyncio.run(asking()) == [1, 2, 3]


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_failure_ends_the_others_before_it_is_raised(*, cancelled: bool) -> None:
    ended: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)  # as closing a connection does
            ended.append("waits")

    async def fails() -> None:
        await asyncio.sleep(0)
        if cancelled:
            await asyncio.Event().wait()
        raise OSError("away")

    async def asking() -> None:
        asked = asyncio.create_task(together(waits(), fails()))
        for _ in range(2):
            await asyncio.sleep(0)
        if cancelled:
            asked.cancel()
        with pytest.raises(asyncio.CancelledError if cancelled else OSError):
            await asked
        assert ended == ["waits"]

    asyncio.run(asking())
