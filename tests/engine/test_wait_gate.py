"""Buy or wait: the numbers on both sides of every line of the rule."""

from typing import Any

import pytest

from burster.engine.answers import Refusal
from burster.engine.releasing import wait
from burster.model import stimuli as s
from burster.model.pods import Pod
from burster.model.policies import Wait
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


HOUR = 3_600_000
MINUTE = 60_000
RENT = 120_000  #: micro-USD per hour of the 2-vCPU offering


def an_engine(**rules: Any) -> Engine:
    engine = Engine()
    values: dict[str, Any] = {"mode": "BuyOrWait", "expected_run_ms": HOUR, "max_wait_ms": HOUR}
    engine.sync(
        s.PolicySeen(policy=a_policy(wait=Wait(**(values | rules)))),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    return engine


def gate(engine: Engine, pod: Pod | None = None, price: int = RENT) -> Refusal | None:
    policy = engine.state.policies["bank/tasks"]
    return wait.wait_gate(engine.state, policy, pod or a_pod(), an_offering(2), price)


def numbers(answer: Refusal | None) -> dict[str, int]:
    assert answer is not None
    return answer.reason.numbers


@pytest.mark.parametrize("mode", ["AtOnce", "PendingFor"])
def test_who_does_not_ask_for_it_never_waits(mode: str) -> None:
    assert gate(an_engine(mode=mode)) is None


@pytest.mark.parametrize(("waited_ms", "waits"), [(HOUR - 1, True), (HOUR, False), (HOUR + 1, False)])
def test_nobody_waits_for_longer_than_the_policy_says(waited_ms: int, waits: bool) -> None:
    engine = an_engine()
    answer = gate(engine, a_pod(since=T0 - waited_ms))
    assert (answer is not None) == waits
    if answer is not None:
        assert answer.again_at_ms == T0 + 1


def test_a_pod_the_scheduler_has_not_judged_has_all_its_time_left() -> None:
    assert numbers(gate(an_engine(), a_pod(since=None)))["expected_wait_ms"] == HOUR


def test_where_nobody_knows_the_pace_all_the_time_that_is_left_is_expected() -> None:
    answer = gate(an_engine(), a_pod(since=T0 - 20 * MINUTE))
    assert numbers(answer) == {
        "expected_wait_ms": 40 * MINUTE,
        "start_ms": 90_000,
        "run_ms": HOUR,
        "rent_micro_usd": 123_000,  # 61 1/2 minutes at 0.12
        "saved_micro_usd": 0,
    }
    assert answer is not None
    assert (answer.verdict, answer.reason.code, answer.whole_policy) == ("Wait", "WaitIsCheaper", False)
    assert answer.again_at_ms == T0 + MINUTE
    assert answer.reason.sentence == (
        "On-prem is expected to take it within 40m; renting costs $0.1230 and would save waiting worth $0.0000."
    )


# 38.5 of 40 minutes are saved; at 61.5 minutes' rent the tie is at 123,000 x 60 / 38.5 = 191,688.3 an hour
@pytest.mark.parametrize(("value", "saved", "waits"), [(191_688, 122_999, True), (191_689, 123_000, False)])
def test_it_goes_when_what_is_saved_is_worth_the_rent(value: int, saved: int, waits: bool) -> None:
    engine = an_engine(value_micro_usd_per_hour=value)
    answer = gate(engine, a_pod(since=T0 - 20 * MINUTE))
    assert (answer is not None) == waits
    if answer is not None:
        assert numbers(answer)["saved_micro_usd"] == saved


def test_what_is_free_is_taken_at_once() -> None:
    assert gate(an_engine(), price=0) is None


@pytest.mark.parametrize(
    ("run_ms", "code"), [(89_999, "TooShortToMove"), (90_000, ""), (90_001, ""), (0, "TooShortToMove")]
)
def test_what_runs_for_less_time_than_a_start_takes_waits(run_ms: int, code: str) -> None:
    answer = gate(an_engine(expected_run_ms=run_ms, value_micro_usd_per_hour=10**12))
    assert (answer.reason.code if answer else "") == code


def test_the_sentence_of_a_short_run() -> None:
    answer = gate(an_engine(expected_run_ms=30_000))
    assert answer is not None
    assert (
        answer.reason.sentence == "It runs for about 30s, and a start in the cloud takes 1m30s: it waits for on-prem."
    )
    assert numbers(answer)["run_ms"] == 30_000


def test_a_wait_that_is_shorter_than_the_start_saves_nothing() -> None:
    engine = an_engine(value_micro_usd_per_hour=10**9)
    answer = gate(engine, a_pod(since=T0 - HOUR + 90_000))
    assert numbers(answer)["expected_wait_ms"] == 90_000
    assert numbers(answer)["saved_micro_usd"] == 0
    assert gate(engine, a_pod(since=T0 - HOUR + 91_000)) is None, "one second is worth more than the rent"


def bound(engine: Engine, *ago_ms: int) -> None:
    engine.state.learned.since_ms = T0 - 10 * HOUR
    engine.state.learned.bound["bank/tasks"] = [engine.now - ago for ago in sorted(ago_ms, reverse=True)]


@pytest.mark.parametrize(
    ("ago_ms", "expected_ms"),
    [
        pytest.param((MINUTE, 2 * MINUTE, 3 * MINUTE), 10 * MINUTE, id="three in half an hour"),
        pytest.param((30 * MINUTE - 1,), 30 * MINUTE, id="just within the window"),
        pytest.param((30 * MINUTE,), HOUR, id="just outside: nobody knows"),
        pytest.param((0, 1, 2, 3, 4, 5, 6), 257_143, id="rounded up"),
    ],
)
def test_the_pace_is_how_many_nodes_took_in_the_last_half_hour(ago_ms: tuple[int, ...], expected_ms: int) -> None:
    engine = an_engine()
    bound(engine, *ago_ms)
    assert numbers(gate(engine))["expected_wait_ms"] == expected_ms


@pytest.mark.parametrize(
    ("watched_ms", "expected_ms"),
    [
        (0, 5 * MINUTE),
        (5 * MINUTE, 5 * MINUTE),
        (5 * MINUTE + 1, 5 * MINUTE + 1),
        (30 * MINUTE, 30 * MINUTE),
        (31 * MINUTE, 30 * MINUTE),
    ],
)
def test_the_time_watched_is_what_the_pace_is_measured_over(watched_ms: int, expected_ms: int) -> None:
    engine = an_engine()
    bound(engine, 0)
    engine.state.learned.since_ms = engine.now - watched_ms
    assert numbers(gate(engine))["expected_wait_ms"] == expected_ms


def test_before_anything_is_ready_the_shortest_time_counts_as_watched() -> None:
    engine = an_engine()
    bound(engine, 0)
    engine.state.learned.since_ms = None
    assert numbers(gate(engine))["expected_wait_ms"] == 5 * MINUTE


def test_a_full_memory_is_measured_from_its_oldest() -> None:
    engine = an_engine()
    bound(engine, *(1_000 * number for number in range(1, 257)))
    assert numbers(gate(engine))["expected_wait_ms"] == 1_000
    bound(engine, *(1_000 * number for number in range(1, 256)))
    assert numbers(gate(engine))["expected_wait_ms"] == -(-30 * MINUTE // 255)
    bound(engine, *([0] * 256))
    assert numbers(gate(engine))["expected_wait_ms"] == 1, "never nothing"


@pytest.mark.parametrize("stale", [False, True])
def test_pods_before_it_are_those_of_higher_priority_and_those_that_have_waited_longer(stale: bool) -> None:
    engine = an_engine(max_wait_ms=100 * HOUR)
    others = [
        a_pod("important", priority=5, since=T0 - 1),
        a_pod("older", since=T0 - 3),
        a_pod("alike", since=T0 - 2),
        a_pod("younger", since=T0 - 1),
        a_pod("minor", priority=-1, since=T0 - 9),
    ]
    engine.send(*(s.PodSeen(pod=pod) for pod in others))
    if stale:
        engine.send(s.PodLeft(namespace="bank", name="older", uid="uid-older", why="Gone"))
    bound(engine, 0)
    before = 1 if stale else 2
    assert numbers(gate(engine, others[2]))["expected_wait_ms"] == (before + 1) * 30 * MINUTE


def test_a_start_is_the_median_of_the_latest() -> None:
    engine = an_engine()
    assert wait.start_time_ms(engine.state, "azure") == 90_000
    for took in (70_000, 50_000):
        wait.note_start(engine.state, "azure", took)
    assert wait.start_time_ms(engine.state, "azure") == 50_000, "the lower of two, one that was seen"
    wait.note_start(engine.state, "azure", 60_000)
    assert wait.start_time_ms(engine.state, "azure") == 60_000
    assert wait.start_time_ms(engine.state, "other") == 90_000
    for _ in range(31):
        wait.note_start(engine.state, "azure", 7)
    assert engine.state.learned.starts["azure"] == [7] * 31
    wait.note_start(engine.state, "azure", -5)
    assert engine.state.learned.starts["azure"] == [7] * 30 + [0]


def test_a_run_is_what_is_declared_else_learned_else_the_lease() -> None:
    engine = an_engine(expected_run_ms=None)
    policy = engine.state.policies["bank/tasks"]
    assert wait.run_time_ms(engine.state, policy) == 3_000_000
    wait.note_run(engine.state, "bank/tasks", 5_000)
    assert wait.run_time_ms(engine.state, policy) == 5_000
    for _ in range(40):
        wait.note_run(engine.state, "bank/other", -9_000)
    assert engine.state.learned.runs["bank/other"] == [0] * 31
    assert wait.run_time_ms(engine.state, policy) == 5_000
    declared = an_engine(expected_run_ms=0)
    wait.note_run(declared.state, "bank/tasks", 5_000)
    assert wait.run_time_ms(declared.state, declared.state.policies["bank/tasks"]) == 0


def test_runs_and_starts_are_learned_from_what_happens() -> None:
    engine = an_engine(mode="PendingFor", expected_run_ms=None)
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.to_serving()
    assert engine.state.learned.starts == {"azure": [60_020]}
    engine.send(engine.pod_event("Succeeded", burst.key), after_ms=480_000)
    assert engine.state.learned.runs == {"bank/tasks": [480_000]}


def test_a_run_that_failed_teaches_nothing() -> None:
    engine = an_engine(mode="PendingFor")
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.to_serving()
    engine.send(engine.pod_event("Failed", burst.key), after_ms=1_000)
    assert engine.state.learned.runs == {}


def test_the_pace_is_learned_from_pods_that_nodes_take_and_no_others() -> None:
    engine = an_engine()
    assert engine.state.learned.since_ms == T0
    engine.send(*(s.PodSeen(pod=a_pod(name)) for name in ("a", "b")))
    engine.send(s.PodLeft(namespace="bank", name="a", uid="uid-a", why="Bound"), after_ms=5_000)
    engine.send(s.PodLeft(namespace="bank", name="b", uid="uid-b", why="Gone"), after_ms=5_000)
    assert engine.state.learned.bound == {"bank/tasks": [T0 + 5_000]}


def test_what_was_learned_is_bounded_and_forgotten() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod("a")))
    for _ in range(300):
        wait.note_bound(engine.state, "bank/tasks")
    assert len(engine.state.learned.bound["bank/tasks"]) == 256
    wait.note_bound(engine.state, "bank/gone")
    wait.note_run(engine.state, "bank/gone", 1)
    wait.note_run(engine.state, "bank/tasks", 1)
    wait.note_start(engine.state, "gone", 1)
    wait.note_start(engine.state, "azure", 1)
    engine.send(s.Tick(kind="gc"), after_ms=30 * MINUTE - 1)
    assert set(engine.state.learned.bound) == {"bank/tasks"}
    assert (engine.state.learned.runs, engine.state.learned.starts) == ({"bank/tasks": [1]}, {"azure": [1]})
    engine.send(s.Tick(kind="gc"), after_ms=1)
    assert engine.state.learned.bound == {}


def test_a_pod_waits_is_told_so_and_goes_when_its_time_is_over() -> None:
    engine = an_engine(max_wait_ms=150_000)
    engine.send(s.PodSeen(pod=a_pod()))
    assert engine.codes("bank/task-1") == ["WaitIsCheaper"]
    engine.wait(149_999)
    assert not engine.asked("RecordBurst")
    engine.wait(1)
    assert engine.asked("RecordBurst")


def test_every_pod_is_judged_by_its_own_place_in_the_queue() -> None:
    engine = an_engine(value_micro_usd_per_hour=400_000, max_wait_ms=10 * HOUR)
    bound(engine, *(MINUTE * number for number in range(6)))  # one in five minutes
    engine.send(*(s.PodSeen(pod=a_pod(f"task-{number}", since=T0 - 10 + number)) for number in range(9)))
    gone = [one.burst.spec.pod_name for one in engine.asked("RecordBurst")]
    # 123,000 is what 18 min 27 s are worth at 0.40 an hour; with the start that is 19 min 57 s, the fourth in the queue
    assert gone == ["task-3", "task-4", "task-5", "task-6", "task-7", "task-8"]
    assert engine.codes("bank/task-0") == ["WaitIsCheaper"]
