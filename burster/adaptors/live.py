"""The live adaptor: each kind of instruction to the part that carries it out in the real world."""

from collections.abc import Callable

from burster.adaptors.azure_vms import AzureVms
from burster.adaptors.cluster_api import HOME, KubeApi
from burster.adaptors.cluster_events import EventRecorder
from burster.adaptors.peer_pods import delete_pod, mark_verified, place_pod, return_pod
from burster.adaptors.policy_guard import PolicyGuard
from burster.adaptors.records import forget_burst, record_burst, write_status
from burster.adaptors.scales import set_scale
from burster.adaptors.signals import SignalBoard
from burster.adaptors.statuses import write_policy_status, write_target_status
from burster.model import instructions as i
from burster.model.instructions import Instruction
from burster.model.stimuli import Stimulus


class LiveAdaptor:
    """Peer pods in one cluster, their VMs in one cloud."""

    def __init__(
        self, api: KubeApi, vms: AzureVms, signals: SignalBoard, now_ms: Callable[[], int], *, home: str = HOME
    ) -> None:
        """``home`` is burster's own namespace: targets' initdata is there."""
        self._api = api
        self._vms = vms
        self._signals = signals
        self._events = EventRecorder(api, now_ms)
        self._home = home
        self.guard = PolicyGuard(api)

    async def carry_out(self, instruction: Instruction) -> Stimulus | None:  # noqa: C901, PLR0911, PLR0912 - one line per kind
        """Do it and return its outcome. Raises RemoteError."""
        match instruction:
            case i.RecordBurst(burst=burst):
                await self.guard.keep(burst.policy_key)
                return await record_burst(self._api, instruction, home=self._home)
            case i.PlacePod():
                return await place_pod(self._api, instruction, home=self._home)
            case i.DeletePod():
                return await delete_pod(self._api, instruction)
            case i.ReturnPod():
                return await return_pod(self._api, instruction)
            case i.ObserveVms():
                return await self._vms.observe(instruction)
            case i.MarkVerified():
                return await mark_verified(self._api, instruction)
            case i.WriteStatus():
                return await write_status(self._api, instruction)
            case i.ForgetBurst():
                return await forget_burst(self._api, instruction)
            case i.ListCloud():
                return await self._vms.list_cloud(instruction)
            case i.DeleteVm():
                return await self._vms.delete(instruction)
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
