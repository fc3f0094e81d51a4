"""A policy that is no longer valid: what runs by it is kept, also over a restart, until it is deleted or valid again."""

import msgspec

from burster.model import stimuli as s
from burster.model.bursts import Burst
from tests.support.builders import Engine, a_pod, a_policy, a_target, a_vm, an_offering


KEY = "bank/tasks"
REFUSED = s.PolicyRefused(key=KEY, uid="p-1", generation=2, message="spec.wait.mode: no such mode.")
HOUR = 3_600_000


def serving(engine: Engine) -> Burst:
    engine.sync(
        s.PolicySeen(policy=a_policy(lease_ms=HOUR)),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(),)),
        s.PodSeen(pod=a_pod()),
    )
    return engine.to_serving()


def a_successor(burst: Burst, *facts: s.Stimulus) -> Engine:
    engine = Engine()
    engine.now += 300_000
    engine.sync(
        *facts,
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(),)),
        s.BurstSeen(burst=burst),
        s.CloudPodSeen(
            burst_uid=burst.uid,
            burst_key=burst.key,
            pod_uid=burst.status.pod_uid,
            phase="Running",
            ready=True,
            size=burst.spec.size,
            runtime_class=burst.spec.runtime_class,
        ),
    )
    return engine


def test_what_runs_is_kept_and_its_lease_renewed_while_nothing_new_starts() -> None:
    engine = Engine()
    burst = serving(engine)
    engine.send(REFUSED, s.PodSeen(pod=a_pod("task-2")))
    assert engine.codes("bank/task-2")[-1] == "PolicyRefused"
    engine.wait(HOUR)
    assert engine.phase(burst.key) == "Serving"
    assert "LeaseRenewed" in engine.codes()
    assert len(engine.state.bursts) == 1
    engine.send(s.PolicySeen(policy=a_policy(generation=3, lease_ms=HOUR)), after_ms=1)
    assert len(engine.state.bursts) == 2, "a valid version lets what waits go"


def test_after_a_restart_the_bursts_of_a_refused_policy_are_kept_until_it_is_deleted() -> None:
    burst = serving(first := Engine())
    engine = a_successor(first.burst(burst.key), REFUSED)
    assert engine.phase(burst.key) == "Serving"
    engine.send(s.VmsObserved(key=burst.key, vms=(a_vm(burst, created_at=first.now),)))
    engine.wait(HOUR)
    assert engine.phase(burst.key) == "Serving"
    engine.send(s.PolicyGone(key=KEY))
    assert engine.phase(burst.key) == "Draining"
    assert engine.burst(burst.key).status.reason == "PolicyGone"


def test_after_a_restart_the_bursts_of_a_deleted_policy_come_home() -> None:
    burst = serving(first := Engine())
    engine = a_successor(first.burst(burst.key))
    assert engine.phase(burst.key) == "Draining"
    assert engine.codes()[-1] == "PolicyGone"


def test_a_refused_policy_that_becomes_valid_after_a_restart_takes_its_bursts_back() -> None:
    burst = serving(first := Engine())
    engine = a_successor(first.burst(burst.key), REFUSED)
    engine.send(s.PolicySeen(policy=a_policy(generation=3, lease_ms=HOUR)))
    assert engine.phase(burst.key) == "Serving"
    assert engine.state.policies[KEY].active == 1
    assert engine.state.refused == {}


def test_the_news_that_a_policy_is_gone_that_nobody_knew_changes_nothing() -> None:
    engine = Engine()
    burst = serving(engine)
    before = msgspec.structs.replace(engine.burst(burst.key))
    engine.send(s.PolicyGone(key="bank/other"))
    assert engine.burst(burst.key) == before
