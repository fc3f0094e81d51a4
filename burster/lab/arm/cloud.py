"""The rules by which VMs in the ARM stand-in come, change and go.

The server calls it with requests it has read; timers call it when a creation or deletion ends, whether anybody polls
or not. It takes time only from ``now_ms`` and the timers it asks for, and draws every latency from the seed and the
VM's name, so that neither load nor order of requests changes when something is ready.
"""

import uuid
from asyncio import TimerHandle
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, Final

from burster.lab.arm.attachments import Attachments
from burster.lab.arm.availability import check_available
from burster.lab.arm.billing import Billing
from burster.lab.arm.capacity import Capacity, Wanted
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError, not_found
from burster.lab.arm.faults import UNALLOCATED, Fault, Faults, strike
from burster.lab.arm.latencies import create_ms, delete_ms, spot_life_ms
from burster.lab.arm.making import new_vm
from burster.lab.arm.operations import Operations
from burster.lab.arm.quotas import Quotas
from burster.lab.arm.request import VmRequest, read_vm_request
from burster.lab.arm.resources import VM_KIND, Attachment, Operation, Scope, VmRecord
from burster.lab.arm.shelf import Shelf
from burster.lab.arm.spot import scheduled_event
from burster.lab.arm.updates import check_stays, check_update


_NAMESPACE: Final = uuid.UUID("6f0b1d2e-8a35-4c53-9a5e-2f6d6f1a7c11")
_DEALLOCATE_MS: Final = 20_000
_NOTICE_MS: Final = 30_000

At = Callable[[int, Callable[[], None]], TimerHandle]


class Cloud:
    """One subscription's worth of everything, or of several: ids tell them apart."""

    def __init__(
        self, *, now_ms: Callable[[], int], at: At, config: Callable[[], ArmConfig], seed: int, faults: Faults
    ) -> None:
        self._now_ms = now_ms
        self._at = at
        self._read_config = config
        self._seed = seed
        self._faults = faults
        self.billing = Billing()
        self.attachments = Attachments(now_ms=now_ms, config=config, billing=self.billing)
        self.quotas = Quotas(now_ms=now_ms, config=config)
        self._capacity = Capacity(now_ms=now_ms, config=config, seed=seed)
        self.vms: Shelf[VmRecord] = Shelf()
        self.operations = Operations(now_ms=now_ms, config=config, seed=seed)
        self._incarnations: Counter[str] = Counter()
        self._by_name: dict[str, dict[str, VmRecord]] = defaultdict(dict)
        self.started: Callable[[VmRecord], None] = _nobody  #: is told of each VM that begins to run
        #: gone VMs with the moment they went, kept as long as lists lag behind
        self._gone: list[tuple[int, VmRecord]] = []

    @property
    def _config(self) -> ArmConfig:
        return self._read_config()

    def put_vm(
        self,
        scope: Scope,
        name: str,
        content: bytes,
        *,
        if_none_match: bool,
        may_join: Callable[[str], None] = lambda _: None,
    ) -> tuple[int, VmRecord, Fault | None]:
        """Create or update a VM; return the HTTP status, the VM, and the fault that still has to happen to the answer.

        ArmError where Azure would refuse. ``may_join`` is asked for each subnet and network security group whether the caller may use it.
        """
        request = read_vm_request(name, content, self._config)
        found = self.vms.get(scope.resource_id(VM_KIND, name).casefold())
        if found is not None and if_none_match:
            raise ArmError(
                412, "PreconditionFailed", "The condition 'If-None-Match' evaluated to false: the resource exists."
            )
        if found is not None and not (found.state == "Failed" and not found.allocated):
            self._update(found, request)
            return 200, found, None
        for nic in request.body.properties.network_profile.network_interface_configurations:
            for wanted in filter(None, (nic.subnet, nic.security_group)):
                may_join(wanted)
        vm_id = scope.resource_id(VM_KIND, name)
        wanted = Wanted(name=name, region=request.body.region, size=request.size, zones=tuple(request.body.zones))
        fault = self._check_allowed(wanted, scope, vm_id, spot=request.body.spot, former=found)
        self.attachments.check_room(request, scope, name, vm_id)
        doom = self._capacity.failure_of(wanted)
        return 201, self._create(scope, name, request, doom, found), fault

    def tag_vm(self, scope: Scope, name: str, tags: dict[str, str]) -> VmRecord:
        """Give a VM these tags in place of its own; ArmError 404, or 409 where it is on its way out."""
        vm = self.get_vm(scope, name)
        check_stays(vm)
        vm.tags = tags
        return vm

    def named(self, name: str) -> tuple[VmRecord, ...]:
        """Return the VMs of that name in all groups and subscriptions."""
        return tuple(self._by_name.get(name.casefold(), {}).values())

    def find_vm(self, scope: Scope, name: str) -> VmRecord | None:
        """Return a VM, None where there is none."""
        return self.vms.get(scope.resource_id(VM_KIND, name).casefold())

    def get_vm(self, scope: Scope, name: str) -> VmRecord:
        """Return a VM; ArmError 404."""
        found = self.find_vm(scope, name)
        if found is None or self._now_ms() - found.created_at_ms < self._config.read_lag_ms:
            raise not_found(VM_KIND, name, scope.group)
        return found

    def page_of_vms(self, scope: Scope, *, after: str, size: int) -> list[VmRecord]:
        """Return up to ``size`` VMs of a resource group, or of the subscription, as a list shows them: as far behind as it lags."""
        group = f"resourcegroups/{scope.group}/" if scope.group else ""
        prefix = f"/subscriptions/{scope.subscription}/{group}".casefold()
        lag_ms = self._config.list_lag_ms
        if not lag_ms:
            return self.vms.page(prefix, after=after, size=size)
        seen_at_ms = self._now_ms() - lag_ms
        self._gone = [(at_ms, vm) for at_ms, vm in self._gone if at_ms > seen_at_ms]
        shown = {vm.key: vm for _, vm in self._gone if vm.key.startswith(prefix) and vm.key > after}
        shown.update((vm.key, vm) for vm in self.vms.under(prefix, after=after))
        old_enough = (vm for vm in shown.values() if vm.created_at_ms <= seen_at_ms)
        return sorted(old_enough, key=lambda vm: vm.key)[:size]

    def delete_vm(self, scope: Scope, name: str, *, force: bool) -> Operation | None:
        """Start a VM's deletion and return its operation; None where there is no such VM."""
        vm = self.vms.get(scope.resource_id(VM_KIND, name).casefold())
        if vm is None:
            return None
        if vm.state == "Deleting":
            return vm.operation
        now_ms = self._now_ms()
        vm.cancel_timers()
        vm.operation.finish(
            now_ms, code="OperationPreempted", message="The operation has been preempted by a more recent operation."
        )
        vm.state = "Deleting"
        vm.operation = self.operations.begin(vm)
        self._later(vm, now_ms + delete_ms(vm, self._config, self._seed, force=force), self._deleted)
        return vm.operation

    def delete_part(self, kind: str, scope: Scope, name: str) -> Operation | None:
        """Start the deletion of a disk, interface or address; None where there is none, ArmError where something has it."""
        part = self.attachments.deletable(kind, scope, name)
        if part is None:
            return None
        if part.deletion is None:
            part.deletion, part.state = self.operations.begin(part), "Deleting"
            takes_ms = self._config.part_delete_ms
            if takes_ms:
                part.timer = self._at(self._now_ms() + takes_ms, lambda: self._part_gone(part))
            else:
                self._part_gone(part)
        return part.deletion

    def evict(self, name: str, notice_s: int) -> dict[str, Any]:
        """Announce that a spot machine is taken back; return the notice as the guest reads it. LookupError where none runs."""
        vm = next(iter(self.named(name)), None)
        if vm is None or not vm.spot or not vm.allocated:
            raise LookupError(f"no spot machine {name} runs")
        return self._announce(vm, self._now_ms() + notice_s * 1000)

    def _announce(self, vm: VmRecord, due_ms: int) -> dict[str, Any]:
        vm.notice = scheduled_event(vm.name, str(uuid.uuid5(_NAMESPACE, f"{vm.uid}/evicted/{due_ms}")), due_ms)
        self._later(vm, due_ms, self._evicted)
        return vm.notice

    def leaks(self) -> tuple[str, ...]:
        """Return the id of everything that is still there, sorted."""
        parts = (part.id for part in self.attachments.all)
        return tuple(sorted([*(vm.id for vm in self.vms.values()), *parts]))

    def close(self) -> None:
        """Cancel every timer."""
        for vm in self.vms.values():
            vm.cancel_timers()
        for part in self.attachments.all:
            if part.timer is not None:
                part.timer.cancel()

    def _part_gone(self, part: Attachment) -> None:
        self.attachments.remove(part)
        if part.deletion is not None:
            part.deletion.finish(self._now_ms())

    def _check_allowed(
        self, wanted: Wanted, scope: Scope, vm_id: str, *, spot: bool, former: VmRecord | None
    ) -> Fault | None:
        """Raise where the subscription may not: restriction, then quota, in which a former VM of that name makes room."""
        region, size = wanted.region, wanted.size
        fault = strike(self._faults.take("PutVm", name=wanted.name, size=size.name, region=region))
        check_available(self._config, region, size, wanted.zones, subscription=scope.subscription, vm_id=vm_id)
        self.quotas.check(scope.subscription, region, size, spot=spot, without=former)
        return fault

    def _create(
        self, scope: Scope, name: str, request: VmRequest, doom: tuple[str, str], former: VmRecord | None
    ) -> VmRecord:
        """Begin a VM; a former one of that name never had a machine, and what it has left goes over to the new one."""
        now_ms = self._now_ms()
        key = scope.resource_id(VM_KIND, name).casefold()
        incarnation = self._incarnations[key]
        self._incarnations[key] += 1
        vm = new_vm(request, scope, name, seed=self._seed, incarnation=incarnation, now_ms=now_ms)
        vm.doom = doom
        vm.operation = self.operations.begin(vm)
        if former is not None:
            self._forget(former, now_ms)
        self.vms[vm.key] = self._by_name[name.casefold()][vm.key] = vm
        self.quotas.count(vm, +1)
        self.attachments.attach(vm, request)
        if former is not None:
            self.attachments.release(former, heir=vm)
        self.billing.began(vm)
        takes_ms = create_ms(vm, self._config, self._seed)
        self._later(vm, now_ms + takes_ms * self._config.address_after_percent // 100, self._allocated)
        self._later(vm, now_ms + takes_ms, self._created)
        return vm

    def _update(self, vm: VmRecord, request: VmRequest) -> None:
        """Apply a repeated PUT: tags may change, what makes the machine may not."""
        check_update(vm, request)
        vm.tags = dict(request.body.tags)
        if vm.state == "Succeeded":
            vm.state = "Updating"
            vm.operation = self.operations.begin(vm)
            self._later(vm, self._now_ms() + self._config.update_ms, self._updated)

    def _later(self, vm: VmRecord, due_ms: int, what: Callable[[VmRecord, int], None]) -> None:
        vm.timers.append(self._at(due_ms, lambda: what(vm, due_ms)))

    def _allocated(self, vm: VmRecord, _at_ms: int) -> None:
        if vm.state == "Creating" and vm.doom[0] not in UNALLOCATED:
            begins = not vm.allocated
            vm.allocated, vm.power = True, "running"
            self.attachments.allocate(vm)
            if begins:
                self.started(vm)

    def _created(self, vm: VmRecord, at_ms: int) -> None:
        vm.timers.clear()
        fault = self._faults.take("Provision", name=vm.name, size=vm.size.name, region=vm.region)
        code, message = (fault.code, fault.message) if fault is not None else vm.doom
        self._allocated(vm, at_ms)
        if not code:
            vm.state = "Succeeded"
            vm.operation.finish(at_ms)
            if vm.spot and self._config.spot_life_mean_ms:
                self._later(vm, at_ms + spot_life_ms(vm, self._config, self._seed), self._wanted_back)
            return
        vm.state, vm.failure = "Failed", code
        if code in UNALLOCATED:
            vm.allocated, vm.power = False, ""
            for nic in vm.nics:
                nic.address = ""
            self.billing.never_allocated(vm)
        vm.operation.finish(at_ms, code=code, message=message)

    def _wanted_back(self, vm: VmRecord, at_ms: int) -> None:
        if self.vms.get(vm.key) is vm and vm.allocated and vm.state != "Deleting":
            self._announce(vm, at_ms + _NOTICE_MS)

    def _evicted(self, vm: VmRecord, at_ms: int) -> None:
        if self.vms.get(vm.key) is not vm or vm.state == "Deleting":
            return
        if vm.eviction_policy.casefold() == "delete":
            self.delete_vm(vm.scope, vm.name, force=False)
            return
        vm.power = "deallocating"
        self._later(vm, at_ms + _DEALLOCATE_MS, self._deallocated)

    def _deallocated(self, vm: VmRecord, at_ms: int) -> None:
        vm.power, vm.allocated = "deallocated", False
        self.billing.ended(vm, at_ms)

    def _updated(self, vm: VmRecord, at_ms: int) -> None:
        vm.timers.clear()
        vm.state = "Succeeded"
        vm.operation.finish(at_ms)

    def _deleted(self, vm: VmRecord, at_ms: int) -> None:
        vm.timers.clear()
        fault = self._faults.take("Deprovision", name=vm.name, size=vm.size.name, region=vm.region)
        if fault is not None:
            vm.state, vm.failure = "Failed", fault.code
            vm.operation.finish(at_ms, code=fault.code, message=fault.message)
            return
        self._gone_now(vm, at_ms)
        vm.operation.finish(at_ms)

    def _gone_now(self, vm: VmRecord, at_ms: int) -> None:
        self._forget(vm, at_ms)
        self.attachments.release(vm)

    def _forget(self, vm: VmRecord, at_ms: int) -> None:
        del self.vms[vm.key], self._by_name[vm.name.casefold()][vm.key]
        self.quotas.count(vm, -1)
        self.billing.ended(vm, at_ms)
        if self._config.list_lag_ms:
            self._gone.append((at_ms, vm))


def _nobody(_vm: VmRecord) -> None:
    """Nobody plays what is inside."""
