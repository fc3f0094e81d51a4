"""An API server that refuses, forgets, falls silent, is slow or is away while bursts come, work and go: it costs time, and nothing else."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from burster.lab.apiserver.faults import Fault, RequestInfo, Rule, SeededFaults
from tests.faults.evidence import POLICIES
from tests.faults.mortal import Death
from tests.faults.scenes import SERVICES, TASKS, Scene, Stage, play


WRITES = ("create", "patch", "delete")
READS = ("get", "list")
HALF_OPEN = Fault(silent_after_ms=20_000)
FAULTS: dict[str, tuple[Rule, ...]] = {
    "409": (Rule(fault=Fault(status=409), share=0.3, verbs=("patch", "delete")),),
    "429 with Retry-After": (Rule(fault=Fault(status=429, retry_after_s=7), share=0.3),),
    "500": (Rule(fault=Fault(status=500), share=0.3, verbs=(*WRITES, *READS)),),
    "503": (Rule(fault=Fault(status=503), share=0.3, verbs=(*WRITES, *READS)),),
    "504, and it was done": (Rule(fault=Fault(lose_answer=True), share=0.3, verbs=WRITES),),
    "410": (Rule(fault=Fault(status=410), share=0.5, verbs=("watch",)),),
    "a dropped watch": (Rule(fault=Fault(cut_after_events=3), share=0.8, verbs=("watch",)),),
    "a half-open watch": (Rule(fault=HALF_OPEN, share=0.7, verbs=("watch",)),),
    "half-open before it was done": (Rule(fault=Fault(silent=True), share=0.2, verbs=(*WRITES, *READS)),),
    "half-open after it was done": (Rule(fault=Fault(silent=True, lose_answer=True), share=0.2, verbs=WRITES),),
    "slow": (Rule(fault=Fault(delay_ms=4_000), share=0.7),),
    "slower than anybody waits": (Rule(fault=Fault(delay_ms=40_000), share=0.1, verbs=(*WRITES, *READS)),),
    "everything": (
        Rule(fault=Fault(status=500), share=0.05, verbs=(*WRITES, *READS)),
        Rule(fault=Fault(status=429, retry_after_s=2), share=0.05),
        Rule(fault=Fault(status=409), share=0.05, verbs=("patch", "delete")),
        Rule(fault=Fault(lose_answer=True), share=0.05, verbs=WRITES),
        Rule(fault=Fault(reset=True), share=0.05),
        Rule(fault=Fault(silent=True), share=0.02, verbs=WRITES),
        Rule(fault=Fault(cut_after_events=10), share=0.3, verbs=("watch",)),
        Rule(fault=HALF_OPEN, share=0.2, verbs=("watch",)),
        Rule(fault=Fault(status=410), share=0.1, verbs=("watch",)),
        Rule(fault=Fault(delay_ms=3_000), share=0.2),
    ),
}


async def _a_busy_quarter_of_an_hour(stage: Stage) -> None:
    stage.serve("web", 4)
    await stage.at(2)
    stage.task("task-1", 60)
    stage.task("task-2", 600)
    await stage.at(400)
    stage.scale("web", 2)
    await stage.at(500)
    stage.delete(POLICIES, "tasks")
    await stage.at(700)
    stage.scale("web", 0)


def a_scene(faults: SeededFaults | None = None, also: Callable[[Stage], Awaitable[None]] | None = None) -> Scene:
    async def story(stage: Stage) -> None:
        stage.site.api.faults = faults
        if also is not None:
            await also(stage)
        await _a_busy_quarter_of_an_hour(stage)
        stage.site.api.faults = None

    return Scene("a service and two tasks", (SERVICES, TASKS), story)


def check(fault: str, seed: int, folder: Path, deaths: tuple[Death, ...] = ()) -> None:
    faults = SeededFaults(seed, FAULTS[fault])
    outcome = play(a_scene(faults), folder, deaths, down_s=20.0)
    assert outcome.problems == [], f"{fault}, seed {seed}: {outcome.problems}"
    assert sum(faults.done.values()) >= 3, "it did happen"
    assert outcome.vms >= 3, "bursting went on"


@pytest.mark.parametrize(
    "fault", [pytest.param(name, marks=() if name == "everything" else pytest.mark.long) for name in FAULTS]
)
def test_whatever_it_does_nothing_is_lost_doubled_or_left(fault: str, tmp_path: Path) -> None:
    check(fault, 1, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 12))
def test_everything_at_once_and_two_kills(seed: int, tmp_path: Path) -> None:
    deaths = (Death(7 * seed, "during"), Death(5 * seed, "after"))
    check("everything", seed, tmp_path, deaths)


def test_it_is_left_alone_for_as_long_as_it_asks(tmp_path: Path) -> None:
    """429 with Retry-After: the same is not asked again before, whichever room of burster asks."""
    refused: dict[tuple[str, ...], float] = {}
    too_early: list[str] = []
    struck: defaultdict[str, int] = defaultdict(int)
    clock: list[Callable[[], float]] = []

    def hook(info: RequestInfo) -> Fault | None:
        who, now_s = (info.verb, info.resource, info.namespace, info.name, info.subresource), clock[0]()
        # in the same instant it is another room's question, which nobody has answered yet
        if 0.0 < refused.get(who, now_s) - now_s < 9.0 and info.resource != "events":
            too_early.append(f"{who}: {refused[who] - now_s:.1f} s too early")
        once = struck[info.verb] < 4 and who not in refused
        if not once or info.resource == "events":
            return None
        struck[info.verb] += 1
        refused[who] = now_s + 9.0
        return Fault(status=429, retry_after_s=9)

    async def begin(stage: Stage) -> None:
        clock.append(stage.clock.monotonic)
        stage.site.api.faults = hook

    outcome = play(a_scene(also=begin), tmp_path)
    assert outcome.problems == []
    assert too_early == []
    assert all(struck[verb] for verb in ("list", "watch", "get", "create", "patch", "delete")), struck


@pytest.mark.parametrize(
    "at_s", [15.0, pytest.param(60.0, marks=pytest.mark.long), pytest.param(405.0, marks=pytest.mark.long)]
)
@pytest.mark.parametrize("down_s", [3.0, pytest.param(90.0, marks=pytest.mark.long)])
def test_it_is_away_and_comes_back(at_s: float, down_s: float, tmp_path: Path) -> None:
    """While bursts begin, work and end: what was asked is refused, watches break, and everything is gone on with."""

    async def story(stage: Stage) -> None:
        telling = asyncio.ensure_future(_a_busy_quarter_of_an_hour(stage))
        await stage.at(at_s)
        await stage.site.api.restart(down_s)
        await telling

    outcome = play(Scene("a restart", (SERVICES, TASKS), story), tmp_path)
    assert outcome.problems == []
    assert outcome.vms >= 3
