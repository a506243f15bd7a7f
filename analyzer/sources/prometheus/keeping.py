"""Answers kept for a short while, so that the same question need not be put again. Bounded by number, size and age."""

import time
from collections import OrderedDict
from collections.abc import Callable

from analyzer.sources.prometheus.access import MEBIBYTE
from analyzer.sources.prometheus.answer import Answer
from analyzer.sources.prometheus.asking import Question

SECONDS = 60.0
"""So long an answer is kept. A sample that came late meanwhile is found in the next window, as any late one."""
MOST = 512
MOST_BYTES = 8 * MEBIBYTE
"""Bytes of JSON in all; in memory they are about ten times that."""
_TIDY = 1.0  # seconds
LARGEST = MOST_BYTES // 4
"""Bytes of the largest answer that is kept: no single one drives out the others."""


class KeptAnswers:
    """The answers that were used last; `clock` is in seconds and only goes forward."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._answers: OrderedDict[Question, tuple[float, Answer]] = OrderedDict()
        self._tidied_at = clock()
        self.size = 0
        """Bytes of JSON of all that are kept."""

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, question: Question) -> Answer | None:
        """The answer to this question, unless it is gone or too old."""
        if question not in self._answers:
            return None
        until, answer = self._answers[question]
        if until <= self._clock():
            self._drop(question)
            return None
        self._answers.move_to_end(question)
        return answer

    def put(self, question: Question, answer: Answer) -> None:
        """Keep an answer; those that are too old, or were not used for longest, make room."""
        if answer.size > LARGEST or not question.is_lasting:
            return
        now = self._clock()
        if question in self._answers:
            self._drop(question)
        if now >= self._tidied_at + _TIDY:  # looking through all of them for each answer is dear where there are many
            self._tidied_at = now
            for old in [each for each, (until, _) in self._answers.items() if until <= now]:
                self._drop(old)
        self._answers[question] = (now + SECONDS, answer)
        self.size += answer.size
        while self.size > MOST_BYTES or len(self._answers) > MOST:
            self._drop(next(iter(self._answers)))

    def clear(self) -> None:
        """Keep nothing."""
        self._answers.clear()
        self.size = 0

    def _drop(self, question: Question) -> None:
        _, answer = self._answers.pop(question)
        self.size -= answer.size
