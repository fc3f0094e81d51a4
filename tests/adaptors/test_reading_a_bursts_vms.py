"""What is told of a burst's VMs: everything the engine compares, from the first look on."""

import msgspec

from burster.adaptors.azure_vms import AzureVms
from burster.adaptors.port import TargetBook
from burster.model.bursts import Burst, BurstSpec, BurstStatus, PodRef
from burster.model.errors import RemoteError
from burster.model.instructions import ObserveVms
from tests.support.builders import a_target, a_vm


SUBNET = "/subscriptions/sub/vnet/subnets/podvms"


def a_burst(**status) -> Burst:
    spec = BurstSpec(
        policy="tasks", target="azure", strategy="Move", pod_name="task-1", for_pod=PodRef(name="task-1", uid="u"),
        region="westeurope", size="Standard_DC2es_v6", runtime_class="kata-remote", price_micro_usd_per_hour=1,
        reserved_micro_usd=1, decided_at_ms=0, lease_ms=1, drain_ms=1, launch_deadline_ms=1, ready_deadline_ms=1,
    )  # fmt: skip
    return Burst(namespace="bank", name="b", uid="uid", spec=spec, status=BurstStatus(**status))


class Cloud:
    """A cloud whose listing lags and says nothing of networks, as ARM's does."""

    def __init__(self, listed, there) -> None:
        self._listed, self._there = listed, there

    async def list_vms(self, _target):
        return [msgspec.structs.replace(vm, subnet="", public_ip=None) for vm in self._listed]

    async def get_vm(self, _target, name):
        return next((vm for vm in self._there if vm.name == name), None)


class NoPeerPods:
    async def get(self, path, params=None):
        raise RemoteError("NotFound", path)


async def observed(listed, there, **status):
    targets = TargetBook()
    targets.put(a_target(subnet=SUBNET))
    vms = AzureVms(Cloud(listed, there), NoPeerPods(), targets, lambda: 0)
    return (await vms.observe(ObserveVms(key="observe/b", burst=a_burst(**status)))).vms


def the_vm():
    return a_vm(a_burst(), created_at=1, subnet=SUBNET, public_ip=False)


async def test_the_first_look_already_knows_the_network():
    (vm,) = await observed([the_vm()], [the_vm()])
    assert (vm.subnet, vm.public_ip) == (SUBNET, False)


async def test_a_listing_that_lags_is_put_right_in_both_directions():
    known = {"vms": (the_vm().name,)}
    assert await observed([], [the_vm()], **known) == (the_vm(),)
    assert await observed([the_vm()], [], **known) == ()
    assert await observed([the_vm()], []) == ()
