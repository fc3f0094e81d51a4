"""What a demo plays: which cluster, trace and rules, from the shipped scenario or from a trace of one's own.

Called by ``world.run_demo``. Everything a person could have got wrong is found here, before anything is started.
"""

from pathlib import Path
from typing import Final

import msgspec

from burster.lab.arm import ArmConfig, known_fault
from burster.lab.demo_result import DemoOptions
from burster.model.errors import InputError
from burster.model.pods import Resources
from burster.model.policies import Policy
from burster.policy.compile import compile_documents
from burster.policy.load import Document
from burster.shipped import shipped
from burster.simulator.cloud_model import FAULTS, CloudModel
from burster.simulator.scenario import Overrides, load_scenario
from burster.simulator.traces.model import Trace, TraceEntry


#: A demo is over in the time of a coffee: longer tasks of a foreign trace are cut to this.
TASK_MAX_MS: Final = 2 * 3_600_000
#: How much of a foreign trace's peak the on-prem cluster can hold; the rest is what bursting is for.
_ONPREM_SHARE: Final = 0.4
_NODE_CPU_MIN: Final = 16_000
_NODE_MEMORY_MIN: Final = 64 * 1024**3
_GIB: Final = 1024**3
#: A scenario's quota refusals come from the stand-in's own quota, not from a fault.
LAUNCH_FAULTS: Final = frozenset(FAULTS) - {"OperationNotAllowed"}


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """A demo that is ready to be played; ``notes`` say what was changed about the input."""

    title: str
    trace: Trace
    nodes: tuple[Resources, ...]
    documents: tuple[Document, ...]
    policies: tuple[Policy, ...]
    arm: ArmConfig = ArmConfig()
    notes: tuple[str, ...] = ()


def set_stage(options: DemoOptions) -> Stage:
    """Return what to play. Raises InputError."""
    scenario = options.scenario or "demo"
    path = shipped("simulations") / f"{scenario}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in shipped("simulations").glob("*.yaml")))
        raise InputError(f"there is no scenario {scenario}: use one of {known}")
    policies = tuple(Path(file) for file in options.policies)
    foreign = bool(options.trace) and not options.scenario
    if foreign and not policies:
        policies = (shipped("simulations") / "demo" / "any-task.yaml",)
    loaded = load_scenario(
        path,
        Overrides(
            policies=policies,
            trace=Path(options.trace) if options.trace else None,
            limit=options.limit,
            seed=options.seed,
        ),
    )
    documents = loaded.documents
    trace, nodes, notes = loaded.setup.trace, loaded.setup.nodes, tuple[str, ...]()
    if foreign:
        trace, notes = _shorten(trace)
        nodes = _size_cluster(trace)
    if not trace.entries:
        raise InputError(f"{trace.source}: nothing is left to play")
    return Stage(
        title=loaded.description or scenario,
        trace=trace,
        nodes=nodes,
        documents=documents,
        policies=compile_documents(documents).policies,
        arm=cloud_as_arm(loaded.setup.cloud),
        notes=notes,
    )


def cloud_as_arm(cloud: CloudModel) -> ArmConfig:
    """Return the ARM stand-in's behaviour for a scenario's cloud, so that the lab and the simulator play the same weather."""
    total = sum(cloud.failure_mix.values())
    return ArmConfig(
        create_median_ms=cloud.boot.median_ms,
        create_p95_ms=max(cloud.boot.median_ms, cloud.boot.p95_ms),
        delete_min_ms=cloud.delete.median_ms // 2,
        delete_max_ms=max(cloud.delete.median_ms, cloud.delete.p95_ms),
        faults=tuple(
            known_fault(code, times=None, probability=cloud.failure_probability * weight / total)
            for code, weight in sorted(cloud.failure_mix.items())
            if cloud.failure_probability and code in LAUNCH_FAULTS
        ),
    )


def _shorten(trace: Trace) -> tuple[Trace, tuple[str, ...]]:
    """Cut tasks that last longer than anybody watches, and leave GPUs out: no confidential TDX size has any."""
    notes: list[str] = []
    cut = sum(entry.duration_ms > TASK_MAX_MS for entry in trace.entries)
    if cut:
        notes.append(f"{cut} of {len(trace.entries)} tasks last longer than 2h and are cut to that.")
    with_gpu = sum(entry.requests.gpus > 0 for entry in trace.entries)
    if with_gpu:
        notes.append(
            f"{with_gpu} tasks ask for GPUs, which no TDX size has; their cpu and memory are what counts here."
        )
    return msgspec.structs.replace(trace, entries=tuple(_shortened(entry) for entry in trace.entries)), tuple(notes)


def _shortened(entry: TraceEntry) -> TraceEntry:
    requests = msgspec.structs.replace(entry.requests, gpus=0)
    return msgspec.structs.replace(entry, duration_ms=min(entry.duration_ms, TASK_MAX_MS), requests=requests)


def _size_cluster(trace: Trace) -> tuple[Resources, ...]:
    """Return nodes that hold all but the largest tasks, together too small for the trace's peak.

    A few giants must not make every node a giant: 95 of 100 tasks fit, the rest is told why it waits.
    """
    cpu = max(_NODE_CPU_MIN, _most_of([entry.requests.cpu_millicores for entry in trace.entries]))
    memory = max(_NODE_MEMORY_MIN, _most_of([entry.requests.memory_bytes for entry in trace.entries]))
    peak_cpu, peak_memory = _peak(trace)
    count = max(1, round(_ONPREM_SHARE * max(peak_cpu / cpu, peak_memory / memory)))
    return (Resources(cpu_millicores=cpu, memory_bytes=-(-memory // _GIB) * _GIB),) * count


def _most_of(values: list[int]) -> int:
    """Return the 95th percentile."""
    return sorted(values)[-(-len(values) * 95 // 100) - 1]


def _peak(trace: Trace) -> tuple[int, int]:
    """Return the most cpu and memory that the trace's tasks ask for at one time, if each starts when it arrives."""
    moments: list[tuple[int, int, int]] = []
    for entry in trace.entries:
        cpu, memory = entry.requests.cpu_millicores * entry.replicas, entry.requests.memory_bytes * entry.replicas
        moments.append((entry.arrival_ms, cpu, memory))
        if entry.kind == "Pod":
            moments.append((entry.arrival_ms + entry.duration_ms, -cpu, -memory))
    cpu = memory = peak_cpu = peak_memory = 0
    for _, more_cpu, more_memory in sorted(moments):
        cpu, memory = cpu + more_cpu, memory + more_memory
        peak_cpu, peak_memory = max(peak_cpu, cpu), max(peak_memory, memory)
    return peak_cpu, peak_memory
