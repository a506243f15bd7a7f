"""Every error that the analyzer raises on purpose. Each carries one sentence for a person.

CanaryError
├── UsageError              what the caller gave cannot be used; exit code 2
│   └── RuleSetError        mistakes in a rule set, each with file, line and key
├── TooManyAnalyses         as many analyses run in that namespace as may; try again
├── RecordError             a recording that cannot be read; exit code 2
├── SourceError             a source of readings did not answer as it should
│   ├── QueryRefused        it answered, and refuses this query for good (4xx, bad PromQL, no rights)
│   ├── SourceUnavailable   it cannot be reached now, or says to come back later; try again
│   └── MalformedAnswer     what it answered is not what the Prometheus API promises
├── PlatformError           the platform (Helm, a command) did not do what was asked
│   ├── PlatformUnavailable it cannot be reached now; try again
│   ├── PlatformForbidden   it does not allow that; the sentence names the missing permission
│   ├── PlatformConflict    something else has changed the object at the same time
│   ├── NoRelease           there is no such release, or not that revision of it
│   └── NoWayBack           there is no revision to go back to
├── StoreError              the database did not do what was asked
│   ├── StoreUnavailable    it cannot be reached or written now; try again
│   │   └── StoreFull       its disk is full
│   ├── StoreUnusable       it may not be written, or is damaged; somebody has to mend it
│   ├── LeaseLost           another process works on this analysis now, or it is over; stop
│   └── NoAnalysis          there is no such analysis
└── DemoError               a part of the demo could not be started
"""

from dataclasses import dataclass


class CanaryError(Exception):
    """The base of all errors raised on purpose; `str(error)` is the sentence for the user."""


class UsageError(CanaryError):
    """What the caller gave (flags, files, values) cannot be used."""


class TooManyAnalyses(CanaryError):  # noqa: N818 -- named after what is, as the tree above reads
    """As many analyses run in a namespace as may. Ordering another one later may help."""


@dataclass(frozen=True)
class Mistake:
    """One mistake in a rule set.

    `line` counts from 1; 0 means that the place is not known. `key` is the dotted path, such as `spec.rules[0].limit`.
    """

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        text = f"{place}: {self.key}: {self.message}" if self.key else f"{place}: {self.message}"
        # One line, whatever stands in the file: in CI a line of its own could be a command to the workflow's runner.
        return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)


class RuleSetError(UsageError):
    """A rule set with mistakes; `mistakes` holds at least one."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = mistakes


class RecordError(CanaryError):
    """A recording cannot be read: not a recording, a later format, cut off in its middle, or changed by hand."""


class SourceError(CanaryError):
    """A source of readings did not answer as it should."""


class QueryRefused(SourceError):  # noqa: N818 -- named after what happened, as the tree above reads
    """The source refuses this query for good: bad PromQL, 4xx, missing rights. Asking again will not help."""


class SourceUnavailable(SourceError):  # noqa: N818 -- as above
    """The source cannot be reached now or is overloaded. Asking again later may help.

    `kind` says which of the absences of `analyzer.model.reading.Absence` it is (its value, such as "timeout").
    """

    def __init__(self, message: str, kind: str = "unreachable") -> None:
        super().__init__(message)
        self.kind = kind


class MalformedAnswer(SourceError):  # noqa: N818 -- as above
    """The answer is not what the API promises: not JSON, cut off, or of another shape."""


class PlatformError(CanaryError):
    """The platform did not do what was asked."""


class PlatformUnavailable(PlatformError):  # noqa: N818 -- as above
    """The platform cannot be reached now. Asking again later may help."""


class PlatformForbidden(PlatformError):  # noqa: N818 -- as above
    """The platform does not allow that. Asking again will not help until somebody grants it."""


class PlatformConflict(PlatformError):  # noqa: N818 -- as above
    """Something else has changed the same object in the meantime, or it is there already."""


class NoRelease(PlatformError):  # noqa: N818 -- as above
    """There is no such release, or not the revision of it that was asked for."""


class NoWayBack(PlatformError):  # noqa: N818 -- as above
    """There is no revision to go back to."""


class StoreError(CanaryError):
    """The database did not do what was asked, and will not when it is asked again."""


class StoreUnavailable(StoreError):  # noqa: N818 -- named after what happened, as the tree above reads
    """The database cannot be reached or written now. Asking again later may help."""


class StoreFull(StoreUnavailable):
    """The database's disk is full. Nothing of what was asked is kept until there is room."""


class StoreUnusable(StoreError):  # noqa: N818 -- as above
    """The database may not be written, or is damaged. Nothing is kept until somebody has mended it."""


class LeaseLost(StoreError):  # noqa: N818 -- as above
    """Another process works on this analysis now, or it is over: whoever hears this is to stop, and to do nothing."""


class NoAnalysis(StoreError):  # noqa: N818 -- as above
    """There is no such analysis: never ordered, or pruned."""


class DemoError(CanaryError):
    """A part of the demo could not be started."""
