"""The guests of burster's own machines: they boot, prove themselves, open their port, and go when their lease is over or they are evicted.

Started by the site on the ARM stand-in, which tells them when a machine runs. Each is a task that looks at its machine every few seconds,
as the timers in a real one do. A guest's port is a real one on this machine's loopback; ``reach`` finds it by the machine's address.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, Literal, Self

import msgspec

from burster.adaptors.endpoint_slices import connect
from burster.lab.arm import ArmServer
from burster.lab.arm.resources import VmRecord
from burster.lab.cluster.work import Works
from burster.lab.machines.boot import Boot, BootError, read_boot
from burster.model.errors import RemoteError
from burster.model.tags import MACHINE_PREFIX, lease_end_ms


Answer = Literal["Attested", "Refused", "Silent"]
_LOOK_S: Final = 5.0
_FINAL: Final = frozenset({"Preempt", "Terminate"})


class GuestOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How guests behave. ``answer`` is what the Trustee says to each, by the machine's name."""

    boot_ms: int = 8_000
    attest_ms: int = 2_000
    stop_ms: int = 1_000  #: how long a workload takes to stop when it is asked to
    answer: Callable[[str], Answer] = lambda _name: "Attested"


class Guest:
    """What is inside one machine."""

    def __init__(self, vm: VmRecord) -> None:
        self.vm: Final = vm
        self.boot = Boot()
        self.attested = False
        self.evicted = False
        self.powered_off = False
        self.failure = ""  #: why it never came up
        self.server: asyncio.Server | None = None

    @property
    def port(self) -> int | None:
        """The port on loopback on which its workload answers; None while it does not."""
        return None if self.server is None else self.server.sockets[0].getsockname()[1]


class Guests:
    """All of them, those that have gone too. An async context manager."""

    def __init__(self, arm: ArmServer, now_ms: Callable[[], int], options: GuestOptions) -> None:
        self._arm: Final = arm
        self._now_ms: Final = now_ms
        self._options: Final = options
        self._works: Final = Works()
        self.all: list[Guest] = []

    async def __aenter__(self) -> Self:
        self._arm.inside(self._started)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._works.close()

    @property
    def serving(self) -> dict[str, Guest]:
        """Those whose port answers, by address."""
        return {guest.vm.nics[0].address: guest for guest in self.all if guest.server is not None and guest.vm.nics}

    async def reach(self, address: str, port: int) -> None:
        """Connect to a machine's port. Raises RemoteError Unavailable, as from a network in which nothing answers."""
        guest = self.serving.get(address)
        if guest is None or guest.port is None:
            raise RemoteError("Unavailable", f"{address}:{port} does not answer", code="NoAnswer", retry_after_ms=5_000)
        await connect("127.0.0.1", guest.port)

    def _started(self, vm: VmRecord) -> None:
        if vm.name.startswith(MACHINE_PREFIX):
            guest = Guest(vm)
            self.all.append(guest)
            self._works.spawn(self._live(guest), name=f"guest-{vm.name}")

    async def _live(self, guest: Guest) -> None:
        try:
            await self._come_up(guest)
            while self._runs(guest):
                await asyncio.sleep(_LOOK_S)
                await self._look(guest)
        finally:
            await _close(guest)

    async def _come_up(self, guest: Guest) -> None:
        options = self._options
        await asyncio.sleep(options.boot_ms / 1000)
        try:
            guest.boot = read_boot(guest.vm.user_data)
        except BootError as error:
            guest.failure = f"cloud-init could not read its user data: {error}"
            return
        if guest.boot.attests:
            await asyncio.sleep(options.attest_ms / 1000)
            answer = options.answer(guest.vm.name)
            guest.attested = answer == "Attested"
            if not guest.attested:
                guest.failure = f"the Trustee's answer was {answer}"
                return
        if "burster-workload.target" in guest.boot.units and self._runs(guest):
            guest.server = await asyncio.start_server(_hang_up, "127.0.0.1", 0)

    async def _look(self, guest: Guest) -> None:
        """Do what its timers do: look for a notice, and at the lease."""
        events: list[dict[str, Any]] = self._arm.scheduled_events(guest.vm.name)["Events"]
        if guest.boot.hears_evictions and any(event["EventType"] in _FINAL for event in events):
            guest.evicted = True
            await self._stop(guest)
        made_with = guest.boot.lease_end_ms
        if made_with is None or not self._runs(guest):
            return
        told = lease_end_ms(guest.vm.tags)
        if self._now_ms() >= (made_with if told is None else told):
            await self._stop(guest)
            guest.powered_off = True
            self._arm.power_off(guest.vm.name)

    async def _stop(self, guest: Guest) -> None:
        if guest.server is not None:
            await asyncio.sleep(self._options.stop_ms / 1000)
            await _close(guest)

    def _runs(self, guest: Guest) -> bool:
        return guest.vm.state != "Deleting" and self._arm.runs(guest.vm)


async def _close(guest: Guest) -> None:
    server, guest.server = guest.server, None
    if server is not None:
        server.close()
        await server.wait_closed()


def _hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()
