"""A scaled workload gets back the number that it had before its policy, whichever controller set it since, and wherever one died."""

from pathlib import Path
from typing import Any

import pytest

from burster.ledger import Ledger
from burster.model import stimuli as s
from burster.model.decisions import Decision
from burster.model.instructions import SetScale
from tests.engine.test_scale_a_workload import KEY, Cluster, a_scaling_policy, cloud, read
from tests.support.builders import T0, Engine, a_target, an_offering


DAY = 86_400_000
ORIGINAL = 3


def rules(**changes: Any) -> Any:
    scaling = {"restore_to_original": True, "max_replicas": 8} | changes
    return a_scaling_policy(scaling=scaling, uid="p-1")


def seen(*, deleting: bool = False, guarded: bool = True, **changes: Any) -> s.PolicySeen:
    return s.PolicySeen(policy=rules(**changes), deleting=deleting, guarded=guarded)


def noted(replicas: int = ORIGINAL, **changes: Any) -> s.LedgerRestored:
    values = {"policy": KEY, "namespace": "bank", "kind": "Deployment", "name": "cloud-deployment"} | changes
    return s.LedgerRestored(entries=(), originals=(s.Original(replicas=replicas, **values),))


def a_start(*facts: s.Stimulus) -> Engine:
    engine = Engine()
    engine.sync(
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        *facts,
    )
    return engine


def notes(decisions: list[Decision]) -> list[tuple[str, dict[str, int]]]:
    return [(one.reasons[0].code, one.reasons[0].numbers) for one in decisions if one.verdict == "Note"]


def restored(engine: Engine) -> int | None:
    """Carry out what is asked for until nothing is; return the number that is set last, None where none was."""
    number = None
    for _ in range(5):
        asked: list[SetScale] = engine.asked("SetScale")
        if asked:
            number = asked[-1].replicas
            engine.send(s.ScaleSet(policy=KEY, replicas=number), cloud(number), after_ms=100)
        else:
            engine.wait(60_000)
    return number


def test_the_number_is_on_record_in_the_step_that_first_sets_it_and_once() -> None:
    world = Cluster(policy=rules(), workload=cloud(ORIGINAL))
    world.run(60, value=6)
    assert world.replicas == 6
    assert notes(world.decisions) == [("OriginalNoted", {"original": ORIGINAL})]
    (note,) = [one for one in world.decisions if one.verdict == "Note"]
    assert (note.policy, note.subject, note.kind) == (KEY, "bank/cloud-deployment", "Deployment")
    first = next(one for one in world.decisions if one.verdict == "Scale")
    assert note.at_ms == first.at_ms
    assert world.decisions.index(note) < world.decisions.index(first)


def test_nothing_is_noted_of_a_workload_whose_number_is_never_set() -> None:
    world = Cluster(policy=rules(), workload=cloud(ORIGINAL))
    world.run(60)
    assert notes(world.decisions) == []


def test_a_successor_restores_what_its_predecessor_found() -> None:
    engine = a_start(noted(), seen(), cloud(6))
    engine.send(seen(deleting=True), after_ms=1_000)
    assert restored(engine) == ORIGINAL


def test_a_policy_that_was_deleted_while_nobody_looked_has_its_workload_restored_before_it_goes() -> None:
    engine = a_start(noted(), seen(deleting=True), cloud(6))
    assert [one.replicas for one in engine.asked("SetScale")] == [ORIGINAL]
    assert engine.asked("ReleasePolicy") == []
    engine.send(s.ScaleSet(policy=KEY, replicas=ORIGINAL), cloud(ORIGINAL), after_ms=1_000)
    assert [one.policy for one in engine.asked("ReleasePolicy")] == [KEY]
    assert notes(engine.decisions)[-1] == ("OriginalRestored", {})
    engine.send(s.PolicyReleased(policy=KEY), s.PolicyGone(key=KEY), after_ms=1_000)
    assert restored(engine) is None, "and it is left alone after that"


def test_its_finalizer_stays_until_the_workload_was_read() -> None:
    engine = a_start(noted(), seen(deleting=True))
    engine.wait(60_000)
    assert engine.asked("ReleasePolicy") == []
    engine.send(cloud(6), after_ms=1_000)
    assert restored(engine) == ORIGINAL


def test_a_workload_that_is_gone_holds_nobody() -> None:
    engine = a_start(
        noted(),
        seen(deleting=True),
        s.WorkloadGone(namespace="bank", kind="Deployment", name="cloud-deployment"),
    )
    assert [one.policy for one in engine.asked("ReleasePolicy")] == [KEY]


def test_what_nobody_has_noted_is_left_alone_where_the_original_is_to_be_restored() -> None:
    engine = a_start(seen(deleting=True, min_replicas=1), cloud(6))
    assert restored(engine) is None
    assert notes(engine.decisions) == []


def test_what_is_not_to_be_restored_goes_to_the_minimum_also_if_nobody_looked_at_the_deletion() -> None:
    engine = a_start(seen(deleting=True, min_replicas=1, restore_to_original=False), cloud(6))
    assert restored(engine) == 1


def test_a_policy_that_burster_never_kept_leaves_the_number_alone() -> None:
    engine = a_start(seen(deleting=True, guarded=False), cloud(6))
    assert restored(engine) is None


@pytest.mark.parametrize("other", [{"kind": "StatefulSet"}, {"name": "another"}, {"namespace": "shop"}])
def test_what_was_noted_of_another_workload_is_not_this_one_s(other: dict[str, str]) -> None:
    engine = a_start(noted(**other), seen(), cloud(6))
    engine.send(seen(deleting=True), after_ms=1_000)
    assert restored(engine) is None, "6 is what was found"


def test_it_is_said_again_each_day_also_by_a_successor() -> None:
    engine = a_start(noted(), seen(), cloud(6))
    assert notes(engine.decisions) == [("OriginalNoted", {"original": ORIGINAL})]
    for _ in range(2):
        engine.wait(DAY // 2)
        engine.wait(DAY // 2)
    assert len(notes(engine.decisions)) == 3


def test_a_policy_that_comes_again_finds_what_is_there_then() -> None:
    world = Cluster(policy=rules(), workload=cloud(ORIGINAL))
    world.run(60, value=6)
    world.send(seen(deleting=True), after_ms=1_000)
    world.settle()
    world.send(s.PolicyGone(key=KEY), after_ms=1_000)
    world.settle()
    assert world.replicas == ORIGINAL
    world.send(cloud(1), seen(guarded=False), after_ms=1_000)
    world.workload = cloud(1)
    world.run(60, value=6)
    assert notes(world.decisions) == [
        ("OriginalNoted", {"original": 3}),
        ("OriginalRestored", {}),
        ("OriginalNoted", {"original": 1}),
    ]


# --- deaths ---------------------------------------------------------------------------------------------------------------------------


class World:
    """The cluster and the ledger's file: what is left when a controller dies."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.sqlite"
        self.replicas = ORIGINAL


class Controller:
    """A controller as its loop goes: decide, write it down, carry it out, hear of it. Dies where it is told to."""

    def __init__(self, world: World, *, at_ms: int, dry_run: bool = False, deleting: bool = False) -> None:
        self.world = world
        self.ledger = Ledger.open(world.path, dry_run=dry_run)
        self.engine = Engine()
        self.engine.now = at_ms
        self.step(
            s.LedgerRestored(entries=(), originals=self.ledger.originals(0)),
            s.TargetSeen(target=a_target()),
            s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
            seen(deleting=deleting, guarded=True),
            cloud(world.replicas),
            *(s.SourceSynced(source=name) for name in ("pods", "policies", "targets", "bursts", "cloud-pods")),
        )

    def step(self, *facts: s.Stimulus, after_ms: int = 0, dies: str = "") -> None:
        told = len(self.engine.decisions)
        self.engine.send(*facts, after_ms=after_ms)
        if dies == "before the record":
            return
        self.ledger.append_step(self.engine.now, facts, self.engine.decisions[told:])
        asked: list[SetScale] = self.engine.asked("SetScale")
        if not asked or dies == "before the write":
            return
        self.world.replicas = asked[-1].replicas
        if dies != "before the answer":
            self.step(s.ScaleSet(policy=KEY, replicas=asked[-1].replicas), cloud(asked[-1].replicas))

    def die(self) -> int:
        self.ledger.close()
        return self.engine.now


BOUNDARIES = ("before the record", "before the write", "before the answer", "")


@pytest.mark.parametrize("second", BOUNDARIES)
@pytest.mark.parametrize("first", BOUNDARIES)
def test_two_deaths_at_any_boundary_and_the_original_is_restored(tmp_path: Path, first: str, second: str) -> None:
    world, now = World(tmp_path), T0
    for value, dies in ((5, first), (8, second)):
        controller = Controller(world, at_ms=now)
        controller.step(read(value, at=controller.engine.now + 15_000), after_ms=15_000, dies=dies)
        now = controller.die() + 60_000
    last = Controller(world, at_ms=now, deleting=True)
    for _ in range(3):
        last.step(after_ms=60_000)
    assert world.replicas == ORIGINAL
    assert [one.policy for one in last.engine.asked("ReleasePolicy")] or last.engine.state.scale_books == {}
    last.die()


def test_what_a_dry_run_noted_is_not_what_was_there_when_it_was_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    dry = Controller(world, at_ms=T0, dry_run=True)
    dry.step(read(5, at=T0 + 15_000), after_ms=15_000, dies="before the write")
    now = dry.die() + DAY
    world.replicas = 1  # somebody has set it since
    live = Controller(world, at_ms=now)
    assert live.ledger.originals(0) == ()
    live.step(read(8, at=live.engine.now + 15_000), after_ms=15_000)
    live.step(seen(deleting=True), after_ms=15_000)
    live.step(after_ms=60_000)
    assert world.replicas == 1
    live.die()
