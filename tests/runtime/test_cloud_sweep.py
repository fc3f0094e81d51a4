"""What a person is shown of a resource group, and what ``--yes`` deletes of it."""

from typing import Any

import pytest

from burster.adaptors.peer_pod_records import PeerPodRecords
from burster.model.errors import InputError, RemoteError
from burster.model.offerings import CloudResource, Vm
from burster.model.targets import Target
from burster.runtime.cloud_sweep import CloudSweep, SweepOptions, SweepReport
from burster.runtime.reaper_cluster import ClusterReader
from tests.support.abandoned import CLUSTER, HOUR, LeftCloud, LeftCluster, Wound, a_burst, a_pod_vm, a_vm, our_target
from tests.support.builders import T0


STRAY = "podvm-stray-0123abcd"
NIC = CloudResource(kind="Nic", name=f"{STRAY}-net", resource_id="/n", region="westeurope")
DISK = CloudResource(kind="Disk", name=f"{STRAY}-disk", resource_id="/d", region="westeurope", created_at_ms=T0)


class Cloud(LeftCloud):
    """A group in which VMs can be deleted as AzureVms does, too."""

    async def delete_vm(self, target: Target, name: str) -> None:
        raise AssertionError(f"{target.name}: {name} is deleted without a last look")


async def look(
    *things: Vm | CloudResource, target: Target | None = None, cluster: LeftCluster | None = None, **options: Any
) -> tuple[SweepReport, Cloud]:
    clock = Wound()
    clock.at_ms = T0 + HOUR
    cloud = Cloud(*things)
    api = cluster or LeftCluster(a_burst("web-1"), clock=clock)
    reader = ClusterReader(api, clock.now_ms, home="h")
    sweep = CloudSweep(cloud, reader, PeerPodRecords(api), clock, cluster=CLUSTER)
    said: list[str] = []
    report = await sweep.run((target or our_target(),), SweepOptions(**options), said.append)
    return report, cloud


async def test_each_thing_is_shown_with_what_is_to_become_of_it_and_why() -> None:
    young = a_vm("podvm-young-0123abcd", created_at_ms=T0 + HOUR - 1)
    report, cloud = await look(a_pod_vm("web-1"), a_vm(STRAY), young, a_vm("database"))
    told = {one.resource.name: (one.fate, one.code, one.claimed_by) for one in report.findings}
    assert told == {
        "podvm-web-1-0123abcd": ("Stays", "Claimed", "Burst bank/web-1"),
        STRAY: ("Goes", "Unclaimed", ""),
        young.name: ("Stays", "TooYoung", ""),
    }
    assert report.dry_run
    assert report.left == 1
    assert not cloud.deleted
    (stray,) = (one for one in report.findings if one.fate == "Goes")
    assert stray.age_ms == HOUR
    assert stray.proof == "Group"
    assert stray.cost_micro_usd_per_hour, "the list that comes with burster knows it"


async def test_what_is_not_proven_is_left_behind_and_never_deleted() -> None:
    report, cloud = await look(a_vm(STRAY), target=our_target(sweep_exclusive=False), delete=True)
    assert [(one.fate, one.code) for one in report.findings] == [("Unproven", "NotProven")]
    assert report.left == 1
    assert not cloud.deleted


async def test_yes_deletes_a_vm_first_and_then_what_it_left_behind() -> None:
    report, cloud = await look(a_vm(STRAY), DISK, delete=True)
    assert cloud.deleted == [STRAY, DISK.name]
    assert report.left == 0
    assert [one.outcome for one in report.swept] == ["Deleted", "Deleted"]


async def test_what_has_no_age_is_given_the_grace_by_waiting_for_it() -> None:
    report, cloud = await look(NIC, delete=True)
    assert [(one.fate, one.code) for one in report.findings] == [("Stays", "AgeUnknown")]
    assert not cloud.deleted
    report, cloud = await look(NIC, delete=True, wait=True)
    assert cloud.deleted == [NIC.name]


async def test_what_fails_is_told_and_counts_as_left() -> None:
    clock = Wound()
    cluster = LeftCluster(clock=clock)
    cloud = Cloud(a_vm(STRAY))
    cloud.refuses.add(STRAY)
    clock.at_ms = T0 + HOUR
    reader = ClusterReader(cluster, clock.now_ms, home="h")
    sweep = CloudSweep(cloud, reader, PeerPodRecords(cluster), clock, cluster=CLUSTER)
    report = await sweep.run((our_target(),), SweepOptions(delete=True), lambda _: None)
    assert [one.outcome for one in report.swept] == ["Failed"]
    assert report.left == 1


async def test_without_the_records_nothing_is_said_at_all() -> None:
    cluster = LeftCluster(clock=Wound())
    cluster.gone = True
    with pytest.raises(InputError, match="nobody is there"):
        await look(a_vm(STRAY), cluster=cluster, delete=True)


async def test_one_target_that_can_not_be_listed_does_not_hide_the_others() -> None:
    class HalfCloud(Cloud):
        async def list_vms(self, target: Target) -> list[Vm]:
            if target.name == "broken":
                raise RemoteError("Unauthorized", "no right to list")
            return await super().list_vms(target)

    clock = Wound()
    clock.at_ms = T0 + HOUR
    cluster = LeftCluster(clock=clock)
    reader = ClusterReader(cluster, clock.now_ms, home="h")
    sweep = CloudSweep(HalfCloud(a_vm(STRAY)), reader, PeerPodRecords(cluster), clock, cluster=CLUSTER)
    report = await sweep.run((our_target(name="broken"), our_target()), SweepOptions(), lambda _: None)
    assert report.troubles == ("target broken: no right to list",)
    assert [one.resource.name for one in report.findings] == [STRAY]
