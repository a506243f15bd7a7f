"""Which cluster, and who we are there: from kubeconfigs, or from the pod's own ServiceAccount.

Imports the Kubernetes client, which takes half a second: to be imported when a cluster is really asked.
"""

import json
import os
import re
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.exec_provider import ExecProvider
from kubernetes.aio.config.incluster_config import InClusterConfigLoader
from kubernetes.aio.config.kube_config import ConfigNode, FileOrData, KubeConfigLoader, KubeConfigMerger

from analyzer.errors import PlatformError, PlatformUnavailable
from analyzer.platforms.program import Outcome, run, tail

IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PLUGIN_LIMIT = 60.0
"""Seconds that a program which fetches credentials may take."""
_LONGEST = 300  # characters of what such a program says
_CONTENT = re.compile(r" in \S*\{.*", re.DOTALL)  # the library quotes what stands in a kubeconfig, secrets and all


async def connect(kubeconfig: str | None, context: str | None) -> tuple[ApiClient, str]:
    """A client of the configured cluster, and the namespace of its context.

    Without a kubeconfig: KUBECONFIG, then ~/.kube/config, then the pod's own ServiceAccount.

    Raises:
        PlatformError: none is configured, or not so that it can be used; PlatformUnavailable when asking again may
        help.
    """
    files: str | None = kubeconfig
    try:
        files = kubeconfig or _configured(context)
        configuration = Configuration()
        namespace = await _load(files, context, configuration) if files else _from_pod(configuration)
        return ApiClient(configuration), namespace or "default"
    except PlatformError:
        raise
    except Exception as error:  # noqa: BLE001 -- whatever a kubeconfig holds, the library raises what comes of it
        raise PlatformError(
            f"no Kubernetes cluster is configured ({files or 'no kubeconfig, and this is no pod of a cluster'}): "
            f"{_why(error)}; give --kubeconfig or set KUBECONFIG"
        ) from None


def _configured(context: str | None) -> str | None:
    """The path of the kubeconfig, or several as KUBECONFIG lists them; None: the pod's own ServiceAccount."""
    if named := os.environ.get("KUBECONFIG"):
        return named
    usual = Path("~/.kube/config").expanduser()
    in_pod = "KUBERNETES_SERVICE_HOST" in os.environ and not usual.exists()
    return None if in_pod and context is None else str(usual)


def _from_pod(configuration: Configuration) -> str:
    InClusterConfigLoader(str(IN_CLUSTER / "token"), str(IN_CLUSTER / "ca.crt")).load_and_set(configuration)
    return (IN_CLUSTER / "namespace").read_text(encoding="utf-8").strip()


async def _load(files: str, context: str | None, configuration: Configuration) -> str:
    """Fill the configuration from kubeconfigs; returns the namespace of the context."""
    loader = _loader(files, context)
    await loader.load_and_set(configuration)  # type: ignore[no-untyped-call]  # no types in the library
    for name, key in configuration.api_key.items():
        configuration.api_key[name] = key.strip()  # a file of a token ends with a line break
    return str((loader.current_context.get("context") or {}).get("namespace") or "")


def _loader(files: str, context: str | None) -> "_Loader":
    there = [file for name in files.split(os.pathsep) if name and (file := Path(name).expanduser()).exists()]
    if not there:
        raise ConfigException("there is no such file")
    filled = [str(file) for file in there if not file.is_file() or file.stat().st_size]
    if not filled:
        raise ConfigException("it is empty")
    merged = KubeConfigMerger(os.pathsep.join(filled))
    return _Loader(merged.config, context or _current_context([merged.config_files[file] for file in filled]))


def _current_context(contents: Sequence[Mapping[str, Any]]) -> str | None:
    """The first file that names one decides, as for helm and kubectl; the library takes the last."""
    return next((str(each["current-context"]) for each in contents if each.get("current-context")), None)


class _Loader(KubeConfigLoader):
    """Fails where a program for credentials fails or hangs: the library logs that, and goes on as nobody."""

    _user: Any

    def __init__(self, config: ConfigNode, context: str | None) -> None:
        super().__init__(config, active_context=context, config_base_path=None)  # type: ignore[no-untyped-call]  # as above

    def _load_cluster_info(self) -> None:
        if self._user is None:  # a context may name none
            self._user = ConfigNode("user", {})
        super()._load_cluster_info()  # type: ignore[no-untyped-call]  # as above

    async def load_from_exec_plugin(self) -> bool:
        plugin = ExecProvider(self._user["exec"])
        asked = {"apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": {"interactive": False}}
        command = [self._program(plugin.args[0]), *plugin.args[1:]]
        env = {**plugin.env, "KUBERNETES_EXEC_INFO": json.dumps(asked)}
        status = _credentials(await run(command, time_limit=PLUGIN_LIMIT, env=env), plugin.api_version)
        if token := status.get("token"):
            self.token = f"Bearer {token}"
        if status.get("clientCertificateData"):
            self.cert_file, self.key_file = (
                FileOrData(status, "", data_key_name=name, base64_file_content=False).as_file()
                for name in ("clientCertificateData", "clientKeyData")
            )
        return True

    def _program(self, command: str) -> str:
        """A relative path is one from the kubeconfig's folder."""
        return str(Path(self._user.path).absolute().parent / command) if "/" in command else command


def _credentials(outcome: Outcome, api_version: str) -> dict[str, str]:
    """What a program for credentials has printed.

    Raises:
        PlatformError: it is no credentials; PlatformUnavailable when the program failed.
    """
    program = f"{outcome.command[0]}, which the kubeconfig names for credentials,"
    if outcome.timed_out:
        raise PlatformUnavailable(f"{program} did not end in {PLUGIN_LIMIT:g} s and was stopped")
    if not outcome.ok:
        said = " ".join(tail(outcome.stderr, _LONGEST).split()) or "nothing"
        raise PlatformUnavailable(f"{program} failed with exit code {outcome.code} and said “{said}”")
    try:
        printed = json.loads(outcome.stdout)
        status, version = printed["status"], printed["apiVersion"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PlatformError(f"{program} printed no ExecCredential") from None
    if version != api_version:
        raise PlatformError(f"{program} answers in {version}, and the kubeconfig says {api_version}")
    if not isinstance(status, dict) or not (status.get("token") or status.get("clientCertificateData")):
        raise PlatformError(f"{program} printed neither a token nor a certificate")
    return status


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"a certificate or key in it cannot be read: {error.strerror}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    said = " ".join(_CONTENT.sub("", str(error)).split()).rstrip(".")
    if isinstance(error, ConfigException | OSError):
        return said
    return f"it cannot be understood ({type(error).__name__}: {tail(said, _LONGEST)})"
