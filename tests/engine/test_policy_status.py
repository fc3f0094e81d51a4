"""What a policy's status says, when it is written, and how often."""

from typing import Any

import msgspec

from burster.engine.numbers.scaler import Scaler
from burster.engine.statuses import APART_MS
from burster.model import stimuli as s
from burster.model.decisions import Reason
from burster.model.instructions import WritePolicyStatus
from burster.model.policies import Policy
from burster.model.scaling import Fallback, Scaling
from tests.engine.test_scale_a_workload import Cluster, a_scaling_policy, cloud
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


KEY = "bank/tasks"


def known(**changes: Any) -> Policy:
    return a_policy(**({"uid": "p-1", "generation": 3} | changes))


def an_engine(*facts: s.Stimulus, policy: Policy | None = None) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy or known()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(),)),
        *facts,
    )
    return engine


def written(engine: Engine) -> WritePolicyStatus:
    (status,) = engine.asked("WritePolicyStatus")
    return status


def told(status: WritePolicyStatus) -> dict[str, tuple[str, str, int]]:
    return {one.type: (one.status, one.reason, one.since_ms - T0) for one in status.conditions}


def answer(engine: Engine, *more: s.Stimulus, after_ms: int = 0) -> None:
    engine.send(s.PolicyStatusWritten(policy=KEY), *more, after_ms=after_ms)


def failure(**changes: Any) -> s.InstructionFailed:
    values = {
        "instruction": "WritePolicyStatus",
        "key": f"policy-status/{KEY}",
        "subject": KEY,
        "kind": "Unavailable",
        "message": "no",
    }
    return s.InstructionFailed(**(values | changes))


def test_a_new_policy_is_told_that_it_counts() -> None:
    status = written(an_engine())
    assert (status.policy, status.key, status.generation) == (KEY, "policy-status/bank/tasks", 3)
    assert told(status) == {
        "Accepted": ("True", "Valid", 0),
        "Ready": ("True", "Ready", 0),
        "Active": ("False", "NoDemand", 0),
        "Paused": ("False", "NotPaused", 0),
    }
    assert [one.message for one in status.conditions] == [
        "The policy is valid and counts.",
        "Its rules and its target let it act.",
        "Nothing is asked for by it.",
        "It is not paused.",
    ]
    assert (status.pending, status.bursts, status.reserved_micro_usd, status.spent_micro_usd) == (0, 0, 0, 0)


def test_a_policy_that_no_api_server_has_is_told_nothing() -> None:
    assert an_engine(policy=a_policy()).asked("WritePolicyStatus") == []


def test_nothing_new_is_nothing_written() -> None:
    engine = an_engine()
    answer(engine, after_ms=10)
    for _ in range(3):
        engine.send(s.PolicySeen(policy=known()), after_ms=60_000)
        assert engine.asked("WritePolicyStatus") == []
    assert engine.state.timers == []


def test_before_every_source_has_spoken_nothing_is_said() -> None:
    engine = Engine()
    engine.send(s.PolicySeen(policy=known()))
    assert engine.instructions == ()


def test_a_burst_is_told_with_its_money() -> None:
    engine = an_engine()
    answer(engine, s.PodSeen(pod=a_pod(since=T0)), after_ms=APART_MS)
    status = written(engine)
    assert (status.pending, status.bursts) == (0, 1)
    assert status.reserved_micro_usd == engine.burst().status.reserved_micro_usd > 0
    assert told(status)["Active"] == ("True", "BurstsRunning", APART_MS)
    assert told(status)["Accepted"] == ("True", "Valid", 0)


def test_pods_that_no_burst_answers_are_counted() -> None:
    engine = Engine()
    engine.sync(s.PolicySeen(policy=known()), s.PodSeen(pod=a_pod("a")), s.PodSeen(pod=a_pod("b")))
    status = written(engine)
    assert (status.pending, status.bursts) == (2, 0)
    assert told(status)["Active"] == ("True", "PodsPending", 0)


def test_at_most_one_in_five_seconds_and_then_the_latest() -> None:
    engine = an_engine()
    answer(engine, after_ms=1)
    engine.send(s.PolicySeen(policy=known(generation=4)), after_ms=1_000)
    assert engine.asked("WritePolicyStatus") == []
    engine.send(s.PolicySeen(policy=known(generation=5, paused=True)), after_ms=3_998)
    assert engine.asked("WritePolicyStatus") == [], "4,999 ms after the first"
    engine.wait(1)
    status = written(engine)
    assert status.generation == 5
    assert told(status)["Paused"] == ("True", "Paused", APART_MS)
    assert engine.now == T0 + APART_MS
    engine.wait(APART_MS)
    assert engine.asked("WritePolicyStatus") == [], "it says nothing new"


def test_one_that_is_not_answered_is_not_overtaken_for_a_minute() -> None:
    engine = an_engine()
    engine.send(s.PolicySeen(policy=known(generation=4)), after_ms=59_999)
    assert engine.asked("WritePolicyStatus") == []
    engine.wait(1)
    assert written(engine).generation == 4


def test_one_that_could_not_be_written_is_tried_again_with_growing_pauses() -> None:
    engine = an_engine()
    pauses = []
    for _ in range(10):
        asked_at = engine.now
        engine.send(failure())
        assert engine.asked("WritePolicyStatus") == []
        due = min(due for due, _, kind, _ in engine.state.timers if kind == "status")
        engine.send(after_ms=due - engine.now - 1)
        assert engine.asked("WritePolicyStatus") == []
        engine.wait(1)
        assert written(engine).generation == 3
        pauses.append((engine.now - asked_at) // 1_000)
    assert pauses == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    answer(engine)
    engine.send(s.PolicySeen(policy=known(generation=4)), after_ms=APART_MS)
    assert written(engine).generation == 4, "what went well is forgiven"
    asked_at = engine.now
    engine.send(failure(retry_after_ms=7_000))
    engine.wait(6_999)
    assert engine.asked("WritePolicyStatus") == []
    engine.wait(1)
    assert written(engine).generation == 4


def test_a_refused_policy_says_why_and_what_is_kept() -> None:
    engine = an_engine()
    answer(engine)
    engine.state.refused[KEY] = s.PolicyRefused(key=KEY, uid="p-1", generation=4, message="spec.wait: no such mode.")
    engine.wait(APART_MS)
    status = written(engine)
    assert status.generation == 4
    assert told(status)["Accepted"] == ("False", "Invalid", APART_MS)
    assert status.conditions[0].message == (
        "spec.wait: no such mode. Nothing new starts by it; what runs is kept under generation 3."
    )
    del engine.state.refused[KEY]
    answer(engine, after_ms=APART_MS)
    assert told(written(engine))["Accepted"] == ("True", "Valid", 2 * APART_MS)


def test_a_policy_that_was_never_valid_is_told_so_too() -> None:
    engine = an_engine()
    for name, uid in (("bad", "p-2"), ("worse", "")):
        engine.state.refused[f"bank/{name}"] = s.PolicyRefused(key=f"bank/{name}", uid=uid, generation=1, message="No.")
    engine.wait(1)
    status = written(engine)
    assert (status.policy, status.generation, status.pending, status.bursts) == ("bank/bad", 1, 0, 0)
    assert status.conditions[0].message == "No. Nothing starts by it."
    assert told(status)["Active"] == ("False", "NoDemand", 1)


def test_what_was_said_of_a_deleted_policy_is_forgotten() -> None:
    engine = an_engine()
    engine.send(s.PolicyGone(key=KEY))
    assert engine.state.policy_statuses == {}
    engine.send(s.PolicyStatusWritten(policy=KEY), failure())
    engine.send(s.PolicySeen(policy=known(uid="p-2", generation=1)), after_ms=1)
    assert written(engine).generation == 1


def test_a_burst_of_the_same_name_is_not_meant() -> None:
    engine = an_engine(s.PodSeen(pod=a_pod()))
    before = engine.burst()
    engine.send(failure(subject=before.key, key=f"policy-status/{before.key}"))
    assert engine.burst() == before
    assert engine.asked("RecordBurst") == []


def test_what_was_spent_is_this_months() -> None:
    engine = an_engine()
    spend = s.Spend(burst="bank/b", uid="u", policy=KEY, target="azure", at_ms=T0, micro_usd=70_000)
    answer(engine, s.LedgerRestored(entries=(spend,)), after_ms=APART_MS)
    assert written(engine).spent_micro_usd == 70_000
    answer(engine)
    february = 1_769_904_000_000  # 2026-02-01T00:00:00Z
    assert engine.state.timers[0][0] == february
    engine.wait(february - engine.now - 1)
    assert engine.asked("WritePolicyStatus") == []
    engine.wait(1)
    assert written(engine).spent_micro_usd == 0


def test_a_policy_whose_demand_is_a_number_tells_it() -> None:
    fallback = Fallback(failure_threshold=3, replicas=2)
    engine = Engine()
    engine.sync(s.PolicySeen(policy=known(scaling=Scaling(fallback=fallback))))
    assert written(engine).replicas is None
    assert told(written(engine))["Fallback"] == ("False", "TriggersAnswer", 0)
    answer(engine)
    scaler = engine.state.policies[KEY].scaler = Scaler(created_at_ms=T0, number=3)
    engine.wait(APART_MS)
    status = written(engine)
    assert status.replicas == 3
    assert told(status)["Active"] == ("True", "ReplicasWanted", APART_MS)
    assert [one.type for one in status.conditions] == ["Accepted", "Ready", "Active", "Fallback", "Paused"]
    scaler.fallback = True
    answer(engine, after_ms=APART_MS)
    assert told(written(engine))["Fallback"] == ("True", "TriggersFail", 2 * APART_MS)
    scaler.number, scaler.active = 0, True
    answer(engine, after_ms=APART_MS)
    assert written(engine).replicas == 0
    assert told(written(engine))["Active"] == ("True", "ReplicasWanted", APART_MS)
    scaler.active = False
    answer(engine, after_ms=APART_MS)
    assert told(written(engine))["Active"][:2] == ("False", "NoDemand")


def test_a_breaker_that_opened_is_told() -> None:
    engine = an_engine()
    answer(engine)
    engine.state.policies[KEY].tripped = Reason(code="X", sentence="Every launch has failed.")
    engine.wait(APART_MS)
    paused = written(engine).conditions[-1]
    assert (paused.type, paused.status, paused.reason) == ("Paused", "True", "BreakerOpen")
    assert paused.message == "Every launch has failed. Nothing new starts until the policy is edited."


def test_several_are_told_in_order_of_their_names() -> None:
    engine = Engine()
    engine.sync(*(s.PolicySeen(policy=known(name=name)) for name in ("c", "a", "b")))
    assert [one.policy for one in engine.asked("WritePolicyStatus")] == ["bank/a", "bank/b", "bank/c"]


def ready(engine: Engine) -> tuple[str, str, str]:
    (found,) = [one for one in written(engine).conditions if one.type == "Ready"]
    return found.status, found.reason, found.message


def test_a_policy_without_a_target_is_not_ready() -> None:
    engine = Engine()
    engine.sync(s.PolicySeen(policy=known()))
    assert ready(engine) == ("False", "TargetMissing", "There is no valid BurstTarget azure.")


def test_a_policy_that_is_being_deleted_is_not_ready() -> None:
    engine = an_engine()
    answer(engine, s.PolicySeen(policy=known(), deleting=True), after_ms=APART_MS)
    assert ready(engine)[:2] == ("False", "PolicyLeaving")


def test_a_number_that_an_hpa_owns_is_said_so_and_is_not_touched() -> None:
    owned = msgspec.structs.replace(cloud(1), owner="HorizontalPodAutoscaler web")
    world = Cluster(msgspec.structs.replace(a_scaling_policy(), uid="uid-s"), workload=owned)
    assert ready(world) == (
        "False",
        "ScaleTargetOwned",
        (
            "HorizontalPodAutoscaler web sets the number of Deployment cloud-deployment: burster does not touch it. "
            "Remove that, or let the strategy be Signal."
        ),
    )
    world.reads(4)
    world.run(60)
    assert world.history == []


def test_a_restart_keeps_since_when_each_condition_holds() -> None:
    before = {"Ready": ("True", T0 - 60_000), "Paused": ("True", T0 - 60_000), "Active": ("False", T0 + 60_000)}
    engine = Engine()
    engine.sync(s.PolicySeen(policy=known(), told=before), s.TargetSeen(target=a_target()))
    assert {kind: (status, since) for kind, (status, _, since) in told(written(engine)).items()} == {
        "Accepted": ("True", 0),
        "Ready": ("True", -60_000),
        "Active": ("False", 0),
        "Paused": ("False", 0),
    }, "what turned meanwhile has turned now, and nothing has turned in the future"


def test_a_restart_does_not_tell_of_a_refusal_again() -> None:
    before = {"Accepted": ("False", T0 - 60_000), "Ready": ("False", T0 - 60_000)}
    engine = Engine()
    engine.sync(s.PolicyRefused(key=KEY, uid="p-1", generation=3, message="No.", told=before))
    assert told(written(engine))["Accepted"] == ("False", "Invalid", -60_000)
    assert engine.asked("EmitEvent") == []


def test_what_a_status_says_later_is_not_believed_over_what_is_known() -> None:
    engine = an_engine()
    forged = {"Paused": ("True", 0), "Ready": ("False", 0)}
    answer(engine, s.PolicySeen(policy=known(generation=4), told=forged), after_ms=APART_MS)
    assert told(written(engine))["Ready"] == ("True", "Ready", 0)
