"""Machines in a whole lab, in virtual time: asked for by a number, verified, reached, drained, deleted, and paid for to the cent."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from burster.engine.reaping import ReapRules
from burster.lab.arm import ArmConfig, known_fault
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.machines import GuestOptions
from burster.model.tags import LEASE_END_TAG
from burster.runtime.reaper import Reaper, ReaperOptions
from burster.runtime.reaper_cluster import ClusterReader
from tests.support.machine_site import IMAGE, PORT, SUBNET, MachineSite, a_machine_site


Story = Callable[[MachineSite], Awaitable[None]]


def play(folder: Path, story: Story, **site: Any) -> None:
    async def main(clock: LabClock) -> None:
        async with a_machine_site(clock, folder, **site) as it:
            await it.begin()
            await clock.sleep(60)
            await story(it)

    run_lockstep(main)


@asynccontextmanager
async def a_reaper_beside(site: MachineSite, *, blind: bool) -> AsyncIterator[Reaper]:
    """Have a reaper that may delete, with connections of its own; ``blind``: there is no API server any more, only a file of targets."""
    async with site.site.connections() as connections:
        reader = ClusterReader(connections.kube, site.clock.now_ms, home="burster-system")
        options = ReaperOptions(cluster="lab", mode="Delete", rules=ReapRules(grace_ms=300_000))
        if blind:
            options = msgspec.structs.replace(options, targets=await reader.targets())
        cloud = connections.arm
        yield Reaper(cloud, None if blind else reader, site.clock, options, skew_ms=lambda: cloud.clock_skew_ms)


async def home(site: MachineSite) -> None:
    """Have everything come home; nothing is left, and everything is paid for."""
    await site.want(0)
    await site.until(lambda: site.active() == 0 and not site.machines(), within_s=3_600, why="all are home")
    assert site.endpoints() == set()
    assert site.site.arm.leaks() == ()
    # what never had a machine under it costs nothing, and is settled all the same: nobody outside can tell
    assert site.bill() <= site.settled() <= (site.bill() + site.unallocated()) * 1.3


def test_a_number_goes_up_to_three_and_back_to_none(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        assert site.machines() == []
        await site.want(3)
        await site.until(lambda: site.phases() == ["Serving"] * 3, why="three serve")
        assert len(site.machines()) == 3
        assert site.endpoints() == set(site.site.guests.serving)
        (port,) = site.slices()[0]["ports"]
        assert (port["name"], port["port"]) == ("https", PORT)
        assert all(guest.attested for guest in site.site.guests.all)
        await home(site)
        assert site.bill() > 0

    play(tmp_path, story)


def test_a_machine_that_its_trustee_does_not_believe_is_nobodys_endpoint(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        await site.want(1)
        await site.until(lambda: bool(site.machines()), why="one is made")
        await site.until(lambda: "Failed" in site.seen_phases, within_s=3_600, why="it is given up")
        assert site.ever_published == set()
        await home(site)

    play(tmp_path, story, guests=GuestOptions(answer=lambda _name: "Refused"))


def test_a_machine_is_taken_out_of_its_service_before_it_goes(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        await site.want(1)
        await site.until(lambda: site.phases() == ["Serving"], why="one serves")
        await site.want(0)
        await site.until(lambda: not site.endpoints(), within_s=3_600, why="it is no endpoint any more")
        assert len(site.site.guests.serving) == 1, "it still finishes what it does"
        await home(site)

    play(tmp_path, story)


def test_a_renewed_lease_is_told_to_the_machine_which_goes_on(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        await site.want(1)
        await site.until(lambda: site.phases() == ["Serving"], why="one serves")
        (guest,) = site.site.guests.all
        first = guest.vm.tags[LEASE_END_TAG]
        await site.clock.sleep(3_600)
        assert site.phases() == ["Serving"]
        assert int(guest.vm.tags[LEASE_END_TAG]) > int(first) + 1_200_000
        assert guest.port is not None
        await home(site)

    play(tmp_path, story)


def test_a_spot_machine_that_is_taken_away_leaves_its_service_and_another_comes(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        await site.want(1)
        await site.until(lambda: site.phases() == ["Serving"], why="one serves")
        (first,) = site.machines()
        assert site.site.guests.all[0].vm.spot
        site.site.arm.evict(first)
        await site.until(lambda: not site.site.guests.serving, within_s=40, why="its guest hears of it")
        await site.until(lambda: not site.endpoints(), within_s=120, why="nobody is sent there")
        await site.until(
            lambda: site.serving() == 1 and first not in site.machines(), within_s=3_600, why="another one serves"
        )
        assert "SpotEvicted" in site.codes()
        await home(site)

    play(tmp_path, story, spot="Prefer")


@pytest.mark.parametrize("code", ["AllocationFailed", "OverconstrainedAllocationRequest"])
def test_a_machine_that_fails_late_is_swept_with_its_parts_and_another_size_comes(tmp_path: Path, code: str) -> None:
    async def story(site: MachineSite) -> None:
        site.site.arm.faults.add(known_fault(code, times=None, size="Standard_DC2es_v6"))
        await site.want(1)
        await site.until(
            lambda: site.serving() == len(site.machines()) == 1, within_s=3_600, why="one of another size serves"
        )
        (name,) = site.machines()
        assert site.site.arm.vms[name].size != "Standard_DC2es_v6"
        assert len(site.site.arm.leaks()) == 3, "this one, its interface and its disk"
        assert code in site.codes()
        await home(site)

    play(tmp_path, story)


def test_an_interface_that_azure_keeps_for_a_while_is_deleted_when_it_may_be(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        site.site.arm.faults.add(known_fault("AllocationFailed", times=1))
        await site.want(1)
        await site.until(lambda: site.serving() == 1, within_s=3_600, why="another one serves")
        await home(site)

    play(tmp_path, story, arm=ArmConfig(subnets=(SUBNET,), nic_reserved_ms=180_000))


def test_a_zone_without_room_is_left_for_the_next(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        site.site.arm.faults.add(known_fault("ZonalAllocationFailed", times=1))
        await site.want(1)
        await site.until(lambda: site.serving() == 1, within_s=3_600, why="one serves")
        zones = [guest.vm.zones for guest in site.site.guests.all if guest.port is not None]
        assert zones
        assert zones[0] != site.first_zone
        await home(site)

    play(tmp_path, story, machines={"zones": ["1", "2"]})


def test_a_full_subnet_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        await site.want(4)
        await site.until(lambda: site.serving() == 2, within_s=3_600, why="two have an address")
        await site.clock.sleep(300)
        assert site.serving() == 2
        assert "SubnetIsFull" in site.codes()
        await home(site)

    play(tmp_path, story, arm=ArmConfig(subnets=(SUBNET,), subnet_addresses=2))


def test_user_data_that_may_not_go_is_told_and_nothing_is_made(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        secret = {"data": {"user-data": "#cloud-config\npassword: hunter2hunter2\n"}}
        site.site.store.patch("configmaps", "default", "scorer", secret)
        await site.want(1)
        await site.until(lambda: "UserDataInvalid" in site.codes(), why="it is told")
        assert site.machines() == []
        assert site.bill() == 0
        told = [r.sentence for d in site.decisions for r in d.reasons if r.code == "UserDataInvalid"]
        assert "line 2" in told[0]
        assert "hunter2" not in "".join(told)

    play(tmp_path, story)


def test_a_controller_that_is_gone_for_ever_does_not_keep_machines_at_work(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        await site.want(2)
        await site.until(lambda: site.phases() == ["Serving"] * 2, why="two serve")
        await site.kill()
        await site.clock.sleep(3_600)
        assert all(guest.powered_off for guest in site.site.guests.all)
        assert site.site.guests.serving == {}
        assert len(site.machines()) == 2, "who powers off is still paid for: the reaper, or a controller, deletes it"
        await site.begin()
        await home(site)

    play(tmp_path, story)


@pytest.mark.parametrize("api", ["there", "gone"])
def test_what_has_ended_itself_the_reaper_deletes_by_its_tags_and_the_bill_stops(tmp_path: Path, api: str) -> None:
    async def story(site: MachineSite) -> None:
        await site.want(2)
        await site.until(lambda: site.phases() == ["Serving"] * 2, why="two serve")
        ends_ms = max(int(guest.vm.tags[LEASE_END_TAG]) for guest in site.site.guests.all)
        await site.kill()
        async with a_reaper_beside(site, blind=api == "gone") as reaper:
            while site.clock.now_ms() < ends_ms:
                await reaper.round()
                assert len(site.machines()) == 2, "no lease is over"
                await site.clock.sleep(60)
            assert all(guest.powered_off for guest in site.site.guests.all)
            for _ in range(25):
                await reaper.round()
                await site.clock.sleep(60)
        assert site.machines() == []
        assert site.site.arm.leaks() == ()
        bill = site.bill()
        assert bill > 0
        await site.clock.sleep(3_600)
        assert site.bill() == bill

    play(tmp_path, story)


def test_what_a_machine_boots_from_is_what_its_policy_says(tmp_path: Path) -> None:
    async def story(site: MachineSite) -> None:
        await site.want(1)
        await site.until(lambda: site.phases() == ["Serving"], why="one serves")
        (guest,) = site.site.guests.all
        assert ("systemctl", "enable", "scorer.service") in guest.boot.commands
        image = guest.vm.properties["storageProfile"]["imageReference"]
        assert ":".join(image.values()) == IMAGE
        tags = guest.vm.tags
        assert (tags["burster-cluster"], tags["burster-policy"]) == ("lab", "default/scoring")
        await home(site)

    play(tmp_path, story)
