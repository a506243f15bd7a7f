"""The words of `canary upgrade`: which are helm's, which are ours, and what helm's say about the way back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import UsageError
from analyzer.platforms.helm_flags import apart
from analyzer.platforms.helm_program import RollbackOptions
from analyzer.platforms.helm_upgrade import read_upgrade

OURS = {"--rules": True, "--namespace": True, "-n": True, "--values": True, "-f": True, "--no-action": False}


@pytest.mark.parametrize(
    ("words", "own", "helms"),
    [
        ("web ./chart --rules http", "--rules http -- web ./chart", ""),
        ("--install web ./chart", "-- web ./chart", "--install"),
        ("-i web --set a=b ./chart --rules=http", "--rules http -- web ./chart", "-i --set a=b"),
        ("web ./chart --set a=b --set-string c=d --set e=f", "-- web ./chart", "--set a=b --set-string c=d --set e=f"),
        ("web ./chart --set=a=b", "-- web ./chart", "--set=a=b"),
        ("-f a.yaml web -f b.yaml ./chart", "-f a.yaml -f b.yaml -- web ./chart", ""),
        ("-fa.yaml -f=b.yaml --values=c.yaml", "-f a.yaml -f b.yaml --values c.yaml", ""),
        ("-n shop", "-n shop", ""),
        ("-nshop", "-n shop", ""),
        ("-n=shop", "-n shop", ""),
        ("--namespace=", "--namespace ", ""),
        # A value may look like a flag.
        ("--description --rules", "", "--description --rules"),
        ("--description -n", "", "--description -n"),
        ("--set --timeout=1s", "", "--set --timeout=1s"),
        ("--post-renderer-args -f --post-renderer-args --no-action", "", None),
        ("--rules --atomic", "--rules --atomic", ""),
        # Short flags in one word.
        ("-ojson", "", "-ojson"),
        ("-o json", "", "-o json"),
        ("-lowner=nobody", "", "-lowner=nobody"),
        ("-if a.yaml", "-f a.yaml", "-i"),
        ("-in shop", "-n shop", "-i"),
        ("-i=true", "", "-i=true"),
        # What takes no next word leaves it alone.
        ("--dry-run web ./chart", "-- web ./chart", "--dry-run"),
        ("--wait web ./chart", "-- web ./chart", "--wait"),
        ("--atomic web ./chart --no-action", "--no-action -- web ./chart", "--atomic"),
        ("--new-flag=x web", "-- web", "--new-flag=x"),
        ("-- web --rules", "-- web --rules", ""),
        ("web -", "-- web -", ""),
        # Nothing stands where a value should.
        ("web --set", "-- web", "--set"),
        ("web --rules", "--rules -- web", ""),
        ("web -n", "-n -- web", ""),
        ("", "", ""),
    ],
)
def test_whose_words_are_whose(words: str, own: str, helms: str | None) -> None:
    expected = (own.split(" ") if own else [], words.split() if helms is None else helms.split())
    assert apart(words.split(), OURS) == expected


@given(st.lists(st.sampled_from(["web", "-i", "--set", "a=b", "-n", "--rules", "-f", "--", "-", "--x=1", "--atomic"])))
def test_no_word_is_lost_or_moved(words: list[str]) -> None:
    own, helms = apart(words, OURS)
    left = iter(words)
    assert all(word in left for word in helms), "helm's words are in their order"
    everything = [word for word in (*own, *helms) if word != "--"]
    assert sorted(everything) == sorted(word for word in words if word != "--")


DEFAULT = RollbackOptions()


def read(words: str) -> tuple[RollbackOptions, tuple[str, ...]]:
    upgrade = read_upgrade("./chart", words.split())
    return upgrade.rollback, upgrade.words


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("", DEFAULT),
        ("--timeout=90s", RollbackOptions(timeout=90)),
        ("--timeout 1m30s", RollbackOptions(timeout=90)),
        ("--timeout 1h0m0.5s", RollbackOptions(timeout=3600.5)),
        ("--timeout 1500ms", RollbackOptions(timeout=1.5)),
        ("--timeout .5m --timeout 10s", RollbackOptions(timeout=10)),
        ("--no-hooks", RollbackOptions(hooks=False)),
        ("--no-hooks=true", RollbackOptions(hooks=False)),
        ("--no-hooks=false", DEFAULT),
        ("--no-hooks --no-hooks=F", DEFAULT),
        ("--cleanup-on-fail", RollbackOptions(cleanup_on_fail=True)),
        ("--cleanup-on-fail=0", DEFAULT),
        ("--cleanup-on-fail=1", RollbackOptions(cleanup_on_fail=True)),
        ("--force-conflicts=True", RollbackOptions(force_conflicts=True)),
        ("--history-max 5", RollbackOptions(history_max=5)),
        ("--history-max=0", RollbackOptions(history_max=0)),
        # These are values of other flags.
        ("--description --no-hooks", DEFAULT),
        ("--set --timeout=1s", DEFAULT),
        ("--post-renderer-args --history-max", DEFAULT),
    ],
)
def test_what_holds_for_the_way_back_too(words: str, options: RollbackOptions) -> None:
    assert read(words) == (options, tuple(words.split()))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--timeout", "--timeout '' is not a duration: write 5m or 1m30s"),
        ("--timeout 90", "--timeout '90' is not a duration"),
        ("--timeout=5 m", "--timeout '5' is not a duration"),
        ("--timeout -5m", "--timeout '-5m' is not a duration"),
        ("--timeout 1d", "--timeout '1d' is not a duration"),
        ("--timeout 0s", "--timeout '0s' is no time to wait for"),
        (f"--timeout {'9' * 400}h", "is no time to wait for"),
        ("--history-max ten", "--history-max 'ten' is not a number: write 10, or 0 for no limit"),
        ("--history-max", "--history-max '' is not a number"),
        ("--history-max=-1", "--history-max '-1' is not a number"),
        ("--kube-token=t", "--kube-token would hold for helm upgrade alone"),
        ("--kube-apiserver https://x", "--kube-apiserver would hold for helm upgrade alone"),
    ],
)
def test_what_cannot_be_read(words: str, sentence: str) -> None:
    with pytest.raises(UsageError) as raised:
        read(words)
    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("words", "later", "first"),
    [
        ("", "", ""),
        ("--install -i --install=true", "", ""),
        ("--install=false", "", ""),  # as the command promises
        ("--wait", "--wait", "--wait"),
        ("--atomic", "--wait", "--atomic"),
        ("--atomic=true --set a=b", "--set a=b --wait", "--set a=b --atomic"),
        ("--atomic=false", "", ""),
        ("--atomic --atomic=false", "", ""),
        ("--rollback-on-failure", "--wait", "--rollback-on-failure"),
        ("--atomic --wait", "--wait", "--wait --atomic"),
        ("--atomic --wait=true", "--wait=true", "--wait=true --atomic"),
        ("--atomic --wait=legacy", "--wait=legacy", "--wait=legacy --atomic"),
        ("--atomic --wait=false", "--wait=false --wait", "--wait=false --atomic"),
        ("--rollback-on-failure --wait=hookOnly", "--wait=hookOnly --wait", "--wait=hookOnly --rollback-on-failure"),
        ("--description --atomic", "--description --atomic", "--description --atomic"),
        ("--description --wait --atomic", "--description --wait --wait", "--description --wait --atomic"),
    ],
)
def test_what_helm_is_told(words: str, later: str, first: str) -> None:
    upgrade = read_upgrade("./chart", words.split())
    for expected, is_first in ((later, False), (first, True)):
        told = upgrade.arguments("web", first=is_first)
        assert told == ["upgrade", "--install", "web", "./chart", *expected.split()]


@pytest.mark.parametrize(
    ("words", "is_dry"),
    [
        ("", False),
        ("--dry-run", True),
        ("--dry-run=client", True),
        ("--dry-run=server", True),
        ("--dry-run=true", True),
        ("--dry-run=none", False),
        ("--dry-run=false", False),
        ("--description --dry-run", False),
    ],
)
def test_a_dry_run(words: str, is_dry: bool) -> None:
    assert read_upgrade("./chart", words.split()).is_dry_run is is_dry
