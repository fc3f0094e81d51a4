"""What a pod asks for, who owns it and whether it counts as pending: from the bytes of the API server."""

from typing import Any

import orjson
import pytest

from burster.model.errors import InputError
from burster.model.pods import Owner, Pod, Resources
from burster.sources.cloud_pods import CLOUD_POD_CODEC, cloud_pod_from
from burster.sources.pods import POD_CODEC, pod_from


MI = 2**20


def wire(**changes: Any) -> bytes:
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "web-abc12-x",
            "namespace": "shop",
            "uid": "u1",
            "resourceVersion": "7",
            "creationTimestamp": "2026-01-05T08:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "abc12"},
            "managedFields": [{"manager": "x", "fieldsV1": {"f:metadata": {}}}],
            **changes.pop("metadata", {}),
        },
        "spec": {
            "containers": [{"name": "a", "image": "i", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}],
            "restartPolicy": "Always",
            **changes.pop("spec", {}),
        },
        "status": {
            "phase": "Pending",
            "conditions": [
                {
                    "type": "PodScheduled",
                    "status": "False",
                    "reason": "Unschedulable",
                    "message": "0/3 nodes are available: 3 Insufficient cpu.",
                    "lastTransitionTime": "2026-01-05T08:00:01.250Z",
                }
            ],
            **changes.pop("status", {}),
        },
    }
    return orjson.dumps(pod)


def decoded(**changes: Any) -> Pod:
    return pod_from(POD_CODEC.item.decode(wire(**changes)))


def test_an_unschedulable_pod():
    pod = decoded()
    assert pod.key == "shop/web-abc12-x"
    assert (pod.uid, pod.resource_version) == ("u1", "7")
    assert pod.created_at_ms == 1_767_600_000_000
    assert pod.unschedulable_since_ms == 1_767_600_001_250
    assert pod.message.startswith("0/3 nodes")
    assert pod.requests == Resources(cpu_millicores=500, memory_bytes=1024 * MI)
    assert pod.unschedulable


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"status": {"conditions": []}}, id="the scheduler has said nothing yet"),
        pytest.param({"status": {"conditions": None}}, id="conditions are null"),
        pytest.param(
            {"status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "SchedulingGated"}]}},
            id="the scheduler says gated",
        ),
        pytest.param(
            {"status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}}, id="it has been scheduled"
        ),
        pytest.param({"spec": {"schedulingGates": [{"name": "quota"}]}}, id="it has a gate"),
        pytest.param({"metadata": {"deletionTimestamp": "2026-01-05T09:00:00Z"}}, id="it is being deleted"),
        pytest.param({"spec": {"nodeName": "n1"}}, id="it has a node"),
    ],
)
def test_pods_without_demand(changes: dict[str, Any]):
    assert not decoded(**changes).unschedulable


@pytest.mark.parametrize(
    ("spec", "want"),
    [
        pytest.param({"containers": [{"name": "a"}]}, (0, 0, 0), id="nothing asked"),
        pytest.param({"containers": None}, (0, 0, 0), id="no containers at all"),
        pytest.param(
            {
                "containers": [
                    {"resources": {"requests": {"cpu": "1", "memory": "64Mi", "nvidia.com/gpu": "2"}}},
                    {"resources": {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"cpu": "9"}}},
                    {"resources": {}},
                ]
            },
            (1_250, 128 * MI, 2),
            id="containers add up, limits do not count",
        ),
        pytest.param(
            {
                "containers": [{"resources": {"requests": {"cpu": 1}}}],
                "initContainers": [
                    {"resources": {"requests": {"cpu": "3", "memory": "1Mi"}}},
                    {"resources": {"requests": {"cpu": "2", "memory": "5Mi"}}},
                ],
            },
            (3_000, 5 * MI, 0),
            id="init containers run one after the other: the largest counts",
        ),
        pytest.param(
            {
                "containers": [{"resources": {"requests": {"cpu": "1"}}}],
                "initContainers": [
                    {"restartPolicy": "Always", "resources": {"requests": {"cpu": "2"}}},
                    {"resources": {"requests": {"cpu": "4"}}},
                    {"restartPolicy": "Always", "resources": {"requests": {"cpu": "500m"}}},
                ],
            },
            (6_000, 0, 0),
            id="an init container runs beside the sidecars started before it",
        ),
        pytest.param(
            {
                "containers": [{"resources": {"requests": {"cpu": "1"}}}],
                "initContainers": [
                    {"resources": {"requests": {"cpu": "2"}}},
                    {"restartPolicy": "Always", "resources": {"requests": {"cpu": "3"}}},
                ],
            },
            (4_000, 0, 0),
            id="sidecars run beside the containers",
        ),
        pytest.param(
            {
                "containers": [{"resources": {"requests": {"cpu": "1", "memory": "1Mi"}}}],
                "overhead": {"cpu": "250m", "memory": "160Mi"},
            },
            (1_250, 161 * MI, 0),
            id="overhead comes on top",
        ),
        pytest.param(
            {
                "containers": [{"resources": {"requests": {"cpu": "1", "memory": "1Mi", "amd.com/gpu": 1}}}],
                "resources": {"requests": {"cpu": "5"}},
                "overhead": {"cpu": "1"},
            },
            (6_000, MI, 0),
            id="what the pod as a whole asks for replaces its containers' sum",
        ),
    ],
)
def test_requests_are_what_the_scheduler_counts(spec: dict[str, Any], want: tuple[int, int, int]):
    asked = decoded(spec=spec).requests
    assert (asked.cpu_millicores, asked.memory_bytes, asked.gpus) == want


def _owner(kind: str, name: str, api: str = "apps/v1", *, controller: bool = True) -> dict[str, Any]:
    return {"apiVersion": api, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": controller}


@pytest.mark.parametrize(
    ("references", "labels", "want_workload"),
    [
        pytest.param(None, {}, None, id="a bare pod"),
        pytest.param([_owner("ReplicaSet", "x", controller=False)], {}, None, id="an owner that is no controller"),
        pytest.param(
            [_owner("ReplicaSet", "web-abc12")],
            {"pod-template-hash": "abc12"},
            ("Deployment", "web"),
            id="a Deployment's",
        ),
        pytest.param(
            [_owner("ReplicaSet", "web-abc12")], {}, ("ReplicaSet", "web-abc12"), id="a ReplicaSet of its own"
        ),
        pytest.param(
            [_owner("ReplicaSet", "web")],
            {"pod-template-hash": "abc12"},
            ("ReplicaSet", "web"),
            id="a hash that doesn't fit",
        ),
        pytest.param([_owner("Job", "sum", "batch/v1")], {}, ("Job", "sum"), id="a Job's"),
    ],
)
def test_the_workload_people_think_in(references: Any, labels: dict[str, str], want_workload: tuple[str, str] | None):
    pod = decoded(metadata={"ownerReferences": references, "labels": labels})
    assert ((pod.workload.kind, pod.workload.name) if pod.workload else None) == want_workload
    if references and references[0]["controller"]:
        assert isinstance(pod.owner, Owner)
        assert pod.owner.name == references[0]["name"]


@pytest.mark.parametrize("amount", ["lots", "-1", "1e400", "", "12 cores"])
def test_a_quantity_that_is_none_is_an_input_error(amount: str):
    with pytest.raises(InputError):
        decoded(spec={"containers": [{"resources": {"requests": {"cpu": amount}}}]})


def test_a_cloud_pod():
    raw = wire(
        metadata={
            "labels": {"burster.dev/burst": "burst-web-1"},
            "annotations": {
                "burster.dev/burst-uid": "b1",
                "io.katacontainers.config.hypervisor.machine_type": "Standard_DC4es_v6",
                "io.katacontainers.config.hypervisor.cc_init_data": "x" * 20_000,
            },
        },
        spec={"runtimeClassName": "kata-remote", "nodeName": "worker-1"},
        status={"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    )
    seen = cloud_pod_from(CLOUD_POD_CODEC.item.decode(raw))
    assert (seen.burst_uid, seen.burst_key, seen.pod_uid) == ("b1", "shop/burst-web-1", "u1")
    assert (seen.phase, seen.ready, seen.terminating) == ("Running", True, False)
    assert (seen.size, seen.runtime_class, seen.node_name) == ("Standard_DC4es_v6", "kata-remote", "worker-1")
    assert seen.created_at_ms == 1_767_600_000_000


def test_a_cloud_pod_whose_annotation_was_lost_is_found_by_its_owner():
    labels = {"burster.dev/burst": "b"}
    raw = wire(metadata={"labels": labels, "ownerReferences": [_owner("Burst", "b", "burster.dev/v1alpha1")]})
    assert cloud_pod_from(CLOUD_POD_CODEC.item.decode(raw)).burst_uid == "uid-b"
    with pytest.raises(InputError, match="names no Burst's uid"):
        cloud_pod_from(CLOUD_POD_CODEC.item.decode(wire(metadata={"labels": labels})))
