"""What each field of a compiled policy or target means for money, security and demand, and which way is looser.

Data for ``diff``: patterns of paths in the compiled values, the field's name in YAML, and a word for people. The first pattern that fits
a path decides; what no pattern fits changes behaviour all the same, nobody can tell which way.
"""

from typing import Final, Literal, NamedTuple


Area = Literal["money", "security", "demand"]
#: up: a larger number is looser, and none at all (no limit) the loosest; more: a larger number is looser, and none at all the tightest;
#: down: a smaller number is looser; wider: more in a list is, any: the same, and an empty list stands for all; narrower: less in a list
#: is; named: by an order from tight to loose; given: having it is tighter than not; taken: having it is looser than not; either: which way
#: can't be told from the values, so that somebody has to look; nothing: neither way
Looser = Literal["up", "more", "down", "wider", "any", "narrower", "named", "given", "taken", "either", ""]


class FieldRule(NamedTuple):
    """One pattern of paths."""

    pattern: str
    area: Area
    looser: Looser
    words: str
    order: tuple[object, ...] = ()


_LIMITS: Final = (
    FieldRule("*.max_bursts", "money", "up", "cloud pods at one time"),
    FieldRule("*.max_vcpus", "money", "up", "vCPUs at one time"),
    FieldRule("*.launch_rate.count", "money", "up", "launches in a while"),
    FieldRule("*.launch_rate.per_ms", "money", "down", "the while in which launches are counted"),
    FieldRule("*.budget.per_*_micro_usd", "money", "up", "the budget"),
    FieldRule("*.budget.warn_percent", "money", "", "when people are warned of the budget"),
    FieldRule("*.budget.stop_percent", "money", "up", "when the budget lets nothing new start"),
    FieldRule("*.budget.drain_percent", "money", "up", "when the budget brings everything home"),
    FieldRule("*.budget.timezone", "money", "", "where the budget's days begin"),
    FieldRule("*.provider_shares.*", "money", "up", "the share of a provider"),
)

POLICY_RULES: Final = (
    *_LIMITS,
    FieldRule("paused", "demand", "named", "whether it is paused", (True, False)),
    FieldRule("paused_scale_out", "demand", "named", "whether anything new starts", (True, False)),
    FieldRule("paused_scale_in", "money", "named", "whether what nobody needs is kept", (False, True)),
    FieldRule("force_activation", "demand", "named", "whether it counts as active by force", (False, True)),
    FieldRule("priority", "demand", "", "its rank among policies"),
    FieldRule("when", "demand", "given", "the condition"),
    FieldRule("windows", "demand", "any", "when it is in force"),
    FieldRule("blackouts", "demand", "narrower", "when it is not in force"),
    FieldRule("wait.mode", "demand", "named", "whether pods wait for room", ("BuyOrWait", "PendingFor", "AtOnce")),
    FieldRule("wait.max_wait_ms", "demand", "down", "how long a pod waits at most"),
    FieldRule("wait.value_micro_usd_per_hour", "demand", "up", "what an hour of waiting costs"),
    FieldRule("placement.strategy", "demand", "either", "what bursting means"),
    FieldRule("placement.targets", "security", "wider", "where it may go"),
    FieldRule("placement.sizes", "money", "any", "the sizes of its VMs"),
    FieldRule("placement.spot", "money", "", "whether VMs may be taken away"),
    FieldRule("placement.lease_ms", "money", "up", "the lease"),
    FieldRule("placement.drain_ms", "money", "up", "the time to finish"),
    FieldRule("placement.min_life_ms", "money", "up", "how long a cloud pod stays at the least"),
    FieldRule("placement.idle_ms", "money", "up", "how long a spare cloud pod is kept"),
    FieldRule("placement.disruption_percent", "demand", "", "how many may be coming home at once"),
    FieldRule("scaling.max_replicas", "money", "up", "the most replicas"),
    FieldRule("scaling.min_replicas", "money", "up", "the least replicas"),
    FieldRule("scaling.idle_replicas", "money", "", "replicas without demand"),
    FieldRule("scaling.cooldown_ms", "money", "up", "the cooldown"),
    FieldRule("scaling.fallback.replicas", "money", "more", "replicas when metrics fail"),
    FieldRule("confidential.tees", "security", "wider", "the TEEs that will do"),
    FieldRule("confidential.secure_boot", "security", "named", "whether secure boot is asked for", (True, False)),
    FieldRule("confidential.attestation", "security", "named", "what proof is asked for", ("Required", "VmOnly")),
    FieldRule("confidential.exec_forbidden", "security", "named", "whether exec is forbidden", (True, False)),
    FieldRule("confidential.allowed_images", "security", "any", "the images allowed"),
    FieldRule("confidential.images_by_digest", "security", "named", "whether images are by digest only", (True, False)),
    FieldRule("confidential.secrets", "security", "named", "which Secrets a pod may refer to", ("Sealed", "Any")),
    FieldRule("confidential.sealed_secrets", "security", "wider", "the Secrets taken to be sealed"),
    FieldRule("confidential.data_class", "security", "given", "the class of its data"),
    FieldRule("confidential.jurisdictions", "security", "any", "whose law may hold there"),
    FieldRule("confidential.*", "security", "either", "the initdata"),
    FieldRule("triggers.*.pending_for_ms", "demand", "down", "how long a pod is pending before it counts"),
    FieldRule("triggers.*.min_count", "demand", "down", "how many pods must be pending"),
    FieldRule("triggers.*.threshold_milli", "demand", "down", "what one replica takes"),
    FieldRule("triggers.*.activation_milli", "demand", "down", "above what it is active"),
    FieldRule("triggers.*.desired_replicas", "demand", "more", "replicas while it is active"),
    FieldRule("triggers.*.access.unsafe_ssl", "security", "named", "whether certificates go unchecked", (False, True)),
    FieldRule("triggers.*.access.*", "security", "either", "how the metric is reached"),
    FieldRule("triggers.*.server_address", "security", "either", "where the metric is read"),
    FieldRule("triggers.*.url", "security", "either", "where the metric is read"),
    FieldRule("triggers.*.reasons", "demand", "any", "the scheduler's reasons that count"),
    FieldRule("triggers.*.resources", "demand", "any", "the resources that count"),
    FieldRule("triggers.*.namespaces", "demand", "wider", "whose pods are counted"),
    FieldRule("triggers.*.runtime_classes", "demand", "any", "the RuntimeClasses that count"),
    FieldRule("triggers.*", "demand", "either", "what the trigger counts"),
    FieldRule("workload.*", "demand", "either", "which pods it is about"),
    FieldRule("machine.image", "security", "either", "the image of its machines"),
    FieldRule("machine.config_map", "security", "either", "the user data of its machines"),
    FieldRule("machine.key", "security", "either", "the user data of its machines"),
    FieldRule(
        "machine.encryption",
        "security",
        "named",
        "what of a machine is encrypted for it alone",
        ("DiskWithVMGuestState", "VMGuestStateOnly"),
    ),
    FieldRule("machine.service", "security", "taken", "the Service that its machines are endpoints of"),
    FieldRule("machine.port", "security", "either", "the port that its machines serve"),
    FieldRule("machine.os_disk_gib", "money", "up", "the size of a machine's disk in GiB"),
    FieldRule("machine.requests.gpus", "money", "", ""),
    FieldRule("machine.requests.*", "money", "up", "what a machine's workload needs"),
)

TARGET_RULES: Final = (
    *_LIMITS,
    FieldRule("sizes", "money", "wider", "the sizes of its VMs"),
    FieldRule("tees", "security", "wider", "the TEEs allowed"),
    FieldRule("image", "security", "given", "the image every VM must have"),
    FieldRule("subnet", "security", "given", "the subnet every VM must be in"),
    FieldRule("machines.images", "security", "wider", "the images that machines may have"),
    FieldRule("machines.subnet", "security", "either", "the subnet of machines"),
    FieldRule("machines.network_security_group", "security", "either", "the security group of machines"),
    FieldRule("machines.disk_encryption_set", "security", "either", "whose key encrypts the disks of machines"),
    FieldRule("machines.zones", "demand", "", "the zones of machines"),
    FieldRule("allowed_namespaces", "security", "wider", "who may burst here"),
    FieldRule("required_namespace_labels.*", "security", "given", "a label that namespaces need"),
    FieldRule("data_classes", "security", "wider", "the classes of data taken here"),
    FieldRule("jurisdiction", "security", "either", "whose law holds here"),
    FieldRule("trustee_url", "security", "either", "the Trustee"),
    FieldRule("allowed_metric_endpoints", "security", "wider", "where metrics may be read"),
    FieldRule("initdata*", "security", "either", "the initdata"),
    FieldRule("runtime_class", "security", "either", "the RuntimeClass of its pods"),
    FieldRule("node_selector.*", "security", "given", "a label that nodes need"),
    FieldRule("discount_milli_percent", "money", "", "the discount"),
    FieldRule("negotiated_micro_usd_per_hour.*", "money", "", "a negotiated price"),
    FieldRule("assumed_price_micro_usd_per_hour", "money", "taken", "the price taken for unknown ones"),
    FieldRule("when_quota_unknown", "demand", "", "whether anything starts before the quota is known"),
    FieldRule("catalogue.*", "money", "either", "what is on offer"),
    FieldRule("launch_deadline_ms", "money", "up", "how long a VM may take"),
    FieldRule("ready_deadline_ms", "money", "up", "how long a pod may take"),
    FieldRule("sweep", "money", "", "what happens to VMs that no record claims"),
    FieldRule("sweep_grace_ms", "money", "up", "how old such a VM must be"),
    FieldRule("sweep_tags.*", "money", "either", "the tags by which VMs are this cluster's"),
    FieldRule("sweep_exclusive", "money", "either", "whether the resource group is this cluster's alone"),
)
