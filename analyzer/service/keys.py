"""Which keys a model of settings has, at any depth. A mapping with names of the user's own has the key `NAME`."""

from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, TypeGuard, Union, get_args, get_origin

from pydantic import BaseModel

Path = tuple[str | int, ...]
"""Where a value stands: names, and indices of lists."""
NAME = "NAME"
"""Stands for a name of the user's own."""


def keys_at(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The keys that are known at this place; none where no mapping is meant, or one with names of the user's own."""
    current: object = model
    for part in path:
        current = _below(current, part)
    current = _bare(current)
    return tuple(current.model_fields) if _is_model(current) else ()


def exists(model: type[BaseModel], path: Path) -> bool:
    """Whether there is such a place."""
    current: object = model
    for part in path:
        current = _below(current, part)
        if current is None:
            return False
    return True


def every_key(model: type[BaseModel]) -> Iterator[str]:
    """Every key of the model that holds a value, such as `listen.port` and `prometheus.NAME.url`. A part that stands in
    itself, as routes do, is one key the second time."""
    yield from _keys(model, "", ())


def dotted(path: Sequence[str | int]) -> str:
    """A place as people write it: `access.service_accounts.grants[0].role`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parsed(key: str) -> Path:
    """The place of a key without lists."""
    return tuple(key.split("."))


def _keys(annotation: object, key: str, around: tuple[object, ...]) -> Iterator[str]:
    bare = _bare(annotation)
    if _is_model(bare) and bare not in around:
        for name, field in bare.model_fields.items():
            yield from _keys(field.annotation, f"{key}.{name}" if key else name, (*around, bare))
    elif get_origin(bare) is dict and _is_model(_bare(get_args(bare)[1])):
        yield from _keys(get_args(bare)[1], f"{key}.{NAME}", around)
    elif get_origin(bare) is tuple and _is_model(_bare(get_args(bare)[0])):
        yield from _keys(get_args(bare)[0], f"{key}[]", around)
    else:
        yield key


def _below(annotation: object, part: str | int) -> object:
    bare = _bare(annotation)
    if _is_model(bare):
        field = bare.model_fields.get(str(part))
        return field.annotation if field else None
    if get_origin(bare) is dict:
        return get_args(bare)[1]
    return get_args(bare)[0] if get_origin(bare) in {list, tuple} else None


def _bare(annotation: object) -> Any:  # noqa: ANN401 -- whatever types a model is annotated with
    """An annotation without `Annotated` and without `| None`."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return next((_bare(part) for part in get_args(annotation) if part is not NoneType), None)
    return annotation


def _is_model(annotation: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def has(values: object, path: Path) -> bool:
    """Whether there is a value at this place of nested mappings and lists."""
    current = values
    for part in path:
        in_mapping = isinstance(current, Mapping) and part in current
        if not in_mapping and not (isinstance(current, list) and isinstance(part, int) and part < len(current)):
            return False
        current = current[part]  # type: ignore[index] # a mapping with it, or a list that is long enough
    return True
