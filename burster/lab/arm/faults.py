"""Faults of the ARM stand-in: told in advance (once, or so many times) or drawn by seed and probability.

Tests and the demo add them through ``ArmServer.faults``; the server asks before it answers. A random fault is drawn
from the seed, the fault's own label and the VM's name, never from one shared generator, so the order in which
requests arrive changes nothing.
"""

import random
import re
from collections import Counter, deque
from typing import Final, Literal

import msgspec

from burster.lab.arm.errors import SKU_NOT_AVAILABLE, ArmError


Operation = Literal[
    "PutVm",
    "GetVm",
    "ListVms",
    "DeleteVm",
    "GetOperation",
    "ListSizes",
    "ListSkus",
    "ListUsages",
    "ListPrices",
    "GetNic",
    "GetDisk",
    "GetPublicIp",
    "ListNics",
    "ListDisks",
    "ListPublicIps",
    "DeleteNic",
    "DeleteDisk",
    "DeletePublicIp",
    "GetSubnet",
    "GetImage",
    "GetSubscription",
    "GetGroup",
    "GetPermissions",
    "ListLocations",
    "Other",
    "Provision",  # late: the creation that was accepted fails at its end
    "Deprovision",  # late: the deletion that was accepted fails at its end
]

Effect = Literal[
    "Refuse",  # answer with status, code and message; nothing is done
    "DropBefore",  # close the connection; nothing is done
    "DropAfter",  # do it, then close the connection without an answer
    "Delay",  # do it, answer after delay_ms
]


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong, where, and how often. ``name`` is a regular expression for the whole VM name; empty parts match everything."""

    operation: Operation
    effect: Effect = "Refuse"
    status: int = 500
    code: str = "InternalServerError"
    message: str = "The server encountered an internal error. Please retry the request."
    retry_after_s: int | None = None
    delay_ms: int = 0
    size: str = ""
    region: str = ""
    name: str = ""
    times: int | None = 1  #: None: for ever
    probability: float = 1.0

    @property
    def label(self) -> str:
        """A stable name for the draw of random faults."""
        return f"{self.operation}/{self.effect}/{self.code}/{self.region}/{self.size}/{self.name}"


#: code -> operation, status, sentence with {size} and {region}: the failures people meet, in ARM's words
_KNOWN: Final[dict[str, tuple[Operation, int, str]]] = {
    "SkuNotAvailable": (
        "PutVm",
        409,
        SKU_NOT_AVAILABLE,
    ),
    "AllocationFailed": (
        "Provision",
        200,
        (
            "Allocation failed. We do not have sufficient capacity for the requested VM size in this region. "
            "Read more about improving likelihood of allocation success at http://aka.ms/allocation-guidance"
        ),
    ),
    "ZonalAllocationFailed": (
        "Provision",
        200,
        (
            "Allocation failed. We do not have sufficient capacity for the requested VM size in this zone. "
            "Read more about improving likelihood of allocation success at http://aka.ms/allocation-guidance"
        ),
    ),
    "OverconstrainedAllocationRequest": (
        "Provision",
        200,
        "Allocation failed. VM(s) with the following constraints cannot be allocated, because the condition is too restrictive.",
    ),
    "OverconstrainedZonalAllocationRequest": (
        "Provision",
        200,
        (
            "Allocation failed. VM(s) with the following constraints cannot be allocated, because the condition is too restrictive. "
            "Please remove some constraints and try again. Constraints applied are: Availability Zone, VM Size."
        ),
    ),
    "InternalExecutionError": ("Provision", 200, "An internal execution error occurred. Please retry later."),
    "RetryableError": ("PutVm", 429, "A retryable error occurred."),
    "AnotherOperationInProgress": (
        "PutVm",
        429,
        (
            "Another operation on this or dependent resource is in progress. To retrieve status of the operation use uri: "
            "https://management.azure.com/subscriptions/-/providers/Microsoft.Network/locations/{region}/operations/-."
        ),
    ),
    "OSProvisioningTimedOut": (
        "Provision",
        200,
        "OS Provisioning for VM did not finish in the allotted time. The VM may still finish provisioning successfully.",
    ),
    "RequestDisallowedByPolicy": (
        "PutVm",
        403,
        "Resource was disallowed by policy. Please contact your administrator.",
    ),
    "AuthorizationFailed": (
        "GetVm",
        403,
        "The client does not have authorization to perform the action over the scope, or the scope is invalid.",
    ),
    "InternalServerError": (
        "PutVm",
        500,
        "The server encountered an internal error. Please retry the request.",
    ),
}

#: Late failures after which the VM never had a machine under it: nobody pays for them.
UNALLOCATED: Final = frozenset(
    {
        "AllocationFailed",
        "ZonalAllocationFailed",
        "OverconstrainedAllocationRequest",
        "OverconstrainedZonalAllocationRequest",
        "SkuNotAvailable",
        "CapacityReservationCapacityExceeded",
    }
)


def known_failure(code: str, *, size: str, region: str) -> tuple[bool, int, str]:
    """Return whether Azure tells it at once, its HTTP status, and its sentence; KeyError for a code that has none here."""
    operation, status, message = _KNOWN[code]
    return operation == "PutVm", status, message.replace("{size}", size).replace("{region}", region)


def known_fault(
    code: str,
    *,
    size: str = "",
    region: str = "",
    name: str = "",
    times: int | None = 1,
    probability: float = 1.0,
) -> Fault:
    """Return one of the failures people meet, in ARM's words; KeyError for a code that has none here."""
    operation, status, message = _KNOWN[code]
    return Fault(
        operation=operation,
        status=status,
        code=code,
        message=message,
        size=size,
        region=region,
        name=name,
        times=times,
        probability=probability,
    )


class Dropped(Exception):  # noqa: N818 - it is no error of the lab, it is the connection that goes
    """The connection is to be closed without an answer."""


def strike(fault: Fault | None) -> Fault | None:
    """Let a fault happen that comes before anything is done; return it where it comes after."""
    if fault is None:
        return None
    if fault.effect == "Refuse":
        raise ArmError(fault.status, fault.code, fault.message, retry_after_s=fault.retry_after_s)
    if fault.effect == "DropBefore":
        raise Dropped
    return fault


class Faults:
    """The faults that are set, in order; the first that matches is taken."""

    def __init__(self, seed: int, faults: tuple[Fault, ...] = ()) -> None:
        self._seed = seed
        self._set: list[tuple[Fault, re.Pattern[str]]] = []
        self._left: list[int | None] = []
        #: how often a random fault was asked about one name: the n-th try of the same VM draws its own number
        self._asked: Counter[tuple[str, str, str]] = Counter()
        self.taken: deque[tuple[Operation, str, str]] = deque(maxlen=10_000)  #: operation, VM name, code
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Set one more fault."""
        self._set.append((fault, re.compile(fault.name or ".*")))
        self._left.append(fault.times)

    def clear(self) -> None:
        """Take all of them away."""
        self._set.clear()
        self._left.clear()

    def take(self, operation: Operation, *, name: str = "", size: str = "", region: str = "") -> Fault | None:
        """Return the fault that strikes this request, and count it."""
        for position, (fault, pattern) in enumerate(self._set):
            left = self._left[position]
            if fault.operation != operation or left == 0 or not _matches(fault, pattern, name, size, region):
                continue
            if fault.probability < 1 and not self._drawn(fault, operation, name):
                continue
            if left is not None:
                self._left[position] = left - 1
            self.taken.append((operation, name, fault.code))
            return msgspec.structs.replace(
                fault, message=fault.message.replace("{size}", size).replace("{region}", region)
            )
        return None

    def _drawn(self, fault: Fault, operation: str, name: str) -> bool:
        key = (fault.label, operation, name.casefold())
        self._asked[key] += 1
        return random.Random(f"{self._seed}/fault/{'/'.join(key)}/{self._asked[key]}").random() < fault.probability


def _matches(fault: Fault, pattern: re.Pattern[str], name: str, size: str, region: str) -> bool:
    return (
        (not fault.size or fault.size.casefold() == size.casefold())
        and (not fault.region or fault.region.casefold() == region.casefold())
        and pattern.fullmatch(name) is not None
    )
