"""People who delete, remove and edit what is burster's, in each phase of a burst's life, with and without a controller that dies of it.

No leak, nothing doubled, no limit passed, every pod accounted for; and the ledger and the events tell what was done.
"""

import random
from pathlib import Path

import pytest

from tests.faults.mortal import MOMENTS
from tests.faults.people import DEEDS, PHASES, STRATEGIES, Crash, a_scene
from tests.faults.scenes import DOWN_S, Outcome, play


BEFORE_THE_END = frozenset({"Provisioning", "Attesting", "Serving"})
#: What a deed is told as: one of these, in the ledger or as an event, while the burst answers somebody's demand.
TOLD: dict[str, set[str]] = {
    "delete the Burst": {"RecordDeleted"},
    "delete its pod": {"PodFailed", "PodDeleted", "PodGone"},
    # one that nobody has confirmed yet may be on its way anew: until the launch's deadline
    "delete its VM": {"VmLost", "PodFailed", "FailedCreatePodSandBox", "PodSucceeded", "NotReadyInTime"},
    "remove the Burst by force": {"RecordGone"},
    "remove the pod by force": {"PodDeleted"},
    "delete the policy": {"PolicyGone"},
    "remove the policy by force": {"PolicyGone"},
    "delete the namespace": {"RecordDeleted"},
    "delete the target": {"TargetMissing", "PolicyNotReady"},
}
#: docs/known-limits.md says so of each; what is left of the evidence must hold.
LIMITS: dict[str, tuple[str, ...]] = {
    # the pod's manifest, and what it cost, were in the record
    "remove the Burst by force": (
        "a record before each cloud pod",
        "no pod is lost",
        "nothing is left out of the money",
    ),
    # it waits for its target, and is paid for until somebody can look
    "delete the target": ("what is settled is what it cost",),
    # the time of the first look is all that is known of its beginning
    "say that it serves": ("nothing is left out of the money",),
}
CASES = [(deed, strategy, phase) for deed in DEEDS for strategy in STRATEGIES for phase in PHASES]
#: a few of the many, of each kind of deed, for every day
FEW = CASES[4 :: len(CASES) // 9]
SHARES = 12


def broken(deed: str, outcome: Outcome, *, died: bool) -> list[str]:
    allowed = LIMITS.get(deed, ())
    if deed == "remove the Burst by force" and died:
        allowed = (*allowed, "pod default/task-1 still has ['burster.dev/outcome']")
    return [problem for problem in outcome.problems if not problem.startswith(allowed or ("\0",))]


def check(deed: str, strategy: str, phase: str, folder: Path, seed: int | None = None) -> None:
    rng = random.Random(f"{deed}/{strategy}/{phase}/{seed}")
    crash = None if seed is None else Crash(rng.randrange(8), rng.choice(MOMENTS))
    outcome = play(a_scene(strategy, phase, deed, crash), folder, down_s=rng.choice(DOWN_S))
    what = f"{deed}, {strategy}, {phase}, {crash}"
    assert broken(deed, outcome, died=crash is not None) == [], what
    assert len(outcome.lives) == (1 if crash is None else 2), what
    told = outcome.codes | {reason for _, reason in outcome.events}
    if crash is None and phase in BEFORE_THE_END and deed in TOLD:
        assert told & TOLD[deed], f"{what}: nothing tells of it: {sorted(told)}"


@pytest.mark.parametrize(("deed", "strategy", "phase"), FEW)
def test_a_few(deed: str, strategy: str, phase: str, tmp_path: Path) -> None:
    check(deed, strategy, phase, tmp_path)


@pytest.mark.parametrize("deed", ["say that it is Released", "delete the namespace"])
def test_what_a_successor_finds(deed: str, tmp_path: Path) -> None:
    check(deed, "Move", "Serving", tmp_path, seed=0)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("deed", ["say that it is elsewhere", "say that it is dear"])
def test_what_was_decided_can_not_be_edited(deed: str, strategy: str, tmp_path: Path) -> None:
    outcome = play(a_scene(strategy, "Serving", deed), tmp_path)
    assert outcome.problems == []
    assert "what was decided does not change" in outcome.refused


@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
def test_every_deed_in_every_phase(share: int, tmp_path: Path) -> None:
    for number, case in enumerate(CASES[share::SHARES]):
        check(*case, tmp_path / str(number))


@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
def test_every_deed_in_every_phase_and_a_controller_that_dies(share: int, tmp_path: Path) -> None:
    for number, case in enumerate(CASES[share::SHARES]):
        check(*case, tmp_path / str(number), seed=0)
