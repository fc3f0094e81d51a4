"""Workloads of the virtual world that a policy scales: their replicas are peer pods, each with a VM that boots, costs and goes.

Called by ``hands`` when a number is set, and by the run loop at the start. It stands for the workload's controller, kubelet and
cloud-api-adaptor. It takes no decision: whoever owns the number sets it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.stimuli import WorkloadGone, WorkloadSeen
from burster.model.targets import Target
from burster.simulator.cloud import Cloud, SimVm
from burster.simulator.cloud_model import Fault
from burster.simulator.heap import FINISH
from burster.simulator.world import World


class SimWorkload(msgspec.Struct, frozen=True, kw_only=True):
    """A workload as its author wrote it."""

    namespace: str
    name: str
    kind: str = "Deployment"
    replicas: int = 0
    requests: Resources = Resources()
    target: str = ""  #: where its replicas' VMs are; empty: they need none, and are ready at once
    size: str = ""
    runtime_class: str = "kata-remote"
    owner: str = ""  #: who else sets its number
    stands_in_for: str = ""  #: the Deployment on-prem whose waiting replicas its replicas do the work of

    @property
    def key(self) -> tuple[str, str, str]:
        """Namespace, kind and name."""
        return self.namespace, self.kind, self.name


@dataclass(slots=True, eq=False)
class Replica:
    """One replica: its pod's name is unique."""

    key: str
    name: str
    vm: SimVm | None = None
    ready: bool = False
    gone: bool = False


@dataclass(slots=True, eq=False)
class _Standing:
    """A workload as it stands."""

    written: SimWorkload
    wanted: int
    replicas: list[Replica] = field(default_factory=list[Replica])  #: the oldest first
    made: int = 0


class ScaledWorkloads:
    """All of them. ``retire`` deletes a VM in its own time."""

    def __init__(
        self,
        world: World,
        cloud: Cloud,
        targets: dict[str, Target],
        offerings: dict[str, Offering],
        retire: Callable[[SimVm], None],
    ) -> None:
        self._world = world
        self._cloud = cloud
        self._targets = targets
        self._offerings = offerings
        self._retire = retire
        self._standing: dict[tuple[str, str, str], _Standing] = {}
        self._vms: dict[str, Replica] = {}
        self.changed_ms = 0  #: when a number was last changed

    def start(self, workloads: tuple[SimWorkload, ...]) -> None:
        """Put workloads up with the replicas that they have, and tell of each."""
        for written in workloads:
            self._standing[written.key] = _Standing(written=written, wanted=0)
            self.scale(written.key, written.replicas)

    def owner(self, key: tuple[str, str, str]) -> str | None:
        """Return who else sets a workload's number; None where there is no such workload."""
        standing = self._standing.get(key)
        return None if standing is None else standing.written.owner

    def vm_of(self, key: str) -> SimVm | None:
        """Return a replica's VM."""
        replica = self._vms.get(key)
        return None if replica is None else replica.vm

    @property
    def extra(self) -> int:
        """Return how many replicas there are above what was written: those that somebody is to take back."""
        return sum(max(0, len(one.replicas) - one.written.replicas) for one in self._standing.values())

    def scale(self, key: tuple[str, str, str], replicas: int) -> None:
        """Set a workload's number. Those that are not ready go first, then the youngest, as a ReplicaSet has it."""
        standing = self._standing[key]
        if replicas != standing.wanted:
            self.changed_ms = self._world.now_ms
        standing.wanted = replicas
        while len(standing.replicas) > replicas:
            victim = min(range(len(standing.replicas)), key=lambda place: (standing.replicas[place].ready, -place))
            self._end(standing, standing.replicas.pop(victim))
        while len(standing.replicas) < replicas:
            standing.made += 1
            written = standing.written
            name = f"{written.name}-1-{standing.made:05d}"
            replica = Replica(key=f"{written.namespace}/{name}", name=name)
            standing.replicas.append(replica)
            self._vms[replica.key] = replica
            self._launch((standing, replica))
        self.tell(key)

    def remove(self, key: tuple[str, str, str]) -> None:
        """Somebody deletes the workload."""
        standing = self._standing.pop(key, None)
        if standing is None:
            return
        for replica in standing.replicas:
            self._end(standing, replica)
        self._world.outbox.append(WorkloadGone(namespace=key[0], kind=key[1], name=key[2]))

    def tell(self, key: tuple[str, str, str]) -> None:
        """Tell the controller how a workload stands."""
        standing = self._standing[key]
        written = standing.written
        self._world.outbox.append(
            WorkloadSeen(
                namespace=written.namespace,
                kind=written.kind,
                name=written.name,
                replicas=standing.wanted,
                status_replicas=len(standing.replicas),
                ready_replicas=sum(replica.ready for replica in standing.replicas),
                requests=written.requests,
                runtime_class=written.runtime_class,
                size=written.size,
                owner=written.owner,
            )
        )

    def _launch(self, subject: tuple[_Standing, Replica]) -> None:
        standing, replica = subject
        if replica.gone:
            return
        written, now_ms = standing.written, self._world.now_ms
        target = self._targets.get(written.target)
        if target is None:
            self._ready(subject)
            return
        offering = self._offerings[f"{target.name}/{target.region}/{written.size}"]
        answer = self._cloud.request(replica.key, replica.name, target, offering, now_ms)
        if isinstance(answer, Fault):
            self._again(subject, self._cloud.model.refuse_ms)
            return
        replica.vm = answer
        boot_ms = self._cloud.model.boot.draw_ms(self._cloud.seed, f"boot/{answer.launch}")
        self._world.agenda.at(now_ms + boot_ms, FINISH, self._booted, (standing, replica, answer))

    def _again(self, subject: tuple[_Standing, Replica], after_ms: int) -> None:
        due_ms = self._world.now_ms + after_ms + self._cloud.model.retry_ms
        self._world.agenda.at(due_ms, FINISH, self._launch, subject)

    def _booted(self, subject: tuple[_Standing, Replica, SimVm]) -> None:
        standing, replica, vm = subject
        if vm.state != "Creating":
            return
        if vm.fault is not None:
            self._cloud.move(vm, "Failed")
            replica.vm = None
            self._retire(vm)
            self._again((standing, replica), 0)
            return
        self._cloud.move(vm, "Succeeded")
        guest_ms = self._cloud.model.guest.draw_ms(self._cloud.seed, f"guest/{vm.launch}")
        self._world.agenda.at(self._world.now_ms + guest_ms, FINISH, self._ready, (standing, replica))

    def _ready(self, subject: tuple[_Standing, Replica]) -> None:
        standing, replica = subject
        if replica.gone or replica.ready:
            return
        replica.ready = True
        written = standing.written
        if written.stands_in_for:
            self._world.clone_ready(replica.key, written.namespace, written.stands_in_for, "")
        elif replica.vm is not None:
            self._cloud.work(replica.vm, self._world.now_ms)
        if len(standing.replicas) == standing.wanted:
            self.tell(written.key)

    def _end(self, standing: _Standing, replica: Replica) -> None:
        replica.gone = True
        written = standing.written
        if written.stands_in_for and replica.ready:
            self._world.clone_gone(replica.key, written.namespace, written.stands_in_for)
        vm, replica.vm = replica.vm, None
        self._vms.pop(replica.key, None)
        if vm is not None:
            self._cloud.rest(vm, self._world.now_ms)
            self._retire(vm)
