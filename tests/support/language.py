"""Random rules out of the whole language: policies, targets, offerings, workloads and pods, each put together from a few choices.

Every choice is a number, so that hypothesis can make it, and make it simpler. What a window or a condition means is said here a second
time, in plain Python, for whoever judges the engine.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from burster.model.limits import Budget, LaunchRate, Limits
from burster.model.offerings import Offering
from burster.model.pods import Owner, Pod, Resources
from burster.model.policies import Confidential, LabelRule, Machine, Placement, Policy, Spread, Wait, WorkloadSelector
from burster.model.scaling import Behavior, Direction, Fallback, Scaling, ScalingModifiers, Step
from burster.model.stimuli import CapacitySeen
from burster.model.targets import Machines, Target
from burster.model.triggers import (
    CronTrigger,
    ExternalTrigger,
    PendingPodsTrigger,
    PrometheusTrigger,
    ResourceTrigger,
    WorkloadRef,
)
from burster.model.windows import Window
from tests.support.builders import GIB


MINUTE = 60_000
HOUR = 60 * MINUTE


def at(text: str) -> int:
    """An instant of UTC in ms."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


#: A plain morning, the end of a month, and the nights in which Europe's clocks go forward and back.
BEGINNINGS = (
    at("2026-01-05T08:00"),
    at("2026-01-31T21:50"),
    at("2026-03-28T23:40"),
    at("2026-10-24T23:40"),
)
NAMESPACES = ("bank", "labs")
TARGETS = ("azure", "sovereign")
METRICS = ("load", "rows", "mem")
DIGEST = "reg.bank.example/risk/model@sha256:" + "0" * 64
#: (images, whether all of them come from the bank's registry, whether all are named by digest)
IMAGES = (
    ((DIGEST,), True, True),
    (("reg.bank.example/risk/web:1",), True, False),
    (("docker.io/library/nginx:1", DIGEST), False, False),
    ((), False, False),
)
REGISTRY = "reg.bank.example/risk"
SECRETS = ((), ("sealed-key",), ("plain-key",))


def _local(now_ms: int, zone: str) -> datetime:
    return datetime.fromtimestamp(now_ms // 1000, ZoneInfo(zone))


#: windows, and when they are open
WINDOWS: tuple[tuple[Window, Callable[[int], bool]], ...] = (
    (
        Window(name="day", timezone="Europe/Berlin", start="0 8 * * 1-5", end="0 18 * * 1-5"),
        lambda now: (at := _local(now, "Europe/Berlin")).weekday() < 5 and 8 <= at.hour < 18,
    ),
    (
        Window(name="night", timezone="America/New_York", start="0 22 * * *", end="0 6 * * *"),
        lambda now: not 6 <= _local(now, "America/New_York").hour < 22,
    ),
    (
        Window(name="dated", timezone="Asia/Kathmandu", first_day="2026-01-05", last_day="2026-10-24"),
        lambda now: "2026-01-05" <= _local(now, "Asia/Kathmandu").date().isoformat() <= "2026-10-24",
    ),
)
#: what each of them means is asked of a ``Told`` and of a pod
CONDITIONS = (
    'now.getHours("Europe/Berlin") >= 9',
    'metrics["load"] > 5.0',
    "onprem.cpu.free < 4.0",
    "pod.cpu >= 1.0",
)
BUDGETS = (
    Budget(per_hour_micro_usd=40_000),
    Budget(per_hour_micro_usd=200_000, warn_percent=20, stop_percent=50),
    Budget(per_day_micro_usd=150_000, timezone="Europe/Berlin"),
    Budget(per_day_micro_usd=300_000, timezone="America/New_York", drain_percent=30),
    Budget(per_month_micro_usd=400_000, timezone="Asia/Kathmandu"),
    Budget(per_hour_micro_usd=100_000, per_day_micro_usd=250_000, per_month_micro_usd=400_000),
    Budget(per_hour_micro_usd=0),
)
LIMITS = (
    Limits(max_bursts=1),
    Limits(max_bursts=3),
    Limits(max_vcpus=4),
    Limits(max_vcpus=10, max_bursts=4),
    Limits(launch_rate=LaunchRate(count=1, per_ms=MINUTE)),
    Limits(launch_rate=LaunchRate(count=2, per_ms=10 * MINUTE)),
    Limits(launch_rate=LaunchRate(count=0, per_ms=MINUTE)),
    Limits(provider_shares={"azure": 50}),
    Limits(provider_shares={"sovereign": 0}),
    *(Limits(budget=budget) for budget in BUDGETS),
)
Draft = dict[str, Any]
Facet = Callable[[Draft], None]


def _put(**fields: Any) -> Facet:
    """A choice that sets fields; of a part, ``part__field``."""

    def apply(draft: Draft) -> None:
        for name, value in fields.items():
            part, _, inner = name.partition("__")
            if inner:
                draft[part][inner] = value
            else:
                draft[part] = value

    return apply


#: choices that any policy may make
FACETS: tuple[Facet, ...] = (
    *(_put(limits=limits) for limits in LIMITS),
    *(_put(windows=(window,)) for window, _ in WINDOWS),
    *(_put(blackouts=(window,)) for window, _ in WINDOWS),
    *(_put(when=text) for text in CONDITIONS),
    _put(wait=Wait(mode="AtOnce")),
    _put(wait=Wait(mode="BuyOrWait", max_wait_ms=10 * MINUTE, value_micro_usd_per_hour=0)),
    _put(wait=Wait(mode="BuyOrWait", max_wait_ms=HOUR, expected_run_ms=HOUR, value_micro_usd_per_hour=5_000_000)),
    _put(placement__spread=Spread(by="target", required=True)),
    _put(placement__spread=Spread(by="family", max_skew=2)),
    _put(placement__spread=Spread(by="region", required=True, max_skew=2)),
    _put(placement__sizes=("Standard_DC4es_v6", "c4")),
    _put(placement__sizes=("c2",)),
    _put(placement__targets=("sovereign", "azure")),
    _put(placement__targets=("nowhere", "azure")),
    _put(placement__release_order="YoungestFirst", placement__disruption_percent=100),
    _put(placement__release_order="OldestFirst", placement__disruption_percent=50),
    _put(placement__min_life_ms=10 * MINUTE),
    _put(placement__idle_ms=5 * MINUTE),
    _put(placement__return_home="WhenRoom", placement__idle_ms=MINUTE),
    _put(placement__lease_ms=HOUR),
    _put(placement__spot="Only"),
    _put(placement__spot="Prefer"),
    _put(placement__strategy="Clone"),
    _put(placement__strategy="Move"),
    _put(placement__strategy="Machine"),
    _put(placement__strategy="Machine", placement__spot="Prefer"),
    _put(confidential__attestation="VmOnly"),
    _put(confidential__tees=("TDX", "SNP")),
    _put(confidential__tees=("SNP",)),
    _put(confidential__allowed_images=(REGISTRY,)),
    _put(confidential__images_by_digest=True),
    _put(confidential__secrets="Sealed", confidential__sealed_secrets=("sealed-key",)),
    _put(confidential__data_class="gold"),
    _put(confidential__jurisdictions=("EU", "CH")),
    _put(priority=10),
    _put(paused=True),
    _put(pending__min_count=2),
    _put(pending__pending_for_ms=30_000),
    _put(pending__min_cpu_millicores=1_000),
    _put(pending__reasons=("insufficient cpu",)),
    _put(pending__resources=("cpu",), pending__max_cpu_millicores=2_500),
    _put(workload=WorkloadSelector(match_expressions=(LabelRule(key="tier", operator="In", values=("gold",)),))),
)
PROMETHEUS = "https://prom.example"


def _prometheus(name: str, **fields: Any) -> PrometheusTrigger:
    return PrometheusTrigger(name=name, server_address=PROMETHEUS, query="sum(x)", threshold_milli=10_000, **fields)


LOAD = _prometheus("load")
ROWS = _prometheus("rows", metric_type="Value", activation_milli=2_000)
MEMORY = ResourceTrigger(name="mem", resource="memory", threshold_milli=80_000, source=WorkloadRef(name="web"))
CRON = CronTrigger(name="cron", timezone="Europe/Berlin", start="0 9 * * *", end="0 10 * * *", desired_replicas=3)
NEVER = CronTrigger(name="cron", timezone="UTC", start="0 0 1 7 *", end="1 0 1 7 *", desired_replicas=3)
#: choices of policies whose demand is a number
NUMBER_FACETS: tuple[Facet, ...] = (
    _put(triggers=(LOAD, ROWS)),
    _put(triggers=(ROWS,)),
    _put(triggers=(MEMORY,)),
    _put(triggers=(MEMORY, LOAD)),
    _put(triggers=(CRON,)),
    _put(triggers=(CRON, LOAD)),
    _put(triggers=(ExternalTrigger(name="load", threshold_milli=5_000),)),
    _put(triggers=(LOAD, PendingPodsTrigger(pending_for_ms=0))),
    _put(
        triggers=(LOAD, ROWS),
        scaling__modifiers=ScalingModifiers(formula="load + rows / 2", target_milli=10_000),
    ),
    _put(scaling__fallback=Fallback(failure_threshold=2, replicas=3)),
    _put(scaling__fallback=Fallback(failure_threshold=1, replicas=2, behavior="currentReplicasIfHigher")),
    _put(
        scaling__behavior=Behavior(
            scale_up=Direction(stabilization_ms=0, steps=(Step(type="Pods", value=1, period_ms=MINUTE),)),
            scale_down=Direction(stabilization_ms=MINUTE, steps=(Step(type="Percent", value=50, period_ms=MINUTE),)),
        )
    ),
    _put(
        scaling__behavior=Behavior(
            scale_up=Direction(stabilization_ms=30_000, steps=(Step(type="Pods", value=9, period_ms=15_000),)),
            scale_down=Direction(stabilization_ms=0, select="Disabled", steps=()),
        )
    ),
    _put(scaling__max_replicas=2),
    _put(scaling__min_replicas=1),
    _put(scaling__min_replicas=1, scaling__idle_replicas=0),
    _put(scaling__cooldown_ms=0),
    _put(scaling__cooldown_ms=5 * MINUTE, scaling__initial_cooldown_ms=MINUTE),
    _put(scaling__restore_to_original=True),
    _put(scaling__polling_ms=5_000),
)
WEB = WorkloadRef(name="web")
CLOUD_WEB = WorkloadRef(name="cloud-web")
#: the policies there may be: what each is about
SLOTS: dict[str, Draft] = {
    "bank/tasks": {"workload": WorkloadSelector()},
    "bank/web": {"workload": WorkloadSelector(kind="Deployment", name="web")},
    "bank/scale": {"workload": WorkloadSelector(kind="Deployment", name="none"), "strategy": "Scale"},
    "labs/all": {"workload": WorkloadSelector()},
    "labs/signal": {"workload": WorkloadSelector(kind="Deployment", name="none"), "strategy": "Signal"},
    "labs/clones": {"workload": WorkloadSelector(kind="Deployment", name="web"), "strategy": "Clone", "number": True},
    "bank/machines": {"workload": WorkloadSelector(kind="VirtualMachineInstance", name="old"), "strategy": "Machine"},
}


MACHINE = Machine(
    requests=Resources(cpu_millicores=2_000, memory_bytes=4 * GIB), image="cvm", service="legacy", port=8443
)


def a_policy(slot: str, generation: int, facets: list[int]) -> Policy:
    """One version of a policy."""
    base = SLOTS[slot]
    namespace, name = slot.split("/")
    by_number = "strategy" in base
    draft: Draft = {
        "limits": Limits(),
        "workload": base["workload"],
        "pending": {"pending_for_ms": 0},
        "placement": {"targets": TARGETS, "lease_ms": 10 * MINUTE, "drain_ms": MINUTE},
        "confidential": {},
        "scaling": {"cooldown_ms": MINUTE, "max_replicas": 6, "polling_ms": 30_000},
    }
    if by_number:
        draft["triggers"] = (LOAD,)
        draft["scaling"]["target"] = WEB if base.get("number") else CLOUD_WEB
    choices = (*NUMBER_FACETS, *FACETS) if by_number else FACETS
    for facet in facets:
        choices[facet % len(choices)](draft)
    pending = PendingPodsTrigger(**draft.pop("pending"))
    if by_number:
        draft["workload"], draft["placement"]["strategy"] = base["workload"], base["strategy"]
        # one that is asked for when there is no policy about pods at all comes without them
    draft.setdefault("triggers", (LOAD, pending) if 'metrics["load"]' in draft.get("when", "") else (pending,))
    if not by_number and len(draft["triggers"]) > 1:
        draft["placement"]["strategy"] = "Move"  # metrics only serve its condition
    if draft["placement"].get("strategy") == "Machine":
        draft["machine"] = MACHINE
        draft["scaling"].pop("target", None)
        # no policy is loaded that says of machines what only pods have
        for name in ("allowed_images", "images_by_digest", "secrets", "sealed_secrets"):
            draft["confidential"].pop(name, None)
        draft.pop("wait", None)
    if not {"load", "rows"} <= {one.name for one in draft["triggers"]}:
        draft["scaling"].pop("modifiers", None)  # no policy is loaded whose formula names what is not there
    return Policy(
        namespace=namespace,
        name=name,
        uid=f"uid-{name}",
        generation=generation,
        **(
            draft
            | {
                "placement": Placement(**draft["placement"]),
                "confidential": Confidential(**draft["confidential"]),
                "scaling": Scaling(**draft["scaling"]),
            }
        ),
    )


TARGET_FACETS: tuple[Facet, ...] = (
    *(_put(limits=limits) for limits in LIMITS),
    *(_put(namespace_limits={"bank": limits, "*": Limits(max_bursts=2)}) for limits in LIMITS),
    _put(allowed_namespaces=("bank",)),
    _put(allowed_namespaces=()),
    _put(required_namespace_labels={"burst": "yes"}),
    _put(data_classes=()),
    _put(jurisdiction="US"),
    _put(trustee_url=""),
    _put(allowed_metric_endpoints=()),
    _put(negotiated_micro_usd_per_hour={"C4": 100_000, "Standard_DC2es_v6": 1}),
    _put(discount_milli_percent=12_345),
    _put(assumed_price_micro_usd_per_hour=500_000),
    _put(tees=("SNP", "TDX")),
    _put(tees=("SNP",)),
    _put(runtime_class="kata-other"),
    _put(sweep="Report"),
    _put(machines=None),
    _put(machines=Machines(images=("another",), subnet="/s")),
)


def a_target(name: str, generation: int, facets: list[int]) -> Target:
    """One version of a target."""
    draft: Draft = {
        "limits": Limits(),
        "sizes": ("Standard_DC2es_v6", "Standard_DC4es_v6") if name == "azure" else ("C2", "C4", "C8"),
        "allowed_namespaces": ("*",),
        "trustee_url": "https://trustee.example",
        "allowed_metric_endpoints": ("https://prom.example:443",),
        "data_classes": ("gold",),
        "jurisdiction": "EU",
        "sweep": "Delete",
        "machines": Machines(images=("cvm",), subnet="/s") if name == "azure" else None,
    }
    for facet in facets:
        TARGET_FACETS[facet % len(TARGET_FACETS)](draft)
    catalogue = () if name == "azure" else (an_offering("sovereign", "C8", 8),)
    return Target(
        name=name,
        generation=generation,
        provider=name,
        subscription="s",
        resource_group="g",
        region="westeurope" if name == "azure" else "alps",
        catalogue=catalogue,
        **draft,
    )


def an_offering(target: str, size: str, vcpus: int, **changes: Any) -> Offering:
    fields: dict[str, Any] = {
        "target": target,
        "provider": target,
        "region": "westeurope" if target == "azure" else "alps",
        "size": size,
        "family": "small" if vcpus < 4 else "large",
        "resources": Resources(cpu_millicores=vcpus * 1000, memory_bytes=vcpus * 4 * GIB),
        "tee": "TDX",
        "price_micro_usd_per_hour": 60_000 * vcpus,
    }
    return Offering(**(fields | changes))


def offerings_of(target: str, variant: int) -> tuple[Offering, ...]:
    """What a target offers, in one of a few ways."""
    small, large = ("Standard_DC2es_v6", "Standard_DC4es_v6") if target == "azure" else ("C2", "C4")
    plain = (an_offering(target, small, 2), an_offering(target, large, 4))
    return (
        plain,
        (an_offering(target, small, 2, price_micro_usd_per_hour=300_000), plain[1]),
        (an_offering(target, small, 2, price_micro_usd_per_hour=None), plain[1]),
        (an_offering(target, small, 2, tee="SNP"), an_offering(target, large, 4, restricted="NotAvailable")),
        (an_offering(target, small, 2, tee="None", price_micro_usd_per_hour=1), plain[1]),
        (an_offering(target, small, 2, region="elsewhere"), an_offering(target, large, 4, spot=True)),
        (an_offering(target, "unlisted", 4, price_micro_usd_per_hour=1), plain[0]),
        (),
    )[variant]


OFFERING_VARIANTS = 8


def a_fill(free: int) -> CapacitySeen:
    """How much room there is on-prem, in millicores."""
    there = Resources(cpu_millicores=20_000 + free, memory_bytes=100 * GIB)
    return CapacitySeen(nodes=3, allocatable=there, requested=Resources(cpu_millicores=20_000))


def a_pod(namespace: str, number: int, now_ms: int, *, service: bool, kind: int) -> Pod:
    """A pending pod; ``kind`` says what it asks for and is made of."""
    owner = workload = None
    if service:
        owner = Owner(api_version="apps/v1", kind="ReplicaSet", name="web-abc", uid="rs")
        workload = Owner(api_version="apps/v1", kind="Deployment", name="web", uid="")
    return Pod(
        namespace=namespace,
        name=f"pod-{number}",
        uid=f"uid-{number}",
        created_at_ms=now_ms,
        unschedulable_since_ms=now_ms,
        message="0/3 nodes are available: 3 Insufficient cpu." if kind % 3 else "0/3 nodes: untolerated taint",
        requests=Resources(cpu_millicores=(500, 1_900, 3_000, 64_000)[kind % 4], memory_bytes=GIB),
        labels={"tier": "gold"} if kind % 2 else {},
        owner=owner,
        workload=workload,
        priority=100 * (kind % 3),
        runtime_class="kata-remote" if kind == 11 else "",
        restart_policy="Always" if service else "Never",
        images=IMAGES[0 if service else kind // 2 % 4][0],
        secrets=SECRETS[kind // 3 % 3],
    )
