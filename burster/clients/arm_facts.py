"""What ARM tells about VM sizes, as values: made by burster.clients.arm, read by burster.sources.

Imports nothing of Azure, so reading stays cheap.
"""

import msgspec

from burster.model.offerings import Tee
from burster.model.pods import Resources


class VmSize(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a region's plain size list: what exists, without saying who may have it."""

    name: str
    resources: Resources


class Sku(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One VM size of a region as the SKU list tells it to this subscription.

    ``tee`` is the ConfidentialComputingType capability, never a guess from the name. ``restricted`` is the first reason why the
    subscription may not use it in the region at all; ``restricted_zones`` are zones it may not use.
    """

    name: str
    family: str
    resources: Resources
    tee: Tee = "None"
    zones: tuple[str, ...] = ()
    restricted: str = ""
    restricted_zones: tuple[str, ...] = ()
