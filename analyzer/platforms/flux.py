"""A Helm release that a HelmRelease of Flux brings out: that is suspended, and then Helm rolls back.

A suspended HelmRelease is not brought out again. Who brings the HelmRelease itself out (a Kustomization) applies it on
the server's side, and so changes the fields alone that it writes: `spec.suspend` stays ours, unless it is in Git too.
The facts are in the API types of Flux's helm-controller (`helm.toolkit.fluxcd.io/v2`, read in v1.4).
"""

import hashlib

from ruamel.yaml.error import YAMLError

from analyzer.errors import PlatformError
from analyzer.model.guard import Guard
from analyzer.model.target import Confirm, Deployment, Intent, Receipt, Target, at_any_time
from analyzer.platforms import ownership
from analyzer.platforms.application_change import told_why
from analyzer.platforms.application_state import TAKEN_BACK
from analyzer.platforms.attempts import Attempts
from analyzer.platforms.cluster import Cluster, Object, path
from analyzer.platforms.helm import Helm, HelmSettings
from analyzer.platforms.ownership import Owner
from analyzer.platforms.parts import items, mapping
from analyzer.platforms.rights import Right, missing, sentence

API = "helm.toolkit.fluxcd.io/v2"
ATTEMPTS = 5
"""Writes, if Flux writes at the same time."""
PATIENCE = 60.0
"""Seconds in which an API server that went away in the middle is back."""
PAUSE = 1.0
"""Seconds between two looks at what is away."""
_LONGEST, _DIGITS = 53, 12  # signs of a release's name, and of the digest in one that was shortened
_RBAC = "deploy/flux/rbac.yaml"


class FluxHelm(Helm):
    """A Helm release that is taken back although Flux owns it; implements the engine's port `Platform`.

    A release that nobody owns, or somebody else, is as with `Helm`.
    """

    def __init__(self, target: Target, settings: HelmSettings, cluster: Cluster) -> None:
        super().__init__(target, settings, cluster)
        self._api = cluster

    async def look(self) -> Deployment:
        """As `Helm.look`; the guard of the owner holds only where suspending it would not."""
        found = await super().look()
        if not any(each.guard == Guard.GITOPS_OWNER for each in found.obstacles):
            return found
        owner = await self._owner(found)
        live = await self._get(owner) if owner else None
        if owner is None or live is None:
            return found
        if caution := await self._refusal(owner, live):
            return found.model_copy(update={"cautions": (*found.cautions, caution)})
        others = tuple(each for each in found.obstacles if each.guard != Guard.GITOPS_OWNER)
        return found.model_copy(update={"obstacles": others})

    async def _owner(self, found: Deployment) -> Owner | None:
        """The HelmRelease that owns it, None if it is another owner."""
        manifest = await self.program.manifest(int(found.current.number))
        try:
            owner = (await ownership.look(self._api, manifest, await self.namespace())).owner
        except YAMLError as error:
            why = " ".join(str(error).split())
            raise PlatformError(f"who owns {found.target} could not be looked at: {why}") from error
        return owner if owner and owner.kind == "HelmRelease" and owner.namespace else None

    async def _get(self, owner: Owner) -> Object | None:
        return await self._api.get(_where(owner))

    async def _refusal(self, owner: Owner, live: Object) -> str:
        """Why the owner is not suspended: a sentence, empty if it can be. Labels are copied with what bears them, and
        name another's HelmRelease then."""
        name, within = _brings_out(live)
        if name != self._release or await self.namespace() not in within:
            return f"{owner} brings out the release {name} in namespace {within[0]}, and not this one"
        why = _contested(live)
        return why and f"{owner} would not stay suspended: {why}"

    async def lacking(self, deployment: Deployment) -> str:
        """As `Helm.lacking`, and the right to suspend the owner.

        Raises:
            PlatformError: the API server cannot be asked.
        """
        lacking = await super().lacking(deployment)
        owner = await self._owner(deployment) if deployment.wanted is not None else None
        if lacking or owner is None:
            return lacking
        right = Right("helm.toolkit.fluxcd.io", "helmreleases", "patch", owner.namespace, owner.name)
        return sentence(await missing(self._api, [right]), grant=f"kubectl apply -n {owner.namespace} -f {_RBAC}")

    async def take_back(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt:
        """Suspend the owner, then roll back; see the port."""
        return await Attempts(ATTEMPTS, PATIENCE, PAUSE).receipt(
            lambda: self._suspend_and_roll_back(intent, confirm),
            lambda why: Receipt(ok=False, detail=f"{intent.target} was not taken back: {why}"),
            "nothing was rolled back",
        )

    async def _suspend_and_roll_back(self, intent: Intent, confirm: Confirm) -> Receipt:
        """Helm's part makes a receipt of each failure: it is never tried again from here.

        Raises:
            PlatformConflict: Flux has written at the same time.
            PlatformError: it was not suspended; PlatformUnavailable when trying again may help.
            LeaseLost: `confirm` did not allow it.
        """
        owner = await self._owner(await super().look())
        if owner is not None:
            await self._suspend(owner, intent, confirm)
        return _told(owner, await super().take_back(intent, confirm))

    async def settle(self, intent: Intent, confirm: Confirm = at_any_time) -> Receipt | None:
        """What became of the rollback; see the port. The owner may be suspended where that was never begun."""
        receipt = await super().settle(intent, confirm)
        return _told(await self._owner(await super().look()), receipt) if receipt else None

    async def _suspend(self, owner: Owner, intent: Intent, confirm: Confirm) -> None:
        """With the resourceVersion that is looked at, unless it is suspended.

        Raises:
            PlatformConflict: somebody has written at the same time.
            PlatformError: it cannot be, or would not stay so.
        """
        live = await self._get(owner)
        if live is None:
            raise PlatformError(f"there is no HelmRelease {owner.name} in namespace {owner.namespace} any more")
        if why := await self._refusal(owner, live):
            raise PlatformError(why)
        if mapping(live, "spec").get("suspend") is True:
            return
        annotations = {TAKEN_BACK: told_why(intent)}
        version = mapping(live, "metadata").get("resourceVersion")
        body = {"metadata": {"resourceVersion": version, "annotations": annotations}, "spec": {"suspend": True}}
        confirm()
        await self._api.merge(_where(owner), body)


def _where(owner: Owner) -> str:
    return path(API, "helmreleases", owner.namespace, owner.name)


def _brings_out(live: Object) -> tuple[str, tuple[str, str]]:
    """The name of its release, and the namespaces that its objects are in, and Helm's records.

    Names that are too long for Helm are shortened, with a digest at the end.
    """
    spec, metadata = mapping(live, "spec"), mapping(live, "metadata")
    within, name = str(spec.get("targetNamespace") or ""), str(metadata.get("name"))
    told = str(spec.get("releaseName") or (f"{within}-{name}" if within else name))
    if len(told) > _LONGEST:
        digest = hashlib.sha256(told.encode()).hexdigest()[:_DIGITS]
        told = f"{told[: _LONGEST - _DIGITS - 1]}-{digest}"
    own = str(metadata.get("namespace"))
    return told, (within or own, str(spec.get("storageNamespace") or own))


def _contested(live: Object) -> str:
    """Whose `spec.suspend` it is: whoever applies it writes it again. A sentence's end, empty if nobody does."""
    for each in items(mapping(live, "metadata").get("managedFields")):
        if each.get("operation") == "Apply" and "f:suspend" in mapping(each, "fieldsV1", "f:spec"):
            return f"{each.get('manager')} applies spec.suspend by itself; take that field out of Git"
    return ""


def _told(owner: Owner | None, receipt: Receipt) -> Receipt:
    if owner is None:
        return receipt
    steps = f"revert the change in Git, then flux resume helmrelease {owner.name} -n {owner.namespace}"
    return receipt.model_copy(update={"detail": f"{receipt.detail}; {owner} is suspended; to do by hand: {steps}"})
