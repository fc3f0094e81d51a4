"""How much of a scope one provider may have, and the borders of every limit of number."""

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.engine.accounting.room import for_one_more, for_share, for_vcpus
from burster.engine.accounting.scopes import Scope
from burster.engine.answers import Refusal
from burster.model import stimuli as s
from burster.model.limits import LaunchRate, Limits
from burster.model.policies import Placement
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


def a_scope(azure: int = 0, onprem: int = 0, **limits: Any) -> Scope:
    scope = Scope(kind="Target", key="azure", vcpus=azure + onprem)
    scope.vcpus_by_provider = {"azure": azure, "onprem": onprem}
    scope.take(Limits(**limits))
    return scope


@pytest.mark.parametrize(
    ("azure", "onprem", "share", "want"),
    [
        pytest.param(0, 0, 60, True, id="the very first may go anywhere"),
        pytest.param(0, 0, 1, True, id="also where the share is small"),
        pytest.param(0, 0, 0, False, id="but not where there is none"),
        pytest.param(0, 9, 0, False, id="however much others have"),
        pytest.param(4, 0, 60, False, id="all of it, so the next one goes elsewhere"),
        pytest.param(4, 0, 99, False, id="all of it is more than almost all"),
        pytest.param(4, 0, 100, True, id="all is allowed"),
        pytest.param(4, 4, 60, True, id="a half"),
        pytest.param(6, 4, 60, True, id="just its share: one burst more, and then none"),
        pytest.param(601, 399, 60, False, id="a tenth of a percent above"),
        pytest.param(599, 401, 60, True, id="a tenth of a percent below"),
        pytest.param(5, 5, 50, True, id="in balance somebody has to go on"),
    ],
)
def test_a_provider_may_go_on_while_it_has_no_more_than_its_share(
    azure: int, onprem: int, share: int, *, want: bool
) -> None:
    scope = a_scope(azure, onprem, provider_shares={"azure": share})
    refusal = for_share([scope], "azure")
    assert (refusal is None) is want
    if refusal is not None:
        total = azure + onprem
        assert refusal.reason.code == "TargetProviderShare"
        assert refusal.reason.sentence == (
            f"{azure} of {total} vCPUs of target azure are at azure, which may have {share} % of them."
        )
        assert refusal.reason.numbers == {"provider_vcpus": azure, "all_vcpus": total, "max_percent": share}
        assert (refusal.verdict, refusal.whole_policy, refusal.again_at_ms) == ("Wait", False, None)


def test_a_provider_without_a_share_is_free_and_every_scope_is_asked() -> None:
    tight, free = a_scope(4, 0, provider_shares={"azure": 50}), a_scope(4, 0)
    assert for_share([free, free], "azure") is None
    assert for_share([free, tight], "azure") is not None
    assert for_share([tight], "onprem") is None


@given(
    st.lists(st.integers(0, 100), min_size=2, max_size=4),
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 96)), max_size=40),
)
def test_small_steps_get_nobody_further_and_somebody_can_always_go_on(
    shares: list[int], wishes: list[tuple[int, int]]
) -> None:
    names = [f"p{number}" for number in range(len(shares))]
    scope = Scope(kind="Cluster", key="")
    scope.take(Limits(provider_shares=dict(zip(names, shares, strict=True))))
    largest = 0
    for number, vcpus in wishes:
        name = names[number % len(names)]
        if sum(shares) >= 100:
            assert any(for_share([scope], each) is None for each in names), "never stuck"
        if for_share([scope], name) is not None:
            continue
        scope.vcpus += vcpus
        scope.vcpus_by_provider[name] = scope.vcpus_by_provider.get(name, 0) + vcpus
        largest = max(largest, vcpus)
        for each, share in zip(names, shares, strict=True):
            there = scope.vcpus_by_provider.get(each, 0)
            assert there * 100 <= share * scope.vcpus + 100 * largest, "above its share by less than one burst"
            assert share or not there


def test_shares_are_kept_by_falling_through_to_the_next_target() -> None:
    engine = Engine()
    placement = Placement(targets=("azure", "frankfurt"))
    shares = Limits(provider_shares={"azure": 60})
    engine.sync(
        s.PolicySeen(policy=a_policy(placement=placement, limits=shares)),
        s.TargetSeen(target=a_target()),
        s.TargetSeen(target=a_target(name="frankfurt", provider="sovereign")),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.OfferingsSeen(target="frankfurt", offerings=(an_offering(2, target="frankfurt", provider="sovereign"),)),
    )
    engine.send(*(s.PodSeen(pod=a_pod(f"task-{number}")) for number in range(10)))
    order = [one.burst.spec.target for one in engine.asked("RecordBurst")]
    assert order[:5] == ["azure", "frankfurt", "azure", "frankfurt", "azure"]
    assert engine.state.policies["bank/tasks"].scope.vcpus_by_provider == {"azure": 12, "sovereign": 8}


def test_a_share_in_the_cluster_is_asked_for_again_when_another_policy_has_evened_it_out() -> None:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.PolicySeen(policy=a_policy("other", namespace="shop", placement=Placement(targets=("frankfurt",)))),
        s.TargetSeen(target=a_target()),
        s.TargetSeen(target=a_target(name="frankfurt", provider="sovereign", allowed_namespaces=("shop",))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.OfferingsSeen(target="frankfurt", offerings=(an_offering(2, target="frankfurt", provider="sovereign"),)),
        s.ClusterLimitsSeen(limits=Limits(provider_shares={"azure": 50})),
    )
    engine.send(s.PodSeen(pod=a_pod("task-1")), s.PodSeen(pod=a_pod("task-2")))
    assert engine.codes("bank/task-2") == ["ClusterProviderShare"]
    engine.send(s.PodSeen(pod=a_pod("shop-1", namespace="shop")))
    engine.send()
    assert engine.codes("bank/task-2")[-1] == "Pending"


@pytest.mark.parametrize(("limit", "active", "want"), [(None, 10**6, True), (0, 0, False), (3, 2, True), (3, 3, False)])
def test_one_more_is_one_more(limit: int | None, active: int, *, want: bool) -> None:
    scope = a_scope(max_bursts=limit)
    scope.active = active
    refusal = for_one_more(scope, 0)
    assert (refusal is None) is want
    if refusal is not None:
        assert (refusal.verdict, refusal.whole_policy, refusal.again_at_ms) == ("Wait", True, None)


@pytest.mark.parametrize(
    ("limit", "used", "wanted", "want"), [(None, 10**6, 1, True), (8, 6, 2, True), (8, 7, 2, False)]
)
def test_vcpus_up_to_the_limit(limit: int | None, used: int, wanted: int, *, want: bool) -> None:
    scope = a_scope(used, max_vcpus=limit)
    refusal = for_vcpus([a_scope(), scope], wanted)
    assert (refusal is None) is want
    if refusal is not None:
        assert (refusal.verdict, refusal.whole_policy, refusal.again_at_ms) == ("Wait", False, None)


def rate_refusal(launches: list[int], now: int, count: int = 3, per_ms: int = 100) -> Refusal | None:
    scope = a_scope(launch_rate=LaunchRate(count=count, per_ms=per_ms))
    for at in launches:
        scope.launched(at)
    return for_one_more(scope, now)


@pytest.mark.parametrize(
    ("launches", "now", "want_again"),
    [
        pytest.param([], 0, None, id="none yet"),
        pytest.param([0, 0], 0, None, id="one is left"),
        pytest.param([0, 0, 0], 0, 100, id="none is left"),
        pytest.param([0, 0, 0], 99, 100, id="not yet"),
        pytest.param([0, 0, 0], 100, None, id="the time is over"),
        pytest.param([0, 10, 20], 99, 100, id="the oldest counts"),
        pytest.param([20, 0, 10], 99, 100, id="whatever the order they were told in"),
        pytest.param([0, 10, 20, 30], 105, 110, id="the oldest of the latest three"),
        pytest.param([30, 20, 10, 0], 109, 110, id="also when an older one is told last"),
        pytest.param([0, 10, 20, 30], 110, None, id="and then it is free"),
    ],
)
def test_no_more_than_so_many_in_any_such_time(launches: list[int], now: int, want_again: int | None) -> None:
    refusal = rate_refusal(launches, now)
    assert (None if refusal is None else refusal.again_at_ms) == want_again
    if refusal is not None:
        assert (refusal.verdict, refusal.whole_policy) == ("Wait", True)


@given(st.integers(0, 4), st.integers(1, 50), st.lists(st.integers(0, 20), max_size=60))
def test_any_window_of_time_holds_no_more_launches_than_the_rate(count: int, per_ms: int, gaps: list[int]) -> None:
    scope = a_scope(launch_rate=LaunchRate(count=count, per_ms=per_ms))
    now, made = 0, list[int]()
    for gap in gaps:
        now += gap
        if for_one_more(scope, now) is None:
            scope.launched(now)
            made.append(now)
        assert len(scope.launches) <= count
    assert all(sum(start <= at < start + per_ms for at in made) <= count for start in made)


def test_a_scope_without_a_rate_remembers_no_launches() -> None:
    scope = a_scope()
    scope.launched(5)
    assert scope.launches == []


@pytest.mark.parametrize(
    ("kind", "key", "want"),
    [
        ("Policy", "bank/tasks", "policy tasks"),
        ("Namespace", "azure/bank", "namespace bank at target azure"),
        ("Target", "azure", "target azure"),
        ("Cluster", "", "the cluster"),
    ],
)
def test_what_people_call_a_scope(kind: Any, key: str, want: str) -> None:
    assert Scope(kind=kind, key=key).called == want


def test_each_code_has_words_for_what_would_change_it() -> None:
    from burster.model.decisions import Decision, Reason
    from burster.surfaces.words import what_would_change

    codes = [
        f"{kind}{what}"
        for kind, what in product(
            ("Policy", "Namespace", "Target", "Cluster"),
            ("MaxBursts", "MaxVcpus", "LaunchRate", "ProviderShare", "Budget"),
        )
    ]
    for code in (*codes, "RenewalsFirst", "BudgetStop", "BudgetDrain"):
        decision = Decision(at_ms=0, verdict="Wait", reasons=(Reason(code=code, sentence=""),))
        assert what_would_change(decision) != "Time, or room that frees up."
