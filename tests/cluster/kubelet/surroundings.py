"""What all pods of a node have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`folder` is for logs and files, `server` is where processes reach the API server.

    `back_off` is the first back-off of a container, in seconds. `programs` are what processes find on PATH besides
    those of the machine: `helm3`, `helm4`, `kubectl`.
    """

    folder: Path
    server: str
    back_off: float
    programs: Mapping[str, Path] = field(default_factory=dict)
