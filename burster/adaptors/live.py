"""The live adaptor: each kind of instruction to the part that carries it out in the real world.

What is done at the place where a burst runs goes through the port (``adaptors.port``), by the burst's provider and strategy.
"""

from collections.abc import Callable

from burster.adaptors.cluster_api import HOME, KubeApi
from burster.adaptors.cluster_events import EventRecorder
from burster.adaptors.endpoint_slices import EndpointSlices, Reach, connect
from burster.adaptors.peer_pods import mark_verified, return_pod
from burster.adaptors.policy_guard import PolicyGuard
from burster.adaptors.port import Places, Sweepable
from burster.adaptors.records import forget_burst, record_burst, write_status
from burster.adaptors.scales import set_scale
from burster.adaptors.signals import SignalBoard
from burster.adaptors.statuses import write_policy_status, write_target_status
from burster.model import instructions as i
from burster.model.errors import RemoteError
from burster.model.instructions import Instruction
from burster.model.stimuli import Stimulus


class LiveAdaptor:
    """Pods in one cluster, and what runs of them at its places."""

    def __init__(
        self,
        api: KubeApi,
        places: Places,
        signals: SignalBoard,
        now_ms: Callable[[], int],
        *,
        home: str = HOME,
        reach: Reach = connect,
    ) -> None:
        """``home`` is burster's own namespace: targets' initdata is there. ``reach`` asks whether a machine's port answers."""
        self._api = api
        self._places = places
        self._signals = signals
        self._events = EventRecorder(api, now_ms)
        self._home = home
        self._endpoints = EndpointSlices(api, reach)
        self.guard = PolicyGuard(api)

    async def carry_out(self, instruction: Instruction) -> Stimulus | None:  # noqa: C901, PLR0911, PLR0912 - one line per kind
        """Do it and return its outcome. Raises RemoteError."""
        match instruction:
            case i.RecordBurst(burst=burst):
                await self.guard.keep(burst.policy_key)
                return await record_burst(self._api, instruction, home=self._home)
            case i.PlacePod(burst=burst) | i.LaunchMachine(burst=burst):
                return await self._places.of_burst(burst).launch(burst)
            case i.DeletePod(burst=burst):
                place = self._places.of_burst(burst)
                return await place.release(burst, grace_ms=instruction.grace_ms, let_go=instruction.let_go)
            case i.DeleteMachine(burst=burst):
                return await self._places.of_burst(burst).release(burst, grace_ms=0)
            case i.PublishEndpoint():
                return await self._endpoints.publish(instruction)
            case i.ReturnPod():
                return await return_pod(self._api, instruction)
            case i.ObserveVms(burst=burst):
                return await self._places.of_burst(burst).observe(burst)
            case i.MarkVerified():
                return await mark_verified(self._api, instruction)
            case i.WriteStatus():
                return await write_status(self._api, instruction)
            case i.ForgetBurst():
                return await forget_burst(self._api, instruction)
            case i.ListCloud(target=name):
                target = self._places.targets.get(name)
                return await self._places.of_target(target).list(target)
            case i.DeleteVm() | i.DeleteResource():
                return await self._sweep(instruction)
            case i.SetScale(policy=policy):
                if not instruction.restores:
                    await self.guard.keep(policy)
                return await set_scale(self._api, instruction)
            case i.PublishSignal():
                return self._signals.publish(instruction)
            case i.ReleasePolicy():
                return await self.guard.release(instruction)
            case i.WritePolicyStatus():
                return await write_policy_status(self._api, instruction)
            case i.WriteTargetStatus():
                return await write_target_status(self._api, instruction)
            case i.EmitEvent():
                await self._events.emit(instruction)
                return None

    async def _sweep(self, instruction: i.DeleteVm | i.DeleteResource) -> Stimulus:
        target = self._places.targets.get(instruction.target)
        place = self._places.of_target(target)
        if not isinstance(place, Sweepable):
            sentence = f"burster deletes nothing at provider {target.provider}: whoever made it has to"
            raise RemoteError("Invalid", sentence, code="NotSweepable")
        if isinstance(instruction, i.DeleteResource):
            return await place.delete_resource(instruction)
        return await place.delete_vm(instruction)
