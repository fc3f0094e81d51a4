"""A large world for the engine's figures: 20 namespaces, 220 policies of five kinds, three targets with 300 offerings, 400 Deployments.

Run as a program it tells how much resident memory its pods take, decoded from bytes as the API server sends them.
"""

import gc
import sys
import time
from pathlib import Path
from typing import Literal

import msgspec

from burster.cli import GC_THRESHOLDS
from burster.engine import unfinished
from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from burster.model.pods import Owner, Pod, Resources
from burster.model.policies import Placement, Policy, WorkloadSelector
from burster.sources.pods import POD_CODEC, pod_from
from tests.support.builders import GIB, T0, Engine, a_policy, a_target, an_offering


Case = Literal["all can go", "limits are reached early", "nothing fits"]
CASES: tuple[Case, ...] = ("all can go", "limits are reached early", "nothing fits")
NAMESPACES, POLICIES, DEPLOYMENTS = 20, 200, 400
TARGETS = (("azure", "westeurope"), ("north", "northeurope"), ("west", "westus"))
VCPUS, KINDS = (2, 4, 8, 16, 32), 20
PLACEMENT = Placement(targets=tuple(name for name, _ in TARGETS))


def a_large_pod(number: int, times: int = 1) -> Pod:
    """One of 400 Deployments' pods; ``times`` makes it ask for so many times as much."""
    one = number % DEPLOYMENTS
    name = f"web-{one}"
    return Pod(
        namespace=f"team-{one % NAMESPACES}",
        name=f"{name}-6c9d8f7b5d-{number:06d}",
        uid=f"5c1f3a52-0000-4000-8000-{number:012d}",
        created_at_ms=T0 - 60_000,
        unschedulable_since_ms=T0 - 60_000 + number % 1_000,
        message="0/3 nodes are available: 3 Insufficient cpu.",
        requests=Resources(cpu_millicores=times * (500 + 100 * (one % 16)), memory_bytes=times * GIB * (1 + one % 4)),
        labels={"app": name, "tier": "front"},
        owner=Owner(api_version="apps/v1", kind="ReplicaSet", name=f"{name}-6c9d8f7b5d", uid=f"rs-{one}"),
        workload=Owner(api_version="apps/v1", kind="Deployment", name=name, uid=""),
    )


def large_pods(count: int, case: Case) -> list[s.PodSeen]:
    """So many pods as they are heard of."""
    times = 100 if case == "nothing fits" else 1
    return [s.PodSeen(pod=a_large_pod(number, times)) for number in range(count)]


def _selectors(number: int) -> WorkloadSelector:
    return (
        WorkloadSelector(kind="Deployment", name=f"web-{number}"),
        WorkloadSelector(kind="Deployment", name_pattern=f"web-{number}"),
        WorkloadSelector(match_labels={"app": f"web-{number}"}),
        WorkloadSelector(kind="Deployment", name_pattern=f"web-({number}|{number + POLICIES})"),
    )[number // NAMESPACES % 4]


def large_policies(case: Case) -> list[Policy]:
    """200 policies for half of the Deployments, and one in each namespace for all others."""
    most = 4 if case == "limits are reached early" else None
    budget = Budget(per_day_micro_usd=10**13)
    own = [
        a_policy(
            f"p{number}",
            namespace=f"team-{number % NAMESPACES}",
            workload=_selectors(number),
            max_bursts=most,
            placement=PLACEMENT,
            budget=budget,
        )
        for number in range(POLICIES)
    ]
    rest = [
        a_policy("rest", namespace=f"team-{number}", max_bursts=most, placement=PLACEMENT, budget=budget)
        for number in range(NAMESPACES)
    ]
    return own + rest


def a_large_world(case: Case) -> Engine:
    """An engine that knows everything but the pods."""
    engine = Engine()
    facts: list[s.Stimulus] = [s.PolicySeen(policy=policy) for policy in large_policies(case)]
    sizes = tuple(f"Standard_DC{vcpus}_{kind}" for vcpus in VCPUS for kind in range(KINDS))
    limits = Limits(budget=Budget(per_month_micro_usd=10**15))
    for name, region in TARGETS:
        target = a_target(name=name, region=region, sizes=sizes, allowed_namespaces=("*",), limits=limits)
        offered = tuple(
            an_offering(
                vcpus,
                target=name,
                region=region,
                size=f"Standard_DC{vcpus}_{kind}",
                price_micro_usd_per_hour=60_000 * vcpus + kind,
            )
            for vcpus in VCPUS
            for kind in range(KINDS)
        )
        facts += [s.TargetSeen(target=target), s.OfferingsSeen(target=name, offerings=offered)]
    engine.sync(*facts)
    return engine


def to_the_end(engine: Engine, facts: list[s.PodSeen]) -> list[float]:
    """Tell it of pods and go on until each has its answer; return the CPU milliseconds of each step."""
    taken: list[float] = []
    news: list[s.PodSeen] = facts
    while not taken or unfinished(engine.state):
        begin = time.process_time()
        engine.send(*news)
        taken.append((time.process_time() - begin) * 1_000)
        news = []
    return taken


def wire(one: Pod) -> bytes:
    """A pod as the API server sends it."""
    requests = {"cpu": f"{one.requests.cpu_millicores}m", "memory": str(one.requests.memory_bytes)}
    owner = msgspec.to_builtins(one.owner)
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": one.message,
        "lastTransitionTime": "2026-01-05T07:59:00Z",
    }
    metadata = {
        "name": one.name,
        "namespace": one.namespace,
        "uid": one.uid,
        "resourceVersion": "7",
        "creationTimestamp": "2026-01-05T07:59:00Z",
        "labels": {**one.labels, "pod-template-hash": "6c9d8f7b5d"},
        "ownerReferences": [{**owner, "apiVersion": owner["api_version"], "controller": True}],
    }
    container = {"name": "a", "image": f"registry.example/{one.labels['app']}:1", "resources": {"requests": requests}}
    return msgspec.json.encode(
        {
            "metadata": metadata,
            "spec": {"containers": [container], "restartPolicy": "Always"},
            "status": {"phase": "Pending", "conditions": [condition]},
        }
    )


def _resident_kib() -> int:
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def resident_growth_kib(count: int, case: Case) -> int:
    """By how much this process grows when it takes in so many pods and answers them, a thousand at a time."""
    gc.set_threshold(*GC_THRESHOLDS)
    engine = a_large_world(case)
    times = 100 if case == "nothing fits" else 1
    before = most = _resident_kib()
    for begin in range(0, count, 1_000):
        lines = [wire(a_large_pod(number, times)) for number in range(begin, min(begin + 1_000, count))]
        to_the_end(engine, [s.PodSeen(pod=pod_from(POD_CODEC.item.decode(line))) for line in lines])
        engine.decisions.clear()
        engine.instructions = ()
        most = max(most, _resident_kib())
    return most - before


if __name__ == "__main__":
    print(resident_growth_kib(int(sys.argv[1]), sys.argv[2]))  # pyright: ignore[reportArgumentType] # noqa: T201
