"""A world that does its worst around the engine's machines: late, failing, without an answer, taking back, coming up wrong, restarting.

Each instruction is one atomic step that the caller lets happen, fail, or happen without an answer. What must never happen is asserted
where it would: an endpoint of a machine that is not what was demanded, a second machine of one burst, a release while one is left.
"""

from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from burster.engine import StepResult, initial_state, next_due_ms, step
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.errors import RemoteError, RemoteKind
from burster.model.offerings import CloudFailure, Offering
from burster.model.policies import Policy
from burster.model.targets import Target
from tests.support.builders import T0
from tests.support.invariants import check_new_money, check_state
from tests.support.machine_life import a_waiting_vm, the_vm


Coming = Literal["Right", "Wrong", "Failed"]


@dataclass
class CloudMachine:
    burst: Burst
    created_at_ms: int
    coming: Coming
    state: str = "Creating"
    power: str = "running"
    answers: bool = False
    seen: bool = False  #: its record tells of it


class MachineWorld:
    """The world, and the controller in it."""

    def __init__(self, policy: Policy, target: Target, offerings: tuple[Offering, ...]) -> None:
        self.now = T0
        self.policy, self.target, self.offerings = policy, target, offerings
        self.records: dict[str, Burst] = {}
        self.vms: dict[str, CloudMachine] = {}
        self.endpoints: dict[str, str] = {}
        self.waiting_vms: list[str] = []
        self.spends: list[s.Spend] = []
        self.billed_ms: dict[str, int] = {}  #: burst -> how long its machine was there
        self.coming: Coming = "Right"
        self._made = 0
        self.restart()

    # -- the controller

    def restart(self) -> None:
        self.state = initial_state()
        self.jobs: dict[str, i.Instruction] = {}
        self.later: dict[str, i.Instruction] = {}
        self.outcomes: list[s.Stimulus] = []
        names: tuple[s.SourceName, ...] = ("pods", "policies", "targets", "bursts", "cloud-pods")
        self.step([
            s.LedgerRestored(entries=tuple(self.spends)),
            s.PolicySeen(policy=self.policy),
            s.TargetSeen(target=self.target),
            s.OfferingsSeen(target="azure", offerings=self.offerings),
            *(s.BurstSeen(burst=burst) for burst in self.records.values()),
            *(a_waiting_vm(name) for name in self.waiting_vms),
            *(s.SourceSynced(source=name) for name in names),
        ])  # fmt: skip

    def step(self, batch: list[s.Stimulus]) -> None:
        result = step(self.state, batch, self.now)
        self.state = result.state
        self.spends.extend(result.spends)
        check_state(self.state)
        check_new_money(result)
        self._check_released(result)
        for instruction in result.instructions:
            if isinstance(instruction, i.EmitEvent):
                continue
            if instruction.key in self.jobs:
                known = type(self.jobs[instruction.key]) is type(instruction)
                allowed = isinstance(instruction, i.WriteStatus | i.PublishEndpoint | i.ListCloud)
                assert allowed or not known, f"{instruction.key} is asked for while it is under way"
                self.later[instruction.key] = instruction
            else:
                self.jobs[instruction.key] = instruction

    def _check_released(self, result: StepResult) -> None:
        for spend in result.spends:
            left = [name for name, vm in self.vms.items() if vm.burst.key == spend.burst]
            assert not left, f"{spend.burst} is released, and {left} runs on"
            assert spend.burst not in self.endpoints, f"{spend.burst} is released, and an endpoint"
            price = self.records[spend.burst].spec.price_micro_usd_per_hour if spend.burst in self.records else 0
            least = price * self.billed_ms.get(spend.burst, 0) // 3_600_000
            assert spend.micro_usd >= least, f"{spend.burst} cost {least} and {spend.micro_usd} were settled"

    # -- what may happen to an instruction

    def work(self, choice: int) -> None:
        """One instruction is carried out and will be answered."""
        instruction = self._take(choice)
        if instruction is not None:
            try:
                outcome = self._carry_out(instruction)
            except RemoteError as error:
                self._failed(instruction, error)
            else:
                self.outcomes.append(outcome)

    def fail(self, choice: int, kind: RemoteKind, *, done: bool) -> None:
        """One instruction fails; ``done``: it was carried out, and nobody hears of it."""
        instruction = self._take(choice)
        if instruction is None:
            return
        if done and kind in {"Timeout", "Unavailable", "Protocol"}:
            try:
                self._carry_out(instruction)
            except RemoteError as error:
                self._failed(instruction, error)
                return
        self._failed(instruction, RemoteError(kind, "the adversary wants it"))

    def _take(self, choice: int) -> i.Instruction | None:
        if not self.jobs:
            return None
        key = sorted(self.jobs)[choice % len(self.jobs)]
        instruction = self.jobs.pop(key)
        if key in self.later:
            self.jobs[key] = self.later.pop(key)
        return instruction

    def _failed(self, instruction: i.Instruction, error: RemoteError) -> None:
        subject = getattr(instruction, "target", "") or getattr(instruction, "policy", "") or instruction.burst.key  # type: ignore[union-attr]
        self.outcomes.append(
            s.InstructionFailed(
                instruction=type(instruction).__name__,
                key=instruction.key,
                subject=subject,
                kind=error.kind,
                code=error.code,
                message=error.message,
            )
        )

    def answer(self, choice: int) -> None:
        if self.outcomes:
            self.step([self.outcomes.pop(choice % len(self.outcomes))])

    def _carry_out(self, instruction: i.Instruction) -> Any:  # noqa: C901, PLR0911, PLR0912 - one line for each kind
        match instruction:
            case i.RecordBurst(burst=burst):
                if burst.key not in self.records:
                    self._made += 1
                    self.records[burst.key] = msgspec.structs.replace(burst, uid=f"uid-{self._made}")
                    self.outcomes.append(s.BurstSeen(burst=self.records[burst.key], created_at_ms=self.now))
                return s.BurstRecorded(key=burst.key, uid=self.records[burst.key].uid)
            case i.WriteStatus(burst=burst):
                if burst.key not in self.records:
                    raise RemoteError("NotFound", "no such record")
                self.records[burst.key] = msgspec.structs.replace(self.records[burst.key], status=burst.status)
                for name in burst.status.vms:
                    if name in self.vms:
                        self.vms[name].seen = True
                return s.StatusWritten(key=burst.key, phase=burst.status.phase)
            case i.ForgetBurst(burst=burst):
                assert self.state.bursts[burst.key].burst.status.phase == "Released"
                self.records.pop(burst.key, None)
                return s.RecordDeleted(key=burst.key)
            case i.LaunchMachine(burst=burst):
                return self._launch(burst)
            case i.ObserveVms(burst=burst):
                return self._observe(burst)
            case i.PublishEndpoint(burst=burst, ready=ready):
                return self._publish(burst, ready=ready)
            case i.DeleteMachine(burst=burst):
                self.take_away(burst.spec.pod_name)
                return s.MachineDeleted(key=burst.key)
            case i.WritePolicyStatus(policy=policy):
                return s.PolicyStatusWritten(policy=policy)
            case i.WriteTargetStatus(target=target):
                return s.TargetStatusWritten(target=target)
            case i.ListCloud(target=target):
                return s.CloudListed(target=target, listed_at_ms=self.now, vms=())
            case _:
                raise AssertionError(f"{instruction} is nothing that a machine needs")

    def _launch(self, burst: Burst) -> s.MachineLaunched:
        name = burst.spec.pod_name
        assert burst.key in self.records, "the record is written before anything is created"
        others = [one for one, vm in self.vms.items() if vm.burst.key == burst.key and one != name]
        assert not others, f"{burst.key} has {others} already"
        if name not in self.vms:
            self.vms[name] = CloudMachine(burst=burst, created_at_ms=self.now, coming=self.coming)
        return s.MachineLaunched(key=burst.key, vm_id=f"id-{name}", operation="op")

    def _observe(self, burst: Burst) -> s.VmsObserved:
        vm = self.vms.get(burst.spec.pod_name)
        if vm is None:
            return s.VmsObserved(key=burst.key, vms=())
        wrong = {"secure_boot": False} if vm.coming == "Wrong" else {}
        told = the_vm(vm.burst, created_at=vm.created_at_ms, provisioning_state=vm.state, power_state=vm.power, **wrong)
        failure = CloudFailure(kind="Capacity", code="AllocationFailed", matter="capacity", message="full")
        return s.VmsObserved(key=burst.key, vms=(told,), failure=failure if vm.state == "Failed" else None)

    def _publish(self, burst: Burst, *, ready: bool) -> s.EndpointPublished:
        if not ready:
            self.endpoints.pop(burst.key, None)
            return s.EndpointPublished(key=burst.key, ready=False)
        vm = self.vms.get(burst.spec.pod_name)
        if vm is None or not vm.answers:
            raise RemoteError("Unavailable", "the port does not answer")
        assert vm.coming == "Right", f"{burst.key} was published and is not what was demanded"
        self.endpoints[burst.key] = "10.0.0.1"
        return s.EndpointPublished(key=burst.key, ready=True)

    # -- what the world does by itself

    def want(self, count: int) -> None:
        """So many virtual machines wait on-prem."""
        while len(self.waiting_vms) > count:
            name = self.waiting_vms.pop()
            self.step([s.PodLeft(namespace="bank", name=name, uid=f"uid-{name}", why="Bound")])
        while len(self.waiting_vms) < count:
            self._made += 1
            name = f"virt-launcher-{self._made}"
            self.waiting_vms.append(name)
            self.step([a_waiting_vm(name, since=self.now)])

    def boot(self, choice: int) -> None:
        coming = [vm for _, vm in sorted(self.vms.items()) if vm.state == "Creating"]
        if coming:
            vm = coming[choice % len(coming)]
            vm.state = "Failed" if vm.coming == "Failed" else "Succeeded"
            vm.answers = vm.state == "Succeeded"

    def halt(self, choice: int, power: str) -> None:
        if self.vms:
            vm = self.vms[sorted(self.vms)[choice % len(self.vms)]]
            vm.power, vm.answers = power, False

    def somebody_deletes(self, choice: int) -> None:
        if self.vms:
            self.take_away(sorted(self.vms)[choice % len(self.vms)])

    def take_away(self, name: str) -> None:
        vm = self.vms.pop(name, None)
        if vm is not None and vm.seen and vm.coming != "Failed":  # else nothing ever ran
            self.billed_ms[vm.burst.key] = self.now - vm.created_at_ms

    def wait(self, after_ms: int) -> None:
        self.now += after_ms
        self.step([])

    def go_well(self) -> None:
        """Everything that is under way is carried out and answered, and whatever was being made is there."""
        for choice in range(len(self.vms)):
            self.boot(choice)
        while self.jobs or self.outcomes:
            while self.jobs:
                self.work(0)
            outcomes, self.outcomes = self.outcomes, []
            self.step(outcomes)

    # -- the end

    def come_to_rest(self) -> None:
        """Nobody wants anything any more, and everything is carried out: nothing must be left."""
        self.coming = "Right"
        self.want(0)
        for _ in range(3_000):
            self.go_well()
            known = [entry.burst for entry in self.state.bursts.values()]
            live = [one.key for one in (*self.records.values(), *known) if one.status.phase != "Released"]
            if not live and not self.vms:
                break
            due = next_due_ms(self.state)
            self.now = max(self.now + 1, min(due or self.now + 15_000, self.now + 15_000))
            self.step([])
        assert not self.vms, f"left behind: {sorted(self.vms)}"
        assert not self.endpoints
        phases = {key: one.status.phase for key, one in self.records.items()}
        assert set(phases.values()) <= {"Released"}, phases
        assert self.state.targets["azure"].account.outstanding_micro_usd == 0, self.state.bursts
