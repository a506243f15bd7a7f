"""What all pods of a node have in common."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`folder` is for logs and files, `server` and `authority` (PEM) are what processes reach the API server with.

    `back_off` is the first back-off of a container, in seconds.
    """

    folder: Path
    server: str
    authority: str
    back_off: float
