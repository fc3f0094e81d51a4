"""The CRDs as an API server uses them: defaults, refusals, and records by server-side apply (the lab's store; real rules)."""

import msgspec
import pytest

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.store import Store
from burster.model.bursts import Burst, BurstSpec, PodRef
from burster.policy.compile import compile_policy
from burster.policy.crds import crds
from burster.policy.records import burst_from_object, burst_to_object, status_to_object
from burster.policy.schema import API_VERSION


POLICIES = "burstpolicies.burster.dev"


@pytest.fixture
def store():
    made = Store(lambda: 1_795_651_200_000)
    for crd in crds().values():
        made.create("customresourcedefinitions.apiextensions.k8s.io", "", crd)
    made.create("namespaces", "", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bank"}})
    return made


def a_policy(**spec):
    return {
        "apiVersion": API_VERSION,
        "kind": "BurstPolicy",
        "metadata": {"name": "fraud", "namespace": "bank"},
        "spec": {"workload": {"kind": "Job"}, "placement": {"targets": ["azure"]}, **spec},
    }


def test_the_servers_defaults_mean_the_same_as_ours(store):
    stored = store.create(POLICIES, "bank", a_policy(limits={"budget": {"perHour": 2.5, "perDay": "20"}}))
    assert stored["spec"]["cooldownPeriod"] == 300
    assert stored["spec"]["confidential"] == {
        "tees": ["TDX"],
        "secureBoot": True,
        "attestation": "Required",
        "exec": "Forbidden",
        "images": {"digestOnly": False},
        "secrets": {"mode": "Any"},
    }
    ours = compile_policy(a_policy(limits={"budget": {"perHour": 2.5, "perDay": "20"}}))
    assert msgspec.structs.replace(compile_policy(stored), uid="", generation=0) == ours


@pytest.mark.parametrize(
    "spec",
    [
        {"limits": {"budget": {"perHour": "12 cores"}}},
        {"limits": {"budget": {"perHour": -1}}},
        {"limits": {"maxBursts": -1}},
        {"limits": {"maxBursts": "4"}},
        {"triggers": [{"type": "kafka"}]},
        {"triggers": []},
        {"workload": {}},
        {"placement": {"targets": []}},
        {"placement": {"targets": ["azure"], "lease": "30"}},
        {"placement": {"targets": ["azure"], "strategy": "Teleport"}},
        {"confidential": {"tees": ["None"]}},
        {"priority": 2**31},
    ],
    ids=str,
)
def test_the_server_itself_refuses_most_of_what_is_wrong(store, spec):
    with pytest.raises(ApiError, match="invalid"):
        store.create(POLICIES, "bank", a_policy(**spec))


def test_a_record_is_written_and_its_status_applied(store):
    burst = Burst(
        namespace="bank",
        name="burst-1",
        spec=BurstSpec(
            policy="fraud",
            target="azure",
            strategy="Move",
            pod_name="task-1",
            for_pod=PodRef(name="task-1", uid="p"),
            region="eastus",
            size="Standard_DC2es_v6",
            runtime_class="kata-remote",
            price_micro_usd_per_hour=1,
            reserved_micro_usd=1,
            decided_at_ms=1,
            lease_ms=1,
            drain_ms=1,
            launch_deadline_ms=1,
            ready_deadline_ms=1,
        ),
    )
    manifest = {"kind": "Pod", "spec": {"anything": [{"at": "all"}]}}
    stored = store.create("bursts.burster.dev", "bank", burst_to_object(burst, pod_manifest=manifest))
    assert stored["spec"]["podManifest"] == manifest
    burst = burst_from_object(stored)
    for phase in ("Placing", "Provisioning", "Serving", "Released"):
        burst = msgspec.structs.replace(burst, status=msgspec.structs.replace(burst.status, phase=phase, vms=("vm",)))
        body = status_to_object(burst, observed_generation=1)
        how = {"kind": "apply", "subresource": "status", "field_manager": "burster", "force": True}
        stored = store.patch("bursts.burster.dev", "bank", "burst-1", body, **how)
        assert burst_from_object(stored) == burst
    with pytest.raises(ApiError):
        store.patch("bursts.burster.dev", "bank", "burst-1", {"spec": {"replicas": 2}})
