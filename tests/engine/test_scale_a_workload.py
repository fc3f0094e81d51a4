"""Strategy Scale, end to end through the engine: values in, SetScale out, with KEDA's and the HPA's own times."""

import msgspec
import pytest

from burster.engine import next_due_ms, step
from burster.engine.snapshot import dump, restore
from burster.model import stimuli as s
from burster.model.limits import Budget, Limits
from burster.model.pods import Resources
from burster.model.policies import Placement, WorkloadSelector
from burster.model.scaling import Behavior, Direction, Fallback, Scaling, ScalingModifiers, Step
from burster.model.triggers import (
    CronTrigger,
    ExternalTrigger,
    PendingPodsTrigger,
    PrometheusTrigger,
    ResourceTrigger,
    WorkloadRef,
)
from tests.support.builders import GIB, T0, Engine, a_policy, a_service_pod, a_target, an_offering


KEY = "bank/classic"
CLOUD = WorkloadRef(name="cloud-deployment")
QUERY = 'sum(kube_pod_status_phase{phase="Pending", namespace="default",pod=~"on-prem-deployment.*"})'


def prometheus(name="pending", **changes):
    return PrometheusTrigger(name=name, server_address="https://thanos:9092", query=QUERY, **changes)


def a_scaling_policy(*triggers, **changes):
    scaling = {"target": CLOUD, "max_replicas": 4} | changes.pop("scaling", {})
    return a_policy(
        "classic",
        triggers=triggers or (prometheus(),),
        scaling=Scaling(**scaling),
        placement=Placement(**({"targets": ("azure",), "strategy": "Scale"} | changes.pop("placement", {}))),
        workload=WorkloadSelector(kind="Deployment", name="on-prem-deployment"),
        **changes,
    )


def cloud(replicas=0, status=None, ready=None, **changes):
    values = {
        "namespace": "bank",
        "kind": "Deployment",
        "name": "cloud-deployment",
        "replicas": replicas,
        "status_replicas": replicas if status is None else status,
        "ready_replicas": replicas if ready is None else ready,
        "requests": Resources(cpu_millicores=1000, memory_bytes=GIB),
        "runtime_class": "kata-remote",
        "size": "Standard_DC2es_v6",
    }
    return s.WorkloadSeen(**(values | changes))


def read(value, name="pending", at=None):
    return s.MetricRead(policy=KEY, trigger=name, at_ms=T0 if at is None else at, value_milli=round(value * 1000))


class Cluster(Engine):
    """An engine whose SetScale is carried out at once, and whose metric is read every 10 s."""

    def __init__(self, policy=None, workload=None, **target):
        super().__init__()
        self.value = None
        self.trigger = "pending"
        self.history = []
        self.workload = workload or cloud()
        self.sync(
            s.TargetSeen(target=a_target(**target)),
            s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
            s.PolicySeen(policy=policy or a_scaling_policy()),
            self.workload,
        )
        self.settle()

    def settle(self):
        """Carry out what was asked for; pods start and stop at once."""
        while asked := self.asked("SetScale"):
            self.workload = cloud(
                asked[-1].replicas, runtime_class=self.workload.runtime_class, size=self.workload.size
            )
            self.history.append((self.now - T0, asked[-1].replicas))
            self.send(s.ScaleSet(policy=KEY, replicas=asked[-1].replicas), self.workload)

    def reads(self, value, name="pending", at=None):
        self.value = value
        self.send(read(value, name, self.now if at is None else at))
        self.settle()

    def run(self, seconds, *, value=None):
        """Let virtual time pass, second by second where something is due, reading the metric every 10 s."""
        value = self.value if value is None else value
        self.value = value
        until = self.now + seconds * 1000
        next_read = self.now + 10_000
        while self.now < until:
            due = next_due_ms(self.state)
            self.now = min(until, next_read, max(self.now + 1, due if due is not None else until))
            news = []
            if self.now == next_read:
                next_read += 10_000
                if value is not None:
                    news = [read(value, self.trigger, self.now)]
            self.send(*news)
            self.settle()

    @property
    def replicas(self):
        return self.workload.replicas


def test_four_pending_pods_are_answered_by_four_replicas():
    world = Cluster()
    world.run(20, value=0)
    assert world.replicas == 0
    world.now = T0 + 21_000
    world.reads(4)
    assert world.history == [(21_000, 1)]  # at once: the reading is a push
    world.run(60)
    assert world.history == [(21_000, 1), (30_000, 4)]  # the sync counts on from there
    assert world.replicas == 4


def test_the_decision_tells_the_whole_chain():
    world = Cluster()
    world.reads(4)
    world.run(15)
    first, second = [one for one in world.decisions if one.verdict == "Scale"]
    assert [reason.code for reason in first.reasons] == ["ReplicasChanged", "ScaleTargetActivated", "TriggerValue"]
    assert first.policy == KEY
    assert first.subject == "bank/cloud-deployment"
    assert first.reasons[0].numbers == {"current": 0, "granted": 1, "wanted": 1}
    assert [reason.code for reason in second.reasons] == ["ReplicasChanged", "DesiredWithinRange", "TriggerValue"]
    assert second.reasons[0].sentence == "From 1 to 4 replicas, of 4 wanted."
    assert second.reasons[2].sentence == "pending is 4 for a target of 1, which proposes 4."
    assert second.reasons[2].numbers == {"value_milli": 4000, "target_milli": 1000, "proposed": 4}


def test_the_instruction_names_the_workload_and_is_one_at_a_time():
    world = Engine()
    world.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=a_scaling_policy()),
        cloud(),
    )
    world.send(read(4))
    (asked,) = world.asked("SetScale")
    assert (asked.key, asked.policy, asked.workload, asked.replicas) == (f"scale/{KEY}", KEY, CLOUD, 1)
    world.wait(15_000)
    assert not world.asked("SetScale")  # 4 are wanted, and 1 is not confirmed yet
    world.send(s.ScaleSet(policy=KEY, replicas=1), cloud(1))
    (asked,) = world.asked("SetScale")
    assert asked.replicas == 4


def test_a_hundred_are_reached_in_six_syncs():
    world = Cluster(a_scaling_policy(scaling={"max_replicas": 100}))
    world.reads(100)
    world.run(120)
    assert [number for _, number in world.history] == [1, 4, 8, 16, 32, 64, 100]
    assert [at for at, _ in world.history] == [0, 15_000, 30_000, 45_000, 60_000, 75_000, 90_000]


def test_it_goes_home_after_stabilization_and_cooldown():
    world = Cluster()
    world.reads(4)
    world.run(60)
    world.run(1, value=4)
    world.history.clear()
    began = world.now
    world.run(700, value=0)
    times = [(at + T0 - began, number) for at, number in world.history]
    assert [number for _, number in times] in ([0], [1, 0])
    assert all(290_000 <= at <= 340_000 for at, _ in times)


def test_a_missing_value_neither_buys_nor_gives_up():
    world = Cluster()
    world.run(120)
    assert world.history == []  # never read
    world.reads(2)
    world.run(30)
    assert world.replicas == 2
    world.value = None
    for _ in range(100):
        world.send(
            s.MetricFailed(policy=KEY, trigger="pending", at_ms=world.now + 10_000, message="503"), after_ms=10_000
        )
        world.settle()
    assert world.replicas == 2
    codes = [reason.code for one in world.decisions if one.verdict == "Scale" for reason in one.reasons]
    assert "ScaleTargetDeactivated" not in codes


@pytest.mark.parametrize(("age", "want"), [(120_000, 1), (120_001, 0)])
def test_a_stale_value_is_missing(age, want):
    world = Cluster()
    world.now = T0 + age
    world.reads(1, at=T0)
    assert world.replicas == want


def test_fallback_stands_for_a_value_after_more_failures_than_its_threshold():
    policy = a_scaling_policy(scaling={"fallback": Fallback(failure_threshold=2, replicas=3)})
    world = Cluster(policy)
    numbers = []
    for _ in range(5):
        world.send(
            s.MetricFailed(policy=KEY, trigger="pending", at_ms=world.now + 1_000, message="503"), after_ms=1_000
        )
        world.settle()
        numbers.append(world.replicas)
    assert numbers == [0, 0, 1, 1, 1]
    world.run(20)
    assert world.replicas == 3
    codes = {reason.code for one in world.decisions for reason in one.reasons}
    assert "TriggerFallback" in codes


def test_behavior_is_followed():
    up = Direction(stabilization_ms=0, steps=(Step(type="Pods", value=1, period_ms=15_000),))
    down = Direction(stabilization_ms=0, steps=(Step(type="Percent", value=50, period_ms=15_000),))
    world = Cluster(a_scaling_policy(scaling={"behavior": Behavior(scale_up=up, scale_down=down)}))
    world.reads(4)
    world.run(60)
    assert world.history == [(0, 1), (15_000, 2), (30_000, 3), (45_000, 4)]
    world.run(45, value=1)
    assert [number for _, number in world.history[4:]] == [2, 1]


def test_a_formula_joins_triggers():
    modifiers = ScalingModifiers(formula="pending + queue", target_milli=2000, activation_milli=3000)
    policy = a_scaling_policy(
        prometheus(), ExternalTrigger(name="queue"), scaling={"modifiers": modifiers, "max_replicas": 10}
    )
    world = Cluster(policy)
    world.send(read(1), read(2, "queue"))
    world.settle()
    assert world.replicas == 0  # 3 is not more than 3
    world.send(read(2), read(4, "queue"))
    world.settle()
    assert world.replicas == 1
    world.wait(15_000)
    world.settle()
    assert world.replicas == 3
    last = [one for one in world.decisions if one.verdict == "Scale"][-1]
    assert last.reasons[2].sentence == "composite-metric is 6 for a target of 2, which proposes 3."


def test_cron_scales_while_its_window_is_open():
    cron = CronTrigger(name="work", start="0 9 * * *", end="0 17 * * *", timezone="UTC", desired_replicas=3)
    world = Cluster(a_scaling_policy(cron))
    world.run(3_590)
    assert world.history == []
    world.run(60)  # T0 is 08:00
    assert [number for _, number in world.history] == [1, 3]
    assert world.history[0][0] == 3_600_000
    world.run(8 * 3_600)
    assert world.replicas == 3
    world.run(700)
    assert world.replicas == 0


def test_memory_that_is_short_on_prem_is_lacking_in_the_cloud():
    memory = ResourceTrigger(
        name="memory", resource="memory", source=WorkloadRef(name="on-prem-deployment"), threshold_milli=70_000
    )
    world = Cluster(a_scaling_policy(memory, scaling={"max_replicas": 10}))

    def use(percent, replicas=4):
        pods = tuple(s.PodUse(usage=percent * 10, request=1000, started_at_ms=0) for _ in range(replicas))
        world.send(s.ResourceRead(policy=KEY, trigger="memory", at_ms=world.now, replicas=replicas, pods=pods))
        world.settle()

    use(70)
    assert world.replicas == 0
    use(105)
    assert world.replicas == 1  # 6 are needed, 4 are there; first one
    world.wait(15_000)
    world.settle()
    assert world.replicas == 2
    last = [one for one in world.decisions if one.verdict == "Scale"][-1]
    assert last.reasons[2].sentence == "memory is 105 for a target of 70: 2 are lacking on-prem, which proposes 2."


def test_pending_pods_are_counted_and_not_bought_for_one_by_one():
    world = Cluster(a_scaling_policy(PendingPodsTrigger(pending_for_ms=0)))
    world.send(*(s.PodSeen(pod=a_service_pod(f"p-{n}")) for n in range(3)))
    world.settle()
    assert world.replicas == 1
    world.run(20)
    assert world.replicas == 3
    assert not world.state.bursts
    assert world.codes("bank/p-0") == ["CountedForReplicas"]


def test_money_is_set_aside_for_each_replica_and_booked_when_it_has_left():
    world = Cluster()
    world.reads(4)
    world.run(15)
    scope = world.state.policies[KEY].scope
    worst = 120_000 * (300_000 + 3_000_000 + 600_000) // 3_600_000
    assert scope.account.outstanding_micro_usd == 4 * worst
    assert (scope.active, scope.vcpus) == (4, 8)
    world.send(cloud(0), after_ms=3_600_000 - 15_000 - 60_000)
    spent = sum(one.micro_usd for one in world.spends)
    assert scope.account.outstanding_micro_usd == 0
    assert scope.active == 0
    assert spent == scope.account.settled_total_micro_usd
    hour = 120_000 * (3_600_000 - 60_000) // 3_600_000
    going = 10_000  # five minutes more of each, until its VM is gone
    assert spent == hour + going + 3 * (hour - 500 + going)
    assert len({one.uid for one in world.spends}) == len(world.spends)


@pytest.mark.parametrize(("drain", "paid_until_gone"), [(30_000, 300_000), (300_001, 300_001), (600_000, 600_000)])
def test_a_replicas_money_covers_the_time_in_which_its_vm_goes(drain, paid_until_gone):
    world = Cluster(a_scaling_policy(placement={"drain_ms": drain}))
    world.reads(1)
    account = world.state.policies[KEY].scope.account
    reserved = -(-120_000 * (300_000 + 3_000_000 + paid_until_gone) // 3_600_000)
    assert account.outstanding_micro_usd == reserved
    world.send(cloud(1), after_ms=3_000_000)  # renewed once: what it has cost so far is booked
    held = world.state.scale_books[KEY].leases[0].held_micro_usd
    assert account.settled_total_micro_usd == 100_000
    assert held == reserved
    world.send(cloud(0), after_ms=600_000)
    assert account.settled_total_micro_usd == 100_000 + 20_000 + 10_000
    assert account.outstanding_micro_usd == 0


def test_as_many_as_the_budget_bears_and_it_is_said_once():
    worst = 130_000
    world = Cluster(a_scaling_policy(limits=Limits(budget=Budget(per_day_micro_usd=2 * worst))))
    world.reads(4)
    world.run(40)
    assert world.replicas == 2
    held = [one for one in world.decisions if one.verdict == "Scale" and one.reasons[0].code == "PolicyBudget"]
    assert len(held) == 1
    assert held[0].reasons[1].sentence == "From 1 to 2 replicas, of 4 wanted."
    world.run(300)
    assert len([one for one in world.decisions if one.reasons[0].code == "PolicyBudget"]) == 1


def test_limits_of_number_hold():
    world = Cluster(a_scaling_policy(limits=Limits(max_bursts=3)))
    world.reads(4)
    world.run(40)
    assert world.replicas == 3
    assert any(one.reasons[0].code == "PolicyMaxBursts" for one in world.decisions)


@pytest.mark.parametrize(
    ("workload", "code"),
    [
        (cloud(runtime_class=""), "NotConfidential"),
        (cloud(runtime_class="kata"), "NotConfidential"),
        (cloud(owner="HorizontalPodAutoscaler/x"), "ScaleTargetOwned"),
    ],
)
def test_a_workload_that_may_not_be_scaled_is_left_alone(workload, code):
    world = Cluster(workload=workload)
    world.reads(4)
    world.run(60)
    assert world.history == []
    assert [one.reasons[0].code for one in world.decisions if one.verdict == "Scale"] == [code]


def test_a_workload_that_nobody_has_seen_is_waited_for():
    world = Engine()
    world.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=a_scaling_policy()),
    )
    world.send(read(4))
    assert [one.reasons[0].code for one in world.decisions] == ["ScaleTargetUnknown"]
    world.send(cloud())
    assert [one.replicas for one in world.asked("SetScale")] == [1]


def test_a_restart_goes_on_from_the_number_that_is_there():
    world = Cluster(workload=cloud(3))
    assert world.state.policies[KEY].scope.active == 3
    assert world.history == []
    world.run(40, value=3)
    assert world.history == []
    assert world.state.policies[KEY].scope.active == 3


@pytest.mark.parametrize(("restore", "want"), [(True, 2), (False, 0)])
def test_a_policy_that_goes_takes_its_replicas_with_it(restore, want):
    world = Cluster(a_scaling_policy(scaling={"restore_to_original": restore}), workload=cloud(2))
    world.reads(4)
    world.run(40)
    assert world.replicas == 4
    world.send(s.PolicyGone(key=KEY))
    world.settle()
    assert world.replicas == want
    world.wait(1000)
    assert world.state.scale_books == {}
    assert world.state.scopes["Policy", KEY].account.outstanding_micro_usd == 0


def test_leases_are_renewed_in_time_and_given_up_where_money_is_out():
    worst = 130_000
    world = Cluster(a_scaling_policy(limits=Limits(budget=Budget(per_day_micro_usd=2 * worst + 150_000))))
    world.reads(2)
    account = world.state.policies[KEY].scope.account
    world.run(2_900)
    assert world.replicas == 2
    world.run(200)
    assert world.replicas == 1  # money for one more lease, not for two
    world.run(12_000)
    assert world.replicas == 0
    assert account.settled_total_micro_usd + account.outstanding_micro_usd <= 2 * worst + 150_000
    assert any(one.reasons[0].code == "LeaseNotRenewed" for one in world.decisions)


def test_a_number_that_could_not_be_set_is_set_again_and_costs_nothing():
    world = Engine()
    world.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PolicySeen(policy=a_scaling_policy()),
        cloud(),
    )
    world.send(read(1))
    failed = s.InstructionFailed(instruction="SetScale", key=f"scale/{KEY}", subject=KEY, kind="Conflict", message="x")
    world.send(failed)
    assert world.state.policies[KEY].scope.account.outstanding_micro_usd == 0
    assert not world.asked("SetScale")
    world.wait(1_000)
    assert [one.replicas for one in world.asked("SetScale")] == [1]
    assert world.spends == []


def test_everything_comes_home_when_somebody_asks():
    world = Cluster()
    world.reads(2)
    world.run(30)
    assert world.replicas == 2
    world.send(s.DrainRequested())
    world.run(31)
    assert world.replicas == 0


def an_engine(policy=None, *more):
    world = Engine()
    world.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        s.PolicySeen(policy=policy or a_scaling_policy()),
        cloud(),
        *more,
    )
    return world


@pytest.mark.parametrize(("after", "want"), [(89_999, 0), (90_000, 1)])
def test_an_instruction_that_nobody_has_heard_of_is_asked_for_again(after, want):
    world = an_engine()
    world.send(read(1))
    assert len(world.asked("SetScale")) == 1
    world.wait(after)
    assert len(world.asked("SetScale")) == want


def test_a_number_that_somebody_else_has_set_is_gone_on_from():
    world = Cluster()
    world.reads(2)
    world.run(30)
    assert world.replicas == 2
    world.workload = cloud(4)
    world.history.clear()
    world.send(world.workload)
    world.settle()
    assert world.state.policies[KEY].scope.active == 4  # they run, so their money is set aside
    world.run(40)
    assert world.history == [(45_000, 2)]  # the HPA's memory holds what it recommended, and that was 2


def test_a_number_that_burster_once_asked_for_is_somebody_else_s_when_it_comes_again_and_nothing_is_known():
    world = Cluster()
    world.reads(2)
    world.run(30)
    assert world.replicas == 2
    world.send(s.MetricFailed(policy=KEY, trigger="pending", at_ms=world.now, message="down"))
    world.value = None
    world.history.clear()
    for number in (1, 2):  # the last number that was asked for is 2
        world.workload = cloud(number)
        world.send(world.workload)
        world.settle()
    assert world.history == []


def test_a_size_that_the_template_does_not_name_is_reserved_as_the_dearest_that_fits():
    world = an_engine()
    world.send(cloud(size=""), read(1))
    worst = 240_000 * (300_000 + 3_000_000 + 600_000) // 3_600_000
    scope = world.state.policies[KEY].scope
    assert (scope.account.outstanding_micro_usd, scope.vcpus) == (worst, 4)


def test_a_size_that_the_policy_does_not_list_is_refused():
    policy = a_scaling_policy(placement={"sizes": ("Standard_DC4es_v6",)})
    world = an_engine(policy)
    world.send(read(1))
    assert not world.asked("SetScale")
    assert [one.reasons[0].code for one in world.decisions if one.verdict == "Scale"] == ["NoSizeAllowed"]


def test_a_policy_that_scales_another_workload_brings_the_former_one_home_first():
    world = an_engine()
    world.send(read(1))
    world.send(s.ScaleSet(policy=KEY, replicas=1), cloud(1))
    other = a_scaling_policy(scaling={"target": WorkloadRef(name="other")})
    world.send(s.PolicySeen(policy=other), cloud(0, name="other"), read(1, at=world.now))
    (asked,) = world.asked("SetScale")
    assert (asked.workload.name, asked.replicas) == ("cloud-deployment", 0)
    world.send(s.ScaleSet(policy=KEY, replicas=0), cloud(0))
    world.send(read(1, at=world.now + 30_000), after_ms=30_000)
    world.wait(30_000)
    names = [one.workload.name for one in world.instructions if type(one).__name__ == "SetScale"]
    assert names in ([], ["other"])
    assert world.state.scale_books[KEY].workload.name == "other"


def test_a_policy_that_is_about_pods_now_has_no_number():
    world = an_engine()
    world.send(read(1))
    assert world.state.policies[KEY].scaler is not None
    world.send(s.PolicySeen(policy=a_policy("classic")))
    assert world.state.policies[KEY].scaler is None


def test_a_refusal_ends_when_money_is_there_again():
    limits = Limits(budget=Budget(per_hour_micro_usd=130_000))
    world = Cluster(a_scaling_policy(limits=limits, placement={"lease_ms": 600_000}))
    world.reads(2)
    world.run(60)
    assert world.replicas == 2
    world.run(1_200)
    assert world.state.policies[KEY].scope.account.outstanding_micro_usd <= 130_000


def test_a_stale_refusal_is_not_acted_on_when_nothing_is_wanted_any_more():
    world = Cluster(a_scaling_policy(limits=Limits(budget=Budget(per_day_micro_usd=1))))
    world.reads(2)
    assert world.replicas == 0
    assert world.codes() == ["PolicyBudget"]
    world.run(40, value=0)
    world.send(s.PolicySeen(policy=a_scaling_policy()))
    world.settle()
    world.run(40, value=0)
    assert world.history == []


def test_a_snapshot_goes_on_as_the_state_it_was_made_of():
    rules = Direction(stabilization_ms=30_000, steps=(Step(type="Pods", value=1, period_ms=15_000),))
    world = Cluster(a_scaling_policy(scaling={"behavior": Behavior(scale_up=rules, scale_down=rules)}))
    world.reads(4)
    world.run(100)
    copy = restore(dump(world.state))
    for n in range(12):
        now = world.now + 15_000 * (n + 1)
        facts = [read(n % 5, at=now), cloud(n % 4)]
        ours, theirs = step(world.state, facts, now), step(copy, facts, now)
        assert (ours.instructions, ours.decisions, ours.spends) == (
            theirs.instructions,
            theirs.decisions,
            theirs.spends,
        )


def test_a_workload_that_goes_with_its_policy_is_settled_and_forgotten():
    world = Cluster()
    world.reads(2)
    world.run(30)
    gone = s.WorkloadGone(namespace="bank", kind="Deployment", name="cloud-deployment")
    world.send(s.PolicyGone(key=KEY), gone, after_ms=60_000)
    assert world.state.scale_books == {}
    assert world.state.scopes["Policy", KEY].account.outstanding_micro_usd == 0
    assert sum(one.micro_usd for one in world.spends) > 0


def test_a_replica_that_does_not_go_is_paid_for_in_advance_all_the_same():
    world = an_engine(a_scaling_policy(limits=Limits(budget=Budget(per_day_micro_usd=150_000))))
    world.send(read(1))
    world.send(s.ScaleSet(policy=KEY, replicas=1), cloud(1))
    for _ in range(10):
        world.send(read(1, at=world.now + 300_000), after_ms=300_000)
    (lease,) = world.state.scale_books[KEY].leases
    assert lease.ending
    assert lease.until_ms == T0 + 3_300_000
    world.send(cloud(0, status=1), after_ms=300_000)  # its number is 0, and its pod hangs
    (lease,) = world.state.scale_books[KEY].leases
    ahead = 120_000 * (600_000 + 300_000) // 3_600_000
    assert lease.held_micro_usd == ahead
    assert lease.until_ms == world.now + 300_000 + 300_000
    world.send(cloud(0), after_ms=1_000)
    assert world.state.scale_books[KEY].leases == []
    assert world.state.policies[KEY].scope.account.outstanding_micro_usd == 0


def test_two_policies_do_not_set_one_number_in_turns():
    world = Cluster()
    second = msgspec.structs.replace(a_scaling_policy(), name="also")
    world.send(s.PolicySeen(policy=second))
    world.reads(3)
    world.run(60)
    numbers = [number for _, number in world.history]
    assert numbers == [1, 3]
    assert list(world.state.scale_books) == [KEY]
    held, *more = [one for one in world.decisions if one.policy == "bank/also" and one.verdict == "Scale"]
    assert {one.reasons[0].code for one in (held, *more)} == {"ScaleTargetOwned"}
    assert held.reasons[0].sentence == (
        f"Policy {KEY} sets the number of Deployment cloud-deployment: remove it, or let the strategy be Signal."
    )
    assert world.state.targets["azure"].scope.active == 3
    world.send(s.PolicyGone(key=KEY))
    world.settle()
    assert world.replicas == 0  # as the first one had found it
    world.send(s.MetricRead(policy="bank/also", trigger="pending", at_ms=world.now, value_milli=2_000), after_ms=1_000)
    assert [(one.policy, one.replicas) for one in world.asked("SetScale")] == [("bank/also", 1)]
