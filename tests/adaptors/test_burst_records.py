"""Records: written once, before anything else, kept up to date, forgotten last."""

import msgspec
import pytest

from burster.adaptors.records import forget_burst, record_burst, write_status
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import ForgetBurst, RecordBurst, WriteStatus
from burster.policy.records import burst_from_object
from tests.support.fake_cluster import FakeCluster, FakeKube


async def record(api: FakeKube, burst: Burst) -> Burst:
    done = await record_burst(api, RecordBurst(key="k", burst=burst))
    return msgspec.structs.replace(burst, uid=done.uid)


async def test_a_moves_record_keeps_the_manifest_and_tries_the_final_pod_first(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    recorded = await record(api, move)
    found = cluster.find("bursts", "bank", move.name)
    assert found is not None
    assert burst_from_object(found).spec == move.spec
    assert burst_from_object(found).uid == recorded.uid != ""
    assert found["metadata"]["finalizers"] == ["burster.dev/release"]
    manifest = found["spec"]["podManifest"]
    assert set(manifest["metadata"]) == {"name", "namespace", "labels", "annotations"}
    assert "nodeName" not in manifest["spec"]
    assert [verb for verb, _ in cluster.calls] == ["get", "create", "create"], "the pod, its dry run, the record"
    assert len(cluster.all("pods")) == 1, "a dry run leaves nothing"


async def test_a_clones_record_asks_for_nothing_but_its_writing(
    api: FakeKube, cluster: FakeCluster, clone: Burst
) -> None:
    await record(api, clone)
    assert [verb for verb, _ in cluster.calls] == ["create"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda pod: pod["spec"].update(nodeName="node-1"), id="bound"),
        pytest.param(lambda pod: pod["metadata"].update(deletionTimestamp="x", finalizers=["a/b"]), id="being deleted"),
        pytest.param(lambda pod: pod["metadata"].update(uid="another"), id="another of that name"),
    ],
)
async def test_a_pod_that_is_not_as_decided_on_is_not_recorded(
    api: FakeKube, cluster: FakeCluster, move: Burst, change: object
) -> None:
    cluster.change("pods", "bank", "task-1", change)
    with pytest.raises(RemoteError) as caught:
        await record(api, move)
    assert caught.value.kind == "Conflict"
    assert not cluster.all("bursts")


@pytest.mark.parametrize("strategy", ["move", "clone"])
async def test_a_write_whose_answer_was_lost_is_found_again(
    api: FakeKube, cluster: FakeCluster, request: pytest.FixtureRequest, strategy: str
) -> None:
    burst: Burst = request.getfixturevalue(strategy)
    api.fail("create", "bursts", "Timeout", done=True)
    with pytest.raises(RemoteError):
        await record(api, burst)
    again = await record(api, burst)
    assert [again.uid] == [obj["metadata"]["uid"] for obj in cluster.all("bursts")]


async def test_no_means_that_there_is_no_record_also_when_an_earlier_attempt_wrote_one(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    api.fail("create", "bursts", "Timeout", done=True)
    with pytest.raises(RemoteError):
        await record(api, move)
    cluster.change("pods", "bank", "task-1", lambda pod: pod["spec"].update(nodeName="node-1"))
    assert (await record(api, move)).uid, "else a record would be left that nobody knows of"


async def test_another_decisions_record_of_that_name_is_not_ours(api: FakeKube, move: Burst) -> None:
    other = msgspec.structs.replace(move.spec, policy="another")
    await record(api, msgspec.structs.replace(move, spec=other))
    with pytest.raises(RemoteError) as caught:
        await record(api, move)
    assert caught.value.kind == "AlreadyExists"


async def test_a_pod_that_the_api_would_refuse_is_refused_before_anything_is_written(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    api.fail("create", "pods", "Unauthorized")
    with pytest.raises(RemoteError) as caught:
        await record(api, move)
    assert caught.value.kind == "Unauthorized"
    assert not cluster.all("bursts")


async def test_the_status_is_written_whole(api: FakeKube, cluster: FakeCluster, move: Burst) -> None:
    recorded = await record(api, move)
    status = msgspec.structs.replace(recorded.status, phase="Placing", reserved_micro_usd=5)
    done = await write_status(api, WriteStatus(key="k", burst=msgspec.structs.replace(recorded, status=status)))
    found = cluster.find("bursts", "bank", move.name)
    assert found is not None
    assert burst_from_object(found).status == status
    assert done.phase == "Placing"


async def test_a_record_is_forgotten_with_its_finalizer_and_once_more_does_no_harm(
    api: FakeKube, cluster: FakeCluster, move: Burst
) -> None:
    recorded = await record(api, move)
    api.fail("patch", "bursts", "Timeout")
    with pytest.raises(RemoteError):
        await forget_burst(api, ForgetBurst(key="k", burst=recorded))
    assert cluster.all("bursts")
    for _ in range(2):
        assert (await forget_burst(api, ForgetBurst(key="k", burst=recorded))).key == recorded.key
        assert not cluster.all("bursts")


async def test_a_new_record_of_that_name_is_left_alone(api: FakeKube, cluster: FakeCluster, move: Burst) -> None:
    await record(api, move)
    await forget_burst(api, ForgetBurst(key="k", burst=msgspec.structs.replace(move, uid="the former")))
    (left,) = cluster.all("bursts")
    assert left["metadata"]["finalizers"]
    assert "deletionTimestamp" not in left["metadata"]
