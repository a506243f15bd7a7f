"""Settings out of flags, environment and a YAML file, in this order; what none of them says has its default.

Mappings are merged key by key, lists replaced. Every mistake is told with the place that it comes from: the flag, the
variable, or the file with its line.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path as File
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource

from analyzer.errors import Mistake, RuleSetError, UsageError
from analyzer.model.outline import Outline, child, outline
from analyzer.service.keys import Path, dotted, exists, has, parsed
from analyzer.service.wording import sentences, unknown

_Model = TypeVar("_Model", bound=BaseModel)
Expand = Callable[[Mapping[str, object]], dict[str, object]]
"""Writes the short forms of one layer out."""

PREFIX = "CANARY_"
"""What the names of variables begin with."""
LARGEST = 2**20
"""Bytes of a settings file."""


@dataclass(frozen=True)
class Layer:
    """What one source of settings says. `places` says of each of its keys where it stands, for people."""

    values: Mapping[str, object] = field(default_factory=dict)
    places: Mapping[Path, str] = field(default_factory=dict)
    in_file: bool = False

    def place(self, path: Path) -> str:
        """Where a value comes from: where it stands itself, or what is around it, or the first within it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.places:
                return self.places[path[:length]]
        return next((place for given, place in self.places.items() if given[: len(path)] == path), "")


def configured(
    model: type[_Model],
    file: File | None,
    environment: Mapping[str, tuple[str, str]],
    flags: Mapping[str, tuple[str, object]],
    expand: Expand,
) -> _Model:
    """The model from these sources.

    `environment` has variables, by name, with the key that each sets and its value; `flags` has values by key, each
    with the flag's name.

    Raises:
        UsageError: every mistake, a line each.
    """
    mistakes: list[str] = []
    layers = [
        Layer(_nested(flags), {parsed(key): name for key, (name, _) in flags.items()}),
        read_environment(model, environment, mistakes),
        read_file(file, mistakes) if file else Layer(),
    ]
    layers = [replace(layer, values=expand(layer.values)) for layer in layers]
    merged: dict[str, object] = {}
    for layer in reversed(layers):
        merged = _over(merged, layer.values)
    try:
        found = model.model_validate(merged)
    except ValidationError as error:
        for path, message in sentences(model, error):
            mistakes.append(_told(layers, path, message))
        found = None
    if mistakes or found is None:
        raise UsageError("\n".join(dict.fromkeys(mistakes)))
    return found


def _nested(flags: Mapping[str, tuple[str, object]]) -> dict[str, object]:
    values: dict[str, object] = {}
    for key, (_, value) in flags.items():
        for part in reversed(parsed(key)):
            value = {str(part): value}  # noqa: PLW2901 -- wrapped from the inside
        values = _over(values, cast("dict[str, object]", value))
    return values


def _over(below: Mapping[str, object], above: Mapping[str, object]) -> dict[str, object]:
    """Both, merged: what stands above counts."""
    merged = dict(below)
    for name, value in above.items():
        under = merged.get(name)
        both = isinstance(under, Mapping) and isinstance(value, Mapping)
        merged[name] = _over(under, value) if both else value  # type: ignore[arg-type] # both are mappings
    return merged


def _told(layers: Sequence[Layer], path: Path, message: str) -> str:
    """A mistake with its place: that of the value itself; if there is none, that of the mapping where it is missing."""
    key = dotted(path)
    for length in range(len(path), 0, -1):
        for layer in layers if length == len(path) else reversed(layers):
            if has(layer.values, path[:length]) and (place := layer.place(path[:length])):
                sets_just_this = layer.places.get(path) == place and not layer.in_file
                return str(Mistake(place, 0, "" if sets_just_this else key, message))
    return str(Mistake(key, 0, "", message)) if key else message


# The file


def read_file(file: File, mistakes: list[str]) -> Layer:
    """What a file says; keys that stand there twice are added to the mistakes.

    Raises:
        UsageError: it cannot be read as YAML, or at all.
    """
    text = _text(file)
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return Layer()
    try:
        read, twice = outline(text, str(file))
    except RuleSetError as error:
        raise UsageError("\n".join(_of_settings(mistake) for mistake in error.mistakes)) from None
    mistakes += [str(mistake) for mistake in twice]
    if not isinstance(read.value, dict):
        raise UsageError(f"{file}: settings are a mapping, such as listen: {{port: 8080}}; something else stands here")
    return Layer(
        read.value, {path: f"{file}:{read.lines[key]}" for path, key in _every(read.value, (), "", read)}, True
    )


def _text(file: File) -> str:
    try:
        with file.open("rb") as opened:
            data = opened.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise UsageError(f"{file}: is larger than 1 MiB: this is no settings file")
        return data.decode()
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no such file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{file}: is not UTF-8: save the file as UTF-8 text") from None
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise UsageError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _of_settings(mistake: Mistake) -> str:
    """The reader of YAML speaks of rule sets, which it was made for."""
    message = mistake.message
    for theirs, ours in (
        ("one rule set a file", "all settings into one"),
        ("the rule set itself", "a key"),
        ("a rule set", "a settings file"),
    ):
        message = message.replace(theirs, ours)
    return str(Mistake(mistake.file, mistake.line, mistake.key, message))


def _every(value: object, path: Path, key: str, read: Outline) -> Iterator[tuple[Path, str]]:
    """Each place of an outline's value, with its key in the outline."""
    if path and key in read.lines:
        yield path, key
    items: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in items:
        yield from _every(each, (*path, name), child(key, name), read)


# Variables


class _Environment(EnvSettingsSource):
    """A value is JSON only if it begins like a list or a mapping; everything else is a text."""

    def decode_complex_value(self, field_name: str, field: Any, value: Any) -> Any:  # noqa: ANN401, ARG002 -- the library's
        return json.loads(value) if _is_json(value) else value


def variable(key: str) -> str:
    """The variable of a key: that of `listen.port` is `CANARY_LISTEN__PORT`."""
    return PREFIX + "__".join(str(part) for part in parsed(key)).upper()


def key_of(name: str) -> str:
    """The key of a variable."""
    return ".".join(name.removeprefix(PREFIX).lower().split("__"))


def read_environment(model: type[BaseModel], environment: Mapping[str, tuple[str, str]], mistakes: list[str]) -> Layer:
    """What variables say; those that say nothing that can be used are added to the mistakes."""
    taken: dict[Path, tuple[str, str]] = {}
    for name, (key, value) in sorted(environment.items()):
        path = parsed(key)
        if complaint := _complaint(model, path, value) or _clash(taken, path):
            mistakes.append(f"{name}: {complaint}")
        else:
            taken[path] = (name, value)
    source = _Environment(
        cast("type[BaseSettings]", model), case_sensitive=False, env_prefix=PREFIX, env_nested_delimiter="__"
    )
    source.env_vars = {variable(dotted(path)).lower(): value for path, (_, value) in taken.items()}
    return Layer(source(), {path: name for path, (name, _) in taken.items()})


def _complaint(model: type[BaseModel], path: Path, value: str) -> str:
    if not exists(model, path):
        return unknown(model, path, variable)
    if _is_json(value):
        try:
            json.loads(value)
        except (ValueError, RecursionError):
            return 'begins like JSON, and is none: write ["one", "two"] or {"name": "value"}'
    return ""


def _clash(taken: Mapping[Path, tuple[str, str]], path: Path) -> str:
    """The library would drop one of the two without a word."""
    for other, (its_name, value) in taken.items():
        shorter, longer = sorted((path, other), key=len)
        if longer[: len(shorter)] == shorter and not (len(other) < len(path) and _is_json(value)):
            return f"{its_name} sets the same key: keep one of them"
    return ""


def _is_json(value: object) -> bool:
    return isinstance(value, str) and value.lstrip()[:1] in {"[", "{"}
