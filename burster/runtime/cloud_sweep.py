"""One look at a resource group, and what a person has decided to delete of it. Called by `burster sweep-cloud`.

The same rules as the controller's sweep, and the same adaptor, which looks once more at each thing right before it is deleted.
"""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Final, Literal

import msgspec

from burster.adaptors.azure_resources import AzureResources, Cloud
from burster.adaptors.peer_pod_records import PeerPodRecords
from burster.adaptors.port import TargetBook
from burster.clients.arm import Arm
from burster.clients.kube import Kube, KubeSettings
from burster.clients.prices import snapshot_prices
from burster.engine import ACTIVE
from burster.engine.sweeping.inspecting import Finding, Inspection, inspect
from burster.engine.sweeping.scope import claims_of, rule_of
from burster.model.errors import InputError, RemoteError
from burster.model.instructions import DeleteResource
from burster.model.targets import Target
from burster.runtime.clock import Clock, SystemClock
from burster.runtime.reaper_cluster import ClusterReader
from burster.settings import Settings


#: A VM takes its parts along; what it leaves is seen by the next look, of which a third one never shows anything new.
_LOOKS_MAX: Final = 3


class Swept(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was done about one finding."""

    finding: Finding
    outcome: Literal["Deleted", "Failed"]
    message: str = ""


class SweepReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was found, and what was done about it."""

    at_ms: int
    dry_run: bool
    cluster: str
    findings: tuple[Finding, ...] = ()
    swept: tuple[Swept, ...] = ()
    troubles: tuple[str, ...] = ()

    @property
    def left(self) -> int:
        """How many things are left behind: those that may go and did not, and those of which nobody can say whose they are."""
        gone = {one.finding.resource.resource_id for one in self.swept if one.outcome == "Deleted"}
        return sum(
            one.fate == "Unproven" or (one.fate == "Goes" and one.resource.resource_id not in gone)
            for one in self.findings
        )


class SweepOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for. ``targets``: from files; empty: the cluster's. ``wait``: what has no age is given the grace, by waiting for it."""

    target: str = ""
    targets: tuple[Target, ...] = ()
    delete: bool = False
    wait: bool = False


async def sweep_once(settings: Settings, options: SweepOptions, told: Callable[[str], None]) -> SweepReport:
    """Look, and delete what may go if that is wanted. Raises InputError, also where the records can't be read."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        arm = await stack.enter_async_context(Arm(settings.arm.for_client(), now_ms=clock.now_ms))
        kube = await stack.enter_async_context(
            await Kube.connect(
                KubeSettings(
                    kubeconfig=settings.kube.kubeconfig,
                    context=settings.kube.context,
                    in_cluster=settings.kube.in_cluster,
                )
            )
        )
        reader = ClusterReader(kube, clock.now_ms, home=settings.namespace)
        targets = await _targets(reader, options)
        sweep = CloudSweep(arm, reader, PeerPodRecords(kube), clock, cluster=settings.cluster_id)
        return await sweep.run(targets, options, told)


async def _targets(reader: ClusterReader, options: SweepOptions) -> tuple[Target, ...]:
    try:
        known = options.targets or await reader.targets()
    except RemoteError as error:
        raise InputError(f"the cluster can't be asked for its BurstTargets: {error}") from error
    azure = tuple(one for one in known if one.provider == "azure")
    if not options.target:
        if not azure:
            raise InputError("there is no BurstTarget of provider azure: nothing to look at")
        return azure
    named = tuple(one for one in azure if one.name == options.target)
    if not named:
        raise InputError(
            f"there is no BurstTarget {options.target} of provider azure; there is {', '.join(one.name for one in azure) or 'none'}"
        )
    return named


class CloudSweep:
    """Looks at targets one after the other."""

    def __init__(
        self, cloud: Cloud, reader: ClusterReader, records: PeerPodRecords, clock: Clock, *, cluster: str
    ) -> None:
        self._book: Final = TargetBook()
        self._resources: Final = AzureResources(cloud, records, self._book, clock.now_ms, cluster=cluster)
        self._reader: Final = reader
        self._clock: Final = clock
        self._cluster: Final = cluster
        self._first_seen: dict[str, int] = {}

    async def run(self, targets: tuple[Target, ...], options: SweepOptions, told: Callable[[str], None]) -> SweepReport:
        """Return what was found and done."""
        at_ms = self._clock.now_ms()
        findings: list[Finding] = []
        swept: list[Swept] = []
        troubles: list[str] = []
        for target in targets:
            self._book.put(target)
            try:
                found = await self._look(target)
                if options.wait and any(one.code == "AgeUnknown" for one in found):
                    told(f"waiting for the grace of target {target.name}")
                    await self._clock.sleep(target.sweep_grace_ms / 1000)
                    found = await self._look(target)
                if options.delete:
                    found = await self._delete(target, found, swept, told)
            except RemoteError as error:
                troubles.append(f"target {target.name}: {error}")
                continue
            findings += found
        if len(troubles) == len(targets):
            raise InputError("; ".join(troubles))
        return SweepReport(
            at_ms=at_ms,
            dry_run=not options.delete,
            cluster=self._cluster,
            findings=tuple(findings),
            swept=tuple(swept),
            troubles=tuple(troubles),
        )

    async def _look(self, target: Target) -> list[Finding]:
        listing = await self._resources.look(target)
        records = await self._reader.read()
        for stray in listing.strays:
            self._first_seen.setdefault(stray.resource_id.casefold(), listing.listed_at_ms)
        prices = _prices(target)
        return inspect(
            Inspection(
                listing=listing,
                claims=claims_of(
                    records.bursts, None if listing.claimed is None else frozenset(listing.claimed), ACTIVE
                ),
                rule=rule_of(target, self._cluster),
                grace_ms=target.sweep_grace_ms,
                now_ms=self._clock.now_ms(),
                price_of=lambda size: prices.get(size.casefold(), target.assumed_price_micro_usd_per_hour),
                first_seen={key: seen for key, seen in self._first_seen.items() if seen < listing.listed_at_ms},
            )
        )

    async def _delete(
        self, target: Target, found: list[Finding], swept: list[Swept], told: Callable[[str], None]
    ) -> list[Finding]:
        """Delete what may go, and look again for what that leaves behind; return everything that was ever found."""
        ever = {one.resource.resource_id: one for one in found}
        tried: set[str] = set()
        for _ in range(_LOOKS_MAX):
            going = [one for one in found if one.fate == "Goes" and one.resource.resource_id not in tried]
            if not going:
                break
            for one in going:
                tried.add(one.resource.resource_id)
                told(f"deleting {one.resource.name}")
                swept.append(await self._delete_one(target, one))
            found = await self._look(target)
            ever |= {one.resource.resource_id: one for one in found}
        return list(ever.values())

    async def _delete_one(self, target: Target, one: Finding) -> Swept:
        instruction = DeleteResource(key=f"sweep-cloud/{one.resource.name}", target=target.name, resource=one.resource)
        try:
            await self._resources.delete(instruction)
        except RemoteError as error:
            return Swept(finding=one, outcome="Failed", message=f"{error.kind}: {error}"[:500])
        return Swept(finding=one, outcome="Deleted")


def _prices(target: Target) -> Mapping[str, int]:
    """Return what sizes cost at a target, by their names in lower case: agreed prices over the dated list that comes with burster."""
    listed = snapshot_prices(target.region).micro_usd_per_hour
    agreed = target.negotiated_micro_usd_per_hour
    return {name.casefold(): price for name, price in {**listed, **agreed}.items()}
