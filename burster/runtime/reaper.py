"""Ends what nobody looks after any more, independently of the controller: by its own identity, from ARM and the Bursts, or from ARM alone.

One round: the cloud is listed, then the records are read, ``engine.reaping`` judges. What may go is read once more, with its records, and
judged again right before it is ended, so that a lease that was renewed in between counts. Done twice, or by two reapers, it is done once: a
404 is what was wanted. It reports only, unless it was told to delete.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Literal

import msgspec
import structlog

from burster.adaptors.azure_resources import CloudResources
from burster.engine.reaping import Reading, ReapRules, judge
from burster.engine.sweeping.inspecting import Finding
from burster.engine.sweeping.scope import rule_of, vm_of
from burster.model.errors import InputError, RemoteError
from burster.model.offerings import CloudResource
from burster.model.stimuli import CloudListed
from burster.model.targets import Target
from burster.runtime.clock import Clock
from burster.runtime.reaper_cluster import ClusterReader, ClusterReading


_log = structlog.get_logger("burster.runtime.reaper")
Outcome = Literal["Ended", "Reported", "Failed", "Spared", "Later"]
_REMEMBERED_MAX: Final = 10_000


class ReaperOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a reaper behaves. ``cluster``: what this cluster's tag says. ``targets``: given by files; empty: the cluster's own."""

    cluster: str
    mode: Literal["Report", "Delete"] = "Report"
    rules: ReapRules = ReapRules()
    interval_ms: int = 60_000
    per_round: int = 10  #: of all targets together
    targets: tuple[Target, ...] = ()


class Reaped(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was made of one finding. ``Later``: the round's number was used up; ``Spared``: looked at once more, it may stay."""

    finding: Finding
    outcome: Outcome
    message: str = ""


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One round over all targets."""

    at_ms: int
    mode: str
    blind: bool  #: the API server could not be asked
    controller_leads: bool = False
    findings: tuple[Finding, ...] = ()
    reaped: tuple[Reaped, ...] = ()
    troubles: tuple[str, ...] = ()  #: what could not be read, in sentences
    listed: tuple[str, ...] = ()  #: targets that were looked at
    unlisted: tuple[str, ...] = ()  #: targets of whose resource group nothing is known


class Reaper:
    """Rounds over one cluster's targets."""

    def __init__(
        self,
        cloud: CloudResources,
        cluster: ClusterReader | None,
        clock: Clock,
        options: ReaperOptions,
        *,
        tell: Callable[[Reaped], Awaitable[None]] | None = None,
        skew_ms: Callable[[], int | None] = lambda: None,
    ) -> None:
        """``cluster`` None: there is none any more, as whoever starts it says. ``tell`` hears of what was done, besides the log."""
        self._cloud = cloud
        self._cluster = cluster
        self._clock = clock
        self._options = options
        self._tell = tell
        self._skew_ms = skew_ms
        self._targets: dict[str, Target] = {target.name: target for target in options.targets}
        self._began_ms = clock.now_ms()
        self._blind_since_ms: int | None = None
        self._first_seen: dict[str, int] = {}
        self._reaped: dict[str, None] = {}
        self.progressed_ms = self._began_ms  #: when it last got on with its work: a round of ten deletions takes long
        for target in options.targets:
            check_scope(target, options.cluster)

    async def run(self, heard: Callable[[Round], None]) -> None:
        """Go round until cancelled."""
        while True:
            heard(await self.round())
            await self._clock.sleep(self._options.interval_ms / 1000)

    async def round(self) -> Round:
        """Look once at everything, and do what may be done. Raises nothing but what a bug raises: troubles are told in the round."""
        now_ms = self.progressed_ms = self._clock.now_ms()
        troubles: list[str] = []
        unlisted: list[str] = []
        await self._learn_targets(troubles)
        findings: list[Finding] = []
        reaped: list[Reaped] = []
        there: set[str] = set()
        blind = leads = False
        for target in self._targets.values():
            try:
                reading = await self._read(target, troubles)
            except RemoteError as error:
                troubles.append(f"{target.name} can't be listed: {error}")
                unlisted.append(target.name)
                continue
            finally:
                self.progressed_ms = self._clock.now_ms()
            blind, leads = blind or reading.bursts is None, leads or reading.controller_leads
            judged = judge(reading, self._options.rules, self._clock.now_ms())
            findings += judged
            there.update(one.resource.resource_id.casefold() for one in judged)
            for one in judged:
                if one.fate == "Goes":
                    ended = sum(each.outcome in {"Ended", "Failed"} for each in reaped)
                    reaped.append(await self._deal_with(target, one, ended))
                    self.progressed_ms = self._clock.now_ms()
        self._first_seen = {key: at_ms for key, at_ms in self._first_seen.items() if key in there}
        return Round(
            at_ms=now_ms,
            mode=self._options.mode,
            blind=blind,
            controller_leads=leads,
            findings=tuple(findings),
            reaped=tuple(reaped),
            troubles=tuple(dict.fromkeys(troubles)),
            listed=tuple(name for name in self._targets if name not in unlisted),
            unlisted=tuple(unlisted),
        )

    async def _learn_targets(self, troubles: list[str]) -> None:
        """Take the cluster's targets in Azure as they are now; what was known of one that can't be read any more stays known."""
        if self._options.targets or self._cluster is None:
            return
        try:
            found = await self._cluster.targets()
        except RemoteError as error:
            troubles.append(f"targets can't be read: {error}")
            return
        for target in found:
            if target.provider != "azure":
                continue  # it is Azure's resource groups that are looked into
            try:
                check_scope(target, self._options.cluster)
            except InputError as error:
                troubles.append(str(error))
            else:
                self._targets[target.name] = target

    async def _read(self, target: Target, troubles: list[str]) -> Reading:
        """Return what there is at a target: the cloud first, then the records."""
        listed_at_ms = self._clock.now_ms()
        parts = await self._cloud.list_attachments(target)
        vms = await self._cloud.list_vms(target)
        strays = tuple(one for one in parts if not one.attached_to and vm_of(one.kind, one.name))
        for stray in strays:
            self._first_seen.setdefault(stray.resource_id.casefold(), listed_at_ms)
        records = await self._records(troubles)
        listing = CloudListed(
            target=target.name,
            listed_at_ms=listed_at_ms,
            vms=tuple(vm for vm in vms if vm_of("Vm", vm.name)),
            strays=strays,
            claimed=_claimed(records),
            cluster=self._options.cluster,
        )
        return self._reading(target, listing, records)

    def _reading(self, target: Target, listing: CloudListed, records: ClusterReading | None) -> Reading:
        return Reading(
            listing=listing,
            rule=rule_of(target, self._options.cluster),
            bursts=None if records is None else records.bursts,
            controller_leads=records is not None and records.controller_leads,
            blind_since_ms=self._blind_since_ms,
            skew_ms=self._skew_ms(),
            first_seen=self._first_seen,
            owners=(records.owners if records is not None else None) or {},
            reaped=frozenset(self._reaped),
        )

    async def _records(self, troubles: list[str]) -> ClusterReading | None:
        """Return what the cluster has on record; None, and since when, where it can't be asked."""
        if self._cluster is None:
            # somebody has said so: there is nothing to wait for
            self._blind_since_ms = self._began_ms - self._options.rules.grace_ms
            return None
        try:
            records = await self._cluster.read()
        except RemoteError as error:
            self._blind_since_ms = self._blind_since_ms if self._blind_since_ms is not None else self._clock.now_ms()
            troubles.append(f"the API server can't be asked: {error}")
            return None
        self._blind_since_ms = None
        return records

    async def _deal_with(self, target: Target, finding: Finding, ended: int) -> Reaped:
        if self._options.mode == "Report":
            done = Reaped(finding=finding, outcome="Reported")
        elif ended >= self._options.per_round:
            done = Reaped(finding=finding, outcome="Later")
        else:
            done = await self._end(target, finding)
        _log.log(
            30 if done.outcome in {"Ended", "Failed"} else 20,
            "reaper.finding",
            outcome=done.outcome,
            target=target.name,
            kind=finding.resource.kind,
            name=finding.resource.name,
            code=finding.code,
            why=finding.why,
            message=done.message,
        )
        if self._tell is not None and done.outcome in {"Ended", "Failed"}:
            await self._tell(done)
        return done

    async def _end(self, target: Target, finding: Finding) -> Reaped:
        """Look once more, at this one and at the records, and end it if it may still go."""
        resource = finding.resource
        try:
            now = await self._look_again(target, finding)
            if now is None:
                return Reaped(finding=finding, outcome="Ended", message="it was gone already")
            if now.fate != "Goes":
                return Reaped(finding=now, outcome="Spared", message=now.why)
            await self._cloud.delete_resource(target, resource)
        except RemoteError as error:
            return Reaped(finding=finding, outcome="Failed", message=f"{error.kind}: {error}"[:500])
        if resource.kind == "Vm":
            self._reaped[resource.name] = None
            while len(self._reaped) > _REMEMBERED_MAX:
                del self._reaped[next(iter(self._reaped))]
        return Reaped(finding=finding, outcome="Ended")

    async def _look_again(self, target: Target, finding: Finding) -> Finding | None:
        """Return what is to become of it by facts that were read just now; None: it is gone."""
        resource = finding.resource
        at_ms = self._clock.now_ms()
        vm = await self._cloud.get_vm(target, finding.vm)
        if resource.kind == "Vm" and (vm is None or vm.created_at_ms != resource.created_at_ms):
            return None
        strays: tuple[CloudResource, ...] = () if resource.kind == "Vm" else (resource,)
        records = await self._records([])
        listing = CloudListed(
            target=target.name,
            listed_at_ms=at_ms,
            vms=() if vm is None else (vm,),
            strays=strays,
            claimed=_claimed(records),
            cluster=self._options.cluster,
        )
        judged = judge(self._reading(target, listing, records), self._options.rules, self._clock.now_ms())
        found = next((one for one in judged if one.resource.kind == resource.kind), None)
        if found is None and vm is not None:
            return msgspec.structs.replace(finding, fate="Stays", code="Claimed", why=f"{finding.vm} is there by now")
        return found


def check_scope(target: Target, cluster: str) -> None:
    """Raise InputError where nobody could tell what of a target's resource group is this cluster's; machines tell it by their tags."""
    if target.machines is None and not rule_of(target, cluster).tells:
        raise InputError(
            f"target {target.name} does not say what in resource group {target.resource_group or '(none)'} is this cluster's, and the"
            " reaper must not guess: write spec.sweep.scope.tags or spec.sweep.scope.exclusive"
        )


def _claimed(records: ClusterReading | None) -> tuple[str, ...] | None:
    return None if records is None or records.owners is None else tuple(records.owners)
