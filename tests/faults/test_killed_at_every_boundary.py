"""A controller that is killed at each boundary between itself and the world in turn, and a successor that goes on: nothing of it shows.

Every story is played once without a fault, which counts its boundaries: before, during and after each write to the API server, each call
to ARM, each commit of the ledger. Then the same story is played once for each boundary that is taken, with a process that dies exactly
there. What is looked at afterwards is the lab's own evidence, and the ledger, which must be whole and replay.
"""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from tests.faults.mortal import MOMENTS, Death
from tests.faults.scenes import DOWN_S, Outcome, Scene, play
from tests.faults.stories import SCENES


#: A process is killed at every so many-th boundary; it has no divisor in common with the three moments.
STRIDE = 4
SHARES = 20


class Point(NamedTuple):
    """One boundary of one story; ``down_s``: for how long nobody is there afterwards."""

    scene: Scene
    death: Death
    down_s: float
    operation: str

    def __str__(self) -> str:
        return f"{self.scene.name}: {self.death.moment} {self.death.operation} ({self.operation}), {self.down_s:g}s"


def undisturbed(scene: Scene) -> Outcome:
    return _undisturbed(SCENES.index(scene))


@cache
def _undisturbed(number: int) -> Outcome:
    with TemporaryDirectory() as folder:
        return play(SCENES[number], Path(folder))


@cache
def points() -> tuple[Point, ...]:
    """Return where somebody is killed, evenly over all boundaries of all stories."""
    found: list[Point] = []
    for scene in SCENES:
        for number, operation in enumerate(undisturbed(scene).lives[0]):
            found += [Point(scene, Death(number, moment), 0.0, operation) for moment in MOMENTS]
    return tuple(point._replace(down_s=DOWN_S[number % len(DOWN_S)]) for number, point in enumerate(found[::STRIDE]))


def check(point: Point, folder: Path) -> None:
    number = point.death.operation
    before = undisturbed(point.scene)
    after = play(point.scene, folder, (point.death,), down_s=point.down_s)
    assert len(after.lives) == 2
    assert after.lives[0][: number + 1] == before.lives[0][: number + 1], f"{point}: it did not come so far"
    assert len(after.lives[0]) < len(before.lives[0]) or number == len(before.lives[0]) - 1, f"{point}: it did not die"
    assert after.problems == [], f"{point}: {after.problems}"
    assert after.vms <= before.vms, f"{point}: {after.vms} VMs were made, and {before.vms} without a death"


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)
def test_without_a_death_a_story_ends_as_it_should(scene: Scene) -> None:
    assert undisturbed(scene).problems == []


def test_there_are_more_than_300_and_they_are_of_every_kind() -> None:
    taken = points()
    assert len({str(point) for point in taken}) == len(taken) >= 300
    for scene in SCENES:
        assert len([point for point in taken if point.scene is scene]) >= 30, scene.name
    for moment in MOMENTS:
        assert len([point for point in taken if point.death.moment == moment]) >= 100, moment
    of_all = {operation.split("/")[0] for scene in SCENES for operation in undisturbed(scene).lives[0]}
    assert {"COMMIT ledger", "ARM list_vms"} <= of_all
    assert {"create", "patch", "delete"} <= {operation.split()[0] for operation in of_all}


def test_some_of_them(tmp_path: Path) -> None:
    for number, point in enumerate(points()[:: len(points()) // 8]):
        check(point, tmp_path / str(number))


@pytest.mark.long
@pytest.mark.parametrize("share", range(SHARES))
def test_all_of_them(share: int, tmp_path: Path) -> None:
    for number, point in enumerate(points()[share::SHARES]):
        check(point, tmp_path / str(number))
