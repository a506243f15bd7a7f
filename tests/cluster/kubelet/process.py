"""A container that is a real process of this machine, with the environment and the files that a pod would give it."""

import asyncio
import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from tests.cluster.kubelet.api import Api
from tests.cluster.kubelet.environment import Environment
from tests.cluster.kubelet.fields import expanded
from tests.cluster.kubelet.files import Unready
from tests.cluster.kubelet.image import Identity, Image, Mount
from tests.cluster.kubelet.plan import Exit, helm_of, is_analyzer
from tests.cluster.kubelet.surroundings import Surroundings
from tests.cluster.kubelet.volumes import Volumes
from tests.users import is_mapped

Json = dict[str, Any]

_START_ERROR: Final = Exit(128, "StartError")
_GRACE: Final = 30.0  # seconds from SIGTERM to SIGKILL, unless the pod says otherwise
_CONFIG_ERROR: Final = "CreateContainerConfigError"
_NOBODY: Final = 10001
"""The user of the analyzer's image, as the Dockerfile has it; so are its first word, its folder, and `serve`."""


class Process:
    """`prepare`, and then call it: one life of the container, with its volumes, as the user that it is to be.

    Its output is appended to NAMESPACE_POD_CONTAINER.log in the folder; NAMESPACE_POD_CONTAINER.pid has the number of
    a process whose only child it is. It shares the network of the node: it should listen at its POD_IP. `grace` is how
    many seconds it has to end, of which none are left once it is cancelled.
    """

    def __init__(
        self, spec: Json, pod: Json, address: str, api: Api, surroundings: Surroundings, volumes: Volumes
    ) -> None:
        self._spec, self._pod, self._surroundings, self._volumes = spec, pod, surroundings, volumes
        self._from = Environment(spec, pod, address, api, surroundings)
        self._environment: dict[str, str] = {}
        self.grace = float(pod["spec"].get("terminationGracePeriodSeconds", _GRACE))

    async def prepare(self) -> None:
        """What its next life needs. Raises Unready while something is missing."""
        self._identity()
        await self._volumes.make()
        self._environment = await self._from.variables()

    async def __call__(self, stop: asyncio.Event) -> Exit:
        meta = self._pod["metadata"]
        name = f"{meta['namespace']}_{meta['name']}_{self._spec['name']}"
        root = self._surroundings.folder / f"{name}.root"
        root.mkdir(exist_ok=True)
        try:
            with (self._surroundings.folder / f"{name}.log").open("ab") as log:
                child = await asyncio.create_subprocess_exec(
                    *self._image(root).command(self._words(), self._spec.get("workingDir", self._home())),
                    env=self._environment,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        except OSError:
            return _START_ERROR
        number = self._surroundings.folder / f"{name}.pid"
        number.write_text(str(child.pid))
        try:
            return await self._outcome(child, stop)
        finally:
            number.unlink(missing_ok=True)
            await _kill(child)
            shutil.rmtree(root, ignore_errors=True)

    def _home(self) -> str:
        return "/data" if is_analyzer(self._spec["image"]) else "/"

    def _words(self) -> list[str]:
        command, args = self._spec.get("command"), self._spec.get("args")
        words = [*(command or ["canary"]), *(args or ([] if command else ["serve"]))]
        return [expanded(word, self._environment) for word in words]

    def _image(self, root: Path) -> Image:
        programs = {name: path for name, path in self._surroundings.programs.items() if name == "kubectl"}
        if helm := self._surroundings.programs.get(helm_of(self._spec["image"])):
            programs["helm"] = helm
        return Image(
            root,
            programs,
            mounts=[self._mount(one) for one in self._spec.get("volumeMounts", ())],
            identity=self._identity(),
            sealed=bool((self._spec.get("securityContext") or {}).get("readOnlyRootFilesystem")),
        )

    def _mount(self, mount: Json) -> Mount:
        source = self._volumes.folders[mount["name"]]
        if inner := mount.get("subPath"):
            source /= inner
            if not source.exists():
                source.mkdir(parents=True)
        return Mount(source, mount["mountPath"], mount.get("readOnly", False) or self._volumes.are_files(mount["name"]))

    def _identity(self) -> Identity | None:
        """Who it is to be; None for root, and where there are no other users. Raises Unready if it may not be root."""
        pod, own = (each.get("securityContext") or {} for each in (self._pod["spec"], self._spec))
        context = {**pod, **own}
        image = _NOBODY if is_analyzer(self._spec["image"]) else 0
        user = int(context.get("runAsUser", image))
        if user == 0 and context.get("runAsNonRoot"):
            raise Unready(_CONFIG_ERROR, "container has runAsNonRoot and image will run as root")
        if user == 0 or not is_mapped(user):
            return None
        groups = (context["fsGroup"],) if "fsGroup" in context else ()
        return Identity(user, int(context.get("runAsGroup", image)), groups)

    async def _outcome(self, child: asyncio.subprocess.Process, stop: asyncio.Event) -> Exit:
        told = asyncio.create_task(stop.wait())
        ended = asyncio.create_task(child.wait())
        try:
            await asyncio.wait([told, ended], return_when=asyncio.FIRST_COMPLETED)
            if not ended.done():
                with suppress(ProcessLookupError):
                    os.kill(first_of(child.pid) or child.pid, signal.SIGTERM)
                await asyncio.wait([ended], timeout=self.grace)
            if not ended.done():
                await _kill(child)
            code = await ended
        finally:
            told.cancel()
            ended.cancel()
        code = 128 - code if code < 0 else code  # a signal, as a shell tells it
        return Exit(code, "Error") if code else Exit()


def first_of(pid: int) -> int | None:
    """The process 1 of the namespace that this process has made; None if there is none yet, or any more."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(children[0]) if children else None


async def _kill(child: asyncio.subprocess.Process) -> None:
    """With all that it has started: the kernel ends a namespace with its process 1."""
    if child.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(first_of(child.pid) or child.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        await child.wait()
