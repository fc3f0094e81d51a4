"""Each distinct question is asked once, as often as its most impatient asker needs, and nobody waits for somebody else's server."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import Any

from burster.clients.metric_errors import MetricError
from burster.lab.lockstep import LabClock, run_lockstep
from burster.model import stimuli as s
from burster.model.policies import Placement, Policy
from burster.model.scaling import Scaling
from burster.model.triggers import (
    AuthRef,
    CronTrigger,
    ExternalTrigger,
    HttpAccess,
    KubernetesWorkloadTrigger,
    PendingPodsTrigger,
    PrometheusTrigger,
    Trigger,
    WorkloadRef,
)
from burster.runtime.metric_poller import MetricPoller, PollNumbers
from burster.runtime.metric_queries import QUERIES_PER_NAMESPACE_MAX
from burster.runtime.metric_reads import SLOTS
from burster.sources.metrics import Number, Value
from burster.sources.pod_use import Use
from tests.support import builders
from tests.support.builders import a_target


PROM = "https://prom.example"
THANOS = "https://thanos:9092"


def prometheus(query: str = "queue", server: str = PROM, **changes: Any) -> PrometheusTrigger:
    return PrometheusTrigger(**({"name": "queue", "server_address": server, "query": query} | changes))


def a_policy(
    name: str = "a", *triggers: Trigger, namespace: str = "bank", polling_s: int = 30, **scaling: Any
) -> Policy:
    return builders.a_policy(
        name,
        namespace=namespace,
        triggers=triggers or (prometheus(),),
        scaling=Scaling(target=WorkloadRef(name="cloud"), polling_ms=polling_s * 1000, **scaling),
        placement=Placement(targets=("azure",), strategy="Scale"),
    )


class World:
    """A poller, what it asked and when (in seconds since the start), and what it told."""

    def __init__(self, clock: LabClock) -> None:
        self.clock = clock
        self.began = clock.monotonic()
        self.asked: list[tuple[float, str]] = []
        self.told: list[s.Stimulus] = []
        self.at_once = 0
        self.at_once_max = 0
        self.awake: set[str] = set()
        self.answers: dict[str, Value | MetricError | Callable[[], Awaitable[Value]]] = {}
        self.poller = MetricPoller(self, self.told.append, clock, random.Random(7), awake=self.awake.__contains__)
        self.outcomes: list[tuple[str, str]] = []
        self.poller.reads.ended = lambda source, outcome, _: self.outcomes.append((source, outcome))

    async def read(self, namespace: str, trigger: Any, now_s: float) -> Value:
        question = getattr(trigger, "query", "") or getattr(trigger, "pod_selector", "") or trigger.name
        self.asked.append((round(self.clock.monotonic() - self.began, 3), f"{namespace}/{question}"))
        self.at_once += 1
        self.at_once_max = max(self.at_once, self.at_once_max)
        try:
            answer = self.answers.get(question, Number(7_000))
            if isinstance(answer, MetricError):
                raise answer
            return await answer() if callable(answer) else answer
        finally:
            self.at_once -= 1

    def times(self, question: str = "bank/queue") -> list[float]:
        return [at for at, asked in self.asked if asked == question]

    def values(self, policy: str = "bank/a") -> list[Any]:
        """What was told of a policy's triggers: milli-values and messages."""
        return [
            getattr(each, "value_milli", None) if isinstance(each, s.MetricRead) else getattr(each, "message", each)
            for each in self.told
            if getattr(each, "policy", "") == policy
        ]


def play(story: Callable[[World], Awaitable[None]], *, ready: bool = True) -> World:
    """Run a story on virtual time; ``ready``: target and namespaces are known from the start."""
    worlds: list[World] = []

    async def main(clock: LabClock) -> None:
        world = World(clock)
        worlds.append(world)
        if ready:
            world.poller.target(a_target(allowed_namespaces=("bank", "shop")))
            world.poller.namespace("bank", {})
            world.poller.namespace("shop", {})
        running = asyncio.create_task(world.poller.run())
        await asyncio.sleep(0)
        try:
            await story(world)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    run_lockstep(main)
    return worlds[0]


async def settle() -> None:
    await asyncio.sleep(0.001)


def gaps(times: list[float]) -> list[float]:
    return [round(after - before, 1) for before, after in pairwise(times)]


def test_it_is_asked_at_once_and_then_at_every_poll() -> None:
    async def story(world: World) -> None:
        world.poller.policy(a_policy())
        await asyncio.sleep(200)

    world = play(story)
    times = world.times()
    assert times[0] == 0.0
    # the first tick comes within the interval, so that not everybody keeps step; then each poll
    assert 15 <= times[1] <= 30
    assert set(gaps(times[1:])) == {30.0}
    assert world.values() == [7_000] * len(times)


def test_the_time_of_a_value_is_when_it_was_asked_for() -> None:
    async def story(world: World) -> None:
        async def slow() -> Value:
            await asyncio.sleep(2)
            return Number(1)

        world.answers["queue"] = slow
        began_ms = world.clock.now_ms()
        world.poller.policy(a_policy())
        await asyncio.sleep(3)
        (told,) = world.told
        assert isinstance(told, s.MetricRead)
        assert told.at_ms == began_ms

    play(story)


def test_while_there_are_replicas_their_number_is_made_of_fresh_values() -> None:
    async def story(world: World) -> None:
        world.poller.policy(a_policy())
        await asyncio.sleep(100)
        world.awake.add("bank/a")
        world.poller.review()
        await asyncio.sleep(100)
        world.awake.clear()
        world.poller.review()
        await asyncio.sleep(100)

    times = play(story).times()
    assert set(gaps([at for at in times if 20 < at < 100])) == {30.0}
    assert set(gaps([at for at in times if 101 < at < 200])) == {15.0}
    assert set(gaps([at for at in times if at > 216])) == {30.0}


def test_cached_metrics_are_those_of_the_latest_poll() -> None:
    async def story(world: World) -> None:
        world.awake.add("bank/a")
        world.poller.policy(a_policy("a", prometheus(use_cached_metrics=True), polling_s=60))
        await asyncio.sleep(300)

    assert set(gaps(play(story).times()[1:])) == {60.0}


def test_a_poll_that_is_shorter_than_the_sync_is_kept() -> None:
    async def story(world: World) -> None:
        world.awake.add("bank/a")
        world.poller.policy(a_policy(polling_s=5))
        await asyncio.sleep(60)

    assert set(gaps(play(story).times()[1:])) == {5.0}


def test_who_asks_the_same_shares_one_read_and_the_most_impatient_sets_the_pace() -> None:
    async def story(world: World) -> None:
        other = prometheus(name="else", threshold_milli=9, activation_milli=4, metric_type="Value")
        world.poller.policy(a_policy("a", polling_s=60))
        world.poller.policy(a_policy("b", other, namespace="shop", polling_s=20))
        await asyncio.sleep(200)
        assert world.poller.numbers()._replace(oldest_s=0) == PollNumbers(queries=1, askers=2)
        world.poller.forget("shop/b")
        await settle()
        world.asked.clear()
        await asyncio.sleep(300)

    world = play(story)
    assert set(gaps(world.times())) == {60.0}
    told = [each for each in world.told if isinstance(each, s.MetricRead)]
    assert {(each.policy, each.trigger) for each in told} == {("bank/a", "queue"), ("shop/b", "else")}


def test_credentials_and_questions_tell_queries_apart() -> None:
    auth, cluster = AuthRef(name="x"), AuthRef(name="x", kind="ClusterTriggerAuthentication")

    async def story(world: World) -> None:
        for namespace in ("bank", "shop"):
            for number, access in enumerate((HttpAccess(), HttpAccess(auth=auth), HttpAccess(auth=cluster))):
                trigger = prometheus(access=access)
                world.poller.policy(a_policy(f"p{number}", trigger, namespace=namespace))
            pods = KubernetesWorkloadTrigger(name="pods", pod_selector="app=web")
            world.poller.policy(a_policy("pods", pods, namespace=namespace))
        world.poller.policy(a_policy("other", prometheus("other"), prometheus(server=THANOS, name="t")))
        await settle()
        # nobody's and the cluster's credentials once each; a namespace's own, and its pods, for each of the two
        assert world.poller.numbers().queries == 2 + 2 + 2 + 2

    play(story)


def test_what_no_result_means_is_each_askers_own() -> None:
    async def story(world: World) -> None:
        world.answers["queue"] = Number(None, "the query finds no series")
        world.poller.policy(a_policy("a", prometheus()))
        world.poller.policy(a_policy("b", prometheus(ignore_null_values=False)))
        await settle()

    world = play(story)
    assert len(world.asked) == 1
    assert world.values("bank/a") == [0]
    assert world.values("bank/b") == ["the query finds no series"]


def test_who_comes_later_is_told_what_is_known() -> None:
    async def story(world: World) -> None:
        world.poller.policy(a_policy("a"))
        await asyncio.sleep(5)
        world.poller.policy(a_policy("b"))
        await settle()

    world = play(story)
    assert world.times() == [0.0]
    (told,) = [each for each in world.told if isinstance(each, s.MetricRead) and each.policy == "bank/b"]
    assert told.at_ms == next(each.at_ms for each in world.told if isinstance(each, s.MetricRead))


def test_a_changed_query_is_asked_at_once_and_the_old_one_no_more() -> None:
    async def story(world: World) -> None:
        world.poller.policy(a_policy("a"))
        await asyncio.sleep(40)
        world.poller.policy(a_policy("a", prometheus("new")))
        await asyncio.sleep(100)
        world.poller.forget("bank/a")
        await asyncio.sleep(100)
        assert world.poller.numbers() == PollNumbers()

    world = play(story)
    assert max(world.times()) < 40
    assert world.times("bank/new")[0] == 40.0
    assert max(world.times("bank/new")) < 140


def test_what_is_not_read_is_not_asked() -> None:
    async def story(world: World) -> None:
        cron = CronTrigger(name="c", start="0 8 * * *", end="0 9 * * *", timezone="UTC", desired_replicas=1)
        pushed = ExternalTrigger(name="pushed")
        scaler = ExternalTrigger(name="scaler", scaler_address="scaler:9000", metadata={"metricName": "x"})
        world.poller.policy(a_policy("a", PendingPodsTrigger(), cron, pushed, scaler))
        await settle()
        assert world.poller.numbers() == PollNumbers()

    assert play(story).told == []


def test_a_measured_workload() -> None:
    async def story(world: World) -> None:
        pods = (s.PodUse(usage=1),)
        world.answers["app=web"] = Use(2, pods)
        world.poller.policy(a_policy("a", KubernetesWorkloadTrigger(name="pods", pod_selector="app=web")))
        await settle()
        (told,) = world.told
        assert isinstance(told, s.ResourceRead)
        assert (told.policy, told.trigger, told.replicas, told.pods) == ("bank/a", "pods", 2, pods)

    play(story)


# --- where may be read from --------------------------------------------------------------------------------------------


def test_only_what_a_target_of_the_policy_allows_is_asked() -> None:
    async def story(world: World) -> None:
        world.poller.policy(a_policy("a", prometheus(server="https://elsewhere.example")))
        await settle()
        assert world.values() == ["none of the policy's targets allows reading there (allowedMetricEndpoints)"]
        await asyncio.sleep(100)
        assert len(world.told) == 1
        world.poller.target(a_target(allowed_metric_endpoints=("https://elsewhere.example",)))
        await settle()
        assert world.values()[-1] == 7_000
        world.poller.target(a_target(allowed_metric_endpoints=()))
        await settle()
        assert "allowedMetricEndpoints" in world.values()[-1]
        asked = len(world.asked)
        await asyncio.sleep(100)
        assert len(world.asked) == asked

    play(story)


def test_a_namespace_that_has_no_business_at_a_target_reads_nothing_there() -> None:
    async def story(world: World) -> None:
        world.poller.target(a_target(allowed_namespaces=("shop",)))
        world.poller.policy(a_policy())
        await settle()
        assert world.asked == []
        world.poller.target(a_target(allowed_namespaces=("*",), required_namespace_labels={"bursting": "yes"}))
        await settle()
        assert world.asked == []
        world.poller.namespace("bank", {"bursting": "yes"})
        await settle()
        assert world.asked == [(0.002, "bank/queue")]

    play(story)


def test_nothing_is_asked_or_said_before_target_and_namespace_are_known() -> None:
    async def story(world: World) -> None:
        world.poller.policy(a_policy())
        await settle()
        world.poller.target(a_target())
        await settle()
        assert (world.asked, world.told) == ([], [])
        world.poller.namespace("bank", {})
        await settle()
        assert world.values() == [7_000]
        world.poller.forget_target("azure")
        await settle()
        asked = len(world.asked)
        await asyncio.sleep(100)
        assert len(world.asked) == asked

    play(story, ready=False)


def test_a_namespace_that_asks_too_much_is_no_burden_to_others() -> None:
    async def story(world: World) -> None:
        for number in range(QUERIES_PER_NAMESPACE_MAX + 5):
            world.poller.policy(a_policy(f"p{number:03}", prometheus(f"q{number}")))
        world.poller.policy(a_policy("own", prometheus("own"), namespace="shop"))
        await asyncio.sleep(1)
        assert world.poller.numbers().queries == QUERIES_PER_NAMESPACE_MAX + 1

    world = play(story)
    assert world.values("shop/own") == [7_000]
    assert sum("too many" in str(each) for each in world.told) == 5


# --- failing -----------------------------------------------------------------------------------------------------------


def test_a_slow_server_delays_only_its_own_queries() -> None:
    async def story(world: World) -> None:
        async def never() -> Value:
            await asyncio.Event().wait()
            raise AssertionError

        for number in range(20):
            world.answers[f"slow{number}"] = never
            world.poller.policy(a_policy(f"slow{number}", prometheus(f"slow{number}", THANOS)))
        world.poller.policy(a_policy("quick", prometheus("quick"), namespace="shop"))
        await asyncio.sleep(20)
        assert world.at_once == SLOTS
        assert world.poller.busy
        await asyncio.sleep(300)

    world = play(story)
    assert world.at_once_max <= SLOTS + 1
    assert len(world.times("shop/quick")) > 8
    assert set(world.values("shop/quick")) == {7_000}
    assert world.values("bank/slow0")[0] == "https://thanos:9092 gave no answer in time"
    # everybody has had a turn, however slow
    assert all(world.values(f"bank/slow{number}") for number in range(20))


def test_what_fails_is_told_each_time_and_asked_less_often() -> None:
    async def story(world: World) -> None:
        world.answers["queue"] = MetricError("timeout", "too slow")
        world.poller.policy(a_policy(polling_s=1))
        await asyncio.sleep(300)
        world.answers["queue"] = Number(1)
        await asyncio.sleep(100)

    world = play(story)
    failing = [at for at in world.times() if at < 300]
    assert len(failing) < 20
    assert max(gaps(failing)) <= 61
    assert gaps(failing)[-1] > 20
    assert world.values().count("too slow") == len(failing)
    assert set(gaps([at for at in world.times() if at > 365])) == {1.0}
    assert ("https://prom.example:443", "timeout") in world.outcomes


def test_a_server_that_is_down_is_asked_once_for_all_who_need_it() -> None:
    async def story(world: World) -> None:
        for number in range(50):
            world.answers[f"q{number}"] = MetricError("unreachable", "refused")
            world.poller.policy(a_policy(f"p{number}", prometheus(f"q{number}", THANOS), polling_s=5))
        world.poller.policy(a_policy("other", prometheus("other"), polling_s=5))
        await asyncio.sleep(120)
        down = sum(question != "bank/other" for _, question in world.asked)
        assert down < 80  # of 1,200 ticks
        assert all(set(map(type, world.values(f"bank/p{number}"))) == {str} for number in range(50))
        world.answers.clear()
        await asyncio.sleep(70)

    world = play(story)
    assert world.values("bank/p7")[-1] == 7_000
    assert set(world.values("bank/other")) == {7_000}


def test_a_server_that_asks_for_a_pause_gets_it() -> None:
    async def story(world: World) -> None:
        world.answers["queue"] = MetricError("throttled", "too many", retry_after_ms=90_000)
        world.poller.policy(a_policy(polling_s=5))
        await asyncio.sleep(89)
        assert world.times() == [0.0]
        world.answers.clear()
        await asyncio.sleep(10)
        assert world.values()[-1] == 7_000

    play(story)


def test_a_bug_in_one_read_stops_nobody() -> None:
    async def story(world: World) -> None:
        async def broken() -> Value:
            raise KeyError("secret")

        world.answers["broken"] = broken
        world.poller.policy(a_policy("broken", prometheus("broken")))
        world.poller.policy(a_policy("a"))
        await asyncio.sleep(40)

    world = play(story)
    assert set(world.values()) == {7_000}
    assert set(world.values("bank/broken")) == {"the answer could not be read (KeyError)"}


def test_a_policy_that_goes_while_it_is_asked_for_is_not_told() -> None:
    async def story(world: World) -> None:
        async def slow() -> Value:
            await asyncio.sleep(5)
            return Number(1)

        world.answers["queue"] = slow
        world.poller.policy(a_policy())
        await asyncio.sleep(1)
        world.poller.forget("bank/a")
        await asyncio.sleep(60)

    world = play(story)
    assert (world.told, world.times()) == ([], [0.0])


def test_a_wall_clock_that_is_set_back_makes_no_value_old(monkeypatch) -> None:
    real = LabClock.now_ms
    back_ms = [0]
    monkeypatch.setattr(LabClock, "now_ms", lambda clock: real(clock) - back_ms[0])

    async def story(world: World) -> None:
        world.poller.policy(a_policy(polling_s=5))
        await asyncio.sleep(12)
        back_ms[0] = 3_600_000
        await asyncio.sleep(30)

    told = [each.at_ms for each in play(story).told if isinstance(each, s.MetricRead)]
    assert len(told) > 6
    assert all(after > before for before, after in pairwise(told))


def test_what_is_seen_of_it() -> None:
    async def story(world: World) -> None:
        world.answers["bad"] = MetricError("client_error", "no")
        world.poller.policy(a_policy("a"))
        world.poller.policy(a_policy("b", prometheus("bad")))
        assert world.poller.busy
        await asyncio.sleep(10)
        assert not world.poller.busy
        assert world.poller.numbers() == PollNumbers(queries=2, askers=2, failing=1, oldest_s=10.0)

    play(story)


def test_another_threshold_needs_no_new_read_and_is_told_at_once() -> None:
    """To the engine a trigger that was changed is one that was never read."""

    async def story(world: World) -> None:
        world.poller.policy(a_policy())
        await asyncio.sleep(1)
        world.poller.policy(a_policy("a", prometheus(threshold_milli=5_000)))
        await settle()
        world.poller.policy(a_policy("a", prometheus(threshold_milli=5_000)))
        await settle()

    world = play(story)
    assert (world.times(), world.values()) == ([0.0], [7_000, 7_000])


def test_a_policy_that_is_made_anew_is_told_at_once() -> None:
    async def story(world: World) -> None:
        world.poller.policy(a_policy("a"))
        world.poller.policy(a_policy("b"))
        await asyncio.sleep(1)
        world.poller.forget("bank/a")
        world.poller.policy(a_policy("a"))
        await settle()

    assert play(story).values() == [7_000, 7_000]
