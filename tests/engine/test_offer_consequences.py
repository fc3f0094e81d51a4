"""What a refusal of the cloud leads to: by what it is about, for how long, and for whom."""

from typing import Any, get_args

import msgspec
import pytest

from burster.engine import target_status
from burster.engine.offers import capacity, consequences
from burster.engine.offers.zones import choose_zone
from burster.engine.state import BurstEntry
from burster.model import stimuli as s
from burster.model.errors import RemoteKind
from burster.model.offerings import CloudFailure, Matter, Offering, Quota
from burster.model.policies import Placement, Spread
from burster.model.targets import Machines
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


HOUR = 3_600_000
ZONES = ("1", "2", "3")
SIZES = ("Standard_DC2es_v6", "Standard_DC4es_v6", "Standard_DC8es_v6", "Standard_EC4es_v6")


def offered(*, spot: bool = False) -> tuple[Offering, ...]:
    other = an_offering(4, size="Standard_EC4es_v6", family="standardECEV6Family", price_micro_usd_per_hour=900_000)
    every = (an_offering(2), an_offering(4), an_offering(8), other)
    zonal = tuple(msgspec.structs.replace(one, zones=ZONES) for one in every)
    cheap = tuple(msgspec.structs.replace(one, spot=True, price_micro_usd_per_hour=1) for one in zonal)
    return (*zonal, *cheap) if spot else zonal


def launched(*, zone: str = "", spot: bool = False, rows: tuple[Quota, ...] = ()) -> tuple[Engine, BurstEntry]:
    """A burst of a 4 vCPU machine whose cloud is about to answer."""
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target(sizes=SIZES)),
        s.OfferingsSeen(target="azure", offerings=offered(spot=True)),
        s.QuotaSeen(target="azure", rows=rows),
        s.PodSeen(pod=a_pod(cpu=3_000)),
    )
    key = engine.burst().key
    engine.send(s.BurstRecorded(key=key, uid="b"), s.PodPlaced(key=key, pod_uid="p"))
    entry = engine.state.bursts[key]
    spec = msgspec.structs.replace(entry.burst.spec, zone=zone, spot=spot)
    entry.burst = msgspec.structs.replace(entry.burst, spec=spec)
    return engine, entry


def failed(matter: Matter, kind: RemoteKind = "Capacity", code: str = "", **more: Any) -> CloudFailure:
    return CloudFailure(kind=kind, code=code, matter=matter, message=more.pop("message", "no."), **more)


def left_alone(engine: Engine, *, spot: bool = False) -> dict[str, int]:
    target = engine.state.targets["azure"]
    found = {one.size: capacity.refusal_of(engine.state, one) for one in target.offerings if one.spot == spot}
    return {size: refusal[0] - engine.now for size, refusal in found.items() if refusal is not None}


def test_every_matter_has_its_consequence() -> None:
    assert set(consequences.CONSEQUENCES) == set(get_args(Matter))


@pytest.mark.parametrize(
    ("failure", "want", "rest"),
    [
        pytest.param(failed("capacity", code="AllocationFailed"), "NextSize", HOUR, id="full"),
        pytest.param(failed("zonal-capacity"), "NextSize", HOUR, id="a zone that nobody chose"),
        pytest.param(failed("sku-restricted"), "NextSize", 23 * HOUR, id="closed to us"),
        pytest.param(failed("family-quota", "Quota"), "NextSize", 600_000, id="the family's quota"),
        pytest.param(failed("regional-quota", "Quota"), "NextRegion", 600_000, id="the region's quota"),
        pytest.param(failed("spot-quota", "Quota"), "NextSize", 600_000, id="the quota of spot"),
        pytest.param(failed("address-space"), "NextTarget", 180_000, id="no address"),
        pytest.param(failed("unknown"), "NextSize", 180_000, id="nobody says why there is no room"),
        pytest.param(
            failed("configuration", "Invalid", "InstanceTypeNotSupported"), "NextSize", 180_000, id="not on CAA's list"
        ),
        pytest.param(
            failed("configuration", "Invalid", "InvalidAvailabilityZone"), "NextSize", 180_000, id="no such zone"
        ),
        pytest.param(failed("unknown", "Unavailable"), "Wait", None, id="nobody says anything"),
        pytest.param(failed("throttled", "Throttled"), "Wait", None, id="too many requests"),
        pytest.param(failed("guest", "Unavailable"), "Wait", None, id="its system did not start"),
        pytest.param(failed("auth", "Unauthorized"), "Stop", HOUR, id="no right"),
        pytest.param(failed("policy", "Unauthorized"), "Stop", HOUR, id="an administrator's rule"),
        pytest.param(failed("configuration", "Invalid", "GalleryImageNotFound"), "Stop", HOUR, id="no image"),
        pytest.param(failed("configuration", "Invalid", "InvalidParameter"), "Stop", None, id="the request's own fault"),
    ],
)  # fmt: skip
def test_what_follows(failure: CloudFailure, want: str, rest: int | None) -> None:
    engine, entry = launched()
    outcome = consequences.follow(engine.state, entry, failure)
    assert outcome.consequence == want
    assert outcome.until_ms == (None if rest is None else engine.now + rest)
    assert outcome.next.sentence


@pytest.mark.parametrize(
    ("failure", "zone", "want"),
    [
        pytest.param(failed("capacity"), "2", {1, 2}, id="a full region: the family from there on"),
        pytest.param(failed("zonal-capacity"), "", {1, 2}, id="a zone nobody knows: as if it were the region"),
        pytest.param(failed("zonal-capacity"), "2", set[int](), id="one zone: the others are left"),
        pytest.param(failed("regional-quota", "Quota"), "", {1, 2, 3}, id="the region's quota: every family from there"),
        pytest.param(failed("regional-quota", "Quota", limit_vcpus=0), "", {0, 1, 2, 3}, id="a region's quota of nothing"),
        pytest.param(failed("family-quota", "Quota", limit_vcpus=0), "", {0, 1, 2}, id="a family's quota of nothing"),
        pytest.param(failed("address-space"), "", {0, 1, 2, 3}, id="no address: everything there"),
        pytest.param(failed("configuration", "Invalid", "InstanceTypeNotFound"), "", {1}, id="not on a list: itself alone"),
        pytest.param(failed("spot-quota", "Quota"), "", {1}, id="the quota of spot, told of a size that is none"),
    ],
)  # fmt: skip
def test_what_is_left_alone_with_it(failure: CloudFailure, zone: str, want: set[int]) -> None:
    engine, entry = launched(zone=zone)
    consequences.follow(engine.state, entry, failure)
    assert set(left_alone(engine)) == {SIZES[number] for number in want}


def test_what_is_sold_for_good_and_what_is_left_over_are_refused_apart() -> None:
    engine, entry = launched(spot=True)
    consequences.follow(engine.state, entry, failed("sku-restricted"))
    assert (left_alone(engine), left_alone(engine, spot=True)) == ({}, dict.fromkeys(SIZES[1:3], HOUR))
    engine, entry = launched()
    consequences.follow(engine.state, entry, failed("capacity"))
    assert (left_alone(engine), left_alone(engine, spot=True)) == (dict.fromkeys(SIZES[1:3], HOUR), {})


def test_the_quota_of_spot_is_every_spot_size_s() -> None:
    engine, entry = launched(spot=True)
    consequences.follow(engine.state, entry, failed("spot-quota", "Quota"))
    assert (left_alone(engine), left_alone(engine, spot=True)) == ({}, dict.fromkeys(SIZES[1:], 600_000))


def test_without_an_address_nothing_of_either_kind_is_tried() -> None:
    engine, entry = launched()
    consequences.follow(engine.state, entry, failed("address-space"))
    assert len(left_alone(engine)) == len(left_alone(engine, spot=True)) == 4


def test_the_rows_tell_a_quota_of_nothing_where_the_refusal_does_not() -> None:
    row = Quota(region="westeurope", family="CORES", used_vcpus=0, limit_vcpus=0)
    engine, entry = launched()
    engine.send(s.QuotaSeen(target="azure", rows=(row,)))
    assert consequences.follow(engine.state, entry, failed("regional-quota", "Quota")).until_ms == engine.now + HOUR


def test_zone_by_zone_until_there_is_none() -> None:
    engine, entry = launched(zone="1")
    told: list[str] = []
    for zone in ZONES:
        spec = msgspec.structs.replace(entry.burst.spec, zone=zone)
        entry.burst = msgspec.structs.replace(entry.burst, spec=spec)
        told.append(consequences.follow(engine.state, entry, failed("zonal-capacity")).consequence)
    assert told == ["NextZone", "NextZone", "NextSize"]
    assert set(left_alone(engine)) == set(SIZES[1:3])


def test_a_zone_that_the_target_does_not_name_is_no_next_one() -> None:
    engine, entry = launched(zone="1")
    lending = a_target(sizes=SIZES, machines=Machines(images=("i",), subnet="/s", zones=("1",)))
    engine.send(s.TargetSeen(target=lending))
    assert consequences.follow(engine.state, entry, failed("zonal-capacity")).consequence == "NextSize"


def test_what_happens_next_is_told_with_the_failure() -> None:
    engine, _ = launched()
    key = engine.burst().key
    engine.send(
        s.SandboxFailed(
            burst_key=key,
            pod_uid="p",
            count=1,
            kind="Capacity",
            code="AllocationFailed",
            matter="capacity",
            message="no",
        )
    )
    told = next(one for one in engine.decisions if one.verdict == "Fail")
    assert [reason.code for reason in told.reasons] == ["AllocationFailed", "NextSize"]
    assert told.reasons[1].sentence == (
        "Another size is tried next: Standard_DC4es_v6 is left alone in westeurope for 1h."
    )


# --- a target that is stopped


def stop(engine: Engine, key: str, code: str = "AuthorizationFailed") -> None:
    engine.send(
        s.SandboxFailed(
            burst_key=key,
            pod_uid="p",
            count=1,
            kind="Unauthorized",
            code=code,
            matter="auth",
            message="burster may not.",
        )
    )


def test_a_target_whose_cloud_refuses_burster_takes_nothing_more() -> None:
    engine, _ = launched()
    stop(engine, engine.burst().key)
    assert engine.phase() == "Failed"
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    assert engine.codes("bank/task-2") == ["TargetStopped"]
    assert engine.state.launch_failures == [], "the stop holds others off; nobody's breaker has to be closed after it"
    assert next(one.subject for one in engine.decisions if one.reasons[0].code == "TargetStopped") == "azure"


def test_its_status_says_so() -> None:
    engine, _ = launched()
    engine.send(s.TargetSeen(target=a_target(sizes=SIZES, uid="t")))
    stop(engine, engine.burst().key)
    _, status, code, sentence = target_status.readiness(engine.state, engine.state.targets["azure"])
    assert (status, code) == ("False", "TargetStopped")
    assert "AuthorizationFailed: burster may not" in sentence


@pytest.mark.parametrize(
    "fact",
    [
        pytest.param(s.TargetSeen(target=a_target(sizes=SIZES, generation=2)), id="somebody edits it"),
        pytest.param(s.TargetChecked(target="azure"), id="its checks find nothing wrong"),
        pytest.param(None, id="an hour passes"),
    ],
)
def test_it_takes_something_again_when_it_was_looked_at(fact: s.Stimulus | None) -> None:
    engine, _ = launched()
    stop(engine, engine.burst().key)
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    if fact is None:
        engine.wait(HOUR - 1)
        assert not engine.asked("RecordBurst")
        engine.wait(1)
    else:
        engine.send(fact)
    assert any(one.burst.spec.for_pod.name == "task-2" for one in engine.asked("RecordBurst"))


def test_checks_that_find_something_leave_it_stopped() -> None:
    engine, _ = launched()
    stop(engine, engine.burst().key)
    problem = s.TargetProblem(code="RoleMissing", sentence="burster may not read VMs.", blocks=True)
    engine.send(s.TargetChecked(target="azure", problems=(problem,)))
    assert engine.state.targets["azure"].stopped is not None


def test_what_a_workload_asks_for_wrongly_stops_no_target() -> None:
    engine, _ = launched()
    key = engine.burst().key
    engine.send(
        s.SandboxFailed(
            burst_key=key,
            pod_uid="p",
            count=1,
            kind="Invalid",
            code="UserDataTooLarge",
            matter="configuration",
            message="no",
        )
    )
    assert (engine.phase(), engine.state.targets["azure"].stopped) == ("Failed", None)


def test_a_plain_vm_where_a_confidential_one_was_asked_for_stops_the_target() -> None:
    engine, entry = launched()
    said = "The VM size 'Standard_DC4es_v6' is not supported for creation of VMs with '<NULL>' security type."
    outcome = consequences.follow(engine.state, entry, failed("configuration", "Invalid", "BadRequest", message=said))
    assert (outcome.consequence, outcome.blames_workload) == ("Stop", False)
    assert consequences.stopped(engine.state, engine.state.targets["azure"]) is not None


# --- zones of machines


LENDING = a_target(machines=Machines(images=("i",), subnet="/s", zones=ZONES))


def running(engine: Engine, *zones: str) -> None:
    (first,) = list(engine.state.bursts.values())
    for number, zone in enumerate(zones):
        spec = msgspec.structs.replace(first.burst.spec, zone=zone)
        burst = msgspec.structs.replace(first.burst, name=f"b{number}", spec=spec)
        engine.state.bursts[burst.key] = BurstEntry(burst=burst)


@pytest.mark.parametrize(
    ("zones", "want"),
    [((), "1"), (("1",), "2"), (("1", "2"), "3"), (("3", "3", "1"), "2"), (("1", "2", "3"), "1"), (("7",), "1")],
)
def test_the_emptiest_zone_is_taken(zones: tuple[str, ...], want: str) -> None:
    engine, _ = launched()
    running(engine, *zones)
    assert choose_zone(engine.state, a_policy(), LENDING, offered()[0]) == want


def test_a_zone_that_refused_lately_is_passed_over() -> None:
    engine, entry = launched(zone="1")
    consequences.follow(engine.state, entry, failed("zonal-capacity"))
    size = offered()[1]
    assert choose_zone(engine.state, a_policy(), LENDING, size) == "2"
    assert choose_zone(engine.state, a_policy(), LENDING, offered()[0]) == "2", (
        "the smaller one too goes where there are fewer"
    )
    for zone in ("2", "3"):
        spec = msgspec.structs.replace(entry.burst.spec, zone=zone)
        entry.burst = msgspec.structs.replace(entry.burst, spec=spec)
        consequences.follow(engine.state, entry, failed("zonal-capacity"))
    assert choose_zone(engine.state, a_policy(), LENDING, size) is None


@pytest.mark.parametrize(("required", "want"), [(False, ""), (True, None)])
def test_where_the_target_names_no_zones_the_cloud_chooses(required: bool, want: str | None) -> None:
    policy = a_policy(placement=Placement(targets=("azure",), spread=Spread(by="zone", max_skew=1, required=required)))
    assert choose_zone(launched()[0].state, policy, a_target(), offered()[0]) == want


def test_a_size_without_zones_has_none_to_choose() -> None:
    assert choose_zone(launched()[0].state, a_policy(), LENDING, an_offering(4)) is None


@pytest.mark.parametrize(("required", "want"), [(True, None), (False, "1")])
def test_a_demanded_spread_waits_for_the_emptiest_zone(required: bool, want: str | None) -> None:
    engine, entry = launched(zone="3")
    policy = a_policy(placement=Placement(targets=("azure",), spread=Spread(by="zone", max_skew=1, required=required)))
    running(engine, "1", "2")
    for zone in ("3",):
        spec = msgspec.structs.replace(entry.burst.spec, zone=zone)
        entry.burst = msgspec.structs.replace(entry.burst, spec=spec)
        consequences.follow(engine.state, entry, failed("zonal-capacity"))
    entry.burst = msgspec.structs.replace(entry.burst, spec=msgspec.structs.replace(entry.burst.spec, zone=""))
    assert choose_zone(engine.state, policy, LENDING, offered()[1]) == want
