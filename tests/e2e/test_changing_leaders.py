"""The shipped demo under replicas that take turns, on virtual time: clean exits, lost leases, and two leaders for a moment.

The worst of them is a leader whose clock stands still (a paused VM): it can't renew its lease and does not notice, so it acts beside its
successor. What stops it then is the ledger, which refuses its next step before anything of it is done.
"""

import asyncio
import logging
import random
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from burster.lab.checks import check_run
from burster.lab.demo_result import DemoOptions, Invariant
from burster.lab.lockstep import LabClock, run_lockstep
from burster.lab.player import Player
from burster.lab.site import Connections, Site, SiteOptions, open_site
from burster.lab.stage import set_stage
from burster.lab.witness import Witness
from burster.ledger import Ledger, LedgerPlace, Rotation
from burster.model.errors import RemoteError
from burster.runtime.dumps import StateDumps
from burster.runtime.elector import Elector, Leadership
from burster.runtime.replica import Replica
from burster.runtime.wiring import Controller, ControllerOptions


class FreezingClock:
    """A replica's steady clock, which may stand still while time goes on for everybody else."""

    def __init__(self, clock: LabClock) -> None:
        self._clock = clock
        self._stands_at: float | None = None
        self._behind_s = 0.0

    def freeze(self) -> None:
        self._stands_at = self.monotonic()

    def thaw(self) -> None:
        assert self._stands_at is not None
        self._behind_s = self._clock.monotonic() - self._stands_at
        self._stands_at = None

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def monotonic(self) -> float:
        return self._clock.monotonic() - self._behind_s if self._stands_at is None else self._stands_at

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def settled(self) -> None:
        await self._clock.settled()


class LeasesOf:
    """A replica's way to the Lease, which may be cut while the rest of the API server answers."""

    def __init__(self, connections: Connections) -> None:
        self._kube = connections.kube
        self.cut = False

    def __getattr__(self, name: str) -> Any:
        really = getattr(self._kube, name)

        async def ask(*arguments: Any, **options: Any) -> bytes:
            if self.cut:
                raise RemoteError("Unreachable", "the lease can't be reached")
            return await really(*arguments, **options)

        return ask


class Candidate:
    """One replica's process."""

    def __init__(self, clock: LabClock, connections: Connections, place: LedgerPlace, name: str) -> None:
        self.name = name
        self.clock = FreezingClock(clock)
        self.leases = LeasesOf(connections)
        self.stop = asyncio.Event()
        self.epochs: list[int] = []

        def make(ledger: Ledger, leadership: Leadership | None) -> Controller:
            assert leadership is not None
            self.epochs.append(leadership.epoch)
            return Controller(
                kube=connections.kube,
                cloud=connections.arm,
                facts=connections,
                ledger=ledger,
                clock=clock,
                options=ControllerOptions(),
                authority=leadership,
            )

        elector = Elector(
            self.leases, self.clock, namespace="burster-system", identity=name, chance=random.Random(name)
        )
        dumps = StateDumps(place.path.parent / "dumps")
        self.replica = Replica(place, make, clock, elector=elector, dumps=dumps)
        self.task = asyncio.create_task(self.replica.run(self.stop), name=name)

    @property
    def leads(self) -> bool:
        return self.replica.controller is not None


class Play:
    """The demo, and who leads in it."""

    def __init__(self, clock: LabClock, site: Site, stack: AsyncExitStack, place: LedgerPlace) -> None:
        self.clock = clock
        self.site = site
        self._stack = stack
        self._place = place
        self.candidates: list[Candidate] = []
        self.blind_ms = 0
        self.refused = 0  #: how many steps of elders the ledger refused

    async def join(self) -> Candidate:
        connections = await self._stack.enter_async_context(self.site.connections())
        self.candidates.append(Candidate(self.clock, connections, self._place, f"replica-{len(self.candidates)}"))
        return self.candidates[-1]

    @property
    def leading(self) -> list[Candidate]:
        for candidate in self.candidates:
            if candidate.task.done() and not candidate.stop.is_set():
                candidate.task.result()
                raise AssertionError(f"{candidate.name} ended by itself")
        return [candidate for candidate in self.candidates if candidate.leads]

    async def a_leader(self, *, other_than: Candidate | None = None) -> Candidate:
        for waited in range(60_000):
            await self.clock.sleep(0.01)
            found = [one for one in self.leading if one is not other_than]
            if found:
                self.blind_ms += waited * 10
                return found[0]
        raise AssertionError("nobody leads")

    async def clean_exit(self) -> None:
        leader = await self.a_leader()
        await self.join()
        leader.stop.set()
        await leader.task

    async def lost_lease(self) -> None:
        leader = await self.a_leader()
        leader.leases.cut = True
        await self.a_leader(other_than=leader)
        leader.leases.cut = False

    async def two_for_a_moment(self) -> None:
        leader = await self.a_leader()
        leader.leases.cut = True
        leader.clock.freeze()
        await self.a_leader(other_than=leader)
        for _ in range(6_000):
            if not leader.leads:
                break
            await self.clock.sleep(0.05)
        else:
            raise AssertionError("nothing stopped the elder")
        leader.clock.thaw()
        leader.leases.cut = False


async def until_home(play: Play, player: Player) -> None:
    for _ in range(24 * 60):
        await play.clock.sleep(60)
        pods = play.site.store.list("pods")
        working = [
            pod
            for pod in pods
            if pod["spec"].get("restartPolicy") == "Never" and pod["status"].get("phase") not in {"Succeeded", "Failed"}
        ]
        (leader,) = play.leading
        active = leader.replica.controller.active_bursts() if leader.replica.controller else ["?"]
        if player.finished and not working and not active and not play.site.arm.leaks():
            return
    raise AssertionError("it never came to rest")


def take_turns(seed: int, folder: Path, turns: list[str], rotation: Rotation) -> tuple[tuple[Invariant, ...], Play]:
    stage = set_stage(DemoOptions(run_dir=str(folder), seed=seed))
    rng = random.Random(f"{seed}/turns")
    place = LedgerPlace(path=folder / "ledger.sqlite", rotation=rotation)

    async def main(clock: LabClock) -> tuple[tuple[Invariant, ...], Play]:
        options = SiteOptions(nodes=stage.nodes, documents=stage.documents, namespaces=("default",), seed=seed)
        async with open_site(clock, options) as site, AsyncExitStack() as stack:
            witness = Witness(site.store, stage.policies, clock.now_ms)
            player = Player(site.store, clock, stage.trace)
            play = Play(clock, site, stack, place)
            await play.join()
            await play.join()
            playing = asyncio.create_task(player.run(clock.now_ms()), name="player")
            for turn in turns:
                await clock.sleep(rng.uniform(20, 150))
                await getattr(play, turn)()
            await until_home(play, player)
            for candidate in play.candidates:
                candidate.stop.set()
            await asyncio.gather(*(candidate.task for candidate in play.candidates))
            playing.cancel()
            with suppress(asyncio.CancelledError):
                await playing
            witness.close()
            with Ledger.read(place.path) as ledger:
                assert ledger.integrity() == ()
                runs = [step.run for step in ledger.steps()]
                assert runs == sorted(runs), "no step of an elder after its successor has begun"
                found = check_run(site, player, witness, ledger, stage.policies, clock.now_ms(), blind_ms=play.blind_ms)
            return found, play

    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    try:
        with capture_logs() as said:
            invariants, play = run_lockstep(main)
    finally:
        structlog.configure(**before)
    play.refused = sum(line["event"] == "ledger.stale" for line in said)
    return invariants, play


def broken(invariants: tuple[Invariant, ...]) -> list[str]:
    return [f"{one.name}: {one.detail}" for one in invariants if not one.ok]


def test_leaders_that_change_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    turns = ["clean_exit", "two_for_a_moment", "lost_lease"]
    invariants, play = take_turns(7, tmp_path, turns, Rotation())
    assert broken(invariants) == []
    epochs = [epoch for candidate in play.candidates for epoch in candidate.epochs]
    assert sorted(epochs) == list(range(1, len(epochs) + 1))
    assert len(epochs) >= 4
    assert play.refused == 1, "two did act at once, until the ledger said no"


@pytest.mark.long
def test_the_ledger_is_rotated_on_the_way(tmp_path: Path) -> None:
    invariants, _ = take_turns(3, tmp_path, ["lost_lease"], Rotation(segment_ms=120_000, keep_segments=0))
    assert broken(invariants) == []
    assert len(list(tmp_path.glob("ledger.0*.sqlite"))) >= 3


@pytest.mark.long
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", range(4))
def test_many_turns(tmp_path: Path, seed: int) -> None:
    rng = random.Random(f"{seed}/which")
    turns = rng.choices(["clean_exit", "two_for_a_moment", "lost_lease"], k=6)
    invariants, _ = take_turns(seed + 20, tmp_path, turns, Rotation(segment_ms=300_000, keep_segments=0))
    assert broken(invariants) == []
