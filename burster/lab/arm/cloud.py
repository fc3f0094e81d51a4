"""The rules by which VMs in the ARM stand-in come, change and go.

The server calls it with requests it has read; timers call it when a creation or deletion ends, whether anybody polls
or not. It takes time only from ``now_ms`` and the timers it asks for, and draws every latency from the seed and the
VM's name, so that neither load nor order of requests changes when something is ready.
"""

import math
import random
import uuid
from asyncio import TimerHandle
from collections import Counter
from collections.abc import Callable
from typing import Final

from burster.lab.arm.attachments import Attachments
from burster.lab.arm.billing import Billing
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import SKU_NOT_AVAILABLE, ArmError, not_found
from burster.lab.arm.faults import UNALLOCATED, Fault, Faults, strike
from burster.lab.arm.operations import Operations
from burster.lab.arm.quotas import UsageRow, check_quota, usage_rows
from burster.lab.arm.request import VmRequest, read_vm_request
from burster.lab.arm.resources import VM_KIND, Operation, Scope, VmRecord
from burster.lab.arm.shelf import Shelf


_NAMESPACE: Final = uuid.UUID("6f0b1d2e-8a35-4c53-9a5e-2f6d6f1a7c11")
#: The 95th percentile of a normal distribution, in standard deviations.
_P95: Final = 1.6449
_FASTEST_PART: Final = 3  #: no creation is faster than the median divided by this

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
        self.attachments = Attachments(config)
        self.vms: Shelf[VmRecord] = Shelf()
        self.operations = Operations(now_ms=now_ms, config=config, seed=seed)
        self._incarnations: Counter[str] = Counter()
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

        ArmError where Azure would refuse. ``may_join`` is asked for each subnet whether the caller may use it.
        """
        request = read_vm_request(content, self._config)
        found = self.vms.get(scope.resource_id(VM_KIND, name).casefold())
        if found is not None and if_none_match:
            raise ArmError(
                412, "PreconditionFailed", "The condition 'If-None-Match' evaluated to false: the resource exists."
            )
        if found is not None and not (found.state == "Failed" and not found.allocated):
            self._update(found, request)
            return 200, found, None
        for nic in request.body.properties.network_profile.network_interface_configurations:
            may_join(nic.subnet)
        fault = self._check_place(request, name, scope)
        if found is not None:  # it never had a machine: the PUT tries again
            self._gone_now(found, self._now_ms())
        self.attachments.check_room(request, scope)
        return 201, self._create(scope, name, request), fault

    def find_vm(self, scope: Scope, name: str) -> VmRecord | None:
        """Return a VM, None where there is none."""
        return self.vms.get(scope.resource_id(VM_KIND, name).casefold())

    def get_vm(self, scope: Scope, name: str) -> VmRecord:
        """Return a VM; ArmError 404."""
        found = self.find_vm(scope, name)
        if found is None:
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
        draw = self._draw(vm, "delete")
        delete_ms = draw.randint(self._config.delete_min_ms, self._config.delete_max_ms) // (2 if force else 1)
        self._later(vm, now_ms + delete_ms, self._deleted)
        return vm.operation

    def usages(self, subscription: str, region: str) -> list[UsageRow]:
        """Return the region's vCPU usages."""
        return usage_rows(self._config, region, self._of(subscription))

    def leaks(self) -> tuple[str, ...]:
        """Return the id of everything that is still there, sorted."""
        return tuple(sorted([*(vm.id for vm in self.vms.values()), *self.attachments.ids]))

    def close(self) -> None:
        """Cancel every timer."""
        for vm in self.vms.values():
            vm.cancel_timers()

    def _of(self, subscription: str) -> list[VmRecord]:
        return [vm for vm in self.vms.values() if vm.scope.subscription.casefold() == subscription.casefold()]

    def _check_place(self, request: VmRequest, name: str, scope: Scope) -> Fault | None:
        """Raise where the subscription may not, or the region can't: restriction, quota, capacity, in that order."""
        region, size = request.body.region, request.size
        fault = strike(self._faults.take("PutVm", name=name, size=size.name, region=region))
        key = f"{region}/{size.name}".casefold()
        restricted = any(known.casefold() == key for known in self._config.restricted)
        blocked = next((zones for known, zones in self._config.restricted_zones.items() if known.casefold() == key), ())
        if restricted or set(request.body.zones) & set(blocked):
            raise ArmError(409, "SkuNotAvailable", SKU_NOT_AVAILABLE.format(size=size.name, region=region))
        check_quota(self._config, region, size, self._of(scope.subscription))
        return fault

    def _create(self, scope: Scope, name: str, request: VmRequest) -> VmRecord:
        now_ms = self._now_ms()
        vm_id = scope.resource_id(VM_KIND, name)
        incarnation = self._incarnations[vm_id.casefold()]
        self._incarnations[vm_id.casefold()] += 1
        vm = VmRecord(
            id=vm_id,
            name=name,
            scope=scope,
            region=request.body.region,
            size=request.size,
            zones=tuple(request.body.zones),
            tags=dict(request.body.tags),
            properties=dict(request.raw["properties"]),
            user_data=request.body.properties.user_data,
            uid=str(uuid.uuid5(_NAMESPACE, f"{self._seed}/vm/{vm_id.casefold()}/{incarnation}")),
            created_at_ms=now_ms,
            incarnation=incarnation,
            operation=Operation(id="", region="", subscription="", started_at_ms=now_ms),
        )
        vm.operation = self.operations.begin(vm)
        self.vms[vm.key] = vm
        self.attachments.attach(vm, request)
        self.billing.began(vm)
        create_ms = self._create_ms(vm)
        self._later(vm, now_ms + create_ms * self._config.address_after_percent // 100, self._allocated)
        self._later(vm, now_ms + create_ms, self._created)
        return vm

    def _update(self, vm: VmRecord, request: VmRequest) -> None:
        """Apply a repeated PUT: tags may change, what makes the machine may not."""
        if vm.state == "Deleting":
            raise ArmError(
                409,
                "OperationNotAllowed",
                f"Operation 'Update VM' is not allowed on VM '{vm.name}' since the VM is marked for deletion. You can only retry "
                "the Delete operation (or wait for an ongoing one to complete).",
            )
        body = request.body
        if body.region != vm.region:
            raise ArmError(
                409,
                "InvalidResourceLocation",
                f"The resource '{vm.name}' already exists in location '{vm.region}' in resource group '{vm.scope.group}'. "
                f"A resource with the same name cannot be created in location '{body.region}'.",
            )
        changed = _changed_property(vm, request)
        if changed:
            raise ArmError(
                409, "PropertyChangeNotAllowed", f"Changing property '{changed}' is not allowed.", target=changed
            )
        vm.tags = dict(body.tags)
        if vm.state == "Succeeded":
            vm.state = "Updating"
            vm.operation = self.operations.begin(vm)
            self._later(vm, self._now_ms() + self._config.update_ms, self._updated)

    def _later(self, vm: VmRecord, due_ms: int, what: Callable[[VmRecord, int], None]) -> None:
        vm.timers.append(self._at(due_ms, lambda: what(vm, due_ms)))

    def _draw(self, vm: VmRecord, what: str) -> random.Random:
        again = f"/{vm.incarnation}" if vm.incarnation else ""
        return random.Random(f"{self._seed}/vm/{vm.name}{again}" + ("" if what == "create" else f"/{what}"))

    def _create_ms(self, vm: VmRecord) -> int:
        median = self._config.create_median_ms
        sigma = math.log(max(1.0, self._config.create_p95_ms / max(1, median))) / _P95
        drawn = int(median * self._draw(vm, "create").lognormvariate(0.0, sigma))
        return max(median // _FASTEST_PART, min(self._config.create_max_ms, drawn))

    def _allocated(self, vm: VmRecord, _at_ms: int) -> None:
        if vm.state == "Creating":
            vm.allocated = True
            self.attachments.allocate(vm)

    def _created(self, vm: VmRecord, at_ms: int) -> None:
        vm.timers.clear()
        fault = self._faults.take("Provision", name=vm.name, size=vm.size.name, region=vm.region)
        self._allocated(vm, at_ms)
        if fault is None:
            vm.state = "Succeeded"
            vm.operation.finish(at_ms)
            return
        vm.state, vm.failure = "Failed", fault.code
        if fault.code in UNALLOCATED:
            vm.allocated = False
            for nic in vm.nics:
                nic.address = ""
            self.billing.never_allocated(vm)
        vm.operation.finish(at_ms, code=fault.code, message=fault.message)

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
        del self.vms[vm.key]
        self.attachments.release(vm)
        self.billing.ended(vm, at_ms)
        if self._config.list_lag_ms:
            self._gone.append((at_ms, vm))


def _changed_property(vm: VmRecord, request: VmRequest) -> str:
    """Return the first property that an update may not change but would."""
    asked, had = request.raw["properties"], vm.properties
    if tuple(request.body.zones) != vm.zones:
        return "zones"
    if request.body.properties.user_data != vm.user_data:
        return "userData"
    if request.size.name != vm.size.name:
        return "hardwareProfile.vmSize"
    return next(
        (name for name in ("osProfile", "storageProfile", "securityProfile") if asked.get(name) != had.get(name)), ""
    )
