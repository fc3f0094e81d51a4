"""Carries out the engine's instructions in the virtual world, and answers with the facts that would follow in the real one.

Called by the run loop. It stands for the API server's answers, the kubelet, cloud-api-adaptor and ARM, as far as a decision can see
them: one VM for each attempt at a sandbox, a VM that goes when its pod's sandbox goes, refusals as FailedCreatePodSandBox events. It
takes no decision.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.offerings import Offering
from burster.model.targets import Target
from burster.simulator.cloud import Cloud, SimVm
from burster.simulator.cloud_model import Fault
from burster.simulator.heap import ANSWER, FINISH, TICK
from burster.simulator.machines import Machines
from burster.simulator.numbers import Numbers, failure
from burster.simulator.pods import SimPod
from burster.simulator.scaled import ScaledWorkloads
from burster.simulator.world import World


CloudPodPhase = Literal["", "Pending", "Running", "Succeeded"]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """How long the outside world takes to answer, and how often the recurring jobs look."""

    api_ms: int = 10  #: a write to the API server
    arm_ms: int = 150  #: a read from ARM
    stop_ms: int = 2_000  #: from a running pod's deletion to its end
    gc_ms: int = 120_000
    quota_ms: int = 600_000


@dataclass(slots=True, eq=False)
class Ticket:
    """One Burst as it stands in the API, and its pod."""

    burst: Burst
    uid: str
    pod_uid: str
    pod: SimPod | None = None  #: of a Move, once taken
    phase: CloudPodPhase = ""  #: empty: there is no pod
    ready: bool = False
    terminating: bool = False
    vm: SimVm | None = None  #: the attempt that counts
    released: bool = False


class Hands:
    """The outside world at the controller's hands."""

    def __init__(
        self, world: World, cloud: Cloud, targets: dict[str, Target], offerings: dict[str, Offering], latency: Latency
    ) -> None:
        self.world = world
        self.cloud = cloud
        self.targets = targets
        self.offerings = offerings
        self.latency = latency
        self.tickets: dict[str, Ticket] = {}
        self.patience_ms = 86_400_000  #: how long leaks are looked for after the last change
        self.live = 0  #: records not yet Released
        self.settled_micro_usd = 0  #: what burster itself says it spent
        self.scaled = ScaledWorkloads(world, cloud, targets, offerings, self._delete_later)
        self.numbers = Numbers(world, self.scaled, self._tell, self._start_jobs)
        self.machines = Machines(world, cloud, targets, offerings, self._tell, self._start_jobs)
        self._made = 0
        self._jobs: set[str] = set()
        self._handlers: dict[type[Any], tuple[int, Callable[[Any], None]]] = {
            i.RecordBurst: (latency.api_ms, self._record),
            i.PlacePod: (latency.api_ms, self._place),
            i.DeletePod: (latency.api_ms, self._delete),
            i.ReturnPod: (latency.api_ms, self._return),
            i.ObserveVms: (latency.arm_ms, self._observe),
            i.LaunchMachine: (latency.arm_ms, self.machines.launch),
            i.PublishEndpoint: (latency.api_ms, self.machines.publish),
            i.DeleteMachine: (latency.arm_ms, self.machines.delete),
            i.MarkVerified: (latency.api_ms, self._verify),
            i.WriteStatus: (latency.api_ms, self._status),
            i.ForgetBurst: (latency.api_ms, self._forget),
            i.ListCloud: (latency.arm_ms, self._list),
            i.DeleteVm: (latency.arm_ms, self._delete_vm),
            i.DeleteResource: (latency.arm_ms, self._delete_resource),
            i.SetScale: (latency.api_ms, self.numbers.set_scale),
            i.PublishSignal: (0, self.numbers.publish),
            i.ReleasePolicy: (latency.api_ms, self._release_policy),
            i.WritePolicyStatus: (latency.api_ms, self._policy_status),
            i.WriteTargetStatus: (latency.api_ms, self._target_status),
        }

    def carry_out(self, instruction: i.Instruction) -> None:
        """Start an instruction; its outcome comes as a stimulus, at once where the latency is 0. Events are nobody's business here."""
        planned = self._handlers.get(type(instruction))
        if planned is None:
            return
        delay_ms, handler = planned
        if delay_ms:
            self.world.agenda.at(self.world.now_ms + delay_ms, ANSWER, handler, instruction)
        else:
            handler(instruction)
            self.settle_work()

    def settle_work(self) -> None:
        """Book which clones began and stopped to do a waiting replica's work."""
        changes = self.world.on_clone_work
        for key, works in changes:
            vm = self.tickets[key].vm if key in self.tickets else self.scaled.vm_of(key)
            vm = vm or self.machines.vm_of(key)
            if vm is not None:
                (self.cloud.work if works else self.cloud.rest)(vm, self.world.now_ms)
        changes.clear()

    def _record(self, instruction: i.RecordBurst) -> None:
        burst = instruction.burst
        if burst.spec.strategy == "Move" and not self._pending(burst):
            self._refuse(instruction, burst.key)
            return
        if burst.key not in self.tickets:
            self._made += 1
            self.live += 1
            ticket = Ticket(burst=burst, uid=f"burst-{self._made}", pod_uid=f"cloud-pod-{self._made}")
            self.tickets[burst.key] = ticket
        self._tell(s.BurstRecorded(key=burst.key, uid=self.tickets[burst.key].uid))

    def _status(self, instruction: i.WriteStatus) -> None:
        burst = instruction.burst
        ticket = self.tickets.get(burst.key)
        if ticket is not None:
            ticket.burst = burst
            if burst.status.phase == "Released" and not ticket.released:
                ticket.released = True
                self.live -= 1
                self.settled_micro_usd += burst.status.settled_micro_usd or 0
        self._tell(s.StatusWritten(key=burst.key, phase=burst.status.phase))

    def _forget(self, instruction: i.ForgetBurst) -> None:
        self.tickets.pop(instruction.burst.key, None)
        self._tell(s.RecordDeleted(key=instruction.burst.key))

    def _place(self, instruction: i.PlacePod) -> None:
        ticket = self.tickets[instruction.burst.key]
        if not ticket.phase:
            if ticket.burst.spec.strategy == "Move":
                pod = self._pending(ticket.burst)
                if pod is None:
                    self._refuse(instruction, ticket.burst.key)
                    return
                self.world.take_pending(pod)
                ticket.pod = pod
            ticket.phase = "Pending"
            self._launch(ticket)
        self._tell(s.PodPlaced(key=ticket.burst.key, pod_uid=ticket.pod_uid))
        self._show(ticket)

    def _delete(self, instruction: i.DeletePod) -> None:
        ticket = self.tickets[instruction.burst.key]
        gone = not ticket.phase
        self._tell(s.PodDeleted(key=ticket.burst.key, gone=gone))
        if gone or ticket.terminating:
            return
        ticket.terminating = True
        stop_ms = min(instruction.grace_ms, self.latency.stop_ms) if ticket.phase == "Running" else 0
        self.world.agenda.at(self.world.now_ms + stop_ms, FINISH, self._stopped, ticket)

    def _stopped(self, ticket: Ticket) -> None:
        spec = ticket.burst.spec
        if ticket.ready and spec.workload is not None:
            self.world.clone_gone(ticket.burst.key, ticket.burst.namespace, spec.workload.name)
            self.settle_work()
        ticket.phase, ticket.ready = "", False
        self._let_go(ticket)
        self._tell(s.CloudPodGone(burst_uid=ticket.uid, burst_key=ticket.burst.key, pod_uid=ticket.pod_uid))

    def _return(self, instruction: i.ReturnPod) -> None:
        ticket = self.tickets[instruction.burst.key]
        pod, ticket.pod = ticket.pod, None
        self._tell(s.PodReturned(key=ticket.burst.key))
        if pod is None or pod.gone:
            return
        pod.unserve()
        pod.generation += 1
        pod.uid = f"{pod.uid.partition('+')[0]}+{pod.generation}"
        self.world.submit(pod)

    def _verify(self, instruction: i.MarkVerified) -> None:
        ticket = self.tickets[instruction.burst.key]
        self._tell(s.StatusWritten(key=ticket.burst.key, phase="Verified"))
        spec = ticket.burst.spec
        if ticket.ready or ticket.terminating or ticket.phase != "Running":
            return
        ticket.ready = True
        if spec.workload is not None:
            self.world.clone_ready(ticket.burst.key, ticket.burst.namespace, spec.workload.name, spec.for_pod.uid)
            self.settle_work()
        self._show(ticket)

    def _launch(self, ticket: Ticket) -> None:
        if ticket.terminating or ticket.phase != "Pending":
            return
        burst, now_ms = ticket.burst, self.world.now_ms
        spec = burst.spec
        target = self.targets[spec.target]
        offering = self.offerings[f"{spec.target}/{spec.region}/{spec.size}"]
        answer = self.cloud.request(burst.key, spec.pod_name, target, offering, now_ms)
        self._start_jobs()
        if isinstance(answer, Fault):
            self.world.agenda.at(now_ms + self.cloud.model.refuse_ms, FINISH, self._refused, (ticket, answer))
            return
        ticket.vm = answer
        boot_ms = self.cloud.model.boot.draw_ms(self.cloud.seed, f"boot/{answer.launch}")
        self.world.agenda.at(now_ms + boot_ms, FINISH, self._booted, (ticket, answer))

    def _refused(self, subject: tuple[Ticket, Fault]) -> None:
        ticket, fault = subject
        if ticket.terminating or ticket.phase != "Pending":
            return
        self._tell(
            s.SandboxFailed(
                burst_key=ticket.burst.key,
                pod_uid=ticket.pod_uid,
                count=self.cloud.attempts(ticket.burst.key),
                kind=fault.kind,
                code=fault.code,
                message=f"{fault.code}: {fault.message}",
            )
        )
        self.world.agenda.at(self.world.now_ms + self.cloud.model.retry_ms, FINISH, self._launch, ticket)

    def _booted(self, subject: tuple[Ticket, SimVm]) -> None:
        ticket, vm = subject
        if vm.state != "Creating":
            return
        if vm.fault is not None:
            self.cloud.move(vm, "Failed")
            ticket.vm = None
            self._delete_later(vm)
            self._refused((ticket, vm.fault))
            return
        self.cloud.move(vm, "Succeeded")
        guest_ms = self.cloud.model.guest.draw_ms(self.cloud.seed, f"guest/{vm.launch}")
        self.world.agenda.at(self.world.now_ms + guest_ms, FINISH, self._running, (ticket, vm))

    def _running(self, subject: tuple[Ticket, SimVm]) -> None:
        ticket, vm = subject
        if ticket.terminating or ticket.phase != "Pending":
            return
        ticket.phase = "Running"
        self._show(ticket)
        pod = ticket.pod
        if pod is not None:
            pod.serve(self.world.now_ms, "cloud")
            self.cloud.work(vm, self.world.now_ms)
            self.world.agenda.at(self.world.now_ms + (pod.duration_ms or 0), FINISH, self._finished, ticket)

    def _finished(self, ticket: Ticket) -> None:
        if ticket.terminating or ticket.phase != "Running" or ticket.pod is None:
            return
        ticket.phase = "Succeeded"
        ticket.pod.gone = True
        self._let_go(ticket)
        self._show(ticket)

    def _let_go(self, ticket: Ticket) -> None:
        """The pod's sandbox ends, and its VM with it."""
        vm, ticket.vm = ticket.vm, None
        if vm is not None:
            self.cloud.rest(vm, self.world.now_ms)
            self._delete_later(vm)

    def _delete_later(self, vm: SimVm) -> None:
        self.cloud.move(vm, "Deleting")
        delete_ms = self.cloud.model.delete.draw_ms(self.cloud.seed, f"delete/{vm.launch}")
        self.world.agenda.at(self.world.now_ms + delete_ms, FINISH, self._vm_gone, vm)

    def _vm_gone(self, vm: SimVm) -> None:
        self.cloud.remove(vm, self.world.now_ms)

    def _observe(self, instruction: i.ObserveVms) -> None:
        key = instruction.burst.key
        if instruction.burst.spec.strategy == "Machine":
            self.machines.observe(instruction.burst)
            return
        vms = tuple(vm.facts(self.world.epoch_ms) for vm in self.cloud.by_burst.get(key, ()))
        self._tell(s.VmsObserved(key=key, vms=vms))

    def _list(self, instruction: i.ListCloud) -> None:
        vms = tuple(
            vm.facts(self.world.epoch_ms) for vm in self.cloud.vms.values() if vm.target.name == instruction.target
        )
        at_ms = self.world.epoch_ms + self.world.now_ms
        self._tell(s.CloudListed(target=instruction.target, listed_at_ms=at_ms, vms=vms))

    def _delete_vm(self, instruction: i.DeleteVm) -> None:
        vm = self.cloud.vms.get(instruction.vm)
        if vm is not None and vm.state != "Deleting":
            self._delete_later(vm)
        self._tell(s.VmDeleted(target=instruction.target, vm=instruction.vm))

    def _delete_resource(self, instruction: i.DeleteResource) -> None:
        vm = self.cloud.vms.get(instruction.resource.name)
        if vm is not None and vm.state != "Deleting":
            self._delete_later(vm)
        self._tell(s.ResourceDeleted(target=instruction.target, resource_id=instruction.resource.resource_id))

    def _policy_status(self, instruction: i.WritePolicyStatus) -> None:
        self._tell(s.PolicyStatusWritten(policy=instruction.policy))

    def _target_status(self, instruction: i.WriteTargetStatus) -> None:
        self._tell(s.TargetStatusWritten(target=instruction.target))

    def _release_policy(self, instruction: i.ReleasePolicy) -> None:
        self._tell(s.PolicyReleased(policy=instruction.policy))

    def _start_jobs(self) -> None:
        jobs = [("gc", self.latency.gc_ms)]
        if self.cloud.model.quota_vcpus:
            jobs.append(("quota", self.latency.quota_ms))
        for job, every_ms in jobs:
            if job not in self._jobs:
                self._jobs.add(job)
                self.world.agenda.at(self.world.now_ms + every_ms, TICK, self._job, (job, every_ms))

    def _job(self, subject: tuple[str, int]) -> None:
        job, every_ms = subject
        if job == "gc":
            self._tell(s.Tick(kind="gc"))
        elif self.cloud.quota_moved:
            self.cloud.quota_moved = False
            for name, target in sorted(self.targets.items()):
                self._tell(s.QuotaSeen(target=name, rows=self.cloud.quota_rows(target)))
        # Replicas that nobody takes back, for want of a reading say, must not keep a run going for ever.
        kept = self.scaled.extra and self.world.now_ms > self.scaled.changed_ms + self.patience_ms
        if self.live or ((self.cloud.vms or self.scaled.extra) and not kept):
            self.world.agenda.at(self.world.now_ms + every_ms, TICK, self._job, subject)
        else:
            self._jobs.discard(job)

    def _pending(self, burst: Burst) -> SimPod | None:
        return self.world.waiting.get(burst.spec.for_pod.uid)

    def _refuse(self, instruction: i.RecordBurst | i.PlacePod, subject: str) -> None:
        message = "the pending pod was bound, changed or deleted in between"
        self._tell(failure(instruction, subject, "Conflict", "Conflict", message))

    def _show(self, ticket: Ticket) -> None:
        """Tell the controller how the cloud pod stands."""
        spec = ticket.burst.spec
        self._tell(
            s.CloudPodSeen(
                burst_uid=ticket.uid,
                burst_key=ticket.burst.key,
                pod_uid=ticket.pod_uid,
                phase=ticket.phase or "Unknown",
                ready=ticket.ready,
                terminating=ticket.terminating,
                size=spec.size,
                runtime_class=spec.runtime_class,
                node_name="" if ticket.phase == "Pending" else "peer-pods",
                created_at_ms=self.world.epoch_ms + self.world.now_ms,
                containers_ready=ticket.phase == "Running",
            )
        )

    def _tell(self, stimulus: s.Stimulus) -> None:
        self.world.outbox.append(stimulus)
