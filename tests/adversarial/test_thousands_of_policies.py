"""A namespace's user who writes policies by the thousand: a named number counts, and nobody else notices."""

from typing import Any

import pytest

from burster.engine.statuses import APART_MS
from burster.model import stimuli as s
from burster.runtime.views import Viewer
from burster.sources.policies import (
    RuleSink,
    _compiled_policy,  # pyright: ignore[reportPrivateUsage]
    _policy_gone,  # pyright: ignore[reportPrivateUsage]
    _policy_refused,  # pyright: ignore[reportPrivateUsage]
)
from burster.sources.policy_places import PolicyPlaces
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


MOST = 20
DRAIN = "burster.dev/drain"


def an_object(number: int, namespace: str = "evil", **metadata: Any) -> dict[str, Any]:
    name = f"p-{number:04d}"
    values = {"namespace": namespace, "name": name, "uid": f"uid-{namespace}-{number}", "generation": 1}
    spec = {
        "workload": {"podNamePattern": ".*"},
        "triggers": [{"type": "pending-pods", "metadata": {"pendingFor": "0s"}}],
        "placement": {"targets": ["azure"], "strategy": "Move"},
        "confidential": {"attestation": "VmOnly"},
    }
    return {
        "apiVersion": "burster.dev/v1alpha1",
        "kind": "BurstPolicy",
        "metadata": values | metadata,
        "spec": spec,
    }


@pytest.fixture
def posted() -> list[Any]:
    return []


@pytest.fixture
def sink(posted: list[Any]) -> RuleSink:
    places = PolicyPlaces(MOST)
    return RuleSink(posted.append, "policies", _compiled_policy, _policy_refused, _policy_gone, places)


def test_as_many_as_count_are_taken_as_many_again_are_told_and_of_the_rest_nothing_is_kept(
    sink: RuleSink, posted: list[Any]
) -> None:
    for number in range(5_000):
        sink.seen(an_object(number))
    assert [type(one).__name__ for one in posted] == ["PolicySeen"] * MOST + ["PolicyRefused"] * MOST
    refused = posted[-1]
    assert (refused.code, refused.key) == ("TooManyPolicies", f"evil/p-{2 * MOST - 1:04d}")
    assert "more than 20 policies" in refused.message
    assert "BURSTER_NAMESPACE_MAX_POLICIES" in refused.message
    assert len(sink._uids) == 2 * MOST  # pyright: ignore[reportPrivateUsage]


def test_another_namespace_has_places_of_its_own(sink: RuleSink, posted: list[Any]) -> None:
    for number in range(1_000):
        sink.seen(an_object(number))
    posted.clear()
    sink.seen(an_object(1, "bank"))
    assert [one.policy.key for one in posted] == ["bank/p-0001"]


def test_a_place_that_is_free_goes_to_the_one_that_waits_longest_as_it_is_by_then(
    sink: RuleSink, posted: list[Any]
) -> None:
    for number in range(MOST + 3):
        sink.seen(an_object(number))
    edited = an_object(MOST, generation=7)
    sink.seen(edited)
    posted.clear()
    sink.gone(("evil/p-0004", "uid-evil-4"), None)
    gone, heir = posted
    assert (type(gone), gone.key) == (s.PolicyGone, "evil/p-0004")
    assert (heir.policy.name, heir.policy.generation) == (f"p-{MOST:04d}", 7)
    posted.clear()
    sink.seen(edited)
    assert type(posted[0]) is s.PolicySeen


def test_one_that_waits_and_goes_frees_nothing(sink: RuleSink, posted: list[Any]) -> None:
    for number in range(MOST + 3):
        sink.seen(an_object(number))
    posted.clear()
    sink.gone((f"evil/p-{MOST:04d}", f"uid-evil-{MOST}"), None)
    assert [type(one).__name__ for one in posted] == ["PolicyGone"]


def test_what_is_beyond_all_of_it_and_goes_is_nobodys_business(sink: RuleSink, posted: list[Any]) -> None:
    for number in range(2 * MOST + 3):
        sink.seen(an_object(number))
    posted.clear()
    sink.gone((f"evil/p-{2 * MOST + 1:04d}", f"uid-evil-{2 * MOST + 1}"), None)
    assert posted == []


def test_a_finalizer_comes_off_whatever_the_number(sink: RuleSink, posted: list[Any]) -> None:
    for number in range(2 * MOST):
        sink.seen(an_object(number))
    posted.clear()
    leaving = an_object(9_000, finalizers=[DRAIN], deletionTimestamp="2026-01-05T08:00:00Z")
    sink.seen(leaving)
    (told,) = posted
    assert (told.code, told.deleting, told.guarded) == ("TooManyPolicies", True, True)


def test_all_that_go_leave_nothing_behind(sink: RuleSink) -> None:
    for number in range(3 * MOST):
        sink.seen(an_object(number))
    for _ in range(2):  # who waited has a place after the first time
        for number in range(3 * MOST):
            sink.gone((f"evil/p-{number:04d}", f"uid-evil-{number}"), None)
    assert sink._uids == {}  # pyright: ignore[reportPrivateUsage]
    assert sink._places is not None  # pyright: ignore[reportPrivateUsage]
    assert sink._places._namespaces == {}  # pyright: ignore[reportPrivateUsage]


def test_the_engine_holds_no_more_than_that_tells_it_on_the_policy_and_serves_the_others(
    sink: RuleSink, posted: list[Any]
) -> None:
    for number in range(5_000):
        sink.seen(an_object(number))
    sink.seen(an_object(1, "bank"))
    engine = Engine()
    engine.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        *posted,
        s.PodSeen(pod=a_pod("task-1", namespace="bank")),
    )
    assert [burst.burst.namespace for burst in engine.state.bursts.values()] == ["bank"]
    state = engine.state
    assert (len(state.policies), len(state.refused), len(state.policy_statuses)) == (MOST + 1, MOST, 2 * MOST + 1)
    refused = next(one for one in engine.asked("WritePolicyStatus") if one.policy == f"evil/p-{MOST:04d}")
    told = {one.type: (one.status, one.reason) for one in refused.conditions}
    assert told["Accepted"] == told["Ready"] == ("False", "TooManyPolicies")
    engine.wait(APART_MS)
    assert engine.asked("WritePolicyStatus")[1:] == [], "each is told once"


def test_policies_that_spend_nothing_hide_nobody_s_budget() -> None:
    engine = Engine()
    idle = [s.PolicySeen(policy=a_policy(f"p-{number:03d}", namespace="a-evil")) for number in range(300)]
    engine.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        *idle,
        s.PolicySeen(policy=a_policy("tasks")),
        s.PodSeen(pod=a_pod("task-1")),
    )
    assert engine.state.bursts
    view = Viewer().view(engine.state, engine.now)
    assert len(view.budgets) <= 200
    owners = [budget.owner for budget in view.budgets]
    assert {"bank/tasks", "azure"} <= set(owners)
    assert owners[:-1] == sorted(owners[:-1]), "in the usual order all the same"
