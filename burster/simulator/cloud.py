"""The cloud's VMs: what exists, what it costs, what was refused.

Called by the world, which also says when each thing happens. Knows nothing of pods, rules or the controller, and never forgets a VM:
cost and hours are counted from every VM there ever was.
"""

import random
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from burster.engine.bursts.vms import vm_stem
from burster.model.offerings import Offering, Quota, Vm
from burster.model.quantities import MILLIS_PER_HOUR, cost_micro_usd
from burster.model.targets import Target
from burster.simulator.cloud_model import FAULTS, CloudModel, Fault
from burster.simulator.proofs import as_told


VmState = Literal["Creating", "Succeeded", "Failed", "Deleting"]
_BYTES_PER_GIB: Final = 1 << 30
_ALL_CORES: Final = "cores"


@dataclass(slots=True, eq=False)
class SimVm:
    """One VM, from the request to its confirmed end."""

    name: str
    burst: str
    launch: str  #: what its draws are made from
    target: Target
    offering: Offering
    created_ms: int
    state: VmState = "Creating"
    fault: Fault | None = None
    gone_ms: int = -1
    work_since_ms: int = -1
    work_ms: int = 0

    @property
    def price_micro_usd_per_hour(self) -> int:
        """Return what it costs: what the offering says, or what the target assumes; 0 for one that could not be allocated."""
        if self.fault is not None:
            return 0
        known = self.offering.price_micro_usd_per_hour
        return known if known is not None else self.target.assumed_price_micro_usd_per_hour or 0

    @property
    def vcpus(self) -> int:
        """Return its size in vCPUs."""
        return self.offering.resources.cpu_millicores // 1000

    def facts(self, epoch_ms: int) -> Vm:
        """Return what the cloud tells of it."""
        target = self.target
        group = f"/subscriptions/{target.subscription}/resourceGroups/{target.resource_group}"
        told = Vm(
            name=self.name,
            resource_id=f"{group}/providers/Microsoft.Compute/virtualMachines/{self.name}",
            region=self.offering.region,
            size=self.offering.size,
            provisioning_state=self.state,
            created_at_ms=epoch_ms + self.created_ms,
            security_type="ConfidentialVM",
            secure_boot=True,
            vtpm=True,
            encryption_type="VMGuestStateOnly",
            image=target.image,
            subnet=target.subnet,
            public_ip=False,
        )
        return as_told(told, target.provider, target.node_selector)


@dataclass(slots=True)
class Cloud:
    """All VMs, and the running totals that a report and a timeline need."""

    model: CloudModel
    seed: int
    vms: dict[str, SimVm] = field(default_factory=dict[str, SimVm])  #: those that exist
    by_burst: dict[str, list[SimVm]] = field(default_factory=dict[str, list[SimVm]])  #: the same, by burst
    gone: list[SimVm] = field(default_factory=list[SimVm])
    launches: int = 0
    failures: dict[str, int] = field(default_factory=dict[str, int])
    peak_vms: int = 0
    counts: dict[VmState, int] = field(default_factory=dict[VmState, int])
    working: int = 0
    quota_moved: bool = False  #: usage changed since the quota was last told
    _attempts: dict[str, int] = field(default_factory=dict[str, int])
    _used_vcpus: dict[str, int] = field(default_factory=dict[str, int])
    _price_now: int = 0  #: of all VMs there are, micro-USD an hour
    _accrued: int = 0  #: micro-USD x ms / hour, exact
    _accrued_at_ms: int = 0

    def request(
        self, burst: str, pod_name: str, target: Target, offering: Offering, now_ms: int, *, whole_name: bool = False
    ) -> SimVm | Fault:
        """Ask for a VM: it is being created (and may fail late), or it is refused at once. ``whole_name``: it has this very name."""
        self.launches += 1
        self._attempts[burst] = self._attempts.get(burst, 0) + 1
        launch = f"{burst}/{self._attempts[burst]}"
        fault = self._over_quota(target, offering) or self.model.draw_fault(self.seed, launch)
        if fault is not None:
            self.failures[fault.code] = self.failures.get(fault.code, 0) + 1
            if not fault.late:
                return fault
        sandbox = random.Random(f"{self.seed}/sandbox/{launch}").getrandbits(32)
        vm = SimVm(
            name=pod_name if whole_name else f"{vm_stem(pod_name)}-{sandbox:08x}",
            burst=burst,
            launch=launch,
            target=target,
            offering=offering,
            created_ms=now_ms,
            fault=fault,
        )
        self._settle(now_ms)
        self._price_now += vm.price_micro_usd_per_hour
        self.vms[vm.name] = vm
        self.by_burst.setdefault(burst, []).append(vm)
        self._use(vm, 1)
        self.counts["Creating"] = self.counts.get("Creating", 0) + 1
        self.peak_vms = max(self.peak_vms, len(self.vms))
        return vm

    def attempts(self, burst: str) -> int:
        """Return how many VMs were asked for on behalf of a burst."""
        return self._attempts.get(burst, 0)

    def move(self, vm: SimVm, state: VmState) -> None:
        """Note a VM's new state."""
        self.counts[vm.state] -= 1
        self.counts[state] = self.counts.get(state, 0) + 1
        vm.state = state

    def work(self, vm: SimVm, now_ms: int) -> None:
        """Note that a VM's pod does its work from now on."""
        vm.work_since_ms = now_ms
        self.working += 1

    def rest(self, vm: SimVm, now_ms: int) -> None:
        """Note that a VM's pod does no work any more."""
        if vm.work_since_ms >= 0:
            vm.work_ms += now_ms - vm.work_since_ms
            vm.work_since_ms = -1
            self.working -= 1

    def remove(self, vm: SimVm, now_ms: int) -> None:
        """A VM is gone, and costs nothing from now on."""
        self.rest(vm, now_ms)
        self._settle(now_ms)
        self._price_now -= vm.price_micro_usd_per_hour
        self.counts[vm.state] -= 1
        vm.gone_ms = now_ms
        del self.vms[vm.name]
        rest = self.by_burst[vm.burst]
        rest.remove(vm)
        if not rest:
            del self.by_burst[vm.burst]
        self._use(vm, -1)
        self.gone.append(vm)

    def running_cost_micro_usd(self, now_ms: int) -> int:
        """Return what all VMs have cost up to now, before each bill is rounded up: for a timeline."""
        return (self._accrued + self._price_now * (now_ms - self._accrued_at_ms)) // MILLIS_PER_HOUR

    def bills(self, now_ms: int) -> list[tuple[SimVm, int]]:
        """Return every VM there ever was with what it cost up to now, each rounded up to the micro-USD."""
        return [
            (
                vm,
                cost_micro_usd(vm.price_micro_usd_per_hour, (now_ms if vm.gone_ms < 0 else vm.gone_ms) - vm.created_ms),
            )
            for vm in (*self.gone, *self.vms.values())
        ]

    def egress_micro_usd(self, vm: SimVm) -> int:
        """Return what a VM's traffic cost, by the scenario's rate."""
        sent = self.model.egress_bytes_per_hour * vm.work_ms // MILLIS_PER_HOUR
        return -(-sent * self.model.egress_micro_usd_per_gib // _BYTES_PER_GIB)

    def quota_rows(self, target: Target) -> tuple[Quota, ...]:
        """Return a region's usages as the cloud would tell them."""
        return tuple(
            Quota(
                region=target.region,
                family=family,
                used_vcpus=self._used_vcpus.get(f"{target.region}/{family}", 0),
                limit_vcpus=limit,
            )
            for family, limit in sorted(self.model.quota_vcpus.items())
        )

    def _over_quota(self, target: Target, offering: Offering) -> Fault | None:
        wanted = offering.resources.cpu_millicores // 1000
        for family in (offering.family.lower(), _ALL_CORES):
            limit = self.model.quota_vcpus.get(family)
            used = self._used_vcpus.get(f"{target.region}/{family}", 0)
            if limit is not None and used + wanted > limit:
                text = f"{wanted} more {family} vCPUs exceed the approved quota of {limit}, of which {used} are in use"
                return msgspec.structs.replace(FAULTS["OperationNotAllowed"], message=text)
        return None

    def _use(self, vm: SimVm, sign: int) -> None:
        for family in (vm.offering.family.lower(), _ALL_CORES):
            key = f"{vm.target.region}/{family}"
            self._used_vcpus[key] = self._used_vcpus.get(key, 0) + sign * vm.vcpus
        self.quota_moved = True

    def _settle(self, now_ms: int) -> None:
        self._accrued += self._price_now * (now_ms - self._accrued_at_ms)
        self._accrued_at_ms = now_ms
