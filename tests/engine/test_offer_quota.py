"""The quota's room: what was read, what is in flight on top, and what is told where there is none."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.engine.offers import quotas
from burster.engine.offers.offer_index import quota_keys
from burster.engine.offers.offerings import ranked
from burster.engine.offers.quotas import free
from burster.model import stimuli as s
from burster.model.offerings import Quota
from burster.model.policies import Placement
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, a_vm, an_offering


FAMILY = "standardDCEV6Family"


def row(limit: int, used: int = 0, family: str = FAMILY) -> Quota:
    return Quota(region="westeurope", family=family, used_vcpus=used, limit_vcpus=limit)


def an_engine(*rows: Quota, **target: Any) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target(**target)),
        s.QuotaSeen(target="azure", rows=rows),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    return engine


def launched(engine: Engine) -> int:
    return engine.state.targets["azure"].launched.get(("westeurope", "cores"), 0)


def reason(engine: Engine) -> Any:
    return ranked(engine.state, a_policy(), a_pod(), engine.state.targets["azure"]).reason


@pytest.mark.parametrize("name", ["cores", " Cores ", "STANDARDdcev6family\t", " standardDCEV6Family"])
def test_names_come_with_blanks_and_in_any_case(name: str) -> None:
    assert reason(an_engine(row(1, family=name))).code == "QuotaExhausted"


def test_a_quota_of_nothing_is_told_with_what_to_do() -> None:
    told = reason(an_engine(row(0)))
    assert told.sentence == (
        "The subscription's quota of standardDCEV6Family in westeurope is 0 vCPUs, so Standard_DC2es_v6 can't be had at azure: "
        "ask Azure for more."
    )
    assert (told.numbers["limit_vcpus"], told.numbers["needed_vcpus"]) == (0, 2)


def test_what_is_used_and_what_is_in_flight_are_told_apart() -> None:
    engine = an_engine(row(5, used=2))
    engine.send(s.PodSeen(pod=a_pod("task-1")))
    told = reason(engine)
    assert told.sentence == (
        "Standard_DC2es_v6 at azure needs 2 vCPUs, and of the 5 that the subscription may have of standardDCEV6Family in westeurope "
        "2 are used, 2 more are being launched."
    )
    engine.wait(900_001)
    assert "as of 15m" in reason(engine).sentence


def test_a_vm_that_nobody_has_seen_stays_counted_however_often_the_rows_are_read() -> None:
    engine = an_engine(row(100))
    engine.send(s.PodSeen(pod=a_pod()))
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="b"), s.PodPlaced(key=key, pod_uid="p"))
    for _ in range(4):
        engine.send(s.QuotaSeen(target="azure", rows=(row(100),)), after_ms=61_000)
        assert launched(engine) == 2


def test_a_vm_that_was_seen_is_counted_until_rows_are_read_that_must_hold_it() -> None:
    engine = an_engine(row(100))
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.burst()
    engine.send(s.BurstRecorded(key=burst.key, uid="b"), s.PodPlaced(key=burst.key, pod_uid="p"))
    made = a_vm(burst, created_at=engine.now, provisioning_state="Creating")
    engine.send(s.VmsObserved(key=burst.key, vms=(made,)), after_ms=1_000)
    engine.send(s.QuotaSeen(target="azure", rows=(row(100),)), after_ms=58_999)
    assert launched(engine) == 2
    engine.send(s.QuotaSeen(target="azure", rows=(row(100, used=2),)), after_ms=1)
    assert launched(engine) == 0


def test_what_a_predecessor_launched_is_counted_before_anything_new_is_decided() -> None:
    before = an_engine(row(100))
    before.send(s.PodSeen(pod=a_pod()))
    burst = msgspec.structs.replace(before.burst(), uid="b")
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.QuotaSeen(target="azure", rows=(row(3),)),
        s.BurstSeen(burst=burst),
        s.PodSeen(pod=a_pod("task-2")),
    )
    assert engine.codes("bank/task-2") == ["QuotaExhausted"]


# --- rows that can't be read


def unread(engine: Engine) -> None:
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetUnread(target="azure", fact="quota", kind="Unauthorized", message="403: no."),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PodSeen(pod=a_pod()),
    )


def test_nothing_launches_before_the_rows_were_read_once() -> None:
    engine = Engine()
    engine.send(s.TargetSeen(target=a_target()))
    unread(engine)
    assert engine.codes("bank/task-1") == ["QuotaUnknown"]
    assert engine.decisions[-1].verdict == "Wait"
    engine.send(s.QuotaSeen(target="azure", rows=()))
    assert engine.asked("RecordBurst")


def test_a_target_may_say_that_it_does_not_matter() -> None:
    engine = Engine()
    engine.send(s.TargetSeen(target=a_target(when_quota_unknown="Allow")))
    unread(engine)
    assert engine.asked("RecordBurst")


def test_the_last_rows_count_on_when_they_can_be_read_no_more() -> None:
    engine = an_engine(row(3))
    engine.send(s.TargetUnread(target="azure", fact="quota", message="503"), s.PodSeen(pod=a_pod()))
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    assert engine.codes("bank/task-2") == ["QuotaExhausted"]


# --- spot


def test_spot_has_one_row_for_all_families() -> None:
    assert quota_keys(" WestEurope", "F", spot=True) == (("westeurope", "lowprioritycores"),)
    engine = an_engine(row(0), row(0, family="cores"), row(2, family="lowPriorityCores"))
    target = engine.state.targets["azure"]
    spot = an_offering(2, spot=True)
    target.offerings = (an_offering(2), spot)
    policy = a_policy(placement=Placement(targets=("azure",), strategy="Machine", spot="Prefer"))
    choice = ranked(engine.state, policy, a_pod(), target)
    assert choice.offering is spot
    assert free(target, spot) == (2, 2, 0)
    target.launched = {("westeurope", "lowprioritycores"): 1}
    assert ranked(engine.state, policy, a_pod(), target).reason.code == "QuotaExhausted"
    assert free(target, spot) == (1, 1, 1)


@pytest.mark.parametrize(
    ("spot", "machine", "offered_as_spot", "want"),
    [
        ("Never", True, True, "SpotNotAllowed"),
        ("Prefer", True, True, "Standard_DC2es_v6"),
        ("Only", True, True, "Standard_DC2es_v6"),
        ("Only", True, False, "SpotNotOffered"),
        ("Never", True, False, "Standard_DC2es_v6"),
        ("Prefer", False, True, "SpotNotPossible"),
        ("Only", False, False, "SpotNotPossible"),
    ],
)
def test_only_a_machine_can_be_spot(spot: Any, machine: bool, offered_as_spot: bool, want: str) -> None:
    engine = an_engine()
    target = engine.state.targets["azure"]
    target.offerings = (an_offering(2, spot=offered_as_spot),)
    placement = Placement(targets=("azure",), strategy="Machine" if machine else "Auto", spot=spot)
    choice = ranked(engine.state, a_policy(placement=placement), a_pod(), target)
    assert (choice.offering.size if choice.offering is not None else choice.reason.code) == want


# --- prices that are too old


def aged(usable_ms: int | None, **target: Any) -> Engine:
    engine = an_engine(**target)
    seen = s.OfferingsSeen(
        target="azure", offerings=(an_offering(2),), prices_as_of="2026-06-18", prices_usable_ms=usable_ms
    )
    engine.send(seen)
    return engine


@pytest.mark.parametrize(
    ("usable_ms", "want"), [(None, "Cheapest"), (1, "Cheapest"), (0, "PricesTooOld"), (-5, "PricesTooOld")]
)
def test_nothing_is_launched_by_prices_that_are_too_old(usable_ms: int | None, want: str) -> None:
    assert reason(aged(usable_ms)).code == want


def test_they_grow_too_old_while_nobody_reads_them_and_count_again_when_they_are_read() -> None:
    engine = aged(60_000)
    engine.wait(60_000)
    engine.send(s.PodSeen(pod=a_pod()))
    assert engine.codes("bank/task-1") == ["PricesTooOld"]
    engine.send(s.OfferingsSeen(target="azure", offerings=(an_offering(2),), prices_usable_ms=1))
    assert engine.asked("RecordBurst")


@pytest.mark.parametrize(("later_ms", "want"), [(59_999, "Cheapest"), (60_000, "PricesTooOld")])
def test_they_age_while_their_target_is_away(later_ms: int, want: str) -> None:
    engine = aged(60_000)
    engine.send(s.TargetGone(name="azure"), after_ms=10_000)
    engine.send(s.TargetSeen(target=a_target()), after_ms=later_ms - 10_000)
    assert reason(engine).code == want


def test_they_age_from_when_they_were_heard_of_before_their_target() -> None:
    engine = Engine()
    seen = s.OfferingsSeen(target="azure", offerings=(an_offering(2),), prices_usable_ms=60_000)
    engine.sync(s.PolicySeen(policy=a_policy()), seen)
    engine.send(s.TargetSeen(target=a_target()), after_ms=60_000)
    assert reason(engine).code == "PricesTooOld"


def test_a_negotiated_price_has_no_age() -> None:
    engine = aged(0, negotiated_micro_usd_per_hour={"Standard_DC2es_v6": 7})
    assert reason(engine).code == "Cheapest"


def test_a_declared_size_has_its_price_from_the_target() -> None:
    engine = aged(0, provider="edge", catalogue=(an_offering(2, provider="edge"),), sizes=())
    assert reason(engine).code == "Cheapest"


# --- whatever happens, what is in flight is counted, and nothing twice for ever


@given(st.lists(st.sampled_from(["launch", "place", "fail", "see", "serve", "read"]), max_size=40), st.integers(2, 12))
def test_in_flight_is_exactly_what_no_row_can_hold(moves: list[str], limit: int) -> None:
    engine = an_engine(row(2 * limit))
    number, real = 0, 0
    for move in moves:
        keys = {entry.burst.status.phase: key for key, entry in engine.state.bursts.items()}
        if move == "launch":
            number += 1
            engine.send(s.PodSeen(pod=a_pod(f"task-{number}")), after_ms=1_000)
        elif move == "place" and "Reserved" in keys:
            key = keys["Reserved"]
            engine.send(s.BurstRecorded(key=key, uid=f"u{key}"), s.PodPlaced(key=key, pod_uid=f"p{key}"))
        elif move == "fail" and "Reserved" in keys:
            key = keys["Reserved"]
            engine.send(
                s.InstructionFailed(instruction="RecordBurst", key="k", subject=key, kind="Invalid", message="no")
            )
        elif move == "see" and "Provisioning" in keys:
            burst = engine.burst(keys["Provisioning"])
            vm = a_vm(burst, created_at=engine.now, provisioning_state="Creating")
            engine.send(s.VmsObserved(key=burst.key, vms=(vm,)), after_ms=1_000)
        elif move == "read":
            engine.wait(120_000)
            real = sum(2 for one in engine.state.bursts.values() if one.vms)
            engine.send(s.QuotaSeen(target="azure", rows=(row(2 * limit, used=real),)))
        target = engine.state.targets["azure"]
        flying = [one for one in engine.state.bursts.values() if one.launch_counted]
        assert target.launched.get(("westeurope", "cores"), 0) == 2 * len(flying)
        out = sum(2 for one in engine.state.bursts.values() if one.burst.status.phase not in {"Released", "Failed"})
        assert out <= 2 * limit, "never more than the quota, however late the rows are"
    assert engine.now >= T0
    assert quotas.free(engine.state.targets["azure"], an_offering(2))[0] is not None
