"""Every offering has its place or its reason, and the first is the one that a pod gets."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.engine.offers import capacity
from burster.engine.offers.offer_index import price_of
from burster.engine.offers.offerings import ranked
from burster.engine.offers.why_not import explain_all
from burster.engine.state import State, TargetEntry
from burster.model import stimuli as s
from burster.model.decisions import Reason
from burster.model.offerings import Offering, Quota
from burster.model.pods import Resources
from burster.model.policies import Placement, Policy
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_target, an_offering


NO = Reason(code="AllocationFailed", sentence="No room lately.")
WANTED = Resources(cpu_millicores=2_000, memory_bytes=8 * GIB)


def a_world(*offerings: Offering, policy: Policy | None = None, **target: Any) -> tuple[State, TargetEntry]:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy or a_policy()),
        s.TargetSeen(target=a_target(**{"sizes": (), **target})),
        s.OfferingsSeen(target="azure", offerings=offerings),
    )
    return engine.state, engine.state.targets["azure"]


def sized(size: str, vcpus: int = 2, **changes: Any) -> Offering:
    return an_offering(vcpus, size=size, **changes)


def test_each_is_ranked_or_has_its_reason() -> None:
    state, target = a_world(
        sized("dear", price_micro_usd_per_hour=900),
        sized("cheap", price_micro_usd_per_hour=100),
        sized("small", resources=Resources(cpu_millicores=1_000, memory_bytes=GIB)),
        sized("amd", tee="SNP"),
        sized("closed", restricted="NotAvailableForSubscription"),
        sized("priceless", price_micro_usd_per_hour=None, price_problem="-1 USD an hour"),
        sized("spot", spot=True),
        sized("elsewhere", region="northeurope"),
        sized("refused", family="other"),
        sized("poor", family="none"),
    )
    capacity.remember(state, sized("refused", family="other"), T0 + 60_000, NO)
    target.quotas = {("westeurope", "none"): Quota(region="westeurope", family="none", used_vcpus=0, limit_vcpus=0)}
    told = explain_all(state, a_policy(), WANTED, target)
    assert [(one.offering.size, one.rank, one.reason.code) for one in told] == [
        ("cheap", 1, "Cheapest"),
        ("dear", 2, "Dearer"),
        ("poor", None, "QuotaExhausted"),
        ("refused", None, "CapacityRefused"),
        ("priceless", None, "PriceUnknown"),
        ("closed", None, "SizeRestricted"),
        ("small", None, "NoSizeFits"),
        ("spot", None, "SpotNotAllowed"),
        ("amd", None, "TeeNotOffered"),
        ("elsewhere", None, "NotInRegion"),
    ]
    by_size = {one.offering.size: one for one in told}
    assert by_size["cheap"].price_per_fit_micro_usd_per_hour == 100
    assert by_size["small"].price_per_fit_micro_usd_per_hour is None
    assert (
        by_size["small"].reason.sentence
        == "small has 1000m cpu and 1Gi memory, and 2000m cpu and 8Gi memory is asked for."
    )
    assert by_size["refused"].refused_until_ms == T0 + 60_000
    assert by_size["poor"].free_family_vcpus == 0
    assert by_size["cheap"].free_family_vcpus is None
    assert "-1 USD an hour" in by_size["priceless"].reason.sentence


def test_sizes_that_are_not_allowed_are_told_by_name() -> None:
    state, target = a_world(sized("a"), sized("b"), sizes=("a",))
    told = {one.offering.size: one.reason for one in explain_all(state, None, WANTED, target)}
    assert (told["b"].code, told["b"].sentence) == ("NoSizeAllowed", "The policy or the target does not allow b.")


def test_free_quota_is_less_what_is_in_flight() -> None:
    state, target = a_world(sized("a"))
    row = Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=10, limit_vcpus=20)
    cores = Quota(region="westeurope", family="cores", used_vcpus=1, limit_vcpus=100)
    target.quotas = {("westeurope", "standarddcev6family"): row, ("westeurope", "cores"): cores}
    target.launched = {("westeurope", "standarddcev6family"): 4, ("westeurope", "cores"): 4}
    (told,) = explain_all(state, None, WANTED, target)
    assert (told.free_family_vcpus, told.free_region_vcpus, told.in_flight_vcpus) == (6, 95, 4)


def test_a_zone_that_refused_is_not_open() -> None:
    offering = sized("a", zones=("1", "2"))
    state, target = a_world(offering)
    capacity.remember(state, offering, T0 + 1_000, NO, zone="1")
    (told,) = explain_all(state, None, WANTED, target)
    assert (told.open_zones, told.rank, told.refused_until_ms) == (("2",), 1, None)


def test_nothing_on_offer_is_nothing_to_explain() -> None:
    state, target = a_world()
    assert explain_all(state, None, WANTED, target) == ()


# --- whatever is on offer, and whatever was refused

_SIZES = st.builds(
    sized,
    st.sampled_from([f"s{n}" for n in range(8)]),
    st.integers(1, 6),
    price_micro_usd_per_hour=st.none() | st.integers(1, 9),
    tee=st.sampled_from(["TDX", "TDX", "TDX", "SNP", "None"]),
    restricted=st.sampled_from(["", "", "", "no"]),
    family=st.sampled_from(["F", "G"]),
    spot=st.booleans(),
    zones=st.sampled_from([(), ("1",), ("1", "2")]),
)


@st.composite
def _worlds(draw: st.DrawFn) -> tuple[State, TargetEntry, Policy, Resources]:
    offerings = {one.key: one for one in draw(st.lists(_SIZES, max_size=8))}
    strategy: Any = draw(st.sampled_from(["Auto", "Machine"]))
    spot: Any = draw(st.sampled_from(["Never", "Prefer", "Only"]))
    policy = a_policy(placement=Placement(targets=("azure",), strategy=strategy, spot=spot))
    state, target = a_world(*offerings.values(), policy=policy)
    families = draw(
        st.lists(st.tuples(st.sampled_from(["f", "g", "cores", "lowprioritycores"]), st.integers(0, 9)), max_size=4)
    )
    target.quotas = {
        ("westeurope", name): Quota(region="westeurope", family=name, used_vcpus=0, limit_vcpus=limit)
        for name, limit in families
    }
    target.launched = {("westeurope", name): draw(st.integers(0, 4)) for name, _ in families}
    for offering in draw(st.lists(st.sampled_from(list(offerings.values())), max_size=3)) if offerings else ():
        capacity.remember(
            state, offering, T0 + draw(st.integers(1, 9)), NO, zone=draw(st.sampled_from(["", *offering.zones]))
        )
    state.now_ms = T0 + draw(st.integers(0, 9))
    return state, target, policy, Resources(cpu_millicores=1_000 * draw(st.integers(0, 6)))


@given(_worlds())
def test_the_choice_is_the_cheapest_that_nothing_speaks_against(
    world: tuple[State, TargetEntry, Policy, Resources],
) -> None:
    state, target, policy, requests = world
    told = explain_all(state, policy, requests, target)
    choice = ranked(state, policy, a_pod(requests=requests), target)
    assert sorted(one.offering.key for one in told) == sorted(one.key for one in target.offerings)
    best = [one for one in told if one.rank is not None]
    assert (choice.offering is None) == (not best)
    if choice.offering is not None:
        assert best[0].offering is choice.offering
        assert choice.price_micro_usd_per_hour == min(one.price_micro_usd_per_hour or 0 for one in best)
    for one in best:
        offering = one.offering
        assert not offering.restricted
        assert offering.tee == "TDX"
        assert requests.fits_in(offering.resources)
        assert price_of(target.target, offering) is not None
        assert capacity.refusal_of(state, offering) is None
        assert offering.spot <= (policy.placement.strategy == "Machine" and policy.placement.spot != "Never")
        needed = offering.resources.cpu_millicores // 1_000
        assert one.free_family_vcpus is None or one.free_family_vcpus >= needed
        assert one.free_region_vcpus is None or one.free_region_vcpus >= needed


@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.integers(0, 50), st.booleans(), st.sampled_from(["", "1", "2"])), max_size=12
    ),
    st.integers(0, 50),
)
def test_no_refusal_makes_another_one_forgotten(refusals: list[tuple[int, int, bool, str]], later_ms: int) -> None:
    """Each refusal alone would leave a size alone until some time: so long it is left alone whatever else was refused, in any order."""
    every = [an_offering(n, zones=("1", "2")) for n in range(1, 9)]
    state, alone = State(now_ms=T0), [State(now_ms=T0) for _ in refusals]
    for (vcpus, rest_ms, family, zone), single in zip(refusals, alone, strict=True):
        for one in (state, single):
            capacity.remember(one, an_offering(vcpus, zones=("1", "2")), T0 + rest_ms, NO, family=family, zone=zone)
    for one in (state, *alone):
        one.now_ms = T0 + later_ms
    for offering in every:
        ends = [found[0] for single in alone if (found := capacity.refusal_of(single, offering)) is not None]
        found = capacity.refusal_of(state, offering)
        if ends:
            assert found is not None
            assert found[0] >= max(ends)
        capacity.forget_old(state)
        assert capacity.refusal_of(state, offering) == found
    left = set(capacity.open_zones(state, every[-1]))
    assert all(left <= set(capacity.open_zones(single, every[-1])) for single in alone)


@pytest.mark.parametrize("count", [1, 2, 50])
def test_many_equal_ones_are_all_told_in_a_fixed_order(count: int) -> None:
    offerings = tuple(sized(f"s{n:03d}", price_micro_usd_per_hour=5) for n in reversed(range(count)))
    state, target = a_world(*offerings)
    told = [one.offering.size for one in explain_all(state, None, WANTED, target)]
    assert told == sorted(told)
