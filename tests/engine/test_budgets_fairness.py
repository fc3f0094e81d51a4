"""When several want the last of the money, they take turns, and over time it evens out."""

from collections import Counter
from typing import Any

import pytest

from burster.engine.accounting.budgets import fair_order, reserve
from burster.engine.turns import Turns
from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from burster.model.policies import Policy, WorkloadSelector
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


HOUR = 3_600_000
WORST = 130_000


def an_engine(*policies: Policy, money: int | None = None, namespaces: dict[str, Limits] | None = None) -> Engine:
    engine = Engine()
    engine.sync(
        *(s.PolicySeen(policy=policy) for policy in policies),
        s.TargetSeen(
            target=a_target(
                allowed_namespaces=("*",),
                limits=Limits(budget=Budget(per_hour_micro_usd=money)),
                namespace_limits=namespaces or {},
            )
        ),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    return engine


def send_pods(engine: Engine, count: int, *namespaces: str, **changes: Any) -> Counter[str]:
    """Let pods come to each namespace; return how many bursts each has got."""
    engine.send(
        *(
            s.PodSeen(pod=a_pod(f"{namespace}-{number}", namespace=namespace, **changes))
            for namespace in namespaces
            for number in range(count)
        )
    )
    return started(engine)


def started(engine: Engine) -> Counter[str]:
    return Counter(one.burst.namespace for one in engine.asked("RecordBurst"))


def test_the_last_money_is_shared_and_not_all_for_the_first_in_the_alphabet() -> None:
    engine = an_engine(a_policy(namespace="aaa"), a_policy(namespace="zzz"), money=5 * WORST)
    assert send_pods(engine, 10, "aaa", "zzz") == {"aaa": 3, "zzz": 2}


def test_whoever_is_told_first_gets_no_more() -> None:
    engine = an_engine(a_policy(namespace="zzz"), a_policy(namespace="aaa"), money=5 * WORST)
    assert send_pods(engine, 10, "zzz", "aaa") == {"aaa": 3, "zzz": 2}


def test_over_several_windows_the_shares_even_out() -> None:
    engine = an_engine(a_policy(namespace="aaa"), a_policy(namespace="zzz"), money=5 * WORST)
    got = send_pods(engine, 40, "aaa", "zzz")
    shares = [dict(got)]
    for _ in range(5):
        out = [key for key, entry in engine.state.bursts.items() if entry.burst.status.phase == "Reserved"]
        for key in out:
            engine.to_serving(key)
        engine.wait(HOUR - engine.now % HOUR)
        engine.send(*(engine.pod_event("Succeeded", key) for key in out))
        engine.send(*(s.VmsObserved(key=key, vms=()) for key in out))
        this = started(engine)
        shares.append(dict(this))
        got += this
        assert sum(this.values()) == 5
        assert abs(got["aaa"] - got["zzz"]) <= 1, shares
    assert shares[:2] == [{"aaa": 3, "zzz": 2}, {"aaa": 2, "zzz": 3}]


def test_many_policies_give_a_namespace_no_larger_share() -> None:
    many = [a_policy(f"p{number}", namespace="aaa", workload=_named(f"p{number}")) for number in range(4)]
    engine = an_engine(*many, a_policy(namespace="zzz"), money=6 * WORST)
    pods = [a_pod(f"p{number}-{n}", namespace="aaa") for number in range(4) for n in range(3)]
    pods += [a_pod(f"z-{n}", namespace="zzz") for n in range(12)]
    engine.send(*(s.PodSeen(pod=pod) for pod in pods))
    assert started(engine) == {"aaa": 3, "zzz": 3}
    assert Counter(one.burst.spec.policy for one in engine.asked("RecordBurst")) == {
        "p0": 1,
        "p1": 1,
        "p2": 1,
        "tasks": 3,
    }, "and its policies take turns as well"


def _named(prefix: str) -> WorkloadSelector:
    return WorkloadSelector(pod_name_pattern=f"{prefix}-.*")


def test_a_higher_priority_is_served_first_and_wholly() -> None:
    engine = an_engine(
        a_policy(namespace="aaa"), a_policy(namespace="mmm"), a_policy(namespace="zzz", priority=1), money=5 * WORST
    )
    assert send_pods(engine, 4, "aaa", "mmm", "zzz") == {"zzz": 4, "aaa": 1}


def test_dear_bursts_count_by_what_they_cost() -> None:
    engine = an_engine(a_policy(namespace="aaa"), a_policy(namespace="zzz"), money=6 * WORST)
    offerings = (an_offering(2), an_offering(4))
    engine.send(s.OfferingsSeen(target="azure", offerings=offerings))
    pods = [a_pod(f"a-{n}", namespace="aaa", cpu=4_000) for n in range(9)]
    pods += [a_pod(f"z-{n}", namespace="zzz") for n in range(9)]
    engine.send(*(s.PodSeen(pod=pod) for pod in pods))
    assert started(engine) == {"aaa": 2, "zzz": 2}, "two at 260,000 and two at 130,000; the rest would not fit a third"


@pytest.mark.parametrize(
    ("aaa", "zzz", "want"),
    [
        pytest.param(Budget(per_hour_micro_usd=HOUR), Budget(per_hour_micro_usd=HOUR), (4, 4), id="alike"),
        pytest.param(Budget(per_hour_micro_usd=3 * HOUR), Budget(per_hour_micro_usd=HOUR), (6, 2), id="three to one"),
        pytest.param(Budget(per_month_micro_usd=730 * HOUR), Budget(per_hour_micro_usd=HOUR), (4, 4), id="a month"),
        pytest.param(Budget(per_day_micro_usd=73 * HOUR), Budget(per_month_micro_usd=730 * HOUR), (6, 2), id="a day"),
        pytest.param(
            Budget(per_hour_micro_usd=9 * HOUR, per_month_micro_usd=730 * HOUR), Budget(per_hour_micro_usd=HOUR), (4, 4),
            id="the tightest",
        ),
        pytest.param(Budget(), Budget(per_hour_micro_usd=HOUR), (4, 4), id="none counts as the largest"),
    ],
)  # fmt: skip
def test_a_share_is_held_against_what_the_namespace_may_spend(aaa: Budget, zzz: Budget, want: tuple[int, int]) -> None:
    engine = an_engine(
        a_policy(namespace="aaa"),
        a_policy(namespace="zzz"),
        money=8 * WORST,
        namespaces={"aaa": Limits(budget=aaa), "zzz": Limits(budget=zzz)},
    )
    got = send_pods(engine, 12, "aaa", "zzz")
    assert (got["aaa"], got["zzz"]) == want


def test_the_order_is_by_priority_share_and_name() -> None:
    engine = an_engine(
        a_policy("b", namespace="one"),
        a_policy("a", namespace="one"),
        a_policy("c", namespace="two"),
        a_policy("d", namespace="two", priority=-1),
        a_policy("e", namespace="six", priority=5),
    )
    state = engine.state
    assert fair_order(state) == ["six/e", "one/a", "one/b", "two/c", "two/d"]
    reserve(state, "one/a", "one", "azure", 10)
    assert fair_order(state) == ["six/e", "two/c", "one/b", "one/a", "two/d"]
    reserve(state, "two/d", "two", "azure", 11)
    assert fair_order(state) == ["six/e", "one/b", "one/a", "two/c", "two/d"]
    engine.send(
        s.LedgerRestored(
            entries=(s.Spend(burst="one/x", uid="u", policy="one/b", target="azure", at_ms=engine.now, micro_usd=5),)
        )
    )
    assert fair_order(state) == ["six/e", "two/c", "one/b", "one/a", "two/d"], "what is spent counts as well"
    reserve(state, "six/e", "six", "azure", 10**9)
    assert fair_order(state)[0] == "six/e"


def test_turns_follow_what_is_granted() -> None:
    engine = an_engine(a_policy("a", namespace="one"), a_policy("b", namespace="one"), a_policy("c", namespace="two"))
    state = engine.state
    turns = Turns(state, ["two/c", "one/b", "one/a"])
    seen = []
    for micro_usd in (10, 5, 1, 4, 0, 0):
        key = turns.next()
        seen.append(key)
        reserve(state, key, key.partition("/")[0], "azure", micro_usd)
        if micro_usd:
            turns.again(key)
    # one: 10, so two: 5 and then 6, then 10 as well; of one's policies b has used less than a
    assert seen == ["one/a", "two/c", "two/c", "two/c", "one/b", "one/a"]
    assert [turns.next(), turns.next()] == ["two/c", ""]
