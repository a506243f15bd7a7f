"""A rule set as it stands in a file: read, checked as a whole, and every mistake told with its line.

All that can be told at once is: the mistakes of a document are collected, not thrown one by one. A file is refused
unread when it is no regular file or too big; a text when YAML in it could grow (see `outline`).
"""

import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from analyzer.errors import Mistake, RuleSetError
from analyzer.model.complaint import Complaint, describe
from analyzer.model.consistency import Parts, idle, inconsistencies
from analyzer.model.defaults import QUANTILE
from analyzer.model.outline import Outline, outline
from analyzer.model.parameters import fill, unused
from analyzer.model.ruleset import API_VERSION, HistogramMetric, MetricRule, Rule, RuleSet
from analyzer.model.suggestion import did_you_mean
from analyzer.model.validation import salvage, validate

MAX_BYTES = 1 << 20
"""The size of a rule set file, in bytes, beyond which it is not read."""

_STAGES = {"alpha": 0, "beta": 1, "": 2}
_KINDS = (
    (stat.S_ISDIR, "is a directory: name the file in it"),
    (stat.S_ISFIFO, "is a pipe: write the rule set into a file"),
    (stat.S_ISSOCK, "is a socket: name a file"),
    (stat.S_ISCHR, "is a device: name a file"),
    (stat.S_ISBLK, "is a device: name a file"),
)


@dataclass(frozen=True)
class Document:
    """A rule set with the places of its keys; `${…}` is not yet filled.

    `warnings` are what is allowed and does nothing, such as a metric that no rule uses.
    """

    rule_set: RuleSet
    file: str = "rules.yaml"
    warnings: tuple[Mistake, ...] = ()
    lines: Mapping[str, int] = field(default_factory=dict)

    def line(self, key: str) -> int:
        """The line of a key such as `spec.rules[0].limit`, or of the nearest one around it; 0 when there is none."""
        return _line(self.lines, key)

    def mistake(self, key: str, message: str) -> Mistake:
        """A mistake at this key, with its file and line."""
        return Mistake(self.file, self.line(key), key, message)

    def fill(self, overrides: Mapping[str, str]) -> RuleSet:
        """The rule set with every `${…}` filled; see `parameters.fill`.

        Raises:
            RuleSetError: a variable that nobody fills, or a value that does not fit its place; each with its line.
            UsageError: an override that nothing asks for.
        """
        return fill(self.rule_set, overrides, self.mistake)


def read_rule_file(path: str | Path) -> Document:
    """The rule set in a file.

    Raises:
        RuleSetError: the file cannot be read, or every mistake in it.
    """
    return read_rule_set(rule_text(path), str(path))


def rule_text(path: str | Path) -> str:
    """The text of a rule set file, not yet looked at.

    Raises:
        RuleSetError: the file cannot be read, or is none that could hold a rule set.
    """
    file = str(path)
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe without a writer does not block
    except FileNotFoundError:
        raise _refusal(file, "there is no such file") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise _refusal(file, f"cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    try:
        _refuse_unlike(os.fstat(descriptor), file)
        data = b""
        while len(data) <= MAX_BYTES and (more := os.read(descriptor, MAX_BYTES + 1 - len(data))):
            data += more
    except OSError as error:
        raise _refusal(file, f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise _refusal(file, "is larger than 1 MiB: this is not a rule set")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RuleSetError([Mistake(file, line, "", "is not UTF-8: save the file as UTF-8 text")]) from None


def read_rule_set(text: str, file: str = "rules.yaml") -> Document:
    """The rule set in a YAML text; `file` is how mistakes name it.

    Raises:
        RuleSetError: every mistake that can be told, in the order of lines.
    """
    if len(text) > MAX_BYTES:
        raise _refusal(file, f"is larger than 1 MiB ({len(text)} characters): this is not a rule set")
    read, mistakes = outline(text, file)
    _refuse_all(mistakes, read, file, _foreign(read.value))
    rule_set, complaints = validate(read)
    metrics, rules = salvage(read.value)
    if rule_set is not None:
        metrics, rules = dict(rule_set.spec.metrics), dict(enumerate(rule_set.spec.rules))
    parts = Parts(metrics, rules, _rules_of(read.value), rule_set.spec.schedule if rule_set else None)
    _refuse_all(mistakes, read, file, [*complaints, *inconsistencies(parts)], whatever=True)
    assert rule_set is not None
    document = Document(_completed(rule_set), file, (), read.lines)
    warnings = (document.mistake(key, message) for key, message in [*idle(rule_set), *unused(rule_set)])
    return Document(document.rule_set, file, tuple(warnings), read.lines)


def _refuse_unlike(status: os.stat_result, file: str) -> None:
    """Refuse what is no regular file, and one that is too large."""
    for is_kind, sentence in _KINDS:
        if is_kind(status.st_mode):
            raise _refusal(file, sentence)
    if status.st_size > MAX_BYTES:
        raise _refusal(file, f"is larger than 1 MiB ({status.st_size} bytes): this is not a rule set")


def _refusal(file: str, message: str) -> RuleSetError:
    return RuleSetError([Mistake(file, 0, "", message)])


def _refuse_all(
    mistakes: list[Mistake], read: Outline, file: str, complaints: Iterable[Complaint], *, whatever: bool = False
) -> None:
    """Raise all of them in the order of lines; what only YAML complains of waits until `whatever`."""
    found = dict.fromkeys(Mistake(file, _line(read.lines, key), key, message) for key, message in complaints)
    if found or (whatever and mistakes):
        raise RuleSetError(sorted([*mistakes, *found], key=lambda mistake: (mistake.line, mistake.key)))


def _line(lines: Mapping[str, int], key: str) -> int:
    while key and key not in lines:
        key = key[: max(key.rfind("."), key.rfind("["), 0)]
    return lines.get(key, 0)


def _foreign(value: object) -> list[Complaint]:
    """Why this is no rule set that is read here at all; then nothing else of it is worth telling."""
    if not isinstance(value, Mapping):
        found = "nothing" if value is None else describe(value)
        return [("", f"{found} stands here: a rule set is a mapping with apiVersion, kind, metadata and spec")]
    version, kind = value.get("apiVersion"), value.get("kind")
    complaints = []
    if version != API_VERSION:
        complaints.append(("apiVersion", _version(version)))
    if kind != "RuleSet":
        complaints.append(("kind", "is missing: write kind: RuleSet" if kind is None else _kind(kind)))
    return complaints


def _kind(kind: object) -> str:
    return f"{describe(kind)} stands here: a rule set says kind: RuleSet"


def _version(version: object) -> str:
    reads = f"this canary analyzer reads {API_VERSION}"
    if version is None:
        return f"is missing: write apiVersion: {API_VERSION}"
    group, _, name = str(version).rpartition("/")
    ours, _, current = API_VERSION.rpartition("/")
    asked, known = _age(name), _age(current)
    if group == ours and asked and known and asked > known:
        return f"{version} was written for a newer canary analyzer; {reads}: upgrade it, or write the older version"
    return f"{version!r} is not known: {reads}{did_you_mean(str(version), [API_VERSION])}"


def _age(version: str) -> tuple[int, int, int] | None:
    """Sorts v1alpha1 < v1alpha2 < v1beta1 < v1 < v2; None when it is no version."""
    match = re.fullmatch(r"v(\d{1,6})(?:(alpha|beta)(\d{1,6}))?", version)
    return (int(match[1]), _STAGES[match[2] or ""], int(match[3] or 0)) if match else None


def _rules_of(value: Mapping[str, object]) -> list[object]:
    """The rules as written; none when the metrics are not even a mapping, for then nothing can be said of them."""
    spec = value.get("spec")
    if not isinstance(spec, Mapping) or not isinstance(spec.get("metrics", {}), Mapping):
        return []
    rules = spec.get("rules")
    return rules if isinstance(rules, list) else []


def _completed(rule_set: RuleSet) -> RuleSet:
    """With the quantile that a rule of a histogram has when it names none: it is part of the rule's name."""
    spec = rule_set.spec

    def complete(rule: Rule) -> Rule:
        if not isinstance(rule, MetricRule) or rule.quantile is not None:
            return rule
        is_histogram = isinstance(spec.metrics[rule.metric], HistogramMetric)
        return rule.model_copy(update={"quantile": QUANTILE}) if is_histogram else rule

    return rule_set.model_copy(
        update={"spec": spec.model_copy(update={"rules": tuple(complete(rule) for rule in spec.rules)})}
    )
