"""Whatever is done to VMs in whatever order: quota, addresses, parts and bills always agree with the VMs there are."""

import copy
from collections import Counter
from types import SimpleNamespace

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from burster.lab.arm.cloud import Cloud
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.errors import ArmError
from burster.lab.arm.faults import UNALLOCATED, Fault, Faults, known_fault
from burster.lab.arm.resources import DISK_KIND, NIC_KIND, PUBLIC_IP_KIND, Scope
from tests.contract.arm.conftest import SUBNET, SUBSCRIPTION, vm_body


SCOPE = Scope(subscription=SUBSCRIPTION, group="rg")
NAMES = st.sampled_from(["podvm-a", "podvm-b", "burstvm-c"])
OPTIONS = st.sampled_from(["Delete", "Detach"])
KINDS = st.sampled_from([(NIC_KIND, "-net"), (DISK_KIND, "-disk"), (PUBLIC_IP_KIND, "-ip")])
CONFIG = ArmConfig(
    family_quota=6, cores_quota=6, spot_quota=4, subnet_addresses=4, list_lag_ms=5_000, nic_reserved_ms=60_000
)


class Timers:
    """Virtual time by hand: due moments in order, each run at its own."""

    def __init__(self):
        self.now_ms = 1_000_000
        self._due = []
        self._count = 0

    def at(self, due_ms, what):
        self._count += 1
        entry = (max(due_ms, self.now_ms), self._count, what)
        self._due.append(entry)
        return SimpleNamespace(cancel=lambda: self._due.remove(entry) if entry in self._due else None)

    def pass_ms(self, ms):
        until = self.now_ms + ms
        while (entry := min(self._due, default=None)) is not None and entry[0] <= until:
            self._due.remove(entry)
            self.now_ms = entry[0]
            entry[2]()
        self.now_ms = until


class AnyLife(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.timers = Timers()
        self.faults = Faults(7)
        self.cloud = Cloud(
            now_ms=lambda: self.timers.now_ms, at=self.timers.at, config=lambda: CONFIG, seed=7, faults=self.faults
        )

    @rule(name=NAMES, parts=OPTIONS, address=st.booleans(), spot=st.booleans(), policy=OPTIONS, only_new=st.booleans())
    def put(self, name, parts, address, spot, policy, only_new):
        body = copy.deepcopy(vm_body(name))
        body["properties"]["storageProfile"]["osDisk"]["deleteOption"] = parts
        nic = body["properties"]["networkProfile"]["networkInterfaceConfigurations"][0]
        nic["properties"]["deleteOption"] = parts
        if address:
            public = {"name": f"{name}-ip", "properties": {"deleteOption": parts}}
            nic["properties"]["ipConfigurations"][0]["properties"]["publicIPAddressConfiguration"] = public
        if spot:
            policy = "Deallocate" if policy == "Detach" else policy
            body["properties"] |= {"priority": "Spot", "evictionPolicy": policy}
        before = self.cloud.find_vm(SCOPE, name)
        leaks = self.cloud.leaks()
        try:
            status, vm, _ = self.cloud.put_vm(SCOPE, name, msgspec.json.encode(body), if_none_match=only_new)
        except ArmError:
            assert self.cloud.leaks() == leaks, "who is refused leaves nothing"
            assert self.cloud.find_vm(SCOPE, name) is before
            return
        assert status == (200 if vm is before else 201)
        assert before is None or not only_new

    @rule(name=NAMES, force=st.booleans())
    def delete(self, name, force):
        found = self.cloud.find_vm(SCOPE, name)
        operation = self.cloud.delete_vm(SCOPE, name, force=force)
        assert (operation is None) == (found is None)

    @rule(name=NAMES, part=KINDS)
    def delete_part(self, name, part):
        kind, suffix = part
        try:
            done = self.cloud.delete_part(kind, SCOPE, name + suffix)
        except ArmError:
            return
        assert done is None or done.status == "Succeeded"

    @rule(name=NAMES, code=st.sampled_from(["AllocationFailed", "OSProvisioningTimedOut", "ZonalAllocationFailed"]))
    def fail_the_next_creation(self, name, code):
        self.faults.clear()
        self.faults.add(known_fault(code, name=name))

    @rule(name=NAMES)
    def fail_the_next_deletion(self, name):
        self.faults.clear()
        self.faults.add(Fault(operation="Deprovision", code="InternalExecutionError", name=name))

    @rule(name=NAMES, notice_s=st.sampled_from([0, 30]))
    def evict(self, name, notice_s):
        vm = self.cloud.find_vm(SCOPE, name)
        runs = vm is not None and vm.spot and vm.allocated
        try:
            self.cloud.evict(name, notice_s)
        except LookupError:
            assert not runs
        else:
            assert runs

    @rule(name=NAMES)
    def the_guest_powers_off(self, name):
        for vm in self.cloud.named(name):
            if vm.power == "running":
                vm.power = "stopped"  # which costs as much as before

    @rule(ms=st.sampled_from([1, 1_000, 30_000, 120_000, 900_000]))
    def wait(self, ms):
        self.timers.pass_ms(ms)

    @invariant()
    def vms_are_found_by_name(self):
        for name in ("podvm-a", "podvm-b", "burstvm-c"):
            assert set(self.cloud.named(name.upper())) == {vm for vm in self.cloud.vms.values() if vm.name == name}

    @invariant()
    def quota_counts_the_vms_there_are(self):
        wanted = Counter()
        for vm in self.cloud.vms.values():
            wanted["lowPriorityCores" if vm.spot else "cores"] += vm.size.vcpus
        rows = {row.name: row.used for row in self.cloud.quotas.rows(SUBSCRIPTION, "eastus")}
        assert (rows["cores"], rows["lowPriorityCores"]) == (wanted["cores"], wanted["lowPriorityCores"])
        assert rows["standardDCEV6Family"] == rows["cores"] <= 6
        assert rows["virtualMachines"] == len(self.cloud.vms)

    @invariant()
    def each_part_belongs_to_a_vm_that_has_it_or_to_nobody(self):
        vms = {vm.key: vm for vm in self.cloud.vms.values()}
        for part in self.cloud.attachments.all:
            if part.vm_id:
                vm = vms[part.vm_id.casefold()]
                assert part is vm.disk or part in vm.nics or part in vm.addresses
        for vm in vms.values():
            parts = [vm.disk, *vm.nics, *vm.addresses]
            assert all(part in self.cloud.attachments.all and part.vm_id.casefold() == vm.key for part in parts)

    @invariant()
    def each_interface_has_one_address_and_each_address_one_interface(self):
        nics = [part for part in self.cloud.attachments.all if part.kind == NIC_KIND]
        users = self.cloud.attachments.subnets.view(SUBNET)["properties"]["ipConfigurations"]
        told = [user["id"].split("/")[8] for user in users if "/other-" not in user["id"]]
        assert sorted(told) == sorted(nic.name for nic in nics)
        assert len({nic.slot for nic in nics}) == len(nics) <= 4

    @invariant()
    def the_bill_runs_for_what_is_there(self):
        running = Counter(part.resource_id.casefold() for part in self.cloud.billing.parts if part.ended_at_ms is None)
        assert running == Counter(part.key for part in self.cloud.attachments.all)
        metered = {vm.resource_id.casefold() for vm in self.cloud.billing.vms if vm.ended_at_ms is None}
        free = {vm.key for vm in self.cloud.vms.values() if vm.failure in UNALLOCATED or vm.power == "deallocated"}
        assert metered == {vm.key for vm in self.cloud.vms.values()} - free
        assert all(vm.ended_at_ms is None or vm.ended_at_ms >= vm.began_at_ms for vm in self.cloud.billing.vms)

    def teardown(self):
        """In the end everything goes, once nothing fails any more."""
        self.faults.clear()
        for name in ("podvm-a", "podvm-b", "burstvm-c"):
            self.cloud.delete_vm(SCOPE, name, force=False)
        self.timers.pass_ms(3_600_000)
        for kind in (NIC_KIND, DISK_KIND, PUBLIC_IP_KIND):
            for part in [part for part in self.cloud.attachments.all if part.kind == kind]:
                self.cloud.delete_part(kind, SCOPE, part.name)
        assert self.cloud.leaks() == ()
        assert all(vm.ended_at_ms is not None for vm in self.cloud.billing.vms)
        self.cloud.close()


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True
)
