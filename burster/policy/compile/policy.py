"""A BurstPolicy, valid by its schema, to the engine's Policy. Called by ``compile``."""

from burster.model.pods import Resources
from burster.model.policies import (
    Confidential,
    InitdataRef,
    LabelRule,
    Machine,
    Placement,
    Policy,
    Spread,
    Wait,
    WorkloadSelector,
)
from burster.model.quantities import parse_cpu_millicores, parse_duration_ms, parse_memory_bytes, parse_micro_usd
from burster.policy.compile.limits import compile_limits, compile_window
from burster.policy.compile.scaling import compile_scaling
from burster.policy.compile.triggers import compile_triggers
from burster.policy.schema.base import SCALE_IN_ANNOTATION, SCALE_OUT_ANNOTATION
from burster.policy.schema.confidential import ConfidentialSpec, InitdataSpec
from burster.policy.schema.machine import MachineSpec
from burster.policy.schema.placement import PlacementSpec, WaitSpec
from burster.policy.schema.policy import BurstPolicy
from burster.policy.schema.workload import PodSelector, Workload


def policy_of(model: BurstPolicy) -> Policy:
    """Return the policy that a BurstPolicy means."""
    metadata, spec = model.metadata, model.spec
    return Policy(
        namespace=metadata.namespace or "default",
        name=metadata.name,
        uid=metadata.uid,
        generation=metadata.generation,
        priority=spec.priority,
        paused=metadata.paused,
        paused_scale_in=metadata.is_set(SCALE_IN_ANNOTATION),
        paused_scale_out=metadata.is_set(SCALE_OUT_ANNOTATION),
        force_activation=metadata.forced,
        workload=_selector(spec.workload),
        triggers=compile_triggers(spec.triggers),
        scaling=compile_scaling(spec),
        when=spec.when or "",
        windows=tuple(map(compile_window, spec.windows)),
        blackouts=tuple(map(compile_window, spec.blackouts)),
        wait=_wait(spec.wait),
        limits=compile_limits(spec.limits),
        placement=_placement(spec.placement),
        confidential=_confidential(spec.confidential),
        machine=_machine(spec.machine) if spec.machine else None,
    )


def _selector(spec: Workload) -> WorkloadSelector:
    owner, labels = spec.owner_ref, spec.selector or PodSelector()
    return WorkloadSelector(
        kind=owner.kind if owner else spec.kind or "",
        api_version=(owner.api_version or "") if owner else "",
        name=owner.name if owner else "",
        name_pattern=spec.name_pattern or "",
        pod_name_pattern=spec.pod_name_pattern or "",
        match_labels=dict(labels.match_labels),
        match_expressions=tuple(
            LabelRule(key=one.key, operator=one.operator, values=one.values) for one in labels.match_expressions
        ),
    )


def _wait(spec: WaitSpec) -> Wait:
    return Wait(
        mode=spec.mode,
        max_wait_ms=parse_duration_ms(spec.max_wait),
        expected_run_ms=None if spec.expected_run is None else parse_duration_ms(spec.expected_run),
        value_micro_usd_per_hour=parse_micro_usd(spec.value_per_hour),
    )


def _placement(spec: PlacementSpec) -> Placement:
    spread = spec.spread
    return Placement(
        strategy=spec.strategy,
        targets=spec.targets,
        sizes=spec.sizes,
        spot=spec.spot,
        spread=Spread(by=spread.by, max_skew=spread.max_skew, required=spread.when_unsatisfiable == "DoNotSchedule")
        if spread
        else None,
        lease_ms=parse_duration_ms(spec.lease),
        drain_ms=parse_duration_ms(spec.drain),
        min_life_ms=parse_duration_ms(spec.min_life),
        idle_ms=parse_duration_ms(spec.idle),
        release_order=spec.release_order,
        return_home=spec.return_home,
        disruption_percent=spec.max_disrupted_percent,
    )


def _confidential(spec: ConfidentialSpec) -> Confidential:
    return Confidential(
        tees=spec.tees,
        secure_boot=spec.secure_boot,
        attestation=spec.attestation,
        initdata=initdata_ref(spec.initdata),
        exec_forbidden=spec.exec == "Forbidden",
        allowed_images=spec.images.allowed,
        images_by_digest=spec.images.digest_only,
        secrets=spec.secrets.mode,
        sealed_secrets=spec.secrets.sealed,
        data_class=spec.data_class or "",
        jurisdictions=spec.jurisdictions,
    )


def _machine(spec: MachineSpec) -> Machine:
    data, service = spec.user_data, spec.service
    return Machine(
        requests=Resources(
            cpu_millicores=parse_cpu_millicores(spec.requests.cpu),
            memory_bytes=parse_memory_bytes(spec.requests.memory),
        ),
        image=spec.image,
        config_map=data.config_map if data else "",
        key=data.key if data else "",
        service=service.name if service else "",
        port=service.port if service else 0,
        encryption=spec.encryption,
        os_disk_gib=spec.os_disk_gib or 0,
    )


def initdata_ref(spec: InitdataSpec | None) -> InitdataRef | None:
    """Return where initdata are."""
    return InitdataRef(config_map=spec.config_map, key=spec.key) if spec else None
