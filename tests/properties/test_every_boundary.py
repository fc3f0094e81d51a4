"""Small worlds, exhaustively: whatever happens, after every single operation of a story, nothing is lost, doubled or left.

An operation is one request of an adaptor, or one delivery of facts. The stories are the lives that a task or a service's pod can have.
"""

from collections.abc import Callable

import pytest

from burster.engine import StepResult
from burster.model import stimuli as s
from tests.support.adversary import Adversary
from tests.support.invariants import check_step
from tests.support.random_walk import a_world


Story = Callable[[Adversary], None]


def _begins(world: Adversary) -> None:
    world.new_pod(service=False, cpu=500)


def _serves(world: Adversary) -> None:
    world.new_pod(service=False, cpu=500)
    world.flow(4)
    assert [entry.burst.status.phase for entry in world.state.bursts.values()] == ["Serving"]


def _serves_and_drains(world: Adversary) -> None:
    _serves(world)
    world.tell(s.DrainRequested())


def _provisions_and_drains(world: Adversary) -> None:
    world.new_pod(service=False, cpu=500)
    world.flow(1)
    world.tell(s.DrainRequested())


def _ends(world: Adversary) -> None:
    _serves(world)
    world.cloud_finish(0)


def _is_refused(world: Adversary) -> None:
    world.new_pod(service=False, cpu=500)
    world.flow(1, 11)
    world.launch(0)
    world.sandbox_fails(0, "Quota", 1)


def _record_deleted(world: Adversary) -> None:
    _serves(world)
    world.user_deletes_burst(0)


def _is_sent_home(world: Adversary) -> None:
    """The pod is stopped, and its VM is gone: what is left is to bring it home."""
    _serves_and_drains(world)
    world.flow(1)
    world.cloud_stop(0, says_failed=True)
    world.vm_goes(0)


def _clone_begins(world: Adversary) -> None:
    world.new_pod(service=True, cpu=500)


def _clone_is_spare(world: Adversary) -> None:
    world.new_pod(service=True, cpu=500)
    world.flow(4)
    world.bind(0)
    world.new_pod(service=True, cpu=500)


STORIES: dict[str, Story] = {
    "a task is moved": _begins,
    "a task that works is called home": _serves_and_drains,
    "a task is called home before it works": _provisions_and_drains,
    "a task ends its work": _ends,
    "a task's VM is refused": _is_refused,
    "a task's record is deleted": _record_deleted,
    "a stopped task is sent home": _is_sent_home,
    "a clone begins": _clone_begins,
    "a clone finds other work": _clone_is_spare,
}
EVENTS: dict[str, Story] = {
    "the controller dies": lambda world: world.restart(),
    "the pod stops and the controller dies": lambda world: (world.cloud_stop(0, says_failed=True), world.restart())[1],
    "the pod goes by force and the controller dies": lambda world: (world.removed_by_force(0), world.restart())[1],
    "a node takes the pod": lambda world: world.bind(0),
    "a node takes the pod and the controller dies": lambda world: (world.bind(0), world.restart())[1],
    "a request's answer is lost": lambda world: world.fail(0, "Timeout", done=True, whole=False),
    "a request fails": lambda world: world.fail(0, "Unavailable", done=False, whole=False),
    "an instruction's answer is lost": lambda world: world.fail(0, "Timeout", done=True, whole=True),
    "the owner deletes the waiting pod": lambda world: world.user_deletes_pending(0),
    "the owner deletes the cloud pod": lambda world: world.user_deletes_cloud_pod(0, force=True),
    "everything is called home": lambda world: world.tell(s.DrainRequested()),
    "the policy goes": lambda world: world.tell(s.PolicyGone(key="bank/tasks")),
    "an answer comes twice": lambda world: world.answer(0, twice=True),
}
#: The last resort against a story that does not end: more operations than any of them has.
OPERATIONS_MAX = 200


def begin() -> Adversary:
    world = a_world()

    def check(_batch: list[s.Stimulus], result: StepResult, now_ms: int) -> None:
        if now_ms >= 0:
            check_step(result, world.started)

    world.listeners.append(check)
    return world


def play(story: Story, event: Story, operations: int, choice: int) -> bool:
    """Tell a story up to an operation, let the event happen, and then all go well; say whether the story was that long."""
    world = begin()
    story(world)
    cut = world.flow(2, operations, choice)
    event(world)
    world.flow(1)
    world.tell(s.DrainCancelled())
    world.settle()
    assert len({spend.uid for spend in world.spends}) == len(world.spends), "a burst was settled twice"
    accounts = [entry.account for entry in (*world.state.policies.values(), *world.state.targets.values())]
    assert all(account.outstanding_micro_usd == 0 for account in accounts)
    return cut


def play_all(story: str, event: str, choices: tuple[int, ...]) -> None:
    for choice in choices:
        for operations in range(1, OPERATIONS_MAX):
            try:
                if not play(STORIES[story], EVENTS[event], operations, choice):
                    break
            except AssertionError as error:
                raise AssertionError(f"after {operations} operations (order {choice}): {error}") from error


@pytest.mark.parametrize("story", STORIES)
def test_the_controller_may_die_after_any_operation_of(story: str) -> None:
    play_all(story, "the controller dies", (0, -1))
    play_all(story, "the pod stops and the controller dies", (0,))


@pytest.mark.long
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("story", STORIES)
def test_anything_may_happen_after_any_operation(story: str, event: str) -> None:
    play_all(story, event, (0, 1, -1))
