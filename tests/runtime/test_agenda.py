"""What is wished for is done once, one at a time, the earliest first, and not before its time."""

import asyncio

from burster.lab.lockstep import LabClock, run_lockstep
from burster.runtime.agenda import Agenda


def granted_by(*wishes: tuple[str, float], dropped: str = "") -> list[tuple[str, int]]:
    async def main(clock: LabClock) -> list[tuple[str, int]]:
        began_ms, done = clock.now_ms(), list[tuple[str, int]]()
        agenda = Agenda[str](clock, lambda name: name)

        async def grant(name: str) -> None:
            assert agenda.busy
            done.append((name, clock.now_ms() - began_ms))
            await clock.sleep(1)

        running = asyncio.create_task(agenda.run(grant))
        for name, after_s in wishes:
            agenda.wish(name, after_s=after_s)
        agenda.drop(dropped)
        await clock.sleep(100)
        assert not agenda.busy
        running.cancel()
        return done

    return run_lockstep(main)


def test_one_at_a_time_and_the_earliest_first() -> None:
    assert granted_by(("late", 30), ("b", 0), ("a", 0)) == [("a", 0), ("b", 1_000), ("late", 30_000)]


def test_asking_twice_is_asking_once_for_the_earlier_time() -> None:
    assert granted_by(("a", 50), ("a", 20), ("a", 70)) == [("a", 20_000)]


def test_what_is_dropped_is_not_done() -> None:
    assert granted_by(("a", 10), ("b", 20), dropped="a") == [("b", 20_000)]
