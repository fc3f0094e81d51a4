"""A cluster in memory with one pending pod and one Deployment, and a Burst for each."""

from typing import Any

import pytest

from burster.model.bursts import Burst, BurstSpec, BurstStatus, PodRef
from burster.model.triggers import WorkloadRef
from tests.support.builders import T0
from tests.support.fake_cluster import FakeCluster, FakeKube, Json


CONTAINERS = [{"name": "main", "image": "bank/task:1", "resources": {"requests": {"cpu": "1"}}}]


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add(
        "pods",
        {
            "metadata": {
                "namespace": "bank",
                "name": "task-1",
                "labels": {"team": "risk"},
                "annotations": {
                    "note": "kept",
                    "io.katacontainers.config.hypervisor.image": "evil",
                    "io.katacontainers.config_path": "/etc/evil.toml",
                },
                "ownerReferences": [],
                "managedFields": [{}],
            },
            "spec": {"containers": CONTAINERS, "restartPolicy": "Never"},
            "status": {"phase": "Pending"},
        },
    )
    template = {
        "metadata": {"labels": {"app": "web", "pod-template-hash": "abc"}},
        "spec": {"containers": CONTAINERS, "readinessGates": [{"conditionType": "bank/ready"}]},
    }
    cluster.add("deployments", {"metadata": {"namespace": "bank", "name": "web"}, "spec": {"template": template}})
    return cluster


@pytest.fixture
def api(cluster: FakeCluster) -> FakeKube:
    return FakeKube(cluster)


@pytest.fixture
def pending(cluster: FakeCluster) -> Json:
    found = cluster.find("pods", "bank", "task-1")
    assert found is not None
    return found


def a_burst(strategy: str, for_uid: str, *, uid: str = "", **status: Any) -> Burst:
    name = "burst-task-1-0123abcd"
    spec = BurstSpec(
        policy="tasks",
        target="azure",
        strategy=strategy,
        pod_name=name if strategy == "Clone" else "task-1",
        for_pod=PodRef(name="task-1", uid=for_uid),
        workload=WorkloadRef(api_version="apps/v1", kind="Deployment", name="web") if strategy == "Clone" else None,
        region="westeurope",
        size="Standard_DC2es_v6",
        runtime_class="kata-remote",
        price_micro_usd_per_hour=1,
        reserved_micro_usd=1,
        decided_at_ms=T0,
        lease_ms=1,
        drain_ms=600_000,
        launch_deadline_ms=1,
        ready_deadline_ms=1,
    )
    return Burst(namespace="bank", name=name, uid=uid, spec=spec, status=BurstStatus(**status))


@pytest.fixture
def move(pending: Json) -> Burst:
    return a_burst("Move", pending["metadata"]["uid"])


@pytest.fixture
def clone(pending: Json) -> Burst:
    return a_burst("Clone", pending["metadata"]["uid"])
