"""Peer pods: placed exactly once, taken only if never started, brought home exactly once."""

import contextlib

import msgspec
import pytest

from burster.adaptors.peer_pods import delete_pod, mark_verified, place_pod, return_pod
from burster.adaptors.records import record_burst
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import DeletePod, MarkVerified, PlacePod, RecordBurst, ReturnPod
from tests.support.fake_cluster import FakeCluster, FakeKube, Json


async def recorded(api: FakeKube, burst: Burst) -> Burst:
    done = await record_burst(api, RecordBurst(key="k", burst=burst))
    return msgspec.structs.replace(burst, uid=done.uid)


async def place(api: FakeKube, burst: Burst) -> Burst:
    done = await place_pod(api, PlacePod(key="k", burst=burst))
    status = msgspec.structs.replace(burst.status, pod_uid=done.pod_uid)
    return msgspec.structs.replace(burst, status=status)


async def refused(coroutine: object) -> str:
    with pytest.raises(RemoteError) as caught:
        await coroutine  # type: ignore[misc]
    return caught.value.kind


def pod(cluster: FakeCluster, name: str = "task-1") -> Json:
    found = cluster.find("pods", "bank", name)
    assert found is not None
    return found


async def test_a_moved_pod_is_its_owners_own_made_confidential(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    burst = await place(api, await recorded(api, move))
    made = pod(cluster)
    assert made["metadata"]["uid"] == burst.status.pod_uid != move.spec.for_pod.uid
    assert made["spec"]["runtimeClassName"] == "kata-remote"
    assert made["spec"]["containers"][0]["image"] == "bank/task:1"
    assert made["metadata"]["labels"] == {"team": "risk", "burster.dev/burst": move.name, "burster.dev/policy": "tasks"}
    annotations = made["metadata"]["annotations"]
    assert annotations["note"] == "kept"
    assert annotations["io.katacontainers.config.hypervisor.machine_type"] == "Standard_DC2es_v6"
    assert annotations["burster.dev/burst-uid"] == burst.uid
    assert "io.katacontainers.config.hypervisor.image" not in annotations, "what a VM boots is not its pod's choice"
    assert "io.katacontainers.config_path" not in annotations, "nor is the file that says how it is made"


async def test_a_clone_is_the_bursts_own_and_no_replicasets(api: FakeKube, cluster: FakeCluster, clone: Burst) -> None:
    burst = await place(api, await recorded(api, clone))
    made = pod(cluster, clone.name)
    assert "pod-template-hash" not in made["metadata"]["labels"]
    (owner,) = made["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == ("Burst", burst.uid, True)
    gates = [gate["conditionType"] for gate in made["spec"]["readinessGates"]]
    assert gates == ["bank/ready", "burster.dev/verified"]
    assert pod(cluster)["metadata"]["uid"] == clone.spec.for_pod.uid, "the pending pod keeps its place"


@pytest.mark.parametrize("strategy", ["move", "clone"])
@pytest.mark.parametrize("kind", ["Timeout", "Unavailable", "Protocol"])
async def test_a_placing_whose_answer_was_lost_is_found_again(
    api: FakeKube, cluster: FakeCluster, request: pytest.FixtureRequest, strategy: str, kind: str
) -> None:
    burst = await recorded(api, request.getfixturevalue(strategy))
    api.fail("create", "pods", kind, done=True)
    assert await refused(place(api, burst)) == kind
    made = pod(cluster, burst.spec.pod_name)["metadata"]["uid"]
    assert (await place(api, burst)).status.pod_uid == made


@pytest.mark.parametrize("kind", ["Conflict", "NotFound", "Invalid", "Unauthorized"])
async def test_a_pod_that_is_placed_is_not_told_as_refused_where_only_the_mark_is(
    api: FakeKube, cluster: FakeCluster, move: Burst, kind: str
) -> None:
    burst = await recorded(api, move)
    api.fail("patch", "bursts", kind, skip=1)
    assert await refused(place(api, burst)) == "Unavailable"
    made = pod(cluster)["metadata"]["uid"]
    assert made != move.spec.for_pod.uid
    assert (await place(api, burst)).status.pod_uid == made


@pytest.mark.parametrize("verb", ["get", "patch", "delete", "create"])
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("nth", [0, 1])
async def test_a_move_that_fails_at_any_request_is_gone_on_with(
    api: FakeKube, cluster: FakeCluster, move: Burst, verb: str, done: bool, nth: int
) -> None:
    burst = await recorded(api, move)
    plural = "bursts" if verb == "patch" else "pods"
    api.fail(verb, plural, "Timeout", done=done, skip=nth)
    for _ in range(2):
        with contextlib.suppress(RemoteError):
            burst = await place(api, burst)
    assert pod(cluster)["metadata"]["uid"] == burst.status.pod_uid
    assert pod(cluster)["spec"]["runtimeClassName"] == "kata-remote"
    assert len(cluster.all("pods")) == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda pod: pod["spec"].update(nodeName="node-1"), id="bound"),
        pytest.param(lambda pod: pod["metadata"].update(uid="another"), id="replaced"),
        pytest.param(lambda pod: pod["metadata"].update(deletionTimestamp="x", finalizers=["a/b"]), id="being deleted"),
    ],
)
async def test_a_pod_that_has_changed_is_not_taken_and_the_record_says_so(
    api: FakeKube, cluster: FakeCluster, move: Burst, change: object
) -> None:
    burst = await recorded(api, move)
    changed = cluster.change("pods", "bank", "task-1", change)
    assert await refused(place(api, burst)) == "Conflict"
    assert pod(cluster)["metadata"]["uid"] == changed["metadata"]["uid"]
    assert "burster.dev/taken" not in (cluster.all("bursts")[0]["metadata"].get("annotations") or {})


async def test_a_pod_that_is_bound_between_the_look_and_the_deletion_is_spared(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    burst = await recorded(api, move)
    cluster.watchers.append(
        lambda event, plural, obj: (
            cluster.change("pods", "bank", "task-1", lambda pod: pod["spec"].update(nodeName="node-1"))
            if plural == "bursts" and not pod(cluster)["spec"].get("nodeName")
            else None
        )
    )
    assert await refused(place(api, burst)) == "Conflict"
    assert pod(cluster)["metadata"]["uid"] == move.spec.for_pod.uid


async def test_a_pod_that_only_changed_its_version_is_taken_all_the_same(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    burst = await recorded(api, move)
    touched = []

    def touch(_event: str, plural: str, _obj: Json) -> None:
        if plural == "bursts" and not touched:
            touched.append(1)
            cluster.change("pods", "bank", "task-1", lambda pod: pod["status"].update(message="still waiting"))

    cluster.watchers.append(touch)
    assert (await place(api, burst)).status.pod_uid


async def test_a_pending_pod_that_somebody_else_deleted_stays_deleted(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    burst = await recorded(api, move)
    cluster.remove("pods", "bank", "task-1")
    assert await refused(place(api, burst)) == "Conflict"
    assert not cluster.all("pods")


async def test_a_cloud_pod_that_somebody_else_deleted_is_not_made_again(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    burst = await recorded(api, move)
    await place(api, burst)
    cluster.remove("pods", "bank", "task-1")
    assert await refused(place(api, burst)) == "Conflict", "the engine had not heard of the placing, and asks again"
    assert not cluster.all("pods")


async def test_a_pod_held_by_its_owners_finalizer_is_waited_for(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    cluster.change("pods", "bank", "task-1", lambda pod: pod["metadata"].update(finalizers=["bank/audit"]))
    burst = await recorded(api, move)
    for _ in range(2):
        assert await refused(place(api, burst)) == "Unavailable"
    assert await refused(return_pod(api, ReturnPod(key="k", burst=burst))) == "Unavailable", "it is still going"
    cluster.change("pods", "bank", "task-1", lambda pod: pod["metadata"].pop("finalizers"))
    assert pod_uid_of(await place(api, burst)) == pod(cluster)["metadata"]["uid"]


def pod_uid_of(burst: Burst) -> str:
    return burst.status.pod_uid


async def test_another_pod_that_took_the_name_is_not_touched(api: FakeKube, cluster: FakeCluster, move: Burst) -> None:
    burst = await recorded(api, move)
    api.fail("create", "pods", "Unavailable")
    assert await refused(place(api, burst)) == "Unavailable"
    cluster.add("pods", {"metadata": {"namespace": "bank", "name": "task-1"}, "spec": {}, "status": {}})
    theirs = pod(cluster)["metadata"]["uid"]
    assert await refused(place(api, burst)) == "Conflict"
    assert pod(cluster)["metadata"]["uid"] == theirs


async def test_a_clone_of_a_deployment_that_is_gone_is_a_conflict(
    api: FakeKube, cluster: FakeCluster, clone: Burst
) -> None:
    burst = await recorded(api, clone)
    cluster.remove("deployments", "bank", "web")
    assert await refused(place(api, burst)) == "Conflict"


async def test_a_cloud_pod_is_deleted_by_uid_with_its_grace(api: FakeKube, cluster: FakeCluster, move: Burst) -> None:
    burst = await place(api, await recorded(api, move))
    cluster.change("pods", "bank", "task-1", lambda pod: pod["spec"].update(nodeName="peer-pods"))
    done = await delete_pod(api, DeletePod(key="k", burst=burst, grace_ms=600_000))
    assert not done.gone
    assert pod(cluster)["metadata"]["deletionTimestamp"]
    cluster.remove("pods", "bank", "task-1")
    assert (await delete_pod(api, DeletePod(key="k", burst=burst, grace_ms=600_000))).gone


async def test_another_pod_of_the_cloud_pods_name_is_spared(api: FakeKube, cluster: FakeCluster, move: Burst) -> None:
    burst = await place(api, await recorded(api, move))
    cluster.change("pods", "bank", "task-1", lambda pod: pod["metadata"].update(uid="another"))
    assert (await delete_pod(api, DeletePod(key="k", burst=burst, grace_ms=1_000))).gone
    assert cluster.all("pods")


@pytest.mark.parametrize("verb", ["get", "create", "patch"])
@pytest.mark.parametrize("done", [False, True])
async def test_a_stopped_pod_comes_home_as_it_was_whatever_answer_is_lost(
    api: FakeKube, cluster: FakeCluster, move: Burst, verb: str, done: bool
) -> None:
    before = pod(cluster)
    burst = await place(api, await recorded(api, move))
    assert await refused(return_pod(api, ReturnPod(key="k", burst=burst))) == "Unavailable", "the cloud pod is there"
    cluster.remove("pods", "bank", "task-1")
    api.fail(verb, "pods" if verb == "create" else "bursts", "Timeout", done=done)
    assert await refused(return_pod(api, ReturnPod(key="k", burst=burst))) == "Timeout"
    await return_pod(api, ReturnPod(key="k", burst=burst))
    home = pod(cluster)
    assert home["spec"] == before["spec"]
    assert home["metadata"]["labels"] == before["metadata"]["labels"]
    assert "burster.dev/burst-uid" not in home["metadata"]["annotations"]


async def test_a_pod_that_is_home_and_has_ended_is_not_brought_home_again(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    burst = await place(api, await recorded(api, move))
    cluster.remove("pods", "bank", "task-1")
    await return_pod(api, ReturnPod(key="k", burst=burst))
    cluster.remove("pods", "bank", "task-1")
    await return_pod(api, ReturnPod(key="k", burst=burst))
    assert not cluster.all("pods")


async def test_a_pod_that_was_never_taken_has_nowhere_to_come_home_from(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    burst = await recorded(api, move)
    cluster.remove("pods", "bank", "task-1")
    await return_pod(api, ReturnPod(key="k", burst=burst))
    assert not cluster.all("pods"), "its owner deleted it"


async def test_without_its_record_a_pod_can_not_be_brought_home(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    burst = await place(api, await recorded(api, move))
    cluster.remove("bursts", "bank", move.name)
    assert await refused(return_pod(api, ReturnPod(key="k", burst=burst))) == "Invalid"


async def test_a_moved_pod_is_not_held_where_its_namespace_is_being_deleted(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    """burster's right to take the finalizer off goes with the namespace's RoleBinding: pod and namespace would stay for ever."""
    burst = await place(api, await recorded(api, move))
    going = {"deletionTimestamp": "2026-11-22T00:00:00Z"}
    cluster.add("namespaces", {"metadata": {"namespace": "", "name": "bank", **going}})
    await delete_pod(api, DeletePod(key="k", burst=burst, grace_ms=1_000))
    assert ("patch", "/api/v1/namespaces/bank/pods/task-1") not in cluster.calls


@pytest.mark.parametrize("going", [True, False])
async def test_a_right_that_is_missing_because_the_namespace_goes_is_told_as_that(
    api: FakeKube, cluster: FakeCluster, move: Burst, *, going: bool
) -> None:
    """The RoleBinding of a namespace that is deleted goes first: burster is refused before it could hear that nothing is taken there."""
    burst = await place(api, await recorded(api, move))
    cluster.remove("pods", "bank", "task-1")
    ends = {"deletionTimestamp": "2026-11-22T00:00:00Z"} if going else {}
    cluster.add("namespaces", {"metadata": {"namespace": "", "name": "bank", **ends}})
    api.fail("create", "pods", "Unauthorized")
    with pytest.raises(RemoteError) as caught:
        await return_pod(api, ReturnPod(key="k", burst=burst))
    assert caught.value.kind == "Unauthorized"
    assert (caught.value.code == "NamespaceTerminating") is going


async def test_the_readiness_gate_is_set_on_the_very_pod(api: FakeKube, cluster: FakeCluster, clone: Burst) -> None:
    burst = await place(api, await recorded(api, clone))
    assert (await mark_verified(api, MarkVerified(key="k", burst=burst))).phase == "Verified"
    (condition,) = pod(cluster, clone.name)["status"]["conditions"]
    assert (condition["type"], condition["status"]) == ("burster.dev/verified", "True")
    cluster.change("pods", "bank", clone.name, lambda pod: pod["metadata"].update(uid="another"))
    assert await refused(mark_verified(api, MarkVerified(key="k", burst=burst))) == "Conflict"
