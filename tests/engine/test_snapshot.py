"""The engine's state as bytes, and back."""

import random

import msgspec
import pytest

from burster.engine import StepResult, snapshot
from burster.engine.accounting.money import BookedWindow
from burster.engine.state import State
from burster.model import stimuli as s
from burster.model.limits import Budget
from burster.model.windows import Window
from tests.support.builders import Engine, a_pod, a_policy, a_service_pod, a_target, an_offering
from tests.support.random_walk import a_world, wander


def a_busy_engine() -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy("tasks", max_bursts=3)),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
    )
    engine.send(*(s.PodSeen(pod=a_pod(f"task-{n}")) for n in range(4)), s.PodSeen(pod=a_service_pod("web-1")))
    engine.to_serving()
    return engine


def test_a_state_is_the_same_after_writing_and_reading():
    engine = a_busy_engine()
    data = snapshot.dump(engine.state)
    again = snapshot.restore(data)
    assert isinstance(again, State)
    assert snapshot.dump(again) == data
    assert sorted(again.bursts) == sorted(engine.state.bursts)
    assert again.timers == engine.state.timers


def test_what_is_one_thing_stays_one_thing():
    again = snapshot.restore(snapshot.dump(a_busy_engine().state))
    policy = again.policies["bank/tasks"]
    assert policy.scope in again.scopes.values()
    assert any(policy.scope is scope for scope in again.scopes.values())


def test_both_go_on_alike():
    engine, other = a_busy_engine(), Engine()
    other.state, other.now = snapshot.restore(snapshot.dump(engine.state)), engine.now
    for after_ms in (1, 60_000, 3_600_000):
        facts = [s.PodSeen(pod=a_pod(f"late-{after_ms}", since=engine.now)), s.Tick(kind="gc")]
        assert engine.send(*facts, after_ms=after_ms) == other.send(*facts, after_ms=after_ms)
    assert engine.decisions[-3:] == other.decisions[-3:]
    assert snapshot.dump(engine.state) == snapshot.dump(other.state)


@pytest.mark.parametrize("seed", range(4))
def test_a_walk_through_anything_is_the_same_with_a_snapshot_after_every_few_steps(seed):
    def walk(every: int) -> list[bytes]:
        world, said, steps = a_world(), [], [0]

        def listen(_batch: list[s.Stimulus], result: StepResult, now_ms: int) -> None:
            said.append(msgspec.json.encode([now_ms, result.instructions, result.decisions, result.spends]))
            steps[0] += 1
            if every and steps[0] % every == 0:
                world.state = snapshot.restore(snapshot.dump(world.state))

        world.listeners.append(listen)
        wander(world, random.Random(seed), 150)
        return said

    assert walk(0) == walk(3)


BAD = {
    "no JSON": (b"{", "no snapshot"),
    "no object": (b"[]", "version None"),
    "no version": (b"{}", "version None"),
    "another version": (b'{"version":99,"state":null}', "of version 99, and version 4 is read"),
    "no state": (b'{"version":4,"state":["Owner","v1","Job","a","u"]}', "holds no state"),
    "nothing": (b'{"version":4,"state":null}', "holds no state"),
    "a class that no state holds": (b'{"version":4,"state":["Popen","ls"]}', "damaged"),
    "too few fields": (b'{"version":4,"state":["State",1]}', "damaged"),
    "something that was never written": (b'{"version":4,"state":["@",7]}', "damaged"),
    "a dictionary without values": (b'{"version":4,"state":["d",[1]]}', "damaged"),
}


@pytest.mark.parametrize(("data", "want"), BAD.values(), ids=BAD)
def test_other_bytes_are_refused(data, want):
    with pytest.raises(snapshot.SnapshotError, match=want):
        snapshot.restore(data)


def test_a_truncated_snapshot_is_refused():
    data = snapshot.dump(a_busy_engine().state)
    with pytest.raises(snapshot.SnapshotError):
        snapshot.restore(data[: len(data) // 2])


def test_a_state_that_holds_something_foreign_can_not_be_written():
    engine = a_busy_engine()
    engine.state.ledger_message = object()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TypeError, match="can't hold a object"):
        snapshot.dump(engine.state)


def test_a_policy_with_windows_and_a_budgets_window_are_told_apart():
    engine = Engine()
    opening = Window(name="day", timezone="Europe/Berlin", start="0 8 * * *", end="0 18 * * *")
    policy = a_policy(windows=(opening,), budget=Budget(per_hour_micro_usd=1_000_000))
    engine.sync(
        s.PolicySeen(policy=policy),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PodSeen(pod=a_pod()),
    )
    again = snapshot.restore(snapshot.dump(engine.state))
    assert again.policies["bank/tasks"].policy == policy
    account = engine.state.policies["bank/tasks"].account
    assert again.policies["bank/tasks"].account.windows == account.windows != {}


def test_two_classes_of_one_name_are_never_taken_for_each_other():
    other = type(Window.__name__, (BookedWindow,), {})
    with pytest.raises(TypeError, match="two classes that are called Window"):
        snapshot._classes(tuple[Window, other])
