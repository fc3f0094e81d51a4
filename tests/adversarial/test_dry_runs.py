"""A dry run decides as a live controller would, says of all of it that it is dry, and leaves nothing that a live one has to get over."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from burster.adaptors.dry_run import MARK, DryRunAdaptor
from burster.engine import next_due_ms
from burster.ledger import Ledger
from burster.model import stimuli as s
from burster.model.errors import RemoteError
from tests.engine.test_scale_a_workload import KEY, a_scaling_policy, cloud, read
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


HOUR = 3_600_000
PLACE = (s.TargetSeen(target=a_target()), s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))))


class Controller(Engine):
    """An engine, its ledger, and the adaptor of a dry run; what is decided goes the whole way round."""

    def __init__(self, path: Path, *, dry_run: bool = True, at_ms: int = T0) -> None:
        super().__init__()
        self.now = at_ms
        self.ledger = Ledger.open(path, dry_run=dry_run)
        self._adaptor = DryRunAdaptor(self._still_pending, self._still_wanted)
        self._dry = dry_run
        self.value = 4

    def _still_pending(self, key: str, uid: str) -> bool:
        entry = self.state.pods.get(key)
        return entry is not None and entry.pod.uid == uid

    def _still_wanted(self, burst: str) -> bool:
        return self.state.bursts[burst].withdraw is None

    def begin(self, *facts: s.Stimulus) -> None:
        restored = s.LedgerRestored(
            entries=self.ledger.spend(),
            decided=self.ledger.decided_bursts(0),
            originals=self.ledger.originals(0),
            since_ms=T0,
        )
        self.sync(restored, *PLACE, *facts)

    def send(self, *stimuli: s.Stimulus, after_ms: int = 0) -> tuple[Any, ...]:
        for _ in range(20):
            decided, settled = len(self.decisions), len(self.spends)
            asked = super().send(*stimuli, after_ms=after_ms)
            self.ledger.append_step(self.now, stimuli, self.decisions[decided:], self.spends[settled:])
            stimuli, after_ms = tuple(self._answers(asked)) if self._dry else (), 0
            if not stimuli:
                break
        return asked

    def _answers(self, asked: tuple[Any, ...]) -> list[s.Stimulus]:
        answers: list[s.Stimulus] = []
        for instruction in asked:
            try:
                outcome = asyncio.run(self._adaptor.carry_out(instruction))
            except RemoteError as error:
                subject = getattr(instruction, "burst", None)
                outcome = s.InstructionFailed(
                    instruction=type(instruction).__name__,
                    key=instruction.key,
                    subject=subject.key if subject is not None else "",
                    kind=error.kind,
                    code=error.code,
                    message=str(error),
                    retry_after_ms=error.retry_after_ms,
                )
            if outcome is not None:
                answers.append(outcome)
        return answers

    def run(self, duration_ms: int, *facts: s.Stimulus) -> None:
        """Let time pass, from one thing that is due to the next, with the same values read every half minute."""
        until = self.now + duration_ms
        while self.now < until:
            due = next_due_ms(self.state)
            self.now = min(until, self.now + 30_000, max(self.now + 1, due if due is not None else until))
            self.send(*[read(self.value, at=self.now) if isinstance(one, s.MetricRead) else one for one in facts])

    def end(self) -> int:
        self.ledger.close()
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


def decided(controller: Controller, verdict: str) -> list[str]:
    return [one.subject for one in controller.decisions if one.verdict == verdict]


def test_each_pod_is_decided_about_once_and_the_record_is_marked(path: Path) -> None:
    dry = Controller(path)
    dry.begin(s.PolicySeen(policy=a_policy(uid="p")), s.PodSeen(pod=a_pod()))
    dry.run(HOUR)
    assert decided(dry, "Burst") == ["bank/task-1"]
    assert dry.burst().uid.startswith(MARK)
    assert dry.ledger.meta()["dry_run"] == "true"
    dry.end()


def test_switching_it_off_goes_on_from_there_once_without_waiting_anew(path: Path) -> None:
    dry = Controller(path)
    policy = a_policy(uid="p", pending_for_ms=10 * 60_000)
    dry.begin(s.PolicySeen(policy=policy), s.PodSeen(pod=a_pod()))
    dry.run(5 * 60_000)
    assert decided(dry, "Burst") == []
    now = dry.end() + 60_000
    live = Controller(path, dry_run=False, at_ms=now)
    live.begin(s.PolicySeen(policy=policy), s.PodSeen(pod=a_pod()))
    assert live.state.bursts == {}
    live.send(after_ms=T0 + 10 * 60_000 - live.now)
    assert decided(live, "Burst") == ["bank/task-1"], (
        "ten minutes after the pod was unschedulable, not after the restart"
    )
    assert len(live.asked("RecordBurst")) == 1
    live.end()


def test_a_live_start_counts_nothing_that_a_dry_run_decided(path: Path) -> None:
    dry = Controller(path)
    dry.begin(s.PolicySeen(policy=a_policy(uid="p", max_bursts=1)), s.PodSeen(pod=a_pod()))
    dry.run(60_000)
    key = dry.burst().key
    live = Controller(path, dry_run=False, at_ms=dry.end() + 60_000)
    assert (live.ledger.decided_bursts(0), live.ledger.spend()) == ((), ())
    live.begin(s.PolicySeen(policy=a_policy(uid="p", max_bursts=1)), s.PodSeen(pod=a_pod()))
    assert live.burst().key == key, "the same pod, the same name, decided once more and in earnest"
    live.end()


def test_numbers_that_a_dry_run_sets_are_leased_and_their_money_is_nobodys_afterwards(path: Path) -> None:
    dry = Controller(path)
    policy = a_scaling_policy(uid="p")
    dry.begin(s.PolicySeen(policy=policy), cloud(0))
    dry.run(3 * HOUR, read(4))
    granted = [one.reasons[0].numbers.get("granted") for one in dry.decisions if one.verdict == "Scale"]
    assert granted == [1, 4], "as a live controller would, once each"
    assert sum(spend.micro_usd for spend in dry.spends) > 0
    live = Controller(path, dry_run=False, at_ms=dry.end() + 60_000)
    live.begin(s.PolicySeen(policy=policy), cloud(0))
    assert live.state.settled_total_micro_usd == 0
    account = live.state.policies[KEY].account
    assert (account.outstanding_micro_usd, account.window("month", live.now).settled_micro_usd) == (0, 0)
    live.send(read(4, at=live.now), after_ms=1_000)
    assert [one.replicas for one in live.asked("SetScale")] == [1], "from the number that is really there"
    live.end()


def test_clones_that_a_number_asks_for_are_decided_once_wait_and_go_with_the_number(path: Path) -> None:
    dry = Controller(path)
    policy = a_scaling_policy(uid="p", placement={"strategy": "Clone", "disruption_percent": 100})
    dry.begin(s.PolicySeen(policy=policy), cloud(0))
    dry.run(HOUR, read(4))
    assert len(decided(dry, "Burst")) == 4
    assert {one.burst.status.phase for one in dry.state.bursts.values()} == {"Placing"}
    dry.value = 0
    dry.run(HOUR, read(0))
    assert {one.burst.status.phase for one in dry.state.bursts.values()} <= {"Released"}
    assert dry.state.policies[KEY].account.outstanding_micro_usd == 0
    assert dry.state.settled_total_micro_usd == 0, "nothing ran"
    dry.end()
