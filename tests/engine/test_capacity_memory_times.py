"""How long a refused size is left alone, by why it was refused; and what is left alone with it."""

from typing import Any

import pytest

from burster.engine.offers import capacity, cooling
from burster.model import stimuli as s
from burster.model.errors import RemoteKind
from burster.model.offerings import Offering, Quota
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering, with_one_task


HOUR = 3_600_000
SIZES = ("Standard_DC2es_v6", "Standard_DC4es_v6", "Standard_DC8es_v6", "Standard_EC4es_v6")


@pytest.mark.parametrize(
    ("kind", "code", "facts", "want_ms"),
    [
        pytest.param("Capacity", "SkuNotAvailable", {}, 23 * HOUR, id="not for this subscription"),
        pytest.param("Capacity", "SkuNotAvailable", {"spot": True}, HOUR, id="not as spot"),
        pytest.param("Capacity", "NotAvailableForSubscription", {}, 23 * HOUR, id="the same in other words"),
        pytest.param("Capacity", "skunotavailable", {}, 23 * HOUR, id="case does not matter"),
        pytest.param("Capacity", "AllocationFailed", {}, HOUR, id="full"),
        pytest.param("Capacity", "AllocationFailed", {"spot": True}, HOUR, id="full for spot"),
        pytest.param("Capacity", "OverconstrainedAllocationRequest", {}, HOUR, id="full for what is asked"),
        pytest.param("Capacity", "ZonalAllocationFailed", {}, HOUR, id="the zone is full"),
        pytest.param("Capacity", "OverconstrainedZonalAllocationRequest", {}, HOUR, id="the zone, for what is asked"),
        pytest.param("Capacity", "CapacityReservationCapacityExceeded", {}, HOUR, id="the reservation is full"),
        pytest.param("Capacity", "AllocationFailed", {"limit_vcpus": 0}, HOUR, id="full, and a quota of nothing"),
        pytest.param("Quota", "OperationNotAllowed", {}, 600_000, id="quota"),
        pytest.param("Quota", "OperationNotAllowed", {"limit_vcpus": 1}, 600_000, id="a small quota"),
        pytest.param("Quota", "OperationNotAllowed", {"limit_vcpus": 0}, HOUR, id="a quota of nothing"),
        pytest.param("Quota", "", {"limit_vcpus": 0}, HOUR, id="the same without a code"),
        pytest.param("Quota", "", {}, 600_000, id="quota without a code"),
        pytest.param("Capacity", "QuotaExceeded", {}, 600_000, id="quota by its code"),
        pytest.param("Capacity", "ResourceQuotaExceeded", {"limit_vcpus": 0}, HOUR, id="by its code, of nothing"),
        pytest.param("Capacity", "", {}, 180_000, id="nobody says why"),
        pytest.param("Capacity", "Odd", {"limit_vcpus": 0}, 180_000, id="a word nobody knows"),
        pytest.param("Capacity", "SubnetIsFull", {}, 180_000, id="no address"),
        pytest.param("Quota", "PublicIPCountLimitReached", {"limit_vcpus": 0}, 180_000, id="no public address"),
    ],
)
def test_how_long(kind: RemoteKind, code: str, facts: dict[str, Any], want_ms: int) -> None:
    assert cooling.rest_ms(kind, code, **facts) == want_ms


def offered() -> tuple[Offering, ...]:
    other = an_offering(4, size="Standard_EC4es_v6", family="standardECEV6Family", price_micro_usd_per_hour=900_000)
    return (an_offering(2), an_offering(4), an_offering(8), other)


def refuse(
    kind: RemoteKind, code: str, *, cpu: int = 3_000, rows: tuple[Quota, ...] = (), limit: int | None = None
) -> Engine:
    """A pod for 4 vCPUs bursts, and the cloud refuses."""
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target(sizes=SIZES)),
        s.OfferingsSeen(target="azure", offerings=offered()),
    )
    if rows:
        engine.send(s.QuotaSeen(target="azure", rows=rows))
    engine.send(s.PodSeen(pod=a_pod(cpu=cpu)))
    key = engine.burst().key
    assert engine.burst().spec.size == ("Standard_DC4es_v6" if cpu == 3_000 else "Standard_DC8es_v6")
    engine.send(s.BurstRecorded(key=key, uid="b"), s.PodPlaced(key=key, pod_uid="p"))
    engine.send(
        s.SandboxFailed(burst_key=key, pod_uid="p", count=1, kind=kind, code=code, message="no", limit_vcpus=limit)
    )
    assert engine.phase() == "Failed"
    assert engine.state.parked == {}, "the pod is not to blame: it may go to another size at once"
    return engine


def left_alone(engine: Engine) -> dict[str, int]:
    """Sizes that are not asked for now -> for how long."""
    found = {one.size: capacity.refusal_of(engine.state, one) for one in engine.state.targets["azure"].offerings}
    return {size: refusal[0] - engine.now for size, refusal in found.items() if refusal is not None}


def test_with_a_size_every_one_of_its_family_that_is_as_large_or_larger() -> None:
    engine = refuse("Capacity", "AllocationFailed")
    assert left_alone(engine) == {"Standard_DC4es_v6": HOUR, "Standard_DC8es_v6": HOUR}


def test_a_quota_that_is_used_up_leaves_the_smaller_sizes() -> None:
    row = Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=0, limit_vcpus=40)
    engine = refuse("Quota", "OperationNotAllowed", rows=(row,))
    assert left_alone(engine) == {"Standard_DC4es_v6": 600_000, "Standard_DC8es_v6": 600_000}


def test_a_quota_of_nothing_leaves_none_of_the_family() -> None:
    engine = refuse("Quota", "OperationNotAllowed", limit=0)
    assert left_alone(engine) == dict.fromkeys(SIZES[:3], HOUR)


def test_what_the_refusal_says_of_the_quota_is_newer_than_the_rows() -> None:
    row = Quota(region="WestEurope", family="StandardDCEV6Family", used_vcpus=0, limit_vcpus=40)
    assert set(left_alone(refuse("Quota", "", rows=(row,), limit=0)).values()) == {HOUR}
    assert set(left_alone(refuse("Quota", "", rows=(row,), limit=3)).values()) == {600_000}


def test_a_full_subnet_is_full_for_every_size() -> None:
    engine = refuse("Capacity", "SubnetIsFull")
    assert left_alone(engine) == dict.fromkeys(SIZES, 180_000)


def test_of_two_offerings_of_a_size_the_one_that_was_paid_for_was_refused() -> None:
    engine = Engine()
    spot = an_offering(2, spot=True, price_micro_usd_per_hour=120_001, zones=("1",))
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(spot, an_offering(2))),
    )
    engine.send(s.PodSeen(pod=a_pod()))
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="b"), s.PodPlaced(key=key, pod_uid="p"))
    engine.send(
        s.SandboxFailed(burst_key=key, pod_uid="p", count=1, kind="Capacity", code="SkuNotAvailable", message="")
    )
    assert {until - engine.now for until, _ in engine.state.cooling.values()} == {23 * HOUR}


def test_a_size_that_is_no_longer_offered_can_not_be_left_alone() -> None:
    engine = with_one_task()
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="b"), s.PodPlaced(key=key, pod_uid="p"))
    engine.send(s.OfferingsSeen(target="azure", offerings=()))
    failed = s.SandboxFailed(burst_key=key, pod_uid="p", count=1, kind="Quota", code="", message="")
    engine.send(failed)
    assert (engine.phase(), engine.state.cooling) == ("Failed", {})


def test_a_target_that_is_gone_is_remembered_for_nothing() -> None:
    engine = with_one_task()
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="b"), s.PodPlaced(key=key, pod_uid="p"), s.TargetGone(name="azure"))
    failed = s.SandboxFailed(burst_key=key, pod_uid="p", count=1, kind="Quota", code="", message="")
    engine.send(failed)
    assert (engine.phase(), engine.state.cooling) == ("Failed", {})


def test_the_reason_names_the_region_the_size_and_the_code() -> None:
    engine = refuse("Capacity", "AllocationFailed")
    found = capacity.refusal_of(engine.state, an_offering(4))
    assert found is not None
    assert found[1].code == "AllocationFailed"
    assert found[1].sentence == "westeurope refused Standard_DC4es_v6 (AllocationFailed) lately."
    found = capacity.refusal_of(refuse("Capacity", "").state, an_offering(4))
    assert found is not None
    assert (found[1].code, found[1].sentence) == ("Capacity", "westeurope refused Standard_DC4es_v6 (capacity) lately.")


def test_everybody_looks_again_when_it_is_over() -> None:
    engine = refuse("Quota", "", cpu=7_000)
    engine.send(s.PodSeen(pod=a_pod("task-2", cpu=7_000)))
    assert engine.codes("bank/task-2") == ["CapacityRefused"]
    engine.wait(599_999)
    assert not engine.asked("RecordBurst")
    engine.wait(1)
    assert engine.asked("RecordBurst")
