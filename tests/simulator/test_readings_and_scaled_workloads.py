"""What triggers read in the virtual world, and workloads whose number somebody sets."""

from typing import Any

import msgspec
import pytest

from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.limits import Limits
from burster.model.offerings import Offering
from burster.model.pods import Resources
from burster.model.policies import Placement, Policy, WorkloadSelector
from burster.model.scaling import Scaling
from burster.model.targets import Target
from burster.model.triggers import ExternalTrigger, PendingPodsTrigger, ResourceTrigger, WorkloadRef
from burster.policy.formula import compile_formula
from burster.simulator.cloud import Cloud
from burster.simulator.cloud_model import CloudModel, Spread
from burster.simulator.hands import Hands, Latency
from burster.simulator.onprem import OnPrem
from burster.simulator.readings import NAMES, Point, Readings, Series
from burster.simulator.run import Setup, simulate
from burster.simulator.scaled import SimWorkload
from burster.simulator.traces.model import Trace, TraceEntry
from burster.simulator.world import World


GIB = 1 << 30
EPOCH = 1_767_600_000_000
ONE = Resources(cpu_millicores=1_000, memory_bytes=GIB)
TARGET = Target(
    name="cloud", subscription="s", resource_group="g", region="westeurope", sizes=("S",), allowed_namespaces=("*",)
)
OFFERING = Offering(
    target="cloud",
    provider="azure",
    region="westeurope",
    size="S",
    family="f",
    resources=Resources(cpu_millicores=4_000, memory_bytes=8 * GIB),
    tee="TDX",
    price_micro_usd_per_hour=3_600_000,
)
MODEL = CloudModel(
    boot=Spread(median_ms=60_000, p95_ms=60_000),
    guest=Spread(median_ms=10_000, p95_ms=10_000),
    delete=Spread(median_ms=30_000, p95_ms=30_000),
)
KEY = ("bank", "Deployment", "cloud")


class Bench:
    """A world with one node of two cores, and hands, without an engine."""

    def __init__(self, *entries: TraceEntry, model: CloudModel = MODEL) -> None:
        self.world = World(
            Trace(source="test", format="burster", rows_read=0, entries=entries),
            OnPrem((Resources(cpu_millicores=2_000, memory_bytes=4 * GIB),)),
            EPOCH,
        )
        self.cloud = Cloud(model=model, seed=0)
        self.hands = Hands(self.world, self.cloud, {"cloud": TARGET}, {OFFERING.key: OFFERING}, Latency(api_ms=10))
        self.scaled = self.hands.scaled

    def until(self, at_ms: int) -> list[Any]:
        """Let everything happen up to a time; return what was told."""
        told: list[Any] = []
        while (next_ms := self.world.next_ms()) is not None and next_ms <= at_ms:
            self.world.advance(next_ms)
            self.hands.settle_work()
            told += self.world.take_outbox()
        self.world.now_ms = at_ms
        return [one for one in told if not isinstance(one, s.CapacitySeen | s.PodSeen | s.PodLeft | s.Tick)]


def a_service(replicas: int, at_ms: int = 0) -> TraceEntry:
    return TraceEntry(
        arrival_ms=at_ms, name="web", namespace="bank", kind="Deployment", replicas=replicas, requests=ONE
    )


def a_policy(*triggers: Any, **changes: Any) -> Policy:
    values = {
        "namespace": "bank",
        "name": "scale",
        "workload": WorkloadSelector(name_pattern="web"),
        "triggers": triggers,
        "placement": Placement(strategy="Scale", targets=("cloud",)),
        "scaling": Scaling(target=WorkloadRef(name="cloud"), polling_ms=30_000),
    }
    return Policy(**(values | changes))


def set_scale(replicas: int) -> i.SetScale:
    return i.SetScale(key="k", policy="bank/scale", workload=WorkloadRef(name="cloud"), replicas=replicas)


CLOUD = SimWorkload(namespace="bank", name="cloud", requests=ONE, target="cloud", size="S")


def seen(told: list[Any]) -> list[tuple[int, int, int]]:
    return [(one.replicas, one.status_replicas, one.ready_replicas) for one in told if isinstance(one, s.WorkloadSeen)]


# --- what triggers read ----------------------------------------------------------------------------------------------


def read(bench: Bench, policy: Policy, *series: Series, until_ms: int) -> list[Any]:
    readings = Readings(bench.world, (policy,), series, patience_ms=0)
    readings.start()
    return [one for one in bench.until(until_ms) if not isinstance(one, s.WorkloadSeen)]


def test_values_hold_from_their_moment_on_and_are_read_at_the_polling_interval() -> None:
    points = (Point(at_ms=30_000, value_milli=500), Point(at_ms=90_000, fails="refused"), Point(at_ms=120_000))
    series = Series(policy="bank/scale", trigger="x", points=points, until_ms=120_000)
    told = read(Bench(), a_policy(ExternalTrigger(name="x")), series, until_ms=10**9)
    assert told == [
        s.MetricRead(policy="bank/scale", trigger="x", at_ms=EPOCH + 30_000, value_milli=500),
        s.MetricRead(policy="bank/scale", trigger="x", at_ms=EPOCH + 60_000, value_milli=500),
        s.MetricFailed(policy="bank/scale", trigger="x", at_ms=EPOCH + 90_000, message="refused"),
        s.MetricRead(policy="bank/scale", trigger="x", at_ms=EPOCH + 120_000, value_milli=0),
    ]


def test_a_formula_is_asked_about_the_time_the_queue_and_the_cluster() -> None:
    bench = Bench(
        a_service(5), TraceEntry(arrival_ms=0, name="t", namespace="shop", kind="Pod", duration_ms=10, requests=ONE)
    )
    formula = compile_formula("seconds * 10000 + pending * 1000 + cpu + memory / 1000", NAMES)
    series = Series(policy="bank/scale", trigger="x", formula=formula, until_ms=30_000)
    first, second = read(bench, a_policy(ExternalTrigger(name="x")), series, until_ms=30_000)[:2]
    assert first.value_milli == 3_000_000 + 100_000 + 50, "3 of web wait, the other's pod is none of the policy's"
    assert second.value_milli == first.value_milli + 300_000_000


def test_a_formula_without_a_value_is_a_failure_and_below_nothing_is_nothing() -> None:
    policy = a_policy(ExternalTrigger(name="x"), ExternalTrigger(name="y"))
    wrong = Series(policy="bank/scale", trigger="x", formula=compile_formula("1 / (cpu - cpu)", NAMES))
    below = Series(policy="bank/scale", trigger="y", formula=compile_formula("0 - 5", NAMES))
    failed, nothing = read(Bench(), policy, wrong, below, until_ms=0)
    assert isinstance(failed, s.MetricFailed)
    assert failed.message
    assert nothing.value_milli == 0


def test_the_use_of_a_measured_workload_is_told_pod_by_pod() -> None:
    trigger = ResourceTrigger(name="mem", resource="memory", source=WorkloadRef(name="web"))
    series = Series(policy="bank/scale", trigger="mem", points=(Point(at_ms=0, value_milli=75_000),))
    (told,) = read(Bench(a_service(3)), a_policy(trigger), series, until_ms=0)
    used = s.PodUse(usage=GIB * 3 // 4, request=GIB, started_at_ms=EPOCH)
    waits = s.PodUse(request=GIB, ready=False)
    assert told == s.ResourceRead(policy="bank/scale", trigger="mem", at_ms=EPOCH, replicas=3, pods=(used, used, waits))
    cpu = ResourceTrigger(name="cpu", resource="cpu", source=WorkloadRef(name="web"))
    series = Series(policy="bank/scale", trigger="cpu", points=(Point(at_ms=0, value_milli=150_500),))
    (told,) = read(Bench(a_service(1)), a_policy(cpu), series, until_ms=0)
    assert told.pods == (s.PodUse(usage=1_505, request=1_000, started_at_ms=EPOCH),)


def test_a_workload_that_nobody_has_made_can_not_be_measured() -> None:
    trigger = ResourceTrigger(name="mem", resource="memory", source=WorkloadRef(name="web"))
    series = Series(policy="bank/scale", trigger="mem", points=(Point(at_ms=0, value_milli=1),))
    (told,) = read(Bench(), a_policy(trigger), series, until_ms=0)
    assert told.message == "there is no Deployment web to measure"


def test_reading_goes_on_while_something_is_at_work_and_not_for_ever() -> None:
    series = Series(policy="bank/scale", trigger="x", points=(Point(at_ms=0),), until_ms=30_000)

    def times(patience_ms: int, *, at_work: bool) -> int:
        bench = Bench()
        readings = Readings(bench.world, (a_policy(ExternalTrigger(name="x")),), (series,), patience_ms)
        readings.at_work = lambda: at_work
        readings.start()
        bench.until(10**7)
        return bench.world.last_event_ms // 30_000 + 1

    assert times(0, at_work=False) == 2
    assert times(90_000, at_work=False) == 2
    assert times(90_000, at_work=True) == 5


# --- workloads that are scaled ---------------------------------------------------------------------------------------


def test_replicas_come_after_their_vms_have_and_go_with_them() -> None:
    bench = Bench()
    bench.scaled.start((CLOUD,))
    assert seen(bench.world.take_outbox()) == [(0, 0, 0)]
    bench.hands.carry_out(set_scale(2))
    told = bench.until(10)
    assert s.ScaleSet(policy="bank/scale", replicas=2) in told
    assert seen(told) == [(2, 2, 0)]
    assert len(bench.cloud.vms) == 2
    assert seen(bench.until(70_009)) == []
    assert seen(bench.until(70_010)) == [(2, 2, 1), (2, 2, 2)]
    bench.until(3_600_010)
    bench.hands.carry_out(set_scale(0))
    assert seen(bench.until(3_600_020)) == [(0, 0, 0)]
    bench.until(3_700_000)
    assert bench.cloud.vms == {}
    assert [bill for _, bill in bench.cloud.bills(3_700_000)] == [3_630_010] * 2
    assert bench.scaled.extra == 0


def test_who_is_not_ready_goes_first_then_the_youngest() -> None:
    bench = Bench()
    bench.scaled.start((msgspec.structs.replace(CLOUD, replicas=2),))
    bench.until(70_000)
    bench.scaled.scale(KEY, 3)
    names = sorted(vm.burst for vm in bench.cloud.vms.values())
    assert names == ["bank/cloud-1-00001", "bank/cloud-1-00002", "bank/cloud-1-00003"]
    assert bench.scaled.extra == 1
    bench.scaled.scale(KEY, 2)
    bench.until(200_000)
    assert {vm.burst for vm in bench.cloud.vms.values()} == {names[0], names[1]}
    bench.scaled.scale(KEY, 1)
    bench.until(300_000)
    assert {vm.burst for vm in bench.cloud.vms.values()} == {names[0]}


def test_replicas_do_the_work_of_those_that_wait_on_prem() -> None:
    bench = Bench(a_service(3), a_service(2, at_ms=600_000))
    bench.scaled.start((msgspec.structs.replace(CLOUD, stands_in_for="web"),))
    bench.hands.carry_out(set_scale(1))
    bench.until(400_000)
    waiting = next(pod for pod in bench.world.pods if pod.served_by == "cloud")
    assert waiting.served_at_ms == 70_010
    assert bench.cloud.working == 1
    bench.until(700_000)
    assert bench.cloud.working == 0, "nobody waits any more"
    bench.hands.carry_out(set_scale(0))
    bench.until(800_000)
    (vm,) = bench.cloud.gone
    assert vm.work_ms == 600_000 - 70_010


def test_replicas_without_a_target_need_no_vm_and_are_ready_at_once() -> None:
    bench = Bench()
    bench.scaled.start((msgspec.structs.replace(CLOUD, target="", size=""),))
    bench.scaled.scale(KEY, 2)
    assert seen(bench.world.take_outbox())[-1] == (2, 2, 2)
    assert bench.cloud.launches == 0


@pytest.mark.parametrize("code", ["AllocationFailed", "SkuNotAvailable"])
def test_a_replica_whose_vm_fails_is_tried_again_until_its_number_goes(code: str) -> None:
    model = msgspec.structs.replace(MODEL, failure_probability=1.0, failure_mix={code: 1})
    bench = Bench(model=model)
    bench.scaled.start((CLOUD,))
    bench.scaled.scale(KEY, 1)
    bench.until(600_000)
    assert bench.cloud.launches > 5
    bench.scaled.scale(KEY, 0)
    launches = bench.cloud.launches
    bench.until(2_000_000)
    assert bench.cloud.launches == launches
    assert bench.cloud.vms == {}


def test_a_number_that_somebody_else_owns_or_nobody_has_is_refused() -> None:
    bench = Bench()
    bench.hands.carry_out(set_scale(2))
    (missing,) = bench.until(10)
    assert (missing.instruction, missing.subject, missing.kind) == ("SetScale", "bank/scale", "NotFound")
    assert missing.message == "there is no Deployment bank/cloud"
    bench.scaled.start((msgspec.structs.replace(CLOUD, owner="ScaledObject x"),))
    bench.world.take_outbox()
    bench.hands.carry_out(set_scale(2))
    (owned,) = bench.until(20)
    assert (owned.kind, owned.code) == ("Conflict", "ScaleOwnedByOther")
    assert owned.message == "ScaledObject x sets the number of Deployment bank/cloud"
    assert bench.cloud.launches == 0


def test_a_workload_that_is_deleted_takes_its_replicas_along() -> None:
    bench = Bench()
    bench.scaled.start((CLOUD,))
    bench.scaled.scale(KEY, 2)
    bench.until(100_000)
    bench.scaled.remove(KEY)
    bench.scaled.remove(KEY)
    told = bench.world.take_outbox()
    assert told[-1] == s.WorkloadGone(namespace="bank", kind="Deployment", name="cloud")
    bench.until(200_000)
    assert bench.cloud.vms == {}


def test_a_signal_is_followed_when_keda_looks() -> None:
    bench = Bench()
    bench.scaled.start((msgspec.structs.replace(CLOUD, owner="ScaledObject x"),))
    bench.hands.numbers.followers = {"bank/scale": KEY}
    bench.world.take_outbox()
    for number in (5, 2):
        bench.hands.carry_out(i.PublishSignal(key="k", policy="bank/scale", replicas=number, active=True))
    bench.hands.carry_out(i.PublishSignal(key="k", policy="bank/nobody", replicas=9, active=True))
    told = bench.world.take_outbox()
    assert [(one.policy, one.replicas) for one in told] == [("bank/scale", 5), ("bank/scale", 2), ("bank/nobody", 9)]
    assert seen(bench.until(29_999)) == []
    assert {number for number, _, _ in seen(bench.until(30_000))} == {2}


def test_a_policys_status_is_written() -> None:
    bench = Bench()
    bench.hands.carry_out(i.WritePolicyStatus(key="k", policy="bank/scale", generation=1, conditions=()))
    assert bench.until(10) == [s.PolicyStatusWritten(policy="bank/scale")]


# --- a run's opening -------------------------------------------------------------------------------------------------


def test_a_run_begins_with_the_clusters_limits_and_every_namespace() -> None:
    told: list[s.Stimulus] = []
    setup = Setup(
        trace=Trace(
            source="test",
            format="burster",
            rows_read=0,
            entries=(TraceEntry(arrival_ms=0, name="t", namespace="shop", kind="Pod", duration_ms=10, requests=ONE),),
        ),
        nodes=(ONE,),
        policies=(a_policy(PendingPodsTrigger(), placement=Placement(targets=("cloud",)), scaling=Scaling()),),
        namespaces={"bank": {"burst": "yes"}, "idle": {}},
        limits=Limits(max_bursts=3),
        epoch_ms=EPOCH,
    )
    simulate(setup, lambda _now, stimuli, _result: told.extend(stimuli))
    assert [one for one in told if isinstance(one, s.NamespaceSeen | s.ClusterLimitsSeen)] == [
        s.ClusterLimitsSeen(limits=Limits(max_bursts=3)),
        s.NamespaceSeen(name="bank", labels={"burst": "yes"}),
        s.NamespaceSeen(name="idle"),
        s.NamespaceSeen(name="shop"),
    ]
