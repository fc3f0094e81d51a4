"""Offerings that are strange, many, equal or contradictory: the choice is always what looking at every one would give."""

import random
from typing import Any

import pytest

from burster.engine.offers.capacity import refusal_of, remember
from burster.engine.offers.offer_index import place_of, price_of, quota_keys
from burster.engine.offers.offerings import crowded_places, ranked
from burster.engine.state import State, TargetEntry
from burster.model import stimuli as s
from burster.model.decisions import Reason
from burster.model.offerings import Offering, Quota
from burster.model.pods import Pod, Resources
from burster.model.policies import Placement, Policy, Spread
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_target, an_offering


HUGE = 2**63 - 1
NO = Reason(code="AllocationFailed", sentence="No.")


def a_world(policy: Policy, offerings: tuple[Offering, ...], **target: Any) -> State:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy),
        s.TargetSeen(target=a_target(**{"sizes": (), **target})),
        s.OfferingsSeen(target="azure", offerings=offerings),
    )
    return engine.state


def choose(state: State, policy: Policy, pod: Pod) -> str:
    choice = ranked(state, policy, pod, state.targets["azure"])
    return choice.offering.size if choice.offering else choice.reason.code


@pytest.mark.parametrize(
    ("offerings", "want"),
    [
        pytest.param(
            (
                an_offering(2, size="a", price_micro_usd_per_hour=0),
                an_offering(2, size="b", price_micro_usd_per_hour=1),
            ),
            "a",
            id="for nothing",
        ),
        pytest.param(
            (
                an_offering(2, size="a", price_micro_usd_per_hour=HUGE),
                an_offering(4, size="b", price_micro_usd_per_hour=HUGE - 1),
            ),
            "b",
            id="huge prices stay exact",
        ),
        pytest.param((an_offering(2, size="a", resources=Resources()),), "NoSizeFits", id="a size that has nothing"),
        pytest.param((an_offering(2, size="x"),) * 3, "x", id="the same three times"),
        pytest.param((an_offering(2, size=""),), "", id="a size without a name"),
        pytest.param(
            (an_offering(2, size="Straße"), an_offering(2, size="strasse")), "Straße", id="names that fold to one"
        ),
        pytest.param(
            tuple(an_offering(2, size=f"s{n:04d}") for n in reversed(range(1_000))), "s0000", id="a thousand equals"
        ),
        pytest.param((), "NoOfferings", id="none"),
    ],
)
def test_strange_offerings(offerings: tuple[Offering, ...], want: str):
    policy = a_policy()
    assert choose(a_world(policy, offerings), policy, a_pod()) == want


def test_a_pod_that_asks_for_nothing_gets_the_cheapest_and_one_for_everything_none():
    policy = a_policy()
    state = a_world(policy, (an_offering(2), an_offering(4)))
    assert choose(state, policy, a_pod(requests=Resources())) == "Standard_DC2es_v6"
    everything = Resources(cpu_millicores=HUGE, memory_bytes=HUGE, gpus=HUGE, devices=(("x/npu", HUGE),))
    assert choose(state, policy, a_pod(requests=everything)) == "NoSizeFits"


def test_a_quota_that_is_negative_or_overdrawn_allows_nothing():
    policy = a_policy()
    state = a_world(policy, (an_offering(2),))
    for used, limit in ((0, -1), (HUGE, 0), (0, 1)):
        key = quota_keys("westeurope", "standardDCEV6Family")[0]
        state.targets["azure"].quotas = {key: Quota(region="", family="", used_vcpus=used, limit_vcpus=limit)}
        assert choose(state, policy, a_pod()) == "QuotaExhausted"


def test_a_clock_that_stands_still_never_ends_a_refusal_and_one_that_jumps_does():
    policy = a_policy()
    state = a_world(policy, (an_offering(2),))
    remember(state, an_offering(2), T0 + 1, NO)
    assert [choose(state, policy, a_pod()) for _ in range(3)] == ["CapacityRefused"] * 3
    state.now_ms = T0 + 10**12
    assert choose(state, policy, a_pod()) == "Standard_DC2es_v6"


def test_a_refusal_in_the_past_means_nothing():
    policy = a_policy()
    state = a_world(policy, (an_offering(2),))
    for until in (0, -1, T0):
        remember(state, an_offering(2), until, NO)
        assert choose(state, policy, a_pod()) == "Standard_DC2es_v6"


def _random_offering(rng: random.Random, number: int) -> Offering:
    vcpus = rng.choice([2, 4, 8])
    return an_offering(
        vcpus,
        size=f"s{number}",
        family=rng.choice("FG"),
        region=rng.choice(["westeurope", "WestEurope", "westeurope", "northeurope"]),
        tee=rng.choice(["TDX", "TDX", "TDX", "SNP", "None"]),
        price_micro_usd_per_hour=rng.choice([None, 0, 5, 5, 7]),
        restricted=rng.choice(["", "", "", "no"]),
        spot=rng.random() < 0.1,
        zones=rng.choice([(), ("1",), ("1", "2")]),
        resources=Resources(
            cpu_millicores=vcpus * 1000,
            memory_bytes=rng.choice([1, 2]) * vcpus * GIB,
            gpus=rng.choice([0, 0, 1]),
            devices=rng.choice([(), (("x/npu", 2),)]),
        ),
    )


def _by_looking_at_every_one(state: State, policy: Policy, pod: Pod, target: TargetEntry) -> str:
    """The choice by the book: no index, no order but the rank."""
    rules, spread = target.target, policy.placement.spread
    crowded = crowded_places(state, policy)
    found: list[tuple[Any, ...]] = []
    for one in target.offerings:
        price = price_of(rules, one)
        refused = (
            (policy.placement.sizes and one.size not in policy.placement.sizes)
            or one.region.lower() != rules.region
            or one.tee == "None"
            or one.tee not in policy.confidential.tees
            or one.tee not in rules.tees
            or one.spot
            or policy.placement.spot == "Only"
            or not pod.requests.fits_in(one.resources)
            or one.restricted
            or price is None
            or refusal_of(state, one)
        )
        vcpus = one.resources.cpu_millicores // 1000
        for key in quota_keys(one.region, one.family):
            row = target.quotas.get(key)
            refused = refused or (row and row.used_vcpus + target.launched.get(key, 0) + vcpus > row.limit_vcpus)
        uneven = spread is not None and place_of(spread.by, one) in crowded
        if not refused and not (uneven and spread is not None and spread.required):
            found.append((uneven, price, one.resources.cpu_millicores, one.resources.memory_bytes, one.size))
    return min(found)[-1] if found else ""


@pytest.mark.parametrize("seed", range(150))
def test_any_world(seed: int):
    rng = random.Random(seed)
    offerings = tuple(_random_offering(rng, number) for number in range(rng.randrange(1, 30)))
    by: Any = rng.choice(["region", "zone", "family", "target"])
    spread = rng.choice([None, Spread(by=by, max_skew=rng.choice([1, 2]), required=rng.random() < 0.5)])
    sizes = rng.choice([(), tuple(f"s{number}" for number in range(0, 30, 2))])
    spot: Any = rng.choice(["Never", "Never", "Prefer", "Only"])
    policy = a_policy(placement=Placement(targets=("azure",), sizes=sizes, spot=spot, spread=spread))
    negotiated = {f"s{n}": rng.choice([0, 6]) for n in range(30) if rng.random() < 0.2}
    state = a_world(
        policy,
        offerings,
        tees=rng.choice([("TDX",), ("TDX", "SNP")]),
        negotiated_micro_usd_per_hour=negotiated,
        discount_milli_percent=rng.choice([0, 33_333]),
        assumed_price_micro_usd_per_hour=rng.choice([None, 4]),
    )
    target = state.targets["azure"]
    for one in offerings:
        if rng.random() < 0.15:
            remember(state, one, T0 + rng.choice([0, 1]), NO, zone=rng.choice(["", "1"]), family=rng.random() < 0.5)
        if rng.random() < 0.2:
            state.policies[policy.key].count_at(("azure", one.region, one.size), rng.randrange(1, 4))
    if rng.random() < 0.5:
        key = quota_keys("westeurope", rng.choice(["F", "cores"]))[0]
        target.quotas = {key: Quota(region="", family="", used_vcpus=rng.randrange(10), limit_vcpus=10)}
        target.launched = {key: rng.randrange(3)}
    for _ in range(10):
        wanted = Resources(
            cpu_millicores=rng.choice([0, 2000, 2001, 8000]),
            memory_bytes=rng.choice([0, 2 * GIB, 16 * GIB]),
            gpus=rng.choice([0, 0, 1]),
            devices=rng.choice([(), (), (("x/npu", 2),), (("x/npu", 3),)]),
        )
        pod = a_pod(requests=wanted)
        choice = ranked(state, policy, pod, target)
        want = _by_looking_at_every_one(state, policy, pod, target)
        assert (choice.offering.size if choice.offering else "") == want
        if choice.offering:
            assert choice.price_micro_usd_per_hour == price_of(target.target, choice.offering)
        else:
            assert choice.reason.code
            assert choice.reason.sentence
