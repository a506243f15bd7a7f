"""What is wrong with the API server, told once: many watches meet the same trouble at once."""

from analyzer.service.logs import logger

LOG = logger(__name__)


class Troubles:
    """Which watch is in which trouble. A sentence is logged when it is new, and so is the end of all of them."""

    def __init__(self) -> None:
        self._of: dict[object, str] = {}

    def begin(self, watch: object, sentence: str) -> None:
        """Nothing is seen by this watch now, and why."""
        if sentence not in self._of.values():
            LOG.warning("the cluster is not watched", detail=sentence)
        self._of[watch] = sentence

    def end(self, watch: object) -> None:
        """It sees what happens."""
        if self._of.pop(watch, "") and not self._of:
            LOG.info("the cluster is watched again")
