"""Azure Resource Manager through azure-mgmt-compute: the one place that imports Azure's clients."""

from burster.clients.arm.client import Arm
from burster.clients.arm_settings import ArmSettings


__all__ = ["Arm", "ArmSettings"]
