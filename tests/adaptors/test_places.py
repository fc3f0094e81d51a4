"""Who carries out what at which place: by the record's own provider and strategy, and by nobody else."""

from typing import Any

import msgspec
import pytest

from burster.adaptors.confidential_nodes import ConfidentialNodes
from burster.adaptors.live import LiveAdaptor
from burster.adaptors.manifests import MACHINE_TYPE, UID_ANNOTATION, build_move
from burster.adaptors.port import Places, Sweepable, TargetBook, why_never
from burster.adaptors.recorded_peer_pods import RecordedPeerPods
from burster.adaptors.signals import SignalBoard
from burster.model import instructions as i
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from tests.support.builders import T0, a_target
from tests.support.fake_cluster import FakeCluster, FakeKube


SELECTOR = {"tee": "tdx"}


def at(burst: Burst, provider: str, **spec: Any) -> Burst:
    changed = msgspec.structs.replace(burst.spec, provider=provider, **spec)
    return msgspec.structs.replace(burst, uid="b-1", spec=changed)


def running(burst: Burst, uid: str = "p-1") -> Burst:
    return msgspec.structs.replace(burst, status=msgspec.structs.replace(burst.status, pod_uid=uid))


def a_record(
    cluster: FakeCluster, name: str, *, pod_uid: str = "p-1", provider: str = "sovereign", **metadata: Any
) -> None:
    owner = {"kind": "Pod", "name": "task-1", "uid": pod_uid}
    held = {
        "finalizers": ["peer.pod/finalizer"],
        "creationTimestamp": "2026-01-05T08:00:00Z",
        "ownerReferences": [owner],
    }
    spec = {"cloudProvider": provider, "instanceID": f"sv-{name}"}
    cluster.add("peerpods", {"metadata": {"namespace": "bank", "name": name, **held, **metadata}, "spec": spec})


@pytest.fixture
def places(api: FakeKube) -> Places:
    book = TargetBook()
    for name, provider in (("sovereign", "sovereign"), ("nodes", "onprem")):
        book.put(a_target(name=name, provider=provider, runtime_class=f"kata-{name}"))
    return Places(book, {"Record": RecordedPeerPods(api, lambda: T0), "Node": ConfidentialNodes(api, lambda: T0)})


def test_a_burst_belongs_to_the_place_that_its_own_record_says(places: Places, move: Burst) -> None:
    assert isinstance(places.of_burst(at(move, "sovereign")), RecordedPeerPods)
    assert isinstance(places.of_burst(at(move, "onprem")), ConfidentialNodes)
    for burst, code in ((at(move, "azure"), ""), (at(move, "sovereign", strategy="Machine"), "NoMachinesThere")):
        with pytest.raises(RemoteError) as told:
            places.of_burst(burst)
        assert told.value.code == code


async def test_nothing_is_deleted_at_a_place_that_can_not_be_sure(places: Places, api: FakeKube) -> None:
    live = LiveAdaptor(api, places, SignalBoard(), lambda: T0)
    assert not isinstance(places.of_target(places.targets.get("sovereign")), Sweepable)
    with pytest.raises(RemoteError) as told:
        await live.carry_out(i.DeleteVm(key="sweep", target="sovereign", vm="podvm-task-1-0123abcd"))
    assert told.value.code == "NotSweepable"


def test_a_provider_without_vms_is_never_a_place() -> None:
    assert why_never(a_target(provider="Docker"))
    assert not any(why_never(a_target(provider=provider)) for provider in ("azure", "aws", "onprem"))


async def test_a_record_is_told_with_its_provider_and_one_that_was_let_go_is_not(
    cluster: FakeCluster, places: Places, move: Burst
) -> None:
    burst = running(at(move, "sovereign"))
    a_record(cluster, "task-1-resource-aaaaa")
    a_record(cluster, "task-1-resource-bbbbb", finalizers=[])
    a_record(cluster, "task-1-resource-ccccc", pod_uid="another")
    a_record(cluster, "task-1-resource-ddddd", deletionTimestamp="2026-01-05T08:10:00Z")
    seen = (await places.of_burst(burst).observe(burst)).vms
    assert {(vm.resource_id, vm.provisioning_state, vm.provider) for vm in seen} == {
        ("sv-task-1-resource-aaaaa", "Succeeded", "sovereign"),
        ("sv-task-1-resource-ddddd", "Deleting", "sovereign"),
    }
    assert {(vm.size, vm.region, vm.security_type) for vm in seen} == {("", "", "")}, "nothing that nobody stated"


async def test_a_record_without_an_owner_is_its_pods_by_name(cluster: FakeCluster, places: Places, move: Burst) -> None:
    burst = running(at(move, "sovereign"))
    a_record(cluster, "task-1-resource-aaaaa", ownerReferences=[])
    a_record(cluster, "task-10-resource-aaaaa", ownerReferences=[])
    (vm,) = (await places.of_burst(burst).observe(burst)).vms
    assert vm.resource_id == "sv-task-1-resource-aaaaa"


async def test_where_nobody_keeps_records_nothing_can_be_said_to_be_gone(
    places: Places, move: Burst, api: FakeKube
) -> None:
    api.fail("get", "peerpods", "NotFound")
    burst = running(at(move, "sovereign"))
    with pytest.raises(RemoteError) as told:
        await places.of_burst(burst).observe(burst)
    assert (told.value.kind, told.value.code) == ("Unavailable", "NoPeerPodRecords")


async def test_a_pod_on_a_node_is_told_with_that_nodes_labels_as_far_as_they_are_asked_for(
    cluster: FakeCluster, places: Places, move: Burst
) -> None:
    cluster.remove("pods", "bank", "task-1")
    metadata = {"namespace": "bank", "name": "task-1", "annotations": {UID_ANNOTATION: "b-1"}}
    pod = cluster.add("pods", {"metadata": metadata, "spec": {"nodeName": "n1"}, "status": {"phase": "Running"}})
    cluster.add("nodes", {"metadata": {"name": "n1", "labels": {"tee": "tdx", "rack": "7"}}, "spec": {}})
    burst = running(at(move, "onprem", node_selector=SELECTOR), pod["metadata"]["uid"])
    place = places.of_burst(burst)
    (vm,) = (await place.observe(burst)).vms
    assert (vm.node, vm.tags, vm.provisioning_state) == ("n1", SELECTOR, "Succeeded")
    cluster.remove("nodes", "", "n1")
    (vm,) = (await place.observe(burst)).vms
    assert vm.tags == {}, "a node that is gone carries nothing"
    cluster.change("pods", "bank", "task-1", lambda obj: obj["status"].update(phase="Succeeded"))
    assert (await place.observe(burst)).vms == ()


def test_a_pod_for_a_node_gets_its_labels_and_no_size(move: Burst) -> None:
    manifest = {
        "metadata": {"annotations": {MACHINE_TYPE: "big"}},
        "spec": {"nodeSelector": {"disk": "ssd", "tee": "none"}},
    }
    on_node = build_move(manifest, at(move, "onprem", node_selector=SELECTOR, runtime_class="kata-qemu-tdx"))
    assert on_node["spec"]["nodeSelector"] == {"disk": "ssd", "tee": "tdx"}
    assert on_node["spec"]["runtimeClassName"] == "kata-qemu-tdx"
    assert MACHINE_TYPE not in on_node["metadata"]["annotations"]
    in_cloud = build_move(manifest, at(move, "azure"))
    assert in_cloud["spec"]["nodeSelector"] == {"disk": "ssd", "tee": "none"}
    assert in_cloud["metadata"]["annotations"][MACHINE_TYPE] == move.spec.size
