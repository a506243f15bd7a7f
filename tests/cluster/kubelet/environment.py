"""The variables of a container that is a real process."""

import os
import sys
from typing import Any, Final
from urllib.parse import urlsplit

from tests.cluster.kubelet.api import Api
from tests.cluster.kubelet.fields import expanded, field_of, resource_of
from tests.cluster.kubelet.files import Unready, content_of
from tests.cluster.kubelet.image import BINARIES, CHECKOUT
from tests.cluster.kubelet.plan import is_analyzer
from tests.cluster.kubelet.surroundings import Surroundings
from tests.cluster.kubelet.volumes import object_of

Json = dict[str, Any]

_ERROR: Final = "CreateContainerConfigError"


class Environment:
    """Those of the image, of the cluster, of `envFrom` and of `env`; later ones count."""

    def __init__(self, spec: Json, pod: Json, address: str, api: Api, surroundings: Surroundings) -> None:
        self._spec, self._pod, self._address = spec, pod, address
        self._api, self._surroundings = api, surroundings

    async def variables(self) -> dict[str, str]:
        """All of them, as they are now. Raises Unready while something that they refer to is missing."""
        found = self._of_image() | self._of_cluster()
        for source in self._spec.get("envFrom", ()):
            found |= await self._of_source(source)
        for one in self._spec.get("env", ()):
            if (value := await self._value(one, found)) is not None:
                found[one["name"]] = value
        return found

    def _of_image(self) -> dict[str, str]:
        python = os.path.dirname(sys.executable)  # noqa: PTH120 -- of the link, not of what it points to
        path = os.pathsep.join([str(BINARIES), python, os.environ["PATH"]])
        common = {"PATH": path, "HOME": "/", "PYTHONPATH": str(CHECKOUT), "PYTHONDONTWRITEBYTECODE": "1"}
        if not is_analyzer(self._spec["image"]):
            return common
        # All pods share the node's network: who listened at 0.0.0.0 would take the port from all others.
        return common | {"HOME": "/tmp", "CANARY_LISTEN__HOST": self._address}

    def _of_cluster(self) -> dict[str, str]:
        server = urlsplit(self._surroundings.server)
        service = {"KUBERNETES_SERVICE_HOST": str(server.hostname), "KUBERNETES_SERVICE_PORT": str(server.port or 443)}
        return {"HOSTNAME": self._pod["metadata"]["name"]} | service

    async def _of_source(self, source: Json) -> dict[str, str]:
        for key, kind in (("configMapRef", "configmaps"), ("secretRef", "secrets")):
            if key in source:
                content = await self._content(kind, source[key])
                return {f"{source.get('prefix', '')}{name}": value.decode() for name, value in content.items()}
        return {}

    async def _value(self, variable: Json, known: dict[str, str]) -> str | None:
        """Its value; None for an optional one that is not there."""
        source = variable.get("valueFrom", {})
        if "fieldRef" in source:
            return field_of(self._pod, self._address, source["fieldRef"]["fieldPath"])
        if "resourceFieldRef" in source:
            return resource_of(self._spec, source["resourceFieldRef"])
        for key, kind in (("configMapKeyRef", "configmaps"), ("secretKeyRef", "secrets")):
            if key in source:
                return await self._key(kind, source[key])
        return expanded(variable.get("value", ""), known)

    async def _key(self, kind: str, reference: Json) -> str | None:
        content = await self._content(kind, reference)
        if (value := content.get(reference["key"])) is not None:
            return value.decode()
        if reference.get("optional"):
            return None
        raise Unready(_ERROR, f"couldn't find key {reference['key']} in {kind} {reference['name']}")

    async def _content(self, kind: str, reference: Json) -> dict[str, bytes]:
        try:
            return content_of(await object_of(self._api, self._pod, kind, reference["name"]))
        except Unready as unready:
            if reference.get("optional"):
                return {}
            raise Unready(_ERROR, str(unready)) from unready
