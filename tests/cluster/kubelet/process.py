"""A container that is a real process of this machine, with the environment and the files that a pod would give it."""

import asyncio
import os
import re
import shutil
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tests.cluster.kubelet.addresses import HOST
from tests.cluster.kubelet.api import Api, Refused
from tests.cluster.kubelet.plan import Exit
from tests.cluster.kubelet.surroundings import Surroundings

Json = dict[str, Any]

_START_ERROR: Final = Exit(128, "StartError")
_GRACE: Final = 5.0  # seconds from SIGTERM to SIGKILL
_MOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
_HOUR: Final = 3600  # seconds that a token is good for
_REFERENCE: Final = re.compile(r"\$\(([\w.-]+)\)")

# /run of its own, so that nothing is made in that of the machine.
_ENTER: Final = f"""
mount -t tmpfs tmpfs /var/run && mkdir -p {_MOUNT} && mount --bind "$1" {_MOUNT} && shift && exec "$@"
"""


class Process:
    """Runs `command` and `args` in a mount namespace of its own, with token, ca.crt and namespace where pods have them.

    Its output is appended to NAMESPACE_POD_CONTAINER.log in the folder. It shares the network of the node: it should
    listen at its POD_IP. Of `env` it knows values, `$(NAME)` in them, and fieldRefs; volumes are not mounted.
    """

    def __init__(self, spec: Json, pod: Json, address: str, api: Api, surroundings: Surroundings) -> None:
        self._spec, self._pod, self._address = spec, pod, address
        self._api, self._surroundings = api, surroundings

    async def __call__(self, stop: asyncio.Event) -> Exit:
        meta = self._pod["metadata"]
        name = f"{meta['namespace']}_{meta['name']}_{self._spec['name']}"
        files = self._surroundings.folder / f"{name}.files"
        try:
            await self._write_account(files)
            with (self._surroundings.folder / f"{name}.log").open("ab") as log:
                child = await asyncio.create_subprocess_exec(
                    *self._command(files),
                    env=self._environment(),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._spec.get("workingDir"),
                    start_new_session=True,
                )
        except (OSError, Refused):
            return _START_ERROR
        try:
            return await _outcome(child, stop)
        finally:
            await _end(child)
            shutil.rmtree(files, ignore_errors=True)

    def _command(self, files: Path) -> list[str]:
        environment = self._environment()
        words = [*self._spec["command"], *self._spec.get("args", ())]
        given = [expanded(word, environment) for word in words]
        return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _ENTER, "sh", str(files), *given]

    def _environment(self) -> dict[str, str]:
        server = urlsplit(self._surroundings.server)
        service = {"KUBERNETES_SERVICE_HOST": str(server.hostname), "KUBERNETES_SERVICE_PORT": str(server.port or 443)}
        environment = {"PATH": os.environ["PATH"], "HOSTNAME": self._pod["metadata"]["name"]} | service
        for one in self._spec.get("env", ()):
            environment[one["name"]] = self._value(one, environment)
        return environment

    def _value(self, variable: Json, environment: dict[str, str]) -> str:
        if (field := variable.get("valueFrom", {}).get("fieldRef")) is not None:
            return field_of(self._pod, self._address, field["fieldPath"])
        return expanded(variable.get("value", ""), environment)

    async def _write_account(self, folder: Path) -> None:
        meta, spec = self._pod["metadata"], self._pod["spec"]
        account = spec.get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{meta['namespace']}/serviceaccounts/{account}/token"
        reference = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta["uid"]}
        answer = await self._api.insist(
            "POST", path, {"spec": {"expirationSeconds": _HOUR, "boundObjectRef": reference}}
        )
        token, authority = answer["status"]["token"], self._surroundings.authority
        _write(folder, {"token": token, "namespace": meta["namespace"], "ca.crt": authority})


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content)


def expanded(text: str, environment: dict[str, str]) -> str:
    """The text with each `$(NAME)` that is known replaced, as Kubernetes does."""
    return _REFERENCE.sub(lambda found: environment.get(found[1], found[0]), text)


def field_of(pod: Json, address: str, path: str) -> str:
    """What a fieldRef points to; empty where there is nothing."""
    known = {"status.podIP": address, "status.podIPs": address, "status.hostIP": str(HOST)}
    if path in known:
        return known[path]
    if found := re.fullmatch(r"metadata\.(labels|annotations)\['(.+)'\]", path):
        return str(pod["metadata"].get(found[1], {}).get(found[2], ""))
    value: Any = pod
    for part in path.split("."):
        value = value.get(part, {})
    return str(value) if isinstance(value, str) else ""


async def _outcome(child: asyncio.subprocess.Process, stop: asyncio.Event) -> Exit:
    told = asyncio.create_task(stop.wait())
    ended = asyncio.create_task(child.wait())
    await asyncio.wait([told, ended], return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if not ended.done():
        await _end(child)
    code = await ended
    code = 128 - code if code < 0 else code  # a signal, as a shell tells it
    return Exit(code, "Error") if code else Exit()


async def _end(child: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if child.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(child.pid, number)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await child.wait()
