"""Machines without a pod in the virtual world: asked for, made or not made, published, taken back by the cloud, deleted.

Called by ``hands`` for strategy Machine. It stands for ARM, the guest and the cluster's EndpointSlices, as far as a decision can see them.
It takes no decision.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from burster.engine.offers.cooling import matter_of
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.offerings import CloudFailure, Offering, Vm
from burster.model.targets import Target
from burster.simulator.cloud import Cloud, SimVm
from burster.simulator.cloud_model import Fault
from burster.simulator.heap import FINISH
from burster.simulator.numbers import failure
from burster.simulator.world import World


_EVICTED: Final = "SpotEvicted"
_ADDRESS: Final = "10.0.{}.{}"


def machine_facts(burst: Burst, vm: Vm) -> Vm:
    """Return what the cloud tells of a burst's machine, besides what is so of every VM."""
    spec, source = burst.spec, burst.spec.machine
    if source is None:
        return vm
    number = int.from_bytes(vm.name.encode()[-2:], "big") % 65_000 + 1
    return msgspec.structs.replace(
        vm,
        secure_boot=source.secure_boot,
        encryption_type=source.encryption,
        disk_encryption_set=source.disk_encryption_set,
        image=source.image,
        subnet=source.subnet,
        zone=spec.zone,
        spot=spec.spot,
        vm_id=f"id-{vm.name}",
        private_address=_ADDRESS.format(number // 256, number % 256),
        power_state=vm.power_state or "running",
    )


@dataclass(slots=True, eq=False)
class _Made:
    """One machine, from its request to its end."""

    burst: Burst
    vm: SimVm | None
    fault: Fault | None = None  #: why it came to nothing
    up: bool = False  #: its guest runs, and its port answers
    taken_back: bool = False
    works: bool = False


@dataclass(slots=True)
class Machines:
    """All of them."""

    world: World
    cloud: Cloud
    targets: dict[str, Target]
    offerings: dict[str, Offering]
    tell: Callable[[s.Stimulus], None]
    begun: Callable[[], None]  #: there may be something to look for from now on
    #: policy -> the Deployment on-prem whose waiting replicas its machines do the work of
    stands_in_for: dict[str, str] = field(default_factory=dict[str, str])
    made: dict[str, _Made] = field(default_factory=dict[str, _Made])

    def launch(self, instruction: i.LaunchMachine) -> None:
        """Ask for a machine; one of its name is there already, or the cloud makes it, or refuses it at once."""
        burst = instruction.burst
        known = self.made.get(burst.key)
        if known is not None and known.vm is not None:
            self.tell(s.MachineLaunched(key=burst.key, vm_id=f"id-{burst.spec.pod_name}", operation="op"))
            return
        spec = burst.spec
        key = f"{spec.target}/{spec.region}/{spec.size}"
        offering = self.offerings[f"{key}/spot" if spec.spot else key]
        answer = self.cloud.request(
            burst.key, spec.pod_name, self.targets[spec.target], offering, self.world.now_ms, whole_name=True
        )
        self.begun()
        if isinstance(answer, Fault):
            after_ms = self.world.now_ms + self.cloud.model.refuse_ms
            self.world.agenda.at(after_ms, FINISH, self._refused, (instruction, answer))
            return
        made = self.made[burst.key] = _Made(burst=burst, vm=answer)
        boot_ms = self.cloud.model.boot.draw_ms(self.cloud.seed, f"boot/{answer.launch}")
        self.world.agenda.at(self.world.now_ms + boot_ms, FINISH, self._booted, made)
        self.tell(s.MachineLaunched(key=burst.key, vm_id=f"id-{answer.name}", operation="op"))

    def observe(self, burst: Burst) -> None:
        """Tell of a burst's machine, and of the operation that was to make it."""
        made = self.made.get(burst.key)
        vm = None if made is None else made.vm
        vms = (self._facts(made, vm),) if made is not None and vm is not None else ()
        fault = None if made is None or vm is None or vm.state != "Failed" else made.fault
        told = None
        if fault is not None:
            told = CloudFailure(
                kind=fault.kind, code=fault.code, matter=matter_of(fault.kind, fault.code), message=fault.message
            )
        self.tell(s.VmsObserved(key=burst.key, vms=vms, failure=told))

    def publish(self, instruction: i.PublishEndpoint) -> None:
        """Make a machine an endpoint, refused while its guest does not answer; or take it out."""
        key, made = instruction.burst.key, self.made.get(instruction.burst.key)
        if instruction.ready and (made is None or made.vm is None or not made.up):
            message = f"{instruction.address} does not answer yet"
            self.tell(failure(instruction, key, "Unavailable", "NotAnswering", message))
            return
        if made is not None and instruction.ready:
            self._begins(made)
        elif made is not None:
            self._ends(made)
        self.tell(s.EndpointPublished(key=key, ready=instruction.ready))

    def delete(self, instruction: i.DeleteMachine) -> None:
        """Delete a machine, and tell when it is gone."""
        made = self.made.get(instruction.burst.key)
        if made is None or made.vm is None:
            self.tell(s.MachineDeleted(key=instruction.burst.key))
            return
        self._goes(made, made.vm)

    def vm_of(self, key: str) -> SimVm | None:
        """Return the VM of a burst's machine, if it is there."""
        made = self.made.get(key)
        return None if made is None else made.vm

    def _begins(self, made: _Made) -> None:
        """Let a machine do work: of a waiting replica on-prem where it stands in for a Deployment."""
        if made.vm is None or made.works:
            return
        made.works = True
        name = self.stands_in_for.get(made.burst.policy_key)
        if name is None:
            self.cloud.work(made.vm, self.world.now_ms)
        else:
            self.world.clone_ready(made.burst.key, made.burst.namespace, name, "")

    def _ends(self, made: _Made) -> None:
        if made.vm is None or not made.works:
            return
        made.works = False
        name = self.stands_in_for.get(made.burst.policy_key)
        if name is None:
            self.cloud.rest(made.vm, self.world.now_ms)
        else:
            self.world.clone_gone(made.burst.key, made.burst.namespace, name)

    def _facts(self, made: _Made, vm: SimVm) -> Vm:
        told = machine_facts(made.burst, vm.facts(self.world.epoch_ms))
        return msgspec.structs.replace(told, power_state="deallocated") if made.taken_back else told

    def _refused(self, subject: tuple[i.LaunchMachine, Fault]) -> None:
        instruction, fault = subject
        self.tell(failure(instruction, instruction.burst.key, fault.kind, fault.code, f"{fault.code}: {fault.message}"))

    def _booted(self, made: _Made) -> None:
        vm = made.vm
        if vm is None or vm.state != "Creating":
            return
        made.fault = vm.fault
        self.cloud.move(vm, "Succeeded" if vm.fault is None else "Failed")
        if vm.fault is not None:
            return
        guest_ms = self.cloud.model.guest.draw_ms(self.cloud.seed, f"guest/{vm.launch}")
        self.world.agenda.at(self.world.now_ms + guest_ms, FINISH, self._answers, made)
        after_ms = self.cloud.model.evicted_after_ms(self.cloud.seed, vm.launch) if made.burst.spec.spot else None
        if after_ms is not None:
            self.world.agenda.at(self.world.now_ms + after_ms, FINISH, self._evict, made)

    def _answers(self, made: _Made) -> None:
        made.up = made.vm is not None and made.vm.state == "Succeeded" and not made.taken_back
        source = made.burst.spec.machine
        if made.up and (source is None or not source.service):
            self._begins(made)

    def _evict(self, made: _Made) -> None:
        """Take a spot machine back: it runs no more, and what is left of it stays until it is deleted."""
        if made.vm is None or made.vm.state != "Succeeded":
            return
        self.cloud.failures[_EVICTED] = self.cloud.failures.get(_EVICTED, 0) + 1
        made.taken_back, made.up = True, False
        self._ends(made)

    def _goes(self, made: _Made, vm: SimVm) -> None:
        if vm.state == "Deleting":
            return
        made.up = False
        self._ends(made)
        self.cloud.move(vm, "Deleting")
        delete_ms = self.cloud.model.delete.draw_ms(self.cloud.seed, f"delete/{vm.launch}")
        self.world.agenda.at(self.world.now_ms + delete_ms, FINISH, self._gone, (made, vm))

    def _gone(self, subject: tuple[_Made, SimVm]) -> None:
        made, vm = subject
        self.cloud.remove(vm, self.world.now_ms)
        made.vm = None
        self.tell(s.MachineDeleted(key=made.burst.key))
