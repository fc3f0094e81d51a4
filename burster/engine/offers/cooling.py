"""For how long a refused size is left alone, by what the refusal is about.

The numbers are those that Karpenter uses on Azure: a size that the subscription may not have, 23 hours (spot: 1); a place that is full, 1
hour; a quota of nothing, 1 hour; a quota that is used up, 10 minutes; anything else, 3 minutes. What follows besides is for
``consequences``.
"""

from typing import Final, Literal

from burster.model.errors import RemoteKind
from burster.model.offerings import Matter


NOT_AVAILABLE_MS: Final = 82_800_000
SPOT_NOT_AVAILABLE_MS: Final = 3_600_000
FULL_MS: Final = 3_600_000
QUOTA_ZERO_MS: Final = 3_600_000
QUOTA_LOW_MS: Final = 600_000
OTHERWISE_MS: Final = 180_000
#: What a refusal is about, where only its code tells
_BY_CODE: Final[dict[str, Matter]] = {
    "skunotavailable": "sku-restricted",
    "notavailableforsubscription": "sku-restricted",
    "allocationfailed": "capacity",
    "overconstrainedallocationrequest": "capacity",
    "capacityreservationcapacityexceeded": "capacity",
    "zonalallocationfailed": "zonal-capacity",
    "overconstrainedzonalallocationrequest": "zonal-capacity",
    "operationnotallowed": "family-quota",
    "quotaexceeded": "family-quota",
    "resourcequotaexceeded": "family-quota",
    "subnetisfull": "address-space",
    "publicipcountlimitreached": "address-space",
}
#: The same, where not even the code does
_BY_KIND: Final[dict[RemoteKind, Matter]] = {
    "Quota": "family-quota",
    "Unauthorized": "auth",
    "Invalid": "configuration",
    "Throttled": "throttled",
    "Conflict": "conflict",
    "AlreadyExists": "exists",
    "NotFound": "absent",
    "Unavailable": "service",
    "Unreachable": "network",
    "Timeout": "deadline",
}
_QUOTAS: Final[frozenset[Matter]] = frozenset({"family-quota", "regional-quota", "spot-quota"})


def matter_of(kind: RemoteKind, code: str, matter: Matter | Literal[""] = "") -> Matter:
    """Return what a refusal is about: as stated, else by its code, else by its kind."""
    return matter or _BY_CODE.get(code.casefold()) or _BY_KIND.get(kind, "unknown")


def rest_ms(
    kind: RemoteKind,
    code: str,
    *,
    matter: Matter | Literal[""] = "",
    spot: bool = False,
    limit_vcpus: int | None = None,
) -> int:
    """Return how long a refused size is left alone. ``limit_vcpus``: the quota, where the refusal or the quota's rows state it."""
    about = matter_of(kind, code, matter)
    if about == "sku-restricted":
        return SPOT_NOT_AVAILABLE_MS if spot else NOT_AVAILABLE_MS
    if about in {"capacity", "zonal-capacity"}:
        return FULL_MS
    if about in _QUOTAS:
        return QUOTA_ZERO_MS if limit_vcpus == 0 else QUOTA_LOW_MS
    return OTHERWISE_MS
