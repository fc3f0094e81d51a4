"""Deleting a moved pod: held by a finalizer until its last phase is on record, then let go."""

import msgspec
import pytest

from burster.adaptors.manifests import UID_ANNOTATION
from burster.adaptors.peer_pods import OUTCOME_FINALIZER, delete_pod, place_pod
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import DeletePod, PlacePod
from tests.support.fake_cluster import FakeCluster, FakeKube, Json


def a_cloud_pod(cluster: FakeCluster, phase: str = "Running", **metadata: object) -> Json:
    cluster.remove("pods", "bank", "task-1")
    pod = {
        "metadata": {"namespace": "bank", "name": "task-1"} | metadata,
        "spec": {"nodeName": "gateway"},
        "status": {"phase": phase},
    }
    return cluster.add("pods", pod)


def ending(move: Burst, pod: Json, *, let_go: bool = False) -> DeletePod:
    status = msgspec.structs.replace(move.status, pod_uid=pod["metadata"]["uid"])
    burst = msgspec.structs.replace(move, uid="b-1", status=status)
    return DeletePod(key="delete/b", burst=burst, grace_ms=30_000, let_go=let_go)


async def test_a_running_task_gets_the_finalizer_before_it_is_deleted(
    cluster: FakeCluster, api: FakeKube, move: Burst
) -> None:
    pod = a_cloud_pod(cluster)
    assert not (await delete_pod(api, ending(move, pod))).gone
    there = cluster.find("pods", "bank", "task-1")
    assert there is not None
    assert there["metadata"]["finalizers"] == [OUTCOME_FINALIZER]
    assert there["metadata"]["deletionTimestamp"]


async def test_one_that_has_ended_is_let_go_and_other_finalizers_stay(
    cluster: FakeCluster, api: FakeKube, move: Burst
) -> None:
    pod = a_cloud_pod(
        cluster, "Succeeded", finalizers=["bank/audit", OUTCOME_FINALIZER], deletionTimestamp="2026-01-05T08:00:00Z"
    )
    assert (await delete_pod(api, ending(move, pod, let_go=True))).gone
    there = cluster.find("pods", "bank", "task-1")
    assert there is not None
    assert there["metadata"]["finalizers"] == ["bank/audit"]


async def test_a_deletion_that_comes_late_keeps_how_it_ended_until_somebody_has_written_it_down(
    cluster: FakeCluster, api: FakeKube, move: Burst
) -> None:
    held = a_cloud_pod(cluster, "Succeeded", finalizers=[OUTCOME_FINALIZER], deletionTimestamp="2026-01-05T08:00:00Z")
    assert not (await delete_pod(api, ending(move, held))).gone
    there = cluster.find("pods", "bank", "task-1")
    assert there is not None
    assert there["metadata"]["finalizers"] == [OUTCOME_FINALIZER]


async def test_a_task_that_ended_just_before_its_deletion_is_held_all_the_same(
    cluster: FakeCluster, api: FakeKube, move: Burst
) -> None:
    assert not (await delete_pod(api, ending(move, a_cloud_pod(cluster, "Succeeded")))).gone
    there = cluster.find("pods", "bank", "task-1")
    assert there is not None, "nobody has written down that its work is done"
    assert there["metadata"]["finalizers"] == [OUTCOME_FINALIZER]


async def test_one_that_is_gone_or_another_needs_nothing(cluster: FakeCluster, api: FakeKube, move: Burst) -> None:
    pod = a_cloud_pod(cluster)
    instruction = ending(move, pod)
    cluster.remove("pods", "bank", "task-1")
    assert (await delete_pod(api, instruction)).gone
    a_cloud_pod_again = cluster.add(
        "pods", {"metadata": {"namespace": "bank", "name": "task-1"}, "spec": {}, "status": {}}
    )
    assert (await delete_pod(api, instruction)).gone
    assert "finalizers" not in a_cloud_pod_again["metadata"]


async def test_a_clone_whose_creation_answer_was_lost_is_found_although_its_workload_is_gone(
    cluster: FakeCluster, api: FakeKube, clone: Burst
) -> None:
    clone = msgspec.structs.replace(clone, uid="b-1")
    placed = await place_pod(api, PlacePod(key="place/b", burst=clone))
    cluster.remove("deployments", "bank", "web")
    assert await place_pod(api, PlacePod(key="place/b", burst=clone)) == placed


async def test_a_pod_that_only_carries_the_annotation_is_not_taken_for_the_clone(
    cluster: FakeCluster, api: FakeKube, clone: Burst
) -> None:
    clone = msgspec.structs.replace(clone, uid="b-1")
    metadata = {"namespace": "bank", "name": clone.spec.pod_name, "annotations": {UID_ANNOTATION: "b-1"}}
    cluster.add("pods", {"metadata": metadata, "spec": {}, "status": {}})
    with pytest.raises(RemoteError, match="another pod has taken the name"):
        await place_pod(api, PlacePod(key="place/b", burst=clone))


async def test_a_pod_that_no_node_has_taken_is_not_held_for_nobody_would_say_how_it_ended(
    cluster: FakeCluster, api: FakeKube, move: Burst
) -> None:
    pod = a_cloud_pod(cluster, "Pending")
    pod["spec"] = {}
    await delete_pod(api, ending(move, pod))
    there = cluster.find("pods", "bank", "task-1")
    assert there is None or not there["metadata"].get("finalizers")


async def test_a_hold_on_one_that_was_never_bound_is_taken_off(
    cluster: FakeCluster, api: FakeKube, move: Burst
) -> None:
    pod = a_cloud_pod(cluster, "Pending", finalizers=[OUTCOME_FINALIZER], deletionTimestamp="2026-01-05T08:00:00Z")
    pod["spec"] = {}
    assert (await delete_pod(api, ending(move, pod))).gone
    there = cluster.find("pods", "bank", "task-1")
    assert there is None or not there["metadata"].get("finalizers")
