"""Which offering a pod gets: price per fit, and everything that may stand against one; exactly at the borders."""

from typing import Any

import pytest

from burster.engine.offers.capacity import forget_old, refusal_of, remember, thaws_at_ms
from burster.engine.offers.offer_index import OfferIndex, join_offerings, narrowing_of, place_of, price_of, quota_keys
from burster.engine.offers.offerings import (
    could_hold,
    crowded_places,
    family_of,
    index_of,
    ranked,
    targets_in_order,
    why_none_holds,
)
from burster.engine.offers.placement import choose_strategy, why_strategy
from burster.engine.state import State
from burster.model import stimuli as s
from burster.model.decisions import Reason
from burster.model.offerings import Offering, Quota
from burster.model.pods import Owner, Resources
from burster.model.policies import Placement, Policy, Spread
from burster.model.targets import Target
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


REFUSED = Reason(code="AllocationFailed", sentence="westeurope refused it lately.")


def a_world(
    *offerings: Offering, policy: dict[str, Any] | None = None, targets: tuple[Target, ...] = ()
) -> tuple[State, Policy]:
    engine = Engine()
    rules = a_policy(**(policy or {}))
    every = targets or (a_target(sizes=()),)
    engine.sync(
        s.PolicySeen(policy=rules),
        *(s.TargetSeen(target=one) for one in every),
        *(
            s.OfferingsSeen(target=one.name, offerings=tuple(o for o in offerings if o.target == one.name))
            for one in every
        ),
    )
    return engine.state, rules


def chosen(state: State, policy: Policy, pod: Any = None, target: str = "azure") -> str:
    """The size, or the code of what stands against all."""
    choice = ranked(state, policy, pod or a_pod(), state.targets[target])
    return choice.offering.size if choice.offering else choice.reason.code


def sized(size: str, **changes: Any) -> Offering:
    return an_offering(2, size=size, **changes)


@pytest.mark.parametrize(
    ("offerings", "want"),
    [
        pytest.param((sized("b", price_micro_usd_per_hour=2), sized("a", price_micro_usd_per_hour=3)), "b", id="price"),
        pytest.param(
            (
                sized("a", price_micro_usd_per_hour=2, resources=Resources(cpu_millicores=4000, memory_bytes=GIB)),
                sized("b", price_micro_usd_per_hour=2, resources=Resources(cpu_millicores=2000, memory_bytes=8 * GIB)),
            ),
            "b",
            id="then fewer vCPUs",
        ),
        pytest.param(
            (
                sized("a", price_micro_usd_per_hour=2, resources=Resources(cpu_millicores=2000, memory_bytes=8 * GIB)),
                sized("b", price_micro_usd_per_hour=2, resources=Resources(cpu_millicores=2000, memory_bytes=4 * GIB)),
            ),
            "b",
            id="then less memory",
        ),
        pytest.param((sized("b"), sized("a")), "a", id="then the name"),
    ],
)
def test_ties_are_broken_the_same_way_in_any_order(offerings: tuple[Offering, ...], want: str):
    for listed in (offerings, tuple(reversed(offerings))):
        assert chosen(*a_world(*listed)) == want


def test_the_choice_names_the_price_and_says_why():
    state, policy = a_world(sized("a"))
    choice = ranked(state, policy, a_pod(), state.targets["azure"])
    assert choice.price_micro_usd_per_hour == 120_000
    assert (choice.reason.code, choice.reason.sentence) == ("Cheapest", "a is the cheapest size that fits.")
    assert (choice.waits, choice.again_at_ms) == (False, None)


@pytest.mark.parametrize(
    ("price", "target", "want"),
    [
        pytest.param(100, {}, 100, id="the list price"),
        pytest.param(100, {"discount_milli_percent": 12_500}, 88, id="less the discount, rounded up"),
        pytest.param(1000, {"discount_milli_percent": 12_500}, 875, id="exactly"),
        pytest.param(100, {"discount_milli_percent": 100_000}, 0, id="all of it"),
        pytest.param(1, {"discount_milli_percent": 1}, 1, id="never less than it costs"),
        pytest.param(0, {"discount_milli_percent": 50_000}, 0, id="nothing off nothing"),
        pytest.param(100, {"negotiated_micro_usd_per_hour": {"a": 7}}, 7, id="a negotiated price wins"),
        pytest.param(
            100,
            {"negotiated_micro_usd_per_hour": {"a": 7}, "discount_milli_percent": 50_000},
            7,
            id="and is not discounted",
        ),
        pytest.param(100, {"negotiated_micro_usd_per_hour": {"A": 7}}, 7, id="names in another case"),
        pytest.param(100, {"negotiated_micro_usd_per_hour": {"a": 0}}, 0, id="negotiated to nothing"),
        pytest.param(100, {"negotiated_micro_usd_per_hour": {"b": 7}}, 100, id="another size's"),
        pytest.param(100, {"assumed_price_micro_usd_per_hour": 9}, 100, id="known is not assumed"),
        pytest.param(None, {"assumed_price_micro_usd_per_hour": 9}, 9, id="assumed where unknown"),
        pytest.param(
            None, {"assumed_price_micro_usd_per_hour": 9, "discount_milli_percent": 50_000}, 9, id="and not discounted"
        ),
        pytest.param(
            None, {"assumed_price_micro_usd_per_hour": 9, "negotiated_micro_usd_per_hour": {"a": 7}}, 7, id="agreed"
        ),
        pytest.param(None, {}, None, id="unknown"),
    ],
)
def test_prices(price: int | None, target: dict[str, Any], want: int | None):
    assert price_of(a_target(**target), sized("a", price_micro_usd_per_hour=price)) == want


def test_the_cheapest_by_the_negotiated_price_is_chosen_and_reserved():
    target = a_target(sizes=(), negotiated_micro_usd_per_hour={"big": 5})
    state, policy = a_world(
        sized("small", price_micro_usd_per_hour=6), sized("big", price_micro_usd_per_hour=60), targets=(target,)
    )
    choice = ranked(state, policy, a_pod(), state.targets["azure"])
    assert (choice.offering and choice.offering.size, choice.price_micro_usd_per_hour) == ("big", 5)


@pytest.mark.parametrize(
    ("offering", "rules", "target", "want", "waits"),
    [
        pytest.param(sized("a"), {"sizes": ("A",)}, {}, "a", None, id="sizes in another case"),
        pytest.param(sized("a"), {"sizes": ("b",)}, {}, "NoSizeAllowed", False, id="the policy's sizes"),
        pytest.param(sized("a"), {}, {"sizes": ("b",)}, "NoSizeAllowed", False, id="the target's sizes"),
        pytest.param(sized("a", region="WestEurope"), {}, {}, "a", None, id="a region in another case"),
        pytest.param(sized("a", region="northeurope"), {}, {}, "NotInRegion", False, id="another region"),
        pytest.param(sized("a", tee="SNP"), {}, {}, "TeeNotOffered", False, id="another TEE"),
        pytest.param(
            sized("a", tee="SNP"), {}, {"tees": ("SNP",)}, "TeeNotOffered", False, id="only the target has it"
        ),
        pytest.param(sized("a", tee="None"), {}, {"tees": ("None",)}, "TeeNotOffered", False, id="no TEE is never one"),
        pytest.param(sized("a", restricted="quota"), {}, {}, "SizeRestricted", False, id="restricted"),
        pytest.param(sized("a", price_micro_usd_per_hour=None), {}, {}, "PriceUnknown", False, id="no price"),
        pytest.param(sized("a", spot=True), {}, {}, "SpotNotAllowed", False, id="spot, which nobody wants"),
        pytest.param(
            sized("a", spot=True), {"spot": "Prefer"}, {}, "SpotNotPossible", False, id="spot, which can't be"
        ),
        pytest.param(sized("a"), {"spot": "Prefer"}, {}, "a", None, id="on demand, where spot was preferred"),
        pytest.param(
            sized("a"), {"spot": "Only"}, {}, "SpotNotPossible", False, id="on demand, where only spot may be"
        ),
        pytest.param(sized("a", spot=True), {"spot": "Only"}, {}, "SpotNotPossible", False, id="spot for a peer pod"),
    ],
)
def test_what_may_stand_against_an_offering(
    offering: Offering, rules: dict[str, Any], target: dict[str, Any], want: str, waits: bool | None
):
    placement = Placement(targets=("azure",), **rules)
    state, policy = a_world(offering, policy={"placement": placement}, targets=(a_target(**{"sizes": (), **target}),))
    assert chosen(state, policy) == want
    if waits is not None:
        choice = ranked(state, policy, a_pod(), state.targets["azure"])
        assert (choice.offering, choice.price_micro_usd_per_hour, choice.waits, choice.again_at_ms) == (
            None,
            0,
            waits,
            None,
        )


@pytest.mark.parametrize(
    ("wanted", "want"),
    [
        pytest.param(Resources(cpu_millicores=2000, memory_bytes=8 * GIB, gpus=1), "a", id="exactly what there is"),
        pytest.param(Resources(cpu_millicores=2001), "NoSizeFits", id="a millicore more"),
        pytest.param(Resources(memory_bytes=8 * GIB + 1), "NoSizeFits", id="a byte more"),
        pytest.param(Resources(gpus=2), "NoSizeFits", id="a GPU more"),
        pytest.param(Resources(devices=(("x/npu", 2),)), "a", id="devices by name"),
        pytest.param(Resources(devices=(("x/npu", 3),)), "NoSizeFits", id="a device more"),
        pytest.param(Resources(devices=(("x/fpga", 1),)), "NoSizeFits", id="a device that is not there"),
    ],
)
def test_fits_at_their_borders(wanted: Resources, want: str):
    has = Resources(cpu_millicores=2000, memory_bytes=8 * GIB, gpus=1, devices=(("x/npu", 2),))
    assert chosen(*a_world(sized("a", resources=has)), a_pod(requests=wanted)) == want


def test_what_a_pod_asked_for_is_told_by_name():
    state, policy = a_world(sized("a"))
    wanted = Resources(cpu_millicores=500, memory_bytes=GIB, gpus=1, devices=(("x/npu", 3),))
    reason = ranked(state, policy, a_pod(requests=wanted), state.targets["azure"]).reason
    assert reason.sentence == "No allowed confidential size at azure has 500m cpu and 1Gi memory and 1 GPU and 3 x/npu."
    assert reason.numbers == {"cpu_millicores": 500, "memory_bytes": GIB, "gpus": 1, "x/npu": 3}


def test_of_several_objections_the_one_that_came_furthest_is_told():
    big = {"resources": Resources(cpu_millicores=64_000, memory_bytes=GIB)}
    listed = (
        sized("a"),
        sized("b", tee="SNP", **big),
        sized("c", restricted="no", **big),
        sized("d", price_micro_usd_per_hour=None, **big),
    )
    large = a_pod(cpu=32_000)
    wants = ("PriceUnknown", "SizeRestricted", "NoSizeFits", "NoSizeFits")
    for left, want in zip((listed, listed[:3], listed[:2], listed[:1]), wants, strict=True):
        assert chosen(*a_world(*left), large) == want
    assert chosen(*a_world(listed[1]), large) == "TeeNotOffered"
    assert chosen(*a_world()) == "NoOfferings"


@pytest.mark.parametrize(
    ("used", "launched", "want"),
    [(8, 0, "a"), (9, 0, "QuotaExhausted"), (6, 2, "a"), (6, 3, "QuotaExhausted")],
)
def test_quota_counts_what_was_launched_since(used: int, launched: int, want: str):
    state, policy = a_world(sized("a", family="F"))
    target = state.targets["azure"]
    family, _ = quota_keys("westeurope", "F")
    target.quotas = {family: Quota(region="westeurope", family="F", used_vcpus=used, limit_vcpus=10)}
    target.launched = {family: launched}
    assert chosen(state, policy) == want
    choice = ranked(state, policy, a_pod(), target)
    assert choice.waits == (want == "QuotaExhausted")


def test_the_next_cheapest_goes_where_the_first_has_no_quota():
    state, policy = a_world(sized("a", family="F"), sized("b", family="G", price_micro_usd_per_hour=10**9))
    target = state.targets["azure"]
    target.quotas = {("westeurope", "f"): Quota(region="westeurope", family="F", used_vcpus=0, limit_vcpus=1)}
    assert chosen(state, policy) == "b"


# --- what the cloud refused lately


@pytest.mark.parametrize(("after_ms", "want"), [(999, "CapacityRefused"), (1000, "a")])
def test_a_refused_size_is_left_alone_until_exactly_then(after_ms: int, want: str):
    state, policy = a_world(sized("a"))
    remember(state, sized("a"), T0 + 1000, REFUSED)
    state.now_ms = T0 + after_ms
    assert chosen(state, policy) == want
    choice = ranked(state, policy, a_pod(), state.targets["azure"])
    if want == "CapacityRefused":
        assert choice.reason.sentence == "westeurope refused it lately. It is tried again in 1ms."
        assert (choice.waits, choice.again_at_ms) == (True, T0 + 1000)


@pytest.mark.parametrize(
    ("vcpus", "changes", "want"),
    [
        pytest.param(2, {}, False, id="a smaller one of the family"),
        pytest.param(4, {}, True, id="one as large"),
        pytest.param(8, {}, True, id="a larger one"),
        pytest.param(8, {"family": "STANDARDdcev6Family"}, True, id="the family in another case"),
        pytest.param(8, {"family": "other"}, False, id="another family"),
        pytest.param(8, {"region": "WESTEUROPE"}, True, id="the region in another case"),
        pytest.param(8, {"region": "northeurope"}, False, id="another region"),
        pytest.param(8, {"target": "other"}, False, id="another target"),
    ],
)
def test_a_refusal_blocks_the_family_from_that_size_on(vcpus: int, changes: dict[str, Any], want: bool):
    state = State(now_ms=T0)
    remember(state, an_offering(4), T0 + 1000, REFUSED)
    other = an_offering(vcpus, **{"size": "other", **changes})
    assert (refusal_of(state, other) is not None) is want


def test_a_size_may_be_refused_without_its_family():
    state = State(now_ms=T0)
    remember(state, an_offering(4), T0 + 1000, REFUSED, family=False)
    assert refusal_of(state, an_offering(4)) == (T0 + 1000, REFUSED)
    assert refusal_of(state, an_offering(8)) is None
    assert not state.family_blocks


def test_a_size_without_a_family_blocks_no_other():
    state = State(now_ms=T0)
    remember(state, an_offering(4, family=""), T0 + 1000, REFUSED)
    assert refusal_of(state, an_offering(8, family="")) is None


def test_in_a_zone_only_what_has_no_other_zone_is_left_alone():
    state = State(now_ms=T0)
    two, one = an_offering(4, zones=("1", "2")), an_offering(4, zones=("1",), size="b")
    remember(state, two, T0 + 1000, REFUSED, zone="1")
    assert refusal_of(state, two) is None
    assert refusal_of(state, one) == (T0 + 1000, REFUSED)
    remember(state, two, T0 + 500, REFUSED, zone="2")
    assert refusal_of(state, two) == (T0 + 500, REFUSED), "until the first of its zones may be asked again"
    remember(state, two, T0 + 700, REFUSED)
    assert refusal_of(state, two) == (T0 + 700, REFUSED), "the whole region lasts longer"
    remember(state, one, T0 + 100, REFUSED)
    assert refusal_of(state, one) == (T0 + 1000, REFUSED)


def test_of_two_refusals_the_longer_counts():
    other = Reason(code="SkuNotAvailable", sentence="Not here.")
    state = State(now_ms=T0)
    remember(state, an_offering(4), T0 + 1000, REFUSED)
    remember(state, an_offering(4), T0 + 500, other)
    assert refusal_of(state, an_offering(4)) == (T0 + 1000, REFUSED)
    remember(state, an_offering(4), T0 + 2000, other)
    assert refusal_of(state, an_offering(4)) == (T0 + 2000, other)
    assert refusal_of(state, an_offering(8)) == (T0 + 2000, other)
    remember(state, an_offering(2), T0 + 2000, REFUSED)
    assert refusal_of(state, an_offering(3)) == (T0 + 2000, REFUSED), "of two as long the one that reaches further"
    remember(state, an_offering(16), T0 + 2000, other)
    assert refusal_of(state, an_offering(3)) == (T0 + 2000, REFUSED)


def test_what_is_over_is_replaced_and_forgotten():
    state = State(now_ms=T0)
    remember(state, an_offering(2), T0 + 1000, REFUSED)
    assert thaws_at_ms(state) == T0 + 1000
    state.now_ms = T0 + 1000
    assert thaws_at_ms(state) is None
    remember(state, an_offering(8), T0 + 1001, REFUSED)
    assert refusal_of(state, an_offering(2)) is None
    assert refusal_of(state, an_offering(8)) == (T0 + 1001, REFUSED)
    assert thaws_at_ms(state) == T0 + 1001
    forget_old(state)
    assert list(state.cooling) == [an_offering(8).key]
    state.now_ms = T0 + 1001
    forget_old(state)
    assert (state.cooling, state.family_blocks) == ({}, {})


# --- the target's own catalogue


def test_a_declared_offering_wins_over_the_listed_one_of_its_key():
    declared = sized("A", price_micro_usd_per_hour=1)
    target = a_target(sizes=(), catalogue=(declared,))
    state, policy = a_world(
        sized("a", price_micro_usd_per_hour=5), sized("b", price_micro_usd_per_hour=2), targets=(target,)
    )
    assert [one.price_micro_usd_per_hour for one in state.targets["azure"].offerings] == [1, 2]
    assert chosen(state, policy) == "A"


def test_a_declared_offering_needs_no_cloud():
    state, policy = a_world(targets=(a_target(sizes=(), catalogue=(sized("a"),)),))
    assert chosen(state, policy) == "a"
    assert family_of(state.targets["azure"], "a") == "standardDCEV6Family"
    assert family_of(state.targets["azure"], "b") == ""


def test_a_catalogue_that_changes_is_looked_at_anew():
    state, policy = a_world(targets=(a_target(sizes=(), catalogue=(sized("a"),)),))
    entry = state.targets["azure"]
    before = index_of(entry, policy)
    assert index_of(entry, policy) is before
    assert index_of(entry, a_policy("other")) is before, "policies that narrow alike share an index"
    other = a_policy("third", placement=Placement(targets=("azure",), sizes=("a",)))
    assert index_of(entry, other) is not before
    engine = Engine()
    engine.state, engine.now = state, T0
    engine.send(s.TargetSeen(target=a_target(sizes=(), catalogue=(sized("b"),))))
    assert index_of(entry, policy) is not before
    assert chosen(state, policy) == "b"
    assert family_of(entry, "a") == ""


def test_without_a_catalogue_what_is_listed_is_what_there_is():
    listed = (sized("a"),)
    assert join_offerings(a_target(), listed) is listed


# --- spread


def placed(spread: Spread, **changes: Any) -> dict[str, Any]:
    return {"placement": Placement(targets=("azure", "north"), spread=spread, **changes)}


def two_regions(spread: Spread, running: dict[str, int]) -> tuple[State, Policy]:
    targets = (a_target(sizes=()), a_target(name="north", region="northeurope", sizes=()))
    offerings = (sized("a"), sized("a", target="north", region="northeurope", family="Other"))
    state, policy = a_world(*offerings, policy=placed(spread), targets=targets)
    entry = state.policies[policy.key]
    regions = {"azure": "westeurope", "north": "northeurope"}
    for target, count in running.items():
        entry.count_at((target, regions[target], "a"), count)
    return state, policy


@pytest.mark.parametrize("by", ["target", "region", "family"])
@pytest.mark.parametrize(
    ("running", "skew", "want"),
    [
        ({}, 1, "a"),
        ({"azure": 1}, 1, "SpreadTooUneven"),
        ({"azure": 1, "north": 1}, 1, "a"),
        ({"azure": 1}, 2, "a"),
        ({"azure": 2}, 2, "SpreadTooUneven"),
        ({"azure": 3, "north": 1}, 3, "a"),
        ({"azure": 4, "north": 1}, 3, "SpreadTooUneven"),
    ],
)
def test_a_required_spread_holds_at_its_border(by: Any, running: dict[str, int], skew: int, want: str):
    state, policy = two_regions(Spread(by=by, max_skew=skew, required=True), running)
    assert chosen(state, policy) == want
    assert chosen(state, policy, target="north") == "a"
    assert targets_in_order(state, policy) == ("azure", "north"), "a required one objects; the order stays the policy's"
    if want != "a":
        choice = ranked(state, policy, a_pod(), state.targets["azure"])
        assert (choice.waits, choice.again_at_ms) == (True, None)


@pytest.mark.parametrize(
    ("by", "running", "want"),
    [
        ("region", {}, ("azure", "north")),
        ("region", {"azure": 1}, ("north", "azure")),
        ("target", {"azure": 1}, ("north", "azure")),
        ("target", {"azure": 1, "north": 1}, ("azure", "north")),
        ("target", {"north": 1}, ("azure", "north")),
        ("family", {"azure": 1}, ("azure", "north")),
    ],
)
def test_a_wanted_spread_changes_the_order_and_forbids_nothing(by: Any, running: dict[str, int], want: tuple[str, ...]):
    state, policy = two_regions(Spread(by=by), running)
    assert targets_in_order(state, policy) == want
    assert chosen(state, policy) == chosen(state, policy, target="north") == "a"


def test_within_a_target_a_wanted_spread_ranks_before_the_price():
    state, policy = a_world(
        sized("a", family="F", price_micro_usd_per_hour=1),
        sized("b", family="G", price_micro_usd_per_hour=9),
        policy={"placement": Placement(targets=("azure",), spread=Spread(by="family"))},
    )
    entry = state.policies[policy.key]
    assert chosen(state, policy) == "a"
    entry.count_at(("azure", "westeurope", "a"), 1)
    assert chosen(state, policy) == "b"
    remember(state, sized("b", family="G"), state.now_ms + 1, REFUSED)
    assert chosen(state, policy) == "a", "rather uneven than not at all"


def test_a_zone_that_the_cloud_chooses_can_be_no_promise():
    state, policy = a_world(
        sized("a", zones=("1", "2")),
        policy={"placement": Placement(targets=("azure",), spread=Spread(by="zone", required=True))},
    )
    assert chosen(state, policy) == "SpreadTooUneven"
    wanted = a_policy(placement=Placement(targets=("azure",), spread=Spread(by="zone")))
    assert chosen(state, wanted) == "a"


def test_zones_that_are_known_are_counted():
    state, policy = a_world(
        sized("a", zones=("1",), price_micro_usd_per_hour=1),
        sized("b", zones=("2",)),
        policy={"placement": Placement(targets=("azure",), spread=Spread(by="zone", required=True))},
    )
    assert crowded_places(state, policy) == frozenset()
    state.policies[policy.key].count_at(("azure", "westeurope", "a"), 1)
    assert crowded_places(state, policy) == {"1"}
    assert chosen(state, policy) == "b"
    state.policies[policy.key].count_at(("azure", "westeurope", "a"), -1)
    assert state.policies[policy.key].places == {}
    assert chosen(state, policy) == "a"


def test_bursts_at_places_that_are_no_longer_offered_count_nowhere():
    state, policy = two_regions(Spread(by="region", required=True), {})
    state.policies[policy.key].count_at(("gone", "mars", "x"), 5)
    assert crowded_places(state, policy) == frozenset()


@pytest.mark.parametrize(
    ("by", "want"), [("target", "azure"), ("region", "westeurope"), ("family", "standarddcev6family"), ("zone", "2")]
)
def test_places(by: str, want: str):
    assert place_of(by, an_offering(2, region="WestEurope", zones=("2",))) == want


def test_without_a_spread_nothing_is_crowded():
    state, policy = a_world(sized("a"))
    assert crowded_places(state, policy) == frozenset()


# --- who could be held at all


def test_a_pod_that_only_time_keeps_out_could_be_held():
    state, policy = a_world(sized("a"))
    remember(state, sized("a"), T0 + 10**9, REFUSED)
    assert could_hold(state, policy, Resources(cpu_millicores=2000))
    assert not could_hold(state, policy, Resources(cpu_millicores=2001))
    choice = why_none_holds(state, policy, a_pod(cpu=2001))
    assert choice is not None
    assert choice.reason.code == "NoSizeFits"


def test_any_of_the_targets_is_enough_and_one_that_is_missing_is_none():
    small = sized("a")
    large = sized("b", target="north", region="northeurope", resources=Resources(cpu_millicores=9000, memory_bytes=GIB))
    targets = (a_target(sizes=()), a_target(name="north", region="northeurope", sizes=()))
    state, policy = a_world(
        small, large, policy={"placement": Placement(targets=("missing", "azure", "north"))}, targets=targets
    )
    assert could_hold(state, policy, Resources(cpu_millicores=9000))
    alone = a_policy(placement=Placement(targets=("missing",)))
    assert not could_hold(state, alone, Resources())
    assert why_none_holds(state, alone, a_pod()) is None


# --- the strategy


@pytest.mark.parametrize(
    ("strategy", "service", "want"),
    [
        ("Auto", True, "Clone"),
        ("Auto", False, "Move"),
        ("Clone", True, "Clone"),
        ("Clone", False, "CloneWouldRunTwice"),
        ("Move", False, "Move"),
        ("Move", True, "MoveNeedsWebhook"),
        ("Scale", True, "NoBurstsOfItsOwn"),
        ("Signal", False, "NoBurstsOfItsOwn"),
        ("Machine", False, "NoBurstsOfItsOwn"),
    ],
)
def test_the_strategy_for_a_pod(strategy: Any, service: bool, want: str):
    pod = a_service_pod("web") if service else a_pod()
    answer = choose_strategy(a_policy(strategy=strategy), pod)
    assert (answer.code if isinstance(answer, Reason) else answer) == want


def test_auto_says_which_and_why():
    job = Owner(api_version="batch/v1", kind="Job", name="sum", uid="u")
    assert why_strategy(a_policy(), a_service_pod("w"), "Clone") == (
        "Clone, because it is a Deployment's pod: a service may run here and there at once."
    )
    assert why_strategy(a_policy(), a_pod(), "Move") == (
        "Move, because it is a bare pod: finite work or an identity may run only once."
    )
    assert why_strategy(a_policy(), a_pod(workload=job), "Move").startswith("Move, because it is a Job's pod:")
    assert why_strategy(a_policy(strategy="Move"), a_pod(), "Move") == "Move, as the policy says."


def test_a_pods_requests_are_fitted_once():
    index = OfferIndex(a_target(sizes=()), (sized("a"), sized("b")), narrowing_of(a_policy()))
    asked = Resources(cpu_millicores=1)
    assert index.fit(asked) is index.fit(Resources(cpu_millicores=1))
    assert [row.offering.size for row in index.fit(asked).usable] == ["a", "b"]
    for number in range(3_000):
        index.fit(Resources(cpu_millicores=number))
    assert len(index._fits) <= 2_048
