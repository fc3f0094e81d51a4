"""What pods are alike in, and which filter of a pending-pods trigger leaves a pod out."""

from typing import Any

import pytest

from burster.engine.shapes import Shape, asks_for, excluded_by, has_filters, shape_of
from burster.model.pods import Resources
from burster.model.triggers import PendingPodsTrigger
from tests.support.builders import GIB, T0, a_pod, a_service_pod


def test_a_shape_says_everything_that_a_gate_may_ask():
    pod = a_service_pod("web-1", cpu=1500, images=("i:1",), secrets=("s",), runtime_class="kata")
    assert shape_of(pod) == Shape(
        namespace="bank",
        kind="Deployment",
        workload="on-prem-deployment",
        owner="ReplicaSet",
        requests=Resources(cpu_millicores=1500, memory_bytes=GIB),
        runtime_class="kata",
        restart_policy="Always",
        images=("i:1",),
        secrets=("s",),
    )
    assert shape_of(pod).owned
    assert not shape_of(a_pod()).owned
    assert (shape_of(a_pod()).kind, shape_of(a_pod()).workload) == ("", "")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"name": "other", "uid": "u2"}, id="its name"),
        pytest.param({"since": T0 + 1, "created_at_ms": 5}, id="its age"),
        pytest.param({"message": "0/3 nodes"}, id="the scheduler's message"),
        pytest.param({"priority": 7, "labels": {"a": "b"}, "resource_version": "9"}, id="priority and labels"),
    ],
)
def test_what_is_one_pods_own_is_in_no_shape_and_alike_pods_share_one_object(changes: dict[str, Any]):
    assert shape_of(a_pod(**changes)) is shape_of(a_pod())


@pytest.mark.parametrize(
    "changes",
    [
        {"namespace": "other"},
        {"cpu": 1001},
        {"memory": GIB + 1},
        {"requests": Resources(cpu_millicores=1000, memory_bytes=GIB, gpus=1)},
        {"requests": Resources(cpu_millicores=1000, memory_bytes=GIB, devices=(("x/npu", 1),))},
        {"runtime_class": "kata"},
        {"restart_policy": "Always"},
        {"images": ("i",)},
        {"secrets": ("s",)},
    ],
    ids=str,
)
def test_any_other_difference_is_another_shape(changes: dict[str, Any]):
    assert shape_of(a_pod(**changes)) != shape_of(a_pod())


def test_pods_of_two_workloads_are_of_two_shapes():
    assert shape_of(a_service_pod("a", "one")) != shape_of(a_service_pod("a", "two"))
    assert shape_of(a_service_pod("a", "one")) is shape_of(a_service_pod("b", "one"))


@pytest.mark.parametrize(
    ("filters", "pod", "want"),
    [
        pytest.param({}, {}, "", id="no filter"),
        pytest.param(
            {"reasons": ("Insufficient cpu",)}, {"message": "3 insufficient CPU."}, "", id="case means nothing"
        ),
        pytest.param({"reasons": ("memory", "CPU")}, {"message": "3 Insufficient cpu."}, "", id="one reason is enough"),
        pytest.param({"reasons": ("memory",)}, {"message": "3 Insufficient cpu."}, "reasons", id="another reason"),
        pytest.param({"reasons": ("memory",)}, {}, "reasons", id="no message at all"),
        pytest.param({"resources": ("x/npu", "cpu")}, {}, "", id="one resource is enough"),
        pytest.param({"resources": ("nvidia.com/gpu",)}, {}, "resources", id="a resource it does not ask for"),
        pytest.param({"min_priority": 5}, {"priority": 5}, "", id="exactly the least priority"),
        pytest.param({"min_priority": 5}, {"priority": 4}, "minPriority", id="below it"),
        pytest.param({"min_priority": 0}, {"priority": -1}, "minPriority", id="a bound of 0 is one"),
        pytest.param({"max_priority": 5}, {"priority": 5}, "", id="exactly the greatest"),
        pytest.param({"max_priority": 5}, {"priority": 6}, "maxPriority", id="above it"),
        pytest.param({"max_priority": 0}, {"priority": 1}, "maxPriority", id="nothing above 0"),
        pytest.param({"min_cpu_millicores": 1000}, {"cpu": 1000}, "", id="exactly the least cpu"),
        pytest.param({"min_cpu_millicores": 1000}, {"cpu": 999}, "minCpu", id="a millicore less"),
        pytest.param({"max_cpu_millicores": 1000}, {"cpu": 1000}, "", id="exactly the most cpu"),
        pytest.param({"max_cpu_millicores": 1000}, {"cpu": 1001}, "maxCpu", id="a millicore more"),
        pytest.param({"max_cpu_millicores": 0}, {"cpu": 1}, "maxCpu", id="none at all"),
        pytest.param({"min_memory_bytes": GIB}, {"memory": GIB}, "", id="exactly the least memory"),
        pytest.param({"min_memory_bytes": GIB}, {"memory": GIB - 1}, "minMemory", id="a byte less"),
        pytest.param({"max_memory_bytes": GIB}, {"memory": GIB}, "", id="exactly the most memory"),
        pytest.param({"max_memory_bytes": GIB}, {"memory": GIB + 1}, "maxMemory", id="a byte more"),
        pytest.param({"runtime_classes": ("kata", "")}, {}, "", id="none is one of them"),
        pytest.param({"runtime_classes": ("kata",)}, {"runtime_class": "kata"}, "", id="its RuntimeClass"),
        pytest.param({"runtime_classes": ("kata",)}, {}, "runtimeClasses", id="another RuntimeClass"),
        pytest.param({"reasons": ("x",), "max_priority": -1}, {}, "reasons", id="the first of two is told"),
    ],
)
def test_filters_at_their_borders(filters: dict[str, Any], pod: dict[str, Any], want: str):
    trigger = PendingPodsTrigger(**filters)
    assert excluded_by(trigger, a_pod(**pod)) == want
    assert has_filters(trigger) == bool(filters)


def test_what_says_when_and_not_which_is_no_filter():
    assert not has_filters(PendingPodsTrigger(pending_for_ms=1, min_count=9, namespaces=("x",), threshold_milli=5))


@pytest.mark.parametrize(
    ("requests", "name", "want"),
    [
        (Resources(cpu_millicores=1), "cpu", True),
        (Resources(memory_bytes=1), "cpu", False),
        (Resources(memory_bytes=1), "memory", True),
        (Resources(cpu_millicores=1), "memory", False),
        (Resources(gpus=1), "nvidia.com/gpu", True),
        (Resources(), "nvidia.com/gpu", False),
        (Resources(devices=(("x/npu", 1),)), "x/npu", True),
        (Resources(devices=(("x/npu", 0),)), "x/npu", False),
        (Resources(devices=(("x/npu", 1),)), "x/fpga", False),
    ],
    ids=str,
)
def test_what_a_pod_asks_for_by_name(requests: Resources, name: str, want: bool):
    assert asks_for(requests, name) is want
