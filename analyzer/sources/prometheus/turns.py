"""Whose question is put next: those who wait take turns, however many questions each of them has. No I/O."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable


class Turn:
    """The place of one question. Everybody who waits for its answer has it in their line."""

    def __init__(self) -> None:
        self._has_come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.askers: set[str] = set()

    @property
    def has_come(self) -> bool:
        """Whether the question may be put."""
        return self._has_come.done()

    def come(self) -> None:
        """Let the question be put."""
        self._has_come.set_result(None)

    async def comes(self) -> None:
        """Wait until the question may be put."""
        await asyncio.shield(self._has_come)  # whoever stops waiting must not end the turn itself


class Turns:
    """Lines of turns, one for each asker, served one after the other; `limit` turns are under way at most."""

    def __init__(self, limit: Callable[[], int]) -> None:
        self._limit = limit
        self._lines: OrderedDict[str, dict[Turn, None]] = OrderedDict()
        self._waiting: set[Turn] = set()
        self._under_way: set[Turn] = set()

    @property
    def waiting(self) -> int:
        """Questions whose turn has not come yet."""
        return len(self._waiting)

    @property
    def under_way(self) -> int:
        """Questions whose turn it is."""
        return len(self._under_way)

    def line_up(self, turn: Turn, asker: str) -> None:
        """Put a turn at the end of this asker's line too. It comes when it is first in any line that is served."""
        if turn.has_come or asker in turn.askers:
            return
        turn.askers.add(asker)
        self._lines.setdefault(asker, {})[turn] = None
        self._waiting.add(turn)
        self.serve()

    def end(self, turn: Turn) -> None:
        """The question is answered, or nobody waits for it any more."""
        self._under_way.discard(turn)
        self._leave(turn)
        self.serve()

    def serve(self) -> None:
        """Let as many turns come as may now."""
        while self._lines and len(self._under_way) < self._limit():
            asker = next(iter(self._lines))
            turn = next(iter(self._lines[asker]))
            self._leave(turn)
            if asker in self._lines:
                self._lines.move_to_end(asker)
            self._under_way.add(turn)
            turn.come()

    def _leave(self, turn: Turn) -> None:
        self._waiting.discard(turn)
        for asker in turn.askers:
            line = self._lines.get(asker, {})
            line.pop(turn, None)
            if not line:
                self._lines.pop(asker, None)
