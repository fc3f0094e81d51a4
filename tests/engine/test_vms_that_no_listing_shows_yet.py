"""A listing that lags: "no VM" is not believed while one may be hidden, and what is settled is never less than the bill."""

import math

import msgspec
import pytest

from burster.engine.bursts.lifecycle_actions import LIST_LAG_MAX_MS
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst, BurstStatus
from tests.support.builders import T0, Engine, a_policy, a_service_pod, a_target, a_vm, an_offering


SECOND = 1_000
PRICE = 120_000  # micro-USD an hour, of the offering


def rules() -> list[s.Stimulus]:
    return [
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    ]


def placed(engine: Engine) -> Burst:
    """Bring a clone to where its pod is made and no VM was seen."""
    engine.sync(*rules(), s.PodSeen(pod=a_service_pod("web-1")))
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="b-1"))
    engine.send(s.PodPlaced(key=key, pod_uid="p-1"))
    return engine.burst(key)


def withdraw(engine: Engine, key: str) -> None:
    """End it right after its placing: demand goes, the cloud shows nothing, and the pod goes."""
    engine.send(s.PodLeft(namespace="bank", name="web-1", uid="uid-web-1", why="Bound"))
    engine.send(s.VmsObserved(key=key, vms=()))
    engine.send(s.PodDeleted(key=key))
    engine.send(s.CloudPodGone(burst_uid="b-1", burst_key=key, pod_uid="p-1"), after_ms=SECOND)
    assert engine.phase(key) == "Releasing"


def test_no_vm_right_after_the_placing_is_not_the_last_word(ready: Engine) -> None:
    engine = Engine()
    burst = placed(engine)
    withdraw(engine, burst.key)
    asked = 0
    for _ in range(LIST_LAG_MAX_MS // SECOND):
        if engine.asked("ObserveVms"):
            asked += 1
            engine.send(s.VmsObserved(key=burst.key, vms=()))
        assert engine.phase(burst.key) == "Releasing"
        assert engine.state.policies["bank/tasks"].account.outstanding_micro_usd > 0
        engine.wait(SECOND)
    assert 6 <= asked <= 20, "often enough to see a VM that lives for half a minute, and no hot loop"
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    assert engine.phase(burst.key) == "Released"
    assert engine.spends[0].micro_usd == 0, "there never was one"


def test_an_answer_to_a_question_of_before_is_not_the_last_word_however_late_it_comes() -> None:
    engine = Engine()
    burst = placed(engine)
    withdraw(engine, burst.key)
    assert engine.asked("ObserveVms")
    engine.send(s.VmsObserved(key=burst.key, vms=()), after_ms=LIST_LAG_MAX_MS)
    assert engine.phase(burst.key) == "Releasing"
    assert engine.asked("ObserveVms"), "asked again at once"
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    assert engine.phase(burst.key) == "Released"


def test_a_vm_that_comes_to_light_late_is_paid_for_from_its_creation() -> None:
    engine = Engine()
    burst = placed(engine)
    withdraw(engine, burst.key)
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    engine.wait(20 * SECOND)
    engine.send(s.VmsObserved(key=burst.key, vms=(a_vm(burst, created_at=T0),)))
    assert engine.burst(burst.key).status.vms
    engine.wait(40 * SECOND)
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    assert engine.phase(burst.key) == "Released"
    assert engine.spends[0].micro_usd == -(-PRICE * 61 * SECOND // 3_600_000)


def test_a_vm_that_only_the_listing_still_tells_of_is_paid_for() -> None:
    engine = Engine()
    burst = placed(engine)
    withdraw(engine, burst.key)
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    engine.wait(40 * SECOND)
    ours, earlier = a_vm(burst, created_at=T0 + SECOND), a_vm(burst, created_at=T0 - SECOND, name="podvm-x-00000000")
    engine.send(s.VmsObserved(key=burst.key, vms=(), gone=(ours, earlier)))
    assert engine.burst(burst.key).status.vms == (ours.name,), "what was made before the decision was another's"
    engine.wait(20 * SECOND)
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    assert engine.spends[0].micro_usd == -(-PRICE * 40 * SECOND // 3_600_000)


def test_a_pod_that_ran_has_had_its_vm_for_long_and_one_that_was_never_placed_has_none() -> None:
    engine = Engine()
    engine.sync(*rules(), s.PodSeen(pod=a_service_pod("web-1")))
    served = engine.to_serving().key
    engine.send(
        s.CloudPodGone(
            burst_uid=engine.burst(served).uid, burst_key=served, pod_uid=engine.burst(served).status.pod_uid
        )
    )
    engine.send(s.VmsObserved(key=served, vms=()))
    assert engine.phase(served) == "Released"
    engine.send(s.PodSeen(pod=a_service_pod("db-1", deployment="db")))
    key = next(key for key in engine.state.bursts if engine.phase(key) == "Reserved" and "db" in key)
    engine.send(s.BurstRecorded(key=key, uid="b-2"))
    engine.send(
        s.InstructionFailed(instruction="PlacePod", key=f"place/{key}", subject=key, kind="Invalid", message="no")
    )
    assert engine.phase(key) == "Released"


# -- adopted


@pytest.mark.parametrize("phase", ["Provisioning", "Draining", "Failed", "Releasing"])
def test_a_pod_that_came_and_went_unwatched_costs_the_time_since_its_placing(phase: str) -> None:
    before = placed(Engine())
    status = msgspec.structs.replace(before.status, phase=phase)
    record = msgspec.structs.replace(before, uid="b-1", status=status)
    engine = Engine()
    engine.now = T0 + 600 * SECOND
    engine.sync(*rules(), s.BurstSeen(burst=record))
    assert engine.asked("ObserveVms")
    engine.send(s.VmsObserved(key=record.key, vms=()))
    assert engine.phase(record.key) == "Releasing"
    engine.wait(60 * SECOND)
    engine.send(s.VmsObserved(key=record.key, vms=()))
    assert engine.phase(record.key) == "Released"
    assert engine.spends[0].micro_usd == -(-PRICE * 660 * SECOND // 3_600_000), "never less than the truth"


def test_a_pod_that_comes_to_light_after_its_placing_was_given_up_is_placed_since_it_was_made() -> None:
    engine = Engine()
    engine.sync(*rules(), s.PodSeen(pod=a_service_pod("web-1")))
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="b-1"))
    for kind in ("Timeout", "NotFound"):
        engine.send(
            s.InstructionFailed(instruction="PlacePod", key=f"place/{key}", subject=key, kind=kind, message="?"),
            after_ms=2 * SECOND,
        )
    assert engine.phase(key) == "Releasing"
    engine.send(engine.pod_event("Pending", key, created_at_ms=T0 + SECOND), after_ms=10 * SECOND)
    assert (engine.phase(key), engine.burst(key).status.placed_at_ms) == ("Draining", T0 + SECOND)


class World:
    """One clone's cluster and cloud in steps of a second: a VM for its pod, a listing that lags, a record that outlives controllers."""

    def __init__(self, lag_s: int) -> None:
        self.engine = Engine()
        self.now_s = 0
        self.lag_s = lag_s
        self.record: Burst | None = None
        self.pod_since_s: int | None = None
        self.pod_until_s: int | None = None
        self.going = False  #: the pod's deletion was asked for
        self.told_gone = False
        self.vm: tuple[int, int | None] | None = None  #: made, gone
        self.answers: list[tuple[int, s.Stimulus]] = []

    def start(self, *facts: s.Stimulus) -> None:
        """Start a controller, the first or a successor."""
        self.engine, self.answers = Engine(), []
        self.engine.now = T0 + self.now_s * SECOND
        seen: list[s.Stimulus] = [*rules(), *facts]
        if self.record is not None:
            seen.append(s.BurstSeen(burst=self.record))
            if self.pod_there():
                seen.append(self.pod())
        self.engine.sync(*seen)
        self.told_gone = self.pod_until_s is not None
        self.carry_out()

    def pod_there(self) -> bool:
        return self.pod_since_s is not None and self.pod_until_s is None

    def pod(self) -> s.CloudPodSeen:
        assert self.record is not None
        assert self.pod_since_s is not None
        return s.CloudPodSeen(
            burst_uid="b-1",
            burst_key=self.record.key,
            pod_uid="p-1",
            phase="Pending",
            terminating=self.going,
            size=self.record.spec.size,
            runtime_class=self.record.spec.runtime_class,
            created_at_ms=T0 + self.pod_since_s * SECOND,
        )

    def carry_out(self, *, writes: bool = True) -> None:
        for one in self.engine.instructions:
            match one:
                case i.RecordBurst(burst=burst):
                    bare = BurstStatus()  # the status is written apart from it
                    self.record = self.record or msgspec.structs.replace(burst, uid="b-1", status=bare)
                    self.say(s.BurstRecorded(key=burst.key, uid="b-1"))
                case i.PlacePod(burst=burst):
                    if self.pod_since_s is None:
                        self.pod_since_s, self.vm = self.now_s, (self.now_s + 1, None)
                    self.say(s.PodPlaced(key=burst.key, pod_uid="p-1"))
                case i.DeletePod(burst=burst):
                    self.say(s.PodDeleted(key=burst.key, gone=not self.pod_there()))
                    self.going = True
                case i.ObserveVms(burst=burst):
                    self.say(self.look(burst))
                case i.WriteStatus(burst=burst) if writes:
                    assert self.record is not None
                    self.record = msgspec.structs.replace(self.record, status=burst.status)
                    self.say(s.StatusWritten(key=burst.key, phase=burst.status.phase))
                case _:
                    pass

    def say(self, answer: s.Stimulus) -> None:
        self.answers.append((self.now_s + 1, answer))

    def look(self, burst: Burst) -> s.VmsObserved:
        assert self.vm is not None or self.pod_since_s is None
        if self.vm is None:
            return s.VmsObserved(key=burst.key, vms=())
        made, gone = self.vm
        vm = a_vm(burst, created_at=T0 + made * SECOND, provisioning_state="Creating")
        then = self.now_s - self.lag_s
        listed = made <= then and (gone is None or then < gone)
        there = made <= self.now_s and gone is None
        if there and (listed or vm.name in burst.status.vms):
            return s.VmsObserved(key=burst.key, vms=(vm,))
        return s.VmsObserved(key=burst.key, vms=(), gone=(vm,) if listed else ())

    def second(self, *facts: s.Stimulus, vm_gone_after_s: int) -> None:
        """Let a second pass: what was asked a second ago is answered, the pod goes, and its VM a while later."""
        self.now_s += 1
        news = [*facts, *(answer for at_s, answer in self.answers if at_s <= self.now_s)]
        self.answers = [(at_s, answer) for at_s, answer in self.answers if at_s > self.now_s]
        if self.going and self.pod_there():
            self.pod_until_s = self.now_s
        if self.vm is not None and self.pod_until_s is not None and self.now_s >= self.pod_until_s + vm_gone_after_s:
            self.vm = (self.vm[0], self.now_s if self.vm[1] is None else self.vm[1])
        if self.pod_until_s is not None and not self.told_gone and self.record is not None:
            self.told_gone = True
            news.append(s.CloudPodGone(burst_uid="b-1", burst_key=self.record.key, pod_uid="p-1"))
        self.engine.send(*news, after_ms=SECOND)

    def bill(self) -> int:
        if self.vm is None:
            return 0
        made, gone = self.vm
        assert gone is not None
        return math.ceil(PRICE * (gone - made) / 3_600)


@pytest.mark.parametrize("vm_gone_after_s", [30, 75])
@pytest.mark.parametrize("lag_s", [0, 1, 5, 20, 35, 50, 58])
@pytest.mark.parametrize("left_at_s", [2, 4, 15, 40])
def test_whatever_the_lag_and_wherever_it_crashes_the_bill_is_paid(
    lag_s: int, left_at_s: int, vm_gone_after_s: int
) -> None:
    left = s.PodLeft(namespace="bank", name="web-1", uid="uid-web-1", why="Bound")
    for crash_at_s in (None, *range(1, 14), *range(14, 80, 5)):
        for wrote in (True, False):
            world = World(lag_s)
            world.start(s.PodSeen(pod=a_service_pod("web-1")))
            while not world.engine.spends and world.now_s < 900:
                facts = (left,) if world.now_s + 1 == left_at_s else ()
                world.second(*facts, vm_gone_after_s=vm_gone_after_s)
                crash = world.now_s == crash_at_s
                world.carry_out(writes=wrote or not crash)
                if crash:
                    waits = world.now_s < left_at_s
                    world.start(*([s.PodSeen(pod=a_service_pod("web-1"))] if waits else []))
                if not world.engine.state.bursts:
                    break
            case = (lag_s, left_at_s, vm_gone_after_s, crash_at_s, wrote)
            settled = sum(one.micro_usd for one in world.engine.spends)
            assert world.engine.spends or world.vm is None, case
            # one look and one lag late, at each end
            most = world.bill() + (math.ceil(PRICE * (62 + lag_s) / 3_600) if world.vm is not None else 0)
            assert world.bill() <= settled <= most, case
