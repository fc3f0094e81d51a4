"""A world around the engine alone, for rules of the whole language: it answers what it is asked, at once, late, twice, or with a failure.

Everything that may happen is a method whose arguments somebody else chooses. What has been told is kept in order by watch; answers come
in any order. Nothing that the engine asks for twice may happen twice in here; what it has no right to ask for is for ``rulebook``.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from burster.engine import State, StepResult, initial_state, next_due_ms, snapshot, step
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.errors import RemoteKind
from burster.model.offerings import Quota, Vm
from burster.model.pods import Pod, Resources
from burster.model.policies import Policy
from burster.model.targets import Target
from burster.model.triggers import CronTrigger, PendingPodsTrigger, ResourceTrigger
from tests.support.builders import GIB
from tests.support.language import IMAGES, NAMESPACES, NEVER, SECRETS, TARGETS, a_pod, offerings_of
from tests.support.machine_life import the_vm
from tests.support.told import Told


Channel = Literal["rules", "pods", "cloud", "metrics", "workloads"]
CHANNELS: tuple[Channel, ...] = ("rules", "pods", "cloud", "metrics", "workloads")
#: These may not be asked for again before they were answered.
_ONCE = (
    i.RecordBurst,
    i.PlacePod,
    i.DeletePod,
    i.ReturnPod,
    i.LaunchMachine,
    i.DeleteMachine,
    i.ObserveVms,
    i.ForgetBurst,
)
_MINUTE = 60_000


@dataclass
class CloudPod:
    """One burst's pod and its VM."""

    burst: Burst
    uid: str
    phase: str = "Pending"
    vm: Vm | None = None
    made: int = 0
    returned: bool = False
    published: bool = False  #: a machine that people are sent to


@dataclass
class Workload:
    """One that policies scale or clone."""

    namespace: str
    name: str
    replicas: int = 0
    running: int = 0
    owner: str = ""
    kind: int = 0
    version: int = 1  #: 0: its API tells none

    def changes(self, **values: Any) -> None:
        """Change its fields; whatever is written of it has a version of its own."""
        for name, value in values.items():
            setattr(self, name, value)
        self.version += bool(self.version)

    def seen(self) -> s.WorkloadSeen:
        return s.WorkloadSeen(
            namespace=self.namespace,
            kind="Deployment",
            name=self.name,
            replicas=self.replicas,
            status_replicas=self.running,
            ready_replicas=self.running,
            requests=Resources(cpu_millicores=1_000, memory_bytes=GIB),
            runtime_class="" if self.name == "web" else ("kata-remote", "", "kata-other")[self.kind % 3],
            owner=self.owner,
            images=IMAGES[self.kind % 4][0],
            secrets=SECRETS[self.kind // 4 % 3],
            version=self.version,
        )


@dataclass
class WideWorld:
    """The world, what the engine knows of it, and what both did."""

    now: int
    state: State = field(default_factory=initial_state)
    told: Told = field(default_factory=Told)
    policies: dict[str, Policy] = field(default_factory=dict[str, Policy])
    targets: dict[str, Target] = field(default_factory=dict[str, Target])
    variants: dict[str, int] = field(default_factory=dict[str, int])
    pods: dict[str, Pod] = field(default_factory=dict[str, Pod])  #: that wait, by uid
    cloud: dict[str, CloudPod] = field(default_factory=dict[str, CloudPod])  #: by the uid of their record
    records: dict[str, Burst] = field(default_factory=dict[str, Burst])  #: by key, each with its uid
    workloads: dict[tuple[str, str], Workload] = field(default_factory=dict[tuple[str, str], Workload])
    channels: dict[str, deque[s.Stimulus]] = field(default_factory=lambda: {name: deque() for name in CHANNELS})
    latest: dict[str, s.Stimulus] = field(default_factory=dict[str, s.Stimulus])
    answers: list[tuple[i.Instruction, s.Stimulus]] = field(default_factory=list[tuple[i.Instruction, s.Stimulus]])
    under_way: set[str] = field(default_factory=set[str])
    weather: deque[tuple[RemoteKind, bool]] = field(default_factory=deque[tuple[RemoteKind, bool]])
    published: dict[str, int] = field(default_factory=dict[str, int])
    listeners: list[Callable[[list[s.Stimulus], StepResult], None]] = field(
        default_factory=list[Callable[[list[s.Stimulus], StepResult], None]]
    )
    tape: list[tuple[int, list[s.Stimulus], Any]] = field(default_factory=list[tuple[int, list[s.Stimulus], Any]])
    made: int = 0
    recorded: int = 0
    generation: int = 1
    hangs: bool = False  #: VMs outlive their pods
    broken: bool = False  #: a listener has found something wrong: nothing that follows means anything

    # -- the engine

    def step(self, *facts: s.Stimulus, back_ms: int = 0) -> StepResult:
        """Let the engine hear facts, and do what it asks for."""
        batch, now = list(facts), self.now - back_ms
        self.told.take(batch, now)
        result = step(self.state, batch, now)
        self.state = result.state
        self.tape.append((now, batch, said(result)))
        self.broken = True
        for listener in self.listeners:
            listener(batch, result)
        self.broken = False
        for instruction in result.instructions:
            self._carry_out(instruction)
        return result

    def replay(self) -> None:
        """Tell a new engine the same: through the codec, as the ledger keeps it."""
        state = initial_state()
        for now, batch, want in self.tape:
            again = [msgspec.json.decode(msgspec.json.encode(fact), type=s.Stimulus) for fact in batch]
            result = step(state, again, now)
            state = result.state
            assert said(result) == want, "the same facts gave something else"

    def move_house(self) -> None:
        """Go on from a snapshot; the tape will tell whether anything was lost."""
        self.state = snapshot.restore(snapshot.dump(self.state))

    # -- telling

    def tell(self, channel: Channel, *facts: s.Stimulus) -> None:
        self.channels[channel].extend(facts)

    def deliver(self, channel: Channel, count: int, how: str) -> None:
        """A few facts of one watch arrive: as they are, all twice, or not at all; values of metrics also in another order."""
        queue = self.channels[channel]
        batch = [queue.popleft() for _ in range(min(count, len(queue)))]
        if not batch:
            return
        if how == "lost":
            self.step()  # the watch breaks off; ``relist`` will say how things stand
        elif how == "twice":
            self.step(*batch, *batch)
        elif how == "backwards":
            self.step(*(reversed(batch) if channel == "metrics" else batch))
        else:
            self.step(*batch)
        self.latest[channel] = batch[-1]

    def repeat(self, channel: Channel) -> None:
        """The latest word is said again (of rules and of the cloud, where it is the truth still)."""
        if channel in self.latest and not self.channels[channel]:
            self.step(self.latest[channel])

    def relist(self) -> None:
        """Every watch begins anew: how things stand is told, and what is gone meanwhile."""
        for name in ("rules", "pods", "workloads", "cloud"):
            self.channels[name].clear()
        facts: list[s.Stimulus] = []
        facts += [s.PolicyGone(key=key) for key in self.told.policies.keys() - self.policies.keys()]
        facts += [s.PolicySeen(policy=one) for _, one in sorted(self.policies.items())]
        facts += [s.TargetGone(name=name) for name in TARGETS if name in self.told.targets and name not in self.targets]
        facts += [s.TargetSeen(target=one) for _, one in sorted(self.targets.items())]
        facts += [s.OfferingsSeen(target=name, offerings=offerings_of(name, self.variants[name])) for name in TARGETS]
        facts += [self._left(pod) for _, pod in sorted(self.told.pods.items()) if pod.uid not in self.pods]
        facts += [s.PodSeen(pod=pod) for _, pod in sorted(self.pods.items())]
        facts += [one.seen() for _, one in sorted(self.workloads.items())]
        self.step(*facts)
        for pod in (one for _, one in sorted(self.cloud.items()) if one.burst.spec.machine is None):
            self.tell("cloud", self._gone(pod, "") if pod.phase == "Gone" else self._as_seen(pod))
        self.deliver("cloud", 1_000, "")

    def answer(self, choice: int, *, twice: bool = False) -> None:
        """An answer arrives, in whatever order."""
        if not self.answers:
            return
        instruction, outcome = self.answers.pop(choice % len(self.answers))
        self.under_way.discard(instruction.key)
        self.step(outcome, outcome) if twice else self.step(outcome)

    def hear_everything(self) -> None:
        """All that is to be told is told at once."""
        outcomes = [outcome for _, outcome in self.answers]
        self.under_way.clear()
        self.answers.clear()
        facts = [fact for name in CHANNELS for fact in self.channels[name]]
        for name in CHANNELS:
            self.channels[name].clear()
        self.step(*outcomes, *facts)

    # -- doing

    def _carry_out(self, instruction: i.Instruction) -> None:
        if isinstance(instruction, i.EmitEvent):
            return
        if isinstance(instruction, _ONCE):
            assert instruction.key not in self.under_way, f"{instruction.key} is asked for while it is under way"
            self.under_way.add(instruction.key)
        if self.weather:
            kind, done = self.weather.popleft()
            if done:
                self._do(instruction)
            self.answers.append((instruction, _failure(instruction, "Timeout" if done else kind)))
            return
        self.answers.append((instruction, self._do(instruction)))

    def _do(self, instruction: i.Instruction) -> s.Stimulus:  # noqa: C901, PLR0911, PLR0912 - one line for each kind
        match instruction:
            case i.RecordBurst(burst=burst):
                if burst.key not in self.records:
                    self.recorded += 1
                    self.records[burst.key] = msgspec.structs.replace(burst, uid=f"u-{self.recorded}")
                return s.BurstRecorded(key=burst.key, uid=self.records[burst.key].uid)
            case i.PlacePod(burst=burst):
                return self._place(instruction, burst)
            case i.DeletePod(burst=burst):
                return self._delete(burst)
            case i.ReturnPod(burst=burst):
                return self._return(burst)
            case i.ObserveVms(burst=burst):
                pod = self.cloud.get(burst.uid)
                return s.VmsObserved(key=burst.key, vms=(pod.vm,) if pod is not None and pod.vm is not None else ())
            case i.LaunchMachine(burst=burst):
                return self._launch_machine(burst)
            case i.PublishEndpoint(burst=burst, ready=ready):
                return self._publish(instruction, burst, ready=ready)
            case i.DeleteMachine(burst=burst):
                machine = self.cloud.get(burst.uid)
                if machine is not None:
                    machine.phase, machine.vm = "Gone", None
                return s.MachineDeleted(key=burst.key)
            case i.MarkVerified(burst=burst):
                return s.StatusWritten(key=burst.key, phase="Verified")
            case i.WriteStatus(burst=burst):
                return s.StatusWritten(key=burst.key, phase=burst.status.phase)
            case i.ForgetBurst(burst=burst):
                self.records.pop(burst.key, None)
                return s.RecordDeleted(key=burst.key)
            case i.ListCloud(target=target):
                vms = tuple(
                    one.vm
                    for one in self.cloud.values()
                    if one.vm and one.burst.spec.target == target and one.burst.spec.machine is None
                )
                return s.CloudListed(target=target, listed_at_ms=self.now, vms=vms)
            case i.DeleteVm(target=target, vm=vm):
                for one in self.cloud.values():
                    if one.vm is not None and one.vm.name == vm:
                        # a task that has ended stays to be read, and its VM is needed no more
                        assert one.phase in {"Gone", "Succeeded"}, f"{vm} is swept while its pod is {one.phase}"
                        one.vm = None
                return s.VmDeleted(target=target, vm=vm)
            case i.SetScale(policy=policy, workload=ref, replicas=replicas):
                workload = self.workloads.get((policy.partition("/")[0], ref.name))
                if workload is None:
                    return _failure(instruction, "NotFound")
                workload.changes(replicas=replicas)
                self.tell("workloads", workload.seen())
                return s.ScaleSet(policy=policy, replicas=replicas, version=workload.version)
            case i.PublishSignal(policy=policy, replicas=replicas):
                self.published[policy] = replicas
                return s.SignalPublished(policy=policy, replicas=replicas)
            case i.WritePolicyStatus(policy=policy):
                return s.PolicyStatusWritten(policy=policy)
            case i.EmitEvent():
                raise AssertionError("an event is never answered")

    def _launch_machine(self, burst: Burst) -> s.Stimulus:
        if burst.uid not in self.cloud:
            self.made += 1
            machine = CloudPod(burst, f"p-{self.made}", phase="Machine", made=self.made)
            machine.vm = the_vm(burst, created_at=self.now)
            self.cloud[burst.uid] = machine
        return s.MachineLaunched(key=burst.key, vm_id=f"id-{burst.spec.pod_name}", operation="op")

    def _publish(self, instruction: i.PublishEndpoint, burst: Burst, *, ready: bool) -> s.Stimulus:
        machine = self.cloud.get(burst.uid)
        if ready and (machine is None or machine.vm is None):
            return _failure(instruction, "Unavailable")
        if machine is not None:
            machine.published = ready
        return s.EndpointPublished(key=burst.key, ready=ready)

    def _place(self, instruction: i.PlacePod, burst: Burst) -> s.Stimulus:
        if burst.uid not in self.cloud:
            if burst.spec.strategy == "Move":
                pod = self.pods.pop(burst.spec.for_pod.uid, None)
                if pod is None:
                    return _failure(instruction, "Conflict")
                self.tell("pods", self._left(pod, "Gone"))
            self.made += 1
            self.cloud[burst.uid] = CloudPod(burst, f"p-{self.made}", made=self.made)
            self._show(self.cloud[burst.uid])
        return s.PodPlaced(key=burst.key, pod_uid=self.cloud[burst.uid].uid)

    def _delete(self, burst: Burst) -> s.Stimulus:
        pod = self.cloud.get(burst.uid)
        gone = pod is None or pod.phase == "Gone"
        if pod is not None and not gone:
            self._goes(pod)
        return s.PodDeleted(key=burst.key, gone=gone)

    def _return(self, burst: Burst) -> s.Stimulus:
        pod = self.cloud.get(burst.uid)
        if pod is None:
            return s.PodReturned(key=burst.key)  # it was never taken
        assert pod.phase == "Gone", f"{burst.key} is brought home while its pod is {pod.phase}"
        assert pod.vm is None, f"{burst.key} is brought home while {pod.vm and pod.vm.name} runs"
        if not pod.returned:
            pod.returned = True
            self.made += 1
            self.arrive(a_pod(burst.namespace, self.made, self.now, service=False, kind=pod.made), burst.spec.pod_name)
        return s.PodReturned(key=burst.key)

    def _goes(self, pod: CloudPod) -> None:
        before, pod.phase = pod.phase, "Gone"
        if not self.hangs:
            pod.vm = None
        self.tell("cloud", self._gone(pod, before))

    @staticmethod
    def _gone(pod: CloudPod, phase: str) -> s.CloudPodGone:
        return s.CloudPodGone(
            burst_uid=pod.burst.uid,
            burst_key=pod.burst.key,
            pod_uid=pod.uid,
            phase=phase if phase == "Succeeded" else "",
        )

    @staticmethod
    def _as_seen(pod: CloudPod) -> s.CloudPodSeen:
        phase: Any = pod.phase
        return s.CloudPodSeen(
            burst_uid=pod.burst.uid,
            burst_key=pod.burst.key,
            pod_uid=pod.uid,
            phase=phase,
            size=pod.burst.spec.size,
            runtime_class=pod.burst.spec.runtime_class,
        )

    def _show(self, pod: CloudPod) -> None:
        self.tell("cloud", self._as_seen(pod))

    # -- the cluster's and the cloud's own life

    def arrive(self, pod: Pod, name: str = "") -> None:
        pod = msgspec.structs.replace(pod, name=name) if name else pod
        self.pods[pod.uid] = pod
        self.tell("pods", s.PodSeen(pod=pod))

    def new_pod(self, namespace: str, kind: int, *, service: bool) -> None:
        self.made += 1
        self.arrive(a_pod(namespace, self.made, self.now, service=service, kind=kind))

    def leave(self, choice: int, why: Literal["Bound", "Gone"]) -> None:
        """An on-prem node takes a waiting pod, or somebody deletes it."""
        if self.pods:
            pod = self.pods.pop(sorted(self.pods)[choice % len(self.pods)])
            self.tell("pods", self._left(pod, why))

    @staticmethod
    def _left(pod: Pod, why: Literal["Bound", "Gone"] = "Gone") -> s.PodLeft:
        return s.PodLeft(namespace=pod.namespace, name=pod.name, uid=pod.uid, why=why)

    def _pick(self, choice: int, *phases: str) -> CloudPod | None:
        found = [one for _, one in sorted(self.cloud.items()) if one.phase in phases]
        return found[choice % len(found)] if found else None

    def starts(self, choice: int, *, proper: bool = True) -> None:
        """A cloud pod's VM comes up, and the pod runs."""
        pod = self._pick(choice, "Pending")
        if pod is None:
            return
        spec = pod.burst.spec
        pod.phase = "Running"
        pod.vm = Vm(
            name=f"podvm-{spec.pod_name[:48]}-{pod.made:08x}",
            resource_id=f"/vms/{pod.made}",
            region=spec.region,
            size=spec.size,
            provisioning_state="Succeeded",
            created_at_ms=self.now,
            security_type="ConfidentialVM" if proper else "",
            secure_boot=True,
            vtpm=True,
            encryption_type="VMGuestStateOnly",
            public_ip=False,
        )
        self._show(pod)

    def sandbox_fails(self, choice: int, kind: RemoteKind, count: int) -> None:
        pod = self._pick(choice, "Pending")
        if pod is not None:
            self.tell(
                "cloud",
                s.SandboxFailed(
                    burst_key=pod.burst.key, pod_uid=pod.uid, count=count, kind=kind, code="", message="no"
                ),
            )

    def ends(self, choice: int) -> None:
        """Finite work in the cloud is done."""
        pod = self._pick(choice, "Running")
        if pod is not None and pod.burst.spec.strategy == "Move":
            pod.phase = "Succeeded"
            self._show(pod)
            pod.vm = None if not self.hangs else pod.vm

    def is_deleted(self, choice: int) -> None:
        """Somebody deletes a cloud pod."""
        pod = self._pick(choice, "Pending", "Running")
        if pod is not None:
            self._goes(pod)

    def vm_is_lost(self, choice: int) -> None:
        pod = self._pick(choice, "Running", "Machine")
        if pod is not None:
            pod.vm = None

    def vms_go(self) -> None:
        """What outlived its pod goes after all."""
        self.hangs = False
        for pod in self.cloud.values():
            if pod.phase in {"Gone", "Succeeded"}:
                pod.vm = None

    def record_is_deleted(self, choice: int) -> None:
        if self.records:
            burst = self.records[sorted(self.records)[choice % len(self.records)]]
            known = msgspec.structs.replace(burst, deleting=True)
            self.tell("cloud", s.BurstSeen(burst=known))

    def workloads_follow(self) -> None:
        """The pods of scaled workloads come and go."""
        for _, workload in sorted(self.workloads.items()):
            if workload.running != workload.replicas:
                workload.changes(running=workload.replicas)
                self.tell("workloads", workload.seen())

    def read(self, policy: str, level: int, *, failed: bool, ago_ms: int = 0) -> None:
        """Every trigger of a policy is read."""
        rules = self.policies.get(policy)
        for trigger in rules.triggers if rules is not None else ():
            if isinstance(trigger, PendingPodsTrigger | CronTrigger):
                continue
            fields: dict[str, Any] = {"policy": policy, "trigger": trigger.name, "at_ms": self.now - ago_ms}
            if failed:
                fact: s.Stimulus = s.MetricFailed(**fields, message="no answer")
            elif isinstance(trigger, ResourceTrigger):
                use = s.PodUse(usage=level * GIB // 8, request=GIB)
                fact = s.ResourceRead(**fields, replicas=2, pods=(use, use))
            else:
                fact = s.MetricRead(**fields, value_milli=level * 4_000)
            self.tell("metrics", fact)

    def quota(self, target: str, left: int | None) -> None:
        rows = ()
        if left is not None:
            region = "westeurope" if target == "azure" else "alps"
            rows = (
                Quota(region=region, family="small", used_vcpus=10, limit_vcpus=10 + left),
                Quota(region=region, family="cores", used_vcpus=10, limit_vcpus=14 + left),
            )
        self.tell("rules", s.QuotaSeen(target=target, rows=rows))

    # -- time

    def flow(self, ms: int, *, level: int | None = None) -> None:
        """All goes well for a while: everything is done and told, and the engine is woken whenever it wants to be."""
        end = self.now + ms
        while True:
            for choice in range(4):
                self.starts(choice)
            self.workloads_follow()
            if level is not None:
                for policy in sorted(self.policies):
                    self.read(policy, level, failed=False)
            for _ in range(12):
                self.hear_everything()
                if not self.answers and not any(self.channels.values()):
                    break
            if self.now >= end:
                return
            due = next_due_ms(self.state)
            self.now = min(end, self.now + _MINUTE, max(self.now + 1_000, due or end))

    def settle(self, rounds: int = 150) -> None:
        """Nobody asks for anything any more and nothing fails: in the end everything is at rest."""
        self.weather.clear()
        self.vms_go()
        for key, policy in self.policies.items():
            triggers = tuple(NEVER if isinstance(one, CronTrigger) else one for one in policy.triggers)
            self.policies[key] = msgspec.structs.replace(
                policy,
                paused=False,  # which keeps what runs for as long as it says so
                paused_scale_in=False,
                paused_scale_out=False,
                triggers=triggers,
                generation=policy.generation + 1,
            )
        while self.pods:
            self.leave(0, "Bound")
        for workload in self.workloads.values():
            workload.owner = ""
        self.hear_everything()
        self.relist()
        healthy = [s.TrusteeHealth(target=name, healthy=True) for name in TARGETS]
        self.step(*healthy, s.LedgerHealth(writable=True), s.DrainCancelled())
        for number in range(rounds):
            while self.pods:
                self.leave(0, "Bound")
            for choice in range(8):
                self.ends(choice)
            self.flow(5_000 if number < 3 else _MINUTE, level=0)
            if not self.left_over():
                return
            if number % 10 == 9:
                self.step(s.Tick(kind="gc"))
        raise AssertionError(f"it does not come to rest: {self.left_over()}")

    def left_over(self) -> list[str]:
        """Return what is not at rest."""
        staying = self._staying()
        left = [
            f"{key} is {entry.burst.status.phase}"
            for key, entry in sorted(self.state.bursts.items())
            if entry.burst.status.phase != "Released" and key not in staying
        ]
        left += [
            f"VM {one.vm.name}" for one in self.cloud.values() if one.vm is not None and one.burst.key not in staying
        ]
        for key, policy in sorted(self.policies.items()):
            rest = _rest(policy)
            if policy.placement.strategy == "Signal" and self.published.get(key, 0) > rest:
                left.append(f"{key} publishes {self.published[key]}")
            if policy.placement.strategy == "Scale" and policy.scaling.target is not None:
                workload = self.workloads[policy.namespace, policy.scaling.target.name]
                if workload.replicas > rest or workload.running > rest:
                    left.append(f"{workload.name} has {workload.replicas} replicas")
        for book in self.state.scale_books.values():
            workload = self.workloads[book.policy.partition("/")[0], book.workload.name]
            if len(book.leases) > workload.replicas:
                left.append(f"{book.policy} pays for {len(book.leases)} of {workload.replicas} replicas")
        # what scopes hold is what their bursts and replicas do: after each step ``rulebook`` counts it anew
        return left

    def _staying(self) -> set[str]:
        """Return the bursts that may stay for ever: of a policy that clones by number those that serve, up to its number at rest."""
        found = set[str]()
        for policy in self.policies.values():
            if policy.numeric and policy.placement.strategy in {"Clone", "Machine"}:
                serving = [
                    key
                    for key, entry in sorted(self.state.bursts.items())
                    if entry.burst.policy_key == policy.key and entry.burst.status.phase == "Serving"
                ]
                found.update(serving[: _rest(policy)])
        return found


def _rest(policy: Policy) -> int:
    """Return how many replicas a policy keeps where nobody asks for any."""
    idle = policy.scaling.idle_replicas
    return policy.scaling.min_replicas if idle is None else idle


def said(result: StepResult) -> Any:
    return result.instructions, result.decisions, result.spends


def _failure(instruction: Any, kind: RemoteKind) -> s.InstructionFailed:
    if isinstance(instruction, i.ListCloud | i.DeleteVm | i.DeleteResource):
        subject = instruction.target
    elif isinstance(instruction, i.SetScale | i.PublishSignal | i.WritePolicyStatus):
        subject = instruction.policy
    else:
        subject = instruction.burst.key
    return s.InstructionFailed(
        instruction=type(instruction).__name__,
        key=instruction.key,
        subject=subject,
        kind=kind,
        message="the world wants it",
    )


__all__ = ["CHANNELS", "NAMESPACES", "Channel", "WideWorld"]
