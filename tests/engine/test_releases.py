"""Which clones come home for want of demand, when, in which order, how many at once, and what is said of it."""

from typing import Any

import msgspec
import pytest

from burster.engine import next_due_ms
from burster.engine.bursts import ending
from burster.engine.releasing import releases
from burster.engine.releasing.release_candidates import minus
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.decisions import Decision, Reason
from burster.model.limits import Limits
from burster.model.pods import Resources
from burster.model.policies import Placement, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.triggers import PendingPodsTrigger, PrometheusTrigger
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


MINUTE = 60_000


def an_engine(*, cooldown_ms: int = 300_000, **placement: Any) -> Engine:
    engine = Engine()
    rules = Placement(**({"targets": ("azure",), "strategy": "Clone", "disruption_percent": 100} | placement))
    engine.sync(
        s.PolicySeen(policy=a_policy(placement=rules, scaling=Scaling(cooldown_ms=cooldown_ms))),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
    )
    return engine


def serve(engine: Engine, name: str, *, cpu: int = 1_000, deployment: str = "web") -> str:
    """A pod comes and its clone serves; return the clone's key."""
    engine.send(s.PodSeen(pod=a_service_pod(name, deployment, cpu=cpu)))
    key = engine.state.pods[f"bank/{name}"].burst
    engine.to_serving(key)
    return key


def leave(name: str) -> s.PodLeft:
    return s.PodLeft(namespace="bank", name=name, uid=f"uid-{name}", why="Bound")


def gone(burst: Burst) -> s.CloudPodGone:
    return s.CloudPodGone(burst_uid=burst.uid, burst_key=burst.key, pod_uid=burst.status.pod_uid)


def go_on(engine: Engine, until_ms: int) -> dict[str, int]:
    """Let time pass as the runtime does, to whatever is due next; return when each burst began to drain, from now on."""
    began, start = {}, engine.now
    while engine.now < start + until_ms:
        due = next_due_ms(engine.state)
        engine.now = min(max(engine.now, due if due is not None else start + until_ms), start + until_ms)
        before = {key for key, entry in engine.state.bursts.items() if entry.burst.status.phase == "Draining"}
        engine.send()
        for key, entry in engine.state.bursts.items():
            if entry.burst.status.phase == "Draining" and key not in before:
                began[key] = engine.now - start
    return began


def released(engine: Engine, key: str) -> Decision:
    found = [one for one in engine.decisions if one.verdict == "Release" and one.burst == key]
    assert len(found) == 1
    return found[0]


def draining(engine: Engine) -> list[str]:
    return [key for key, entry in engine.state.bursts.items() if entry.burst.status.phase == "Draining"]


# -- when


@pytest.mark.parametrize(
    ("rules", "goes_ms"),
    [
        pytest.param({"cooldown_ms": 300_000}, 300_000, id="the cool-down"),
        pytest.param({"cooldown_ms": 300_000, "idle_ms": 299_999}, 300_000, id="idle for less than the cool-down"),
        pytest.param({"cooldown_ms": 300_000, "idle_ms": 300_001}, 300_001, id="idle for longer"),
        pytest.param({"cooldown_ms": 0}, 0, id="at once, where the policy says so"),
        pytest.param({"cooldown_ms": 2_000}, 2_000, id="less than the re-check"),
        pytest.param({"cooldown_ms": 15_000}, 15_000, id="as long as the re-check"),
        pytest.param({"cooldown_ms": 0, "min_life_ms": 600_000}, 540_000, id="it has served for a minute"),
        pytest.param({"cooldown_ms": 550_000, "min_life_ms": 600_000}, 550_000, id="it has lived by then"),
        # decided 60.02 s before it served
        pytest.param(
            {"cooldown_ms": 0, "idle_ms": 400_000}, 400_000, id="idle since demand ended, not since the launch"
        ),
    ],
)
def test_a_spare_clone_goes_when_all_its_times_have_passed(rules: dict[str, int], goes_ms: int) -> None:
    engine = an_engine(**rules)
    key = serve(engine, "web-1")
    engine.send(leave("web-1"), after_ms=MINUTE)
    if goes_ms:
        assert engine.phase(key) == "Serving"
        assert go_on(engine, goes_ms - 1) == {}
        assert go_on(engine, 1) == {key: 1}
    assert engine.phase(key) == "Draining"


def test_the_latest_launch_of_the_policy_keeps_the_spares_of_all_its_workloads() -> None:
    engine = an_engine(cooldown_ms=0, idle_ms=10 * MINUTE)
    key = serve(engine, "web-1")
    engine.send(leave("web-1"))
    engine.send(s.PodSeen(pod=a_service_pod("other-1", "other")), after_ms=9 * MINUTE)
    assert go_on(engine, 10 * MINUTE - 1) == {}
    assert set(go_on(engine, 1)) == {key}


def test_a_launch_after_it_was_chosen_gives_a_spare_its_time_again() -> None:
    engine = an_engine(cooldown_ms=0, idle_ms=10 * MINUTE)
    key = serve(engine, "web-1")
    engine.send(leave("web-1"))
    go_on(engine, 10 * MINUTE - 5_000)
    assert engine.state.bursts[key].going_at_ms == engine.now + 5_000
    engine.send(s.PodSeen(pod=a_service_pod("other-1", "other")))
    assert go_on(engine, 10 * MINUTE - 15_001) == {}
    assert engine.state.bursts[key].going_at_ms is None
    assert go_on(engine, 15_000) == {}
    assert set(go_on(engine, 1)) == {key}


def test_demand_that_comes_back_within_the_last_look_keeps_the_spare() -> None:
    engine = an_engine()
    key = serve(engine, "web-1")
    engine.send(leave("web-1"))
    go_on(engine, 285_000 - 1)
    assert engine.state.bursts[key].going_at_ms is None
    go_on(engine, 1)
    assert engine.state.bursts[key].going_at_ms == engine.now + 15_000
    go_on(engine, 14_999)
    engine.send(s.PodSeen(pod=a_service_pod("web-2", "web")))
    assert engine.state.bursts[key].covers == "bank/web-2"
    assert go_on(engine, 10 * MINUTE) == {}
    engine.send(leave("web-2"))
    assert go_on(engine, 299_999) == {}, "its time begins anew"
    assert set(go_on(engine, 1)) == {key}


def test_money_and_people_do_not_wait_for_any_of_this() -> None:
    engine = an_engine(cooldown_ms=10**9, min_life_ms=10**9, idle_ms=10**9, disruption_percent=1)
    keys = {serve(engine, f"web-{number}") for number in range(3)}
    engine.send(s.DrainRequested())
    assert set(draining(engine)) == keys


# -- in which order


def three(engine: Engine) -> tuple[str, str, str]:
    """Three spares: the oldest is cheap, the middle one dear, the youngest cheap."""
    keys = (
        serve(engine, "a-1", deployment="a"),
        serve(engine, "b-1", cpu=3_000, deployment="b"),
        serve(engine, "c-1", deployment="c"),
    )
    engine.send(leave("a-1"), leave("b-1"), leave("c-1"))
    return keys


@pytest.mark.parametrize(
    ("order", "want", "word"),
    [
        ("DearestFirst", (1, 2, 0), "dearest"),
        ("YoungestFirst", (2, 1, 0), "youngest"),
        ("OldestFirst", (0, 1, 2), "oldest"),
    ],
)
def test_one_after_the_other_in_the_policys_order(order: str, want: tuple[int, ...], word: str) -> None:
    engine = an_engine(release_order=order, disruption_percent=1)
    keys = three(engine)
    sequence: list[str] = []
    for _ in range(3):
        began = go_on(engine, 300_000)
        assert len(began) == 1
        sequence += began
        engine.send(gone(engine.burst(sequence[-1])))
    assert sequence == [keys[number] for number in want]
    reasons = [released(engine, key).reasons[1] for key in sequence]
    assert [one.code for one in reasons] == ["ReleaseOrder"] * 3
    assert reasons[0].sentence == (
        f"It is the {word} of 3 that nothing asks for; 1 of 3 serving are on their way, 1 may be at once."
    )
    assert [one.numbers["kept_for_the_limit"] for one in reasons] == [2, 1, 0]


@pytest.mark.parametrize("order", ["DearestFirst", "YoungestFirst", "OldestFirst"])
def test_equals_go_by_name(order: str) -> None:
    engine = an_engine(release_order=order, disruption_percent=1)
    engine.send(*(s.PodSeen(pod=a_service_pod(f"{name}-1", name)) for name in "abc"))
    keys = [engine.state.pods[f"bank/{name}-1"].burst for name in "abc"]
    for entry in engine.state.bursts.values():
        burst = entry.burst
        engine.send(
            s.BurstRecorded(key=burst.key, uid=f"u-{burst.name}"), s.PodPlaced(key=burst.key, pod_uid=f"p-{burst.name}")
        )
        engine.send(engine.pod_event("Running", burst.key))
    from tests.support.builders import a_vm

    engine.send(*(s.VmsObserved(key=key, vms=(a_vm(engine.burst(key), created_at=T0),)) for key in reversed(keys)))
    engine.send(*(leave(f"{name}-1") for name in "cab"))
    assert list(go_on(engine, 300_000)) == [min(keys)]


def test_the_spare_answers_for_a_dearer_sibling_which_goes_in_its_place() -> None:
    engine = an_engine()
    dear = serve(engine, "web-1", cpu=3_000)
    cheap = serve(engine, "web-2")
    engine.send(leave("web-2"))
    assert list(go_on(engine, 300_000)) == [dear]
    assert engine.state.bursts[cheap].covers == "bank/web-1"
    assert engine.state.pods["bank/web-1"].burst == cheap
    assert engine.state.spares == set()
    assert released(engine, dear).reasons[0].numbers["spare_ms"] == 300_000


def test_no_sibling_goes_that_is_no_dearer_or_has_not_lived() -> None:
    engine = an_engine(min_life_ms=400_000)
    spare = serve(engine, "web-2")
    engine.wait(200_000)
    dear = serve(engine, "web-1", cpu=3_000)
    alike = serve(engine, "web-3")
    engine.send(leave("web-2"))
    assert list(go_on(engine, 300_000)) == [spare], (
        "it has served for 260 s when the demand ends, the dear one not at all"
    )
    assert {engine.phase(dear), engine.phase(alike)} == {"Serving"}


def test_another_workloads_clone_is_no_sibling() -> None:
    engine = an_engine()
    dear = serve(engine, "other-1", cpu=3_000, deployment="other")
    spare = serve(engine, "web-1")
    engine.send(leave("web-1"))
    assert list(go_on(engine, 300_000)) == [spare]
    assert engine.phase(dear) == "Serving"


# -- how many at once


@pytest.mark.parametrize(
    ("count", "percent", "at_once"),
    [(1, 1, 1), (10, 10, 1), (11, 10, 2), (20, 10, 2), (21, 10, 3), (5, 100, 5), (3, 0, 1)],
)
def test_never_more_than_the_percentage_rounded_up_and_one_at_least(count: int, percent: int, at_once: int) -> None:
    engine = an_engine(disruption_percent=percent)
    for number in range(count):
        serve(engine, f"web-{number:02}")
    engine.send(*(leave(f"web-{number:02}") for number in range(count)))
    assert len(go_on(engine, 300_000)) == at_once
    numbers = [one.reasons[1].numbers for one in engine.decisions if one.verdict == "Release"]
    assert [one["coming_home"] for one in numbers] == list(range(1, at_once + 1))
    assert [one["kept_for_the_limit"] for one in numbers] == [count - one for one in range(1, at_once + 1)]
    assert {one["allowed_at_once"] for one in numbers} == {at_once}


def test_the_next_one_is_looked_at_for_15_seconds_when_a_place_is_free() -> None:
    engine = an_engine(disruption_percent=1)
    first, second = serve(engine, "web-1"), serve(engine, "web-2")
    engine.send(leave("web-1"), leave("web-2"))
    (goes,) = go_on(engine, 300_000)
    (waits,) = {first, second} - {goes}
    assert go_on(engine, 100_000) == {}
    engine.send(gone(engine.burst(goes)))
    assert go_on(engine, 14_999) == {}
    assert go_on(engine, 1) == {waits: 1}


def test_a_place_is_free_once_the_pod_is_gone_or_has_hung_for_too_long() -> None:
    engine = an_engine(disruption_percent=1, drain_ms=100_000)
    first, second = serve(engine, "web-1"), serve(engine, "web-2")
    engine.send(leave("web-1"), leave("web-2"))
    (goes,) = go_on(engine, 300_000)
    (waits,) = {first, second} - {goes}
    assert go_on(engine, 160_000 + 14_999) == {}
    assert go_on(engine, 1) == {waits: 1}, "drain time and a minute, then the last look"


def test_a_place_taken_survives_a_restart() -> None:
    engine = an_engine(disruption_percent=1)
    serve(engine, "web-1")
    serve(engine, "web-2")
    engine.send(leave("web-1"), leave("web-2"))
    (goes,) = go_on(engine, 300_000)
    policy = engine.state.policies["bank/tasks"].policy
    records = [entry.burst for entry in engine.state.bursts.values()]
    successor = Engine()
    successor.now = engine.now
    pods = [
        s.CloudPodSeen(
            burst_uid=one.uid,
            burst_key=one.key,
            pod_uid=one.status.pod_uid,
            phase="Running",
            size=one.spec.size,
            runtime_class="kata-remote",
        )
        for one in records
    ]
    seen = [s.BurstSeen(burst=one) for one in records]
    successor.sync(s.PolicySeen(policy=policy), s.TargetSeen(target=a_target()), *seen, *pods)
    assert draining(successor) == [goes]
    assert go_on(successor, 350_000) == {}
    successor.send(gone(successor.burst(goes)))
    assert len(go_on(successor, 15_000)) == 1


# -- what is said


def test_a_release_says_what_demand_since_when_and_what_was_kept() -> None:
    engine = an_engine(idle_ms=1_000, min_life_ms=2_000)
    key = serve(engine, "web-1")
    serve(engine, "other-1", deployment="other")
    serve(engine, "third-1", deployment="third")
    engine.send(leave("web-1"))
    engine.send(leave("third-1"), after_ms=100_000)
    go_on(engine, 200_000)
    decision = released(engine, key)
    assert (decision.policy, decision.subject) == ("bank/tasks", "bank/web-1")
    gone_reason, order = decision.reasons
    assert gone_reason == Reason(
        code="DemandGone",
        sentence="No pod of its workload has been pending for 5m.",
        numbers={"spare_ms": 300_000, "cooldown_ms": 300_000, "idle_ms": 1_000, "min_life_ms": 2_000},
    )
    assert order.numbers == {
        "price_micro_usd_per_hour": 120_000,
        "served_ms": 420_040 + 0,
        "coming_home": 1,
        "allowed_at_once": 3,
        "kept_for_the_limit": 0,
        "kept_for_their_time": 1,
        "kept_for_demand": 1,
    }
    assert (
        order.sentence
        == "It is the dearest of 1 that nothing asks for; 1 of 3 serving are on their way, 3 may be at once."
    )


# -- room on-prem


def room(cpu: int, *, nodes: int = 3, memory: int = 100 * GIB) -> s.CapacitySeen:
    allocatable = Resources(cpu_millicores=10_000 + cpu, memory_bytes=memory)
    return s.CapacitySeen(nodes=nodes, allocatable=allocatable, requested=Resources(cpu_millicores=10_000))


def crowded(**rules: Any) -> tuple[Engine, str]:
    engine = an_engine(return_home="WhenRoom", **({"idle_ms": 120_000} | rules))
    engine.send(room(999))
    key = serve(engine, "web-1")
    return engine, key


def test_a_clone_goes_home_when_room_has_appeared_for_its_pod_and_stayed() -> None:
    engine, key = crowded()
    engine.send(room(1_000), after_ms=600_000)
    assert go_on(engine, 119_999) == {}
    assert go_on(engine, 1) == {key: 1}
    reasons = released(engine, key).reasons
    assert reasons[0] == Reason(
        code="RoomOnPrem",
        sentence="On-prem has had room for its pod for 2m, after there was none.",
        numbers={
            "room_ms": 120_000,
            "free_cpu_millicores": 1_000,
            "free_memory_bytes": 100 * GIB,
            "cpu_millicores": 1_000,
            "memory_bytes": GIB,
        },
    )
    assert reasons[1].code == "ReleaseOrder"


def test_its_pod_is_left_to_on_prem_for_ten_minutes_and_told_so() -> None:
    engine, _ = crowded()
    engine.send(room(1_000), after_ms=600_000)
    go_on(engine, 120_000)
    engine.wait(0)
    assert engine.codes("bank/web-1")[-1] == "RoomOnPrem"
    held = engine.decisions[-1]
    assert (held.verdict, held.reasons[0].sentence) == (
        "Wait",
        "On-prem has room for it; it is left to on-prem for 10m.",
    )
    assert held.reasons[0].numbers == {"due_ms": engine.now + 600_000}
    engine.wait(599_999)
    assert not engine.asked("RecordBurst")
    engine.wait(1)
    assert engine.asked("RecordBurst"), "it still waits: room that it can't have is none"


def test_room_that_was_there_already_brings_nobody_home() -> None:
    engine = an_engine(return_home="WhenRoom", idle_ms=0)
    engine.send(room(5_000))
    key = serve(engine, "web-1")
    engine.send(room(6_000))
    assert go_on(engine, 3_000_000 - 600_000) == {}
    assert engine.phase(key) == "Serving"


def test_the_same_pod_is_not_sent_to_and_fro() -> None:
    engine, _ = crowded()
    engine.send(room(1_000), after_ms=600_000)
    go_on(engine, 120_000 + 600_000)
    engine.wait(0)
    (key,) = [key for key, entry in engine.state.bursts.items() if entry.covers]
    engine.to_serving(key)
    engine.send(room(1_500))
    assert go_on(engine, 2_000_000) == {}


@pytest.mark.parametrize("blink", [room(999), room(5_000, memory=GIB - 1)], ids=["too little cpu", "too little memory"])
def test_room_that_vanishes_for_a_moment_begins_anew(blink: s.CapacitySeen) -> None:
    engine, key = crowded()
    engine.send(room(1_000))
    go_on(engine, 119_000)
    assert engine.state.bursts[key].going_at_ms is not None
    engine.send(blink)
    assert engine.state.bursts[key].going_at_ms is None
    engine.send(room(1_000), after_ms=1)
    assert go_on(engine, 119_999) == {}
    assert go_on(engine, 1) == {key: 1}


def test_nobody_goes_home_to_room_that_nobody_can_tell_any_more() -> None:
    engine, key = crowded()
    engine.send(room(1_000))
    go_on(engine, 119_000)
    engine.send(msgspec.structs.replace(room(50_000), requested=Resources(), requested_known=False))
    assert engine.state.bursts[key].going_at_ms is None
    assert go_on(engine, 2_000_000) == {}
    engine.send(room(1_000))
    assert go_on(engine, 119_999) == {}
    assert go_on(engine, 1) == {key: 1}


def test_without_idle_time_the_last_look_is_all_that_room_has_to_stay() -> None:
    engine, key = crowded(idle_ms=0)
    engine.send(room(1_000))
    assert go_on(engine, 14_999) == {}
    assert go_on(engine, 1) == {key: 1}


def test_a_fill_nobody_knows_is_no_crowd() -> None:
    engine = an_engine(return_home="WhenRoom", idle_ms=0)
    key = serve(engine, "web-1")
    engine.send(room(5_000))
    assert go_on(engine, MINUTE) == {}
    assert engine.state.bursts[key].crowded is False


def test_who_does_not_ask_for_it_stays_whatever_the_room() -> None:
    engine = an_engine(return_home="WhenStarted", idle_ms=0)
    engine.send(room(0))
    key = serve(engine, "web-1")
    engine.send(room(50_000))
    assert go_on(engine, MINUTE) == {}
    assert engine.state.bursts[key].crowded is False


@pytest.mark.parametrize(("free", "goes"), [(1_000, 1), (1_999, 1), (2_000, 2), (3_000, 3), (9_000, 3)])
def test_no_more_go_than_there_is_room_for(free: int, goes: int) -> None:
    engine = an_engine(return_home="WhenRoom", idle_ms=0)
    engine.send(room(0))
    for number in range(3):
        serve(engine, f"web-{number}")
    engine.send(room(free))
    assert len(go_on(engine, 15_000)) == goes
    assert go_on(engine, 500_000) == {}, "what was left to on-prem holds its room, whether or not it was bound"


def test_a_pod_that_nobody_answers_comes_before_room_for_others() -> None:
    engine = an_engine(return_home="WhenRoom", idle_ms=0)
    engine.send(room(0))
    key = serve(engine, "web-1")
    engine.send(s.PodSeen(pod=a_service_pod("huge-1", "huge", cpu=64_000)))
    engine.send(room(5_000))
    assert go_on(engine, MINUTE) == {}
    engine.send(leave("huge-1"), room(5_001))
    assert go_on(engine, 14_999) == {}
    assert go_on(engine, 1) == {key: 1}


def test_a_clone_for_room_lives_its_minimum_too() -> None:
    engine, key = crowded(min_life_ms=1_000_000)
    engine.send(room(1_000), after_ms=600_000)
    assert go_on(engine, 399_999) == {}
    assert go_on(engine, 1) == {key: 1}


# -- demand that is a number


FEWER = Reason(code="DesiredReplicas", sentence="2 are wanted.", numbers={"desired": 2})


def surplus(engine: Engine, count: int) -> None:
    releases.release_surplus(engine.state, engine.state.policies["bank/tasks"], count, FEWER)
    engine.send()


def by_number(engine: Engine) -> None:
    """The policy changes: from now on a metric says how many, and nobody has read it."""
    policy = engine.state.policies["bank/tasks"].policy
    prometheus = PrometheusTrigger(name="load", server_address="http://p", query="q")
    triggers = (PendingPodsTrigger(pending_for_ms=0), prometheus)
    engine.send(s.PolicySeen(policy=msgspec.structs.replace(policy, triggers=triggers, generation=2)))


def number_engine(count: int = 4, **rules: Any) -> tuple[Engine, list[str]]:
    engine = an_engine(**rules)
    return engine, [serve(engine, f"web-{number}") for number in range(count)]


def test_a_surplus_goes_by_the_same_order_after_the_last_look() -> None:
    engine, keys = number_engine()
    surplus(engine, 2)
    assert go_on(engine, 14_999) == {}
    assert set(go_on(engine, 1)) == {keys[2], keys[3]}, "of equal price the youngest first"
    assert released(engine, keys[3]).reasons[0] == FEWER
    assert releases.staying(engine.state, engine.state.policies["bank/tasks"]) == 2
    surplus(engine, 0)
    assert go_on(engine, 600_000) == {}


def test_a_wish_that_is_taken_back_in_time_releases_nobody() -> None:
    engine, _ = number_engine()
    surplus(engine, 2)
    go_on(engine, 14_999)
    surplus(engine, 0)
    assert go_on(engine, 600_000) == {}
    assert all(entry.going_at_ms is None for entry in engine.state.bursts.values())


def test_a_wish_for_fewer_keeps_those_beyond_it() -> None:
    engine, keys = number_engine()
    surplus(engine, 3)
    go_on(engine, 5_000)
    surplus(engine, 1)
    assert set(go_on(engine, 600_000)) == {keys[3]}


def test_a_surplus_that_is_told_again_does_not_begin_anew() -> None:
    engine, keys = number_engine()
    surplus(engine, 1)
    go_on(engine, 10_000)
    surplus(engine, 1)
    assert go_on(engine, 4_999) == {}
    assert set(go_on(engine, 1)) == {keys[3]}
    assert go_on(engine, 600_000) == {}, "it is done, until a new number says otherwise"


@pytest.mark.parametrize(("rules", "goes_ms"), [({"idle_ms": 120_000}, 120_000), ({"min_life_ms": 90_000}, 90_000)])
def test_a_surplus_keeps_the_policys_times(rules: dict[str, int], goes_ms: int) -> None:
    engine, keys = number_engine(1, **rules)
    surplus(engine, 1)
    assert go_on(engine, goes_ms - 1) == {}
    assert set(go_on(engine, 1)) == {keys[0]}


def test_a_surplus_keeps_the_limit_of_those_under_way() -> None:
    engine, _ = number_engine(disruption_percent=25)
    surplus(engine, 3)
    assert len(go_on(engine, 300_000)) == 1


def test_what_is_not_serving_yet_goes_first_and_at_once() -> None:
    engine = an_engine()
    keys = [serve(engine, "web-1"), serve(engine, "web-2")]
    policy = engine.state.policies["bank/tasks"].policy
    engine.send(s.PolicySeen(policy=msgspec.structs.replace(policy, limits=Limits(max_bursts=3))))
    engine.send(s.PodSeen(pod=a_service_pod("web-9", "web")))
    launching = engine.state.pods["bank/web-9"].burst
    engine.send(s.BurstRecorded(key=launching, uid="u9"), s.PodPlaced(key=launching, pod_uid="p9"))
    surplus(engine, 2)
    assert draining(engine) == [launching]
    assert released(engine, launching).reasons == (FEWER,)
    assert set(go_on(engine, 15_000)) == {keys[1]}


def test_a_spare_takes_over_the_pod_of_one_that_goes() -> None:
    engine = an_engine()
    dear = serve(engine, "web-1", cpu=3_000)
    cheap = serve(engine, "web-2")
    engine.send(leave("web-2"))
    assert engine.state.spares == {cheap}
    surplus(engine, 1)
    assert list(go_on(engine, 15_000)) == [dear]
    assert engine.state.bursts[cheap].covers == "bank/web-1"


def test_one_that_is_no_longer_needed_by_its_pod_stays_one_of_the_number() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_service_pod("web-1", "web")))
    key = engine.state.pods["bank/web-1"].burst
    engine.send(s.BurstRecorded(key=key, uid="u"), s.PodPlaced(key=key, pod_uid="p"))
    by_number(engine)
    engine.send(leave("web-1"))
    assert engine.phase(key) == "Provisioning"
    assert releases.staying(engine.state, engine.state.policies["bank/tasks"]) == 1


@pytest.mark.parametrize("count", [0, -3])
def test_no_surplus_is_none(count: int) -> None:
    engine, _ = number_engine(1)
    surplus(engine, count)
    assert engine.state.policies["bank/tasks"].surplus is None


def test_what_is_left_of_resources_may_be_less_than_nothing() -> None:
    there = Resources(cpu_millicores=5, memory_bytes=7, gpus=1, devices=(("a.b/npu", 3), ("c.d/fpga", 1)))
    taken = Resources(cpu_millicores=6, memory_bytes=2, gpus=1, devices=(("a.b/npu", 1), ("x.y/other", 9)))
    assert minus(there, taken) == Resources(
        cpu_millicores=-1, memory_bytes=5, gpus=0, devices=(("a.b/npu", 2), ("c.d/fpga", 1))
    )


@pytest.mark.parametrize(("early_ms", "goes"), [(1, 0), (0, 1)])
def test_a_pod_that_was_left_to_on_prem_holds_its_room_until_its_time_is_over(early_ms: int, goes: int) -> None:
    engine, _ = crowded(idle_ms=0)
    engine.send(s.PodSeen(pod=a_service_pod("other-1", "other", since=None)), room(1_000))
    engine.state.held_off["bank/other-1"] = (engine.now + 15_000 + early_ms, Resources(cpu_millicores=1), FEWER)
    assert len(go_on(engine, 15_000)) == goes


def test_a_pod_that_has_left_holds_no_room() -> None:
    engine, key = crowded(idle_ms=0)
    engine.state.held_off["bank/nobody"] = (engine.now + 10**9, Resources(cpu_millicores=999), FEWER)
    engine.send(room(1_000))
    assert go_on(engine, 15_000) == {key: 15_000}


def test_a_burst_adopted_without_the_time_it_began_to_serve_has_lived_since_its_decision() -> None:
    engine = an_engine(min_life_ms=400_000, cooldown_ms=0)
    key = serve(engine, "web-1")
    entry = engine.state.bursts[key]
    status = msgspec.structs.replace(entry.burst.status, serving_at_ms=None)
    entry.burst = msgspec.structs.replace(entry.burst, status=status)
    lived = engine.now - entry.burst.spec.decided_at_ms
    engine.send(leave("web-1"))
    assert go_on(engine, 400_000 - lived - 1) == {}
    assert go_on(engine, 1) == {key: 1}


def test_other_policies_bursts_are_none_of_its_business() -> None:
    engine = an_engine(disruption_percent=50)
    other = a_policy(
        "other",
        workload=WorkloadSelector(name_pattern="api"),
        placement=engine.state.policies["bank/tasks"].policy.placement,
    )
    engine.send(s.PolicySeen(policy=msgspec.structs.replace(other, priority=9)))
    for number in range(4):
        serve(engine, f"api-{number}", deployment="api")
    serve(engine, "web-1")
    serve(engine, "web-2")
    engine.send(leave("web-1"), leave("web-2"), *(leave(f"api-{number}") for number in range(4)))
    assert sorted(key.split("-")[1] for key in go_on(engine, 300_000)) == ["api", "api", "web"]


def test_moves_are_never_released_for_want_of_demand() -> None:
    engine = an_engine(cooldown_ms=0, strategy="Auto")
    engine.send(s.PodSeen(pod=a_pod()))
    key = engine.to_serving().key
    surplus(engine, 5)
    assert go_on(engine, 600_000) == {}
    assert engine.phase(key) == "Serving"


@pytest.mark.parametrize("code", ["DemandGone", "RoomOnPrem", "PolicyBudget"])
def test_who_is_on_its_way_is_known_by_the_reason_on_record(code: str) -> None:
    engine = an_engine(disruption_percent=1)
    first = serve(engine, "api-1", deployment="api")
    serve(engine, "web-2")
    entry = engine.state.bursts[first]
    engine.send(leave("web-2"))
    ending.end(engine.state, entry, "Draining", Reason(code=code, sentence=""))
    assert not entry.unwanted
    assert len(go_on(engine, 300_000)) == (1 if code == "PolicyBudget" else 0)


def test_what_was_left_to_on_prem_is_forgotten_when_its_time_is_over_or_it_has_left() -> None:
    engine, _ = crowded(idle_ms=0)
    engine.send(s.PodSeen(pod=a_service_pod("other-1", "other", since=None)))
    asked = Resources(cpu_millicores=1)
    kept = {"bank/other-1": (engine.now + 10, asked, FEWER)}
    engine.state.held_off = {**kept, "bank/nobody": (engine.now + 10, asked, FEWER)}
    engine.send(s.Tick(kind="gc"), after_ms=9)
    assert engine.state.held_off == kept
    engine.send(s.Tick(kind="gc"), after_ms=1)
    assert engine.state.held_off == {}
