"""Reads a scenario file and everything it names, and makes a run's setup of it.

Called by `burster simulate`. Every mistake is told with file, line, column and field, all mistakes of a file at once. Paths in a scenario
are relative to it; paths given on the command line are relative to where one is.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.quantities import (
    MILLIS_PER_SECOND,
    parse_count,
    parse_cpu_millicores,
    parse_duration_ms,
    parse_memory_bytes,
    parse_micro_usd,
)
from burster.model.targets import Target
from burster.policy.compile import Compiled, compile_documents
from burster.policy.compile.limits import compile_caps
from burster.policy.errors import PolicyErrors
from burster.policy.load import Document, load_files
from burster.policy.problems import problem_at
from burster.policy.yaml_nodes import YamlDocument
from burster.simulator.catalogue import ZONES, offering_of
from burster.simulator.cloud_model import CloudModel, Spread
from burster.simulator.documents import read_document
from burster.simulator.hands import Latency
from burster.simulator.run import Setup
from burster.simulator.scenario_demand import read_series, read_workloads
from burster.simulator.scenario_schema import (
    CloudSpec,
    GenerateSpec,
    LatencySpec,
    Scenario,
    SizeSpec,
    SpreadSpec,
    TraceSpec,
)
from burster.simulator.traces.generate import Plan, generate
from burster.simulator.traces.load import FormatChoice, read_trace
from burster.simulator.traces.model import Trace, TraceEntry


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line puts in place of what a scenario says; None and empty: nothing."""

    policies: tuple[Path, ...] = ()
    trace: Path | None = None
    trace_format: FormatChoice = "auto"
    limit: int | None = None
    seed: int | None = None


NO_OVERRIDES: Final = Overrides()


class LoadedScenario(msgspec.Struct, frozen=True, kw_only=True):
    """A scenario that is ready to run, and its sources for the report."""

    source: str
    description: str
    setup: Setup
    policy_files: tuple[str, ...]
    documents: tuple[Document, ...] = ()  #: the rules and targets as written


def load_scenario(path: Path, overrides: Overrides = NO_OVERRIDES) -> LoadedScenario:
    """Read a scenario with all that belongs to it. Raises InputError."""
    scenario, document = read_document(
        path, Scenario, expected="a scenario (a mapping with cluster and trace)", example="simulations/demo.yaml"
    )
    base = path.parent
    rule_files = overrides.policies or tuple(base / name for name in scenario.policies)
    target_files = tuple(base / name for name in scenario.targets)
    files = (*rule_files, *target_files)
    documents = _with_targets(rule_files, target_files, own=bool(overrides.policies))
    compiled = compile_documents(documents) if documents else Compiled()
    setup = Setup(
        trace=_trace(scenario.trace, base, overrides),
        nodes=_nodes(scenario),
        scoring=scenario.cluster.scoring,
        policies=compiled.policies,
        targets=compiled.targets,
        offerings=_offerings(scenario.cloud.sizes, compiled.targets),
        cloud=_cloud(scenario.cloud),
        latency=_latency(scenario.latency),
        limits=compile_caps(scenario.cluster.limits),
        namespaces=scenario.cluster.namespaces,
        metrics=read_series(scenario.metrics, compiled.policies, str(path), document),
        workloads=read_workloads(scenario.workloads, compiled.targets, str(path), document),
        seed=scenario.seed if overrides.seed is None else overrides.seed,
        epoch_ms=_epoch_ms(scenario.epoch, path, document),
        patience_ms=parse_duration_ms(scenario.patience),
    )
    return LoadedScenario(
        source=str(path),
        description=scenario.description,
        setup=setup,
        policy_files=tuple(str(file) for file in files),
        documents=documents,
    )


def _with_targets(rules: Sequence[Path], targets: Sequence[Path], *, own: bool) -> tuple[Document, ...]:
    """Return rules and targets. With ``own`` rules, a target that they bring along stands in for the scenario's of that name."""
    if not own:
        return load_files((*rules, *targets)) if (*rules, *targets) else ()
    documents = load_files(rules)
    brought = {(document.kind, document.key) for document in documents}
    shipped = load_files(targets) if targets else ()
    return (*documents, *(document for document in shipped if (document.kind, document.key) not in brought))


def _epoch_ms(text: str, path: Path, document: YamlDocument) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        message = f"{text!r} is no time with a time zone: write for example 2026-01-05T08:00:00Z"
        raise PolicyErrors([problem_at(str(path), ("epoch",), message, document)])
    return round((moment - datetime.fromtimestamp(0, UTC)).total_seconds() * MILLIS_PER_SECOND)


def _nodes(scenario: Scenario) -> tuple[Resources, ...]:
    nodes: list[Resources] = []
    for spec in scenario.cluster.nodes:
        node = Resources(
            cpu_millicores=parse_cpu_millicores(spec.cpu),
            memory_bytes=parse_memory_bytes(spec.memory),
            gpus=parse_count(spec.gpus),
        )
        nodes += [node] * spec.count
    return tuple(nodes)


def _trace(spec: TraceSpec, base: Path, overrides: Overrides) -> Trace:
    limit = spec.limit if overrides.limit is None else overrides.limit
    if overrides.trace is not None:
        trace = read_trace(overrides.trace, overrides.trace_format, limit=limit, namespace=spec.namespace)
    elif spec.file is not None:
        trace = read_trace(base / spec.file, spec.format, limit=limit, namespace=spec.namespace)
    else:
        trace = _generated(spec.generate or GenerateSpec(), limit)
    return trace if spec.gpus == "keep" else _without_gpus(trace)


def _generated(spec: GenerateSpec, limit: int | None) -> Trace:
    trace = generate(
        Plan(
            seed=spec.seed,
            pods=spec.pods,
            span_ms=parse_duration_ms(spec.span),
            day_ms=parse_duration_ms(spec.day) if spec.day else 0,
            duration_min_ms=parse_duration_ms(spec.duration_min),
            duration_max_ms=parse_duration_ms(spec.duration_max),
            cpu_max_millicores=parse_cpu_millicores(spec.cpu_max),
            memory_per_cpu_bytes=parse_memory_bytes(spec.memory_per_cpu),
            deployment=spec.deployment,
            replicas_peak=spec.replicas,
            namespace=spec.namespace,
        )
    )
    return trace if limit is None else msgspec.structs.replace(trace, entries=trace.entries[:limit])


def _without_gpus(trace: Trace) -> Trace:
    return msgspec.structs.replace(trace, entries=tuple(map(_without_gpu, trace.entries)))


def _without_gpu(entry: TraceEntry) -> TraceEntry:
    return msgspec.structs.replace(entry, requests=msgspec.structs.replace(entry.requests, gpus=0))


def _offerings(sizes: Sequence[SizeSpec], targets: Sequence[Target]) -> tuple[Offering, ...]:
    offerings: list[Offering] = []
    for target in targets:
        named = {spec.size: spec for spec in sizes if spec.region in {None, target.region}}
        for size in target.sizes:
            spec = named.get(size)
            offering = offering_of(target, size) if spec is None else _offering(spec, target)
            if offering is None:
                continue
            offerings.append(offering)
            if spec is not None and spec.spot_price_per_hour is not None:
                price = parse_micro_usd(spec.spot_price_per_hour)
                offerings.append(msgspec.structs.replace(offering, spot=True, price_micro_usd_per_hour=price))
    return tuple(offerings)


def _offering(spec: SizeSpec, target: Target) -> Offering:
    return Offering(
        target=target.name,
        provider=target.provider,
        region=target.region,
        size=spec.size,
        family=spec.family,
        resources=Resources(
            cpu_millicores=parse_cpu_millicores(spec.cpu),
            memory_bytes=parse_memory_bytes(spec.memory),
            gpus=parse_count(spec.gpus),
        ),
        tee=spec.tee,
        price_micro_usd_per_hour=None if spec.price_per_hour is None else parse_micro_usd(spec.price_per_hour),
        zones=spec.zones or (ZONES if target.machines is not None else ()),
    )


def _spread(spec: SpreadSpec) -> Spread:
    median_ms = parse_duration_ms(spec.median)
    return Spread(median_ms=median_ms, p95_ms=median_ms if spec.p95 is None else parse_duration_ms(spec.p95))


def _cloud(spec: CloudSpec) -> CloudModel:
    return CloudModel(
        boot=_spread(spec.boot),
        guest=_spread(spec.guest),
        delete=_spread(spec.delete),
        refuse_ms=parse_duration_ms(spec.refuse),
        retry_ms=parse_duration_ms(spec.retry),
        failure_probability=spec.failures.probability,
        failure_mix=spec.failures.mix,
        evictions_per_hour=spec.evictions_per_hour,
        quota_vcpus={family.lower(): limit for family, limit in spec.quota.items()},
        egress_bytes_per_hour=parse_memory_bytes(spec.egress.per_vm_hour),
        egress_micro_usd_per_gib=parse_micro_usd(spec.egress.price_per_gib),
    )


def _latency(spec: LatencySpec) -> Latency:
    return Latency(
        api_ms=parse_duration_ms(spec.api),
        arm_ms=parse_duration_ms(spec.arm),
        stop_ms=parse_duration_ms(spec.stop),
        gc_ms=parse_duration_ms(spec.gc),
        quota_ms=parse_duration_ms(spec.quota),
    )
