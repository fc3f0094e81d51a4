"""Many starts in one step: the short cuts take the same decisions as asking everything anew, at every border."""

from collections.abc import Callable

import pytest

from burster.engine.accounting import budgets, room
from burster.engine.accounting.scopes import Scope
from burster.model import stimuli as s
from burster.model.limits import Budget, LaunchRate, Limits
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, an_offering


HOUR_MS = 3_600_000


def a_scope(outstanding: int = 0, **budget: int | str | None) -> Scope:
    scope = Scope(kind="Policy", key="bank/tasks")
    scope.take(Limits(budget=Budget(**budget)))  # pyright: ignore[reportArgumentType]
    scope.account.outstanding_micro_usd = outstanding
    return scope


@pytest.mark.parametrize(
    ("budget", "wanted", "calm"),
    [
        ({"per_hour_micro_usd": 1_000, "warn_percent": 80}, 799, True),
        ({"per_hour_micro_usd": 1_000, "warn_percent": 80}, 800, False),
        ({"per_hour_micro_usd": 1_000, "warn_percent": 90, "stop_percent": 70}, 699, True),
        ({"per_hour_micro_usd": 1_000, "warn_percent": 90, "stop_percent": 70}, 700, False),
        ({"per_hour_micro_usd": 1_001, "warn_percent": 50}, 500, True),
        ({"per_hour_micro_usd": 1_001, "warn_percent": 50}, 501, False),
        ({"per_hour_micro_usd": 9_000, "per_day_micro_usd": 1_000}, 800, False),
        ({"per_hour_micro_usd": 1_000, "drain_percent": 95}, 1, False),
        ({"per_hour_micro_usd": 0}, 0, False),
        ({}, 1, False),
    ],
)
def test_a_budget_is_calm_below_all_of_its_borders(budget: dict[str, int], wanted: int, calm: bool) -> None:
    assert a_scope(**budget).is_calm(wanted, T0) is calm


def test_what_is_claimed_and_what_is_out_count_towards_the_border() -> None:
    scope = a_scope(outstanding=300, per_hour_micro_usd=1_000, warn_percent=80)
    scope.claimed_micro_usd = 200
    assert scope.is_calm(299, T0)
    assert not scope.is_calm(300, T0)


def test_what_is_settled_later_is_seen_and_forgotten_with_its_window() -> None:
    scope = a_scope(per_hour_micro_usd=1_000, warn_percent=80)
    assert scope.is_calm(799, T0)
    scope.account.settle(500, T0)
    assert not scope.is_calm(300, T0)
    assert scope.is_calm(299, T0)
    assert not scope.is_calm(300, T0 + HOUR_MS - 1)
    assert scope.is_calm(799, T0 + HOUR_MS)


def test_other_rules_are_other_borders() -> None:
    scope = a_scope(per_hour_micro_usd=1_000, warn_percent=80)
    assert scope.is_calm(799, T0)
    scope.take(Limits(budget=Budget(per_hour_micro_usd=100)))
    assert not scope.is_calm(799, T0)


@pytest.mark.parametrize(
    ("limits", "active", "vcpus", "has"),
    [
        (Limits(max_bursts=3), 2, 0, True),
        (Limits(max_bursts=3), 3, 0, False),
        (Limits(max_vcpus=10), 0, 8, True),
        (Limits(max_vcpus=10), 0, 9, False),
        (Limits(launch_rate=LaunchRate(count=2, per_ms=1_000)), 0, 0, True),
        (Limits(launch_rate=LaunchRate(count=1, per_ms=1_000)), 0, 0, False),
        (Limits(), 9, 9, True),
    ],
)
def test_room_without_words_is_room_with_words(limits: Limits, active: int, vcpus: int, has: bool) -> None:
    scope = Scope(kind="Policy", key="bank/tasks")
    scope.take(limits)
    scope.active, scope.vcpus = active, vcpus
    scope.launched(T0)
    assert room.has_for(scope, 2, T0) is has
    assert (room.for_one_more(scope, T0) is None and room.for_vcpus((scope,), 2) is None) is has


def test_a_start_is_booked_as_its_parts_are() -> None:
    limits = Limits(
        max_bursts=9, launch_rate=LaunchRate(count=5, per_ms=1_000), budget=Budget(per_hour_micro_usd=1_000)
    )
    books: list[Scope] = []
    said: list[list[str]] = []
    whole: Callable[[Engine], None] = lambda engine: budgets.start(  # noqa: E731
        engine.state,
        budgets.scopes_of(engine.state, "bank/tasks", "bank", "azure"),
        provider="azure",
        vcpus=4,
        micro_usd=850,
    )

    def parts(engine: Engine) -> None:
        where = ("bank/tasks", "bank", "azure")
        budgets.reserve(engine.state, *where, 850)
        budgets.count(engine.state, *where, provider="azure", bursts=1, vcpus=4)
        budgets.launched(engine.state, *where, T0)

    for book in (whole, parts):
        engine = Engine()
        engine.sync(s.PolicySeen(policy=a_policy(limits=limits)), s.TargetSeen(target=a_target(limits=limits)))
        book(engine)
        books += budgets.scopes_of(engine.state, "bank/tasks", "bank", "azure")
        said.append([decision.reasons[0].code for decision in engine.state.decisions])
    told = [
        (b.kind, b.active, b.vcpus, b.vcpus_by_provider, b.launches, b.account.outstanding_micro_usd) for b in books
    ]
    assert told[:4] == told[4:]
    assert said[0] == said[1] == ["BudgetWarning", "BudgetWarning"]


def test_who_waits_for_a_share_looks_again_when_the_shares_move_and_nobody_else() -> None:
    shared = Limits(provider_shares={"azure": 50})
    engine = Engine()
    engine.sync(
        s.TargetSeen(target=a_target(allowed_namespaces=("*",))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=a_policy("a", limits=shared)),
        s.PolicySeen(policy=a_policy("b", namespace="shop")),
    )
    engine.send(s.PodSeen(pod=a_pod("one")), s.PodSeen(pod=a_pod("two")))
    while any(entry.reopened or entry.fresh for entry in engine.state.policies.values()):
        engine.send()
    assert len(engine.state.bursts) == 1
    assert list(engine.state.share_waits) == ["bank/a"]
    budgets.count(engine.state, "bank/a", "bank", "azure", provider="onprem", bursts=1, vcpus=2)
    assert engine.state.policies["bank/a"].reopened
    assert not engine.state.policies["shop/b"].reopened
    assert not engine.state.share_waits
    engine.send()
    assert len(engine.state.bursts) == 2, "half of what runs is elsewhere now"
