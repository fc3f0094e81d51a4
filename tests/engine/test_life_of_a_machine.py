"""A machine is asked for, looked at, proven, reached, and taken down again; it never serves before it was found to be what was decided."""

import msgspec
import pytest

from burster.engine.why import why_pod, why_policy
from burster.model import stimuli as s
from burster.model.instructions import EmitEvent
from burster.model.limits import Budget
from burster.policy.records import burst_conditions
from tests.support.builders import an_offering
from tests.support.machine_life import (
    ADDRESS,
    IMAGE,
    SUBNET,
    MachineEngine,
    a_lending_target,
    a_machine_policy,
    a_waiting_vm,
    the_vm,
)


@pytest.fixture
def engine() -> MachineEngine:
    return MachineEngine()


def gone(name: str = "virt-launcher-settlement-1") -> s.PodLeft:
    return s.PodLeft(namespace="bank", name=name, uid=f"uid-{name}", why="Bound")


# --- decided


def test_the_record_says_all_that_the_machine_is_made_of_before_anything_is_asked_for(engine: MachineEngine) -> None:
    burst = engine.begin()
    spec = burst.spec
    assert (spec.strategy, spec.runtime_class, spec.size) == ("Machine", "", "Standard_DC2es_v6")
    assert spec.machine is not None
    assert (spec.machine.image, spec.machine.subnet, spec.machine.service) == (IMAGE, SUBNET, "settlement")
    assert spec.pod_name.startswith("burstvm-settlement-")
    assert len(spec.pod_name) <= 63
    assert engine.asked("RecordBurst")[0].burst == burst
    assert not engine.asked("LaunchMachine")
    engine.to_placing()
    assert engine.asked("LaunchMachine")[0].burst.spec == spec


def test_a_machine_answers_no_pod_and_the_pod_is_told_that_it_counts(engine: MachineEngine) -> None:
    burst = engine.begin()
    assert burst.spec.for_pod.uid == ""
    assert burst.subject == "bank/settlement"
    assert "bank/virt-launcher-settlement-1" in engine.state.pods
    assert "CountedForMachines" in engine.codes("bank/virt-launcher-settlement-1")


def test_a_pod_of_any_size_counts(engine: MachineEngine) -> None:
    engine.sync(
        s.PolicySeen(policy=a_machine_policy()),
        s.TargetSeen(target=a_lending_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        a_waiting_vm(cpu=512_000),
    )
    assert engine.burst().spec.strategy == "Machine"


def test_the_cheapest_size_that_has_what_the_policy_says_a_machine_needs(engine: MachineEngine) -> None:
    needs = msgspec.structs.replace(an_offering(4).resources)
    burst = engine.begin(a_machine_policy(machine={"requests": needs}))
    assert burst.spec.size == "Standard_DC4es_v6"


@pytest.mark.parametrize(
    ("target", "code"),
    [
        (msgspec.structs.replace(a_lending_target(), machines=None), "MachinesNotTaken"),
        (a_lending_target(machines={"images": ("other:image:a:1.0.0",)}), "MachineImageNotAllowed"),
        (a_lending_target(allowed_namespaces=()), "NamespaceNotAllowed"),
        (a_lending_target(trustee_url=""), "TrusteeMissing"),
        (a_lending_target(machines={"zones": ("3",)}), "NotInZones"),
    ],
)
def test_what_a_target_does_not_allow_starts_nothing(engine: MachineEngine, target, code: str) -> None:
    engine.sync(
        s.PolicySeen(policy=a_machine_policy()),
        s.TargetSeen(target=target),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2, zones=("1", "2")),)),
        a_waiting_vm(),
    )
    assert not engine.state.bursts
    assert code in engine.codes("bank/settlement")


def test_money_is_asked_first(engine: MachineEngine) -> None:
    engine.sync(
        s.PolicySeen(policy=a_machine_policy(budget=Budget(per_hour_micro_usd=1_000))),
        s.TargetSeen(target=a_lending_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        a_waiting_vm(),
    )
    assert not engine.state.bursts
    assert "Budget" in "".join(engine.codes("bank/settlement"))


def test_machines_are_spread_over_the_zones_that_the_target_names(engine: MachineEngine) -> None:
    engine.begin(
        target=a_lending_target(machines={"zones": ("1", "2", "3")}),
        offerings=(an_offering(2, zones=("1", "2", "3"), blocked_zones=("3",)),),
    )
    engine.send(*(a_waiting_vm(f"virt-launcher-{n}") for n in range(3)))
    engine.wait(30_000)
    assert sorted(entry.burst.spec.zone for entry in engine.state.bursts.values()) == ["1", "1", "2", "2"]


# --- made, proven, reached


def test_the_operation_is_kept_until_the_machine_is_there(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_provisioning()
    assert (burst.status.phase, burst.status.operation) == ("Provisioning", "op-1")
    engine.wait(10_000)
    assert engine.asked("ObserveVms")
    assert engine.see(provisioning_state="Creating").status.phase == "Provisioning"
    engine.wait(5_000)
    assert engine.asked("ObserveVms")
    burst = engine.see()
    assert (burst.status.phase, burst.status.operation, burst.status.address) == ("Attesting", "", ADDRESS)


def test_a_machine_is_published_only_after_proof_and_serves_only_when_its_port_answers(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_attesting()
    (asked,) = engine.asked("PublishEndpoint")
    assert (asked.address, asked.ready) == (ADDRESS, True)
    engine.fail("PublishEndpoint", "Unavailable")
    assert engine.phase() == "Attesting"
    engine.wait(2_000)
    assert engine.asked("PublishEndpoint")[0].ready
    assert engine.publish().status.phase == "Serving"
    assert "Verified" not in engine.codes(), "a good end is an event, and no decision"
    assert engine.burst(burst.key).status.serving_at_ms == engine.now


def test_without_a_service_a_verified_machine_serves(engine: MachineEngine) -> None:
    engine.begin(a_machine_policy(machine={"service": "", "port": 0}))
    assert engine.to_attesting().status.phase == "Serving"
    assert not engine.asked("PublishEndpoint")


@pytest.mark.parametrize(
    "wrong",
    [
        {"security_type": ""},
        {"security_type": "TrustedLaunch"},
        {"vtpm": False},
        {"vtpm": None},
        {"secure_boot": False},
        {"size": "Standard_DC4es_v6"},
        {"region": "northeurope"},
        {"image": "redhat:rhel-cvm:9_6_cvm:9.6.2026011513"},
        {"image": ""},
        {"subnet": ""},
        {"subnet": SUBNET + "-other"},
        {"public_ip": True},
        {"public_ip": None},
        {"encryption_type": "DiskWithVMGuestState"},
        {"encryption_type": ""},
        {"spot": True},
    ],
)
def test_a_machine_that_is_not_what_was_decided_never_serves_and_opens_the_breaker(
    engine: MachineEngine, wrong: dict[str, object]
) -> None:
    engine.begin()
    engine.to_provisioning()
    burst = engine.see(**wrong)
    assert (burst.status.phase, burst.status.reason) == ("Failed", "VmMismatch")
    assert not engine.asked("PublishEndpoint")
    assert engine.asked("DeleteMachine"), "at once: there is nothing to be finished"
    assert engine.state.targets["azure"].tripped is not None
    assert engine.deleted().status.phase == "Released"


def test_the_zone_the_disks_key_and_what_is_encrypted_are_as_demanded(engine: MachineEngine) -> None:
    target = a_lending_target(machines={"zones": ("2",), "disk_encryption_set": "/des/ours"})
    engine.begin(
        a_machine_policy(machine={"encryption": "DiskWithVMGuestState"}), target, (an_offering(2, zones=("1", "2")),)
    )
    burst = engine.to_provisioning()
    assert burst.spec.machine is not None
    assert (burst.spec.zone, burst.spec.machine.disk_encryption_set) == ("2", "/des/ours")
    assert engine.see(disk_encryption_set="/des/theirs").status.reason == "VmMismatch"


def test_a_machine_that_changes_while_it_serves_is_ended_at_once(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_served()
    engine.wait(60_000)
    assert engine.asked("ObserveVms")
    burst = engine.see(public_ip=True)
    assert (burst.status.phase, burst.status.reason) == ("Draining", "VmMismatch")
    assert not engine.asked("PublishEndpoint")[0].ready
    engine.publish(ready=False)
    assert engine.asked("DeleteMachine")


def test_a_machine_that_is_never_ready_fails_by_the_deadline(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_attesting()
    for _ in range(40):
        if engine.phase() != "Attesting":
            break
        engine.fail("PublishEndpoint", "Unavailable", after_ms=30_000)
    assert engine.burst().status.reason == "NotReadyInTime"
    assert not engine.state.bursts[engine.burst().key].exposed or engine.asked("PublishEndpoint")


# --- taken down


def test_demand_that_ends_withdraws_the_endpoint_then_waits_then_deletes(engine: MachineEngine) -> None:
    engine.begin()
    key = engine.to_served().key
    engine.send(gone())
    for _ in range(60):
        engine.wait(15_000)
        if engine.phase(key) == "Draining":
            break
        if engine.asked("ObserveVms"):
            engine.see(key, after_ms=0)
    assert engine.burst(key).status.reason == "TooManyMachines"
    (asked,) = engine.asked("PublishEndpoint")
    assert not asked.ready
    assert not engine.asked("DeleteMachine")
    drained_at = engine.burst(key).status.draining_at_ms or 0
    engine.publish(ready=False, key=key)
    while engine.now < drained_at + 599_000:
        engine.wait(1_000)
        assert not engine.asked("DeleteMachine")
        if engine.asked("ObserveVms"):
            engine.see(key, after_ms=0)
    engine.wait(1_000)
    assert engine.asked("DeleteMachine")
    burst = engine.deleted(key)
    assert burst.status.phase == "Released"
    assert engine.spends[-1].micro_usd == burst.status.settled_micro_usd
    assert engine.state.targets["azure"].account.outstanding_micro_usd == 0


def test_a_machine_that_stops_while_it_finishes_is_deleted_then(engine: MachineEngine) -> None:
    engine.begin()
    key = engine.to_served().key
    engine.send(s.DrainRequested())
    engine.publish(ready=False)
    assert engine.asked("ObserveVms")
    engine.see(key)
    engine.wait(60_000)
    assert engine.asked("ObserveVms")
    engine.see(key, power_state="stopped")
    assert engine.asked("DeleteMachine")


def test_an_endpoint_that_can_not_be_withdrawn_keeps_no_machine_alive_and_its_record_waits(
    engine: MachineEngine,
) -> None:
    engine.begin(a_machine_policy(drain_ms=0))
    key = engine.to_served().key
    engine.send(s.DrainRequested())
    engine.fail("PublishEndpoint", "Unreachable")
    assert not engine.asked("DeleteMachine")
    engine.wait(60_000)
    assert engine.asked("DeleteMachine")
    assert engine.deleted(key).status.phase == "Draining", "an address of nobody's would stay in the Service"
    engine.fail("PublishEndpoint", "Unreachable")
    engine.wait(60_000)
    assert engine.publish(ready=False, key=key).status.phase == "Released"


def test_an_end_while_it_is_asked_for_waits_for_the_answer(engine: MachineEngine) -> None:
    engine.begin()
    key = engine.to_placing().key
    engine.send(s.DrainRequested())
    assert engine.phase() == "Placing"
    engine.send(s.MachineLaunched(key=key, vm_id="x", operation="op"))
    assert engine.phase() == "Draining"
    engine.see_none()
    assert engine.asked("DeleteMachine")
    assert engine.deleted().status.settled_micro_usd == 0


def test_a_record_that_somebody_deletes_takes_the_machine_down(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_served()
    engine.send(s.BurstSeen(burst=msgspec.structs.replace(burst, deleting=True)))
    assert engine.burst().status.reason == "RecordDeleted"


def test_a_lease_goes_on_as_a_pods_does(engine: MachineEngine) -> None:
    engine.begin(a_machine_policy(lease_ms=600_000))
    burst = engine.to_served()
    before = burst.status.lease_until_ms
    while engine.now < before:
        engine.wait(15_000)
        if engine.asked("ObserveVms"):
            engine.see(after_ms=0)
    assert engine.burst().status.lease_until_ms > before
    assert engine.phase() == "Serving"


def test_a_deletion_that_fails_is_asked_for_again(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_provisioning()
    engine.see(vtpm=False)
    engine.fail("DeleteMachine", "Conflict")
    engine.wait(2_000)
    assert engine.asked("DeleteMachine")


def test_a_pod_that_says_it_is_a_machines_is_nobodys(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_provisioning()
    engine.send(engine.pod_event("Running", burst.key, name=burst.spec.pod_name))
    assert engine.phase() == "Provisioning"
    engine.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=burst.key, pod_uid=burst.status.pod_uid))
    assert engine.phase() == "Provisioning"


def test_another_machine_of_its_name_is_not_its_own(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_served()
    engine.wait(60_000)
    other = the_vm(burst, created_at=engine.now, vm_id="id-of-another")
    engine.send(s.VmsObserved(key=burst.key, vms=(other,)))
    assert (engine.phase(), engine.burst().status.reason) == ("Lost", "MachineGone")


# --- told


def test_why_a_waiting_pod_has_no_burst_of_its_own(engine: MachineEngine) -> None:
    engine.begin()
    why = why_pod(engine.state, "bank/virt-launcher-settlement-1")
    assert why is not None
    assert (why.verdict, why.reasons[0].code) == ("Wait", "CountedForMachines")


def test_why_a_policy_starts_no_machine_names_what_stands_against_it(engine: MachineEngine) -> None:
    engine.begin(target=a_lending_target(machines={"zones": ("1",)}), offerings=(an_offering(2, zones=("1",)),))
    engine.to_placing()
    engine.fail("LaunchMachine", "Capacity", "ZonalAllocationFailed", matter="zonal-capacity")
    links = {(link.check, link.about): link for link in why_policy(engine.state, "bank/settlement")}
    offering = links["Offering", "a machine at azure"]
    assert (offering.holds, offering.reason.code) == (False, "CapacityRefused")


def test_what_people_read_of_a_machine_speaks_of_no_pod(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_served()
    conditions = {one["type"]: one["reason"] for one in burst_conditions(burst)}
    assert (conditions["Ready"], conditions["Placed"]) == ("MachineServing", "MachinePlaced")
    said = [one.message for one in engine.instructions if isinstance(one, EmitEvent)]
    assert said
    assert not [text for text in said if " pod" in text]


def test_a_right_that_is_lost_ends_nothing_that_was_proven_and_a_fact_that_changed_does(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_served()
    unread: dict[str, object] = {"subnet": "", "public_ip": None, "private_address": ""}
    assert engine.see(burst.key, after_ms=60_000, **unread).status.phase == "Serving"
    assert engine.state.targets["azure"].tripped is None
    assert engine.see(burst.key, after_ms=60_000, public_ip=True).status.reason == "VmMismatch"


def test_what_can_not_be_read_is_no_proof(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_provisioning()
    assert engine.see(burst.key, public_ip=None).status.reason == "VmMismatch"


def test_looks_that_others_ask_for_do_not_make_it_looked_at_ever_more_often(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_served()
    for _ in range(60):  # listings in which it is missing
        engine.send(s.CloudListed(target="azure", listed_at_ms=engine.now, vms=()), after_ms=10_000)
        if engine.asked("ObserveVms"):
            engine.see(burst.key, after_ms=1_500)
    looks = 0
    for _ in range(600):
        engine.wait(1_000)
        if engine.asked("ObserveVms"):
            looks += 1
            engine.see(burst.key, after_ms=100)
    assert 9 <= looks <= 12, "once a minute"
