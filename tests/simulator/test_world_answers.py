"""The outside world's answers, asked for by hand: no engine takes part."""

from typing import Any

import msgspec
import pytest

from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.bursts import Burst, BurstSpec, BurstStatus, PodRef
from burster.model.triggers import WorkloadRef
from burster.simulator.cloud import Cloud
from burster.simulator.cloud_model import CloudModel, Spread
from burster.simulator.hands import Hands, Latency
from burster.simulator.onprem import OnPrem
from burster.simulator.run import Setup
from burster.simulator.world import World


class Bench:
    """A world, and somebody who gives the instructions that an engine would."""

    def __init__(self, setup: Setup) -> None:
        self.world = World(setup.trace, OnPrem(setup.nodes), setup.epoch_ms)
        self.cloud = Cloud(model=setup.cloud, seed=setup.seed)
        targets = {target.name: target for target in setup.targets}
        self.hands = Hands(self.world, self.cloud, targets, {o.key: o for o in setup.offerings}, setup.latency)
        self.heard: list[tuple[int, s.Stimulus]] = []

    def until(self, end_s: float) -> list[str]:
        """Let time pass; return what was heard in it, as ``second name``."""
        before = len(self.heard)
        end_ms = round(end_s * 1000)
        while True:
            next_ms = self.world.next_ms()
            now_ms = end_ms if next_ms is None or next_ms > end_ms else next_ms
            self.world.advance(now_ms)
            self.hands.settle_work()
            self.heard += [(now_ms, stimulus) for stimulus in self.world.take_outbox()]
            if now_ms == end_ms and (self.world.next_ms() or end_ms + 1) > end_ms:
                return [f"{at / 1000:g} {type(one).__name__}" for at, one in self.heard[before:] if not _noise(one)]

    def ask(self, *asked: i.Instruction) -> list[s.Stimulus]:
        before = len(self.heard)
        for instruction in asked:
            self.hands.carry_out(instruction)
        self.until(self.world.now_ms / 1000)
        return [stimulus for _, stimulus in self.heard[before:] if not _noise(stimulus)]


def _noise(stimulus: s.Stimulus) -> bool:
    return isinstance(stimulus, s.CapacitySeen | s.Tick | s.CloudListed)


def burst_for(pod: s.PodSeen, strategy: Any = "Move", **changes: Any) -> Burst:
    spec: dict[str, Any] = {
        "policy": "all",
        "target": "cloud",
        "strategy": strategy,
        "pod_name": pod.pod.name,
        "for_pod": PodRef(name=pod.pod.name, uid=pod.pod.uid),
        "workload": WorkloadRef(api_version="apps/v1", kind="Deployment", name="on-prem-deployment")
        if pod.pod.workload
        else None,
        "region": "westeurope",
        "size": "Standard_DC4es_v6",
        "runtime_class": "kata-remote",
        "price_micro_usd_per_hour": 3_600_000,
        "reserved_micro_usd": 1,
        "decided_at_ms": 0,
        "lease_ms": 1,
        "drain_ms": 0,
        "launch_deadline_ms": 1,
        "ready_deadline_ms": 1,
        **changes,
    }
    return Burst(namespace="default", name=f"burst-{pod.pod.name}", spec=BurstSpec(**spec))


@pytest.fixture
def bench(build, make_task) -> Bench:
    return Bench(build(make_task(0, 100), make_task(1, 50, name="moved")))


def pending(bench: Bench) -> s.PodSeen:
    return next(stimulus for _, stimulus in bench.heard if isinstance(stimulus, s.PodSeen))


def test_a_pod_that_fits_is_never_heard_of_and_one_that_does_not_is(bench):
    assert bench.until(1) == ["1 PodSeen"]
    pod = pending(bench).pod
    assert (pod.name, pod.unschedulable, pod.workload) == ("moved", True, None)


def test_a_moved_pod_is_taken_from_the_queue_runs_in_its_vm_and_takes_the_vm_with_it(bench):
    bench.until(1)
    burst = burst_for(pending(bench))
    (recorded,) = bench.ask(i.RecordBurst(key="r", burst=burst))
    assert isinstance(recorded, s.BurstRecorded)
    left, placed, seen = bench.ask(i.PlacePod(key="p", burst=burst))
    assert (left.why, placed.key, seen.phase) == ("Gone", burst.key, "Pending")
    (observed,) = bench.ask(i.ObserveVms(key="o", burst=burst))
    (vm,) = observed.vms
    assert (vm.provisioning_state, vm.security_type, vm.size) == ("Creating", "ConfidentialVM", "Standard_DC4es_v6")
    assert vm.name.startswith("podvm-moved-")
    assert bench.until(72) == ["71 CloudPodSeen"]
    assert bench.until(200) == ["121 CloudPodSeen"]
    (observed,) = bench.ask(i.ObserveVms(key="o", burst=burst))
    assert observed.vms == ()
    (deleted, gone) = bench.ask(i.DeletePod(key="d", burst=burst, grace_ms=0))
    assert (deleted.gone, type(gone)) == (False, s.CloudPodGone)
    (deleted,) = bench.ask(i.DeletePod(key="d", burst=burst, grace_ms=0))
    assert deleted.gone


@pytest.mark.parametrize("recorded", [False, True])
def test_a_pod_that_was_bound_in_between_is_not_taken(bench, recorded):
    bench.until(1)
    burst = burst_for(pending(bench))
    if recorded:
        bench.ask(i.RecordBurst(key="r", burst=burst))
    assert bench.until(101) == ["100 PodLeft"]
    asked = i.PlacePod(key="p", burst=burst) if recorded else i.RecordBurst(key="r", burst=burst)
    (failed,) = bench.ask(asked)
    assert (failed.kind, failed.subject, failed.instruction) == ("Conflict", burst.key, type(asked).__name__)
    assert bench.cloud.launches == 0


def test_a_record_or_a_pod_asked_for_twice_is_made_once(bench):
    bench.until(1)
    burst = burst_for(pending(bench))
    first, second = bench.ask(i.RecordBurst(key="r", burst=burst), i.RecordBurst(key="r", burst=burst))
    assert first == second
    bench.ask(i.PlacePod(key="p", burst=burst), i.PlacePod(key="p", burst=burst))
    assert bench.cloud.launches == 1


def test_a_returned_pod_queues_again_under_its_name_and_runs_anew(bench):
    bench.until(1)
    burst = burst_for(pending(bench))
    bench.ask(i.RecordBurst(key="r", burst=burst), i.PlacePod(key="p", burst=burst))
    bench.until(80)
    bench.ask(i.DeletePod(key="d", burst=burst, grace_ms=0))
    returned, seen = bench.ask(i.ReturnPod(key="b", burst=burst))
    assert isinstance(returned, s.PodReturned)
    assert (seen.pod.name, seen.pod.uid != burst.spec.for_pod.uid) == ("moved", True)
    (again,) = bench.ask(i.ReturnPod(key="b", burst=burst))
    assert isinstance(again, s.PodReturned)
    bench.until(1000)
    pod = bench.world.pods[1]
    assert (pod.gone, pod.served_by, pod.served_at_ms, pod.restarts) == (True, "on-prem", 100_000, 1)


def test_a_pod_deleted_while_its_vm_boots_leaves_no_vm(bench):
    bench.until(1)
    burst = burst_for(pending(bench))
    bench.ask(i.RecordBurst(key="r", burst=burst), i.PlacePod(key="p", burst=burst))
    bench.until(10)
    bench.ask(i.DeletePod(key="d", burst=burst, grace_ms=600_000))
    assert bench.until(39) == []
    assert len(bench.cloud.vms) == 1
    bench.until(40)
    assert not bench.cloud.vms
    (vm,) = bench.cloud.gone
    assert (vm.created_ms, vm.gone_ms, vm.work_ms) == (1_000, 40_000, 0)
    assert bench.until(500) == ["100 PodLeft"] or not bench.world.waiting


def test_a_clone_serves_only_once_it_is_verified(build, make_task, make_service):
    bench = Bench(build(make_task(0, 500), make_service(1, 1)))
    bench.until(1)
    burst = burst_for(pending(bench), "Clone")
    bench.ask(i.RecordBurst(key="r", burst=burst), i.PlacePod(key="p", burst=burst))
    bench.until(100)
    assert bench.world.pods[1].served_at_ms < 0
    written, seen = bench.ask(i.MarkVerified(key="v", burst=burst))
    assert (written.phase, seen.ready) == ("Verified", True)
    assert (bench.world.pods[1].served_at_ms, bench.world.pods[1].served_by) == (100_000, "cloud")
    bench.until(600)
    (vm,) = bench.cloud.vms.values()
    assert vm.work_ms == 400_000  # until its replica found room on-prem
    assert bench.cloud.working == 0


def test_refusals_come_as_sandbox_failures_and_the_kubelet_tries_again(build, make_task):
    setup = build(
        make_task(0, 900),
        make_task(1, 50),
        cloud={"failure_probability": 1.0, "failure_mix": {"SkuNotAvailable": 1}, "refuse_ms": 3000, "retry_ms": 15000},
    )
    bench = Bench(setup)
    bench.until(1)
    burst = burst_for(pending(bench))
    bench.ask(i.RecordBurst(key="r", burst=burst), i.PlacePod(key="p", burst=burst))
    assert bench.until(30) == ["4 SandboxFailed", "22 SandboxFailed"]
    counts = [one.count for _, one in bench.heard if isinstance(one, s.SandboxFailed)]
    assert counts == [1, 2]
    assert not bench.cloud.vms
    assert bench.cloud.failures == {"SkuNotAvailable": 2}


def test_a_late_failure_leaves_a_failed_vm_that_costs_nothing_and_goes(build, make_task):
    bench = Bench(
        build(
            make_task(0, 900),
            make_task(1, 50),
            cloud={"failure_probability": 1.0, "failure_mix": {"AllocationFailed": 1}},
        )
    )
    bench.until(1)
    burst = burst_for(pending(bench))
    bench.ask(i.RecordBurst(key="r", burst=burst), i.PlacePod(key="p", burst=burst))
    assert bench.until(61) == ["61 SandboxFailed"]
    bench.ask(i.DeletePod(key="d", burst=burst, grace_ms=0))
    bench.until(120)
    assert not bench.cloud.vms
    assert sum(bill for _, bill in bench.cloud.bills(120_000)) == 0


def test_a_listing_shows_what_there_is_and_a_sweep_removes_it(bench):
    bench.until(1)
    burst = burst_for(pending(bench))
    bench.ask(i.RecordBurst(key="r", burst=burst), i.PlacePod(key="p", burst=burst))
    bench.hands.carry_out(i.ListCloud(key="l", target="cloud"))
    bench.until(1)
    (listed,) = [one for _, one in bench.heard if isinstance(one, s.CloudListed)]
    (vm,) = listed.vms
    assert listed.listed_at_ms == bench.world.epoch_ms + 1000
    bench.ask(i.DeleteVm(key="x", target="cloud", vm=vm.name))
    bench.until(60)
    assert not bench.cloud.vms


def test_a_released_record_can_be_forgotten(bench):
    bench.until(1)
    burst = burst_for(pending(bench))
    bench.ask(i.RecordBurst(key="r", burst=burst))
    done = msgspec.structs.replace(burst, status=BurstStatus(phase="Released", settled_micro_usd=42))
    (written,) = bench.ask(i.WriteStatus(key="s", burst=done))
    assert written.phase == "Released"
    assert (bench.hands.live, bench.hands.settled_micro_usd) == (0, 42)
    bench.ask(i.WriteStatus(key="s", burst=done))
    assert bench.hands.settled_micro_usd == 42
    (deleted,) = bench.ask(i.ForgetBurst(key="f", burst=done))
    assert deleted.key == burst.key


def test_answers_take_their_time_where_the_scenario_says_so(build, make_task):
    setup = msgspec.structs.replace(build(make_task(0, 100), make_task(1, 5)), latency=Latency(api_ms=10, arm_ms=150))
    bench = Bench(setup)
    bench.until(1)
    burst = burst_for(pending(bench))
    bench.hands.carry_out(i.RecordBurst(key="r", burst=burst))
    bench.hands.carry_out(i.ObserveVms(key="o", burst=burst))
    assert bench.until(2) == ["1.01 BurstRecorded", "1.15 VmsObserved"]


def test_events_are_nobodys_business(bench):
    assert bench.ask(i.EmitEvent(key="e", namespace="n", kind="Pod", name="p", reason="r", message="m")) == []


def test_draws_depend_on_the_name_and_the_seed_and_on_nothing_else():
    spread = Spread(median_ms=60_000, p95_ms=120_000)
    drawn = {name: spread.draw_ms(1, name) for name in "abcdef"}
    assert drawn == {name: spread.draw_ms(1, name) for name in "fedcba"}
    assert len(set(drawn.values())) == 6
    assert spread.draw_ms(2, "a") != drawn["a"]
    many = sorted(spread.draw_ms(7, f"vm-{n}") for n in range(4000))
    assert many[2000] == pytest.approx(60_000, rel=0.05)
    assert many[3800] == pytest.approx(120_000, rel=0.08)
    assert Spread(median_ms=5, p95_ms=5).draw_ms(1, "x") == 5


def test_failures_come_as_often_and_as_mixed_as_asked_for():
    model = CloudModel(failure_probability=0.25, failure_mix={"SkuNotAvailable": 1, "AllocationFailed": 3})
    drawn = [model.draw_fault(3, f"vm-{n}") for n in range(4000)]
    codes = [fault.code for fault in drawn if fault is not None]
    assert len(codes) == pytest.approx(1000, rel=0.1)
    assert codes.count("AllocationFailed") == pytest.approx(750, rel=0.1)
    assert CloudModel().draw_fault(3, "vm-1") is None
