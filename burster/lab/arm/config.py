"""How the ARM stand-in behaves: latencies, quotas, restrictions, limits.

A frozen value; faults at run time are burster.lab.arm.faults.
"""

from typing import Literal

import msgspec

from burster.lab.arm.declared import (
    FailureMix,
    Image,
    OthersUse,
    Outage,
    PriceFault,
    RestrictionReason,
    Role,
    Tokens,
)
from burster.lab.arm.faults import Fault


class ArmConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Defaults are a subscription that somebody has prepared: some quota for everything, nothing restricted, nothing failing."""

    #: VM creation is drawn log-normally from its median and 95th percentile
    create_median_ms: int = 50_000
    create_p95_ms: int = 120_000
    create_max_ms: int = 600_000
    #: VM deletion is drawn evenly
    delete_min_ms: int = 30_000
    delete_max_ms: int = 90_000
    #: deletion of a disk, network interface or public address by itself; 0: done with the answer
    part_delete_ms: int = 0
    #: a change of an existing VM's tags
    update_ms: int = 3_000
    #: part of the creation after which the network interface has its address
    address_after_percent: int = 40
    #: what the headers ask a client to wait between two looks at an operation; 4 is what its token bucket can bear for ever
    retry_after_s: int = 4
    #: how long a finished operation can still be asked about
    operations_kept_ms: int = 86_400_000
    #: how long a VM that was just created is still unknown to reads
    read_lag_ms: int = 0
    #: how far a list is behind the truth: it misses newer VMs and still shows those gone since
    list_lag_ms: int = 0
    list_page_size: int = 50
    price_page_size: int = 100
    #: rows of the SKU list on one page; 0: all of them, as Azure does
    sku_page_size: int = 0
    #: vCPUs per family and region where ``quotas`` says nothing else
    family_quota: int = 200
    #: vCPUs per region over all families
    cores_quota: int = 1_000
    #: vCPUs of spot machines per region
    spot_quota: int = 100
    #: ``region/family``, ``region/cores`` or ``region/lowPriorityCores`` -> vCPUs, in any case
    quotas: dict[str, int] = {}
    #: what others use beside the lab's own VMs, now and later
    others_use: tuple[OthersUse, ...] = ()
    #: ``region/size`` -> why this subscription may not use it, in any case
    restricted: dict[str, RestrictionReason] = {}
    #: ``region/size`` -> zones in which this subscription may not use it, in any case
    restricted_zones: dict[str, tuple[str, ...]] = {}
    #: ``region/size`` -> zones where the size exists at all, in any case; otherwise all of the region's
    zones: dict[str, tuple[str, ...]] = {}
    #: the SKU list has no row
    skus_empty: bool = False
    #: how the public price list is wrong
    price_fault: PriceFault = ""
    #: where there is no capacity, and when
    outages: tuple[Outage, ...] = ()
    #: creations that fail by seed
    failure_mix: FailureMix | None = None
    #: how long spot machines run in the mean until somebody takes them back, drawn exponentially; 0: nobody does
    spot_life_mean_ms: int = 0
    #: disk encryption sets, by id -> encryption type; empty: any id is a set for confidential VMs
    disk_encryption_sets: dict[str, str] = {}
    #: addresses a subnet can give out
    subnet_addresses: int = 251
    #: ids of the subnets there are; empty: any id is a subnet
    subnets: tuple[str, ...] = ()
    #: ids of the network security groups there are; empty: any id is one
    security_groups: tuple[str, ...] = ()
    #: ids of the images there are; empty: any id is an image
    images: tuple[str, ...] = ()
    #: what is special about images; any other one is of generation V2 and made for confidential VMs
    image_facts: tuple[Image, ...] = ()
    #: ids of the subscriptions there are; empty: any id is one
    subscriptions: tuple[str, ...] = ()
    subscription_state: Literal["Enabled", "Warned", "PastDue", "Disabled"] = "Enabled"
    #: resource groups there are, with their regions; empty: any name is a group
    groups: dict[str, str] = {}
    #: what bearer tokens are taken; None: nobody is asked for one
    tokens: Tokens | None = None
    #: what the caller may do
    roles: tuple[Role, ...] = (Role(),)
    #: how far the Date header is ahead of the clock
    clock_skew_ms: int = 0
    #: token buckets per VM and subscription, of Azure Compute
    throttled: bool = True
    #: token buckets of ARM itself for all reads, writes and deletions of a subscription (in truth: of each identity in it)
    throttled_by_arm: bool = False
    #: a VM's disk gets the VM's tags
    disks_inherit_tags: bool = False
    #: how long a network interface that lost its VM is kept for it: nobody else may take or delete it; Azure's is 180 s
    nic_reserved_ms: int = 0
    #: real ARM answers with network interfaces only; True repeats the configurations a VM was created with
    show_network_configurations: bool = False
    #: faults that are there from the start, for example random ones
    faults: tuple[Fault, ...] = ()
    #: requests remembered for tests and `burster lab`
    history: int = 10_000
