"""A plain limit: fails after so many readings in a row beyond it, and never passes before the deadline."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Threshold:
    """Readings beyond `limit`, `consecutive` of them in a row, fail; higher is worse.

    `run` are the readings in a row so far, `readings` all that had a number; once `failed`, always failed.
    """

    limit: float
    consecutive: int = 1
    run: int = 0
    readings: int = 0
    failed: bool = False

    def advance(self, value: float | None) -> "Threshold":
        """After one more reading; None is a reading without a number, which neither breaks a run nor adds to it."""
        if value is None:
            return self
        run = self.run + 1 if value > self.limit else 0
        return replace(self, run=run, readings=self.readings + 1, failed=self.failed or run >= self.consecutive)

    @property
    def passes_at_deadline(self) -> bool:
        """Whether the deadline makes it a pass: there were readings, none failed it, and the last was within."""
        return self.readings > 0 and not self.failed and self.run == 0
