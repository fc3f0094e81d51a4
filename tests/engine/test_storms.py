"""Launches that fail again and again: when a burst, a workload, a target, a policy is left alone, and for how long."""

from typing import Any

import msgspec
import pytest

from burster.engine.bursts import storms
from burster.model import stimuli as s
from burster.model.errors import RemoteKind
from burster.model.pods import Resources
from burster.model.policies import Placement, Policy, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger
from tests.support.builders import T0, Engine, a_pod, a_policy, a_service_pod, a_target, a_vm, an_offering


MINUTE = 60_000
READY = 900_000


def an_engine(policy: Policy | None = None, **target: Any) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy or a_policy()),
        s.TargetSeen(target=a_target(**target)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
    )
    return engine


def place(engine: Engine, key: str) -> None:
    engine.send(s.BurstRecorded(key=key, uid=f"u-{key}"), s.PodPlaced(key=key, pod_uid=f"p-{key}"))


def sandbox(key: str, count: int = 3, kind: RemoteKind = "Unavailable", message: str = "") -> s.SandboxFailed:
    return s.SandboxFailed(burst_key=key, pod_uid=f"p-{key}", count=count, kind=kind, code="", message=message)


def burst_of(engine: Engine, name: str) -> str:
    return engine.state.pods[f"bank/{name}"].burst


def launch(engine: Engine, name: str, deployment: str) -> str:
    engine.send(s.PodSeen(pod=a_service_pod(name, deployment)))
    key = burst_of(engine, name)
    assert key, engine.codes(f"bank/{name}")
    place(engine, key)
    return key


def fail(engine: Engine, name: str, deployment: str, *, after_ms: int = 0) -> str:
    key = launch(engine, name, deployment)
    engine.send(sandbox(key), after_ms=after_ms)
    assert engine.phase(key) == "Failed"
    return key


# -- one burst


@pytest.mark.parametrize(("count", "ends"), [(1, False), (2, False), (3, True), (4, True)])
def test_a_sandbox_that_has_failed_three_times_is_a_storm(count: int, ends: bool) -> None:
    engine = an_engine()
    key = launch(engine, "web-1", "web")
    engine.send(sandbox(key, count, message="deadline exceeded"))
    assert (engine.phase(key) == "Failed") == ends
    if ends:
        reason = next(one for one in engine.decisions if one.verdict == "Fail").reasons[0]
        assert reason.code == engine.burst(key).status.reason == "SandboxStorm"
        assert reason.sentence == (
            f"Its sandbox has failed {count} times and 0 VMs were seen for it; the next would be one more: deadline exceeded"
        )
        assert reason.numbers == {"failures": count, "vms": 0}


@pytest.mark.parametrize("phase", ["Provisioning", "Attesting"])
def test_more_than_three_vms_are_a_storm_though_nobody_told_of_failures(phase: str) -> None:
    engine = an_engine()
    key = launch(engine, "web-1", "web")
    if phase == "Attesting":
        engine.send(engine.pod_event("Running", key))
    burst = engine.burst(key)
    vms = [
        a_vm(burst, created_at=T0, name=f"podvm-{burst.spec.pod_name}-0000000{number}", provisioning_state="Creating")
        for number in range(4)
    ]
    engine.send(s.VmsObserved(key=key, vms=tuple(vms[:3])))
    assert engine.phase(key) == phase
    engine.send(s.VmsObserved(key=key, vms=(vms[3],)))
    assert engine.phase(key) == "Failed", "those that are gone count too"
    reason = next(one for one in engine.decisions if one.verdict == "Fail").reasons[0]
    assert reason.code == "SandboxStorm"
    assert reason.numbers == {"failures": 3, "vms": 4}
    assert reason.sentence == "Its sandbox has failed 3 times and 4 VMs were seen for it; the next would be one more."


def test_a_serving_burst_is_not_ended_for_the_vms_it_needed() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_service_pod("web-1", "web")))
    burst = engine.to_serving(burst_of(engine, "web-1"))
    names = [f"podvm-{burst.spec.pod_name}-0000000{number}" for number in range(5)]
    engine.send(s.VmsObserved(key=burst.key, vms=tuple(a_vm(burst, created_at=T0, name=name) for name in names)))
    assert engine.phase(burst.key) == "Serving"


# -- its pod


def parked_for(engine: Engine, name: str = "task-1") -> int:
    return engine.state.parked[f"bank/{name}"][0] - engine.now


@pytest.mark.parametrize(
    ("failures", "want_ms"),
    [(0, 300_000), (1, 300_000), (2, 600_000), (3, 1_200_000), (4, 1_800_000), (5, 1_800_000), (500, 1_800_000)],
)
def test_the_pause_doubles_from_five_minutes_to_thirty(failures: int, want_ms: int) -> None:
    assert storms.rest_ms(failures) == want_ms
    assert storms.rest_ms(failures, want_ms) == want_ms
    assert storms.rest_ms(failures, want_ms + 1) == want_ms + 1


@pytest.mark.parametrize(
    ("fact", "want_ms"),
    [
        pytest.param(sandbox("KEY"), READY + MINUTE, id="a storm takes its time"),
        pytest.param(sandbox("KEY", 1, "Invalid"), 300_000, id="what is refused at once"),
        pytest.param(sandbox("KEY", 1, "Unauthorized"), 300_000, id="what burster may not do"),
    ],
)
def test_the_pause_is_longer_than_what_failed_may_have_taken(fact: s.SandboxFailed, want_ms: int) -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod()))
    key = engine.burst().key
    place(engine, key)
    engine.send(msgspec.structs.replace(fact, burst_key=key, pod_uid=f"p-{key}"))
    assert parked_for(engine) == want_ms


def test_not_ready_in_time_pauses_for_longer_than_that_time() -> None:
    engine = an_engine(ready_deadline_ms=2_000_000)
    engine.send(s.PodSeen(pod=a_pod()))
    key = engine.burst().key
    place(engine, key)
    engine.wait(1_999_999)
    assert engine.phase(key) == "Provisioning"
    engine.wait(1)
    assert (engine.phase(key), engine.burst(key).status.reason) == ("Failed", "NotReadyInTime")
    assert parked_for(engine) == 2_000_000 + MINUTE


@pytest.mark.parametrize(("later_ms", "want"), [(10_800_000, 2), (10_800_001, 1)])
def test_three_quiet_hours_forgive_all(later_ms: int, want: int) -> None:
    engine = an_engine()
    engine.state.parked["bank/task-1"] = (T0, 1)
    engine.send(s.PodSeen(pod=a_pod()), after_ms=later_ms)
    key = engine.burst().key
    place(engine, key)
    engine.send(sandbox(key, 1, "Invalid"))
    assert engine.state.parked["bank/task-1"] == (engine.now + (600_000 if want == 2 else 300_000), want)


# -- its workload


def poison(engine: Engine, times: int = 3) -> None:
    """So many launches of web fail in a row, of pods that all came at once."""
    engine.send(*(s.PodSeen(pod=a_service_pod(f"web-{number}", "web")) for number in range(times)))
    keys = [burst_of(engine, f"web-{number}") for number in range(times)]
    for key in keys:
        place(engine, key)
    for key in keys:
        engine.send(sandbox(key, 3))


def test_two_failures_are_no_reason_to_stop_a_workload() -> None:
    engine = an_engine()
    poison(engine, 2)
    assert launch(engine, "web-9", "web")


def test_after_three_failures_in_a_row_no_other_pod_of_it_buys_a_vm() -> None:
    engine = an_engine()
    poison(engine)
    engine.send(*(s.PodSeen(pod=a_service_pod(f"more-{number}", "web")) for number in range(50)))
    assert not engine.asked("RecordBurst")
    decision = next(one for one in engine.decisions if one.subject == "bank/more-7")
    assert (decision.verdict, decision.policy) == ("Wait", "bank/tasks")
    assert decision.reasons[0].code == "WorkloadFailing"
    assert decision.reasons[0].numbers == {"failures": 3, "due_ms": engine.now + READY + MINUTE}
    assert decision.reasons[0].sentence == (
        "The last 3 launches of Deployment web have all failed, so one of its pods is tried at a time. The last one: "
        "Its sandbox has failed 3 times and 0 VMs were seen for it; the next would be one more."
    )
    assert launch(engine, "other-1", "other"), "others are not held up"


def test_pods_that_wait_in_the_queue_already_are_taken_out_of_it() -> None:
    engine = an_engine(a_policy(max_bursts=3))
    engine.send(*(s.PodSeen(pod=a_service_pod(f"web-{number}", "web")) for number in range(5)))
    keys = [burst_of(engine, f"web-{number}") for number in range(3)]
    for key in keys:
        place(engine, key)
    for key in keys:
        engine.send(sandbox(key, 3))
    assert engine.codes("bank/web-4") == ["PolicyMaxBursts", "WorkloadFailing"]
    assert engine.state.policies["bank/tasks"].queued == {}


def test_after_the_pause_one_is_tried_for_all_and_frees_them_if_it_serves() -> None:
    engine = an_engine()
    poison(engine)
    engine.send(*(s.PodSeen(pod=a_service_pod(f"more-{number}", "web")) for number in range(5)))
    engine.wait(READY + MINUTE - 1)
    assert not engine.asked("RecordBurst")
    engine.wait(1)
    (record,) = engine.asked("RecordBurst")
    engine.wait(5 * MINUTE)
    assert not engine.asked("RecordBurst")
    engine.to_serving(record.burst.key)
    assert engine.state.failing == {}
    assert {type(one).__name__ for one in engine.instructions} >= {"RecordBurst"}
    waiting = [key for key, entry in engine.state.pods.items() if not entry.burst]
    assert [key for key in waiting if key.startswith("bank/more")] == []


def test_a_failed_trial_doubles_the_pause() -> None:
    engine = an_engine()
    poison(engine)
    engine.send(*(s.PodSeen(pod=a_service_pod(f"more-{number}", "web")) for number in range(5)))
    pauses = []
    for _ in range(4):
        known = engine.state.failing["bank/Deployment/web"]
        pauses.append(known.until_ms - engine.now)
        engine.wait(known.until_ms - engine.now)
        (record,) = engine.asked("RecordBurst")
        place(engine, record.burst.key)
        engine.send(sandbox(record.burst.key, 1, "Unavailable"))
        assert engine.phase(record.burst.key) == "Failed", "a workload known to fail is given up at once"
        assert not engine.asked("RecordBurst")
    assert pauses == [READY + MINUTE, READY + MINUTE, 1_200_000, 1_800_000]


@pytest.mark.parametrize("why", ["Bound", "Gone"])
def test_a_trial_whose_pod_leaves_makes_room_for_the_next(why: Any) -> None:
    engine = an_engine(a_policy(max_bursts=3))
    poison(engine)
    engine.send(*(s.PodSeen(pod=a_service_pod(f"more-{number}", "web")) for number in range(2)))
    engine.wait(READY + MINUTE)
    probe = engine.state.failing["bank/Deployment/web"].probe
    assert engine.codes(probe)[-1] == "PolicyMaxBursts", "the three that failed are still being cleared away"
    name = probe.removeprefix("bank/")
    engine.send(s.PodLeft(namespace="bank", name=name, uid=f"uid-{name}", why=why))
    engine.wait(MINUTE - 1)
    assert engine.state.failing["bank/Deployment/web"].probe == probe
    engine.wait(1)
    assert engine.state.failing["bank/Deployment/web"].probe not in {probe, ""}


def test_a_workload_that_serves_somewhere_is_not_to_blame() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_service_pod("sound-1", "web")))
    engine.to_serving(burst_of(engine, "sound-1"))
    poison(engine)
    assert engine.state.failing == {}


def test_a_success_between_failures_begins_the_count_anew() -> None:
    engine = an_engine()
    poison(engine, 2)
    engine.send(s.PodSeen(pod=a_service_pod("sound-1", "web")))
    engine.to_serving(burst_of(engine, "sound-1"))
    assert engine.state.failing == {}


@pytest.mark.parametrize(
    ("kind", "blamed"), [("Invalid", True), ("Unauthorized", False), ("Capacity", False), ("Quota", False)]
)
def test_what_a_workload_is_not_to_blame_for(kind: RemoteKind, blamed: bool) -> None:
    engine = an_engine()
    key = launch(engine, "web-1", "web")
    engine.send(sandbox(key, 1, kind))
    assert engine.phase(key) == "Failed"
    assert ("bank/Deployment/web" in engine.state.failing) == blamed


@pytest.mark.parametrize(("kind", "blamed"), [("Invalid", True), ("Unauthorized", False)])
def test_a_pod_that_can_not_be_created_counts_as_a_failed_launch(kind: RemoteKind, blamed: bool) -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_service_pod("web-1", "web")))
    key = burst_of(engine, "web-1")
    engine.send(s.BurstRecorded(key=key, uid="u"))
    engine.send(s.InstructionFailed(instruction="PlacePod", key=f"place/{key}", subject=key, kind=kind, message="no"))
    assert ("bank/Deployment/web" in engine.state.failing) == blamed
    assert len(engine.state.launch_failures) == 1


def test_an_admission_that_changes_the_pod_counts_as_a_failed_launch() -> None:
    engine = an_engine()
    key = launch(engine, "web-1", "web")
    engine.send(engine.pod_event("Running", key, runtime_class="", pod_uid=f"p-{key}"))
    assert engine.burst(key).status.reason == "AdmissionMismatch"
    assert engine.state.failing["bank/Deployment/web"].failures == 1
    assert parked_for(engine, "web-1") == 300_000


def test_a_bare_pod_has_no_workload_to_blame() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod()))
    key = engine.burst().key
    place(engine, key)
    engine.send(sandbox(key))
    assert engine.state.failing == {}
    assert engine.state.launch_failures == [(engine.now, "bank/task-1", "bank/tasks", "azure")]


@pytest.mark.parametrize(("quiet_ms", "failures"), [(10_800_000, 2), (10_800_001, 1)])
def test_a_workloads_failures_are_forgiven_after_three_quiet_hours(quiet_ms: int, failures: int) -> None:
    engine = an_engine()
    fail(engine, "web-1", "web")
    fail(engine, "web-2", "web", after_ms=quiet_ms)
    assert engine.state.failing["bank/Deployment/web"].failures == failures


def test_the_memory_of_workloads_is_bounded_and_keeps_the_latest() -> None:
    engine = an_engine()
    fail(engine, "first-1", "first")
    fail(engine, "web-1", "web")
    fail(engine, "first-2", "first")
    memory = engine.state.failing
    sample = memory["bank/Deployment/web"]
    first = memory.pop("bank/Deployment/first")
    for number in range(999):
        memory[f"bank/Deployment/x{number}"] = sample
    memory["bank/Deployment/first"] = first
    assert len(memory) == 1_001
    engine.send(s.TargetSeen(target=a_target(generation=7)), s.PolicySeen(policy=a_policy(generation=7)))
    fail(engine, "last-1", "last")
    assert len(engine.state.failing) == 1_000
    assert "bank/Deployment/web" not in engine.state.failing
    assert {"bank/Deployment/first", "bank/Deployment/last"} <= set(engine.state.failing)


def test_replicas_that_no_pod_stands_for_are_held_too() -> None:
    engine = an_engine()
    assert storms.workload_hold(engine.state, "bank", "Deployment", "web") is None
    poison(engine, 2)
    assert storms.workload_hold(engine.state, "bank", "Deployment", "web") is None
    engine = an_engine()
    poison(engine)
    due = engine.now + READY + MINUTE
    hold = storms.workload_hold(engine.state, "bank", "Deployment", "web")
    assert hold is not None
    assert (hold[0], hold[1].code, hold[1].numbers) == (due, "WorkloadFailing", {"failures": 3, "due_ms": due})
    assert storms.workload_hold(engine.state, "bank", "Deployment", "other") is None
    engine.wait(READY + MINUTE - 1)
    assert storms.workload_hold(engine.state, "bank", "Deployment", "web") is not None
    engine.send(
        *(s.PodLeft(namespace="bank", name=f"web-{n}", uid=f"uid-web-{n}", why="Gone") for n in range(3)), after_ms=1
    )
    assert storms.workload_hold(engine.state, "bank", "Deployment", "web") is None
    engine.send(s.PodSeen(pod=a_service_pod("more-1", "web")))
    assert engine.asked("RecordBurst")
    hold = storms.workload_hold(engine.state, "bank", "Deployment", "web")
    assert hold is not None
    assert hold[0] == engine.now + MINUTE


# -- a whole target, a whole policy


def healthy(engine: Engine, count: int) -> None:
    for number in range(count):
        engine.send(s.PodSeen(pod=a_service_pod(f"ok-{number}", f"ok-{number}")))
        engine.to_serving(burst_of(engine, f"ok-{number}"))


@pytest.mark.parametrize(
    ("failing", "serving", "trips"),
    [
        pytest.param(3, 0, False, id="three are not more than three"),
        pytest.param(4, 0, True, id="four of four"),
        pytest.param(4, 4, True, id="50 percent"),
        pytest.param(4, 5, False, id="44.4 percent"),
        pytest.param(9, 11, False, id="exactly 45 percent"),
        pytest.param(10, 12, True, id="45.45 percent"),
    ],
)
def test_a_target_is_halted_when_more_than_45_percent_and_more_than_3_fail(
    failing: int, serving: int, trips: bool
) -> None:
    engine = an_engine()
    healthy(engine, serving)
    keys = [launch(engine, f"bad-{number}", f"bad-{number}") for number in range(failing)]
    for key in keys:
        # the last one decides: until then too few have failed, or what was decided of them is taken back
        engine.state.targets["azure"].tripped = None
        engine.send(sandbox(key))
    target = engine.state.targets["azure"]
    assert (target.tripped is not None) == trips
    if target.tripped is not None:
        assert target.tripped.code == "TooManyUnhealthy"
        assert target.tripped.numbers == {"unhealthy": failing, "total": failing + serving}
        assert target.tripped.sentence == (
            f"{failing} of {failing + serving} bursts at azure have failed to launch within 30 minutes."
        )
        told = [one for one in engine.decisions if one.verdict == "Warn"][-1]
        assert (told.subject, told.reasons) == ("azure", (target.tripped,))
        assert engine.state.policies["bank/tasks"].tripped is None, "the target is it, not the policy"


def test_those_that_may_still_come_to_serve_are_not_unhealthy() -> None:
    engine = an_engine()
    keys = [launch(engine, f"bad-{number}", f"bad-{number}") for number in range(9)]
    engine.send(*(sandbox(key) for key in keys[:4]))
    assert engine.state.targets["azure"].tripped is None, "4 of 9"
    engine.send(sandbox(keys[4]))
    assert engine.state.targets["azure"].tripped is not None, "5 of 9"


@pytest.mark.parametrize(("later_ms", "trips"), [(1_799_999, True), (1_800_000, False)])
def test_only_the_last_half_hour_counts_for_the_percentage(later_ms: int, trips: bool) -> None:
    engine = an_engine()
    for number in range(3):
        fail(engine, f"bad-{number}", f"bad-{number}")
    engine.now += later_ms
    fail(engine, "late-1", "late")
    assert (engine.state.targets["azure"].tripped is not None) == trips


def test_one_broken_image_never_halts_a_target() -> None:
    engine = an_engine()
    poison(engine, 20)
    assert len(engine.state.launch_failures) == 20
    assert engine.state.targets["azure"].tripped is None


def slow_failures(count: int, *, serving: int = 0) -> Engine:
    """So many different workloads fail, 12 minutes apart: never four in half an hour."""
    engine = an_engine()
    healthy(engine, serving)
    for number in range(count):
        fail(engine, f"bad-{number}", f"bad-{number}")
        engine.now += 12 * MINUTE
    return engine


def test_more_than_ten_failures_with_nothing_that_serves_halt_a_target() -> None:
    engine = slow_failures(10)
    assert engine.state.targets["azure"].tripped is None
    fail(engine, "bad-10", "bad-10")
    tripped = engine.state.targets["azure"].tripped
    assert tripped is not None
    assert (tripped.code, tripped.numbers) == ("LaunchesFail", {"boot_failures": 11})
    assert tripped.sentence == "11 bursts at azure have failed to launch since the latest that came to serve."


def test_one_that_serves_is_proof_enough_against_a_slow_trickle() -> None:
    assert slow_failures(12, serving=1).state.targets["azure"].tripped is None


@pytest.mark.parametrize(("later_ms", "trips"), [(86_400_000 - 1, True), (86_400_000, False)])
def test_failures_count_for_a_day(later_ms: int, trips: bool) -> None:
    engine = an_engine()
    engine.state.launch_failures = [(T0, f"bank/Deployment/x{n}", "bank/tasks", "azure") for n in range(10)]
    engine.now = T0 + later_ms
    fail(engine, "bad-1", "bad-1")
    assert (engine.state.targets["azure"].tripped is not None) == trips


def test_a_halted_target_stays_so_until_somebody_edits_it_and_then_begins_anew() -> None:
    engine = an_engine()
    for number in range(4):
        fail(engine, f"bad-{number}", f"bad-{number}")
    engine.send(s.PodSeen(pod=a_service_pod("web-1", "web")))
    assert engine.codes("bank/web-1") == ["BreakerOpen"]
    engine.wait(86_400_000)
    assert engine.state.targets["azure"].tripped is not None
    engine.state.launch_failures = [(engine.now, "x", "bank/tasks", "azure"), (engine.now, "y", "bank/tasks", "other")]
    engine.send(s.TargetSeen(target=a_target(generation=1)))
    assert engine.state.targets["azure"].tripped is None
    assert [one[3] for one in engine.state.launch_failures] == ["other"]
    assert burst_of(engine, "web-1")


def two_policies() -> Engine:
    engine = an_engine(a_policy(workload=WorkloadSelector(name_pattern="bad.*")))
    engine.send(s.PolicySeen(policy=a_policy("sound", workload=WorkloadSelector(name_pattern="ok.*"))))
    healthy(engine, 5)
    return engine


def test_a_policy_alone_is_halted_where_its_target_is_sound() -> None:
    engine = two_policies()
    for number in range(4):
        fail(engine, f"bad-{number}", f"bad-{number}")
    assert engine.state.targets["azure"].tripped is None
    tripped = engine.state.policies["bank/tasks"].tripped
    assert tripped is not None
    assert tripped.sentence == "4 of 4 bursts of policy tasks have failed to launch within 30 minutes."
    warned = next(one for one in engine.decisions if one.verdict == "Warn")
    assert (warned.policy, warned.subject) == ("bank/tasks", "bank/tasks")
    engine.send(s.PodSeen(pod=a_service_pod("bad-9", "bad-9")), s.PodSeen(pod=a_service_pod("ok-9", "ok-9")))
    assert engine.codes("bank/bad-9") == ["BreakerOpen"]
    sentence = next(one for one in engine.decisions if one.subject == "bank/bad-9").reasons[0].sentence
    assert sentence == f"The breaker of policy tasks is open until somebody edits it: {tripped.sentence}"
    assert burst_of(engine, "ok-9")


def test_a_policys_breaker_closes_when_somebody_edits_it() -> None:
    engine = two_policies()
    for number in range(4):
        fail(engine, f"bad-{number}", f"bad-{number}")
    engine.send(s.PodSeen(pod=a_service_pod("bad-9", "bad-9")))
    engine.send(s.PolicySeen(policy=a_policy(workload=WorkloadSelector(name_pattern="bad.*"), max_bursts=50)))
    assert engine.state.policies["bank/tasks"].tripped is not None, "the same generation is no edit"
    engine.send(s.PolicySeen(policy=a_policy(workload=WorkloadSelector(name_pattern="bad.*"), generation=1)))
    assert engine.state.policies["bank/tasks"].tripped is None
    assert engine.state.launch_failures == []
    assert burst_of(engine, "bad-9")


def test_failures_are_kept_within_bounds() -> None:
    engine = an_engine()
    engine.state.launch_failures = [(T0 - 1, "x", "other/policy", "elsewhere")] * 256
    fail(engine, "bad-1", "bad-1")
    assert len(engine.state.launch_failures) == 256
    assert engine.state.launch_failures[-1] == (engine.now, "bank/Deployment/bad-1", "bank/tasks", "azure")


def test_what_can_matter_no_more_is_forgotten() -> None:
    engine = an_engine()
    fail(engine, "web-1", "web")
    assert len(engine.state.launch_failures) == 1
    storms.forget_old(engine.state)
    engine.state.now_ms = T0 + 10_800_000
    storms.forget_old(engine.state)
    assert set(engine.state.failing) == {"bank/Deployment/web"}
    engine.state.now_ms += 1
    storms.forget_old(engine.state)
    assert engine.state.failing == {}
    engine.state.served_at_ms = {"azure": T0}
    engine.state.now_ms = T0 + 86_400_000 - 1
    storms.forget_old(engine.state)
    assert (len(engine.state.launch_failures), engine.state.served_at_ms) == (1, {"azure": T0})
    engine.state.now_ms += 1
    storms.forget_old(engine.state)
    assert (engine.state.launch_failures, engine.state.served_at_ms) == ([], {})


@pytest.mark.parametrize(("served_at", "trips"), [(T0 + 4, True), (T0 + 5, False)])
def test_failures_count_since_the_latest_that_came_to_serve(served_at: int, trips: bool) -> None:
    engine = an_engine()
    engine.state.launch_failures = [(T0 + 5, "bank/Deployment/x", "bank/tasks", "azure")]
    engine.state.launch_failures += [(T0 + 6, f"bank/Deployment/y{n}", "bank/tasks", "azure") for n in range(9)]
    engine.state.served_at_ms = {"azure": served_at}
    engine.now = T0 + 7_200_000
    fail(engine, "bad-1", "bad-1")
    assert (engine.state.targets["azure"].tripped is not None) == trips


def test_who_came_to_serve_is_remembered_with_its_target_and_its_policy() -> None:
    engine = an_engine()
    healthy(engine, 1)
    at_ms = engine.now
    assert engine.state.served_at_ms == {"azure": at_ms, "bank/tasks": at_ms}
    engine.state.served_at_ms["azure"] = at_ms + 5
    storms.served(engine.state, next(iter(engine.state.bursts.values())))
    assert engine.state.served_at_ms["azure"] == at_ms + 5


# -- clones that a number asks for


def test_a_number_of_a_failing_workload_is_tried_one_clone_at_a_time() -> None:
    policy = a_policy(
        triggers=(ExternalTrigger(name="queue"),),
        scaling=Scaling(max_replicas=10, stale_after_ms=10**9),
        workload=WorkloadSelector(kind="Deployment", name="web"),
        placement=Placement(targets=("azure",), strategy="Clone"),
    )
    engine = an_engine(policy)
    engine.send(
        s.WorkloadSeen(
            namespace="bank", kind="Deployment", name="web", replicas=1, requests=Resources(cpu_millicores=1_000)
        ),
        s.MetricRead(policy="bank/tasks", trigger="queue", at_ms=engine.now, value_milli=5_000),
    )
    (first,) = engine.asked("RecordBurst")
    engine.wait(15_000)
    more = engine.asked("RecordBurst")
    keys = [first.burst.key, *(one.burst.key for one in more)]
    assert len(keys) == 4
    for key in keys:
        place(engine, key)
    for key in keys:
        engine.send(sandbox(key))
        clear_away(engine, key)
    known = engine.state.failing["bank/Deployment/web"]
    assert known.failures == 4
    started = 0
    while engine.now < known.until_ms + 30 * MINUTE:
        engine.wait(15_000)
        started += len(engine.asked("RecordBurst"))
        assert not started or engine.now >= known.until_ms
    assert started == 1
    assert "WorkloadFailing" in {reason.code for one in engine.decisions for reason in one.reasons}


def clear_away(engine: Engine, key: str) -> None:
    engine.send(s.StatusWritten(key=key, phase="Failed"), s.VmsObserved(key=key, vms=()))
    engine.send(s.PodDeleted(key=key, gone=True), s.VmsObserved(key=key, vms=()))
    engine.wait(MINUTE)  # until every listing shows what the kubelet may have started last
    engine.send(s.VmsObserved(key=key, vms=()))
    assert engine.phase(key) == "Released"
