"""What a Helm release's history tells. Pure: entries in, revisions and choices out."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, TypeAdapter, ValidationError

from analyzer.errors import PlatformError
from analyzer.model.report import Verdict
from analyzer.model.target import Revision

UPGRADING = "pending-upgrade"
"""An upgrade until its last hook has ended: its pods are there before, and a hook may look at them."""
IN_PROGRESS = frozenset({"pending-install", UPGRADING, "pending-rollback", "uninstalling"})

# `superseded` alone proves nothing: Helm also writes it over a failed revision when the next one succeeds (an upgrade
# after a failed install) and over any revision when a rollback from it fails. What it leaves is the description.
_NEVER_DEPLOYED = re.compile(
    r"""(?:Upgrade|Rollback|Release)\ ".*?"\ failed:  # as Helm describes what failed
    | failed\ to\ render\ resource:                    # an install that got nowhere
    | Preparing\ upgrade | Initial\ install\ underway  # killed on the way
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_ROLLBACK = re.compile(r'Rollback to (\d+)|Rollback ".*?" failed:', re.DOTALL)
_RELEASE_FAILED = re.compile(r'Release ".*?" failed:', re.DOTALL)


_LABELS = {
    "revision": "number",
    "helm_revision": "number",
    "version": "app_version",
    "app_version": "app_version",
    "app_kubernetes_io_version": "app_version",
    "chart": "chart",
    "helm_sh_chart": "chart",
}
"""Labels that charts put on their pods, and what of a revision stands in them."""


def labels(current: Revision, baseline: Revision) -> dict[str, tuple[str, str]]:
    """Labels that tell the two revisions apart, with the value of each: (current, baseline)."""
    values = {label: (getattr(current, field), getattr(baseline, field)) for label, field in _LABELS.items()}
    return {label: pair for label, pair in values.items() if all(pair) and pair[0] != pair[1]}


class Entry(BaseModel):
    """One line of `helm history --output json`; keys of later versions are ignored."""

    revision: int
    updated: Annotated[datetime | None, BeforeValidator(lambda value: value or None)] = None
    status: str
    chart: str = ""
    app_version: str = ""
    description: str = ""
    rollback_revision: int = 0  # Helm 4 alone

    def as_revision(self, digest: str = "") -> Revision:
        """The same in the analyzer's words. `digest` is of its manifest."""
        updated = self.updated
        if updated and updated.tzinfo is None:
            updated = updated.replace(tzinfo=UTC)
        return Revision(
            number=str(self.revision),
            status=self.status,
            deployed_at=updated.timestamp() if updated else None,
            chart=self.chart,
            app_version=self.app_version,
            description=self.description,
            digest=digest,
        )


_HISTORY = TypeAdapter(list[Entry])


def parse_history(text: str) -> list[Entry]:
    """`helm history --output json`, oldest first.

    Raises:
        PlatformError: it is something else.
    """
    try:
        entries = _HISTORY.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise PlatformError(
            "helm history did not print the JSON that it should: "
            + (f"{place}: {first['msg']}" if place else first["msg"])
            + "; is the program that was found really Helm?"
        ) from None
    if not entries:
        raise PlatformError("helm history printed no revision at all; is the program that was found really Helm?")
    return sorted(entries, key=lambda entry: entry.revision)


def once_deployed(entry: Entry) -> bool:
    """Whether this revision was ever brought out whole: it is deployed, or was, and no failure is its last word."""
    if entry.status == "deployed":
        return True
    return entry.status == "superseded" and not _NEVER_DEPLOYED.match(entry.description)


def rolled_back_to(entry: Entry) -> int | None:
    """The revision that this one restores, 0 if that is not known, None if it is no rollback."""
    if entry.rollback_revision:
        return entry.rollback_revision
    if match := _ROLLBACK.match(entry.description):
        return int(match[1] or 0)
    # A rollback whose wait timed out is described like a failed install, and an install is revision 1.
    timed_out = entry.revision > 1 and _RELEASE_FAILED.match(entry.description)
    return 0 if timed_out or entry.status == "pending-rollback" else None


def last_known_good(entries: Sequence[Entry], verdicts: Mapping[int, Verdict] | None = None) -> Entry | None:
    """The revision to go back to, older than the current (the last) one and not taken back since.

    The newest that passed an analysis; if none did, the newest that was once deployed and was not judged bad.
    """
    known = verdicts or {}
    kept = [entry for entry, later in pairwise(entries) if once_deployed(entry) and not _takes_back(later, entry)]
    passed = [entry for entry in kept if known.get(entry.revision) == Verdict.PASS]
    not_bad = [entry for entry in kept if known.get(entry.revision) != Verdict.FAIL]
    good = passed or not_bad
    return good[-1] if good else None


def wanted_entry(
    entries: Sequence[Entry], number: int | None = None, verdicts: Mapping[int, Verdict] | None = None
) -> Entry | None:
    """The revision to go back to: the one that is asked for, if Helm keeps it, else the last known good one."""
    if number is None:
        return last_known_good(entries, verdicts)
    return next((entry for entry in entries[:-1] if entry.revision == number), None)


def served_until(entries: Sequence[Entry], wanted: Entry) -> float | None:
    """When another revision than the current one replaced the wanted one, in Unix seconds; None if none did."""
    later = [entry for entry in entries[:-1] if entry.revision > wanted.revision]
    return later[0].as_revision().deployed_at if later else None


def _takes_back(later: Entry, entry: Entry) -> bool:
    """Whether somebody tried to go back from `entry` with `later`, even if that failed."""
    restored = rolled_back_to(later)
    return restored is not None and restored < entry.revision


def no_way_back(
    entries: Sequence[Entry],
    release: str,
    number: int | None = None,
    verdicts: Mapping[int, Verdict] | None = None,
) -> str:
    """Why there is none: a sentence, empty if there is one."""
    if wanted_entry(entries, number, verdicts):
        return ""
    known = verdicts or {}
    current, earlier = entries[-1], entries[:-1]
    if number is not None:
        kept = ", ".join(str(entry.revision) for entry in earlier) or "none"
        return f"Helm does not keep revision {number} of release {release} before the current one; it keeps {kept}"
    if current.revision == 1:
        return f"release {release} has only just been installed: revision 1 has nothing before it to go back to"
    if not earlier:
        return (
            f"revision {current.revision} is the only one that Helm still keeps of release {release}, the earlier ones "
            "are pruned; raise --history-max (HELM_MAX_HISTORY) for the next upgrades"
        )
    kept = ", ".join(f"{entry.revision} ({_why_not(entry, known.get(entry.revision))})" for entry in earlier)
    return f"none of the earlier revisions that Helm keeps of release {release} is known to be good: {kept}"


def _why_not(entry: Entry, verdict: Verdict | None) -> str:
    if not once_deployed(entry):
        return f"{entry.status}, never deployed"
    return "judged bad" if verdict == Verdict.FAIL else "taken back"
