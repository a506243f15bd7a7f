"""The migration trap: a rollback takes manifests back, not what a hook has done to a database. Pure."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ruamel.yaml.error import YAMLError

from analyzer.platforms.cluster import Object
from analyzer.platforms.helm_manifest import objects
from analyzer.platforms.migration_words import in_command, in_image, in_name, is_fixed

MIGRATION = "canary-analyzer.io/migration"
BACKWARD_COMPATIBLE = "canary-analyzer.io/backward-compatible"

_HOOK = "helm.sh/hook"
_WITH_UPGRADE = frozenset({"pre-upgrade", "post-upgrade"})
_WITH_INSTALL = frozenset({"pre-install", "post-install"})
_WITH_A_POD = frozenset({"Job", "Pod"})
_MISSHAPEN = (YAMLError, ValueError, AttributeError, TypeError)
_OF_A_CONTAINER = ("image", "command", "args", "env", "envFrom", "workingDir")


@lru_cache(maxsize=4)  # the same two are compared again and again, and large ones take seconds to parse
def trap(current: str, target: str, *, release: str = "", installed: bool = False) -> str:
    """Why going back from one revision to another may meet a database that it does not understand: a sentence, or "".

    `current` and `target` are what `helm get hooks` prints of the revision that has run and of the one to go back to;
    with what `helm get manifest` prints of each behind it, ConfigMaps and Secrets of the release that a hook uses are
    compared as well. `release` is the release's name: in the name of a Job it says nothing. `installed` is set when
    the current revision came by an install, so that its install hooks have run.
    """
    try:
        suspects = _suspects(tuple(objects(current)), _known(target), release, installed=installed)
    except _MISSHAPEN as error:
        return _unreadable(error, current, target)
    return _sentence(suspects) if suspects else ""


@dataclass(frozen=True)
class _Hook:
    """A hook with a pod: a Job, or a bare Pod."""

    kind: str
    name: str
    events: str
    annotations: Mapping[str, Any]  # the pod template's, and over them the hook's own
    spec: Mapping[str, Any]  # of the pod

    def __str__(self) -> str:
        return f"hook {self.kind} {self.name} ({self.events})"

    @property
    def containers(self) -> list[Mapping[str, Any]]:
        return [*(self.spec.get("initContainers") or ()), *(self.spec.get("containers") or ())]

    def says(self, annotation: str) -> str:
        """What its author says: `true`, `false`, another word, or nothing."""
        return str(self.annotations.get(annotation, "")).strip().lower()


def _hooks(found: tuple[Object, ...], events: frozenset[str]) -> Iterator[_Hook]:
    for each in found:
        metadata = each.get("metadata") or {}
        annotations = metadata.get("annotations") or {}
        told = [event.strip() for event in str(annotations.get(_HOOK, "")).split(",")]
        spec = each.get("spec") if events.intersection(told) else None
        if not isinstance(spec, dict) or each.get("kind") not in _WITH_A_POD:
            continue  # a ConfigMap, or an object of another's making
        template = {"spec": spec} if each.get("kind") == "Pod" else spec.get("template") or {}
        yield _Hook(
            kind=str(each.get("kind")),
            name=str(metadata.get("name") or metadata.get("generateName")),
            events=", ".join(event for event in told if event in events),
            annotations={**((template.get("metadata") or {}).get("annotations") or {}), **annotations},
            spec=template.get("spec") or {},
        )


def _suspects(
    found: tuple[Object, ...], known: frozenset[str], release: str, *, installed: bool
) -> list[tuple[_Hook, str]]:
    """The hooks that are taken for migrations, and why."""
    ran = _hooks(found, _WITH_INSTALL if installed else _WITH_UPGRADE)
    return [(hook, why) for hook in ran if (why := _suspicion(hook, release)) and not _is_old(hook, found, known)]


def _suspicion(hook: _Hook, release: str) -> str:
    """Why a hook is taken for a migration that the previous revision may not live with, or empty."""
    if hook.says(MIGRATION) == "false" or hook.says(BACKWARD_COMPATIBLE) == "true":
        return ""
    if hook.says(MIGRATION) == "true":
        return f"is a database migration ({MIGRATION})"
    why = next(filter(None, _looks(hook, release)), "")
    return f"looks like a database migration: {why}" if why else ""


def _looks(hook: _Hook, release: str) -> Iterator[str]:
    """What of a hook looks like a migration, the clearest first; empty where nothing does."""
    name = hook.name.removeprefix(f"{release}-") if release else hook.name
    yield _told("its name", in_name(name))
    for each in hook.containers:
        image, named = str(each.get("image") or ""), each.get("name")
        command = [str(word) for word in (*(each.get("command") or ()), *(each.get("args") or ()))]
        yield _told(f"its image {image}", in_image(image))
        yield _told(f"the command of its container {named}", in_command(command))
        yield _told("its container", in_name(str(named or "")))


def _told(what: str, why: str) -> str:
    return f"{what} {why}" if why else ""


def _is_old(hook: _Hook, found: tuple[Object, ...], known: frozenset[str]) -> bool:
    """Whether the revision to go back to has run just the same, so that it has brought nothing new."""
    fixed = all(is_fixed(str(each.get("image") or "")) for each in hook.containers)
    return fixed and _content(hook, found) in known


def _known(target: str) -> frozenset[str]:
    """The contents of all hooks of the revision to go back to; none if they cannot be read."""
    try:
        found = tuple(objects(target))
        return frozenset(_content(hook, found) for hook in _hooks(found, _WITH_UPGRADE | _WITH_INSTALL))
    except _MISSHAPEN:
        return frozenset()


def _content(hook: _Hook, found: tuple[Object, ...]) -> str:
    """What a hook does, whatever it is called: its containers, and the data of what it mounts or reads."""
    containers = [{key: each.get(key) for key in _OF_A_CONTAINER} for each in hook.containers]
    pod = json.dumps([containers, hook.spec.get("volumes")], sort_keys=True, default=str)
    data = sorted(
        json.dumps([each.get(key) for key in ("kind", "data", "binaryData", "stringData")], sort_keys=True, default=str)
        for each in found
        if each.get("kind") in {"ConfigMap", "Secret"} and json.dumps((each.get("metadata") or {}).get("name")) in pod
    )
    return json.dumps([pod, data])


def _sentence(suspects: list[tuple[_Hook, str]]) -> str:
    (hook, why), others = suspects[0], [str(other) for other, _ in suspects[1:]]
    and_others = f" (and so with {', '.join(others)})" if others else ""
    said = hook.says(BACKWARD_COMPATIBLE)
    garbled = f"; its annotation says “{said}”, which is not “true”" if said not in {"", "false"} else ""
    return (
        f"the {hook} {why}{and_others}, and does not say that the previous revision can live with what it has done"
        f"{garbled}; where it can, annotate the {hook.kind} with {BACKWARD_COMPATIBLE}: "
        f'"true"; where it is no migration, with {MIGRATION}: "false"; otherwise mend the database before going back'
    )


def _unreadable(error: Exception, current: str, target: str) -> str:
    if current.strip() == target.strip():
        return ""
    why = " ".join(str(error).split()) or type(error).__name__
    return (
        f"the hooks of the revision cannot be read, so that a database migration cannot be ruled out: {why}; look at "
        "helm get hooks"
    )
