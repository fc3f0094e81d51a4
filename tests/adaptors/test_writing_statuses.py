"""A policy's status and a target's as the API server gets it, and a record that stands for no pod."""

import msgspec
import pytest

from burster.adaptors.records import record_burst
from burster.adaptors.statuses import write_policy_status, write_target_status
from burster.model.bursts import Burst, PodRef
from burster.model.errors import RemoteError
from burster.model.instructions import Condition, RecordBurst, WritePolicyStatus, WriteTargetStatus
from burster.model.stimuli import PolicyStatusWritten, TargetStatusWritten
from burster.policy.status_objects import policy_status_to_object, target_status_to_object
from burster.policy.statuses import PolicyStatus
from tests.support.builders import T0
from tests.support.fake_cluster import FakeCluster, FakeKube


CONDITION = Condition(type="Accepted", status="False", since_ms=T0 + 999, reason="Invalid", message="m" * 5_000)
STATUS = WritePolicyStatus(
    key="k",
    policy="bank/tasks",
    generation=4,
    conditions=(CONDITION,),
    pending=3,
    bursts=2,
    reserved_micro_usd=12_300,
    spent_micro_usd=1_000_000,
)


async def test_the_whole_status_is_applied(api: FakeKube, cluster: FakeCluster) -> None:
    cluster.add("burstpolicies", {"metadata": {"namespace": "bank", "name": "tasks"}})
    assert await write_policy_status(api, STATUS) == PolicyStatusWritten(policy="bank/tasks")
    assert cluster.calls[-1] == ("patch", "/apis/burster.dev/v1alpha1/namespaces/bank/burstpolicies/tasks/status")
    found = cluster.find("burstpolicies", "bank", "tasks")
    assert found is not None
    assert found["status"] == {
        "observedGeneration": 4,
        "conditions": [
            {
                "type": "Accepted",
                "status": "False",
                "observedGeneration": 4,
                "lastTransitionTime": "2026-01-05T08:00:00Z",
                "reason": "Invalid",
                "message": "m" * 1_024,
            }
        ],
        "pending": 3,
        "bursts": 2,
        "reservedUsd": "$0.0123",
        "spentUsd": "$1.0000",
    }


async def test_a_target_s_whole_status_is_applied(api: FakeKube, cluster: FakeCluster) -> None:
    cluster.add("bursttargets", {"metadata": {"name": "azure"}})
    told = WriteTargetStatus(key="k", target="azure", generation=4, conditions=(CONDITION,), offerings=7)
    assert await write_target_status(api, told) == TargetStatusWritten(target="azure")
    assert cluster.calls[-1] == ("patch", "/apis/burster.dev/v1alpha1/bursttargets/azure/status")
    found = cluster.find("bursttargets", "", "azure")
    assert found is not None
    assert found["status"] == target_status_to_object(told)["status"]


def test_the_number_wanted_is_there_where_there_is_one() -> None:
    body = policy_status_to_object(msgspec.structs.replace(STATUS, replicas=0))
    assert body["status"]["replicas"] == 0
    assert (body["kind"], body["metadata"]) == ("BurstPolicy", {"namespace": "bank", "name": "tasks"})


def test_the_schema_names_everything_that_is_written() -> None:
    body = policy_status_to_object(msgspec.structs.replace(STATUS, replicas=7))["status"]
    assert set(body) == {field.alias for field in PolicyStatus.model_fields.values()}


async def test_a_record_of_no_pod_is_told_from_another_by_its_moment(
    api: FakeKube, cluster: FakeCluster, clone: Burst
) -> None:
    spec = msgspec.structs.replace(clone.spec, for_pod=PodRef())
    mine = RecordBurst(key="k", burst=msgspec.structs.replace(clone, spec=spec))
    first = await record_burst(api, mine)
    assert await record_burst(api, mine) == first
    later = msgspec.structs.replace(spec, decided_at_ms=spec.decided_at_ms + 1)
    other = RecordBurst(key="k", burst=msgspec.structs.replace(clone, spec=later))
    with pytest.raises(RemoteError) as caught:
        await record_burst(api, other)
    assert caught.value.kind == "AlreadyExists"
