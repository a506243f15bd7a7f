"""The flags of `helm upgrade` as its parser reads them: which take the next word, and which are not its own. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

_TAKES_NEXT = frozenset(
    {
        *("--burst-limit", "--ca-file", "--cert-file", "--color", "--colour", "--content-cache", "--description"),
        *("--history-max", "--key-file", "--keyring", "--kube-apiserver", "--kube-as-group", "--kube-as-user"),
        *("--kube-ca-file", "--kube-context", "--kube-tls-server-name", "--kube-token", "--kubeconfig", "--labels"),
        *("--namespace", "--output", "--password", "--post-renderer", "--post-renderer-args", "--qps"),
        *("--registry-config", "--repo", "--repository-cache", "--repository-config", "--server-side", "--set"),
        *("--set-file", "--set-json", "--set-literal", "--set-string", "--timeout", "--username", "--values"),
        *("--version", "-f", "-l", "-n", "-o"),
    }
)
"""Of Helm 3 and 4; all others are booleans, or take a value by `=` alone."""


@dataclass(frozen=True)
class Flag:
    """One flag as it was written, in one word or two. Without a value its value is `true`; no name: a word that is no
    flag."""

    words: tuple[str, ...]
    name: str = ""
    value: str = "true"


def flags(words: Sequence[str], others: Mapping[str, bool] | None = None) -> Iterator[Flag]:
    """The flags and other words, in their order. `others` are flags that helm does not know, or that go before its
    own: whether each takes the next word."""
    known = dict.fromkeys(_TAKES_NEXT, True) | dict(others or {})
    left = iter(words)
    for word in left:
        if word == "--":
            yield from (Flag((each,)) for each in left)
        elif word.startswith("--"):
            name, equals, value = word.partition("=")
            yield _flag(name, value if equals else None, word, left, known)
        elif word.startswith("-") and word != "-":
            yield from _short(word, left, known)
        else:
            yield Flag((word,))


def _short(word: str, left: Iterator[str], known: Mapping[str, bool]) -> Iterator[Flag]:
    """Short flags may stand in one word; the value of the last one too, with `=` or without."""
    rest = word[1:]
    while rest:
        name, rest = f"-{rest[0]}", rest[1:]
        if rest.startswith("=") or (rest and known.get(name)):
            yield Flag((f"{name}{rest}",), name, rest.removeprefix("="))
            return
        yield _flag(name, None, name, iter(()) if rest else left, known)


def _flag(name: str, value: str | None, word: str, left: Iterator[str], known: Mapping[str, bool]) -> Flag:
    if value is None and known.get(name):
        following = next(left, None)
        return Flag((word,), name, "") if following is None else Flag((word, following), name, following)
    return Flag((word,), name, "true" if value is None else value)


def apart(words: Sequence[str], ours: Mapping[str, bool]) -> tuple[list[str], list[str]]:
    """Our own words and helm's, each in their order. `ours` are the names of our flags: whether each takes a value.

    What is no flag is ours: the release and the chart.
    """
    found = list(flags(words, ours))
    own = [_separate(each, takes_next=ours[each.name]) for each in found if each.name in ours]
    names = [each.words for each in found if not each.name]
    helms = [each.words for each in found if each.name and each.name not in ours]
    positional = ["--", *chain.from_iterable(names)] if names else []
    return [*chain.from_iterable(own), *positional], [*chain.from_iterable(helms)]


def _separate(flag: Flag, *, takes_next: bool) -> tuple[str, ...]:
    """With its value in a word of its own, so that `-n=shop` is as for helm."""
    return (flag.name, flag.value) if takes_next and flag.words != (flag.name,) else flag.words
