"""Every pending pod has one verdict with a reason, and alike pods are asked about once."""

from typing import Any

import pytest

from burster.engine import gates, queues
from burster.engine.demand import countable, is_enough, queue_of
from burster.engine.step import unfinished
from burster.model import stimuli as s
from burster.model.decisions import Decision
from burster.model.limits import Limits
from burster.model.pods import Resources
from burster.model.policies import Placement, Spread, Wait, WorkloadSelector
from burster.model.triggers import CronTrigger, PendingPodsTrigger
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


def an_engine(*policies: Any, offerings: Any = None, **target: Any) -> Engine:
    engine = Engine()
    engine.sync(
        *(s.PolicySeen(policy=policy) for policy in policies),
        s.TargetSeen(target=a_target(**{"sizes": (), **target})),
        s.OfferingsSeen(target="azure", offerings=offerings or (an_offering(2), an_offering(4))),
    )
    return engine


def seen(*pods: Any) -> list[s.PodSeen]:
    return [s.PodSeen(pod=pod) for pod in pods]


def told(engine: Engine, subject: str = "bank/task-1") -> list[Decision]:
    return [decision for decision in engine.decisions if decision.subject == subject]


def filtering(**filters: Any) -> Any:
    return a_policy(triggers=(PendingPodsTrigger(**{"pending_for_ms": 0, **filters}),))


# --- pods that no policy is about


def test_a_pod_that_no_policy_is_about_is_told_so_once():
    engine = an_engine(a_policy(workload=WorkloadSelector(kind="Job")))
    engine.send(*seen(a_pod()))
    engine.send(*seen(a_pod(resource_version="2")))
    (decision,) = told(engine)
    assert (decision.verdict, decision.policy, decision.at_ms) == ("Deny", "", T0)
    assert decision.reasons[0].code == "NoPolicy"
    assert decision.reasons[0].sentence == "No BurstPolicy of namespace bank is about it."
    engine.send(s.PodLeft(namespace="bank", name="task-1", uid="uid-task-1", why="Bound"))
    assert engine.codes("bank/task-1") == ["NoPolicy", "RunsOnPrem"]


def test_nobody_is_told_so_before_every_source_has_spoken():
    engine = Engine()
    engine.send(*seen(a_pod()))
    assert not engine.decisions
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
    )
    assert engine.codes("bank/task-1") == ["Pending"]


def test_a_policy_that_comes_and_one_that_goes_change_the_verdict():
    engine = an_engine()
    engine.send(*seen(a_pod()))
    engine.send(s.PolicySeen(policy=a_policy(paused=True)))
    engine.send(s.PolicyGone(key="bank/tasks"))
    engine.send(s.PolicySeen(policy=a_policy()))
    assert engine.codes("bank/task-1") == ["NoPolicy", "Paused", "NoPolicy", "Pending"]


@pytest.mark.parametrize(
    "changes", [{"since": None}, {"gated": True}, {"terminating": True}, {"node_name": "n"}], ids=str
)
def test_a_pod_that_does_not_wait_for_a_node_is_told_nothing(changes: dict[str, Any]):
    engine = an_engine()
    engine.send(*seen(a_pod(**changes)))
    assert not engine.decisions


def test_a_pod_that_left_before_the_step_was_over_is_told_nothing():
    engine = an_engine()
    engine.send(*seen(a_pod()), s.PodLeft(namespace="bank", name="task-1", uid="uid-task-1", why="Gone"))
    assert not engine.decisions
    assert not engine.state.unmatched


def test_who_answers_is_asked_once_a_step_however_many_policies_come():
    engine = an_engine()
    engine.send(*seen(a_pod()))
    policies = [a_policy(f"p{number}", priority=number, paused=True) for number in range(5)]
    engine.send(*(s.PolicySeen(policy=policy) for policy in policies))
    assert engine.codes("bank/task-1") == ["NoPolicy", "Paused"]
    assert engine.state.pods["bank/task-1"].policy == "bank/p4"
    assert not engine.state.reassign


def test_a_policy_of_another_namespace_moves_nobody():
    engine = an_engine(a_policy(paused=True))
    engine.send(*seen(a_pod()))
    engine.send(s.PolicySeen(policy=a_policy(namespace="other", priority=9)))
    assert engine.state.pods["bank/task-1"].policy == "bank/tasks"


# --- what the trigger leaves out


@pytest.mark.parametrize(
    ("filters", "want_verdict", "want_name"),
    [
        ({"reasons": ("memory",)}, "Wait", "reasons"),
        ({"resources": ("nvidia.com/gpu",)}, "Deny", "resources"),
        ({"min_priority": 1}, "Deny", "minPriority"),
        ({"max_priority": -1}, "Deny", "maxPriority"),
        ({"min_cpu_millicores": 1001}, "Deny", "minCpu"),
        ({"max_memory_bytes": GIB - 1}, "Deny", "maxMemory"),
        ({"runtime_classes": ("kata",)}, "Deny", "runtimeClasses"),
    ],
)
def test_a_filtered_pod_is_told_by_which(filters: dict[str, Any], want_verdict: str, want_name: str):
    engine = an_engine(filtering(**filters))
    engine.send(*seen(a_pod(message="3 Insufficient cpu.")))
    (decision,) = told(engine)
    assert (decision.verdict, decision.policy) == (want_verdict, "bank/tasks")
    assert decision.reasons[0].code == "FilteredOut"
    assert decision.reasons[0].sentence == f"The policy's pending-pods trigger leaves it out by its filter {want_name}."
    assert not engine.state.policies["bank/tasks"].queued


def test_a_filtered_pod_counts_in_no_number():
    engine = an_engine(filtering(min_count=2, min_priority=5))
    engine.send(*seen(a_pod("a", priority=5), a_pod("b", priority=4)))
    assert engine.codes("bank/a") == ["TooFew"]
    assert engine.codes("bank/b") == ["FilteredOut"]
    engine.send(*seen(a_pod("c", priority=6)))
    assert len(engine.state.bursts) == 2


def test_a_message_that_changes_lets_a_pod_in_and_out():
    engine = an_engine(filtering(reasons=("cpu",), min_count=2))
    for message in ("Insufficient memory.", "Insufficient cpu.", "Insufficient memory."):
        engine.send(*seen(a_pod(message=message)))
    assert engine.codes("bank/task-1") == ["FilteredOut", "TooFew", "FilteredOut"]
    assert not engine.state.policies["bank/tasks"].queued


def test_a_policy_that_filters_anew_takes_pods_out_of_its_queue():
    engine = an_engine(filtering(min_count=2))
    engine.send(*seen(a_pod()))
    engine.send(s.PolicySeen(policy=filtering(min_count=2, min_priority=1)))
    assert engine.codes("bank/task-1") == ["TooFew", "FilteredOut"]
    assert not engine.state.policies["bank/tasks"].shapes


def test_a_policy_that_acts_on_metrics_alone_queues_nobody():
    cron = CronTrigger(name="c", start="0 8 * * *", end="0 9 * * *", timezone="UTC", desired_replicas=1)
    engine = an_engine(a_policy(triggers=(cron,), strategy="Clone"))
    engine.send(*seen(a_service_pod("web-1")))
    (decision,) = told(engine, "bank/web-1")
    assert (decision.verdict, decision.reasons[0].code) == ("Wait", "NotByPods")
    assert not engine.state.policies["bank/tasks"].queued


@pytest.mark.parametrize(("mode", "want"), [("AtOnce", "Pending"), ("PendingFor", "TooYoung")])
def test_who_does_not_wait_goes_at_once(mode: Any, want: str):
    engine = an_engine(a_policy(pending_for_ms=30_000, wait=Wait(mode=mode)))
    engine.send(*seen(a_pod()))
    assert engine.codes("bank/task-1") == [want]


# --- how many there are


def test_only_pods_that_an_offering_could_hold_count():
    engine = an_engine(filtering(min_count=2))
    engine.send(*seen(a_pod("small"), a_pod("huge", cpu=64_000)))
    assert engine.codes("bank/small") == ["TooFew"]
    assert told(engine, "bank/small")[0].reasons[0].numbers == {"pending": 1, "min_count": 2}
    assert engine.codes("bank/huge") == ["NoSizeFits"], "not that too few wait: more of them would not help it"
    engine.send(*seen(a_pod("other")))
    assert sorted(entry.burst.spec.for_pod.name for entry in engine.state.bursts.values()) == ["other", "small"]


def test_huge_ones_first_in_line_hold_up_nobody():
    engine = an_engine(filtering(min_count=2))
    engine.send(*seen(a_pod("huge", cpu=64_000, priority=9), a_pod("a"), a_pod("b")))
    assert len(engine.state.bursts) == 2
    assert engine.codes("bank/huge") == ["NoSizeFits"]


def test_pods_count_again_when_an_offering_comes_that_holds_them():
    engine = an_engine(filtering(min_count=2))
    engine.send(*seen(a_pod("a", cpu=8_000), a_pod("b", cpu=8_000)))
    policy = engine.state.policies["bank/tasks"]
    assert (countable(engine.state, policy), is_enough(engine.state, policy)) == (0, False)
    engine.send(s.OfferingsSeen(target="azure", offerings=(an_offering(8),)))
    assert len(engine.state.bursts) == 2


def test_while_nothing_is_known_of_offerings_that_is_the_reason():
    engine = Engine()
    engine.sync(s.PolicySeen(policy=filtering(min_count=2)), s.TargetSeen(target=a_target()), *seen(a_pod()))
    assert engine.codes("bank/task-1") == ["NoOfferings"]


def test_what_is_out_already_counts_towards_the_number():
    engine = an_engine(filtering(min_count=2))
    engine.send(*seen(a_pod("a"), a_pod("b")))
    engine.send(*seen(a_pod("c")))
    assert len(engine.state.bursts) == 3


def test_shapes_are_counted_in_and_out():
    engine = an_engine(filtering(min_count=9))
    policy = engine.state.policies["bank/tasks"]
    engine.send(*seen(a_pod("a"), a_pod("b"), a_pod("c", cpu=500), a_pod("d", cpu=64_000)))
    assert sorted(policy.shapes.values()) == [1, 1, 2]
    assert countable(engine.state, policy) == 3
    engine.send(*seen(a_pod("b", cpu=500)))
    assert sorted(policy.shapes.values()) == [1, 1, 2]
    for name in "abcd":
        engine.send(s.PodLeft(namespace="bank", name=name, uid=f"uid-{name}", why="Gone"))
    assert policy.shapes == {}
    assert policy.queued == {}


def test_a_queue_is_in_order_however_its_pods_came():
    for count in (3, 40):
        engine = an_engine(filtering(min_count=99))
        policy = engine.state.policies["bank/tasks"]
        engine.send(*seen(*(a_pod(f"t-{n:02d}", since=T0 - n, priority=n % 3) for n in range(count))))
        engine.send(*seen(a_pod("late", since=T0 - 1, priority=1)))
        queue = queue_of(policy)
        assert queue == sorted(policy.queued.values())
        assert [place[0] for place in queue] == sorted(place[0] for place in queue)
        assert not policy.arrived


# --- one judgement for all that are alike


@pytest.fixture
def judged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def judge(state: Any, entry: Any, policy: Any) -> Any:
        names.append(entry.pod.name)
        return gates.judge(state, entry, policy)

    monkeypatch.setattr(queues, "judge", judge)
    return names


def test_alike_pods_are_refused_by_one_judgement_and_each_is_told(judged: list[str]):
    engine = an_engine(a_policy())
    engine.send(*seen(*(a_pod(f"t-{n:04d}", cpu=64_000) for n in range(1_000))))
    assert judged == ["t-0000"]
    assert engine.codes() == ["NoSizeFits"] * 1_000
    assert not unfinished(engine.state)


def test_alike_pods_are_granted_by_one_judgement_while_there_is_room(judged: list[str]):
    engine = an_engine(a_policy(max_bursts=7))
    engine.send(*seen(*(a_pod(f"t-{n:04d}") for n in range(10))))
    assert len(engine.state.bursts) == 7
    assert judged == ["t-0000", "t-0007"]
    assert engine.codes() == ["Pending"] * 7 + ["PolicyMaxBursts"] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"limits": Limits(max_vcpus=4)},
        {"max_bursts": 2},
    ],
    ids=str,
)
def test_a_grant_that_is_repeated_passes_no_limit(changes: dict[str, Any]):
    engine = an_engine(a_policy(**changes))
    engine.send(*seen(*(a_pod(f"t-{n}") for n in range(5))))
    assert len(engine.state.bursts) == 2


def test_the_reasons_of_a_repeated_grant_are_the_pods_own():
    engine = an_engine(a_policy())
    engine.send(*seen(a_pod("a", since=T0 - 2_000), a_pod("b", since=T0 - 1_000)))
    waited = {decision.subject: decision.reasons[0].numbers["pending_ms"] for decision in engine.decisions}
    assert waited == {"bank/a": 2_000, "bank/b": 1_000}
    assert [len(decision.reasons) for decision in engine.decisions] == [4, 4]


def test_a_rule_that_reads_the_pod_is_asked_for_each(judged: list[str]):
    engine = an_engine(a_policy(wait=Wait(mode="BuyOrWait")))
    engine.send(*seen(*(a_pod(f"t-{n}", cpu=64_000) for n in range(5))))
    assert len(judged) == 5


@pytest.mark.parametrize(
    ("when", "want"), [("pod.priority > 0", True), ("pending.pods > 3", False), ("podium", False), ("", False)]
)
def test_whether_a_condition_reads_the_pod(when: str, want: bool):
    assert queues._tells_pods_apart(when) is want


def test_a_step_judges_a_bounded_number_and_the_next_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queues, "JUDGEMENTS_MAX", 3)
    engine = an_engine(a_policy())
    engine.send(*seen(*(a_pod(f"t-{n}") for n in range(7))))
    counts = [len(engine.state.bursts)]
    while unfinished(engine.state):
        engine.send()
        counts.append(len(engine.state.bursts))
    assert counts == [3, 6, 7]
    assert len({entry.burst.spec.for_pod.name for entry in engine.state.bursts.values()}) == 7


def test_who_comes_before_a_pass_has_reached_the_end_is_not_forgotten(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queues, "JUDGEMENTS_MAX", 2)
    engine = an_engine(a_policy(max_bursts=3))
    engine.send(*seen(*(a_pod(f"t-{n}", cpu=1_000 + n) for n in range(4))))
    engine.send(*seen(a_pod("first", priority=9), a_pod("last", priority=-9)))
    while unfinished(engine.state):
        engine.send()
    assert len(engine.state.bursts) == 3
    waiting = [key for key, entry in engine.state.pods.items() if not entry.burst]
    assert all(engine.state.pods[key].verdict == ("Wait", "PolicyMaxBursts") for key in waiting)


# --- turns


def test_policies_take_turns_so_that_the_last_room_is_shared():
    jobs = a_policy("a-jobs", workload=WorkloadSelector(pod_name_pattern="job-.*"))
    web = a_policy("b-web", workload=WorkloadSelector(pod_name_pattern="web-.*"))
    engine = an_engine(jobs, web, limits=Limits(max_bursts=4))
    engine.send(*seen(*(a_pod(f"job-{n}") for n in range(9)), *(a_pod(f"web-{n}") for n in range(9))))
    policies = sorted(entry.burst.spec.policy for entry in engine.state.bursts.values())
    assert policies == ["a-jobs", "a-jobs", "b-web", "b-web"]


def test_room_that_another_burst_evens_out_is_found_in_the_end():
    north = a_target(name="north", region="northeurope", sizes=())
    rules = a_policy(
        placement=Placement(targets=("azure", "north"), spread=Spread(by="region", required=True, max_skew=1))
    )
    engine = an_engine(
        rules, offerings=(an_offering(2, resources=Resources(cpu_millicores=2_000, memory_bytes=8 * GIB)),)
    )
    small_only_here = Resources(cpu_millicores=2_000, memory_bytes=4 * GIB)
    engine.send(
        s.TargetSeen(target=north),
        s.OfferingsSeen(
            target="north", offerings=(an_offering(2, target="north", region="northeurope", resources=small_only_here),)
        ),
    )
    big = [a_pod(f"big-{n}", memory=8 * GIB, priority=5) for n in range(2)]
    engine.send(*seen(*big, a_pod("small", memory=GIB)))
    while unfinished(engine.state):
        engine.send()
    where = {entry.burst.spec.for_pod.name: entry.burst.spec.target for entry in engine.state.bursts.values()}
    assert where == {"big-0": "azure", "small": "north", "big-1": "azure"}


def test_a_number_of_replicas_answers_pods_together():
    engine = an_engine(a_policy(strategy="Scale"))
    engine.send(*seen(a_service_pod("web-1"), a_service_pod("web-2")))
    assert not engine.state.bursts
    assert engine.codes("bank/web-1") == ["CountedForReplicas"]
    assert len(engine.state.policies["bank/tasks"].queued) == 2


def test_a_crowd_that_comes_at_once_is_passed_through_in_order(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(queues, "JUDGEMENTS_MAX", 100)
    engine = an_engine(a_policy())
    engine.send(*seen(*(a_pod(f"t-{n:03d}", since=T0 - n) for n in range(300))))
    policy = engine.state.policies["bank/tasks"]
    assert policy.passing
    assert {entry.burst.spec.for_pod.name for entry in engine.state.bursts.values()} == {
        f"t-{n:03d}" for n in range(200, 300)
    }, "who has waited longest first"
    engine.send(*seen(a_pod("urgent", priority=9)))
    while unfinished(engine.state):
        engine.send()
    assert len(engine.state.bursts) == 301
    assert not policy.queued
    assert not policy.fresh


@pytest.mark.parametrize(
    ("fresh", "queued", "want"), [(256, 256, False), (257, 257, True), (257, 513, True), (257, 514, False)]
)
def test_when_all_of_a_queue_is_passed_through_for_the_new_ones(fresh: int, queued: int, want: bool):
    engine = an_engine(filtering(min_count=9_999))
    policy = engine.state.policies["bank/tasks"]
    engine.send(*seen(*(a_pod(f"t-{n:03d}") for n in range(queued))))
    policy.fresh = list(policy.queued)[:fresh]
    assert queues._are_most(policy) is want
