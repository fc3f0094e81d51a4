"""The loop: written down before it is done; where that fails, nothing new begins and nothing that was settled is lost."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from burster.engine import StepResult, snapshot
from burster.ledger import LedgerUnwritableError
from burster.model import stimuli as s
from burster.model.instructions import Instruction
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger, WorkloadRef
from burster.runtime.batcher import Batcher
from burster.runtime.bus import Bus
from burster.runtime.loop import ClockWentBackError, Loop
from tests.support.builders import T0, a_pod, a_policy, a_target, a_workload, an_offering


class StillClock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = T0

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    async def settled(self) -> None:
        await asyncio.sleep(0)


class FakeLedger:
    def __init__(self) -> None:
        self.full = False
        self.steps: list[Sequence[s.Stimulus]] = []
        self.spends: list[s.Spend] = []
        self.snapshots: list[bytes | None] = []

    def append_step(
        self,
        at_ms: int,
        stimuli: Sequence[s.Stimulus],
        decisions: Any,
        spends: Sequence[s.Spend],
        *,
        snapshot: bytes | None = None,
    ) -> int:
        if self.full:
            raise LedgerUnwritableError("the disk is full")
        self.steps.append(tuple(stimuli))
        self.snapshots.append(snapshot)
        self.spends.extend(spends)
        return len(self.steps)


class FakeExecutor:
    def __init__(self) -> None:
        self.idle = asyncio.Event()
        self.idle.set()
        self.room = asyncio.Event()
        self.room.set()
        self.asked: list[Instruction] = []

    def submit(self, instructions: Sequence[Instruction]) -> None:
        self.asked.extend(instructions)

    def kinds(self) -> list[str]:
        return [name for one in self.asked if (name := type(one).__name__) != "EmitEvent"]


class Rig:
    def __init__(self) -> None:
        self.bus, self.clock, self.ledger, self.executor = Bus(), StillClock(), FakeLedger(), FakeExecutor()
        batcher = Batcher(self.bus, self.clock, idle=lambda: self.executor.idle, max_delay_ms=200, max_stimuli=1_000)
        parts: Any = {"bus": self.bus, "batcher": batcher, "executor": self.executor, "ledger": self.ledger}
        self.loop = Loop(**parts, clock=self.clock)
        self.tell(
            s.PolicySeen(policy=a_policy()),
            s.TargetSeen(target=a_target()),
            s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
            *(s.SourceSynced(source=name) for name in ("pods", "policies", "targets", "bursts", "cloud-pods")),
        )

    def tell(self, *facts: s.Stimulus) -> StepResult:
        return self.loop.step(list(facts))

    def settle(self, most: int = 20) -> int:
        """Take steps until nothing waits on the bus; return how many that took."""
        for steps in range(most):
            if not len(self.bus):
                return steps
            self.loop.step(self.bus.take(1_000))
        raise AssertionError("the loop keeps itself busy")


def test_a_clock_that_is_put_far_back_ends_the_controller_and_a_little_is_waited_out() -> None:
    """For the engine no time passes until the clock is there again: no lease would end meanwhile, whatever it costs."""
    rig = Rig()
    rig.clock.now += 3_600_000
    rig.tell()
    rig.clock.now -= 60_000
    rig.tell(s.PodSeen(pod=a_pod()))
    assert rig.executor.kinds() == ["RecordBurst"]
    rig.clock.now -= 1
    with pytest.raises(ClockWentBackError, match=r"put back by 1m0\.001s"):
        rig.tell()
    rig.clock.now += 1
    rig.tell()


CLOUD = WorkloadRef(name="cloud")


def read(rig: Rig, value_milli: int) -> s.MetricRead:
    return s.MetricRead(policy="bank/scale", trigger="x", at_ms=rig.clock.now, value_milli=value_milli)


async def test_a_decision_is_written_down_before_it_is_carried_out() -> None:
    rig = Rig()
    order: list[str] = []
    append, submit = rig.ledger.append_step, rig.executor.submit
    rig.ledger.append_step = lambda *a: (order.append("written"), append(*a))[1]  # type: ignore[method-assign]
    rig.executor.submit = lambda a: (order.append("asked for"), submit(a))[1]  # type: ignore[method-assign]
    rig.tell(s.PodSeen(pod=a_pod()))
    assert order == ["written", "asked for"]
    assert rig.executor.kinds() == ["RecordBurst"]


async def test_while_the_ledger_is_full_nothing_begins_and_the_loop_does_not_spin() -> None:
    rig = Rig()
    rig.ledger.full = True
    rig.tell(s.PodSeen(pod=a_pod()))
    assert rig.executor.kinds() == []
    assert rig.settle() <= 2
    assert not rig.loop.state.bursts
    assert not rig.loop.state.writable
    rig.ledger.full = False
    rig.clock.now += 15_000
    rig.tell(s.Tick(kind="evaluate"))
    rig.settle()
    assert rig.executor.kinds() == ["RecordBurst"], "a tick finds out that it can be written again"


async def test_the_first_step_after_those_that_could_not_be_written_carries_the_state() -> None:
    rig = Rig()
    rig.tell(s.PodSeen(pod=a_pod("p-1")))
    assert rig.ledger.snapshots[-1] is None
    rig.ledger.full = True
    rig.tell(s.PodSeen(pod=a_pod("p-2")))
    rig.settle()
    rig.ledger.full = False
    rig.clock.now += 15_000
    rig.tell(s.Tick(kind="evaluate"))
    (state,) = [one for one in rig.ledger.snapshots if one is not None]
    assert "bank/p-2" in snapshot.restore(state).pods, "what was not written is in the state"
    rig.tell(s.PodSeen(pod=a_pod("p-3")))
    assert rig.ledger.snapshots[-1] is None


async def test_a_loop_that_is_held_decides_nothing_more() -> None:
    rig = Rig()
    running = asyncio.create_task(rig.loop.run())
    rig.loop.hold()
    steps = rig.loop.steps_total
    rig.bus.post(s.PodSeen(pod=a_pod()))
    for _ in range(20):
        await asyncio.sleep(0)
    assert rig.loop.steps_total == steps
    running.cancel()


async def test_a_number_that_could_not_be_written_down_is_held_back_once_and_one_that_ends_work_never() -> None:
    rig = Rig()
    scaled = a_policy(
        "scale",
        strategy="Scale",
        triggers=(ExternalTrigger(name="x"),),
        scaling=Scaling(target=CLOUD, restore_to_original=True),
    )
    rig.tell(s.PolicySeen(policy=scaled), a_workload(0), read(rig, 2_000))
    assert rig.executor.kinds() == ["SetScale"]
    rig.tell(s.ScaleSet(policy="bank/scale", replicas=1), a_workload(1))
    rig.executor.asked.clear()
    rig.ledger.full = True
    rig.clock.now += 15_000
    rig.tell(read(rig, 3_000))
    assert rig.executor.kinds() == []
    rig.settle()
    assert not rig.loop.state.writable
    rig.tell(s.PolicyGone(key="bank/scale"))
    rig.clock.now += 60_000
    rig.tell(s.Tick(kind="evaluate"))
    assert rig.executor.kinds() == ["SetScale"], "what ends goes on"
    assert rig.executor.asked[-1].replicas == 0


async def test_what_ends_goes_on_and_its_cost_is_written_later() -> None:
    rig = Rig()
    rig.tell(s.PodSeen(pod=a_pod()))
    key = next(iter(rig.loop.state.bursts))
    rig.tell(s.BurstRecorded(key=key, uid="b"))
    rig.tell(s.PodPlaced(key=key, pod_uid="p"))
    rig.ledger.full = True
    rig.tell(s.CloudPodGone(burst_uid="b", burst_key=key, pod_uid="p"))
    assert rig.executor.kinds()[-1] == "ObserveVms"
    rig.tell(s.VmsObserved(key=key, vms=()))
    rig.clock.now += 60_000  # until no listing can hide one any more
    rig.tell(s.Tick(kind="evaluate"))
    rig.tell(s.VmsObserved(key=key, vms=()))
    rig.settle()
    assert rig.loop.state.bursts[key].burst.status.phase == "Released"
    assert rig.ledger.spends == []
    rig.ledger.full = False
    for _ in range(3):
        rig.tell(s.Tick(kind="evaluate"))
        rig.settle()
    assert [spend.burst for spend in rig.ledger.spends] == [key], "once, and not lost"


async def test_ticks_with_nothing_to_do_leave_no_trace() -> None:
    rig = Rig()
    before = len(rig.ledger.steps)
    rig.tell(s.Tick(kind="evaluate"))
    assert len(rig.ledger.steps) == before


async def test_listeners_are_shown_every_step() -> None:
    rig = Rig()
    shown: list[int] = []
    rig.loop.listen(lambda batch, _result, _now: shown.append(len(batch)))
    rig.tell(s.PodSeen(pod=a_pod()), s.Tick(kind="evaluate"))
    rig.tell()
    assert shown == [2, 0]
