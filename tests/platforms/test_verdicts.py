"""Verdicts in a ConfigMap: what is kept, what is not, and what happens when two write at the same time."""

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import FakeApi, ask, running
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import PlatformConflict, PlatformForbidden, PlatformUnavailable
from analyzer.model.report import Verdict
from analyzer.platforms.cluster import Cluster
from analyzer.platforms.verdicts import (
    MANAGED_BY,
    RELEASE,
    Judged,
    Verdicts,
    claim,
    name_of,
    recent_failures,
    repeats,
    verdict_of,
    with_verdict,
)

ALL = "/api/v1/namespaces/shop/configmaps"
WHERE = f"{ALL}/canary-analyzer.helm.web"


def judged(revision: str = "2", digest: str = "sha256:aa", at: float = 100.0, **more: object) -> Judged:
    return Judged.model_validate(
        {"revision": revision, "digest": digest, "verdict": "fail", "at": at, "reason": "worse", **more}
    )


@pytest.fixture
def api(tmp_path: Path) -> Iterator[FakeApi]:
    with running(tmp_path) as fake:
        yield fake


def write(api: FakeApi, *all_of_them: Judged, namespace: str = "shop") -> None:
    async def writing(cluster: Cluster) -> None:
        for each in all_of_them:
            await Verdicts(cluster, namespace, "web").write(each)

    ask(api, writing)


def read(api: FakeApi, namespace: str = "shop") -> tuple[Judged, ...]:
    return ask(api, lambda cluster: Verdicts(cluster, namespace, "web").read())


# Written and read


def test_nothing_is_kept_of_a_release_that_was_never_judged(api: FakeApi) -> None:
    assert read(api) == ()


def test_what_is_written_is_read_again_oldest_first(api: FakeApi) -> None:
    later, earlier = judged("3", at=200.0, action="rollback done", analysis="a1"), judged("2", at=100.0)
    write(api, later, earlier)
    assert read(api) == (earlier, later)
    assert api.objects[WHERE]["metadata"]["labels"] == {MANAGED_BY: "canary-analyzer", RELEASE: "web"}


def test_the_namespace_of_the_context_is_meant_where_none_is_given(api: FakeApi) -> None:
    write(api, judged(), namespace="")
    assert WHERE in api.objects
    assert read(api, namespace="") == (judged(),)


def test_the_same_revision_and_digest_is_replaced(api: FakeApi) -> None:
    write(api, judged(reason="first"), judged(reason="second"), judged(digest="sha256:bb"))
    assert [each.reason for each in read(api)] == ["second", "worse"]


def test_what_others_have_put_into_the_object_stays(api: FakeApi) -> None:
    api.put(WHERE, {"metadata": {"name": "x", "labels": {"team": "web"}, "annotations": {"a": "b"}}})
    write(api, judged())
    metadata = api.objects[WHERE]["metadata"]
    assert metadata["annotations"] == {"a": "b"}
    assert metadata["labels"] == {"team": "web", MANAGED_BY: "canary-analyzer", RELEASE: "web"}


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "not json",
        "[]",
        "7",
        "null",
        "{}",
        '{"revision": 7}',
        json.dumps(json.loads(judged().model_dump_json()) | {"verdict": "splendid"}),
        json.dumps(json.loads(judged().model_dump_json()) | {"at": float("nan")}),
        "[" * 100_000,
    ],
)
def test_garbage_is_left_out(api: FakeApi, garbage: str) -> None:
    write(api, judged())
    api.objects[WHERE]["data"]["9.zz"] = garbage
    assert read(api) == (judged(),)
    write(api, judged("3"))
    assert len(read(api)) == 2
    assert api.objects[WHERE]["data"]["9.zz"] == garbage  # a later version may understand it


def test_keys_of_later_versions_are_ignored(api: FakeApi) -> None:
    later = json.loads(judged().model_dump_json()) | {"mood": "calm"}
    api.put(WHERE, {"metadata": {}, "data": {"2.aa": json.dumps(later)}})
    assert read(api) == (judged(),)


def test_a_reason_without_end_is_cut_off(api: FakeApi) -> None:
    api.put(WHERE, {"metadata": {}, "data": {"2.aa": judged(reason="x" * 900_000).model_dump_json()}})
    assert [len(each.reason) for each in read(api)] == [2000]


# At the same time


def test_a_conflict_is_read_again_and_loses_nothing(api: FakeApi) -> None:
    write(api, judged("1"))
    others = iter([judged("2"), judged("3")])

    def somebody_else() -> None:
        if other := next(others, None):
            api.put(WHERE, with_verdict(api.objects[WHERE], "web", other))

    api.before_put = somebody_else
    write(api, judged("4"))
    assert sorted(each.revision for each in read(api)) == ["1", "2", "3", "4"]


def test_who_always_comes_too_late_says_so_in_the_end(api: FakeApi) -> None:
    write(api, judged("1"))
    api.before_put = lambda: api.put(WHERE, api.objects[WHERE]) and None
    with pytest.raises(PlatformConflict):
        write(api, judged("2"))
    assert 2 <= sum(method == "PUT" for method, _ in api.requests) <= 10


def test_ten_writers_at_once(api: FakeApi) -> None:
    async def writing(cluster: Cluster) -> None:
        async def one(number: int) -> None:
            while True:  # each attempt lets at least one of them through
                try:
                    return await Verdicts(cluster, "shop", "web").write(judged(str(number)))
                except PlatformConflict:
                    continue

        await asyncio.wait_for(asyncio.gather(*(one(number) for number in range(10))), 30)

    ask(api, writing)
    assert len(read(api)) == 10


def test_deleted_in_between_is_created_anew(api: FakeApi) -> None:
    write(api, judged("1"))
    api.before_put = lambda: api.objects.pop(WHERE, None) and None
    write(api, judged("2"))
    assert [each.revision for each in read(api)] == ["2"]


def test_refusals_are_told(api: FakeApi) -> None:
    said = 'User "ci" cannot get resource "configmaps" in API group "" in the namespace "shop"'
    api.refusals["GET", WHERE] = (403, said)
    with pytest.raises(PlatformForbidden, match="user ci may not get configmaps"):
        read(api)
    api.refusals = {("POST", ALL): (404, 'namespaces "shop" not found')}
    with pytest.raises(Exception, match='namespaces "shop" not found'):
        write(api, judged())
    api.refusals = {("POST", ALL): (503, "etcd is away")}
    with pytest.raises(PlatformUnavailable, match="etcd is away"):
        write(api, judged())


# How much


def data(found: dict[str, object]) -> dict[str, str]:
    return found["data"]  # type: ignore[return-value] # an object of the API


def test_the_newest_hundred_are_kept() -> None:
    found: dict[str, object] = {}
    for number in range(150):
        found = with_verdict(found, "web", judged(str(number), at=float(number)))
    assert sorted(int(key.partition(".")[0]) for key in data(found)) == list(range(50, 150))


def test_it_never_gets_larger_than_the_api_server_takes() -> None:
    found: dict[str, object] = {}
    for number in range(100):
        found = with_verdict(found, "web", judged(str(number), at=float(number), reason="ü" * 100_000))
    size = sum(len(key) + len(value.encode()) for key, value in data(found).items())
    assert 300_000 < size <= 500_000
    assert any(key.startswith("99.") for key in data(found))


_NAMES = st.from_regex(r"\A[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\Z").filter(
    lambda name: len(name) <= 53
)


@given(_NAMES)
def test_every_name_of_a_release_makes_a_valid_name_and_label(release: str) -> None:
    name = name_of(release)
    assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*", name)
    assert len(name) <= 253
    label = with_verdict({}, release, judged())["metadata"]["labels"][RELEASE]
    assert re.fullmatch(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?", label)
    assert len(label) <= 63


@given(revision=st.text(min_size=1, max_size=20), digest=st.text(max_size=80))
def test_every_key_is_valid(revision: str, digest: str) -> None:
    (key,) = data(with_verdict({}, "web", judged(revision, digest)))
    assert re.fullmatch(r"[-._a-zA-Z0-9]+", key)


# Asked


@pytest.mark.parametrize(
    ("revision", "digest", "deployed_at", "found"),
    [
        ("2", "sha256:aa", None, "a"),
        ("2", "sha256:bb", None, "b"),
        ("3", "sha256:aa", None, None),  # the revision alone is not enough
        ("2", "sha256:cc", None, None),
        ("2", "sha256:aa", 50.0, "a"),
        ("2", "sha256:aa", 101.0, None),  # of an earlier life of the release
    ],
)
def test_a_verdict_is_of_one_revision_with_one_manifest(
    revision: str, digest: str, deployed_at: float | None, found: str | None
) -> None:
    kept = [judged(digest="sha256:aa", reason="a"), judged(digest="sha256:bb", reason="b", at=150.0)]
    verdict = verdict_of(kept, revision, digest, deployed_at)
    assert (verdict.reason if verdict else None) == found


@pytest.mark.parametrize(
    ("digest", "found"), [("sha256:aa", "3"), ("sha256:bb", None), ("sha256:cc", None), ("", None)]
)
def test_the_same_bad_manifest_is_recognised(digest: str, found: str | None) -> None:
    kept = [
        judged("2", "sha256:aa"),
        judged("3", "sha256:aa"),
        judged("4", "sha256:aa", verdict="inconclusive"),
        judged("5", "sha256:bb", verdict="pass"),
        judged("6", ""),
    ]
    verdict = repeats(kept, digest)
    assert (verdict.revision if verdict else None) == found


def test_recent_failures_are_those_of_all_releases(api: FakeApi) -> None:
    for release, verdict, at in [
        ("web", "fail", 100.0),
        ("shop", "fail", 90.0),
        ("old", "fail", 10.0),
        ("b", "pass", 99.0),
    ]:
        empty = {"metadata": {"name": name_of(release)}}
        api.put(f"{ALL}/{name_of(release)}", with_verdict(empty, release, judged(at=at, verdict=verdict)))
    assert ask(api, lambda cluster: recent_failures(cluster, "elsewhere", 50.0)) == ()
    api.put(f"{ALL}/another", {"metadata": {"labels": {"app": "x"}}, "data": {"2.aa": judged(at=99).model_dump_json()}})
    found = ask(api, lambda cluster: recent_failures(cluster, "shop", 50.0))
    assert [(release, each.at, each.verdict) for release, each in found] == [
        ("helm/shop", 90.0, Verdict.FAIL),
        ("helm/web", 100.0, Verdict.FAIL),
    ]


class TestClaims:
    """Two analyses of one release: the first to write that it takes it back is the one that does."""

    OURS = judged(analysis="a1", action="rollback")
    THEIRS = judged(analysis="b2", action="rollback", at=101.0)

    def test_a_claim_is_not_written_over(self, api: FakeApi) -> None:
        write(api, self.OURS, self.THEIRS, judged(analysis="b2", verdict="pass", at=102.0))
        assert read(api) == (self.OURS,)

    def test_who_has_it_goes_on_writing(self, api: FakeApi) -> None:
        done = self.OURS.model_copy(update={"action": "rollback done, recovered"})
        write(api, self.OURS, done)
        assert read(api) == (done,)

    @pytest.mark.parametrize(
        "released", [{"action": "rollback failed"}, {"action": "rollback held by storm"}, {"action": "none"}]
    )
    def test_what_was_not_done_is_free_again(self, api: FakeApi, released: dict[str, str]) -> None:
        write(api, self.OURS.model_copy(update=released), self.THEIRS)
        assert read(api) == (self.THEIRS,)

    def test_a_claim_of_the_dead_does_not_hold_for_ever(self, api: FakeApi) -> None:
        late = self.THEIRS.model_copy(update={"at": 100.0 + 1201})
        write(api, self.OURS, late)
        assert read(api) == (late,)

    def test_it_is_of_one_revision_and_manifest(self) -> None:
        assert claim([self.OURS], "2", "sha256:aa", 101.0) == self.OURS
        assert claim([self.OURS], "3", "sha256:aa", 101.0) is None
        assert claim([self.OURS], "2", "sha256:bb", 101.0) is None

    def test_of_two_at_the_same_time_one_has_it(self, api: FakeApi) -> None:
        async def both(cluster: Cluster) -> tuple[Judged, ...]:
            verdicts = Verdicts(cluster, "shop", "web")
            await asyncio.gather(verdicts.write(self.OURS), verdicts.write(self.THEIRS))
            return await verdicts.read()

        (kept,) = ask(api, both)
        assert kept in {self.OURS, self.THEIRS}
