"""Whatever the world does, and in whatever order: no task is lost or runs twice, no limit is passed, and everything comes to rest."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from burster.engine import StepResult, initial_state, step
from burster.model import stimuli as s
from burster.model.errors import RemoteKind
from burster.model.limits import Budget, Limits
from burster.model.policies import WorkloadSelector
from burster.model.triggers import PendingPodsTrigger
from tests.support.adversary import CHANNELS, Adversary
from tests.support.builders import a_policy, a_target, an_offering
from tests.support.depth import EXPLORING
from tests.support.invariants import check_step


KINDS = st.sampled_from(get_args(RemoteKind))
#: Failures that a request can meet without having been carried out; the others come from what the fake API finds.
WEATHER = st.sampled_from(["Unreachable", "Timeout", "Throttled", "Unavailable", "Protocol", "Unauthorized"])
ONE = st.integers(0, 5)
LONG = {"lease_ms": 600_000, "drain_ms": 60_000, "cooldown_ms": 60_000}
VARIANTS = (
    {"max_bursts": 3},
    {"max_bursts": 1},
    {"budget": Budget(per_hour_micro_usd=300_000)},
    {"max_vcpus": 4, "pending_for_ms": 30_000},
    {"paused": True},
    {"triggers": (PendingPodsTrigger(pending_for_ms=0, min_count=2),)},
)
TARGET = a_target(sweep_grace_ms=60_000, limits=Limits(max_bursts=4, budget=Budget(per_day_micro_usd=2_000_000)))
OFFERINGS = (
    (an_offering(2), an_offering(4)),
    (an_offering(2, price_micro_usd_per_hour=None), an_offering(4)),
    (an_offering(2, tee="SNP"), an_offering(4, restricted="NotAvailableForSubscription")),
    (),
)


class Tape:
    """What one controller was told and what it answered, to be played again."""

    def __init__(self) -> None:
        self.steps: list[tuple[int, list[s.Stimulus], Any]] = []

    def __call__(self, batch: list[s.Stimulus], result: StepResult, now_ms: int) -> None:
        if now_ms < 0:
            self.steps.clear()
        else:
            self.steps.append((now_ms, batch, said(result)))

    def play(self) -> None:
        state = initial_state()
        for now_ms, batch, want in self.steps:
            # through the codec and back: what the ledger keeps must be enough
            again = [msgspec.json.decode(msgspec.json.encode(fact), type=s.Stimulus) for fact in batch]
            result = step(state, again, now_ms)
            state = result.state
            assert said(result) == want


def said(result: StepResult) -> Any:
    return result.instructions, result.decisions, result.spends


class AdversarialWorld(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        policies = {
            "bank/web": a_policy("web", workload=WorkloadSelector(kind="Deployment"), **LONG, max_bursts=2),
            "bank/tasks": a_policy("tasks", **LONG, max_bursts=3, budget=Budget(per_hour_micro_usd=70_000)),
        }
        self.world = Adversary(policies, TARGET, OFFERINGS[0])
        self.tape = Tape()
        self.world.listeners.append(self.tape)
        self.world.listeners.append(self.check)
        self.world.deliver_everything()

    def check(self, _batch: list[s.Stimulus], result: StepResult, now_ms: int) -> None:
        if now_ms >= 0:
            check_step(result, self.world.started)

    # the controller is told, and does

    @rule(channel=st.sampled_from(CHANNELS), count=st.integers(1, 5), again=st.booleans())
    def deliver(self, channel: Any, count: int, again: bool) -> None:
        self.world.deliver(channel, count)
        if again:
            self.world.repeat(channel)

    @rule(choice=ONE, twice=st.booleans())
    def answer(self, choice: int, twice: bool) -> None:
        self.world.answer(choice, twice=twice)

    @rule(choice=ONE, times=st.integers(1, 8))
    def work(self, choice: int, times: int) -> None:
        for _ in range(times):
            self.world.work(choice)

    @rule(choice=ONE, times=st.integers(1, 6))
    def work_and_tell(self, choice: int, times: int) -> None:
        for _ in range(times):
            self.world.work(choice)
            self.world.deliver_everything()

    @rule(rounds=st.integers(1, 3))
    def flow(self, rounds: int) -> None:
        self.world.flow(rounds)

    @rule(choice=ONE, kind=WEATHER, done=st.booleans(), whole=st.booleans())
    def fail(self, choice: int, kind: Any, done: bool, whole: bool) -> None:
        self.world.fail(choice, kind, done=done, whole=whole)

    @rule(
        first=st.sampled_from([None, None, "drain", "task ends", "burst deleted", "new task"]),
        operations=st.integers(1, 40),
        then=st.sampled_from(["die", "die", "bind", "cloud pod stops", "user deletes", "lost answer", "fails"]),
        choice=ONE,
    )
    def something_happens_on_the_way(self, first: str | None, operations: int, then: str, choice: int) -> None:
        """All goes well, and after so many operations something happens: between any two requests of any adaptor."""
        world = self.world
        if first == "drain":
            world.tell(s.DrainRequested())
        elif first == "task ends":
            world.cloud_finish(choice)
        elif first == "burst deleted":
            world.user_deletes_burst(choice)
        elif first == "new task":
            world.new_pod(service=False, cpu=500)
        world.flow(2, operations)
        if then == "bind":
            world.bind(choice)
        elif then == "user deletes":
            world.user_deletes_cloud_pod(choice, force=True)
        elif then in {"lost answer", "fails"}:
            world.fail(choice, "Timeout", done=then == "lost answer", whole=True)
        elif then == "cloud pod stops" or first in {"drain", "burst deleted"}:
            world.cloud_stop(choice, says_failed=True)
        if then == "die":
            world.restart()
        if first == "drain":
            world.tell(s.DrainCancelled())

    @rule()
    def die(self) -> None:
        self.world.restart()

    @rule(ms=st.sampled_from([1, 1_000, 30_000, 60_000, 600_000, 3_600_000]))
    def wait(self, ms: int) -> None:
        self.world.now += ms
        self.world.step([])

    # the cluster and the cloud live

    @rule(service=st.booleans(), cpu=st.sampled_from([500, 2_000, 3_000, 0, 64_000]), rounds=st.integers(0, 3))
    def new_pod(self, service: bool, cpu: int, rounds: int) -> None:
        self.world.new_pod(service=service, cpu=cpu)
        self.world.flow(rounds)

    @rule(
        choice=ONE,
        action=st.sampled_from(["bind", "finish", "collect", "launch", "boot", "run", "cloud_finish", "vm_goes"]),
    )
    def life(self, choice: int, action: str) -> None:
        getattr(self.world, action)(choice)

    @rule(choice=ONE)
    def task_ends_in_the_cloud(self, choice: int) -> None:
        self.world.cloud_finish(choice)

    @rule(choice=ONE, says_failed=st.booleans(), by_force=st.booleans())
    def cloud_pod_stops(self, choice: int, says_failed: bool, by_force: bool) -> None:
        if by_force:
            self.world.removed_by_force(choice)
        else:
            self.world.cloud_stop(choice, says_failed=says_failed)

    @rule(choice=ONE, kind=KINDS, count=st.integers(1, 4))
    def sandbox_fails(self, choice: int, kind: Any, count: int) -> None:
        self.world.sandbox_fails(choice, kind, count)

    # people do what people do

    @rule(choice=ONE, what=st.sampled_from(["pending", "cloud pod", "cloud pod by force", "burst"]))
    def user_deletes(self, choice: int, what: str) -> None:
        if what == "pending":
            self.world.user_deletes_pending(choice)
        elif what == "burst":
            self.world.user_deletes_burst(choice)
        else:
            self.world.user_deletes_cloud_pod(choice, force=what.endswith("force"))

    @rule(name=st.sampled_from(["web", "tasks"]), variant=st.sampled_from((*VARIANTS, None)))
    def policy_changes(self, name: str, variant: dict[str, Any] | None) -> None:
        if variant is None:
            if self.world.policies.pop(f"bank/{name}", None) is not None:
                self.world.tell(s.PolicyGone(key=f"bank/{name}"))
            return
        workload = WorkloadSelector(kind="Deployment") if name == "web" else WorkloadSelector()
        policy = a_policy(name, workload=workload, **LONG, **variant)
        self.world.policies[policy.key] = policy
        self.world.tell(s.PolicySeen(policy=policy))

    @rule(what=st.sampled_from(["target", "ledger", "clock", *OFFERINGS]))
    def surroundings_change(self, what: Any) -> None:
        world = self.world
        if what == "target":
            gone = world.target is not None
            world.target = None if gone else TARGET
            world.tell(s.TargetGone(name="azure") if gone else s.TargetSeen(target=TARGET))
        elif what == "ledger":
            world.writable = not world.writable
            world.tell(s.LedgerHealth(writable=world.writable, message="disk full"))
        elif what == "clock":
            world.step([], world.now - 86_400_000)
        else:
            world.offerings = what
            world.tell(s.OfferingsSeen(target="azure", offerings=what))

    @rule(
        fact=st.sampled_from(
            [s.DrainRequested(), s.DrainRequested(target="azure"), s.DrainCancelled(), s.Tick(kind="gc")]
        )
    )
    def order(self, fact: s.Stimulus) -> None:
        self.world.tell(fact)

    @precondition(lambda self: self.world.state.ready)
    @rule()
    def everybody_goes_home(self) -> None:
        self.world.tell(s.DrainRequested())
        self.rest()
        self.world.tell(s.DrainCancelled())
        self.world.deliver_everything()

    def rest(self) -> None:
        if self.world.target is None:
            self.world.target = TARGET
            self.world.tell(s.TargetSeen(target=TARGET))
        for key, policy in self.world.policies.items():
            if policy.paused:  # which keeps what runs for as long as it says so
                self.world.policies[key] = msgspec.structs.replace(policy, paused=False)
                self.world.tell(s.PolicySeen(policy=self.world.policies[key]))
        self.world.settle()
        state = self.world.state
        accounts = [scope.account for scope in state.scopes.values()]
        assert all(account.outstanding_micro_usd == 0 for account in accounts), "money was not given back"
        assert len({spend.uid for spend in self.world.spends}) == len(self.world.spends), "a burst was settled twice"

    def teardown(self) -> None:
        try:
            self.rest()
            self.tape.play()
        finally:
            for job in self.world.jobs.values():
                job.coroutine.close()


QUICK = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    phases=(Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink),
    derandomize=True,
    database=None,
)
FULL = settings(QUICK, max_examples=1_500, stateful_step_count=100, derandomize=not EXPLORING)


def run(how: settings) -> None:
    case = AdversarialWorld.TestCase
    case.settings = how
    case("runTest").runTest()


def test_no_task_is_lost_or_doubled_and_everything_comes_to_rest() -> None:
    run(QUICK)


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_the_same_at_full_depth() -> None:
    run(FULL)


def test_of_two_bursts_of_one_pod_and_one_millisecond_the_later_one_has_the_vm():
    """Found at full depth: the elder one, ending, took the VM for its own, and the later one was released with it still there."""
    world = AdversarialWorld()
    drain = s.DrainRequested()
    for _ in range(5):
        world.order(fact=drain)
    for drains, first, operations, then in (
        (0, "new task", 1, "die"),
        (0, None, 14, "bind"),
        (2, None, 7, "die"),
        (2, None, 7, "die"),
        (0, None, 21, "cloud pod stops"),
        (0, "task ends", 13, "die"),
    ):
        for _ in range(drains):
            world.order(fact=drain)
        world.something_happens_on_the_way(choice=0, first=first, operations=operations, then=then)
    world.teardown()
