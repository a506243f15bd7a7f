"""Reasons not to act."""

from enum import StrEnum

from analyzer.model.base import Model


class Guard(StrEnum):
    """What kind of reason."""

    SUPERSEDED = "superseded"
    NO_WAY_BACK = "no-way-back"
    ONCE = "once"
    CHANGED = "changed"
    STOPPED = "stopped"  # by a person: the global switch, or a `hold` annotation
    MIGRATION = "migration"  # the revision has changed a database, and the previous one may not understand it any more
    GITOPS_OWNER = "gitops-owner"  # Argo CD or Flux would bring the revision out again
    STORM = "storm"  # many fail at once: an incident, not a release
    UNKNOWN = "unknown"  # the platform could not be asked, so nothing is known to be safe


class Obstacle(Model):
    """What the platform knows to speak against taking a target back now. `reason` is a sentence."""

    guard: Guard
    reason: str
