"""Spot machines: what may be asked for, at which price, and what an eviction looks like to the guest.

Called while a VM's body is judged, and by the cloud when somebody takes the machine back.
"""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from burster.lab.arm.body import VmBody
from burster.lab.arm.catalogue import Size, spot_micro_usd_per_hour
from burster.lab.arm.errors import ArmError, invalid


_ANY_PRICE: Final = -1
_MICRO: Final = 1_000_000


def judge_priority(body: VmBody, size: Size) -> None:
    """Refuse what can't be had as a spot machine, or not at that price; and spot's words for any other machine."""
    properties = body.properties
    if properties.priority.casefold() not in {"regular", "low", "spot"}:
        raise invalid(f"The value '{properties.priority}' of parameter priority is invalid.", "priority")
    if not body.spot:
        if properties.eviction_policy:
            code = "EvictionPolicyCanBeSetOnlyOnAzureSpotVirtualMachines"
            raise ArmError(400, code, "Eviction policy can be set only on Azure Spot Virtual Machines.")
        if body.max_price_usd is not None:
            code = "MaxPriceCanBeSetOnlyOnAzureSpotVirtualMachines"
            raise ArmError(400, code, "Max price can be set only on Azure Spot Virtual Machines.")
        return
    if body.eviction_policy.casefold() not in {"delete", "deallocate"}:
        raise invalid(f"The value '{body.eviction_policy}' of parameter evictionPolicy is invalid.", "evictionPolicy")
    if not size.series.low_priority:
        raise ArmError(
            400, "BadRequest", f"The VM size '{size.name}' is not supported for Azure Spot Virtual Machines."
        )
    _judge_price(body, size)


def _judge_price(body: VmBody, size: Size) -> None:
    wanted = body.max_price_usd
    if wanted is None or wanted == _ANY_PRICE:
        return
    if not wanted > 0:
        raise ArmError(
            400,
            "MaxPriceValueInvalid",
            "Invalid max price value. The only supported values for max price are -1 or a decimal greater than zero. Max price "
            "value of -1 indicates the Azure Spot virtual machine will not be evicted for price reasons.",
        )
    price = spot_micro_usd_per_hour(body.region, size)
    if price is not None and wanted * _MICRO < price:
        raise ArmError(
            409,
            "SpotPriceGreaterThanProvidedMaxPrice",
            f"Unable to perform operation 'Create VM' since the provided max price '{wanted} USD' is lower than the current spot "
            f"price '{price / _MICRO} USD' for Azure Spot VM size '{size.name}'.",
        )


def scheduled_event(name: str, event_id: str, not_before_ms: int) -> dict[str, Any]:
    """Return the notice as the guest reads it from its metadata service."""
    return {
        "EventId": event_id,
        "EventType": "Preempt",
        "ResourceType": "VirtualMachine",
        "Resources": [name],
        "EventStatus": "Scheduled",
        "NotBefore": format_datetime(datetime.fromtimestamp(not_before_ms / 1000, UTC), usegmt=True),
        "Description": "",
        "EventSource": "Platform",
        "DurationInSeconds": -1,
    }
