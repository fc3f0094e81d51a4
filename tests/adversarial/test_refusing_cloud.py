"""Sandboxes that fail: the refused size rests with its larger sisters, and the pod goes to the next size or target."""

import pytest

from burster.engine.bursts.lifecycle_actions import LIST_LAG_MAX_MS
from burster.model import stimuli as s
from burster.model.errors import RemoteKind
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


SIZES = ("Standard_DC2es_v6", "Standard_DC4es_v6", "Standard_DC8es_v6", "Standard_EC2es_v6")


def an_engine() -> Engine:
    engine = Engine()
    placement = a_policy().placement
    engine.sync(
        s.PolicySeen(policy=a_policy(placement=type(placement)(targets=("azure", "other")))),
        s.TargetSeen(target=a_target(sizes=SIZES)),
        s.TargetSeen(target=a_target(name="other", sizes=SIZES)),
        s.OfferingsSeen(
            target="azure",
            offerings=(
                an_offering(2),
                an_offering(4),
                an_offering(8),
                an_offering(
                    2, size="Standard_EC2es_v6", family="standardECEV6Family", price_micro_usd_per_hour=400_000
                ),
            ),
        ),
        s.OfferingsSeen(target="other", offerings=(an_offering(2, target="other"),)),
    )
    return engine


def refuse(engine: Engine, kind: RemoteKind, code: str, count: int = 1) -> None:
    key = list(engine.state.bursts)[-1]
    engine.send(s.BurstRecorded(key=key, uid=f"uid of {key}"))
    engine.send(s.PodPlaced(key=key, pod_uid="p"))
    engine.send(s.PodLeft(namespace="bank", name="task-1", uid="uid-task-1", why="Gone"))
    engine.send(s.SandboxFailed(burst_key=key, pod_uid="p", count=count, kind=kind, code=code, message="no room"))
    assert engine.phase(key) == "Failed"
    engine.send(s.StatusWritten(key=key, phase="Failed"))
    engine.send(s.VmsObserved(key=key, vms=()))
    engine.send(s.PodDeleted(key=key, gone=True))
    engine.send(s.VmsObserved(key=key, vms=()))
    engine.send(s.PodReturned(key=key))
    assert engine.phase(key) == "Releasing"
    engine.send(s.PodSeen(pod=a_pod(uid=f"uid-{len(engine.state.bursts)}")))


def close(engine: Engine) -> None:
    """Wait until every listing shows what the kubelet may have started last; there is nothing."""
    engine.wait(LIST_LAG_MAX_MS)
    for key, entry in list(engine.state.bursts.items()):
        if entry.burst.status.phase == "Releasing":
            engine.send(s.VmsObserved(key=key, vms=()))
            assert engine.phase(key) == "Released"


def latest(engine: Engine) -> tuple[str, str]:
    spec = engine.burst(list(engine.state.bursts)[-1]).spec
    return spec.target, spec.size


@pytest.mark.parametrize(
    ("kind", "code"), [("Capacity", "AllocationFailed"), ("Quota", "QuotaExceeded"), ("Capacity", "")]
)
def test_a_refused_size_rests_with_every_larger_one_of_its_family(kind: RemoteKind, code: str) -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod()))
    assert latest(engine) == ("azure", "Standard_DC2es_v6")
    refuse(engine, kind, code)
    assert latest(engine) == ("azure", "Standard_EC2es_v6"), "the next family, not the next size"
    refuse(engine, kind, code)
    assert latest(engine) == ("other", "Standard_DC2es_v6"), "then the next target"
    refuse(engine, kind, code)
    assert len(engine.state.bursts) == 3
    assert engine.codes("bank/task-1")[-1] == "CapacityRefused"
    close(engine)


@pytest.mark.parametrize(
    ("code", "rest_ms"),
    [("SkuNotAvailable", 82_800_000), ("AllocationFailed", 3_600_000), ("QuotaExceeded", 600_000), ("Odd", 180_000)],
)
def test_how_long_it_rests_is_by_the_clouds_own_code(code: str, rest_ms: int) -> None:
    engine = an_engine()
    engine.send(s.TargetGone(name="other"))
    engine.send(s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))))
    engine.send(s.PodSeen(pod=a_pod()))
    refuse(engine, "Capacity", code)
    close(engine)
    engine.wait(rest_ms - LIST_LAG_MAX_MS - 1)
    assert len(engine.state.bursts) == 1 or all(
        e.burst.status.phase == "Released" for e in engine.state.bursts.values()
    )
    assert not engine.asked("RecordBurst")
    engine.wait(1)
    assert engine.asked("RecordBurst")


def test_another_regions_sizes_do_not_rest_with_it() -> None:
    engine = an_engine()
    elsewhere = an_offering(2, region="northeurope")
    engine.send(s.OfferingsSeen(target="azure", offerings=(an_offering(2), elsewhere)))
    engine.send(s.PodSeen(pod=a_pod()))
    refuse(engine, "Capacity", "AllocationFailed")
    assert set(engine.state.cooling) == {"azure/westeurope/Standard_DC2es_v6"}


def test_a_shorter_refusal_does_not_cut_a_longer_one_short() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod()), s.PodSeen(pod=a_pod("task-2")))
    first, second = engine.state.bursts
    for key, code in ((first, "SkuNotAvailable"), (second, "QuotaExceeded")):
        engine.send(s.BurstRecorded(key=key, uid=f"uid of {key}"))
        engine.send(s.PodPlaced(key=key, pod_uid=f"p of {key}"))
        engine.send(
            s.SandboxFailed(burst_key=key, pod_uid=f"p of {key}", count=1, kind="Capacity", code=code, message="no")
        )
    until, reason = engine.state.cooling["azure/westeurope/Standard_DC2es_v6"]
    assert (until, reason.code) == (engine.now + 82_800_000, "SkuNotAvailable")


@pytest.mark.parametrize(
    ("kind", "count", "fails"), [("Unavailable", 2, False), ("Unavailable", 3, True), ("Invalid", 1, True)]
)
def test_a_sandbox_that_fails_otherwise_is_given_three_tries(kind: RemoteKind, count: int, fails: bool) -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod()))
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="b"))
    engine.send(s.PodPlaced(key=key, pod_uid="p"))
    engine.send(s.SandboxFailed(burst_key=key, pod_uid="p", count=count, kind=kind, code="", message="no"))
    assert (engine.phase() == "Failed") == fails
    assert engine.asked("ObserveVms"), "the VM that was given up costs until it is gone: it is noted while it is there"
    assert not engine.state.cooling


def test_a_vm_that_is_not_what_was_demanded_opens_the_breaker() -> None:
    from tests.support.builders import a_vm

    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.burst()
    engine.send(s.BurstRecorded(key=burst.key, uid="b"))
    engine.send(s.PodPlaced(key=burst.key, pod_uid="p"))
    engine.send(engine.pod_event("Running"))
    engine.send(s.VmsObserved(key=burst.key, vms=(a_vm(burst, created_at=engine.now, security_type=""),)))
    assert (engine.phase(), engine.burst().status.reason) == ("Failed", "VmMismatch")
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    assert latest(engine)[0] == "other"
    assert not engine.asked("MarkVerified")
