"""A span of time cut into intervals of equal length. Pure."""

from dataclasses import dataclass

from analyzer.model.reading import Window
from analyzer.sources.ledger import milliseconds


@dataclass(frozen=True)
class Intervals:
    """Intervals of equal length up to `end`; Unix milliseconds."""

    end: int
    step: int
    count: int

    @classmethod
    def of(cls, span: Window, seconds: float) -> "Intervals":
        """The whole intervals of a span, aligned to its end."""
        step = milliseconds(seconds)
        return cls(milliseconds(span.end), step, (milliseconds(span.end) - milliseconds(span.start)) // step)

    @property
    def start(self) -> int:
        """When the first interval begins."""
        return self.end - self.count * self.step

    def end_of(self, number: int) -> int:
        """When an interval ends."""
        return self.start + (number + 1) * self.step

    def number_of(self, time: int) -> int:
        """The interval that a sample of this time belongs to: start < t <= end."""
        return -((self.start - time) // self.step) - 1

    def window(self, number: int) -> Window:
        """An interval in Unix seconds."""
        end = self.end_of(number)
        return Window(start=(end - self.step) / 1000, end=end / 1000)
