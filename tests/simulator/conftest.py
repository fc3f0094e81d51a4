"""Small worlds with answers that can be worked out by hand."""

from collections.abc import Callable
from typing import Any

import pytest

from burster.model.limits import Limits
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.policies import Placement, Policy, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.targets import Target
from burster.model.triggers import PendingPodsTrigger
from burster.simulator.cloud_model import CloudModel, Spread
from burster.simulator.hands import Latency
from burster.simulator.run import Setup
from burster.simulator.traces.model import Trace, TraceEntry


GIB = 1 << 30
#: 3.6 USD an hour is 1 micro-USD a millisecond: costs in micro-USD are VM milliseconds.
PRICE = 3_600_000
EPOCH_MS = 1_767_600_000_000
SetupMaker = Callable[..., Setup]


def constant(duration_ms: int) -> Spread:
    return Spread(median_ms=duration_ms, p95_ms=duration_ms)


def task(at_s: float, run_s: float, cores: int = 1, **changes: Any) -> TraceEntry:
    at_ms = round(at_s * 1000)
    fields: dict[str, Any] = {
        "name": f"task-{at_ms}-{cores}",
        "duration_ms": round(run_s * 1000),
        "requests": Resources(cpu_millicores=cores * 1000, memory_bytes=cores * GIB),
    }
    return TraceEntry(arrival_ms=at_ms, **{**fields, **changes})


def service(at_s: float, replicas: int, cores: int = 1, name: str = "on-prem-deployment") -> TraceEntry:
    return TraceEntry(
        arrival_ms=round(at_s * 1000),
        name=name,
        kind="Deployment",
        replicas=replicas,
        requests=Resources(cpu_millicores=cores * 1000, memory_bytes=cores * GIB),
    )


@pytest.fixture
def build() -> SetupMaker:
    """Return a maker of setups: instant answers, a VM boots in 60 s, runs its pod 10 s later and takes 30 s to go."""

    def make(*entries: TraceEntry, nodes: int = 1, cores: int = 1, bursting: bool = True, **changes: Any) -> Setup:
        policy: dict[str, Any] = {
            "namespace": "default",
            "name": "all",
            "workload": WorkloadSelector(pod_name_pattern=".*"),
            "triggers": (PendingPodsTrigger(pending_for_ms=5_000),),
            "scaling": Scaling(cooldown_ms=60_000),
            "limits": Limits(max_bursts=changes.pop("max_bursts", None)),
            "placement": Placement(targets=("cloud",), drain_ms=0),
        }
        cloud: dict[str, Any] = {
            "boot": constant(60_000),
            "guest": constant(10_000),
            "delete": constant(30_000),
            **changes.pop("cloud", {}),
        }
        target = Target(
            name="cloud",
            subscription="s",
            resource_group="g",
            region="westeurope",
            sizes=("Standard_DC4es_v6",),
            allowed_namespaces=("*",),
            trustee_url="https://trustee.example",
        )
        offering = Offering(
            target="cloud",
            provider="azure",
            region="westeurope",
            size="Standard_DC4es_v6",
            family="standardDCEV6Family",
            resources=Resources(cpu_millicores=4000, memory_bytes=16 * GIB),
            tee="TDX",
            price_micro_usd_per_hour=changes.pop("price", PRICE),
        )
        ordered = tuple(sorted(entries, key=lambda entry: entry.arrival_ms))
        return Setup(
            trace=Trace(source="by hand", format="csv", entries=ordered, rows_read=len(ordered)),
            nodes=(Resources(cpu_millicores=cores * 1000, memory_bytes=cores * 4 * GIB),) * nodes,
            policies=(Policy(**policy),) if bursting else (),
            targets=(target,),
            offerings=(offering,),
            cloud=CloudModel(**cloud),
            latency=Latency(api_ms=0, arm_ms=0, stop_ms=0),
            epoch_ms=EPOCH_MS,
            **changes,
        )

    return make


@pytest.fixture
def make_task() -> Callable[..., TraceEntry]:
    return task


@pytest.fixture
def make_service() -> Callable[..., TraceEntry]:
    return service
