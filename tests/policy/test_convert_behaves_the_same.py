"""The converted classic, compiled, asks for the replicas that KEDA and the HPA would have: 0 to 4."""

from pathlib import Path

import pytest

from burster.engine.autoscale import activity, arithmetic, limits
from burster.model.policies import Placement, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.triggers import AuthRef, HttpAccess, PrometheusTrigger, WorkloadRef
from burster.policy.compile import compile_documents
from burster.policy.load import load_text


CONVERTED = Path(__file__).parent / "keda" / "classic.policy.yaml"


@pytest.fixture(scope="module")
def policy():
    (found,) = compile_documents(load_text(CONVERTED.read_text("utf-8"))).policies
    return found


def test_the_converted_policy_means_what_the_scaled_object_meant(policy):
    assert policy.workload == WorkloadSelector(kind="Deployment", name="cloud-deployment")
    assert policy.placement == Placement(strategy="Scale", targets=("azure-westeurope-tdx",))
    assert policy.scaling == Scaling(
        target=WorkloadRef(name="cloud-deployment"), min_replicas=0, max_replicas=4, restore_to_original=True
    )
    assert policy.triggers == (
        PrometheusTrigger(
            name="kube_pod_status_phase",
            server_address="https://thanos-querier.openshift-monitoring.svc.cluster.local:9092",
            query='sum(kube_pod_status_phase{phase="Pending", namespace="default",pod=~"on-prem-deployment.*"})',
            namespace="default",
            threshold_milli=1000,
            activation_milli=0,
            access=HttpAccess(auth_modes=("bearer",), auth=AuthRef(name="keda-trigger-auth-prometheus")),
        ),
    )


@pytest.mark.parametrize(("pending", "replicas"), [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 4), (400, 4)])
def test_so_many_pending_pods_so_many_replicas(policy, pending, replicas):
    assert settled(policy, pending) == replicas


def settled(policy, pending):
    """A poll from nothing, then syncs until the number stays: KEDA's part, then the HPA's."""
    (trigger,) = policy.triggers
    value_milli = arithmetic.milli_of(float(pending))
    found = activity.Poll(
        current=0,
        active=value_milli > trigger.activation_milli,
        failed=False,
        last_active_at_ms=None,
        created_at_ms=0,
        now_ms=0,
    )
    polled = activity.poll(found, policy.scaling)
    current = polled.replicas or 0
    history = limits.History()
    for sync in range(1, 9):
        if not current:
            break
        proposed = arithmetic.propose_average(
            value_milli, trigger.threshold_milli, status_replicas=current, tolerance=arithmetic.Tolerance()
        )
        history = limits.begin(history, current, sync * 15_000)
        limited = limits.limit(
            proposed,
            current=current,
            bounds=limits.Bounds(max(1, policy.scaling.min_replicas), policy.scaling.max_replicas),
            behavior=policy.scaling.behavior,
            history=history,
            now_ms=sync * 15_000,
        )
        current, history = limited.replicas, limited.history
    return current
