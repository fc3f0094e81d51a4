"""After the start: what each place can tell of a VM is held against what was asked for; a fact that nobody stated is a mismatch."""

from typing import Any

import msgspec
import pytest

from burster.engine.bursts.vms import find_mismatch
from burster.model import stimuli as s
from burster.model.bursts import Burst, BurstSpec, MachineSource, PodRef
from burster.model.instructions import DeletePod, MarkVerified, ObserveVms, PlacePod, RecordBurst
from burster.model.offerings import Offering, Vm
from burster.model.pods import Resources
from burster.model.policies import Confidential
from burster.model.targets import Target
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_target, a_vm


IMAGE = "/subscriptions/sub/resourceGroups/images/providers/Microsoft.Compute/galleries/g/images/podvm/versions/0.22.0"
SUBNET = "/subscriptions/sub/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/v/subnets/podvms"
COMMUNITY = "/CommunityGalleries/cococommunity/Images/peerpod-podvm/Versions/0.22.0"
MARKETPLACE = "RedHat:rhel-cvm:9_6_cvm:latest"


def a_burst(**changes: Any) -> Burst:
    values: dict[str, Any] = {
        "policy": "tasks", "target": "azure", "strategy": "Move", "pod_name": "task-1",
        "for_pod": PodRef(name="task-1", uid="u"), "region": "westeurope", "size": "Standard_DC2es_v6",
        "runtime_class": "kata-remote", "price_micro_usd_per_hour": 1, "reserved_micro_usd": 1, "decided_at_ms": T0,
        "lease_ms": 1, "drain_ms": 1, "launch_deadline_ms": 1, "ready_deadline_ms": 1,
    }  # fmt: skip
    return Burst(namespace="bank", name="b", uid="uid", spec=BurstSpec(**(values | changes)))


def told(vm: dict[str, Any], burst: Burst | None = None, target: Target | None = None, **confidential: Any) -> str:
    """What is said of a VM with these facts, the rest being right; "" for nothing."""
    burst = burst or a_burst()
    target = target or a_target(image=IMAGE, subnet=SUBNET)
    right: dict[str, Any] = {"image": target.image, "subnet": target.subnet}
    found = a_vm(burst, created_at=T0, **(right | vm))
    policy = a_policy(confidential=Confidential(**confidential))
    mismatch = find_mismatch(found, burst, policy, target)
    return "" if mismatch is None else mismatch.sentence.partition(" was to have ")[2]


def test_a_vm_that_is_all_that_was_asked_for() -> None:
    assert told({}) == ""


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"security_type": "TrustedLaunch"}, "security type ConfidentialVM and has TrustedLaunch."),
        ({"security_type": ""}, "security type ConfidentialVM and has none (a plain VM)."),
        ({"vtpm": False}, "vTPM and has it off."),
        ({"vtpm": None}, "vTPM and has nobody knows whether."),
        ({"secure_boot": False}, "secure boot and has it off."),
        ({"secure_boot": None}, "secure boot and has nobody knows whether."),
        ({"size": "Standard_DC4es_v6"}, "size Standard_DC2es_v6 and has Standard_DC4es_v6."),
        ({"size": ""}, "size Standard_DC2es_v6 and has nobody knows which."),
        ({"region": "northeurope"}, "region westeurope and has northeurope."),
        ({"region": ""}, "region westeurope and has nobody knows which."),
        ({"image": IMAGE.replace("0.22.0", "0.21.0")}, f"image {IMAGE} and has {IMAGE.replace('0.22.0', '0.21.0')}."),
        ({"image": ""}, f"image {IMAGE} and has nobody knows which."),
        ({"subnet": SUBNET + "-2"}, f"subnet {SUBNET} and has {SUBNET}-2."),
        ({"subnet": ""}, f"subnet {SUBNET} and has nobody knows which."),
        ({"public_ip": True}, "no public IP address and has one."),
        ({"public_ip": None}, "no public IP address and has nobody knows whether one."),
        ({"encryption_type": "NonPersistedTPM"}, "encrypted guest state and has NonPersistedTPM."),
        ({"encryption_type": ""}, "encrypted guest state and has none."),
        ({"name": "podvm-other-0123abcd"}, "a name for task-1 and has another one."),
        ({"name": "task-1"}, "a name for task-1 and has another one."),
    ],
)
def test_each_thing_that_is_otherwise_or_that_nobody_states(facts: dict[str, Any], sentence: str) -> None:
    assert told(facts) == sentence


@pytest.mark.parametrize(
    "facts",
    [
        {"size": "standard_dc2ES_V6"},
        {"region": "WestEurope"},
        {"image": IMAGE.upper()},
        {"image": IMAGE.strip("/")},
        {"subnet": SUBNET.replace("resourceGroups", "resourcegroups")},
        {"encryption_type": "DiskWithVMGuestState"},
        {"encryption_type": "vmgueststateonly"},
    ],
)
def test_azure_spells_as_it_likes(facts: dict[str, Any]) -> None:
    assert told(facts) == ""


def test_secure_boot_is_asked_for_unless_the_policy_does_not_demand_it() -> None:
    assert told({"secure_boot": False}, secure_boot=False) == ""
    assert told({"secure_boot": True}, secure_boot=False) == ""


@pytest.mark.parametrize("image", [COMMUNITY, IMAGE])
def test_images_of_galleries_of_ones_own_and_of_the_community(image: str) -> None:
    target = a_target(image=image)
    assert told({"image": image.lower()}, target=target) == ""
    assert told({"image": ""}, target=target).startswith(f"image {image}")


def test_a_target_that_names_neither_image_nor_subnet_is_not_asked_about_them() -> None:
    assert told({"image": "", "subnet": ""}, target=a_target()) == ""


# --- machines -----------------------------------------------------------------------------------------------------------


def a_machine(**changes: Any) -> Burst:
    values: dict[str, Any] = {"image": MARKETPLACE, "encryption": "DiskWithVMGuestState", "subnet": SUBNET}
    return a_burst(
        strategy="Machine", pod_name="burstvm-x", for_pod=PodRef(), runtime_class="", machine=MachineSource(**(values | changes))
    )  # fmt: skip


def of_machine(vm: dict[str, Any], **changes: Any) -> str:
    right: dict[str, Any] = {
        "name": "burstvm-x", "image": MARKETPLACE, "encryption_type": "DiskWithVMGuestState", "subnet": SUBNET, "zone": "",
    }  # fmt: skip
    return told(right | vm, a_machine(**changes))


def test_a_machine_is_held_against_what_its_own_record_says() -> None:
    assert of_machine({}) == ""
    assert of_machine({"name": "burstvm-y"}) == "a name for burstvm-x and has another one."
    assert (
        of_machine({"encryption_type": "VMGuestStateOnly"})
        == "encryption diskwithvmgueststate and has VMGuestStateOnly."
    )
    assert of_machine({"image": "RedHat:rhel-cvm:9_5_cvm:latest"}).startswith(f"image {MARKETPLACE} and has RedHat")
    assert of_machine({"image": "redhat:rhel-cvm:9_6_cvm:LATEST"}) == ""
    assert of_machine({"secure_boot": False}) == "secure boot and has it off."
    assert of_machine({"secure_boot": False}, secure_boot=False) == ""
    assert of_machine({"subnet": ""}).startswith(f"subnet {SUBNET}")


# --- elsewhere ----------------------------------------------------------------------------------------------------------


def a_record(**changes: Any) -> Vm:
    values: dict[str, Any] = {
        "name": "podvm-task-1-0123abcd", "resource_id": "sv-1", "region": "", "size": "", "provisioning_state": "Succeeded",
        "provider": "sovereign",
    }  # fmt: skip
    return Vm(**(values | changes))


def test_of_a_record_the_provider_and_an_id_are_asked_for_and_nothing_that_it_can_not_tell() -> None:
    burst = a_burst(provider="sovereign")
    assert find_mismatch(a_record(), burst, None, None) is None
    assert find_mismatch(a_record(provider="Sovereign"), burst, None, None) is None
    changes: dict[str, Any]
    for changes in ({"provider": "aws"}, {"provider": ""}, {"resource_id": ""}):
        mismatch = find_mismatch(a_record(**changes), burst, None, None)
        assert mismatch is not None
        assert mismatch.code == "VmMismatch"


def test_of_a_node_its_labels_are_asked_for() -> None:
    burst = a_burst(provider="onprem", node_selector={"tee": "tdx", "zone": "a"})
    on_node = a_record(provider="", node="n1", tags={"tee": "tdx", "zone": "a"})
    assert find_mismatch(on_node, burst, None, None) is None
    wrong: dict[str, dict[str, Any]] = {
        "node label tee=tdx and has tee=none": {"tags": {"tee": "none", "zone": "a"}},
        "node label tee=tdx and has node n1 without it": {"tags": {"zone": "a"}},
        "a node of the cluster and has none": {"node": ""},
    }
    for sentence, changes in wrong.items():
        mismatch = find_mismatch(msgspec.structs.replace(on_node, **changes), burst, None, None)
        assert mismatch is not None
        assert sentence in mismatch.sentence
    nameless = find_mismatch(on_node, a_burst(provider="onprem"), None, None)
    assert nameless is not None
    assert "none: its record names none" in nameless.sentence


# --- the whole way ------------------------------------------------------------------------------------------------------


class Elsewhere(Engine):
    """An engine with one target of another provider and one policy; its burst is placed."""

    def __init__(self, provider: str, **target: Any) -> None:
        super().__init__()
        offering = Offering(
            target="there", provider=provider, region="here", size="big", family="big", tee="TDX",
            resources=Resources(cpu_millicores=4_000, memory_bytes=16 * GIB), price_micro_usd_per_hour=360_000,
        )  # fmt: skip
        place = a_target(
            name="there", provider=provider, region="here", sizes=("big",), catalogue=(offering,),
            runtime_class="kata-there", sweep="Report", **target,
        )  # fmt: skip
        base = a_policy()
        policy = msgspec.structs.replace(
            base,
            placement=msgspec.structs.replace(base.placement, targets=("there",)),
            confidential=Confidential(attestation="Required"),
        )
        synced = ("pods", "policies", "targets", "bursts", "cloud-pods")
        self.send(
            s.LedgerRestored(entries=()),
            s.TargetSeen(target=place),
            s.OfferingsSeen(target="there", offerings=()),
            s.PolicySeen(policy=policy),
            *(s.SourceSynced(source=name) for name in synced),
        )
        self.send(s.PodSeen(pod=a_pod()))
        (record,) = self.of(RecordBurst)
        self.key = record.burst.key
        self.send(s.BurstRecorded(key=self.key, uid="b-1"))
        assert self.of(PlacePod)
        self.send(s.PodPlaced(key=self.key, pod_uid="cp-1"))

    def of(self, kind: type) -> list[Any]:
        return [one for one in self.instructions if isinstance(one, kind)]

    def pod(self, phase: str = "Running", **facts: Any) -> None:
        values: dict[str, Any] = {
            "burst_uid": "b-1", "burst_key": self.key, "pod_uid": "cp-1", "phase": phase, "size": "big", "runtime_class": "kata-there",
            "name": "task-1",
        }  # fmt: skip
        self.send(s.CloudPodSeen(**(values | facts)), after_ms=1_000)

    def observed(self, *vms: Vm, after_ms: int = 1_000) -> None:
        self.send(s.VmsObserved(key=self.key, vms=vms), after_ms=after_ms)

    @property
    def stage(self) -> str:
        return self.state.bursts[self.key].burst.status.phase


def test_a_recorded_vm_serves_when_its_containers_are_ready_and_not_before() -> None:
    engine = Elsewhere("sovereign")
    engine.pod()
    assert engine.of(ObserveVms)
    engine.observed(a_record())
    assert engine.stage == "Attesting"
    engine.pod(containers_ready=True)
    engine.send(after_ms=60_000)
    assert engine.of(ObserveVms)
    engine.observed()
    assert engine.stage == "Attesting", "no record, no word of it"
    engine.send(after_ms=60_000)
    engine.observed(a_record())
    assert engine.stage == "Serving"
    assert not engine.of(MarkVerified), "a moved pod has no gate"


def test_a_record_of_another_provider_ends_the_pod_at_once_and_opens_the_breaker() -> None:
    engine = Elsewhere("sovereign")
    engine.pod(containers_ready=True)
    engine.observed(a_record(provider="azure"))
    assert engine.stage == "Failed"
    assert engine.state.targets["there"].tripped is not None


def test_what_is_on_record_costs_from_its_pods_placing_and_is_released_when_the_record_is_gone() -> None:
    engine = Elsewhere("sovereign")
    placed_ms = engine.now
    engine.pod(containers_ready=True)
    engine.observed(a_record(created_at_ms=engine.now))
    engine.pod("Succeeded")
    assert engine.stage == "Releasing"
    engine.observed(a_record(provisioning_state="Deleting"))
    assert engine.stage == "Releasing"
    engine.send(after_ms=60_000)
    engine.observed()
    assert engine.stage == "Released"
    assert engine.spends[-1].micro_usd == (engine.now - placed_ms) * 360_000 // 3_600_000


def test_a_record_may_come_as_late_as_a_launch_may_take_where_the_pod_never_ran() -> None:
    engine = Elsewhere("sovereign", launch_deadline_ms=300_000)
    engine.pod("Pending")
    engine.send(s.CloudPodGone(burst_uid="b-1", burst_key=engine.key, pod_uid="cp-1"), after_ms=5_000)
    engine.observed()
    engine.send(after_ms=200_000)
    engine.observed()
    assert engine.stage == "Releasing", "CAA may still be making it"
    engine.send(after_ms=120_000)
    engine.observed()
    assert engine.stage == "Released"


def test_a_pod_on_a_node_of_ones_own_has_no_size_and_no_vm_to_wait_for() -> None:
    engine = Elsewhere("onprem", node_selector={"tee": "tdx"})
    engine.pod(size="")
    assert engine.stage == "Attesting"
    engine.observed(a_record(provider="", node="n1", tags={"tee": "tdx"}))
    assert engine.stage == "Serving"
    engine.pod("Succeeded", size="")
    engine.observed()
    assert engine.stage == "Released"


def test_a_pod_that_no_node_takes_goes_home_and_the_nodes_are_left_alone() -> None:
    engine = Elsewhere("onprem", node_selector={"tee": "tdx"})
    refused: dict[str, Any] = {
        "size": "",
        "unschedulable_since_ms": engine.now,
        "unschedulable": "0/3 nodes are available: 3 Insufficient cpu.",
    }
    engine.pod("Pending", **refused)
    assert engine.stage == "Provisioning"
    engine.send(after_ms=30_000)
    assert engine.stage == "Failed"
    engine.observed()
    engine.send(s.StatusWritten(key=engine.key, phase="Failed"))
    (delete,) = engine.of(DeletePod)
    assert delete.burst.key == engine.key
    (failed,) = (one for one in engine.decisions if one.verdict == "Fail")
    reason, then = failed.reasons
    assert reason.code == "NodesFull"
    assert "3 Insufficient cpu" in reason.sentence
    assert then.sentence == "Another target is tried next: there is left alone for what is as large or larger, for 3m."


def test_a_pod_that_waits_for_a_slot_of_a_cloud_is_not_given_up_for_that() -> None:
    engine = Elsewhere("sovereign")
    engine.pod("Pending", unschedulable_since_ms=engine.now, unschedulable="Insufficient kata.peerpods.io/vm")
    engine.send(after_ms=60_000)
    assert engine.stage == "Provisioning"
