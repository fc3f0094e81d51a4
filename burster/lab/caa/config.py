"""What CAA reads from ConfigMap peer-pods-cm, the timing of its stand-in, and which of its known failures are switched on.

Made once at CAA's start: a changed ConfigMap counts only after a restart, as with the real one.
"""

import re
from typing import Final

import msgspec


NAMESPACE: Final = "confidential-containers-system"
CONFIG_MAP: Final = "peer-pods-cm"
DEFAULT_SIZE: Final = "Standard_DC2as_v5"  #: an AMD SEV-SNP size: the trap for who wants TDX
DEFAULT_LIMIT: Final = 10
EXTENDED_RESOURCE: Final = "kata.peerpods.io/vm"
OWNER_ANNOTATION: Final = "kata.peerpods.io/caa-owner"
HYPERVISOR: Final = "io.katacontainers.config.hypervisor."

#: What a lab starts with unless told otherwise.
LAB_CONFIG: Final[dict[str, str]] = {
    "CLOUD_PROVIDER": "azure",
    "AZURE_SUBSCRIPTION_ID": "00000000-0000-0000-0000-000000000000",
    "AZURE_RESOURCE_GROUP": "burst-westeurope",
    "AZURE_REGION": "westeurope",
    "AZURE_SUBNET_ID": (
        "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/burst-westeurope/providers/Microsoft.Network"
        "/virtualNetworks/burst-vnet/subnets/podvms"
    ),
    "AZURE_IMAGE_ID": "/CommunityGalleries/cococommunity-lab/Images/peerpod-podvm/Versions/0.22.0",
    "AZURE_INSTANCE_SIZE": "Standard_DC2es_v6",
    "AZURE_INSTANCE_SIZES": (
        "Standard_DC2es_v6,Standard_DC4es_v6,Standard_DC8es_v6,Standard_DC16es_v6,"
        "Standard_EC2es_v6,Standard_EC4es_v6,Standard_EC8es_v6"
    ),
    "ENABLE_SECURE_BOOT": "true",
    "DISABLECVM": "false",
    "PEERPODS_LIMIT_PER_NODE": "10",
    "PROXY_TIMEOUT": "5m",
    "TAGS": "",
    "INITDATA": "",
}


class CaaConfig(msgspec.Struct, frozen=True, kw_only=True):
    """CAA's flags after it has read its environment."""

    subscription: str
    resource_group: str
    region: str
    subnet: str
    image: str
    default_size: str
    #: as written between the commas: blanks are not trimmed, so "A, B" names a size " B"
    sizes: tuple[str, ...]
    nsg: str
    disable_cvm: bool
    secure_boot: bool
    public_ip: bool
    root_volume_gb: int
    tags: dict[str, str]
    limit_per_node: int
    initdata: str
    proxy_timeout_ms: int


class ConfigError(Exception):
    """CAA can't start with this configuration."""


def read_config(data: dict[str, str]) -> CaaConfig:
    """Return the configuration. Raises ConfigError where a required value is missing."""
    for required in (
        "AZURE_SUBSCRIPTION_ID",
        "AZURE_RESOURCE_GROUP",
        "AZURE_REGION",
        "AZURE_SUBNET_ID",
        "AZURE_IMAGE_ID",
    ):
        if not data.get(required):
            raise ConfigError(f"{CONFIG_MAP}: {required} is empty; set it and restart cloud-api-adaptor")
    sizes = data.get("AZURE_INSTANCE_SIZES", "")
    tags = [part.partition("=") for part in data.get("TAGS", "").split(",") if "=" in part]
    return CaaConfig(
        subscription=data["AZURE_SUBSCRIPTION_ID"],
        resource_group=data["AZURE_RESOURCE_GROUP"],
        region=data["AZURE_REGION"],
        subnet=data["AZURE_SUBNET_ID"],
        image=data["AZURE_IMAGE_ID"],
        default_size=data.get("AZURE_INSTANCE_SIZE") or DEFAULT_SIZE,
        sizes=tuple(sizes.split(",")) if sizes else (),
        nsg=data.get("AZURE_NSG_ID", ""),
        disable_cvm=_flag(data, "DISABLECVM"),
        secure_boot=_flag(data, "ENABLE_SECURE_BOOT"),
        public_ip=_flag(data, "USE_PUBLIC_IP"),
        root_volume_gb=int(data.get("ROOT_VOLUME_SIZE") or 0),
        tags={key: value for key, _, value in tags},
        limit_per_node=int(data.get("PEERPODS_LIMIT_PER_NODE") or DEFAULT_LIMIT),
        initdata=data.get("INITDATA", ""),
        proxy_timeout_ms=_go_duration_ms(data.get("PROXY_TIMEOUT") or "5m"),
    )


def _flag(data: dict[str, str], name: str) -> bool:
    return data.get(name, "").lower() in {"true", "1", "t"}


def _go_duration_ms(text: str) -> int:
    units = {"h": 3_600_000, "m": 60_000, "s": 1_000}
    parts = re.findall(r"(\d+)([hms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ConfigError(f'{CONFIG_MAP}: PROXY_TIMEOUT {text!r} is no duration; write for example "5m"')
    return sum(int(number) * units[unit] for number, unit in parts)


class CaaTimings(msgspec.Struct, frozen=True, kw_only=True):
    """How long CAA's own steps take; the VM's time is ARM's."""

    agent_ready_ms: int = 8_000
    start_vm_timeout_ms: int = 600_000
    delete_timeout_ms: int = 600_000
    restart_ms: int = 15_000
    poll_ms: int = 30_000  #: between looks at an operation for which ARM gives no Retry-After


class CaaFaults(msgspec.Struct, frozen=True, kw_only=True):
    """CAA's known failures, each off unless set. Patterns are regular expressions for a pod's ``namespace/name``; empty: no pod."""

    #: this long after its start CAA restarts once on every node
    restart_after_ms: int | None = None
    #: a restart forgets the sandboxes, so that their pods start anew (releases so far); False: it keeps them
    restart_loses_sandboxes: bool = True
    #: CAA dies after the VM is made and before its PeerPod record is written, for the pod's first sandbox
    crash_before_record: str = ""
    #: StopVM's delete fails and is only logged
    swallow_delete: str = ""
    #: the agent of the pod's first sandbox answers only after ``slow_vm_ms``: longer than the kubelet waits
    slow_vm: str = ""
    slow_vm_ms: int = 270_000
    #: a VM that is ready only after its sandbox was given up stays, instead of being deleted late
    leak_abandoned: bool = False
    #: as if DISABLECVM were true: plain VMs, silently
    disable_cvm: bool = False
    #: as if INITDATA were set: used for pods without their own
    global_initdata: str = ""


def hits(pattern: str, namespace: str, name: str) -> bool:
    """Say whether a fault's pattern is set and names this pod."""
    return bool(pattern) and re.fullmatch(pattern, f"{namespace}/{name}") is not None
