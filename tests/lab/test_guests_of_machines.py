"""Guests of machines in the lab do what their user data says, and nothing besides: no proof, no port; no lease told, no end."""

import base64
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from burster.adaptors.guest_units import Guest as Told
from burster.adaptors.machine_bodies import machine_body
from burster.adaptors.user_data import build_user_data, compose, pack
from burster.clients.arm import Arm, ArmSettings
from burster.lab.arm import ArmServer
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.machines import GuestOptions, Guests
from burster.lab.machines.boot import BootError, read_boot
from burster.model.errors import RemoteError
from burster.model.tags import LEASE_END_TAG
from tests.support.machines import NAME, a_machine, the_target


TOLD = Told(machine=NAME, lease_end_ms=5_000, drain_ms=60_000, trustee_url="https://kbs:8080")


def test_a_guest_reads_what_cloud_init_would() -> None:
    boot = read_boot(pack(compose("#cloud-config\nruncmd:\n- [touch, /x]\n", TOLD)))
    assert boot.lease_end_ms == 5_000
    assert boot.attests
    assert not boot.hears_evictions
    assert "burster-workload.target" in boot.units
    assert boot.commands[-1] == ("touch", "/x")
    assert boot.commands[0] == ("systemctl", "daemon-reload")


def test_a_guest_unpacks() -> None:
    packed = base64.b64encode(gzip.compress(compose("", TOLD).encode())).decode()
    assert read_boot(packed) == read_boot(pack(compose("", TOLD)))


@pytest.mark.parametrize("data", ["%", base64.b64encode(b"\x1f\x8b not gzip").decode()])
def test_what_nobody_could_boot_from_is_told(data: str) -> None:
    with pytest.raises(BootError):
        read_boot(data)


def test_a_guest_that_was_sent_nothing_does_nothing() -> None:
    boot = read_boot("")
    assert boot.lease_end_ms is None
    assert not boot.units


class Lab:
    """An ARM stand-in with guests, and a client that makes machines there."""

    def __init__(self, clock: LabClock, server: ArmServer, guests: Guests, arm: Arm) -> None:
        self.clock = clock
        self.server = server
        self.guests = guests
        self.arm = arm

    async def make(self, *, lease_s: int = 3_600, **changes: Any) -> str:
        """Have a machine, wait until it is there and its guest had time to come up; return its address."""
        burst, target = a_machine(region="westeurope", size="Standard_DC2es_v6", **changes), the_target()
        lease_end_ms = self.clock.now_ms() + lease_s * 1_000
        data = build_user_data("", burst, target, lease_end_ms=lease_end_ms)
        body = machine_body(burst, cluster="lab", user_data=data, lease_end_ms=lease_end_ms)
        await self.arm.begin_vm(target, NAME, body)
        await self.clock.sleep(180)
        found = await self.arm.get_vm(target, NAME)
        assert found is not None
        return found.private_address

    async def answers(self, address: str) -> bool:
        try:
            await self.guests.reach(address, 8443)
        except RemoteError as error:
            return error.kind != "Unavailable"
        return True

    async def renew(self, until_ms: int) -> None:
        found = await self.arm.get_vm(the_target(), NAME)
        assert found is not None
        await self.arm.tag_vm(the_target(), found, {**found.tags, LEASE_END_TAG: str(until_ms)})


@asynccontextmanager
async def a_lab(clock: LabClock, options: GuestOptions | None = None) -> AsyncIterator[Lab]:
    async with (
        ArmServer(clock, seed=7) as server,
        Guests(server, clock.now_ms, options or GuestOptions()) as guests,
        Arm(ArmSettings(base_url=server.url, auth="none")) as arm,
    ):
        yield Lab(clock, server, guests, arm)


def play(story: Any, options: GuestOptions | None = None) -> None:
    async def main(clock: LabClock) -> None:
        async with a_lab(clock, options) as lab:
            await story(lab)

    run_lockstep(main)


def test_a_guest_opens_its_port_once_it_has_proven_itself() -> None:
    async def story(lab: Lab) -> None:
        address = await lab.make()
        assert await lab.answers(address)
        assert not await lab.answers("10.9.9.9")

    play(story)


@pytest.mark.parametrize("answer", ["Refused", "Silent"])
def test_a_guest_that_its_trustee_does_not_believe_opens_nothing(answer: Any) -> None:
    async def story(lab: Lab) -> None:
        assert not await lab.answers(await lab.make())
        assert answer in lab.guests.all[0].failure

    play(story, GuestOptions(answer=lambda _name: answer))


def test_a_guest_ends_with_its_lease_and_goes_on_costing_until_somebody_deletes_it() -> None:
    async def story(lab: Lab) -> None:
        address = await lab.make(lease_s=600)
        assert await lab.answers(address)
        await lab.clock.sleep(600)
        assert not await lab.answers(address)
        found = await lab.arm.get_vm(the_target(), NAME, instance_view=True)
        assert found is not None
        assert found.power_state == "stopped"
        before = lab.server.billing.cost_micro_usd(lab.clock.now_ms())
        await lab.clock.sleep(600)
        assert lab.server.billing.cost_micro_usd(lab.clock.now_ms()) > before

    play(story)


def test_a_renewed_guest_goes_on() -> None:
    async def story(lab: Lab) -> None:
        address = await lab.make(lease_s=600)
        await lab.renew(lab.clock.now_ms() + 7_200_000)
        await lab.clock.sleep(3_600)
        assert await lab.answers(address)

    play(story)


def test_a_spot_guest_closes_its_port_when_it_hears_of_its_eviction() -> None:
    async def story(lab: Lab) -> None:
        address = await lab.make(spot=True)
        lab.server.evict(NAME, notice_s=30)
        await lab.clock.sleep(10)
        assert not await lab.answers(address)
        assert lab.guests.all[0].evicted

    play(story)


def test_tags_can_be_replaced_and_nothing_else_changed() -> None:
    async def story(lab: Lab) -> None:
        await lab.make()
        found = await lab.arm.get_vm(the_target(), NAME)
        assert found is not None
        await lab.arm.tag_vm(the_target(), found, {"team": "risk"})
        again = await lab.arm.get_vm(the_target(), NAME)
        assert again == msgspec.structs.replace(found, tags={"team": "risk"})
        await lab.arm.delete_vm(the_target(), NAME)
        with pytest.raises(RemoteError) as gone:
            await lab.arm.tag_vm(the_target(), found, {})
        assert gone.value.kind == "NotFound"

    play(story)
