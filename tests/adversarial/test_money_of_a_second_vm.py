"""The kubelet may make a second VM, and a VM may outlive its pod: what is spent on them is set aside as soon as it is known."""

from burster.model import stimuli as s
from burster.model.limits import Budget
from tests.support.builders import Engine, a_pod, a_policy, a_target, a_vm, an_offering


def serving(budget: Budget) -> tuple[Engine, str]:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(budget=budget)),
        s.TargetSeen(target=a_target(sweep="Report")),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.burst()
    engine.send(s.BurstRecorded(key=burst.key, uid="b"), after_ms=5)
    engine.send(s.PodPlaced(key=burst.key, pod_uid="p"), after_ms=5)
    return engine, burst.key


def test_an_abandoned_vm_takes_the_money_that_another_burst_would_have_had() -> None:
    engine, key = serving(Budget(per_hour_micro_usd=300_000))
    burst = engine.burst(key)
    first = a_vm(burst, created_at=engine.now, name="podvm-task-1-aaaaaaaa", provisioning_state="Creating")
    second = a_vm(burst, created_at=engine.now + 240_000)
    engine.send(s.VmsObserved(key=key, vms=(first,)), after_ms=240_000)
    assert engine.state.policies["bank/tasks"].account.outstanding_micro_usd == 130_000
    engine.send(engine.pod_event("Running", key), after_ms=60_000)
    engine.send(s.VmsObserved(key=key, vms=(first, second)), after_ms=1_000)
    held = engine.state.policies["bank/tasks"].account.outstanding_micro_usd
    assert held > 2 * 120_000, "both VMs until the lease and the drain are over"
    assert engine.burst(key).status.reserved_micro_usd == held
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    assert engine.codes("bank/task-2") == ["PolicyBudget"]


def test_a_vm_that_outlives_its_pod_is_paid_for_in_advance_each_time_it_is_seen() -> None:
    engine, key = serving(Budget(per_day_micro_usd=10_000_000))
    vm = a_vm(engine.burst(key), created_at=engine.now)
    engine.send(engine.pod_event("Running", key), after_ms=60_000)
    engine.send(s.VmsObserved(key=key, vms=(vm,)))
    engine.send(engine.pod_event("Succeeded", key), after_ms=60_000)
    for _ in range(6):
        engine.send(s.VmsObserved(key=key, vms=(vm,)), after_ms=1_200_000)
        spent = -(-120_000 * (engine.now - (vm.created_at_ms or 0)) // 3_600_000)
        assert engine.state.policies["bank/tasks"].account.outstanding_micro_usd >= spent
    engine.send(s.VmsObserved(key=key, vms=()), after_ms=1_000)
    assert engine.phase(key) == "Released"
    assert engine.state.policies["bank/tasks"].account.outstanding_micro_usd == 0
