"""What a cloud pod's conditions say: whether its containers are ready, and that no node takes it."""

from typing import Any

import msgspec
import pytest

from burster.sources.cloud_pods import CloudPodObject, cloud_pod_from


def pod(*conditions: dict[str, str]) -> Any:
    obj = {
        "metadata": {
            "namespace": "bank",
            "name": "task-1",
            "uid": "p-1",
            "labels": {"burster.dev/burst": "b"},
            "annotations": {"burster.dev/burst-uid": "b-1"},
        },
        "spec": {},
        "status": {"phase": "Pending", "conditions": list(conditions)},
    }
    return cloud_pod_from(msgspec.json.decode(msgspec.json.encode(obj), type=CloudPodObject))


def scheduled(status: str, reason: str, **more: str) -> dict[str, str]:
    return {"type": "PodScheduled", "status": status, "reason": reason, **more}


def test_a_pod_that_no_node_takes() -> None:
    seen = pod(
        scheduled(
            "False", "Unschedulable", message="0/3 nodes are available", lastTransitionTime="2026-01-05T08:00:00Z"
        )
    )
    assert (seen.unschedulable_since_ms, seen.unschedulable) == (1_767_600_000_000, "0/3 nodes are available")


@pytest.mark.parametrize(
    "conditions",
    [(), (scheduled("True", ""),), (scheduled("False", "SchedulingGated"),), (scheduled("Unknown", "Unschedulable"),)],
    ids=["nobody has looked", "bound", "gated", "nobody knows"],
)
def test_one_of_which_nobody_says_that(conditions: tuple[dict[str, str], ...]) -> None:
    assert pod(*conditions).unschedulable_since_ms is None


def test_containers_can_be_ready_before_the_pod_is() -> None:
    ready = {"type": "ContainersReady", "status": "True"}
    gated = {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady"}
    seen = pod(ready, gated)
    assert (seen.ready, seen.containers_ready) == (False, True)
    assert not pod(gated).containers_ready


def test_a_message_is_not_kept_longer_than_it_is_told() -> None:
    long = pod(scheduled("False", "Unschedulable", message="x" * 5_000, lastTransitionTime="2026-01-05T08:00:00Z"))
    assert len(long.unschedulable) == 300
