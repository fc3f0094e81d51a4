"""What is listed of a resource group, in which order, and what is looked at once more before it is deleted."""

from typing import Any

import pytest

from burster.adaptors.azure_resources import AzureResources
from burster.adaptors.peer_pod_records import PeerPodRecords
from burster.adaptors.port import TargetBook
from burster.model.errors import RemoteError
from burster.model.instructions import DeleteResource
from burster.model.offerings import CloudResource, Vm
from burster.model.stimuli import CloudListed, ResourceDeleted
from burster.model.targets import Target
from tests.support.builders import a_target


VM = "podvm-task-0123abcd"


def a_vm(name: str = VM, **changes: Any) -> Vm:
    values = {
        "name": name,
        "resource_id": f"/vms/{name}",
        "region": "r",
        "size": "x",
        "provisioning_state": "Succeeded",
    }
    return Vm(**(values | changes))


def a_part(kind: str, name: str, **changes: Any) -> CloudResource:
    return CloudResource(**({"kind": kind, "name": name, "resource_id": f"/{kind}/{name}", "region": "r"} | changes))


class Group:
    """A resource group, and the records of its VMs; it notes in which order it is asked."""

    def __init__(self, *things: Vm | CloudResource, claimed: tuple[str, ...] | None = ()) -> None:
        self.things = list(things)
        self.claimed = claimed
        self.asked: list[str] = []

    async def get_vm(self, _target: Target, name: str) -> Vm | None:
        self.asked.append(f"get {name}")
        return next((one for one in self.things if isinstance(one, Vm) and one.name == name), None)

    async def list_vms(self, _target: Target) -> list[Vm]:
        self.asked.append("vms")
        return [one for one in self.things if isinstance(one, Vm)]

    async def list_attachments(self, _target: Target) -> list[CloudResource]:
        self.asked.append("resources")
        return [one for one in self.things if isinstance(one, CloudResource)]

    async def delete_resource(self, _target: Target, resource: CloudResource) -> None:
        self.asked.append(f"delete {resource.name}")

    async def get(self, _path: str, _params: dict[str, str] | None = None) -> bytes:
        self.asked.append("records")
        if self.claimed is None:
            raise RemoteError("NotFound", "no such kind")
        items = [
            f'{{"metadata": {{"name": "x"}}, "spec": {{"instanceID": "/a/B/{name.upper()}"}}}}' for name in self.claimed
        ]
        return f'{{"items": [{", ".join(items)}]}}'.encode()


def over(group: Group) -> AzureResources:
    book = TargetBook()
    book.put(a_target())
    return AzureResources(group, PeerPodRecords(group), book, lambda: 7, cluster="prod-1")  # type: ignore[arg-type]


def the_deletion(resource: CloudResource) -> DeleteResource:
    return DeleteResource(key="k", target="azure", resource=resource)


def as_listed(vm: Vm) -> CloudResource:
    return a_part("Vm", vm.name, resource_id=vm.resource_id, created_at_ms=vm.created_at_ms)


async def test_the_cloud_is_listed_before_the_records_and_parts_before_vms() -> None:
    mine, machine = a_vm(), a_vm("burstvm-db")
    nic, held = a_part("Nic", f"{VM}-net"), a_part("Nic", "podvm-x-0123abcd-net", attached_to="/somebody")
    others = (a_vm("database"), a_part("Disk", "pvc-1"))
    group = Group(mine, machine, nic, held, *others, claimed=(VM,))
    assert await over(group).look(a_target()) == CloudListed(
        target="azure", listed_at_ms=7, vms=(machine, mine), strays=(nic,), claimed=(VM,), cluster="prod-1"
    )
    assert group.asked == ["resources", "vms", "records"]


async def test_where_there_are_no_records_nobody_knows_whose_a_vm_is() -> None:
    assert (await over(Group(claimed=None)).look(a_target())).claimed is None


async def test_what_is_still_there_and_nobodys_is_deleted() -> None:
    vm = a_vm(created_at_ms=1)
    group = Group(vm)
    done = await over(group).delete(the_deletion(as_listed(vm)))
    assert done == ResourceDeleted(target="azure", resource_id=vm.resource_id)
    assert group.asked[-1] == f"delete {VM}"


@pytest.mark.parametrize(
    "there",
    [pytest.param((), id="gone"), pytest.param((a_vm(created_at_ms=2),), id="another one of its name")],
)
async def test_what_is_not_there_any_more_is_done_with(there: tuple[Vm, ...]) -> None:
    group = Group(*there)
    await over(group).delete(the_deletion(as_listed(a_vm(created_at_ms=1))))
    assert not [what for what in group.asked if what.startswith("delete")]


NIC = a_part("Nic", f"{VM}-net")


@pytest.mark.parametrize(
    ("group", "resource", "code"),
    [
        pytest.param(Group(a_vm(), claimed=(VM,)), as_listed(a_vm()), "Claimed", id="claimed since"),
        pytest.param(Group(a_part("Nic", f"{VM}-net", attached_to="/x")), NIC, "InUse", id="held since"),
        pytest.param(Group(a_vm(), NIC), NIC, "InUse", id="its VM is there"),
        pytest.param(Group(NIC, claimed=(VM,)), NIC, "Claimed", id="its VM is claimed"),
        pytest.param(Group(a_vm("database")), as_listed(a_vm("database")), "NotOurs", id="named otherwise"),
    ],
)
async def test_what_has_changed_since_it_was_listed_is_left_alone(
    group: Group, resource: CloudResource, code: str
) -> None:
    with pytest.raises(RemoteError) as caught:
        await over(group).delete(the_deletion(resource))
    assert caught.value.code == code
    assert not [what for what in group.asked if what.startswith("delete")]


async def test_a_part_that_is_left_over_is_deleted() -> None:
    group = Group(NIC)
    await over(group).delete(the_deletion(NIC))
    assert group.asked[-1] == f"delete {NIC.name}"
