"""A Burst of strategy Machine, and the target that it is for."""

from typing import Any

import msgspec

from burster.model.bursts import Burst, BurstSpec, BurstStatus, MachineSource
from burster.model.targets import Target
from tests.support.builders import T0, a_target


GROUP = "/subscriptions/sub-1/resourceGroups/rg"
IMAGE = f"{GROUP}/providers/Microsoft.Compute/galleries/gold/images/rhel-cvm/versions/9.6.1"
SUBNET = f"{GROUP}/providers/Microsoft.Network/virtualNetworks/hub/subnets/machines"
NSG = f"{GROUP}/providers/Microsoft.Network/networkSecurityGroups/closed"
KEYS = f"{GROUP}/providers/Microsoft.Compute/diskEncryptionSets/ours"
NAME = "burstvm-scorer-0123abcd"


def a_machine(*, uid: str = "u-1", status: dict[str, Any] | None = None, source: Any = None, **changes: Any) -> Burst:
    """A machine's record, written and placed nowhere yet. ``source`` changes what it is made of, ``changes`` what was decided."""
    made = {
        "image": IMAGE,
        "encryption": "VMGuestStateOnly",
        "subnet": SUBNET,
        "config_map": "scorer",
        "key": "user-data",
    }
    spec = BurstSpec(
        policy="scoring",
        target="azure",
        strategy="Machine",
        pod_name=NAME,
        machine=MachineSource(**{**made, "service": "scorer", "port": 8443, **(source or {})}),
        region="westeurope",
        size="Standard_DC4es_v6",
        runtime_class="",
        vcpus=4,
        price_micro_usd_per_hour=242_000,
        reserved_micro_usd=300_000,
        decided_at_ms=T0,
        lease_ms=3_000_000,
        drain_ms=600_000,
        launch_deadline_ms=300_000,
        ready_deadline_ms=900_000,
    )
    spec = msgspec.structs.replace(spec, **changes)
    return Burst(
        namespace="bank", name="burst-scorer-0123abcd", uid=uid, spec=spec, status=BurstStatus(**(status or {}))
    )


def the_target(**changes: Any) -> Target:
    """The target of ``a_machine``."""
    return msgspec.structs.replace(a_target(), trustee_url="https://kbs.bank.example:8080", **changes)
