"""Machines that burster asks for itself: one for each burst, whatever is lost on the way, and gone with all that came with it."""

import asyncio
from typing import Any

import msgspec
import pytest

from burster.adaptors.azure_machines import AzureMachines
from burster.adaptors.machine_cloud import FencedMachines
from burster.adaptors.port import TargetBook
from burster.clients.arm_facts import OperationState, VmOperation
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.offerings import CloudFailure, CloudResource, Vm
from burster.model.stimuli import OfferingsSeen
from burster.model.tags import EPOCH_TAG, LEASE_END_TAG, UID_TAG
from burster.model.targets import Target
from tests.support.builders import T0
from tests.support.fake_cluster import FakeCluster, FakeKube
from tests.support.machines import NAME, a_machine, the_target


CONFIG = "#cloud-config\npackages: [jq]\n"


class FakeArm:
    """A cloud in memory: VMs with what came with them, operations by token, and a note of every write."""

    def __init__(self) -> None:
        self.vms: dict[str, Vm] = {}
        self.others: set[str] = set()
        self.operations: dict[str, OperationState] = {}
        self.wrote: list[str] = []
        self.read: list[str] = []
        self.bodies: dict[str, dict[str, Any]] = {}
        self.lose_answer = False
        self.refuse_tags = False
        self.turn_comes = asyncio.Event()  #: whoever writes waits for it
        self.turn_comes.set()
        self.delete_takes = 0  #: looks at a VM that is being deleted until it is gone

    async def get_vm(self, target: Target, name: str, *, instance_view: bool | None = None) -> Vm | None:
        await asyncio.sleep(0)
        self.read.append(f"vm {name}")
        vm = self.vms.get(name)
        if vm is not None and vm.provisioning_state == "Deleting":
            if self.delete_takes == 0:
                del self.vms[name]
            self.delete_takes -= 1
        return self.vms.get(name)

    async def list_vms(self, target: Target) -> list[Vm]:
        return list(self.vms.values())

    async def begin_vm(self, target: Target, name: str, body: dict[str, Any], *, only_new: bool = True) -> VmOperation:
        await asyncio.sleep(0)
        await self.turn_comes.wait()
        assert only_new
        self.wrote.append(f"put {name}")
        if name in self.vms:
            raise RemoteError("AlreadyExists", "there is one", code="PreconditionFailed", status=412)
        self.bodies[name] = body
        vm = self.vms[name] = a_vm(tags=body["tags"])
        self.others |= {f"{name}-net", f"{name}-disk"}
        self.operations["op-1"] = OperationState(state="InProgress")
        if self.lose_answer:
            raise RemoteError("Timeout", "the connection broke", code="ConnectionLost")
        return VmOperation(vm=vm, token="op-1")

    async def follow_operation(self, target: Target, token: str) -> OperationState:
        self.read.append(f"operation {token}")
        return self.operations.get(token, OperationState(state="Forgotten"))

    async def tag_vm(self, target: Target, vm: Vm, tags: dict[str, str]) -> None:
        if self.refuse_tags:
            raise RemoteError("Unauthorized", "may not be written", code="AuthorizationFailed")
        await self.turn_comes.wait()
        self.wrote.append(f"tag {vm.name}")
        self.vms[vm.name] = msgspec.structs.replace(self.vms[vm.name], tags=tags)

    async def delete_vm(self, target: Target, name: str, *, deadline_ms: int) -> None:
        await asyncio.sleep(0)
        self.wrote.append(f"delete {name}")
        self.change(provisioning_state="Deleting")
        if self.delete_takes:
            raise RemoteError("Timeout", f"still there after {deadline_ms} ms")

    async def delete_resource(self, target: Target, resource: CloudResource, *, deadline_ms: int) -> None:
        self.wrote.append(f"delete {resource.name}")
        self.others.discard(resource.name)

    def change(self, **changes: Any) -> None:
        self.vms[NAME] = msgspec.structs.replace(self.vms[NAME], **changes)

    def finish(self, state: Any = "Succeeded", failure: CloudFailure | None = None) -> None:
        self.operations["op-1"] = OperationState(state=state, failure=failure)
        self.change(provisioning_state="Succeeded" if failure is None else "Failed", private_address="10.0.0.4")


def a_vm(**changes: Any) -> Vm:
    values = {
        "name": NAME,
        "resource_id": f"/subscriptions/sub/x/{NAME}",
        "region": "westeurope",
        "size": "Standard_DC4es_v6",
        "provisioning_state": "Creating",
        "created_at_ms": T0,
        "vm_id": "vm-id-1",
    }
    return Vm(**(values | changes))


class Facts:
    async def offerings(self, target: Target) -> OfferingsSeen:
        return OfferingsSeen(target=target.name, offerings=())


@pytest.fixture
def cloud() -> FakeArm:
    return FakeArm()


@pytest.fixture
def machines(cloud: FakeArm, cluster: FakeCluster, api: FakeKube) -> AzureMachines:
    cluster.add("configmaps", {"metadata": {"namespace": "bank", "name": "scorer"}, "data": {"user-data": CONFIG}})
    return make(cloud, api)


def make(cloud: Any, api: FakeKube) -> AzureMachines:
    book = TargetBook()
    book.put(the_target())
    return AzureMachines(cloud, api, book, Facts(), lambda: T0, cluster="onprem")


def launched(operation: str = "op-1", phase: str = "Provisioning", **status: Any) -> Burst:
    return a_machine(status={"phase": phase, "operation": operation, "vms": (NAME,), **status})


async def test_it_is_asked_for_once_by_its_own_name(machines: AzureMachines, cloud: FakeArm) -> None:
    answer = await machines.launch(a_machine())
    assert (answer.vm_id, answer.operation) == ("vm-id-1", "op-1")
    assert cloud.wrote == [f"put {NAME}"]
    assert cloud.bodies[NAME]["properties"]["userData"]


async def test_a_launch_whose_answer_was_lost_is_found_again(machines: AzureMachines, cloud: FakeArm) -> None:
    cloud.lose_answer = True
    with pytest.raises(RemoteError) as lost:
        await machines.launch(a_machine())
    assert lost.value.kind == "Timeout"
    cloud.lose_answer = False
    answer = await machines.launch(a_machine())
    assert answer.vm_id == "vm-id-1"
    assert list(cloud.vms) == [NAME]


async def test_a_successor_finds_it_and_goes_on_with_its_operation(
    machines: AzureMachines, cloud: FakeArm, api: FakeKube
) -> None:
    await machines.launch(a_machine())
    successor = make(cloud, api)
    assert (await successor.launch(launched())).operation == "op-1"
    observed = await successor.observe(launched())
    assert [vm.name for vm in observed.vms] == [NAME]
    cloud.finish()
    assert (await successor.observe(launched())).vms[0].private_address == "10.0.0.4"


async def test_somebody_elses_machine_of_that_name_is_never_touched(machines: AzureMachines, cloud: FakeArm) -> None:
    cloud.vms[NAME] = a_vm(tags={UID_TAG: "another"}, provisioning_state="Succeeded")
    with pytest.raises(RemoteError) as taken:
        await machines.launch(a_machine())
    assert (taken.value.kind, taken.value.code) == ("AlreadyExists", "NameTaken")
    assert (await machines.observe(launched())).vms == ()
    await machines.release(launched(), grace_ms=0)
    assert cloud.wrote == [f"put {NAME}"]


async def test_a_former_one_that_is_going_is_waited_for(machines: AzureMachines, cloud: FakeArm) -> None:
    cloud.vms[NAME] = a_vm(tags={UID_TAG: "u-1"}, provisioning_state="Deleting")
    cloud.delete_takes = 5
    with pytest.raises(RemoteError) as going:
        await machines.launch(a_machine())
    assert going.value.kind == "Unavailable"


async def test_bad_user_data_is_told_before_anything_is_asked_for(
    cloud: FakeArm, cluster: FakeCluster, api: FakeKube
) -> None:
    text = "#cloud-config\npassword: hunter2hunter2\n"
    cluster.add("configmaps", {"metadata": {"namespace": "bank", "name": "scorer"}, "data": {"user-data": text}})
    with pytest.raises(RemoteError) as refused:
        await make(cloud, api).launch(a_machine())
    assert refused.value.code == "UserDataInvalid"
    assert cloud.wrote == []


async def test_while_it_is_made_only_its_operation_is_asked_after(machines: AzureMachines, cloud: FakeArm) -> None:
    await machines.launch(a_machine())
    observed = await machines.observe(launched())
    assert observed.vms[0].provisioning_state == "Creating"
    assert cloud.read == ["operation op-1"]


async def test_a_creation_that_failed_late_says_why_and_shows_what_is_left(
    machines: AzureMachines, cloud: FakeArm
) -> None:
    await machines.launch(a_machine())
    failure = CloudFailure(kind="Capacity", code="AllocationFailed", matter="capacity", message="no room")
    cloud.finish("Failed", failure)
    observed = await machines.observe(launched())
    assert observed.failure == failure
    assert observed.vms[0].provisioning_state == "Failed"


async def test_a_failure_that_nobody_followed_is_read_from_the_machine(machines: AzureMachines, cloud: FakeArm) -> None:
    await machines.launch(a_machine())
    cloud.operations.clear()
    cloud.change(provisioning_state="Failed", failure_code="ZonalAllocationFailed", failure_message="no room in zone 1")
    failure = (await machines.observe(launched())).failure
    assert failure is not None
    assert (failure.kind, failure.matter) == ("Capacity", "zonal-capacity")


async def test_one_that_was_taken_away_is_gone_and_told_as_it_was(machines: AzureMachines, cloud: FakeArm) -> None:
    await machines.launch(a_machine())
    cloud.finish()
    await machines.observe(launched("", "Serving"))
    cloud.vms.clear()
    observed = await machines.observe(launched("", "Serving"))
    assert observed.vms == ()
    assert [vm.name for vm in observed.gone] == [NAME]


async def test_a_renewed_lease_is_told_to_the_machine_once(machines: AzureMachines, cloud: FakeArm) -> None:
    await machines.launch(a_machine())
    cloud.finish()
    first = a_machine().spec.first_lease_until_ms
    assert cloud.vms[NAME].tags[LEASE_END_TAG] == str(first)
    renewed = launched("", "Serving", lease_until_ms=first + 3_000_000)
    await machines.observe(renewed)
    await machines.observe(renewed)
    assert cloud.wrote == [f"put {NAME}", f"tag {NAME}"]
    assert cloud.vms[NAME].tags[LEASE_END_TAG] == str(first + 3_000_000)
    assert cloud.vms[NAME].tags[UID_TAG] == "u-1"


async def test_a_lease_that_can_not_be_told_does_not_keep_the_machine_from_being_seen(
    machines: AzureMachines, cloud: FakeArm
) -> None:
    await machines.launch(a_machine())
    cloud.finish()
    cloud.refuse_tags = True
    renewed = launched("", "Serving", lease_until_ms=T0 + 9_000_000)
    assert [vm.name for vm in (await machines.observe(renewed)).vms] == [NAME]
    cloud.refuse_tags = False
    await machines.observe(renewed)
    assert cloud.vms[NAME].tags[LEASE_END_TAG] == str(T0 + 9_000_000), "the next look tells it"


async def test_its_deletion_is_begun_once_looked_after_and_ends_with_what_came_with_it(
    machines: AzureMachines, cloud: FakeArm
) -> None:
    await machines.launch(a_machine())
    cloud.finish()
    cloud.delete_takes = 3
    for _ in range(3):
        with pytest.raises(RemoteError) as going:
            await machines.release(launched(), grace_ms=0)
        assert (going.value.kind, going.value.retry_after_ms) == ("Unavailable", 10_000)
    for _ in range(2):
        await machines.release(launched(), grace_ms=0)
    assert cloud.wrote.count(f"delete {NAME}") == 1
    assert not cloud.vms
    assert not cloud.others


async def test_what_a_failed_machine_left_behind_is_deleted_by_its_name(
    machines: AzureMachines, cloud: FakeArm
) -> None:
    cloud.others = {f"{NAME}-net", f"{NAME}-disk", "burstvm-other-net"}
    answer = await machines.release(launched(), grace_ms=0)
    assert answer.key == "bank/burst-scorer-0123abcd"
    assert cloud.others == {"burstvm-other-net"}


async def test_only_bursters_machines_are_listed(machines: AzureMachines, cloud: FakeArm) -> None:
    await machines.launch(a_machine())
    cloud.vms["jump-host"] = a_vm(name="jump-host")
    listed = await machines.list(the_target())
    assert [vm.name for vm in listed.vms] == [NAME]


class Lead:
    epoch = 7

    def __init__(self, remaining_ms: int) -> None:
        self._remaining_ms = remaining_ms

    def remaining_ms(self) -> int:
        return self._remaining_ms


async def test_a_machine_that_is_being_made_and_not_to_be_seen_yet_is_not_taken_for_gone(
    cloud: FakeArm, machines: AzureMachines
) -> None:
    await machines.launch(a_machine())
    hidden, wrote = dict(cloud.vms), list(cloud.wrote)
    cloud.vms.clear()
    with pytest.raises(RemoteError) as refused:
        await machines.release(launched(), grace_ms=0)
    assert refused.value.kind == "Unavailable"
    assert cloud.wrote == wrote
    cloud.vms.update(hidden)
    assert await machines.release(launched(), grace_ms=0)
    assert cloud.vms == {}


async def test_who_leads_says_in_a_tag_which_lead_it_was(
    cloud: FakeArm, machines: AzureMachines, api: FakeKube
) -> None:
    await make(FencedMachines(cloud, Lead(10_000)), api).launch(a_machine())
    assert cloud.bodies[NAME]["tags"][EPOCH_TAG] == "7"


async def test_what_waits_for_its_turn_at_the_cloud_is_not_written_after_the_lead(
    cloud: FakeArm, machines: AzureMachines, api: FakeKube
) -> None:
    former = FencedMachines(cloud, Lead(20))
    cloud.turn_comes.clear()
    for act in (former.begin_vm(the_target(), NAME, {}), former.tag_vm(the_target(), a_vm(), {})):
        with pytest.raises(RemoteError) as refused:
            await asyncio.wait_for(act, 5)
        assert refused.value.kind == "Timeout", "nobody knows: whoever leads next looks"
    cloud.turn_comes.set()
    assert cloud.wrote == []


async def test_who_leads_no_more_makes_changes_and_deletes_nothing(
    cloud: FakeArm, machines: AzureMachines, api: FakeKube
) -> None:
    await machines.launch(a_machine())
    cloud.finish()
    former = make(FencedMachines(cloud, Lead(0)), api)
    wrote = list(cloud.wrote)
    renewed = launched("", "Serving", lease_until_ms=T0 + 9_000_000)
    for act in (former.launch(a_machine()), former.release(launched(), grace_ms=0), former.observe(renewed)):
        with pytest.raises(RemoteError) as refused:
            await act
        assert refused.value.code == "NotLeading"
    cloud.vms.clear()
    with pytest.raises(RemoteError):
        await former.release(launched(), grace_ms=0)  # not what is left over either
    assert cloud.wrote == wrote
