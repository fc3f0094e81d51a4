"""What a BurstTarget of another provider than azure has to say, and what it can't: sizes nobody lists, VMs nobody can look at.

Called by ``target`` for provider ``onprem``, whose pods run on nodes of one's own, and for every other name, which is that of a provider
that a second cloud-api-adaptor makes VMs at.
"""

from typing import TYPE_CHECKING, Final

from burster.policy.refusals import Findings


if TYPE_CHECKING:
    from burster.policy.schema.target import BurstTargetSpec

ONPREM: Final = "onprem"
PEER_PODS: Final = "kata-remote"
#: The same for the API server, which says less
RULES_ELSEWHERE: Final = (
    (
        "self.provider == 'onprem' || !has(self.nodeSelector) || size(self.nodeSelector) == 0",
        "nodeSelector is for provider onprem only",
    ),
    (
        "self.provider != 'onprem' || (has(self.nodeSelector) && size(self.nodeSelector) > 0)",
        "nodeSelector is required for provider onprem",
    ),
    (
        "self.provider != 'onprem' || (has(self.runtimeClassName) && self.runtimeClassName != 'kata-remote')",
        "runtimeClassName is required for provider onprem: kata-remote's pods run elsewhere",
    ),
    (
        "self.provider == 'azure' || !has(self.image)",
        "image is for provider azure only: nobody could check it elsewhere",
    ),
    (
        "self.provider == 'azure' || !has(self.subnet)",
        "subnet is for provider azure only: nobody could check it elsewhere",
    ),
    (
        "self.provider == 'azure' || !has(self.sweep) || !has(self.sweep.mode) || self.sweep.mode == 'Report'",
        "sweep.mode Delete is for provider azure only",
    ),
)


def check_elsewhere(spec: "BurstTargetSpec", wrong: Findings) -> None:
    """Note everything that a target of another provider lacks, or asks for in vain."""
    provider = spec.provider
    if spec.azure is not None:
        wrong.at("azure", message=f"is for provider azure, not for {provider}: remove it, or correct provider")
    if spec.region is None:
        wrong.at("region", message=f"is required for provider {provider}: name the region or the site")
    if not spec.catalogue:
        wrong.at(
            "catalogue",
            message=f"is required for provider {provider}, whose sizes no cloud lists: write what can be had",
        )
    if spec.machines is not None:
        wrong.at(
            "machines", message=f"are made on azure only, not at provider {provider}: remove it, or correct provider"
        )
    _check_sizes(spec, wrong)
    for name in ("image", "subnet"):
        if getattr(spec, name) is not None:
            wrong.at(
                name, message=f"can't be checked at provider {provider}, so it must not be relied on here: remove it"
            )
    if spec.sweep.mode == "Delete":
        wrong.at("sweep", "mode", message=f"can't be Delete at provider {provider}: burster only reports there")
    if provider == ONPREM:
        _check_nodes(spec, wrong)
    elif spec.node_selector:
        wrong.at("nodeSelector", message=f"is for provider onprem: at {provider} no node of the cluster is the machine")


def _check_sizes(spec: "BurstTargetSpec", wrong: Findings) -> None:
    known = [entry.size for entry in spec.catalogue]
    for index, size in enumerate(known):
        if size in known[:index]:
            wrong.at("catalogue", index, "size", message=f"names {size!r} twice: remove one")
    for index, size in enumerate(spec.sizes):
        if known and size not in known:
            wrong.at("sizes", index, message=f"{size!r} is not in the catalogue: add it there, or remove it here")


def _check_nodes(spec: "BurstTargetSpec", wrong: Findings) -> None:
    if not spec.node_selector:
        wrong.at(
            "nodeSelector",
            message="is required for provider onprem: name the labels that only nodes with the TEE carry,"
            " such as feature.node.kubernetes.io/cpu-security.tdx.enabled: 'true'",
        )
    if spec.runtime_class_name == PEER_PODS:
        wrong.at(
            "runtimeClassName",
            message=f"is required for provider onprem: pods under {PEER_PODS} run elsewhere; write that of the nodes' own VMs,"
            " such as kata-qemu-tdx or kata-cc",
        )
