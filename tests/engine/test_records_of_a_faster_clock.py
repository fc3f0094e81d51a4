"""Records whose times have not come: written by a controller whose clock was ahead, or by somebody else. They are held to this clock."""

import msgspec

from burster.model import stimuli as s
from burster.model.bursts import Burst
from burster.model.limits import LaunchRate, Limits
from burster.model.policies import Policy
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering, with_one_task


YEAR_MS = 365 * 86_400_000


def a_serving_record() -> Burst:
    before = with_one_task()
    key = before.burst().key
    before.send(s.BurstRecorded(key=key, uid="b"), s.PodPlaced(key=key, pod_uid="p"))
    burst = before.burst()
    status = msgspec.structs.replace(burst.status, phase="Serving", pod_uid="p", serving_at_ms=T0 + 60_000)
    return msgspec.structs.replace(burst, uid="b", status=status)


def adopting(record: Burst, policy: Policy, *more: s.Stimulus) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.BurstSeen(burst=record),
        s.CloudPodSeen(burst_uid="b", burst_key=record.key, pod_uid="p", phase="Running"),
        *more,
    )
    return engine


def test_a_lease_is_no_longer_than_one_that_is_renewed_now() -> None:
    record = a_serving_record()
    status = msgspec.structs.replace(record.status, lease_until_ms=T0 + YEAR_MS)
    engine = adopting(msgspec.structs.replace(record, status=status), a_policy())
    spec = record.spec
    assert engine.burst(record.key).status.lease_until_ms == engine.now + spec.lease_ms + spec.launch_deadline_ms


def test_a_lease_of_our_own_clock_stays_as_it_is() -> None:
    record = a_serving_record()
    engine = adopting(record, a_policy())
    assert engine.burst(record.key).status.lease_until_ms == record.status.lease_until_ms


def test_a_launch_stops_new_ones_no_longer_than_the_rate_says() -> None:
    record = a_serving_record()
    ahead = msgspec.structs.replace(record.spec, decided_at_ms=T0 + YEAR_MS)
    policy = a_policy(limits=Limits(launch_rate=LaunchRate(count=1, per_ms=60_000)))
    record = msgspec.structs.replace(record, spec=ahead)
    engine = adopting(record, policy, s.PodSeen(pod=a_pod("task-2")))
    assert not engine.state.pods["bank/task-2"].burst
    engine.wait(120_000)
    assert engine.state.pods["bank/task-2"].burst


def test_what_has_happened_has_happened_by_now() -> None:
    record = a_serving_record()
    status = msgspec.structs.replace(
        record.status,
        placed_at_ms=T0 + YEAR_MS,
        vm_started_at_ms=T0 + YEAR_MS,
        serving_at_ms=T0 + YEAR_MS,
        vms=("podvm-task-1-0123abcd",),
    )
    engine = adopting(msgspec.structs.replace(record, status=status), a_policy())
    taken = engine.burst(record.key).status
    assert taken.placed_at_ms == taken.vm_started_at_ms == taken.serving_at_ms == engine.now
