"""The virtual world: the trace arrives, the on-prem cluster schedules it, and what the controller should see is put in ``outbox``.

Called by the run loop; the cloud's side of it is ``hands``. It tells the controller what a watch on unscheduled pods would: a pod that
is placed as it arrives is never heard of. It holds no rule and takes no decision of its own.
"""

from dataclasses import dataclass, field
from typing import Final

from burster.model.pods import Owner, Pod, Resources
from burster.model.stimuli import CapacitySeen, PodLeft, PodSeen, Stimulus, WorkloadSeen
from burster.simulator.heap import FINISH, TICK, Agenda
from burster.simulator.onprem import OnPrem
from burster.simulator.pods import SimPod
from burster.simulator.traces.model import Trace, TraceEntry


_MS_BEFORE: Final = -1


@dataclass(slots=True)
class Service:
    """A Deployment: its replicas that exist, oldest first, and its clones in the cloud that are ready."""

    workload: Owner
    owner: Owner
    replicas: list[SimPod] = field(default_factory=list[SimPod])
    made: int = 0
    #: ready clone (its burst's key) -> the waiting replica whose work it does, or None
    clones: dict[str, SimPod | None] = field(default_factory=dict[str, SimPod | None])


class World:
    """What there is on-prem and what arrives. ``now_ms`` counts from the start of the run; the controller is told epoch times."""

    def __init__(self, trace: Trace, onprem: OnPrem, epoch_ms: int) -> None:
        self.agenda = Agenda()
        self.onprem = onprem
        self.epoch_ms = epoch_ms
        self.now_ms = 0
        self.outbox: list[Stimulus] = []
        self.pods: list[SimPod] = []  #: every pod there ever was
        self.waiting: dict[str, SimPod] = {}  #: pending on-prem, by uid
        self.services: dict[tuple[str, str], Service] = {}
        self.entries = trace.entries
        self.arrived = 0
        self.events = 0
        self.last_event_ms = 0
        self.watched: set[tuple[str, str]] = set()  #: Deployments that policies name, by namespace and name
        self.on_clone_work: list[tuple[str, bool]] = []  #: (burst key, works now): for the bill, taken by ``hands``
        self._capacity: tuple[int, int, int] | None = None
        nodes = len(onprem.nodes)
        self._message = f"0/{nodes} nodes are available: {nodes} Insufficient resources."

    @property
    def all_arrived(self) -> bool:
        """Say whether the trace has come to its end."""
        return self.arrived >= len(self.entries)

    def next_ms(self) -> int | None:
        """Return when something happens next, or None."""
        planned = self.agenda.next_ms()
        if self.all_arrived:
            return planned
        arrival = self.entries[self.arrived].arrival_ms
        return arrival if planned is None or arrival < planned else planned

    def advance(self, now_ms: int) -> None:
        """Let everything happen that is due at this instant, in the documented order."""
        self.now_ms = now_ms
        while self.onprem.freed or self._due(now_ms):
            self.events += self.agenda.run(now_ms, FINISH)
            self._retry()
            while self.arrived < len(self.entries) and self.entries[self.arrived].arrival_ms <= now_ms:
                entry = self.entries[self.arrived]
                self.arrived += 1
                self.events += 1
                (self._task if entry.kind == "Pod" else self._scale)(entry)
            self._retry()
            self.events += self.agenda.run(now_ms, TICK)
            self.last_event_ms = now_ms

    def _due(self, now_ms: int) -> bool:
        next_ms = self.next_ms()
        return next_ms is not None and next_ms <= now_ms

    def take_outbox(self) -> list[Stimulus]:
        """Return what the controller is to see, once."""
        stimuli, self.outbox = self.outbox, []
        used = (self.onprem.cpu_used, self.onprem.memory_used, self.onprem.gpus_used)
        if stimuli and used != self._capacity:
            self._capacity = used
            stimuli.append(self._capacity_seen())
        return stimuli

    def submit(self, pod: SimPod) -> None:
        """Give a pod to the on-prem scheduler."""
        if self.onprem.submit(pod):
            self._started(pod)
            return
        pod.pending_since_ms = self.now_ms
        self.waiting[pod.uid] = pod
        self.see(pod)
        if pod.workload is not None:
            self.match_clones(pod.namespace, pod.workload.name)

    def take_pending(self, pod: SimPod) -> None:
        """Take a waiting pod out of the on-prem cluster: it is moved to the cloud."""
        self.onprem.withdraw(pod)
        self._left(pod, "Gone")

    def see(self, pod: SimPod) -> None:
        """Tell the controller of a waiting pod."""
        pod.seen = True
        self.outbox.append(PodSeen(pod=self.describe(pod)))

    def describe(self, pod: SimPod) -> Pod:
        """Return a waiting pod as a watch would tell it."""
        since = self.epoch_ms + pod.pending_since_ms
        return Pod(
            namespace=pod.namespace,
            name=pod.name,
            uid=pod.uid,
            resource_version=str(pod.generation),
            created_at_ms=since,
            unschedulable_since_ms=since,
            message=self._message,
            requests=pod.requests,
            labels=pod.labels,
            owner=pod.owner,
            workload=pod.workload,
            priority=pod.priority,
            restart_policy="Never" if pod.workload is None else "Always",
        )

    def clone_ready(self, burst: str, namespace: str, workload: str, prefer_uid: str) -> None:
        """A clone serves from now on; it does the work of the pod it was made for if that still waits, else of who waits longest."""
        service = self._service(namespace, workload)
        service.clones[burst] = None
        taken = {pod.uid for pod in service.clones.values() if pod is not None}
        for pod in service.replicas:
            if pod.uid == prefer_uid and pod.uid not in taken and pod.pending_since_ms >= 0:
                self._cover(service, burst, pod)
                return
        self.match_clones(namespace, workload)

    def clone_gone(self, burst: str, namespace: str, workload: str) -> None:
        """A clone serves no more."""
        service = self.services.get((namespace, workload))
        if service is not None and burst in service.clones:
            if service.clones.pop(burst) is not None:
                self.on_clone_work.append((burst, False))
            self.match_clones(namespace, workload)

    def match_clones(self, namespace: str, workload: str) -> None:
        """Give every clone that answers nobody the replica that has waited longest without one."""
        service = self.services[namespace, workload]
        idle = [burst for burst, pod in service.clones.items() if pod is None]
        if not idle:
            return
        taken = {pod.uid for pod in service.clones.values() if pod is not None}
        free = [pod for pod in service.replicas if pod.pending_since_ms >= 0 and pod.uid not in taken]
        for burst, pod in zip(idle, free, strict=False):
            self._cover(service, burst, pod)

    def _cover(self, service: Service, burst: str, pod: SimPod) -> None:
        service.clones[burst] = pod
        pod.serve(self.now_ms, "cloud")
        self.on_clone_work.append((burst, True))

    def _task(self, entry: TraceEntry) -> None:
        number = len(self.pods)
        pod = SimPod(
            number=number,
            namespace=entry.namespace,
            name=entry.name,
            uid=f"pod-{number}",
            requests=entry.requests,
            priority=entry.priority,
            labels=entry.labels,
            arrived_ms=self.now_ms,
            duration_ms=entry.duration_ms,
        )
        self.pods.append(pod)
        self.submit(pod)

    def _scale(self, entry: TraceEntry) -> None:
        """Set a Deployment's replicas. Scaling down takes who waits first, then the youngest, as a ReplicaSet does."""
        service = self._service(entry.namespace, entry.name)
        while len(service.replicas) > entry.replicas:
            victim = max(service.replicas, key=lambda pod: (pod.pending_since_ms >= 0, pod.number))
            self._scale_away(service, victim)
        for _ in range(entry.replicas - len(service.replicas)):
            number = len(self.pods)
            service.made += 1
            pod = SimPod(
                number=number,
                namespace=entry.namespace,
                name=f"{entry.name}-1-{service.made:05d}",
                uid=f"pod-{number}",
                requests=entry.requests,
                priority=entry.priority,
                labels={"app": entry.name, **entry.labels},
                arrived_ms=self.now_ms,
                duration_ms=None,
                workload=service.workload,
                owner=service.owner,
            )
            self.pods.append(pod)
            service.replicas.append(pod)
            self.submit(pod)
        if (entry.namespace, entry.name) in self.watched:
            self._tell(entry, service)

    def _tell(self, entry: TraceEntry, service: Service) -> None:
        """Tell the controller of a Deployment that a policy names."""
        self.outbox.append(
            WorkloadSeen(
                namespace=entry.namespace,
                kind="Deployment",
                name=entry.name,
                replicas=entry.replicas,
                status_replicas=len(service.replicas),
                ready_replicas=sum(pod.pending_since_ms < 0 for pod in service.replicas),
                requests=entry.requests,
            )
        )

    def _service(self, namespace: str, name: str) -> Service:
        """Return a Deployment, which is made where it is new."""
        service = self.services.get((namespace, name))
        if service is None:
            service = self.services[namespace, name] = Service(
                workload=Owner(api_version="apps/v1", kind="Deployment", name=name, uid=f"deployment-{name}"),
                owner=Owner(api_version="apps/v1", kind="ReplicaSet", name=f"{name}-1", uid=f"rs-{name}"),
            )
        return service

    def _scale_away(self, service: Service, pod: SimPod) -> None:
        service.replicas.remove(pod)
        pod.gone = True
        if pod.pending_since_ms >= 0:
            self.onprem.withdraw(pod)
            self._left(pod, "Gone")
        else:
            self.onprem.end(pod)

    def _started(self, pod: SimPod) -> None:
        pod.serve(self.now_ms, "on-prem")
        if pod.duration_ms is not None:
            self.agenda.at(self.now_ms + pod.duration_ms, FINISH, self._finished, pod)

    def _finished(self, pod: SimPod) -> None:
        pod.gone = True
        self.onprem.end(pod)

    def _retry(self) -> None:
        if not self.onprem.freed:
            return
        for pod in self.onprem.retry():
            self._left(pod, "Bound")
            self._started(pod)

    def _left(self, pod: SimPod, why: str) -> None:
        pod.pending_since_ms = _MS_BEFORE
        del self.waiting[pod.uid]
        self.outbox.append(
            PodLeft(namespace=pod.namespace, name=pod.name, uid=pod.uid, why="Bound" if why == "Bound" else "Gone")
        )
        if pod.workload is None:
            return
        service = self.services[pod.namespace, pod.workload.name]
        for burst, covered in service.clones.items():
            if covered is pod:
                service.clones[burst] = None
                self.on_clone_work.append((burst, False))
        self.match_clones(pod.namespace, pod.workload.name)

    def _capacity_seen(self) -> CapacitySeen:
        onprem = self.onprem
        return CapacitySeen(
            nodes=len(onprem.nodes),
            allocatable=sum(onprem.nodes, Resources()),
            requested=Resources(cpu_millicores=onprem.cpu_used, memory_bytes=onprem.memory_used, gpus=onprem.gpus_used),
        )
