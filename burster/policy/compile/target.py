"""A BurstTarget, valid by its schema, to the engine's Target. Called by ``compile``."""

from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.quantities import parse_cpu_millicores, parse_duration_ms, parse_memory_bytes, parse_micro_usd
from burster.model.targets import Machines, Target
from burster.policy.compile.limits import compile_caps, compile_limits, money
from burster.policy.compile.policy import initdata_ref
from burster.policy.fields.amounts import percent_milli
from burster.policy.schema.machine import MachinesSpec
from burster.policy.schema.target import BurstTarget, BurstTargetSpec, CatalogueEntry


def target_of(model: BurstTarget) -> Target:
    """Return the target that a BurstTarget means."""
    metadata, spec = model.metadata, model.spec
    azure = spec.azure
    region = azure.region if azure else spec.region or ""
    return Target(
        name=metadata.name,
        uid=metadata.uid,
        generation=metadata.generation,
        provider=spec.provider,
        subscription=azure.subscription_id if azure else "",
        resource_group=azure.resource_group if azure else "",
        region=region,
        runtime_class=spec.runtime_class_name,
        node_selector=dict(spec.node_selector),
        image=spec.image or "",
        subnet=spec.subnet or "",
        sizes=spec.sizes or tuple(entry.size for entry in spec.catalogue),
        tees=spec.tees,
        allowed_namespaces=tuple(entry if isinstance(entry, str) else entry.name for entry in spec.allowed_namespaces),
        limits=compile_limits(spec.limits),
        namespace_limits={
            entry.name: compile_caps(entry) for entry in spec.allowed_namespaces if not isinstance(entry, str)
        },
        required_namespace_labels=dict(spec.required_namespace_labels),
        data_classes=spec.data_classes,
        jurisdiction=spec.jurisdiction or "",
        trustee_url=spec.trustee.url if spec.trustee else "",
        initdata=initdata_ref(spec.initdata),
        allowed_metric_endpoints=spec.allowed_metric_endpoints,
        discount_milli_percent=percent_milli(spec.prices.discount_percent),
        negotiated_micro_usd_per_hour={size: parse_micro_usd(text) for size, text in spec.prices.per_hour.items()},
        catalogue=tuple(_offering(entry, metadata.name, spec, region) for entry in spec.catalogue),
        assumed_price_micro_usd_per_hour=money(spec.assumed_price_per_hour),
        when_quota_unknown=spec.when_quota_unknown,
        launch_deadline_ms=parse_duration_ms(spec.launch_deadline),
        ready_deadline_ms=parse_duration_ms(spec.ready_deadline),
        sweep=spec.sweep.mode,
        sweep_grace_ms=parse_duration_ms(spec.sweep.grace),
        machines=_machines(spec.machines) if spec.machines else None,
        sweep_tags=dict(spec.sweep.scope.tags),
        sweep_exclusive=spec.sweep.scope.exclusive,
    )


def _machines(spec: MachinesSpec) -> Machines:
    return Machines(
        images=spec.images,
        subnet=spec.subnet,
        network_security_group=spec.network_security_group or "",
        disk_encryption_set=spec.disk_encryption_set or "",
        zones=spec.zones,
    )


def _offering(entry: CatalogueEntry, target: str, spec: BurstTargetSpec, region: str) -> Offering:
    return Offering(
        target=target,
        provider=spec.provider,
        region=region,
        size=entry.size,
        family=entry.family or entry.size,
        resources=Resources(
            cpu_millicores=parse_cpu_millicores(entry.cpu),
            memory_bytes=parse_memory_bytes(entry.memory),
            gpus=entry.gpus,
            devices=tuple(sorted(entry.devices.items())),
        ),
        tee=entry.tee,
        price_micro_usd_per_hour=money(entry.price_per_hour),
        zones=entry.zones,
        spot=entry.spot,
    )
