"""A long random walk through the adversarial world, from a seed alone: for runs that must be repeatable to the byte."""

import hashlib
import random

import msgspec

from burster.engine import StepResult
from burster.model import stimuli as s
from tests.support.adversary import CHANNELS, Adversary
from tests.support.builders import a_policy, a_target, an_offering
from tests.support.invariants import check_step


WEATHER = ("Unreachable", "Timeout", "Throttled", "Unavailable", "Protocol", "Unauthorized")
LIFE = ("bind", "finish", "collect", "launch", "boot", "run", "cloud_finish", "vm_goes", "removed_by_force")


def a_world() -> Adversary:
    rules = {"lease_ms": 600_000, "drain_ms": 60_000, "cooldown_ms": 60_000}
    return Adversary(
        {"bank/tasks": a_policy("tasks", max_bursts=6, **rules)},
        a_target(sweep_grace_ms=60_000),
        (an_offering(2), an_offering(4)),
    )


def wander(world: Adversary, rng: random.Random, steps: int) -> None:  # noqa: C901, PLR0912 - one line for each thing that may happen
    """Let anything happen, a few things more often than others."""
    for _ in range(steps):
        choice = rng.randrange(6)
        match rng.randrange(16):
            case 0 | 1:
                world.new_pod(service=rng.random() < 0.4, cpu=rng.choice((500, 2_000, 3_000)))
            case 2 | 3:
                world.flow(rng.randrange(1, 4))
            case 4:
                world.deliver(rng.choice(CHANNELS), rng.randrange(1, 5))
            case 5:
                world.answer(choice, twice=rng.random() < 0.2)
            case 6 | 7:
                for _ in range(rng.randrange(1, 9)):
                    world.work(choice)
            case 8:
                kind = rng.choice(WEATHER)
                world.fail(choice, kind, done=rng.random() < 0.5, whole=rng.random() < 0.5)
            case 9 | 10 | 11:
                getattr(world, rng.choice(LIFE))(choice)
            case 12:
                world.cloud_stop(choice, says_failed=rng.random() < 0.5)
            case 13:
                world.now += rng.choice((1, 1_000, 60_000, 600_000))
                world.step([])
            case 14:
                if rng.random() < 0.3:
                    world.restart()
            case _:
                world.tell(rng.choice((s.DrainRequested(), s.DrainCancelled(), s.Tick(kind="gc"))))


def digest(seed: int, steps: int = 400) -> str:
    """Return the hash of everything the engine asked for and decided on one walk, checking every step of it."""
    world = a_world()
    said = hashlib.sha256()

    def listen(_batch: list[s.Stimulus], result: StepResult, now_ms: int) -> None:
        if now_ms >= 0:
            said.update(msgspec.json.encode([result.instructions, result.decisions, result.spends]))
            check_step(result, world.started)

    world.listeners.append(listen)
    wander(world, random.Random(seed), steps)
    world.tell(s.DrainCancelled())
    world.settle()
    return said.hexdigest()
