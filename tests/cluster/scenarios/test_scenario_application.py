"""`canary check application/NAME` against Argo CD's own controller, with automated sync that heals itself."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.git import BRANCH, GitRepository
from tests.cluster.namespace import Namespace
from tests.cluster.scenarios.argo import BAD
from tests.cluster.scenarios.checking import Checked
from tests.cluster.scenarios.conftest import Opening
from tests.cluster.scenarios.rights import APPLICATIONS, CHECK, grant, named
from tests.cluster.scenarios.shop import RELEASE, Shop, rendered, tag_of

HELM = 4
AUTOMATED = {"prune": True, "selfHeal": True}
FILE = "shop/web.yaml"
NOTE = "{apiVersion: v1, kind: ConfigMap, metadata: {name: note}}"


@pytest.fixture(autouse=True)
def _argo_cd(namespace: Namespace) -> None:
    namespace.bed.start("argocd")


@dataclass(frozen=True)
class Delivered:
    """A shop that Argo CD brings out from a repository. The Application is in the shop's own namespace."""

    shop: Shop
    repository: GitRepository

    def commit(self, tag: str) -> str:
        """Push this tag, and wait until it is synced."""
        self.shop.note_pods()
        manifest = rendered(self.shop.namespace, HELM, tag)
        sha = self.repository.commit({FILE: manifest, "other.txt": tag}, f"shop {tag}")
        self.synced(sha)
        return sha

    def live(self) -> dict[str, Any]:
        return self.shop.namespace.get("applications.argoproj.io", RELEASE)

    def history(self) -> list[str]:
        return [each["revision"] for each in self.live().get("status", {}).get("history", [])]

    def synced(self, sha: str) -> None:
        self.shop.namespace.until(lambda: self.history()[-1:] == [sha], f"a sync to {sha}")

    def check(self, *flags: str) -> Checked:
        words = ("check", f"application/{RELEASE}", *self.shop.where(), "--output=json", *flags)
        with self.shop.running(*words) as running:
            return running.result()

    def stays(self, *tags: str) -> None:
        """Serves these now, and after Argo CD has looked at Git and at the cluster once more."""
        self.shop.serves(*tags)
        before = self.live()["status"]["reconciledAt"]
        refresh = ["annotate", "applications.argoproj.io", RELEASE, "argocd.argoproj.io/refresh=hard"]
        self.shop.namespace.kubectl(*refresh)
        self.shop.namespace.until(lambda: self.live()["status"]["reconciledAt"] > before, "another look of Argo CD")
        self.shop.namespace.until(lambda: "operation" not in self.live(), "no operation of Argo CD")
        assert sorted(tag_of(pod) for pod in self.shop.pods()) == sorted(tags)


@contextmanager
def delivered(opened: Opening, repository: GitRepository) -> Iterator[Delivered]:
    """What the shop was installed by becomes Argo CD's: the first sync of its history."""
    with opened(HELM, plain=True) as shop:
        name = shop.namespace.name
        shop.namespace.kubectl("delete", "rolebinding", *map(named, CHECK))
        grant(shop.namespace, APPLICATIONS)
        found = Delivered(shop, repository)
        # Something that is not there yet: what only finds everything as it should be syncs nothing, and has no history.
        files = {FILE: rendered(shop.namespace, HELM, "good"), "shop/note.yaml": NOTE}
        first = repository.commit(files, "shop good")
        spec = {
            "project": "default",
            "source": {"repoURL": repository.url, "path": "shop", "targetRevision": BRANCH},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": name},
            "syncPolicy": {"automated": AUTOMATED},
        }
        metadata = {"name": RELEASE, "namespace": name}
        application = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": metadata, "spec": spec}
        shop.namespace.apply(json.dumps(application))
        try:
            found.synced(first)
            yield found
        finally:
            shop.namespace.kubectl("delete", "applications.argoproj.io", RELEASE, "--wait=false")


def test_unless_told_it_is_left_alone(opened: Opening, repository: GitRepository) -> None:
    with delivered(opened, repository) as shop:
        bad = shop.commit(BAD)
        before = shop.live()["spec"]
        checked = shop.check()
        assert checked.summary == (11, "fail", "rollback", "held", "gitops-owner"), checked
        assert "revert the change in Git" in checked.reason
        assert (shop.live()["spec"], shop.repository.log()[0].sha) == (before, bad)
        shop.stays(BAD, BAD)


def test_it_is_suspended_and_pinned(opened: Opening, repository: GitRepository) -> None:
    with delivered(opened, repository) as shop:
        (good,) = shop.history()
        bad = shop.commit(BAD)
        checked = shop.check("--gitops=suspend")
        assert checked.summary == (10, "fail", "rollback", "done", None), checked
        name = f"{shop.shop.namespace.name}/{RELEASE}"
        by_hand = f"argocd app set {name} --revision {BRANCH} --sync-policy automated --self-heal --auto-prune"
        assert by_hand in str(checked.report), checked
        assert shop.live()["spec"]["source"]["targetRevision"] == good
        assert json.loads(shop.live()["metadata"]["annotations"]["canary-analyzer.io/automated"]) == AUTOMATED
        assert shop.history() == [good, bad, good]
        shop.stays("good", "good")
        assert shop.live()["status"]["sync"]["status"] == "Synced"


def test_it_is_rolled_back_by_its_own_history(opened: Opening, repository: GitRepository) -> None:
    with delivered(opened, repository) as shop:
        (good,) = shop.history()
        bad = shop.commit(BAD)
        checked = shop.check("--gitops=rollback")
        assert checked.summary == (10, "fail", "rollback", "done", None), checked
        assert shop.live()["spec"]["source"]["targetRevision"] == BRANCH
        assert "automated" not in shop.live()["spec"].get("syncPolicy", {})
        assert shop.history() == [good, bad, good]
        shop.stays("good", "good")


def test_it_is_reverted_in_git(opened: Opening, repository: GitRepository) -> None:
    with delivered(opened, repository) as shop:
        bad = shop.commit(BAD)
        checked = shop.check("--gitops=revert", f"--gitops-repository={repository.url}")
        assert checked.summary == (10, "fail", "rollback", "done", None), checked
        newest, before, _ = repository.log()
        assert (before.sha, newest.subject) == (bad, f"Revert {RELEASE} to {shop.history()[0][:12]}")
        assert shop.history()[-1] == newest.sha
        assert "good" in repository.read(FILE)
        assert repository.read("other.txt") == BAD  # is none of the Application's
        assert shop.live()["spec"]["syncPolicy"]["automated"] == AUTOMATED
        shop.stays("good", "good")


def test_without_the_right_it_does_not_begin(opened: Opening, repository: GitRepository) -> None:
    with delivered(opened, repository) as shop:
        shop.commit("good-b")
        shop.shop.namespace.kubectl("delete", "rolebinding", named("applications-enforce"))
        checked = shop.check("--gitops=suspend")
        assert checked.code == 4
        assert "may not update applications (argoproj.io)" in checked.stderr, checked
        assert "deploy/argocd/rbac.yaml" in checked.stderr
