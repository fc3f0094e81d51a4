"""The VMs behind peer pods: found by name and by claim, one listing for all who ask, nothing older than the question."""

import asyncio
from typing import Any

import msgspec
import pytest

from burster.adaptors.azure_vms import AzureVms
from burster.adaptors.port import TargetBook
from burster.adaptors.sharing import Shared
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import DeleteVm, ListCloud, ObserveVms
from burster.model.offerings import Vm
from burster.model.targets import Target
from tests.support.builders import T0, a_target, a_vm
from tests.support.fake_cluster import FakeCluster, FakeKube


class FakeCloud:
    """VMs by name, and a listing that may lag behind them."""

    def __init__(self, *vms: Vm) -> None:
        self.vms = {vm.name: vm for vm in vms}
        self.listing: dict[str, Vm] | None = None
        self.listed = 0

    async def get_vm(self, target: Target, name: str) -> Vm | None:
        await asyncio.sleep(0)
        return self.vms.get(name)

    async def list_vms(self, target: Target) -> list[Vm]:
        self.listed += 1
        await asyncio.sleep(0.01)
        return list((self.vms if self.listing is None else self.listing).values())

    async def delete_vm(self, target: Target, name: str) -> None:
        await asyncio.sleep(0)
        self.vms.pop(name, None)


def make(cloud: FakeCloud, api: FakeKube) -> AzureVms:
    book = TargetBook()
    book.put(a_target())
    return AzureVms(cloud, api, book, lambda: T0)


def placed(burst: Burst, **status: Any) -> Burst:
    return msgspec.structs.replace(
        burst, uid="b", status=msgspec.structs.replace(burst.status, pod_uid="p-1", **status)
    )


def named(burst: Burst, sandbox: str, **changes: Any) -> Vm:
    name = f"podvm-{burst.spec.pod_name}-{sandbox}"
    return a_vm(burst, created_at=T0, name=name, resource_id=f"/VMs/{name}", **changes)


def claim(cluster: FakeCluster, vm: Vm, pod_uid: str) -> None:
    owner = {"kind": "Pod", "uid": pod_uid}
    body = {"metadata": {"namespace": "bank", "name": f"pp-{vm.name}", "ownerReferences": [owner]}}
    cluster.add("peerpods", body | {"spec": {"instanceID": vm.resource_id.lower()}})


async def observed(vms: AzureVms, burst: Burst) -> list[str]:
    return [vm.name for vm in (await vms.observe(ObserveVms(key="k", burst=burst))).vms]


async def test_every_attempts_vm_is_found_and_anothers_is_not(api: FakeKube, cluster: FakeCluster, move: Burst) -> None:
    burst = placed(move)
    first, second, theirs = (named(move, sandbox) for sandbox in ("00000001", "00000002", "00000003"))
    other = first.__class__(
        **{f: getattr(first, f) for f in first.__struct_fields__} | {"name": "podvm-task-10-00000001"}
    )
    claim(cluster, second, "p-1")
    claim(cluster, theirs, "p-of-another-namespace")
    vms = make(FakeCloud(first, second, theirs, other), api)
    assert await observed(vms, burst) == [first.name, second.name]


async def test_a_known_vm_is_asked_for_by_name_when_the_listing_lags(api: FakeKube, move: Burst) -> None:
    vm, gone = named(move, "00000001"), named(move, "00000002")
    cloud = FakeCloud(vm)
    cloud.listing = {gone.name: gone}
    burst = placed(move, vms=(vm.name, gone.name))
    assert await observed(make(cloud, api), burst) == [vm.name]


async def test_where_caa_keeps_no_records_names_are_enough(api: FakeKube, move: Burst) -> None:
    api.fail("get", "peerpods", "NotFound")
    vm = named(move, "00000001")
    assert await observed(make(FakeCloud(vm), api), placed(move)) == [vm.name]


async def test_one_listing_serves_all_who_ask_meanwhile(api: FakeKube, move: Burst) -> None:
    cloud = FakeCloud(named(move, "00000001"))
    vms = make(cloud, api)
    found = await asyncio.gather(*(observed(vms, placed(move)) for _ in range(50)))
    assert all(len(names) == 1 for names in found)
    assert cloud.listed <= 2


async def test_an_answer_is_never_older_than_its_question() -> None:
    world = 0
    seen: list[tuple[int, int]] = []

    async def fetch() -> int:
        found = world
        await asyncio.sleep(0.01)
        return found

    shared = Shared(fetch)

    async def ask() -> None:
        before = world
        seen.append((before, await shared.fresh()))

    async with asyncio.TaskGroup() as group:
        for step in range(20):
            world = step
            group.create_task(ask())
            await asyncio.sleep(0.003)
    assert all(answer >= before for before, answer in seen)


async def test_a_listing_that_fails_fails_only_those_who_asked_for_it() -> None:
    answers: list[Exception | int] = [RemoteError("Timeout", "no"), 7]

    async def fetch() -> int:
        answer = answers.pop(0)
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    shared = Shared(fetch)
    with pytest.raises(RemoteError):
        await shared.fresh()
    assert await shared.fresh() == 7


async def test_only_pod_vms_are_listed_and_in_order(api: FakeKube, move: Burst) -> None:
    ours = [named(move, sandbox) for sandbox in ("00000002", "00000001")]
    bastion = a_vm(move, created_at=T0, name="bastion")
    listed = await make(FakeCloud(*ours, bastion), api).list_cloud(ListCloud(key="k", target="azure"))
    assert [vm.name for vm in listed.vms] == sorted(vm.name for vm in ours)
    assert listed.listed_at_ms == T0


async def test_a_vm_is_deleted_once_and_once_more_does_no_harm(api: FakeKube, move: Burst) -> None:
    vm = named(move, "00000001")
    cloud = FakeCloud(vm)
    vms = make(cloud, api)
    for _ in range(2):
        assert (await vms.delete(DeleteVm(key="k", target="azure", vm=vm.name))).vm == vm.name
    assert not cloud.vms


async def test_a_target_that_was_never_seen_may_come_yet(api: FakeKube, move: Burst) -> None:
    vms = AzureVms(FakeCloud(), api, TargetBook(), lambda: T0)
    with pytest.raises(RemoteError) as caught:
        await observed(vms, placed(move))
    assert caught.value.kind == "Unavailable"


async def test_a_vm_that_only_a_lagging_listing_still_shows_is_told_as_gone(api: FakeKube, move: Burst) -> None:
    vm, gone, known = (named(move, sandbox) for sandbox in ("00000001", "00000002", "00000003"))
    cloud = FakeCloud(vm)
    cloud.listing = {vm.name: vm, gone.name: gone}
    burst = placed(move, vms=(known.name,))
    observation = await make(cloud, api).observe(ObserveVms(key="k", burst=burst))
    assert (observation.vms, observation.gone) == ((vm,), (gone,))


async def test_anothers_vm_that_is_gone_is_not_told(api: FakeKube, cluster: FakeCluster, move: Burst) -> None:
    theirs = named(move, "00000001")
    claim(cluster, theirs, "p-of-another-namespace")
    cloud = FakeCloud()
    cloud.listing = {theirs.name: theirs}
    observation = await make(cloud, api).observe(ObserveVms(key="k", burst=placed(move)))
    assert (observation.vms, observation.gone) == ((), ())


async def test_a_vm_that_no_listing_shows_yet_is_found_by_its_claim(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    mine, theirs = named(move, "00000001"), named(move, "00000002")
    claim(cluster, mine, "p-1")
    claim(cluster, theirs, "p-2")
    cloud = FakeCloud(mine, theirs)
    cloud.listing = {}
    assert await observed(make(cloud, api), placed(move)) == [mine.name]
    assert await observed(make(cloud, api), move) == [], "before its pod is known, nothing is claimed for it"
