"""What VMs are made of in the cloud: a subnet with addresses, an image that can be confidential. And whose else's VMs are there.

Called by ``examine``. Subnet and image are the target's, or else those that cloud-api-adaptor uses.
"""

from typing import Final

from burster.model.errors import RemoteError
from burster.model.targets import Target
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.findings import Findings
from burster.sources.preflight.objects import PeerPod, read_all
from burster.sources.preflight.words import listed, plural
from burster.sources.preflight.world import Cloud, World


_CONFIDENTIAL: Final = ("confidentialvm", "confidentialvmsupported", "trustedlaunchandconfidentialvmsupported")
#: VMs that the kinds of a burst make: of peer pods, and of burster's own
_NAMED: Final = ("podvm-", "burstvm-")
#: fewer free addresses than this share of the subnet are told
_FEW_PERCENT: Final = 10


async def check_subnet(target: Target, subnet: str, cloud: Cloud, found: Findings) -> None:
    """Look at the subnet's room."""
    if not subnet:
        said = "Neither the target nor cloud-api-adaptor names a subnet."
        found.skipped(c.SUBNET, said, unread=found.is_unread(c.CONFIG))
        return
    with found.asking(c.SUBNET):
        try:
            facts = await cloud.read_subnet(target, subnet)
        except RemoteError as error:
            if error.kind != "NotFound":
                raise
            found.problem(c.SUBNET, f"There is no subnet {subnet}.")
            return
        name = subnet.rpartition("/")[2]
        if not facts.free:
            found.problem(c.SUBNET, f"All {facts.addresses} addresses of {name} are taken.")
        elif facts.free * 100 < facts.addresses * _FEW_PERCENT:
            found.warning(c.SUBNET, f"{facts.free} of {facts.addresses} addresses of {name} are left.")
        else:
            found.ok(c.SUBNET, f"{facts.free} of {facts.addresses} addresses of {name} are free.")


async def check_image(target: Target, image: str, cloud: Cloud, found: Findings) -> None:
    """Look whether confidential VMs can be made of the image."""
    check = c.CONFIDENTIAL_IMAGE
    if not image:
        said = "Neither the target nor cloud-api-adaptor names an image."
        found.skipped(check, said, unread=found.is_unread(c.CONFIG))
        return
    with found.asking(check):
        facts = await cloud.read_image(target, image)
        kinds = listed(facts.security_types) or "none"
        if not facts.found:
            found.problem(check, f"There is no image {image}.")
        elif facts.generation.upper() == "V1":
            found.problem(check, f"{image} is of generation V1; confidential VMs are of V2 only.")
        elif not any(_is_confidential(kind) for kind in facts.security_types):
            found.problem(check, f"{image} is not made for confidential VMs: its SecurityType is {kinds}.")
        else:
            found.ok(check, f"{image}: {facts.generation or 'V2'}, {kinds}.")


async def check_strangers(target: Target, cloud: Cloud, world: World, found: Findings) -> None:
    """Look for VMs named as bursts' are that no PeerPod record of this cluster claims."""
    with found.asking(c.STRANGERS):
        vms = [vm for vm in await cloud.list_vms(target) if vm.name.startswith(_NAMED)]
        try:
            records = await read_all(world.api, "/apis/confidentialcontainers.org/v1alpha1/peerpods", PeerPod)
        except RemoteError as error:
            if error.kind != "NotFound":
                raise
            records = []
        claimed = {record.spec.instance_id.casefold() for record in records}
        strange = [vm.name for vm in vms if vm.resource_id.casefold() not in claimed]
        if strange:
            found.warning(
                c.STRANGERS, f"{plural(len(strange), 'VM')} without a record in this cluster: {listed(strange)}."
            )
        else:
            found.ok(c.STRANGERS, f"{plural(len(vms), 'VM')} of bursts, each with its record here.")


def _is_confidential(kind: str) -> bool:
    return kind.casefold() in _CONFIDENTIAL
