"""How far the analyses of this process are behind real time."""


class Lateness:
    """When the next window of each running analysis is over. Times are Unix seconds."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._due)

    def due(self, analysis: str, at: float) -> None:
        """The next window that this analysis has not read yet is over then."""
        self._due[analysis] = at

    def forget(self, analysis: str) -> None:
        """It reads no more windows here."""
        self._due.pop(analysis, None)

    def seconds(self, now: float) -> float:
        """For how long the most belated window has been over without being read; 0 if none is."""
        # A copy, made in one step: others may begin and end while the metrics are asked for in another thread.
        return max(0.0, now - min(list(self._due.values()), default=now))
