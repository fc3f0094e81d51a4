"""From what a case says to the stimuli that the engine is told. Called by ``run``; it decides nothing."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from burster.model import stimuli as s
from burster.model.offerings import Offering, Quota
from burster.model.pods import Owner, Pod, Resources
from burster.model.policies import Policy
from burster.model.quantities import (
    parse_count,
    parse_cpu_millicores,
    parse_duration_ms,
    parse_memory_bytes,
    parse_micro_usd,
)
from burster.model.targets import Target
from burster.model.triggers import ResourceTrigger
from burster.simulator.cases.schema import Facts, PodFacts, UseFacts, WorkloadFacts
from burster.simulator.catalogue import offering_of


#: What a trigger was last said to be: a value in milli-units, "missing", or the use of a workload.
Reading = int | None | UseFacts
_MILLI: Final = 1000


def pod_names(facts: PodFacts) -> list[str]:
    """Return the names of the pods that one entry stands for."""
    return [facts.name] if facts.count is None else [f"{facts.name}-{n}" for n in range(1, facts.count + 1)]


def pods_of(facts: PodFacts, namespace: str, now_ms: int) -> Iterator[Pod]:
    """Yield the pods that one entry stands for."""
    where = facts.namespace or namespace
    since_ms = now_ms - parse_duration_ms(facts.pending)
    owner, workload = _owners(facts.owner)
    requests = Resources(
        cpu_millicores=parse_cpu_millicores(facts.cpu),
        memory_bytes=parse_memory_bytes(facts.memory),
        gpus=parse_count(facts.gpus),
        devices=tuple(sorted(facts.devices.items())),
    )
    for name in pod_names(facts):
        yield Pod(
            namespace=where,
            name=name,
            uid=f"uid-{where}-{name}-{since_ms}",
            resource_version="1",
            created_at_ms=since_ms,
            unschedulable_since_ms=since_ms,
            message=facts.message,
            requests=requests,
            labels=facts.labels,
            owner=owner,
            workload=workload,
            priority=facts.priority,
            runtime_class=facts.runtime_class,
            restart_policy="Always"
            if facts.owner and facts.owner.startswith(("Deployment/", "StatefulSet/"))
            else "Never",
            images=facts.images,
            secrets=facts.secrets,
        )


def _owners(text: str | None) -> tuple[Owner | None, Owner | None]:
    if text is None:
        return None, None
    kind, _, name = text.partition("/")
    group = "batch/v1" if kind in {"Job", "CronJob"} else "apps/v1"
    workload = Owner(api_version=group, kind=kind, name=name, uid=f"uid-{kind}-{name}")
    if kind != "Deployment":
        return workload, workload
    replica_set = f"{name}-5d4f8c7b9"
    return Owner(api_version=group, kind="ReplicaSet", name=replica_set, uid=f"uid-{replica_set}"), workload


def workload_of(facts: WorkloadFacts, namespace: str) -> s.WorkloadSeen:
    """Return a workload as a source would tell it."""
    running = facts.replicas if facts.running is None else facts.running
    return s.WorkloadSeen(
        namespace=facts.namespace or namespace,
        kind=facts.kind,
        name=facts.name,
        replicas=facts.replicas,
        status_replicas=running,
        ready_replicas=running,
        requests=Resources(
            cpu_millicores=parse_cpu_millicores(facts.cpu), memory_bytes=parse_memory_bytes(facts.memory)
        ),
        runtime_class=facts.runtime_class,
        size=facts.size,
        owner=facts.owner,
        images=facts.images,
        secrets=facts.secrets,
    )


def world_facts(facts: Facts, targets: tuple[Target, ...]) -> Iterator[s.Stimulus]:
    """Yield what is told of namespaces, on-prem, quota and Trustees; pods, money, prices and metrics are told elsewhere."""
    for name, labels in facts.namespaces.items():
        yield s.NamespaceSeen(name=name, labels=labels)
    if facts.on_prem is not None:
        have, asked = facts.on_prem.allocatable, facts.on_prem.requested
        yield s.CapacitySeen(
            nodes=facts.on_prem.nodes,
            allocatable=Resources(
                cpu_millicores=parse_cpu_millicores(have.cpu), memory_bytes=parse_memory_bytes(have.memory)
            ),
            requested=Resources(
                cpu_millicores=parse_cpu_millicores(asked.cpu), memory_bytes=parse_memory_bytes(asked.memory)
            ),
        )
    if facts.quota:
        for target in targets:
            rows = tuple(
                Quota(region=target.region, family=family, used_vcpus=row.used, limit_vcpus=row.limit)
                for family, row in facts.quota.items()
            )
            yield s.QuotaSeen(target=target.name, rows=rows)
    if facts.trustee is not None:
        for target in targets:
            yield s.TrusteeHealth(
                target=target.name,
                healthy=facts.trustee == "healthy",
                message="" if facts.trustee == "healthy" else "it does not answer",
            )


def spends(facts: Facts, policies: tuple[Policy, ...], now_ms: int, *, first: int) -> Iterator[s.Spend]:
    """Yield what was spent before; ``first`` numbers the first of them, since an entry of a known number is the same entry."""
    by_name = {name: policy for policy in policies for name in (policy.name, policy.key)}
    for number, spent in enumerate(facts.spent, start=first):
        policy = by_name.get(spent.policy or "", policies[0])
        at_ms = now_ms - parse_duration_ms(spent.ago)
        yield s.Spend(
            burst=f"{policy.namespace}/burst-before-{number}",
            uid=f"spent-{number}-{at_ms}",
            policy=policy.key,
            target=spent.target or next(iter(policy.placement.targets), ""),
            at_ms=at_ms,
            micro_usd=parse_micro_usd(spent.amount),
        )


def offerings(
    targets: tuple[Target, ...], prices: dict[str, str], restricted: Iterable[str]
) -> Iterator[s.OfferingsSeen]:
    """Yield what each target offers: its sizes at the built-in list's prices, or at those that the case gives."""
    refused = set(restricted)
    for target in targets:
        if target.catalogue:
            yield s.OfferingsSeen(target=target.name, offerings=target.catalogue)
            continue
        made: list[Offering] = []
        for size in target.sizes:
            offering = offering_of(target, size)
            if offering is None:
                continue
            if size in prices:
                price = None if prices[size] == "unknown" else parse_micro_usd(prices[size])
                offering = msgspec.structs.replace(offering, price_micro_usd_per_hour=price)
            if size in refused:
                offering = msgspec.structs.replace(offering, restricted="NotAvailableForSubscription")
            made.append(offering)
        yield s.OfferingsSeen(target=target.name, offerings=tuple(made))


def readings(facts: Facts, policies: tuple[Policy, ...]) -> Iterator[tuple[tuple[str, str], Reading]]:
    """Yield what each named trigger is now, by (policy key, trigger name)."""
    for policy in policies:
        for trigger in policy.triggers:
            for name in (trigger.name, f"{policy.name}/{trigger.name}"):
                if name in facts.metrics:
                    value = facts.metrics[name]
                    yield (policy.key, trigger.name), None if value == "missing" else round(value * _MILLI)
                if name in facts.use:
                    yield (policy.key, trigger.name), facts.use[name]


def reading_told(policy: Policy, trigger: str, reading: Reading, replicas: int, now_ms: int) -> s.Stimulus:
    """Return the stimulus by which a source would tell a reading."""
    if reading is None:
        return s.MetricFailed(policy=policy.key, trigger=trigger, at_ms=now_ms, message="it can't be read")
    if isinstance(reading, int):
        return s.MetricRead(policy=policy.key, trigger=trigger, at_ms=now_ms, value_milli=reading)
    kind = next(
        (one.resource for one in policy.triggers if one.name == trigger and isinstance(one, ResourceTrigger)), "cpu"
    )
    parse = parse_cpu_millicores if kind == "cpu" else parse_memory_bytes
    usage, request = parse(reading.usage), parse(reading.request)
    ready = reading.pods if reading.ready is None else min(reading.ready, reading.pods)
    pods = tuple(
        s.PodUse(usage=usage, request=request, ready=n < ready, started_at_ms=now_ms - 3_600_000)
        for n in range(reading.pods)
    )
    return s.ResourceRead(policy=policy.key, trigger=trigger, at_ms=now_ms, replicas=replicas, pods=pods)
