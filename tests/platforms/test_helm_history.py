"""What a Helm release's history tells: tables, and the recordings of the real ones."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.errors import PlatformError
from analyzer.model.report import Verdict
from analyzer.model.target import Revision
from analyzer.platforms.helm_history import (
    Entry,
    labels,
    last_known_good,
    no_way_back,
    once_deployed,
    parse_history,
    rolled_back_to,
    served_until,
    wanted_entry,
)

RECORDED = Path(__file__).parent / "recorded"

# One word per revision, the first is revision 1 unless the row says otherwise.
WORDS = {
    "installed": ("superseded", "Install complete"),
    "upgraded": ("superseded", "Upgrade complete"),
    "own-words": ("superseded", "Release 2025-11 of the shop"),
    "deployed": ("deployed", "Upgrade complete"),
    "install-failed": ("failed", 'Release "web" failed: timed out waiting for the condition'),
    "install-failed-then-superseded": ("superseded", 'Release "web" failed: timed out waiting for the condition'),
    "back-timed-out-then-superseded": ("superseded", 'Release "web" failed: context deadline exceeded'),
    "upgrade-failed": ("failed", 'Upgrade "web" failed: context deadline exceeded'),
    "upgrade-failed-then-superseded": ("superseded", 'Upgrade "web" failed: two\nlines'),
    "render-failed": ("superseded", "failed to render resource: no such value"),
    "install-killed": ("pending-install", "Initial install underway"),
    "upgrade-killed": ("pending-upgrade", "Preparing upgrade"),
    "upgrade-killed-then-superseded": ("superseded", "Preparing upgrade"),
    "back-to-1": ("superseded", "Rollback to 1"),
    "back-to-2": ("superseded", "Rollback to 2"),
    "back-to-3": ("superseded", "Rollback to 3"),
    "back-failed": ("failed", 'Rollback "web" failed: cannot patch'),
    "back-killed": ("pending-rollback", "Rollback to 2"),
    "uninstalled": ("uninstalled", "Uninstallation complete"),
}


PRUNED = (
    "Helm still keeps of release web, the earlier ones are pruned; "
    "raise --history-max (HELM_MAX_HISTORY) for the next upgrades"
)
NONE_GOOD = "none of the earlier revisions that Helm keeps of release web is known to be good:"


def history(words: str, first: int = 1) -> list[Entry]:
    return [
        Entry(revision=number, status=WORDS[word][0], description=WORDS[word][1])
        for number, word in enumerate(words.split(), start=first)
    ]


@pytest.mark.parametrize(
    ("words", "first", "good"),
    [
        ("installed deployed", 1, 1),
        ("installed upgraded deployed", 1, 2),
        ("installed own-words deployed", 1, 2),  # helm upgrade --description
        ("installed upgraded upgrade-failed", 1, 2),
        ("installed upgraded upgrade-killed", 1, 2),
        ("installed upgraded upgrade-failed deployed", 1, 2),
        ("installed upgraded upgrade-failed upgrade-failed deployed", 1, 2),
        ("upgraded deployed", 41, 41),  # the rest is pruned
        # Superseded, and yet never deployed.
        ("install-failed-then-superseded deployed", 1, None),
        ("installed upgrade-failed-then-superseded deployed", 1, 1),
        ("installed upgrade-killed-then-superseded deployed", 1, 1),
        ("render-failed deployed", 1, None),
        # A rollback's revision is as good as any.
        ("installed upgraded back-to-1 deployed", 1, 3),
        # What somebody went back from is not good, even if going back failed and left it as the newest deployed.
        ("installed upgraded back-failed deployed", 1, 1),
        ("installed upgraded back-to-1", 1, 1),
        ("installed upgraded back-timed-out-then-superseded deployed", 1, 1),
        ("installed upgraded upgraded back-to-1 back-failed deployed", 1, 2),
        # One that was killed on its way back is no revision to go to.
        ("installed upgraded upgraded back-killed", 1, 2),
        # Forth again is not back.
        ("installed upgraded back-to-1 back-to-2 deployed", 1, 4),
        # Nothing.
        ("deployed", 1, None),
        ("deployed", 7, None),
        ("install-failed", 1, None),
        ("install-killed", 1, None),
        ("install-failed upgrade-failed", 1, None),
        ("installed back-failed deployed", 2, None),
    ],
)
def test_last_known_good(words: str, first: int, good: int | None) -> None:
    found = last_known_good(history(words, first))
    assert (found.revision if found else None) == good


@pytest.mark.parametrize(
    ("words", "first", "sentence"),
    [
        ("installed deployed", 1, ""),
        ("deployed", 1, "release web has only just been installed: revision 1 has nothing before it to go back to"),
        ("deployed", 7, f"revision 7 is the only one that {PRUNED}"),
        ("install-failed-then-superseded deployed", 1, f"{NONE_GOOD} 1 (superseded, never deployed)"),
        (
            "upgrade-failed upgraded back-failed deployed",
            4,
            f"{NONE_GOOD} 4 (failed, never deployed), 5 (taken back), 6 (failed, never deployed)",
        ),
    ],
)
def test_no_way_back_says_why(words: str, first: int, sentence: str) -> None:
    assert no_way_back(history(words, first), "web") == sentence


@given(st.lists(st.sampled_from(sorted(WORDS)), min_size=1, max_size=12), st.integers(1, 300))
def test_there_is_a_way_back_or_a_reason(words: list[str], first: int) -> None:
    entries = history(" ".join(words), first)
    good = last_known_good(entries)
    assert bool(good) != bool(no_way_back(entries, "web"))
    if good:
        assert good.revision < entries[-1].revision
        assert once_deployed(good)


@pytest.mark.parametrize(
    ("revision", "status", "description", "rollback_revision", "restored"),
    [
        (1, "deployed", "Install complete", 0, None),
        (2, "deployed", "Upgrade complete", 0, None),
        (3, "deployed", "Rollback to 1", 0, 1),
        (30, "superseded", "Rollback to 12", 0, 12),
        (3, "deployed", "back to the old one", 1, 1),  # Helm 4: rollback --description
        (3, "failed", 'Rollback "web" failed: cannot patch', 0, 0),
        (3, "failed", 'Release "web" failed: context deadline exceeded', 0, 0),  # Helm 3: rollback --wait
        (1, "failed", 'Release "web" failed: context deadline exceeded', 0, None),
        (3, "pending-rollback", "on its way", 0, 0),
        (3, "failed", 'Upgrade "web" failed: Rollback to 1 is what I would do', 0, None),
    ],
)
def test_rolled_back_to(
    revision: int, status: str, description: str, rollback_revision: int, restored: int | None
) -> None:
    entry = Entry(revision=revision, status=status, description=description, rollback_revision=rollback_revision)
    assert rolled_back_to(entry) == restored


# What the recording script has done, and what must be read from it.
@pytest.mark.parametrize("version", ["helm3", "helm4"])
@pytest.mark.parametrize(
    ("name", "current", "status", "good", "back"),
    [
        ("history-installed", 1, "deployed", None, None),
        ("history-upgraded", 2, "deployed", 1, None),
        ("history-same-pods", 3, "deployed", 2, None),
        ("history-failed", 4, "failed", 3, None),
        ("history-rolled-back", 5, "deployed", 3, 3),
        ("history-rollback-timed-out", 6, "failed", 3, {"helm3": 0, "helm4": 2}),
        ("history-rollback-failed", 7, "failed", 3, {"helm3": 0, "helm4": 1}),
        ("history-pending-upgrade", 8, "pending-upgrade", 3, None),
        ("history-pending-rollback", 9, "pending-rollback", 3, 2),
        ("history-after-pending", 10, "deployed", 3, 2),
        ("history-pruned", 11, "deployed", 10, None),
        ("history-never-deployed", 2, "deployed", None, None),
    ],
)
def test_the_recorded_histories(
    version: str, name: str, current: int, status: str, good: int | None, back: object
) -> None:
    entries = parse_history(json.loads((RECORDED / version / f"{name}.json").read_text())["stdout"])
    newest, found = entries[-1], last_known_good(entries)
    assert (newest.revision, newest.status) == (current, status)
    assert (found.revision if found else None) == good
    assert rolled_back_to(newest) == (back[version] if isinstance(back, dict) else back)
    assert newest.as_revision().deployed_at is not None
    assert (newest.chart, newest.app_version) == ("shop-0.1.0", "1.0")


def test_a_revision_keeps_helms_words_and_nanoseconds_do_not_matter() -> None:
    text = json.dumps(
        [
            {
                "revision": 2,
                "updated": "2026-02-03T04:05:06.123456789+01:00",
                "status": "deployed",
                "chart": "web-1.2.3",
                "app_version": "7",
                "description": "Upgrade complete",
                "something_new": [1, 2],
            },
            {"revision": 1, "updated": "", "status": "superseded", "chart": "MISSING", "app_version": "MISSING"},
        ]
    )
    first, second = parse_history(text)  # oldest first, however they were printed
    assert (first.revision, first.as_revision().deployed_at) == (1, None)
    revision = second.as_revision("sha256:1")
    assert revision.model_dump() == {
        "number": "2",
        "status": "deployed",
        "deployed_at": pytest.approx(1770087906.123456),
        "chart": "web-1.2.3",
        "app_version": "7",
        "description": "Upgrade complete",
        "digest": "sha256:1",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "Invalid JSON"),
        ("REVISION  UPDATED  STATUS", "Invalid JSON"),
        ('[{"revision": 1, "sta', "Invalid JSON"),
        ('{"revision": 1}', "Input should be a valid array"),
        ('[{"revision": "one", "status": "deployed"}]', "0.revision: Input should be a valid integer"),
        ('[{"revision": 1}]', "0.status: Field required"),
        ("null", "Input should be a valid array"),
        ("[]", "printed no revision at all"),
    ],
)
def test_what_is_no_history_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(PlatformError) as caught:
        parse_history(text)
    assert sentence in str(caught.value)
    assert str(caught.value).startswith("helm history ")
    assert str(caught.value).endswith("is the program that was found really Helm?")
    assert "\n" not in str(caught.value)


def test_labels_that_tell_the_revisions_apart() -> None:
    new = Revision(number="7", chart="web-1.2.0", app_version="2.0")
    old = Revision(number="6", chart="web-1.2.0", app_version="1.9")
    told = labels(new, old)
    assert told["revision"] == ("7", "6")
    assert told["version"] == ("2.0", "1.9")
    assert "chart" not in told, "the same chart tells nothing"


PASS, FAIL, NEITHER = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("words", "verdicts", "good"),
    [
        ("installed upgraded deployed", {}, 2),
        ("installed upgraded deployed", {2: FAIL}, 1),
        ("installed upgraded deployed", {2: NEITHER}, 2),
        ("installed upgraded deployed", {1: PASS}, 1),
        ("installed upgraded deployed", {1: PASS, 2: NEITHER}, 1),
        ("installed upgraded deployed", {1: PASS, 2: PASS}, 2),
        ("installed upgraded deployed", {1: FAIL, 2: FAIL}, None),
        ("installed upgraded deployed", {3: FAIL}, 2),  # of the current one
        # What passed and was taken back, or never came out, is no way back all the same.
        ("installed upgraded back-to-1 deployed", {2: PASS}, 3),
        ("installed upgrade-failed deployed", {2: PASS}, 1),
        ("installed", {1: PASS}, None),
    ],
)
def test_verdicts_choose_the_last_known_good(words: str, verdicts: dict[int, Verdict], good: int | None) -> None:
    found = last_known_good(history(words), verdicts)
    assert (found.revision if found else None) == good


@pytest.mark.parametrize(
    ("number", "found", "sentence"),
    [
        (None, 2, ""),
        (1, 1, ""),
        (3, None, "Helm does not keep revision 3 of release web before the current one; it keeps 1, 2"),
        (99, None, "Helm does not keep revision 99 of release web before the current one; it keeps 1, 2"),
    ],
)
def test_a_revision_that_is_asked_for(number: int | None, found: int | None, sentence: str) -> None:
    entries = history("installed upgraded deployed")
    wanted = wanted_entry(entries, number, {1: FAIL})
    assert (wanted.revision if wanted else None) == found
    assert no_way_back(entries, "web", number, {1: FAIL}) == sentence


def test_a_revision_that_is_asked_for_of_one_alone() -> None:
    assert no_way_back(history("deployed"), "web", 1).endswith("before the current one; it keeps none")


def test_judged_bad_is_a_reason() -> None:
    entries = history("installed install-failed-then-superseded deployed")
    told = no_way_back(entries, "web", None, {1: FAIL, 2: FAIL})
    assert told.endswith("1 (judged bad), 2 (superseded, never deployed)")


def test_until_when_the_wanted_revision_served() -> None:
    entries = [
        entry.model_copy(update={"updated": datetime(2026, 1, entry.revision, tzinfo=UTC)})
        for entry in history("installed upgraded upgraded deployed")
    ]
    assert served_until(entries, entries[0]) == datetime(2026, 1, 2, tzinfo=UTC).timestamp()
    assert served_until(entries, entries[1]) == datetime(2026, 1, 3, tzinfo=UTC).timestamp()
    assert served_until(entries, entries[2]) is None, "the current one has replaced it"
