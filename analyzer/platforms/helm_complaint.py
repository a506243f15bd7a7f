"""What helm says when it fails, as one sentence: what, where, what to do. Pure."""

import re
from dataclasses import dataclass

from analyzer.errors import NoRelease, NoWayBack, PlatformError, PlatformUnavailable
from analyzer.platforms.program import Outcome

_QUOTE_LENGTH = 400  # characters


@dataclass(frozen=True)
class _Explanation:
    """What a pattern in helm's stderr means; its named groups fill the sentence."""

    pattern: str
    sentence: str
    error: type[PlatformError] = PlatformError


_AWAY = (
    r"cluster unreachable|connection refused|connection reset|connection lost|i/o timeout|no such host"
    r"|no route to host|network is unreachable|TLS handshake timeout|\bEOF\b|too many requests"
    r"|currently unable to handle|etcdserver:|leader changed"
)
_FORBIDDEN = r"is forbidden|: Forbidden"

# The first that fits explains. Those for which asking again does not help come before "unreachable", which Helm says
# of most of them as well.
_EXPLANATIONS = (
    _Explanation(
        r'context "[^"]*" does not exist',
        "{doing} failed: {said}; kubectl config get-contexts lists the contexts that there are",
    ),
    _Explanation(
        r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)" in API group "(?P<group>[^"]*)"'
        r' in the namespace "(?P<namespace>[^"]*)"',
        '{doing} of release {release} is forbidden: user {user} may not {verb} {resource} (API group "{group}") in '
        'namespace "{namespace}"; grant it with a Role and a RoleBinding',
    ),
    _Explanation(
        _FORBIDDEN,
        "{doing} of release {release} in {where} is forbidden: {said}; grant it with a Role and a RoleBinding",
    ),
    _Explanation(
        r"asked for the client to provide credentials|Unauthorized|getting credentials",
        "the Kubernetes API server does not accept the credentials of the kubeconfig: {doing} said {said}; log in "
        "again, or choose another kubeconfig or context",
    ),
    _Explanation(
        r"x509:",
        "{doing} does not trust the Kubernetes API server: it said {said}; correct the kubeconfig's "
        "certificate-authority",
    ),
    _Explanation(
        r"//localhost:8080/|no configuration has been provided",
        "{doing} found no kubeconfig that names a cluster: it said {said}; set KUBECONFIG, or give its path",
    ),
    _Explanation(
        r"release: not found",
        "there is no release {release} in {where}, or not the revision that was asked for: {doing} said {said}; "
        "helm list --all-namespaces shows every release",
        NoRelease,
    ),
    _Explanation(
        r"release has no (?P<number>\S+) version",
        "Helm does not keep revision {number} of release {release} in {where}: {doing} said {said}; "
        "helm history {release} shows those that it keeps",
        NoWayBack,
    ),
    _Explanation(
        r'another operation .* is in progress|"sh\.helm\.release\.[^"]*" already exists',
        "another helm is changing release {release} in {where} at the same time: {doing} said {said}; look at "
        "helm history {release}, and try again when that has ended",
    ),
    _Explanation(
        _AWAY,
        "{doing} cannot reach the Kubernetes API server: it said {said}; check the network and the kubeconfig's "
        "server, then try again",
        PlatformUnavailable,
    ),
    _Explanation(
        r"deadline exceeded|timed out",
        "{doing} of release {release} in {where} waited in vain: it said {said}; look at its pods",
        PlatformUnavailable,
    ),
    _Explanation(
        r"Apply failed with \d+ conflict",
        "{doing} of release {release} in {where} failed: {said}; somebody else, such as an autoscaler, owns these "
        "fields: --force-conflicts overrides that",
    ),
    _Explanation("", "{doing} of release {release} in {where} failed with exit code {code}: {said}"),
)


def quote(outcome: Outcome) -> str:
    """Helm's own message: what stands after its last `Error:`, in one line and of bounded length."""
    _, _, after = ("\n" + outcome.stderr).rpartition("\nError: ")
    message = " ".join((after.strip() or outcome.stdout).split())
    if not message:
        return "nothing"
    return f"“{message}”" if len(message) <= _QUOTE_LENGTH else f"“{message[: _QUOTE_LENGTH - 1]}…”"


def is_outage(outcome: Outcome) -> bool:
    """Whether an API server that was away may be why helm failed; one that has just started knows nobody's rights."""
    failed = outcome.code > 0 and not outcome.timed_out
    return failed and re.search(f"{_AWAY}|{_FORBIDDEN}", outcome.stderr, re.IGNORECASE) is not None


def complaint(outcome: Outcome, doing: str, release: str, where: str) -> PlatformError:
    """The error for a helm that failed.

    `doing` is what was asked of it (`helm history`), `release` the release's name, `where` its namespace in words
    (`namespace "shop"`).
    """
    said = quote(outcome)
    if outcome.timed_out:
        return PlatformUnavailable(
            f"{doing} of release {release} did not end in time and was stopped; it had said {said}; is the cluster "
            "reachable from here?"
        )
    if outcome.code < 0:
        return PlatformUnavailable(
            f"{doing} of release {release} was ended by signal {-outcome.code}; it had said {said}"
        )
    known = {"doing": doing, "release": release, "where": where, "said": said, "code": outcome.code}
    for explanation in _EXPLANATIONS:
        if match := re.search(explanation.pattern, outcome.stderr, re.IGNORECASE):
            return explanation.error(explanation.sentence.format(**known, **match.groupdict()))
    raise AssertionError("the last explanation fits everything")
