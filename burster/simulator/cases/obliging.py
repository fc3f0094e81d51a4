"""A world that does what it is asked, promptly and correctly, unless a case says otherwise: what policy cases are run in.

Called by ``run``. Records are written at once; a pod runs on its verified VM after the launch time; what is deleted goes. Sizes may be
refused. It takes no decision, and knows nothing of on-prem: cases say what happens there.
"""

import heapq
from dataclasses import dataclass, field
from typing import Final

import msgspec

from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.errors import RemoteKind
from burster.model.offerings import Vm
from burster.model.targets import Target
from burster.simulator.cloud_model import FAULTS
from burster.simulator.machines import machine_facts
from burster.simulator.numbers import failure
from burster.simulator.proofs import as_told


LAUNCH_MS: Final = 90_000
_STOP_MS: Final = 2_000
_VM_GOES_MS: Final = 45_000


@dataclass(slots=True)
class _Placed:
    """One cloud pod and its VM."""

    burst: Burst
    pod_uid: str
    phase: str = "Pending"
    vm: Vm | None = None
    attempts: int = 0


@dataclass(slots=True)
class ObligingWorld:
    """Answers instructions; ``due`` and ``take`` give its news in order of time."""

    targets: dict[str, Target]
    launch_ms: int = LAUNCH_MS
    refuse: dict[str, str] = field(default_factory=dict[str, str])  #: size -> the cloud's code
    workloads: dict[tuple[str, str, str], s.WorkloadSeen] = field(
        default_factory=dict[tuple[str, str, str], s.WorkloadSeen]
    )
    now_ms: int = 0
    _placed: dict[str, _Placed] = field(default_factory=dict[str, _Placed])
    _machines: dict[str, int] = field(default_factory=dict[str, int])  #: burst -> since when its machine is made
    _news: list[tuple[int, int, s.Stimulus]] = field(default_factory=list[tuple[int, int, s.Stimulus]])
    _sequence: int = 0

    def due_ms(self) -> int | None:
        """Return when the next news comes, or None."""
        return self._news[0][0] if self._news else None

    def take(self, now_ms: int) -> list[s.Stimulus]:
        """Return all news up to now, in order."""
        self.now_ms = now_ms
        taken: list[s.Stimulus] = []
        while self._news and self._news[0][0] <= now_ms:
            stimulus = heapq.heappop(self._news)[2]
            taken += self._become(stimulus)
        return taken

    def tell(self, stimulus: s.Stimulus, after_ms: int = 0) -> None:
        """Have something told later."""
        self._sequence += 1
        heapq.heappush(self._news, (self.now_ms + after_ms, self._sequence, stimulus))

    def finish(self, pod_key: str) -> bool:
        """Let a moved pod end well; say whether there was one that ran."""
        for placed in self._placed.values():
            burst = placed.burst
            if f"{burst.namespace}/{burst.spec.pod_name}" == pod_key and placed.phase == "Running":
                placed.phase = "Succeeded"
                self.tell(self._seen(placed))
                self._vm_goes(placed)
                return True
        return False

    def carry_out(self, instruction: i.Instruction) -> None:  # noqa: C901, PLR0912, PLR0915 - one line for each kind
        """Answer an instruction."""
        match instruction:
            case i.RecordBurst(burst=burst):
                self.tell(s.BurstRecorded(key=burst.key, uid=f"uid-{burst.name}"))
            case i.PlacePod(burst=burst):
                self._place(burst)
            case i.DeletePod(burst=burst):
                self._delete(burst)
            case i.ReturnPod(burst=burst):
                self.tell(s.PodReturned(key=burst.key))
            case i.LaunchMachine(burst=burst):
                self._launch_machine(burst)
            case i.PublishEndpoint(burst=burst, ready=ready):
                self.tell(s.EndpointPublished(key=burst.key, ready=ready))
            case i.DeleteMachine(burst=burst):
                self._machines.pop(burst.key, None)
                self.tell(s.MachineDeleted(key=burst.key), _VM_GOES_MS)
            case i.ObserveVms(burst=burst) if burst.spec.machine is not None:
                self._observe_machine(burst)
            case i.ObserveVms(burst=burst):
                placed = self._placed.get(burst.key)
                vms = (placed.vm,) if placed is not None and placed.vm is not None else ()
                self.tell(s.VmsObserved(key=burst.key, vms=vms))
            case i.MarkVerified(burst=burst):
                self.tell(s.StatusWritten(key=burst.key, phase="Verified"))
            case i.WriteStatus(burst=burst):
                self.tell(s.StatusWritten(key=burst.key, phase=burst.status.phase))
            case i.ForgetBurst(burst=burst):
                self._placed.pop(burst.key, None)
                self.tell(s.RecordDeleted(key=burst.key))
            case i.ListCloud(target=target):
                vms = tuple(p.vm for p in self._placed.values() if p.vm is not None and p.burst.spec.target == target)
                self.tell(s.CloudListed(target=target, listed_at_ms=self.now_ms, vms=vms))
            case i.DeleteVm(target=target, vm=vm):
                self.tell(s.VmDeleted(target=target, vm=vm))
            case i.DeleteResource(target=target, resource=resource):
                self.tell(s.ResourceDeleted(target=target, resource_id=resource.resource_id))
            case i.SetScale(policy=policy, replicas=replicas):
                self.tell(s.ScaleSet(policy=policy, replicas=replicas))
                self._scale(instruction)
            case i.PublishSignal(policy=policy, replicas=replicas):
                self.tell(s.SignalPublished(policy=policy, replicas=replicas))
            case i.ReleasePolicy(policy=policy):
                self.tell(s.PolicyReleased(policy=policy))
            case i.WritePolicyStatus(policy=policy):
                self.tell(s.PolicyStatusWritten(policy=policy))
            case i.WriteTargetStatus(target=target):
                self.tell(s.TargetStatusWritten(target=target))
            case i.EmitEvent():
                pass

    def _place(self, burst: Burst) -> None:
        placed = self._placed.setdefault(burst.key, _Placed(burst=burst, pod_uid=f"pod-{burst.name}"))
        self.tell(s.PodPlaced(key=burst.key, pod_uid=placed.pod_uid))
        if burst.spec.strategy == "Move":
            ref = burst.spec.for_pod
            self.tell(s.PodLeft(namespace=burst.namespace, name=ref.name, uid=ref.uid, why="Gone"))
        placed.phase = "Pending"
        self._launch(placed)

    def _launch_machine(self, burst: Burst) -> None:
        code = self.refuse.get(burst.spec.size)
        if code is None:
            self._machines.setdefault(burst.key, self.now_ms)
            self.tell(s.MachineLaunched(key=burst.key, vm_id=f"id-{burst.spec.pod_name}", operation="op"))
            return
        fault = FAULTS[code]
        launch = i.LaunchMachine(key=f"launch/{burst.key}", burst=burst)
        self.tell(failure(launch, burst.key, fault.kind, code, f"{code}: {fault.message}"), 1_000)

    def _observe_machine(self, burst: Burst) -> None:
        """Tell of a machine, which is made for half of its launch and boots for the other half."""
        since_ms = self._machines.get(burst.key)
        if since_ms is None:
            self.tell(s.VmsObserved(key=burst.key, vms=()))
            return
        vm = self._vm(_Placed(burst=burst, pod_uid=""))
        vm = msgspec.structs.replace(
            vm,
            name=burst.spec.pod_name,
            created_at_ms=since_ms,
            provisioning_state="Succeeded" if self.now_ms >= since_ms + self.launch_ms else "Creating",
        )
        self.tell(s.VmsObserved(key=burst.key, vms=(machine_facts(burst, vm),)))

    def _launch(self, placed: _Placed) -> None:
        code = self.refuse.get(placed.burst.spec.size)
        if code is None:
            self.tell(self._seen(placed, phase="Running"), self.launch_ms)
            return
        placed.attempts += 1
        fault = FAULTS[code]
        kind: RemoteKind = fault.kind
        self.tell(
            s.SandboxFailed(
                burst_key=placed.burst.key,
                pod_uid=placed.pod_uid,
                count=placed.attempts,
                kind=kind,
                code=code,
                message=f"{code}: {fault.message}",
            ),
            1_000,
        )

    def _delete(self, burst: Burst) -> None:
        placed = self._placed.get(burst.key)
        gone = placed is None or placed.phase == "Gone"
        self.tell(s.PodDeleted(key=burst.key, gone=gone))
        if placed is None or gone:
            return
        placed.phase = "Gone"
        self.tell(s.CloudPodGone(burst_uid=f"uid-{burst.name}", burst_key=burst.key, pod_uid=placed.pod_uid), _STOP_MS)
        self._vm_goes(placed)

    def _vm_goes(self, placed: _Placed) -> None:
        if placed.vm is not None:
            # told by nobody: whoever asks the cloud finds it gone from then on
            self.tell(s.VmDeleted(target="", vm=placed.burst.key), _VM_GOES_MS)

    def _become(self, stimulus: s.Stimulus) -> list[s.Stimulus]:
        """Let the world itself move where the news is its own."""
        if isinstance(stimulus, s.VmDeleted) and not stimulus.target:
            placed = self._placed.get(stimulus.vm)
            if placed is not None:
                placed.vm = None
            return []
        if isinstance(stimulus, s.CloudPodSeen) and stimulus.phase == "Running":
            placed = self._placed.get(stimulus.burst_key)
            if placed is None or placed.phase != "Pending":
                return []
            placed.phase = "Running"
            placed.vm = self._vm(placed)
        return [stimulus]

    def _seen(self, placed: _Placed, phase: str = "") -> s.CloudPodSeen:
        burst = placed.burst
        return s.CloudPodSeen(
            burst_uid=f"uid-{burst.name}",
            burst_key=burst.key,
            pod_uid=placed.pod_uid,
            phase="Running" if phase == "Running" else "Succeeded",
            size=burst.spec.size,
            runtime_class=burst.spec.runtime_class,
            node_name="peer-pods",
            containers_ready=phase == "Running",
        )

    def _vm(self, placed: _Placed) -> Vm:
        spec = placed.burst.spec
        target = self.targets[spec.target]
        told = Vm(
            name=f"podvm-{spec.pod_name.replace('.', '-')[:48]}-{placed.burst.name[-8:]}",
            resource_id=f"/vms/{spec.pod_name}",
            region=spec.region,
            size=spec.size,
            provisioning_state="Succeeded",
            created_at_ms=self.now_ms - self.launch_ms // 2,
            security_type="ConfidentialVM",
            secure_boot=True,
            vtpm=True,
            encryption_type="VMGuestStateOnly",
            image=target.image,
            subnet=target.subnet,
            public_ip=False,
        )
        return as_told(told, spec.provider, spec.node_selector)

    def _scale(self, wanted: i.SetScale) -> None:
        namespace = wanted.policy.partition("/")[0]
        key = (namespace, wanted.workload.kind, wanted.workload.name)
        seen = self.workloads.get(key)
        if seen is None:
            return
        now = msgspec.structs.replace(seen, replicas=wanted.replicas)
        later = msgspec.structs.replace(now, status_replicas=wanted.replicas, ready_replicas=wanted.replicas)
        self.workloads[key] = later
        self.tell(now)
        self.tell(later, self.launch_ms if wanted.replicas > seen.replicas else _STOP_MS)
