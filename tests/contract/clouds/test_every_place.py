"""What the port promises of a place, held against each kind: asked twice it is once, gone is gone, and nothing is taken for granted."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from burster.adaptors.port import Place
from burster.engine.bursts.vms import find_mismatch
from burster.model.bursts import Burst
from burster.model.errors import RemoteError
from burster.model.offerings import Vm
from tests.support.grounds import ON_THE_LAB, Ground, cancelled_after, on_the_lab, placed
from tests.support.simulated_ground import in_the_simulator


Play = Callable[[Callable[[Ground], Awaitable[None]]], None]
#: how long anything may take to come up or to go, in virtual time
PATIENCE_S = 1_200


@pytest.fixture(params=[*ON_THE_LAB, "simulated"])
def play(request: pytest.FixtureRequest) -> Play:
    """Play a scene at each kind of place."""
    kind: str = request.param
    return in_the_simulator if kind == "simulated" else lambda scene: on_the_lab(ON_THE_LAB[kind], scene)


async def launched(ground: Ground, burst: Burst) -> Burst:
    return placed(burst, await ground.place.launch(burst))


async def until(ground: Ground, burst: Burst, holds: Callable[[tuple[Vm, ...]], bool]) -> tuple[Vm, ...]:
    """Look until what is seen is so."""
    vms: tuple[Vm, ...] = ()
    for _ in range(PATIENCE_S // 10):
        vms = (await ground.place.observe(burst)).vms
        if holds(vms):
            return vms
        await ground.sleep(10)
    raise AssertionError(f"never so: {vms}")


def is_up(vms: tuple[Vm, ...]) -> bool:
    return [vm.provisioning_state for vm in vms] == ["Succeeded"]


def none(vms: tuple[Vm, ...]) -> bool:
    return not vms


async def end(ground: Ground, burst: Burst, place: Place | None = None) -> Any:
    """Ask for the end as often as the engine would."""
    for _ in range(PATIENCE_S // 10):
        try:
            return await (place or ground.place).release(burst, grace_ms=30_000)
        except RemoteError as error:
            if error.kind != "Unavailable":
                raise
            await ground.sleep(10)
    raise AssertionError("never released")


async def let_go(ground: Ground, burst: Burst) -> None:
    """What is held until its end is on record is let go."""
    await ground.sleep(60)
    await ground.place.release(burst, grace_ms=30_000, let_go=True)


def test_offerings_are_the_targets_own_and_the_same_when_asked_again(play: Play) -> None:
    async def scene(ground: Ground) -> None:
        first = await ground.place.offerings(ground.target)
        assert first.target == ground.target.name
        assert {one.target for one in (*first.offerings, *ground.target.catalogue)} == {ground.target.name}
        assert await ground.place.offerings(ground.target) == first

    play(scene)


def test_what_is_launched_comes_up_once_as_it_was_asked_for_and_goes_for_good(play: Play) -> None:
    async def scene(ground: Ground) -> None:
        burst = await launched(ground, await ground.burst(1))
        (vm,) = await until(ground, burst, is_up)
        assert find_mismatch(vm, burst, None, ground.target) is None
        assert (ground.made(), ground.there()) == (1, 1)
        await end(ground, burst)
        await let_go(ground, burst)
        await until(ground, burst, none)
        assert (ground.made(), ground.there()) == (1, 0), "gone is gone where it was"
        await end(ground, burst)

    play(scene)


def test_a_launch_that_is_asked_for_again_by_anybody_finds_the_first(play: Play) -> None:
    async def scene(ground: Ground) -> None:
        burst = await ground.burst(1)
        first = await ground.place.launch(burst)
        assert placed(burst, await ground.place.launch(burst)).status.pod_uid == placed(burst, first).status.pod_uid
        other = placed(burst, await ground.another().launch(burst))
        assert other.status.pod_uid == placed(burst, first).status.pod_uid
        await until(ground, other, is_up)
        assert ground.made() == 1

    play(scene)


def test_an_answer_that_is_lost_is_an_outcome_that_nobody_knows_and_is_found_when_asked_again(play: Play) -> None:
    async def scene(ground: Ground) -> None:
        burst = await ground.burst(1)
        ground.lose()
        with pytest.raises(RemoteError) as told:
            await ground.place.launch(burst)
        assert told.value.kind == "Timeout"
        await until(ground, await launched(ground, burst), is_up)
        assert ground.made() == 1

    play(scene)


@pytest.mark.parametrize(
    "after_s", [0.0, 0.02, pytest.param(0.001, marks=pytest.mark.long), pytest.param(0.2, marks=pytest.mark.long)]
)
def test_a_launch_that_is_cancelled_at_any_moment_leaves_nothing_that_the_next_does_not_find(
    play: Play, after_s: float
) -> None:
    async def scene(ground: Ground) -> None:
        burst = await ground.burst(1)
        await cancelled_after(ground.place.launch(burst), after_s)
        await until(ground, await launched(ground, burst), is_up)
        assert ground.made() == 1

    play(scene)


def test_what_bears_the_name_and_not_the_mark_is_left_alone(play: Play) -> None:
    async def scene(ground: Ground) -> None:
        burst = await ground.burst(1)
        untouched = await ground.stranger(burst)
        with pytest.raises(RemoteError) as told:
            await ground.place.launch(burst)
        assert told.value.kind in {"Conflict", "AlreadyExists", "Invalid"}
        assert (await ground.place.observe(burst)).vms == ()
        await end(ground, burst)
        assert untouched()

    play(scene)


def test_of_what_was_never_launched_there_is_nothing_and_its_end_is_done(play: Play) -> None:
    async def scene(ground: Ground) -> None:
        burst = await ground.burst(1)
        assert (await ground.place.observe(burst)).vms == ()
        assert ground.made() == 0

    play(scene)


def test_what_can_not_be_read_is_an_error_and_never_an_empty_answer(play: Play) -> None:
    async def scene(ground: Ground) -> None:
        burst = await launched(ground, await ground.burst(1))
        await until(ground, burst, is_up)
        ground.cut()
        for asked in (
            ground.place.observe(burst),
            ground.place.list(ground.target),
            ground.place.launch(burst),
            ground.place.release(burst, grace_ms=1_000),
        ):
            with pytest.raises(RemoteError):
                await asked

    play(scene)


def test_one_that_is_going_is_there_until_it_is_gone(play: Play) -> None:
    async def scene(ground: Ground) -> None:
        burst = await launched(ground, await ground.burst(1))
        seen = await until(ground, burst, is_up)
        for _ in range(PATIENCE_S):
            try:
                await ground.place.release(burst, grace_ms=30_000)
            except RemoteError as error:
                if error.kind != "Unavailable":
                    raise
            seen = (await ground.place.observe(burst)).vms
            if not seen:
                break
            await ground.sleep(1)
            if ground.there() == 0:
                await let_go(ground, burst)
        assert not seen
        assert ground.there() == 0

    play(scene)


def test_a_list_has_everybodys_and_says_when_it_was_asked(play: Play) -> None:
    async def scene(ground: Ground) -> None:
        assert (await ground.place.list(ground.target)).vms == ()
        bursts = [await launched(ground, await ground.burst(number)) for number in (1, 2)]
        seen = {vm.name for burst in bursts for vm in await until(ground, burst, is_up)}
        listed = await ground.place.list(ground.target)
        assert (listed.target, {vm.name for vm in listed.vms}) == (ground.target.name, seen)
        assert len(seen) == 2, "each burst sees its own"

    play(scene)
