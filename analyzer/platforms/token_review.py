"""Whose token is this? The API server knows (TokenReview)."""

from collections.abc import Sequence
from dataclasses import dataclass

from analyzer.errors import PlatformUnavailable
from analyzer.platforms.cluster import Cluster, path

REVIEWS = path("authentication.k8s.io/v1", "tokenreviews")
_MOST_GROUPS = 1000


@dataclass(frozen=True)
class Account:
    """Somebody that the API server knows: `system:serviceaccount:shop:ci`, and the groups that it is in."""

    name: str
    groups: frozenset[str]


async def review(cluster: Cluster, token: str, audiences: Sequence[str] = ()) -> Account | None:
    """Whose token it is; None: nobody's, or not meant for any of these audiences (none: for the API server itself).

    Raises:
        PlatformForbidden: we may not ask: it takes the right to create tokenreviews.
        PlatformUnavailable: the API server does not answer, or with something else than a review.
        PlatformError: it cannot be asked.
    """
    spec = {"token": token, **({"audiences": list(audiences)} if audiences else {})}
    answer = await cluster.create(
        REVIEWS, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    )
    status = answer.get("status")
    if not isinstance(status, dict):
        raise PlatformUnavailable("the Kubernetes API server answers with something else than a review of a token")
    if status.get("authenticated") is not True or status.get("error"):
        return None
    # An API server that knows nothing of audiences says nothing of them: then the token may be meant for others.
    if audiences and not set(audiences).intersection(_texts(status.get("audiences"))):
        return None
    user = status.get("user")
    name = user.get("username") if isinstance(user, dict) else None
    if not isinstance(user, dict) or not isinstance(name, str) or not name:
        return None
    return Account(name, frozenset(_texts(user.get("groups"))[:_MOST_GROUPS]))


def _texts(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
