"""Zero, huge and equal numbers; windows of money at their borders; ages, counts and quotas exactly at theirs."""

from datetime import UTC, datetime

import pytest

from burster.engine.accounting.money import Account, window_of, worst_case_micro_usd
from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from burster.model.offerings import Offering, Quota
from burster.model.pods import Resources
from burster.model.policies import WorkloadSelector
from burster.model.triggers import PendingPodsTrigger
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


HUGE = 2**63 - 1


def an_engine(*offerings: Offering, policy: dict[str, object] | None = None, **target: object) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(**(policy or {}))),
        s.TargetSeen(target=a_target(**target)),
        s.OfferingsSeen(target="azure", offerings=offerings or (an_offering(2), an_offering(4))),
    )
    return engine


@pytest.mark.parametrize(
    ("cpu", "memory", "gpus", "want"),
    [
        pytest.param(0, 0, 0, "Standard_DC2es_v6", id="a pod that asks for nothing gets the cheapest"),
        pytest.param(2000, 8 * GIB, 0, "Standard_DC2es_v6", id="exactly as much as there is, fits"),
        pytest.param(2001, 8 * GIB, 0, "Standard_DC4es_v6", id="a millicore more does not"),
        pytest.param(2000, 8 * GIB + 1, 0, "Standard_DC4es_v6", id="nor a byte more"),
        pytest.param(HUGE, HUGE, 0, "NoSizeFits", id="more than any machine"),
        pytest.param(0, 0, 1, "NoSizeFits", id="a GPU that no size has"),
    ],
)
def test_sizes_at_their_borders(cpu: int, memory: int, gpus: int, want: str) -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod(requests=Resources(cpu_millicores=cpu, memory_bytes=memory, gpus=gpus))))
    found = engine.burst().spec.size if engine.state.bursts else engine.codes("bank/task-1")[0]
    assert found == want


@pytest.mark.parametrize(
    ("offerings", "assumed", "want"),
    [
        pytest.param((an_offering(2, price_micro_usd_per_hour=None),), None, "PriceUnknown", id="no price, no burst"),
        pytest.param((an_offering(2, price_micro_usd_per_hour=None),), 7, "Standard_DC2es_v6", id="an assumed price"),
        pytest.param(
            (an_offering(2, price_micro_usd_per_hour=None), an_offering(4)),
            None,
            "Standard_DC4es_v6",
            id="the known one",
        ),
        pytest.param(
            (an_offering(4, price_micro_usd_per_hour=5), an_offering(2, price_micro_usd_per_hour=5)),
            None,
            "Standard_DC2es_v6",
            id="equal prices: the smaller",
        ),
        pytest.param((an_offering(2, tee="SNP"),), None, "TeeNotOffered", id="another proof than asked for"),
        pytest.param((an_offering(2, tee="None"),), None, "TeeNotOffered", id="no proof at all"),
        pytest.param(
            (an_offering(2, restricted="NotAvailableForSubscription"),), None, "SizeRestricted", id="refused SKU"
        ),
        pytest.param((an_offering(2, region="northeurope"),), None, "NotInRegion", id="of another region"),
        pytest.param((an_offering(8),), None, "NoSizeAllowed", id="a size that the target does not allow"),
        pytest.param(
            (an_offering(2, size="standard_dc2ES_v6"),), None, "standard_dc2ES_v6", id="names in another case"
        ),
    ],
)
def test_which_offering_may_be_had(offerings: tuple[Offering, ...], assumed: int | None, want: str) -> None:
    engine = an_engine(*offerings, assumed_price_micro_usd_per_hour=assumed)
    engine.send(s.PodSeen(pod=a_pod()))
    found = engine.burst().spec.size if engine.state.bursts else engine.codes("bank/task-1")[0]
    assert found == want


def test_offerings_that_change_under_way_are_looked_at_anew_and_what_was_decided_stands() -> None:
    engine = an_engine(an_offering(2, price_micro_usd_per_hour=None))
    engine.send(s.PodSeen(pod=a_pod()))
    engine.send(s.OfferingsSeen(target="azure", offerings=(an_offering(2),)))
    spec = engine.burst().spec
    engine.send(s.OfferingsSeen(target="azure", offerings=()))
    assert engine.burst().spec == spec
    engine.to_serving()


@pytest.mark.parametrize("limit", [0, 129_999])
def test_a_budget_below_one_burst_allows_none(limit: int) -> None:
    engine = an_engine(policy={"budget": Budget(per_hour_micro_usd=limit)})
    engine.send(s.PodSeen(pod=a_pod()))
    assert engine.codes("bank/task-1") == ["PolicyBudget"]


def test_limits_of_zero_allow_nothing() -> None:
    for limits in ({"max_bursts": 0}, {"max_vcpus": 0}):
        engine = an_engine(policy=limits)
        engine.send(s.PodSeen(pod=a_pod()))
        assert not engine.state.bursts


def test_huge_amounts_stay_exact() -> None:
    price = 10**15
    worst = worst_case_micro_usd(price_micro_usd_per_hour=price, launch_ms=HUGE, lease_ms=HUGE, drain_ms=1)
    assert worst == -(-price * (2 * HUGE + 1) // 3_600_000)
    engine = an_engine(
        an_offering(2, price_micro_usd_per_hour=price), policy={"budget": Budget(per_day_micro_usd=HUGE)}
    )
    engine.send(s.PodSeen(pod=a_pod()))
    account = engine.state.policies["bank/tasks"].account
    assert account.outstanding_micro_usd == price * 65 // 60 + 1


def test_a_price_of_zero_reserves_and_settles_zero() -> None:
    engine = an_engine(an_offering(2, price_micro_usd_per_hour=0), policy={"budget": Budget(per_hour_micro_usd=0)})
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.to_serving()
    engine.send(engine.pod_event("Succeeded"))
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    assert engine.burst().status.settled_micro_usd == 0


def utc(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("kind", "moment", "want_end"),
    [
        pytest.param("month", "2026-12-31T23:59:59.999", "2027-01-01T00:00:00", id="the year's end"),
        pytest.param("month", "2028-02-29T12:00:00", "2028-03-01T00:00:00", id="a leap day"),
        pytest.param("month", "2026-02-01T00:00:00", "2026-03-01T00:00:00", id="the first moment of a month"),
        pytest.param(
            "day", "2026-03-29T01:59:59.999", "2026-03-30T00:00:00", id="the night Europe's clocks go forward"
        ),
        pytest.param("day", "2026-10-25T00:30:00", "2026-10-26T00:00:00", id="the night they go back"),
        pytest.param("hour", "2026-10-25T01:59:59.999", "2026-10-25T02:00:00", id="the hour that Europe has twice"),
    ],
)
def test_windows_are_of_utc_and_end_where_the_next_begins(kind: str, moment: str, want_end: str) -> None:
    at = utc(moment)
    start, end = window_of(kind, at)
    assert end == utc(want_end)
    assert window_of(kind, end - 1) == window_of(kind, start) == (start, end)
    assert window_of(kind, end)[0] == end


def test_what_is_outstanding_counts_in_the_next_window_too() -> None:
    account = Account()
    budget = Budget(per_hour_micro_usd=100, per_month_micro_usd=150)
    account.reserve(60)
    account.settle(40, utc("2026-01-31T23:59:59.999"))
    before, after = utc("2026-01-31T23:59:59.999"), utc("2026-02-01T00:00:00")
    short = account.shortfall(budget, 1, before)
    assert short is not None
    assert (short.window, short.again_at_ms) == ("hour", after)
    assert account.shortfall(budget, 40, after) is None
    assert account.shortfall(budget, 41, after) is not None


def test_old_windows_are_forgotten_and_the_present_one_is_not() -> None:
    account = Account()
    for hour in range(10_000):
        account.settle(1, T0 + hour * 3_600_000)
    assert len(account.settled) <= 33 * 24 + 1
    assert account.used_micro_usd("hour", T0 + 9_999 * 3_600_000) == 1
    assert account.settled_total_micro_usd == 10_000


@pytest.mark.parametrize(("after_ms", "want"), [(29_999, "TooYoung"), (30_000, "Pending")])
def test_a_pod_goes_exactly_when_it_is_old_enough(after_ms: int, want: str) -> None:
    engine = an_engine(policy={"pending_for_ms": 30_000})
    engine.send(s.PodSeen(pod=a_pod()))
    engine.wait(after_ms)
    assert engine.codes("bank/task-1")[-1] == want


def test_a_pod_whose_time_has_not_come_waits_from_when_it_was_first_seen() -> None:
    engine = an_engine(policy={"pending_for_ms": 30_000})
    engine.send(s.PodSeen(pod=a_pod(since=T0 + 5_000)))
    engine.wait(29_999)
    assert not engine.state.bursts
    engine.wait(1)
    assert engine.state.bursts


def test_the_policy_acts_from_its_count_on_and_then_for_all_that_waited() -> None:
    engine = an_engine(policy={"triggers": (PendingPodsTrigger(pending_for_ms=0, min_count=3),)})
    for number in range(2):
        engine.send(s.PodSeen(pod=a_pod(f"task-{number}")))
        assert engine.codes(f"bank/task-{number}") == ["TooFew"]
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    assert len(engine.state.bursts) == 3, "who was too few alone goes with the one that made it enough"


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        pytest.param([("westeurope", "standardDCEV6Family", 8, 10)], 1, id="room for one"),
        pytest.param([(" WestEurope ", "  STANDARDdcev6FAMILY ", 8, 10)], 1, id="blanks and case mean nothing"),
        pytest.param([("westeurope", "cores", 7, 10)], 1, id="the region's total holds too"),
        pytest.param([("northeurope", "standardDCEV6Family", 10, 10)], 2, id="another region's row is not ours"),
        pytest.param(
            [("westeurope", "standardDCEV6Family", 0, 10), ("northeurope", "standardDCEV6Family", 10, 10)],
            2,
            id="nor does it hide ours",
        ),
        pytest.param([("", "standardDCEV6Family", 10, 10)], 0, id="a row without a region is the target's"),
        pytest.param([("westeurope", "standardDCEV6Family", 0, 0)], 0, id="no quota at all"),
        pytest.param([("westeurope", "standardDCEV6Family", 12, 10)], 0, id="more used than allowed"),
        pytest.param([("westeurope", "anotherFamily", 0, 0)], 2, id="a family that is not asked for"),
    ],
)
def test_quota_rows(rows: list[tuple[str, str, int, int]], want: int) -> None:
    engine = an_engine(an_offering(2))
    quotas = tuple(Quota(region=r, family=f, used_vcpus=u, limit_vcpus=m) for r, f, u, m in rows)
    engine.send(s.QuotaSeen(target="azure", rows=quotas))
    engine.send(s.PodSeen(pod=a_pod("task-1")), s.PodSeen(pod=a_pod("task-2")))
    assert len(engine.state.bursts) == want


def test_what_was_launched_since_the_last_look_counts_on_top_of_what_others_use() -> None:
    engine = an_engine(an_offering(2))
    row = Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=96, limit_vcpus=100)
    engine.send(s.QuotaSeen(target="azure", rows=(row,)))
    engine.send(*(s.PodSeen(pod=a_pod(f"task-{n}")) for n in range(3)))
    assert len(engine.state.bursts) == 2
    key = next(iter(engine.state.bursts))
    engine.to_serving(key)
    later = Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=98, limit_vcpus=102)
    engine.send(s.QuotaSeen(target="azure", rows=(later,)))
    assert len(engine.state.bursts) == 3, (
        "the one that serves is in the cloud's own count by now; the two others go on top"
    )


def test_quotas_and_offerings_that_come_before_their_target_are_kept_for_it() -> None:
    engine = Engine()
    row = Quota(region="westeurope", family="standardDCEV6Family", used_vcpus=100, limit_vcpus=100)
    engine.sync(
        s.QuotaSeen(target="azure", rows=(row,)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.PodSeen(pod=a_pod()),
    )
    assert engine.codes("bank/task-1") == ["QuotaExhausted"]


@pytest.mark.parametrize(
    ("first", "second", "want"),
    [
        pytest.param({"name": "b", "priority": 5}, {"name": "a"}, "b", id="priority first"),
        pytest.param(
            {"name": "b", "workload": WorkloadSelector(kind="Pod")}, {"name": "a"}, "b", id="then who names more"
        ),
        pytest.param(
            {"name": "b", "workload": WorkloadSelector(match_labels={"x": "1", "y": "2"})},
            {"name": "a", "workload": WorkloadSelector(match_labels={"x": "1"})},
            "b",
            id="each label counts",
        ),
        pytest.param({"name": "b"}, {"name": "a"}, "a", id="then the name"),
        pytest.param({"name": "b", "paused": True, "priority": 1}, {"name": "a"}, "", id="a paused one still answers"),
    ],
)
def test_of_two_policies_one_answers(first: dict[str, object], second: dict[str, object], want: str) -> None:
    for pair in ((first, second), (second, first)):
        engine = Engine()
        engine.sync(
            *(s.PolicySeen(policy=a_policy(**dict(one))) for one in pair),
            s.TargetSeen(target=a_target()),
            s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
            s.PodSeen(pod=a_pod(labels={"x": "1", "y": "2"})),
        )
        assert [entry.burst.spec.policy for entry in engine.state.bursts.values()] == ([want] if want else [])


def test_a_pod_goes_over_to_the_policy_that_answers_for_it_now() -> None:
    engine = an_engine(policy={"paused": True})
    engine.send(s.PodSeen(pod=a_pod()))
    engine.send(s.PolicySeen(policy=a_policy("better", priority=1)))
    assert engine.burst().spec.policy == "better"
    assert not engine.state.policies["bank/tasks"].queued


def test_of_pods_that_come_together_the_first_by_priority_and_age_goes() -> None:
    engine = an_engine(policy={"max_bursts": 1})
    engine.send(
        s.PodSeen(pod=a_pod("a-youngest", since=T0 - 1)),
        s.PodSeen(pod=a_pod("b-oldest", since=T0 - 9)),
        s.PodSeen(pod=a_pod("c-urgent", since=T0, priority=1)),
    )
    assert [entry.covers for entry in engine.state.bursts.values()] == ["bank/c-urgent"]


def test_a_pod_that_becomes_urgent_moves_to_the_front() -> None:
    engine = an_engine(policy={"max_bursts": 1})
    engine.send(*(s.PodSeen(pod=a_pod(name, since=T0 - age)) for name, age in (("x", 9), ("y", 8), ("z", 7))))
    engine.send(s.PodSeen(pod=a_pod("z", since=T0 - 7, priority=9)))
    burst = engine.burst()
    engine.to_serving()
    engine.send(engine.pod_event("Succeeded"))
    engine.send(s.VmsObserved(key=burst.key, vms=()))
    assert [entry.covers for entry in engine.state.bursts.values() if entry.covers] == ["bank/z"]


def test_a_pod_that_asks_for_less_than_before_is_asked_about_again() -> None:
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod(cpu=64_000)))
    assert engine.codes("bank/task-1") == ["NoSizeFits"]
    engine.send(s.PodSeen(pod=a_pod(cpu=1_000)))
    assert engine.state.bursts


def test_a_new_pod_is_answered_by_a_spare_clone_although_the_policy_is_full() -> None:
    engine = an_engine(policy={"max_bursts": 1})
    engine.send(s.PodSeen(pod=a_service_pod("web-1")))
    key = engine.to_serving().key
    engine.send(s.PodLeft(namespace="bank", name="web-1", uid="uid-web-1", why="Bound"))
    engine.send(s.PodSeen(pod=a_service_pod("api-1", "api")), s.PodSeen(pod=a_service_pod("web-2")))
    assert engine.codes("bank/api-1") == ["PolicyMaxBursts"]
    assert engine.state.bursts[key].covers == "bank/web-2"


def test_two_targets_are_tried_in_order_and_each_holds_its_own_limits() -> None:
    engine = Engine()
    placement = a_policy().placement
    policy = a_policy(placement=type(placement)(targets=("azure", "other")))
    engine.sync(
        s.PolicySeen(policy=policy),
        s.TargetSeen(target=a_target(limits=Limits(max_bursts=1))),
        s.TargetSeen(target=a_target(name="other", limits=Limits(max_bursts=1))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.OfferingsSeen(target="other", offerings=(an_offering(4, target="other"),)),
    )
    engine.send(*(s.PodSeen(pod=a_pod(f"task-{n}")) for n in range(3)))
    assert [entry.burst.spec.target for entry in engine.state.bursts.values()] == ["azure", "other"]
    assert engine.codes("bank/task-2") == ["TargetMaxBursts"]


def test_failures_are_forgiven_after_three_quiet_hours() -> None:
    engine = an_engine()
    waits: list[int] = []
    for pause in (0, 0, 0, 4 * 3_600_000, 0):
        engine.now += pause
        engine.send(s.PodSeen(pod=a_pod(since=engine.now)))
        key = engine.burst().key
        engine.send(s.InstructionFailed(instruction="RecordBurst", key="x", subject=key, kind="Invalid", message="no"))
        assert not engine.state.bursts
        assert engine.codes("bank/task-1")[-1] == "BackingOff"
        start = engine.now
        while not engine.state.bursts:
            engine.wait(300_000)
        waits.append(engine.now - start)
        engine.send(s.PodLeft(namespace="bank", name="task-1", uid="uid-task-1", why="Gone"))
        engine.send(s.BurstRecorded(key=engine.burst().key, uid="b"))
        engine.wait(3_600_000)
        engine.send(s.RecordDeleted(key=engine.burst().key))
    assert waits == [300_000, 600_000, 1_200_000, 300_000, 600_000]
