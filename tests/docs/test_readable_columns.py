"""``kubectl get bursts,burstpolicies,bursttargets`` is readable without documentation: golden lines, with the real kubectl."""

import re

from burster.model.bursts import Burst, BurstSpec, BurstStatus, PodRef
from burster.model.instructions import Condition, WritePolicyStatus, WriteTargetStatus
from burster.policy.records import burst_to_object, status_to_object
from burster.policy.status_objects import policy_status_to_object, target_status_to_object
from tests.docs.test_deploy import kubectl, until_served
from tests.support.builders import T0


__all__ = ["kubectl"]

RULES = """
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: nightly, namespace: default}
spec:
  workload: {kind: Job}
  limits: {maxBursts: 20}
  placement: {targets: [azure-westeurope-tdx]}
"""
TARGET = """
apiVersion: burster.dev/v1alpha1
kind: BurstTarget
metadata: {name: azure-westeurope-tdx}
spec:
  azure: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: bursts, region: westeurope}
  runtimeClassName: kata-remote
  sizes: [Standard_DC2es_v6]
  limits: {maxBursts: 50}
"""


def a_burst() -> Burst:
    spec = BurstSpec(
        policy="nightly",
        target="azure-westeurope-tdx",
        strategy="Move",
        pod_name="risk-7",
        for_pod=PodRef(name="risk-7", uid="uid-7"),
        region="westeurope",
        size="Standard_DC2es_v6",
        runtime_class="kata-remote",
        price_micro_usd_per_hour=100_000,
        reserved_micro_usd=120_000,
        decided_at_ms=T0,
        lease_ms=3_000_000,
        drain_ms=600_000,
        launch_deadline_ms=300_000,
        ready_deadline_ms=900_000,
    )
    status = BurstStatus(
        phase="Serving", reserved_micro_usd=120_000, placed_at_ms=T0, serving_at_ms=T0, vms=("podvm-risk-7-1a2b",)
    )
    return Burst(namespace="default", name="burst-risk-7-0a1b2c3d", spec=spec, status=status)


def lines(text: str) -> list[str]:
    """Return each line with single spaces, ages left out."""
    return [re.sub(r" +\d+[smh]$", " AGE", re.sub(r"  +", " ", line.strip())) for line in text.splitlines()]


POLICY_TOLD = WritePolicyStatus(
    key="x",
    policy="default/nightly",
    generation=1,
    conditions=tuple(
        Condition(type=kind, status=status, since_ms=T0, reason=reason, message="")
        for kind, status, reason in (
            ("Accepted", "True", "Valid"),
            ("Ready", "True", "Ready"),
            ("Active", "True", "BurstsRunning"),
            ("Paused", "False", "NotPaused"),
        )
    ),
    pending=3,
    bursts=1,
    spent_micro_usd=2_500_000,
)
TARGET_TOLD = WriteTargetStatus(
    key="x",
    target="azure-westeurope-tdx",
    generation=1,
    conditions=tuple(
        Condition(type=kind, status=status, since_ms=T0, reason=reason, message=message)
        for kind, status, reason, message in (
            ("Accepted", "True", "Valid", ""),
            ("Ready", "False", "BreakerOpen", "VM podvm-a is no confidential VM."),
            ("Reachable", "True", "CloudAnswers", ""),
        )
    ),
    offerings=1,
    bursts=1,
    vcpus=2,
    reserved_micro_usd=120_000,
    spent_micro_usd=4_500_000,
)
#: what `kubectl get` shows of each, with single spaces
GOLDEN = {
    "bursts": [
        "NAME PHASE POLICY POD TARGET SIZE COST VM AGE",
        "burst-risk-7-0a1b2c3d Serving nightly risk-7 azure-westeurope-tdx Standard_DC2es_v6 $0.1200 podvm-risk-7-1a2b AGE",
    ],
    "burstpolicies": [
        "NAME READY STRATEGY TARGET ACTIVE PAUSED PENDING BURSTS MAX SPENT AGE",
        "nightly True Auto azure-westeurope-tdx True False 3 1 20 $2.5000 AGE",
    ],
    "bursttargets": [
        "NAME READY PROVIDER REGION REACHABLE SIZES BURSTS MAX SPENT AGE",
        "azure-westeurope-tdx False azure westeurope True 1 1 50 $4.5000 AGE",
    ],
}
WHY_NOT_READY = "VM podvm-a is no confidential VM."


async def test_each_kind_tells_its_story_in_one_line(kubectl, tmp_path):
    code, _, errors = await kubectl("apply", "-k", "deploy")
    assert code == 0, errors
    await until_served(kubectl)
    for name, text in (("policy", RULES), ("target", TARGET)):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        code, _, errors = await kubectl("apply", "-f", str(path))
        assert code == 0, errors
    store, burst = kubectl.store, a_burst()
    store.create("bursts.burster.dev", "default", burst_to_object(burst))
    status = status_to_object(burst, observed_generation=1)["status"]
    store.patch("bursts.burster.dev", "default", burst.name, {"status": status}, subresource="status")
    body = policy_status_to_object(POLICY_TOLD)["status"]
    store.patch("burstpolicies.burster.dev", "default", "nightly", {"status": body}, subresource="status")
    body = target_status_to_object(TARGET_TOLD)["status"]
    store.patch("bursttargets.burster.dev", "", "azure-westeurope-tdx", {"status": body}, subresource="status")
    for kind, golden in GOLDEN.items():
        _, out, _ = await kubectl("get", kind)
        assert lines(out) == golden
    _, out, _ = await kubectl("get", "bursttargets", "-o", "wide")
    assert WHY_NOT_READY in out, "the wide table says why"


async def test_a_burst_can_be_waited_for(kubectl):
    code, _, errors = await kubectl("apply", "-k", "deploy")
    assert code == 0, errors
    await until_served(kubectl)
    burst = a_burst()
    kubectl.store.create("bursts.burster.dev", "default", burst_to_object(burst))
    status = status_to_object(burst, observed_generation=1)["status"]
    kubectl.store.patch("bursts.burster.dev", "default", burst.name, {"status": status}, subresource="status")
    code, out, errors = await kubectl("wait", "--for=condition=Ready", f"bst/{burst.name}", "--timeout=10s")
    assert (code, out) == (0, f"burst.burster.dev/{burst.name} condition met\n"), errors
