"""The files of a volume: which there are, from what the API server says, and how a kubelet swaps them. No requests."""

import base64
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tests.users import is_mapped

Json = dict[str, Any]
Files = dict[str, bytes]

_DATA: Final = "..data"


class Unready(Exception):  # noqa: N818 -- a state, not a mistake: what a container needs is not there yet
    """The container waits, for this `reason` of a kubelet; the message is a sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def content_of(found: Json) -> Files:
    """All keys of a ConfigMap or a Secret, with their bytes."""
    encoded = {**found.get("binaryData", {}), **(found.get("data", {}) if found["kind"] == "Secret" else {})}
    plain = found.get("data", {}) if found["kind"] == "ConfigMap" else {}
    return {
        **{name: text.encode() for name, text in plain.items()},
        **{name: base64.b64decode(text) for name, text in encoded.items()},
    }


def chosen(found: Json, source: Json) -> Files:
    """The files of a source: all keys, or those of its `items` at their paths. Raises Unready for one that lacks."""
    content = content_of(found)
    if not (items := source.get("items")):
        return content
    missing = [item["key"] for item in items if item["key"] not in content]
    if missing and not source.get("optional"):
        name = found["metadata"]["name"]
        raise Unready("ContainerCreating", f"{found['kind']} {name} has no key {', '.join(missing)}")
    return {item["path"]: content[item["key"]] for item in items if item["key"] in content}


def swap(folder: Path, files: Mapping[str, bytes], mode: int = 0o644, group: int | None = None) -> bool:
    """Make these the folder's files, all at once: links to `..data`, which is one link. Whether anything changed.

    `group` may read them, too.
    """
    if _present(folder) == dict(files):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    before = (folder / _DATA).resolve() if (folder / _DATA).exists() else None
    version = folder / f"..{int(before.name[2:]) + 1 if before else 1}"
    for name, content in files.items():
        file = version / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(mode | (0o040 if group is not None else 0))
        own(file, group)
    version.mkdir(exist_ok=True)
    new = folder / "..data_tmp"
    new.symlink_to(version.name)
    new.replace(folder / _DATA)
    _link(folder, {Path(name).parts[0] for name in files})
    if before is not None:
        shutil.rmtree(before)
    return True


def own(path: Path, group: int | None) -> None:
    """Hand it to a group of the machine, where there is one."""
    if group is not None and is_mapped(group, "gid"):
        shutil.chown(path, group=group)


def _present(folder: Path) -> Files | None:
    data = folder / _DATA
    if not data.exists():
        return None
    return {str(file.relative_to(data)): file.read_bytes() for file in data.rglob("*") if file.is_file()}


def _link(folder: Path, names: set[str]) -> None:
    there = {path.name for path in folder.iterdir() if not path.name.startswith("..")}
    for name in names - there:
        (folder / name).symlink_to(Path(_DATA) / name)
    for name in there - names:
        (folder / name).unlink()
