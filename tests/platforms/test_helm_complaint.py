"""What helm says when it fails, as one sentence."""

import json
from pathlib import Path

import pytest

from analyzer.errors import NoRelease, NoWayBack, PlatformError, PlatformUnavailable
from analyzer.platforms.helm_complaint import complaint, quote
from analyzer.platforms.program import Outcome

RECORDED = Path(__file__).parent / "recorded"
SHOP = 'namespace "shop"'


def outcome(stderr: str, code: int = 1, *, stdout: str = "", timed_out: bool = False) -> Outcome:
    return Outcome(("helm",), code, stdout, stderr, timed_out=timed_out)


def recorded(version: str, name: str) -> Outcome:
    case = json.loads((RECORDED / version / f"{name}.json").read_text())
    return outcome(case["stderr"], case["code"], stdout=case["stdout"])


@pytest.mark.parametrize("version", ["helm3", "helm4"])
@pytest.mark.parametrize(
    ("name", "error", "parts"),
    [
        ("history-not-found", NoRelease, ['no release web in namespace "shop"', "release: not found", "helm list"]),
        ("history-unreachable", PlatformUnavailable, ["cannot reach", "connection refused", "check the network"]),
        ("history-no-kubeconfig", PlatformError, ["no kubeconfig that names a cluster", "KUBECONFIG"]),
        ("history-no-context", PlatformError, ['context "nope" does not exist', "get-contexts"]),
        (
            "history-forbidden",
            PlatformError,
            ['user stranger may not list secrets (API group "") in namespace "shop"', "grant it with a Role"],
        ),
        ("history-unauthorized", PlatformError, ["does not accept the credentials", "log in again"]),
        ("manifest-not-found", NoRelease, ["or not the revision that was asked for"]),
        ("rollback-not-found", NoWayBack, ["does not keep revision 99 of release web", "helm history web"]),
        ("rollback-of-nothing", NoRelease, ["no release web", "not found"]),
        ("rollback-forbidden", PlatformError, ['user reader may not create secrets (API group "")']),
        ("rollback-half-forbidden", PlatformError, ['user half may not patch deployments (API group "apps")']),
        ("rollback-timed-out", PlatformUnavailable, ["waited in vain", "context deadline exceeded", "its pods"]),
        ("upgrade-in-progress", PlatformError, ["another helm is changing release web", "when that has ended"]),
    ],
)
def test_recorded_failures_become_sentences(
    version: str, name: str, error: type[PlatformError], parts: list[str]
) -> None:
    found = complaint(recorded(version, name), "helm thing", "web", SHOP)
    assert type(found) is error
    assert "\n" not in str(found)
    assert "helm thing" in str(found)
    for part in parts:
        assert part in str(found)


@pytest.mark.parametrize(
    ("stderr", "error", "part"),
    [
        (
            'Error: Kubernetes cluster unreachable: Get "https://k:6443/version": x509: certificate signed by unknown',
            PlatformError,
            "does not trust the Kubernetes API server",
        ),
        (
            "Error: Kubernetes cluster unreachable: getting credentials: exec: executable aws not found",
            PlatformError,
            "does not accept the credentials",
        ),
        ("Error: etcdserver: request timed out", PlatformUnavailable, "cannot reach the Kubernetes API server"),
        ("Error: query: failed to query with labels: unexpected EOF", PlatformUnavailable, "cannot reach"),
        (
            'Error: create: failed to create: secrets "sh.helm.release.v1.web.v5" already exists',
            PlatformError,
            "another helm is changing release web",
        ),
        ("Error: timed out waiting for the condition", PlatformUnavailable, "waited in vain"),
        (
            "Error: admission webhook denied: pods must not be called web: Forbidden",
            PlatformError,
            'in namespace "shop" is forbidden: “admission webhook denied',
        ),
        ("Error: unknown flag: --output", PlatformError, "failed with exit code 1: “unknown flag: --output”"),
        ("", PlatformError, "failed with exit code 1: nothing"),
    ],
)
def test_other_failures_become_sentences(stderr: str, error: type[PlatformError], part: str) -> None:
    found = complaint(outcome(stderr), "helm history", "web", SHOP)
    assert type(found) is error
    assert part in str(found)


def test_a_hanging_helm_can_be_asked_again() -> None:
    found = complaint(outcome("", -15, timed_out=True), "helm history", "web", SHOP)
    assert type(found) is PlatformUnavailable
    assert "did not end in time and was stopped; it had said nothing" in str(found)


def test_a_killed_helm_can_be_asked_again() -> None:
    found = complaint(outcome("", -9), "helm history", "web", SHOP)
    assert type(found) is PlatformUnavailable
    assert "was ended by signal 9" in str(found)


@pytest.mark.parametrize(
    ("stderr", "stdout", "quoted"),
    [
        ("WARNING: group-readable\nError: not now\n", "", "“not now”"),
        ('level=WARN msg="Error: a"\nError: one\ntwo\n', "", "“one two”"),
        ("no such plugin\n", "ignored", "“no such plugin”"),
        ("", "usage: …", "“usage: …”"),
        (" \n", "", "nothing"),
        ("Error: " + "x" * 1000, "", "“" + "x" * 399 + "…”"),
    ],
)
def test_helm_is_quoted(stderr: str, stdout: str, quoted: str) -> None:
    assert quote(outcome(stderr, stdout=stdout)) == quoted


def test_braces_in_what_helm_says_do_no_harm() -> None:
    assert "{release}" in str(complaint(outcome("Error: map[{release}]"), "helm history", "web", SHOP))


def test_a_conflict_of_owners_names_the_flag_that_overrides_it() -> None:
    said = 'Error: Apply failed with 1 conflict: conflict with "kubectl" with subresource "scale": .spec.replicas'
    found = complaint(outcome(said), "helm rollback", "web", SHOP)
    assert type(found) is PlatformError
    assert ".spec.replicas" in str(found)
    assert "--force-conflicts" in str(found)
