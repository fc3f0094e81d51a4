"""A stand-in for Azure Resource Manager on loopback, with faults by plan or by seed."""

from burster.lab.arm.billing import BilledPart, BilledVm, Billing
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.declared import FailureMix, Image, OthersUse, Outage, Role, Tokens
from burster.lab.arm.faults import Fault, Faults, known_fault
from burster.lab.arm.server import ArmServer, VmSummary


__all__ = [
    "ArmConfig",
    "ArmServer",
    "BilledPart",
    "BilledVm",
    "Billing",
    "FailureMix",
    "Fault",
    "Faults",
    "Image",
    "OthersUse",
    "Outage",
    "Role",
    "Tokens",
    "VmSummary",
    "known_fault",
]
