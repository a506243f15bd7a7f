"""How many questions at once a server bears: fewer at once when it is overloaded, slowly more while it is well. Pure.

Additive increase and multiplicative decrease, as TCP does it (Chiu and Jain 1989): many replicas that share a server
come to fair parts of it without knowing of each other.
"""

from dataclasses import dataclass, field

RUN = 10
"""Answers in a row, after each of which there is one question more at once."""
SLOW = 3.0
"""Times its usual time that a server takes for an answer when it is slow."""
NEVER_SLOW = 0.5
"""Seconds within which an answer is never a slow one."""
_LATELY, _USUALLY = 0.3, 0.02
"""The weights of one more answer in the averages of what it takes lately and usually."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 10.0


@dataclass
class Pace:
    """Never more at once than `at_once`, never fewer than one."""

    at_once: int
    limit: int = field(init=False)
    pause: float = field(default=0.0, init=False)
    """Seconds to wait before the next question is put: a server that fails one question at a time is left alone."""
    lately: float = field(default=0.0, init=False)
    """Seconds for an answer, averaged over the last few."""
    usually: float = field(default=0.0, init=False)
    """Seconds for an answer, averaged over the last hundred or so."""
    cuts: int = field(default=0, init=False)
    """How often the limit was lowered. What was asked before the last time tells nothing of the new limit."""
    _run: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        if self.at_once < 1:
            raise ValueError("at least one question at once")
        self.limit = self.at_once

    def answered(self, asked_at: int, seconds: float) -> None:
        """An answer that took so long; `asked_at` is what `cuts` was when it was asked for."""
        self.pause = 0.0
        self.lately = _moved(self.lately, seconds, _LATELY)
        self.usually = _moved(self.usually, seconds, _USUALLY)
        if self.lately > max(NEVER_SLOW, SLOW * self.usually):
            self._cut(asked_at)
            return
        self._run += 1
        if self._run >= RUN:
            self._run = 0
            self.limit = min(self.limit + 1, self.at_once)

    def overloaded(self, asked_at: int) -> None:
        """No answer in time, or the server says that it cannot now."""
        if asked_at == self.cuts and self.limit == 1:
            self.pause = min(max(2 * self.pause, _FIRST_PAUSE), _LONGEST_PAUSE)
        self._cut(asked_at)

    def _cut(self, asked_at: int) -> None:
        """Half as many: once for all questions that were under way together."""
        self._run = 0
        if asked_at == self.cuts:
            self.cuts += 1
            self.limit = max(1, self.limit // 2)


def _moved(average: float, value: float, weight: float) -> float:
    return value if average == 0 else average + weight * (value - average)
