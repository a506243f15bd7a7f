"""Many releases failing at once: an incident, not a release. Pure."""

from collections.abc import Sequence

from analyzer.model.units import show_duration

OTHERS = 3
"""So many other targets that fail are a storm."""
SPAN = 600.0
"""Seconds within which they fail."""

_NAMED = 5  # in the sentence


def storm(others: Sequence[tuple[str, float]], now: float) -> str:
    """Why this looks like an incident: a sentence, empty if it does not.

    `others` are failures of other targets: a name and when it was found, in Unix seconds, as `now`. A target that has
    failed more than once counts once.
    """
    # Another's clock may be ahead of ours: what is found a little in the future has just failed.
    newest = {name: at for name, at in sorted(others, key=lambda each: each[1]) if abs(now - at) <= SPAN}
    if len(newest) < OTHERS:
        return ""
    ordered = sorted(newest, key=lambda name: (-newest[name], name))
    named = ", ".join(f"{name} ({_ago(now - newest[name])})" for name in ordered[:_NAMED])
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return (
        f"{len(ordered)} other targets have failed within {show_duration(SPAN)}: {named}{more}; that is an incident "
        "rather than this revision: look for what they share (nodes, network, a database, Prometheus)"
    )


def _ago(seconds: float) -> str:
    return f"{show_duration(seconds)} ago" if seconds >= 1 else "just now"
