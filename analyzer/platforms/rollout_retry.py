"""Trying the newest revision of a Rollout again after an abort, as `kubectl argo rollouts retry` does."""

from analyzer.errors import PlatformConflict, PlatformError
from analyzer.platforms.rollout_note import TAKEN_BACK
from analyzer.platforms.rollout_watch import RolloutWatch

ATTEMPTS = 5
"""Writes, if the controller writes at the same time."""


async def retry(watch: RolloutWatch) -> None:
    """Clear the abort, if there is one.

    Raises:
        PlatformError: it was not cleared; the sentence says why.
    """
    for attempt in range(1, ATTEMPTS + 1):
        state = await watch.state()
        if not state.is_aborted:
            return
        try:
            await watch.change_status(state, {"abort": False})
            await _forget(watch)
        except PlatformConflict as error:
            if attempt == ATTEMPTS:
                why = f"something else keeps changing it at the same time: {error}"
                raise PlatformError(f"{watch.target} was not retried: {why}") from error
        else:
            return


async def _forget(watch: RolloutWatch) -> None:
    """Why the first try was taken back is of that try."""
    try:
        await watch.cluster.merge(watch.where, {"metadata": {"annotations": {TAKEN_BACK: None}}})
    except PlatformError:
        return  # it is an old sentence beside a new try, and nothing worse
