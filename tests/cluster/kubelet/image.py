"""What the image of a real process is: programs of this machine and this checkout, in a root folder of its own."""

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

CHECKOUT: Final = Path(__file__).parents[3]
BINARIES: Final = Path("/image/bin")
"""Where `canary`, `helm` and `kubectl` are, first on PATH."""

_SYSTEM: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "dev", "sys", "etc/ssl", "etc/alternatives")
_ETC: Final = ("passwd", "group", "hosts", "nsswitch.conf", "ld.so.cache", "localtime")
_PATH: Final = "/usr/sbin:/usr/bin:/sbin:/bin"  # whatever that of the container is
_FAILED: Final = 128
_CANARY: Final = '#!/bin/sh\nexec python -m analyzer.cli "$@"\n'


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder, or a file, of this machine and where the container has it."""

    source: Path
    path: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the process is: numbers of a user, of its group and of further groups; None: root, as far as there is one."""

    user: int
    group: int
    groups: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Image:
    """`command` is one that runs words in it: in mount and process namespaces of its own, as process 1 of these.

    Besides the mounts, only `/tmp`, `/run`, `/var` and `/data` may be written to, or nothing if it is `sealed`; what is
    written goes with the process. Where the kernel lets nobody mount files of the machine as read only, nobody but root
    could write to them.
    """

    root: Path
    programs: Mapping[str, Path]
    mounts: Sequence[Mount] = ()
    identity: Identity | None = None
    sealed: bool = False

    def command(self, words: Sequence[str], folder: str = "/") -> list[str]:
        """What to run, so that `words` are run in this folder of the image. Exits with 128 if it cannot be made."""
        steps = " &&\n".join(self._steps())
        enter = shlex.join(
            ["/usr/sbin/chroot", str(self.root), *self._become(), "/usr/bin/env", f"--chdir={folder}", *words]
        )
        script = f"(PATH={_PATH}\n{steps}) || exit {_FAILED}\nexec {enter}"
        # The first child is process 1. Not unshare's own --fork: it turns the end by SIGKILL into exit code 1.
        first = f"/bin/sh -c {shlex.quote(script)} & wait $!"
        return ["unshare", "--mount", "--pid", "--propagation", "private", "/bin/sh", "-c", first]

    def _steps(self) -> Iterator[str]:
        yield f"mkdir -p {self._at('/')} && mount -t tmpfs -o mode=755 image {self._at('/')}"
        yield f"mkdir -p {self._at('/proc')} && mount -t proc proc {self._at('/proc')}"
        yield f"mkdir -m 1777 {self._at('/tmp')} && mkdir {self._at('/run')} {self._at('/var')} {self._at('/data')}"
        if self.identity is not None:
            yield f"chown {self.identity.user}:{self.identity.group} {self._at('/data')}"
        yield f"ln -s ../run {self._at('/var/run')}"
        # Copies: pods have folders of their own in it.
        copied = " ".join(str(path) for name in _ETC if (path := Path("/etc", name)).exists())
        yield f"mkdir {self._at('/etc')} && cp -d {copied} {self._at('/etc/')}"
        for path in _system():
            yield f"cp -d {path} {self._at('/')}" if path.is_symlink() else self._bind(Mount(path, str(path), True))
        # Those at a shallower path first: a volume at /tmp, and then the checkout that is under it.
        machine = [Mount(path, str(path), True) for path in _ours()]
        for mount in sorted([*self.mounts, *machine], key=lambda mount: mount.path.rstrip("/").count("/")):
            yield self._bind(mount)
        yield f"mkdir -p {self._at(BINARIES)}"
        yield f"printf %s {shlex.quote(_CANARY)} > {self._at(BINARIES / 'canary')}"
        yield f"chmod 755 {self._at(BINARIES / 'canary')}"
        for name, program in self.programs.items():
            yield self._bind(Mount(program, str(BINARIES / name), True))
        if self.sealed:
            yield f"mount -o remount,bind,ro {self._at('/')}"

    def _at(self, path: str | Path) -> str:
        return shlex.quote(f"{self.root}{path}")

    def _bind(self, mount: Mount) -> str:
        place, source = self._at(mount.path), shlex.quote(str(mount.source))
        parent = self._at(os.path.dirname(mount.path))  # noqa: PTH120 -- of the container, not of this machine
        make = f"mkdir -p {place}" if mount.source.is_dir() else f"mkdir -p {parent} && touch {place}"
        bind = f"{make} && mount --rbind {source} {place}"
        return f"{bind} && {{ mount -o remount,bind,ro {place} 2>/dev/null || true; }}" if mount.read_only else bind

    def _become(self) -> list[str]:
        if self.identity is None:
            return []
        groups = ",".join(str(group) for group in self.identity.groups)
        others = f"--groups={groups}" if groups else "--clear-groups"
        who = [f"--reuid={self.identity.user}", f"--regid={self.identity.group}", others]
        return ["/usr/bin/setpriv", *who, "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]


def _system() -> list[Path]:
    return [path for name in _SYSTEM if (path := Path("/", name)).exists()]


def _ours() -> list[Path]:
    """Where this interpreter and this checkout are, by each name that they have; none within another."""
    named = (CHECKOUT, Path(sys.prefix), Path(sys.base_prefix))
    found = {path for each in named for path in (each, each.resolve())}
    around = found | set(_system())
    return [path for path in found if not any(path != other and path.is_relative_to(other) for other in around)]
