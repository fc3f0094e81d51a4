"""409 to a request that names a uid: another object of that name has it, or the server was beaten by another write. It is looked at."""

import msgspec
import pytest

from burster.adaptors.peer_pods import delete_pod
from burster.adaptors.records import forget_burst, record_burst
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.instructions import DeletePod, ForgetBurst, RecordBurst
from tests.support.fake_cluster import FakeCluster, FakeKube


@pytest.mark.parametrize("verb", ["delete", "patch"])
async def test_a_record_that_is_still_ours_is_not_taken_for_forgotten(
    api: FakeKube, cluster: FakeCluster, move: Burst, verb: str
) -> None:
    done = await record_burst(api, RecordBurst(key="k", burst=move))
    instruction = ForgetBurst(key="k", burst=msgspec.structs.replace(move, uid=done.uid))
    api.fail(verb, "bursts", "Conflict")
    with pytest.raises(RemoteError) as caught:
        await forget_burst(api, instruction)
    assert caught.value.kind == "Unavailable"
    assert (await forget_burst(api, instruction)).key == move.key
    assert not cluster.all("bursts")


async def test_a_pod_that_is_still_ours_is_not_taken_for_gone(
    api: FakeKube, cluster: FakeCluster, clone: Burst
) -> None:
    body = {"metadata": {"namespace": clone.namespace, "name": clone.spec.pod_name}, "spec": {}, "status": {}}
    pod = cluster.add("pods", body)
    status = msgspec.structs.replace(clone.status, pod_uid=pod["metadata"]["uid"])
    instruction = DeletePod(key="k", burst=msgspec.structs.replace(clone, status=status), grace_ms=1_000)
    api.fail("delete", "pods", "Conflict")
    with pytest.raises(RemoteError) as caught:
        await delete_pod(api, instruction)
    assert caught.value.kind == "Unavailable"
    assert not (await delete_pod(api, instruction)).gone
