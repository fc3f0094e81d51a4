"""What burster's identity may do in the target's resource group: enough, and no more. Called by ``examine``.

docs/azure.md lists the same actions; tests/docs holds the two together. What counts are the actions, whatever role gives them. Those that
are the subscription's, a gallery's or a network's are not asked about here: what they are for is read by a check of its own.
"""

from typing import Final

from burster.model.targets import Target
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Findings
from burster.sources.preflight.words import listed
from burster.sources.preflight.world import Cloud, Known


#: to verify VMs and to find what was left behind: Reader
READS: Final = (
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/instanceView/read",
    "Microsoft.Compute/disks/read",
    "Microsoft.Network/networkInterfaces/read",
    "Microsoft.Network/publicIPAddresses/read",
    "Microsoft.Resources/subscriptions/resourceGroups/read",
)
#: a sweep that deletes
SWEEPS: Final = (
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Compute/disks/delete",
    "Microsoft.Network/networkInterfaces/delete",
    "Microsoft.Network/publicIPAddresses/delete",
)
#: strategy Machine
MACHINES: Final = (
    "Microsoft.Compute/virtualMachines/write",
    "Microsoft.Compute/virtualMachines/delete",
    "Microsoft.Compute/disks/write",
    "Microsoft.Compute/disks/delete",
    "Microsoft.Network/networkInterfaces/write",
    "Microsoft.Network/networkInterfaces/join/action",
    "Microsoft.Network/networkInterfaces/delete",
)
#: what nobody needs who only does what burster does
_NEVER: Final = (
    ("Microsoft.Authorization/roleAssignments/write", "give itself and others any role"),
    ("Microsoft.Resources/subscriptions/resourceGroups/delete", "delete the whole resource group"),
    ("Microsoft.KeyVault/vaults/write", "change key vaults"),
)


async def check_roles(target: Target, cloud: Cloud, known: Known, found: Findings, *, stand_in: bool) -> None:
    """Compare what is allowed with what target and policies need; a stand-in's callers share one identity that may make VMs."""
    with found.asking(c.ROLES, c.BROAD):
        allowed = await cloud.permissions(
            target, f"/subscriptions/{target.subscription}/resourceGroups/{target.resource_group}"
        )
        needs: dict[str, str] = dict.fromkeys(READS, "to verify VMs")
        if target.sweep == "Delete":
            needs |= dict.fromkeys(SWEEPS, "for sweep.mode: Delete")
        if known.machines_by:
            needs |= dict.fromkeys(MACHINES, "for strategy Machine")
        missing = [action for action in needs if not allowed.allows(action)]
        if missing:
            found.problem(
                c.ROLES, f"Missing in {target.resource_group}: {listed([f'{one} ({needs[one]})' for one in missing])}."
            )
        else:
            found.ok(c.ROLES, f"All {len(needs)} actions that this target needs.")
        excess = [words for action, words in _NEVER if allowed.allows(action)]
        if not stand_in and target.sweep != "Delete" and not known.machines_by and allowed.allows(MACHINES[0]):
            excess.append("make VMs, which cloud-api-adaptor does here with an identity of its own")
        if excess:
            found.warning(c.BROAD, f"It may {listed(excess)}.")
        else:
            found.ok(c.BROAD, "It may not give roles, delete the group or change key vaults.")
