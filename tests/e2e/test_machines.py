"""Machines in a whole lab, in virtual time: asked for by a number, verified, reached, drained, deleted, and paid for to the cent."""

from pathlib import Path

from burster.lab.lockstep import LabClock, run_lockstep
from tests.support.machine_site import PORT, a_machine_site


def test_a_number_goes_up_to_three_and_back_to_none(tmp_path: Path) -> None:
    async def main(clock: LabClock) -> None:
        async with a_machine_site(clock, tmp_path) as site:
            await site.begin()
            await clock.sleep(60)
            assert site.machines() == []
            await site.want(3)
            await site.until(lambda: site.phases() == ["Serving"] * 3, why="three serve")
            assert len(site.machines()) == 3
            assert site.endpoints() == set(site.site.guests.serving)
            (port,) = site.slices()[0]["ports"]
            assert (port["name"], port["port"]) == ("https", PORT)
            assert all(guest.attested for guest in site.site.guests.all)
            await site.want(0)
            await site.until(lambda: site.active() == 0, why="all are home")
            assert site.endpoints() == set()
            assert site.site.arm.leaks() == ()
            assert site.settled() >= site.bill() > 0

    run_lockstep(main)
