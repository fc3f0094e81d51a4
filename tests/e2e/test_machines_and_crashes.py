"""The controller dies at random instruction boundaries while machines come and go: one machine for each burst, none left, all paid for."""

import random
from pathlib import Path

import pytest

from burster.lab.arm import Fault, known_fault
from burster.lab.lockstep import LabClock, run_lockstep
from burster.runtime.executor import Adaptor
from tests.e2e.crashing import DyingAdaptor
from tests.support.machine_site import MachineSite, a_machine_site


async def one_life(site: MachineSite, chance: random.Random) -> str:
    """Have a controller run until it dies; return where."""
    dying: list[DyingAdaptor] = []

    def around(adaptor: Adaptor) -> Adaptor:
        dying.append(DyingAdaptor(adaptor, chance.randint(0, 25), chance.choice(("before", "during", "after"))))
        return dying[0]

    await site.begin(around)
    for _ in range(900):  # one that has nothing more to do lives on
        if dying[0].dead.is_set():
            break
        await site.clock.sleep(1)
    await site.kill()
    await site.clock.sleep(chance.choice((0.0, 0.5, 10.0, 90.0)))
    return dying[0].last


def play(seed: int, folder: Path, *, crashes: int, faults: tuple[Fault, ...] = ()) -> None:
    chance = random.Random(f"{seed}/machines")
    deaths: list[str] = []

    async def main(clock: LabClock) -> None:
        async with a_machine_site(clock, folder) as site:
            for fault in faults:
                site.site.arm.faults.add(fault)
            for number in range(crashes):
                await site.want((3, 3, 1, 4, 2, 0)[number % 6])
                deaths.append(await one_life(site, chance))
            await site.want(2)
            await site.begin()
            await site.until(
                lambda: site.serving() == len(site.machines()) == len(site.endpoints()) == 2,
                within_s=7_200,
                why=f"two serve in the end; died {deaths}",
            )
            assert site.endpoints() == set(site.site.guests.serving)
            await site.want(0)
            await site.until(
                lambda: site.active() == 0 and not site.site.arm.leaks(), within_s=7_200, why=f"all are home; {deaths}"
            )
            assert site.endpoints() == set()
            names = [vm.name for vm in site.site.arm.billing.vms]
            assert len(names) == len(set(names)), "one machine for each name, whoever asks"
            assert site.settled() >= site.bill() > 0, deaths

    run_lockstep(main)


def test_a_seed(tmp_path: Path) -> None:
    play(0, tmp_path, crashes=5)


LOST_ANSWERS = (
    Fault(operation="PutVm", effect="DropAfter", times=None, probability=0.4),
    Fault(operation="DeleteVm", effect="DropAfter", times=None, probability=0.3),
    Fault(operation="GetOperation", effect="DropBefore", times=None, probability=0.2),
    known_fault("AllocationFailed", times=None, probability=0.15),
)


def test_a_cloud_whose_answers_get_lost_besides(tmp_path: Path) -> None:
    play(3, tmp_path, crashes=4, faults=LOST_ANSWERS)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(5, 17))
def test_more_seeds(seed: int, tmp_path: Path) -> None:
    play(seed, tmp_path, crashes=6, faults=LOST_ANSWERS if seed % 2 else ())
