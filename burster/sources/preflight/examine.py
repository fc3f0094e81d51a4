"""One round of checks: of one target, and of what all targets share. Which checks there are for whom, and in which order they are told.

Called by the standing preflight and by `burster doctor`. Never raises RemoteError: what can't be read is a finding.
"""

from collections.abc import Mapping

from burster.model.stimuli import OfferingsSeen
from burster.model.targets import Target
from burster.sources.preflight import adaptor_config, cloud_parts, cloud_sizes, installed, rights
from burster.sources.preflight import catalogue as c
from burster.sources.preflight.adaptor import check_adaptor
from burster.sources.preflight.cloud_place import check_clock, check_place
from burster.sources.preflight.cloud_rights import check_roles
from burster.sources.preflight.findings import Finding, Findings
from burster.sources.preflight.runtime_class import check_runtime_class, check_slots
from burster.sources.preflight.trustee import check_trustee
from burster.sources.preflight.world import Known, World


class StandingChecks:
    """The checks that the controller makes again and again, of one world."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def examine(self, target: Target, known: Known) -> tuple[Finding, ...]:
        """Return one finding for each of them."""
        offered = known.offerings.offerings if isinstance(known.offerings, OfferingsSeen) else ()
        tees = {one.size.casefold(): one.tee for one in offered}
        return await examine(target, self._world, known, standing=True, tees=tees)


async def examine(
    target: Target, world: World, known: Known, *, standing: bool = False, tees: Mapping[str, str] | None = None
) -> tuple[Finding, ...]:
    """Look at one target. ``standing``: leave out what is dear; ``tees``: size in lower case -> TEE, where the SKUs were read."""
    found = Findings()
    config: dict[str, str] | None = None
    await check_runtime_class(target, world, found)
    if target.proof != "Node":
        kept = await check_adaptor(target, world, found)
        if kept is not None:
            config = kept.data or {}
            adaptor_config.check_config(config, target, known, found)
        else:
            why, unread = "cloud-api-adaptor's ConfigMap was not read.", found.is_unread(c.CONFIG)
            adaptor_config.skip_all(adaptor_config.OF_THE_CONFIG, found, why, unread=unread)
        await check_slots(target, world, found)
        if standing:
            await installed.check_peer_pod_kind(world, found)
    if target.proof == "Arm":
        await _examine_cloud(target, world, known, config or {}, found, standing=standing, tees=tees or {})
    await check_trustee(target, world, known, found)
    return found.all


async def examine_cluster(world: World, targets: tuple[Target, ...]) -> tuple[Finding, ...]:
    """Look at what all targets share."""
    found = Findings()
    await installed.check_own_kinds(world, found)
    await rights.check_rights(world, found)
    await rights.check_namespaces(world, targets, found)
    if any(target.proof != "Node" for target in targets) or not targets:
        await installed.check_peer_pod_kind(world, found)
        await installed.check_webhook(world, found)
    return found.all


async def _examine_cloud(  # noqa: PLR0913 - what is known of a target, each by its name
    target: Target,
    world: World,
    known: Known,
    config: dict[str, str],
    found: Findings,
    *,
    standing: bool,
    tees: Mapping[str, str],
) -> None:
    cloud = world.cloud
    if cloud is None:
        for check in c.CHECKS:
            if check.group == "Cloud":
                found.skipped(check, world.offline)
        return
    if await check_place(target, cloud, found):
        await check_roles(target, cloud, known, found, stand_in=world.local_only)
        await cloud_parts.check_subnet(target, target.subnet or config.get("AZURE_SUBNET_ID", ""), cloud, found)
        await cloud_parts.check_image(target, target.image or config.get("AZURE_IMAGE_ID", ""), cloud, found)
        if not standing:
            await cloud_parts.check_strangers(target, cloud, world, found)
    cloud_sizes.check_offerings(target, known, found)
    cloud_sizes.check_default_size(target, config, tees, found)
    cloud_sizes.check_quota(target, known, found)
    check_clock(cloud, found)
