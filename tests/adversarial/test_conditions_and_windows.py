"""Policies that come into force and go out of it, conditions that lie, and versions that are refused, in a running engine."""

import os
import subprocess
import sys
from typing import Any

import pytest

from burster.engine import observe_rules as rules
from burster.engine.condition_view import see
from burster.model import stimuli as s
from burster.model.limits import Budget
from burster.model.pods import Resources
from burster.model.policies import Confidential, Placement, Policy
from burster.model.scaling import Scaling
from burster.model.triggers import ExternalTrigger, PendingPodsTrigger, PrometheusTrigger
from burster.model.triggers import WorkloadRef as TriggerWorkload
from burster.model.windows import Window
from burster.policy.conditions import Unknown, compile_condition
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_service_pod, a_target, an_offering


MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def an_engine(*stimuli: s.Stimulus, policy: Policy, **target: Any) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy),
        s.TargetSeen(target=a_target(**target)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        *stimuli,
    )
    return engine


def wake_until(engine: Engine, until_ms: int) -> int:
    """Step at each instant the engine itself asks for, until a burst is decided or the time is over; return how often."""
    from burster.engine.step import next_due_ms

    for count in range(3_000):
        due = next_due_ms(engine.state)
        if engine.asked("RecordBurst") or due is None or due > until_ms:
            return count
        engine.send(after_ms=max(0, due - engine.now))
    raise AssertionError("it never stops waking")


def capacity(cpu: int, asked: int) -> s.CapacitySeen:
    return s.CapacitySeen(
        nodes=3,
        allocatable=Resources(cpu_millicores=cpu, memory_bytes=8 * GIB),
        requested=Resources(cpu_millicores=asked, memory_bytes=GIB),
    )


# --- time -------------------------------------------------------------------------------------------------------------


def test_a_pod_bursts_at_the_instant_its_window_opens_without_any_news():
    window = Window(timezone="Europe/Berlin", start="0 12 * * *", end="0 18 * * *")
    engine = an_engine(s.PodSeen(pod=a_pod()), policy=a_policy(windows=(window,)))
    assert engine.codes("bank/task-1") == ["OutsideWindows"]
    assert wake_until(engine, T0 + DAY) < 5, "it is not looked at in between"
    assert engine.now == T0 + 3 * HOUR
    assert [one.burst.spec.for_pod.name for one in engine.asked("RecordBurst")] == ["task-1"]


def test_a_blackout_that_begins_leaves_what_runs_alone():
    freeze = Window(name="freeze", timezone="UTC", start="30 8 * * *", end="0 20 * * *")
    engine = an_engine(s.PodSeen(pod=a_service_pod("web-1")), policy=a_policy(blackouts=(freeze,)))
    burst = engine.to_serving()
    engine.send(after_ms=HOUR)
    engine.send(s.PodSeen(pod=a_service_pod("web-2")))
    assert engine.codes("bank/web-2") == ["Blackout"]
    assert engine.phase(burst.key) == "Serving"
    assert not engine.asked("DeletePod")


def test_a_window_that_never_opens_again_asks_for_no_waking():
    engine = an_engine(
        s.PodSeen(pod=a_pod()), policy=a_policy(windows=(Window(timezone="UTC", last_day="2020-01-01"),))
    )
    assert engine.codes("bank/task-1") == ["OutsideWindows"]
    assert wake_until(engine, T0 + 400 * DAY) < 3


def test_the_clock_that_runs_backwards_opens_nothing():
    window = Window(timezone="UTC", start="0 6 * * *", end="0 8 * * *")  # closes at T0
    engine = an_engine(s.PodSeen(pod=a_pod()), policy=a_policy(windows=(window,)))
    engine.now -= HOUR
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    assert engine.codes("bank/task-2") == ["OutsideWindows"]


# --- conditions -------------------------------------------------------------------------------------------------------


def test_news_of_the_nodes_opens_a_condition_at_once():
    engine = an_engine(s.PodSeen(pod=a_pod()), policy=a_policy(when="onprem.cpuPercent > 90.0"))
    assert engine.codes("bank/task-1") == ["WhenUnknown"]
    engine.send(capacity(8000, 4000), after_ms=10)
    assert engine.codes("bank/task-1") == ["WhenUnknown", "WhenFalse"]
    engine.send(capacity(8000, 7900), after_ms=10)
    assert len(engine.asked("RecordBurst")) == 1


def test_news_of_a_metric_opens_a_condition_at_once():
    queue = ExternalTrigger(name="queue")
    policy = a_policy(
        when='metrics["queue"] > 10.5',
        triggers=(PendingPodsTrigger(pending_for_ms=0), queue),
        placement=Placement(targets=("azure",), strategy="Move"),
    )
    engine = an_engine(s.PodSeen(pod=a_pod()), policy=policy)
    assert engine.codes("bank/task-1") == ["WhenUnknown"]

    def read(value_milli: int) -> None:
        engine.now += 1_000
        engine.send(s.MetricRead(policy="bank/tasks", trigger="queue", at_ms=engine.now, value_milli=value_milli))

    read(10_500)
    assert engine.codes("bank/task-1") == ["WhenUnknown", "WhenFalse"]
    engine.send(
        s.MetricFailed(policy="bank/tasks", trigger="queue", at_ms=engine.now + 1, message="timeout"), after_ms=1
    )
    assert engine.codes("bank/task-1") == ["WhenUnknown", "WhenFalse", "WhenUnknown"]
    read(10_501)
    assert len(engine.asked("RecordBurst")) == 1


def test_a_condition_on_the_time_is_asked_each_minute():
    engine = an_engine(s.PodSeen(pod=a_pod()), policy=a_policy(when='now >= timestamp("2026-01-05T08:03:30Z")'))
    assert engine.codes("bank/task-1") == ["WhenFalse"]
    wake_until(engine, T0 + HOUR)
    assert engine.now == T0 + 4 * MINUTE
    assert len(engine.asked("RecordBurst")) == 1


def test_a_condition_on_the_number_that_waits_lets_all_of_them_go_when_it_is_reached():
    engine = an_engine(policy=a_policy(when="pending.count >= 3"))
    engine.send(s.PodSeen(pod=a_pod("a")))
    engine.send(s.PodSeen(pod=a_pod("b")))
    assert engine.codes("bank/a") == engine.codes("bank/b") == ["WhenFalse"]
    engine.send(s.PodSeen(pod=a_pod("c")))
    assert len(engine.asked("RecordBurst")) == 3, "also those that came before it was reached"


def test_a_condition_holds_for_a_whole_step_though_its_own_starts_would_change_it():
    engine = an_engine(
        *(s.PodSeen(pod=a_pod(f"task-{number}")) for number in range(5)),
        policy=a_policy(when="cloud.bursts < 1 && pending.count >= 5"),
    )
    assert len(engine.asked("RecordBurst")) == 5


def test_each_pod_gets_its_own_answer_though_they_are_alike():
    engine = an_engine(
        *(s.PodSeen(pod=a_pod(f"task-{number}", labels={"shard": str(number)})) for number in range(6)),
        policy=a_policy(when='pod.labels["shard"] in ["1", "4"]'),
    )
    assert sorted(one.burst.spec.for_pod.name for one in engine.asked("RecordBurst")) == ["task-1", "task-4"]
    assert engine.codes("bank/task-0") == engine.codes("bank/task-5") == ["WhenFalse"]


@pytest.mark.parametrize(
    "when",
    [
        'metrics["queue"] > 0.0',
        '!(metrics["queue"] > 0.0)',
        'metrics["queue"] > 0.0 || !(metrics["queue"] > 0.0)',
        "onprem.cpu.free > 0.0 || onprem.cpu.free <= 0.0",
        "100 / cloud.bursts > 0",
        "cloud.byTarget.azure < 5",
        "pod.labels.exists(k, pod.labels[k + k] == k) || pod.labels.gone == ''",
        "pending.cuont > 0",
        "pending.count",
        "(",
    ],
)
def test_what_can_not_be_answered_never_buys(when: str):
    engine = an_engine(s.PodSeen(pod=a_pod(labels={"a": "b"})), policy=a_policy(when=when))
    assert engine.codes("bank/task-1") == ["WhenUnknown"]
    for _ in range(5):
        engine.send(after_ms=MINUTE)
        assert not engine.asked("RecordBurst")


def test_no_limit_of_money_is_no_obstacle_to_a_condition_on_money():
    engine = an_engine(
        s.PodSeen(pod=a_pod()), policy=a_policy(when="budget.day.left > 1000000.0 && budget.hour.left > 1.0")
    )
    assert len(engine.asked("RecordBurst")) == 1
    poor = an_engine(
        s.PodSeen(pod=a_pod()),
        policy=a_policy(when="budget.day.left > 10.0", budget=Budget(per_day_micro_usd=10_000_000)),
    )
    assert poor.codes("bank/task-1") == ["WhenFalse"]


def test_a_condition_over_thousands_of_pods_is_looked_up_once_a_step(monkeypatch: pytest.MonkeyPatch):
    looked: list[str] = []

    def counting(state: Any, entry: Any, names: Any, pod: Any = None) -> Any:
        looked.append("pod" if pod else "all")
        return see(state, entry, names, pod)

    monkeypatch.setattr("burster.engine.eligibility.see", counting)
    pods = [s.PodSeen(pod=a_pod(f"task-{number}")) for number in range(300)]
    an_engine(*pods, policy=a_policy(when="pending.oldestSeconds >= 0.0 && pending.cpu > 1.0"))
    assert looked == ["all"]
    looked.clear()
    an_engine(*pods, policy=a_policy(when="pending.oldestSeconds >= 0.0 && pod.priority > 1"))
    assert looked.count("all") == 1
    assert looked.count("pod") == 300


def test_the_answer_and_its_words_do_not_depend_on_the_order_of_a_map_in_memory():
    program = (
        "from burster.policy.conditions import compile_condition as c\n"
        "m = {k: 1.0 for k in 'qwertyuiop'}\n"
        "l = {k: k for k in 'asdfghjkl'}\n"
        "for t in ('metrics.all(k, metrics[k + k] > 0.0)', 'metrics.exists(k, metrics[k + \"x\"] > 0.0)',\n"
        "          'pod.labels.exists_one(k, k > \"g\" && metrics[k] > 0.0)',\n"
        "          'pod.labels.exists(k, pod.labels[k] == \"a\" || metrics[k] > 0.0)'):\n"
        "    print(c(t).holds({'metrics': m, 'pod.labels': l}))\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in range(3)
    }
    assert len(outputs) == 1
    assert next(iter(outputs)).count("an entry it goes through has no answer") == 3


def test_a_condition_can_not_be_made_costly():
    numbers = ",".join(str(number) for number in range(400))
    one_loop = compile_condition(f"[{numbers}].all(x, x >= 0)")
    assert one_loop.holds({}) is True
    labels = {f"label-{number}": "x" * 60 for number in range(9_999)}
    assert compile_condition("pod.labels.all(k, size(k) > 3)").holds({"pod.labels": labels}) is True
    labels |= {"one": "more", "and": "another"}
    assert isinstance(compile_condition("pod.labels.all(k, size(k) > 1)").holds({"pod.labels": labels}), Unknown)


# --- versions that are refused ----------------------------------------------------------------------------------------


def refused(key: str = "bank/tasks", generation: int = 2) -> s.PolicyRefused:
    return s.PolicyRefused(key=key, generation=generation, message="spec.limits: no.")


def test_a_refused_version_keeps_what_runs_and_renews_its_lease():
    engine = an_engine(s.PodSeen(pod=a_service_pod("web-1")), policy=a_policy(generation=1, lease_ms=20 * MINUTE))
    burst = engine.to_serving()
    engine.send(refused())
    assert engine.phase(burst.key) == "Serving"
    for _ in range(30):
        engine.send(after_ms=MINUTE)
    assert engine.phase(burst.key) == "Serving"
    assert "LeaseRenewed" in engine.codes()
    engine.send(s.PodSeen(pod=a_service_pod("web-2")))
    assert engine.codes("bank/web-2") == ["PolicyRefused"]


@pytest.mark.parametrize("same", [True, False])
def test_a_valid_version_lets_those_go_that_were_refused(same: bool):
    engine = an_engine(refused(), s.PodSeen(pod=a_pod()), policy=a_policy(generation=1))
    assert engine.codes("bank/task-1") == ["PolicyRefused"]
    assert not engine.asked("RecordBurst")
    engine.send(s.PolicySeen(policy=a_policy(generation=1 if same else 3)))
    assert len(engine.asked("RecordBurst")) == 1
    assert not engine.state.refused


def test_the_same_refusal_twice_is_no_news():
    engine = an_engine(refused(), policy=a_policy())
    entry = engine.state.policies["bank/tasks"]
    entry.reopened = False
    rules.policy_refused(engine.state, refused())
    assert not entry.reopened
    rules.policy_refused(engine.state, refused(generation=3))
    assert entry.reopened
    entry.reopened = False
    rules.policy_accepted(engine.state, "bank/tasks")
    assert entry.reopened
    entry.reopened = False
    rules.policy_accepted(engine.state, "bank/tasks")
    assert not entry.reopened


def test_a_policy_that_was_never_valid_has_no_rules_and_starts_nothing():
    engine = Engine()
    engine.sync(
        refused("bank/unknown"),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PodSeen(pod=a_pod()),
    )
    assert not engine.asked("RecordBurst")
    assert engine.state.refused["bank/unknown"].message == "spec.limits: no."
    assert not engine.state.policies
    engine.send(s.PolicyGone(key="bank/unknown"))
    assert not engine.state.refused


def test_a_policy_that_goes_is_forgotten_as_refused_and_its_bursts_come_home():
    engine = an_engine(s.PodSeen(pod=a_service_pod("web-1")), policy=a_policy())
    burst = engine.to_serving()
    engine.send(refused())
    engine.send(s.PolicyGone(key="bank/tasks"))
    assert engine.phase(burst.key) == "Draining"
    assert not engine.state.refused


# --- what a place must prove ------------------------------------------------------------------------------------------


def test_a_namespace_that_is_labelled_lets_its_pods_go_and_one_that_loses_it_does_not():
    engine = an_engine(s.PodSeen(pod=a_pod()), policy=a_policy(), required_namespace_labels={"confidential": "yes"})
    assert engine.codes("bank/task-1") == ["NamespaceUnknown"]
    engine.send(s.NamespaceSeen(name="other", labels={"confidential": "yes"}))
    engine.send(s.NamespaceSeen(name="bank", labels={"confidential": "no"}))
    assert engine.codes("bank/task-1") == ["NamespaceUnknown", "NamespaceNotOptedIn"]
    engine.send(s.NamespaceSeen(name="bank", labels={"confidential": "yes"}))
    assert len(engine.asked("RecordBurst")) == 1
    engine.send(s.NamespaceGone(name="bank"))
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    assert engine.codes("bank/task-2") == ["NamespaceUnknown"]


def test_news_of_one_namespace_wakes_nobody_of_another():
    engine = an_engine(policy=a_policy())
    entry = engine.state.policies["bank/tasks"]
    entry.reopened = False
    rules.namespace_seen(engine.state, s.NamespaceSeen(name="other", labels={"a": "b"}))
    rules.namespace_gone(engine.state, s.NamespaceGone(name="bank"))
    assert not entry.reopened
    rules.namespace_seen(engine.state, s.NamespaceSeen(name="bank", labels={"a": "b"}))
    assert entry.reopened
    entry.reopened = False
    rules.namespace_seen(engine.state, s.NamespaceSeen(name="bank", labels={"a": "b"}))
    assert not entry.reopened, "no news"
    rules.namespace_gone(engine.state, s.NamespaceGone(name="bank"))
    assert entry.reopened


def test_a_trustee_that_answers_again_lets_those_go_that_waited_for_it():
    engine = an_engine(
        s.TrusteeHealth(target="azure", healthy=False, message="timeout"), s.PodSeen(pod=a_pod()), policy=a_policy()
    )
    assert engine.codes("bank/task-1") == ["TrusteeDown"]
    engine.send(s.TrusteeHealth(target="second", healthy=False))
    assert not engine.asked("RecordBurst")
    engine.send(s.TrusteeHealth(target="azure", healthy=True))
    assert len(engine.asked("RecordBurst")) == 1
    assert engine.state.trustees_down == {"second": "no reason was given."}


def test_news_of_a_trustee_wakes_those_that_use_its_target():
    engine = an_engine(policy=a_policy())
    entry = engine.state.policies["bank/tasks"]
    entry.reopened = False
    rules.trustee_health(engine.state, s.TrusteeHealth(target="second", healthy=False))
    rules.trustee_health(engine.state, s.TrusteeHealth(target="azure", healthy=True))
    assert not entry.reopened
    rules.trustee_health(engine.state, s.TrusteeHealth(target="azure", healthy=False))
    assert entry.reopened
    entry.reopened = False
    rules.trustee_health(engine.state, s.TrusteeHealth(target="azure", healthy=False))
    assert not entry.reopened, "no news"


def test_the_next_target_takes_what_the_first_may_not_have():
    policy = a_policy(
        placement=Placement(targets=("azure", "second"), strategy="Move"),
        confidential=Confidential(data_class="secret"),
    )
    engine = an_engine(
        s.TargetSeen(target=a_target(name="second", data_classes=("secret",))),
        s.OfferingsSeen(target="second", offerings=(an_offering(2, target="second"),)),
        s.PodSeen(pod=a_pod()),
        policy=policy,
    )
    assert [one.burst.spec.target for one in engine.asked("RecordBurst")] == ["second"]


def test_a_policy_whose_metrics_would_be_read_elsewhere_starts_nothing():
    evil = PrometheusTrigger(name="queue", server_address="https://thanos.example@evil.example", query="up")
    policy = a_policy(
        triggers=(PendingPodsTrigger(pending_for_ms=0), evil), placement=Placement(targets=("azure",), strategy="Move")
    )
    engine = an_engine(s.PodSeen(pod=a_pod()), policy=policy, allowed_metric_endpoints=("https://thanos.example",))
    assert engine.codes("bank/task-1") == ["EndpointNotAllowed"]
    assert not engine.asked("RecordBurst")


def test_a_number_that_is_read_elsewhere_scales_nothing():
    policy = a_policy(
        triggers=(PrometheusTrigger(name="queue", server_address="https://evil.example", query="up"),),
        placement=Placement(targets=("azure",), strategy="Scale"),
        scaling=Scaling(target=TriggerWorkload(name="cloud")),
    )
    workload = s.WorkloadSeen(
        namespace="bank",
        kind="Deployment",
        name="cloud",
        replicas=0,
        runtime_class="kata-remote",
        requests=Resources(cpu_millicores=500),
    )
    for allowed, wanted in (("https://thanos.example", False), ("https://evil.example", True)):
        engine = an_engine(workload, policy=policy, allowed_metric_endpoints=(allowed,))
        asked = False
        for _ in range(8):
            engine.now += 5_000
            engine.send(s.MetricRead(policy="bank/tasks", trigger="queue", at_ms=engine.now, value_milli=5_000))
            asked = asked or bool(engine.asked("SetScale"))
        assert asked is wanted
        assert ("EndpointNotAllowed" in engine.codes()) is not wanted


@pytest.mark.parametrize(
    "image",
    [
        "registry.bank.example.evil.com/team/app",
        "registry.bank.example.evil.com/registry.bank.example/team/app",
        "registry.bank.example@sha256:" + "0" * 64,
        "registry.bank.example/team-evil/app",
        "Registry.Bank.Example/team/app",
        "registry.bank.example/team/../../evil/app",
        "registry.bank.example:443/team/app",
        "registry.bank.examp\u04cfe/team/app",
        "team/app",
        "",
    ],
)
def test_no_image_passes_for_one_of_the_banks(image: str):
    policy = a_policy(confidential=Confidential(allowed_images=("registry.bank.example/team",)))
    engine = an_engine(s.PodSeen(pod=a_pod(images=("registry.bank.example/team/app:v1", image))), policy=policy)
    assert engine.codes("bank/task-1") == ["ImageNotAllowed"]
    assert not engine.asked("RecordBurst")


def test_the_same_story_told_twice_has_the_same_decisions():
    def story() -> list[Any]:
        engine = an_engine(
            *(
                s.PodSeen(pod=a_pod(f"task-{number}", labels={"n": str(number)}, priority=number % 3))
                for number in range(9)
            ),
            policy=a_policy(
                when='pod.labels.exists(k, k == "n") && (pod.priority > 1 || onprem.cpuPercent > 80.0)',
                windows=(Window(timezone="Europe/Berlin", start="0 9 * * *", end="0 17 * * *"),),
            ),
        )
        for minute in range(30):
            engine.send(capacity(8000, 6000 + 100 * (minute % 15)), after_ms=MINUTE)
        return [engine.decisions, engine.state.turn]

    first, second = story(), story()
    assert first == second
    assert {"WhenUnknown", "WhenFalse"} <= {decision.reasons[0].code for decision in first[0]}
