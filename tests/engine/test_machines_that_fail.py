"""A machine that can't be had, or is taken away: what is tried next, what is left alone, and that no money stays behind."""

import msgspec
import pytest

from burster.engine.accounting.costs import real_cost_micro_usd
from burster.model import stimuli as s
from tests.support.builders import T0, an_offering
from tests.support.machine_life import MachineEngine, a_failure, a_lending_target, a_machine_policy, the_vm


ZONAL = (an_offering(2, zones=("1", "2")), an_offering(4, zones=("1", "2")))
SPOT = (
    an_offering(2),
    an_offering(2, spot=True, price_micro_usd_per_hour=20_000),
    an_offering(4, spot=True, price_micro_usd_per_hour=40_000),
)


@pytest.fixture
def engine() -> MachineEngine:
    return MachineEngine()


def outstanding(engine: MachineEngine) -> int:
    return engine.state.targets["azure"].account.outstanding_micro_usd


def latest(engine: MachineEngine):
    return max((entry.burst for entry in engine.state.bursts.values()), key=lambda one: one.spec.decided_at_ms)


def go_on(engine: MachineEngine, ms: int = 60_000) -> None:
    for _ in range(ms // 15_000):
        engine.wait(15_000)


# --- refused at once


def test_a_refusal_for_want_of_room_is_followed_by_the_next_size_and_gives_the_money_back(
    engine: MachineEngine,
) -> None:
    first = engine.begin(offerings=(an_offering(2, family="a"), an_offering(4, family="b")))
    engine.to_placing()
    burst = engine.fail("LaunchMachine", "Capacity", "AllocationFailed", matter="capacity")
    assert (burst.status.phase, burst.status.reason, burst.status.settled_micro_usd) == (
        "Released",
        "AllocationFailed",
        0,
    )
    go_on(engine)
    second = latest(engine)
    assert second.key != first.key
    assert (first.spec.size, second.spec.size) == ("Standard_DC2es_v6", "Standard_DC4es_v6")
    assert outstanding(engine) == second.spec.reserved_micro_usd


def test_a_full_zone_is_followed_by_the_next_zone(engine: MachineEngine) -> None:
    first = engine.begin(target=a_lending_target(machines={"zones": ("1", "2")}), offerings=ZONAL)
    assert first.spec.zone == "1"
    engine.to_placing()
    engine.fail("LaunchMachine", "Capacity", "ZonalAllocationFailed", matter="zonal-capacity")
    go_on(engine)
    second = latest(engine)
    assert (second.spec.size, second.spec.zone) == (first.spec.size, "2")


def test_when_every_zone_is_full_the_next_size_is_taken(engine: MachineEngine) -> None:
    offerings = (an_offering(2, zones=("1",), family="a"), an_offering(4, zones=("1", "2"), family="b"))
    engine.begin(target=a_lending_target(machines={"zones": ("1",)}), offerings=offerings)
    engine.to_placing()
    engine.fail("LaunchMachine", "Capacity", "ZonalAllocationFailed", matter="zonal-capacity")
    go_on(engine)
    assert latest(engine).spec.size == "Standard_DC4es_v6"


def test_what_will_never_work_is_not_tried_at_once_again(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_placing()
    engine.fail("LaunchMachine", "Invalid", "InvalidParameter", matter="configuration")
    assert engine.phase() == "Released"
    go_on(engine)
    assert len(engine.state.bursts) == 1
    assert engine.codes("bank/settlement")[-1] == "BackingOff"
    go_on(engine, 300_000)
    assert len(engine.state.bursts) == 2


def test_a_name_that_is_somebody_elses_is_left_alone(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_placing()
    burst = engine.fail("LaunchMachine", "AlreadyExists", "NameTaken", matter="exists")
    assert (burst.status.phase, burst.status.reason) == ("Released", "NameTaken")
    assert not engine.asked("DeleteMachine")


def test_a_throttled_launch_is_asked_for_again_when_the_cloud_says(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_placing()
    engine.fail("LaunchMachine", "Throttled", "TooManyRequests", matter="throttled", retry_after_ms=30_000)
    engine.wait(29_000)
    assert not engine.asked("LaunchMachine")
    engine.wait(1_000)
    assert engine.asked("LaunchMachine")


def test_an_outcome_that_nobody_knows_is_asked_for_again_and_what_it_may_have_made_is_deleted_in_the_end(
    engine: MachineEngine,
) -> None:
    engine.begin()
    engine.to_placing()
    while engine.fail("LaunchMachine", "Timeout", after_ms=30_000).status.phase == "Placing":
        engine.wait(60_000)
        assert engine.asked("LaunchMachine")
    assert engine.burst().status.reason == "NotPlacedInTime"
    if engine.asked("ObserveVms"):
        engine.see_none()
    assert engine.asked("DeleteMachine")
    assert engine.deleted().status.phase == "Released"
    assert engine.burst().status.settled_micro_usd == 0


def test_a_launch_that_nobody_wants_any_more_is_not_asked_for_again(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_placing()
    engine.send(s.DrainRequested())
    engine.fail("LaunchMachine", "Throttled", matter="throttled")
    assert engine.phase() == "Released"


# --- refused by the operation's end


@pytest.mark.parametrize(
    ("failure", "next_size"),
    [
        (a_failure("Capacity", "AllocationFailed", "capacity"), "Standard_DC4es_v6"),
        (a_failure("Capacity", "SkuNotAvailable", "sku-restricted"), "Standard_DC4es_v6"),
        (a_failure("Quota", "QuotaExceeded", "family-quota", limit_vcpus=100), "Standard_DC4es_v6"),
    ],
)
def test_a_late_failure_deletes_what_it_has_left_and_tries_the_next(engine: MachineEngine, failure, next_size) -> None:
    first = engine.begin(offerings=(an_offering(2, family="a"), an_offering(4, family="b")))
    engine.to_provisioning()
    engine.wait(10_000)
    engine.send(s.VmsObserved(key=first.key, vms=(), failure=failure))
    burst = engine.burst(first.key)
    assert (burst.status.phase, burst.status.reason) == ("Failed", failure.code)
    assert engine.asked("DeleteMachine"), "a Failed machine has left its interface and its disk"
    engine.deleted(first.key)
    assert engine.burst(first.key).status.settled_micro_usd == 0
    go_on(engine)
    assert latest(engine).spec.size == next_size


def test_a_guest_that_never_comes_up_counts_against_the_policys_machines(engine: MachineEngine) -> None:
    first = engine.begin()
    engine.to_provisioning()
    failure = a_failure("Unavailable", "OSProvisioningTimedOut", "guest")
    engine.send(s.VmsObserved(key=first.key, vms=(), failure=failure))
    assert engine.burst(first.key).status.reason == "OSProvisioningTimedOut"
    assert engine.state.failing["bank/BurstPolicy/settlement"].failures == 1
    engine.deleted(first.key)
    go_on(engine)
    assert len(engine.state.bursts) == 1, "it rests"


def test_a_failed_machine_whose_reason_nobody_knows_fails_all_the_same(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_provisioning()
    burst = engine.see(provisioning_state="Failed", failure_code="InternalExecutionError", failure_message="sorry")
    assert (burst.status.phase, burst.status.reason) == ("Failed", "InternalExecutionError")


def test_what_the_cloud_never_shows_is_given_up_by_the_launch_deadline(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_provisioning()
    for _ in range(40):
        if engine.phase() != "Provisioning":
            break
        engine.see_none(after_ms=10_000)
    assert engine.burst().status.reason == "MachineGone"
    assert "was not there" in engine.burst().status.message


# --- taken away


def test_spot_is_taken_where_the_policy_prefers_it_and_its_record_says_so(engine: MachineEngine) -> None:
    placement = a_machine_policy().placement
    policy = a_machine_policy(placement=msgspec.structs.replace(placement, spot="Prefer"))
    burst = engine.begin(policy, offerings=SPOT)
    assert burst.spec.spot
    assert burst.spec.price_micro_usd_per_hour == 20_000


@pytest.mark.parametrize(
    ("spot", "next_is"),
    [("Prefer", ("Standard_DC2es_v6", False)), ("Only", None)],
)
@pytest.mark.parametrize("how", [{"power_state": "deallocated"}, None])
def test_an_evicted_machine_ends_at_once_and_spot_is_left_alone_for_an_hour(
    engine: MachineEngine, spot: str, next_is, how
) -> None:
    placement = msgspec.structs.replace(a_machine_policy().placement, spot=spot)
    engine.begin(a_machine_policy(placement=placement), offerings=SPOT)
    first = engine.to_served()
    engine.wait(15_000)
    assert engine.asked("ObserveVms"), "a spot machine is looked at more often"
    burst = engine.see(first.key, **how) if how else engine.see_none(first.key)
    assert (burst.status.phase, burst.status.reason) == ("Draining", "SpotEvicted")
    assert not engine.asked("PublishEndpoint")[0].ready
    engine.publish(ready=False, key=first.key)
    assert engine.asked("DeleteMachine")
    engine.deleted(first.key)
    go_on(engine, 300_000)
    others = [one.burst for key, one in engine.state.bursts.items() if key != first.key]
    assert len(others) <= 1, "no thrash"
    if next_is is None:
        assert not others, "every spot size of the family is left alone"
    else:
        assert [(one.spec.size, one.spec.spot) for one in others] == [next_is]


@pytest.mark.parametrize(
    ("how", "reason"), [({"power_state": "deallocated"}, "SpotEvicted"), ({"vtpm": False}, "VmMismatch")]
)
def test_it_is_looked_at_also_while_its_port_does_not_answer(
    engine: MachineEngine, how: dict[str, object], reason: str
) -> None:
    placement = msgspec.structs.replace(a_machine_policy().placement, spot="Prefer")
    engine.begin(a_machine_policy(placement=placement), offerings=SPOT)
    burst = engine.to_attesting()
    for _ in range(20):
        if engine.asked("ObserveVms"):
            engine.see(burst.key, after_ms=100, **how)
            break
        if engine.asked("PublishEndpoint"):
            engine.fail("PublishEndpoint", "Unavailable", burst=burst.key)
        engine.wait(5_000)
    status = engine.burst(burst.key).status
    assert (status.phase, status.reason) == ("Failed", reason)


def test_its_port_is_asked_no_more_often_for_all_the_looks(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_attesting()
    asked = 0
    for _ in range(600):
        engine.wait(1_000)
        if engine.asked("PublishEndpoint"):
            asked += 1
            engine.fail("PublishEndpoint", "Unavailable", burst=burst.key, after_ms=10)
        elif engine.asked("ObserveVms"):
            engine.see(burst.key, after_ms=10)
    assert engine.phase(burst.key) == "Attesting"
    assert asked <= 16, "after 1, 2, 4, 8, 16, 32 and then each 60 seconds"


def test_a_machine_that_stops_by_itself_ends_and_is_not_bought_again_at_once(engine: MachineEngine) -> None:
    engine.begin()
    first = engine.to_served()
    engine.wait(60_000)
    burst = engine.see(power_state="stopped")
    assert (burst.status.phase, burst.status.reason) == ("Draining", "MachineStopped")
    engine.publish(ready=False)
    assert engine.asked("DeleteMachine")
    assert engine.deleted(first.key).status.phase == "Released"
    go_on(engine)
    assert len(engine.state.bursts) == 1
    go_on(engine, 300_000)
    assert len(engine.state.bursts) == 2


def test_a_machine_that_somebody_deletes_is_lost_and_what_it_left_is_deleted(engine: MachineEngine) -> None:
    engine.begin()
    first = engine.to_served()
    engine.wait(60_000)
    burst = engine.see_none()
    assert (burst.status.phase, burst.status.reason) == ("Lost", "MachineGone")
    engine.publish(ready=False)
    assert engine.asked("DeleteMachine"), "its interface and its disk may be left"
    assert engine.deleted(first.key).status.phase == "Released"


def test_a_cloud_that_does_not_answer_ends_no_machine(engine: MachineEngine) -> None:
    engine.begin()
    engine.to_served()
    for _ in range(20):
        engine.wait(60_000)
        if engine.asked("ObserveVms"):
            engine.fail("ObserveVms", "Unreachable")
    assert engine.phase() == "Serving"


# --- what can't be deleted


def to_deleting(engine: MachineEngine, *, seen: bool) -> str:
    """End a machine before it serves, and have its deletion asked for; return its key."""
    engine.begin()
    key = engine.to_provisioning().key
    engine.send(s.DrainRequested())
    if seen:
        engine.see(key)
    else:
        engine.fail("ObserveVms", "Unreachable", burst=key)
    assert engine.asked("DeleteMachine")
    return key


@pytest.mark.parametrize("seen", [True, False])
def test_what_can_not_be_deleted_takes_the_money_it_costs_from_what_others_could_have(
    engine: MachineEngine, *, seen: bool
) -> None:
    key = to_deleting(engine, seen=seen)
    for _ in range(6 * 60):
        engine.fail("DeleteMachine", "Unauthorized", burst=key, after_ms=1_000)
        engine.wait(59_000)
    entry = engine.state.bursts[key]
    cost = real_cost_micro_usd(engine.state, entry)
    assert cost > entry.burst.spec.reserved_micro_usd
    assert cost <= entry.held_micro_usd == entry.burst.status.reserved_micro_usd == outstanding(engine)
    assert engine.deleted(key).status.phase == "Released"
    assert outstanding(engine) == 0


def test_what_can_not_be_deleted_is_told_of_once(engine: MachineEngine) -> None:
    key = to_deleting(engine, seen=True)
    for _ in range(10):
        engine.fail("DeleteMachine", "Conflict", code="ScopeLocked", burst=key)
        engine.wait(60_000)
    told = [one for one in engine.decisions if one.reasons[0].code == "DeletionFails"]
    assert [(one.verdict, one.burst) for one in told] == [("Warn", key)]
    assert "so it said" in told[0].reasons[0].sentence


def test_a_dry_run_warns_of_no_deletion(engine: MachineEngine) -> None:
    key = to_deleting(engine, seen=True)
    for _ in range(10):
        engine.fail("DeleteMachine", "Unavailable", code="DryRun", burst=key)
        engine.wait(60_000)
    assert "DeletionFails" not in engine.codes()


# --- money of what never ran


@pytest.mark.parametrize("restarted", [False, True])
def test_what_the_cloud_found_no_room_for_in_the_end_costs_nothing(engine: MachineEngine, restarted: bool) -> None:
    engine.begin()
    burst = engine.to_provisioning()
    engine.see(provisioning_state="Creating", after_ms=10_000)
    failure = a_failure("Capacity", "ZonalAllocationFailed", "zonal-capacity")
    shell = the_vm(burst, created_at=burst.status.placed_at_ms or 0, provisioning_state="Failed")
    engine.send(s.VmsObserved(key=burst.key, vms=(shell,), failure=failure), after_ms=300_000)
    assert engine.burst(burst.key).status.vms == ()
    if restarted:
        record = engine.burst(burst.key)
        engine = MachineEngine()
        engine.now = T0 + 900_000
        engine.sync(
            s.PolicySeen(policy=a_machine_policy(paused=True)),
            s.TargetSeen(target=a_lending_target()),
            s.BurstSeen(burst=record),
        )
        engine.send(s.VmsObserved(key=burst.key, vms=(shell,)), after_ms=1_000)
    assert engine.asked("DeleteMachine")
    assert engine.deleted(burst.key, after_ms=120_000).status.settled_micro_usd == 0


def test_a_guest_that_never_came_up_has_cost_what_it_ran(engine: MachineEngine) -> None:
    engine.begin()
    burst = engine.to_provisioning()
    shell = the_vm(burst, created_at=engine.now, provisioning_state="Failed")
    failure = a_failure("Unavailable", "OSProvisioningTimedOut", "guest")
    engine.send(s.VmsObserved(key=burst.key, vms=(shell,), failure=failure), after_ms=1_200_000)
    assert engine.deleted(burst.key).status.settled_micro_usd == 120_000 * 1_230_000 // 3_600_000
