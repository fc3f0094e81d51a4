"""Whatever happens, in whatever order: what the reaper ends has a lease that is over, by any clock that is within its bounds."""

import asyncio
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from burster.engine.reaping import ReapRules
from burster.runtime.reaper import Reaper, ReaperOptions
from burster.runtime.reaper_cluster import ClusterReader
from tests.support.abandoned import (
    CLUSTER,
    HOUR,
    MINUTE,
    LeftCloud,
    LeftCluster,
    Wound,
    a_burst,
    a_machine,
    a_pod_vm,
    our_target,
    vm_name,
)
from tests.support.builders import T0


GRACE = 10 * MINUTE
DRAIN = 10 * MINUTE
Move = tuple[Literal["pass", "renew", "api", "leads", "lag", "forget"], int]
MOVES = st.tuples(st.sampled_from(["pass", "renew", "api", "leads", "lag", "forget"]), st.integers(0, 3))


class _World:
    """Four bursts and four machines whose leases are renewed, or not; the reaper's clock is ahead or behind."""

    def __init__(self, skew_ms: int, *, exclusive: bool) -> None:
        self.clock, self.skew_ms = Wound(), skew_ms
        bursts = [a_burst(f"web-{n}") for n in range(4)]
        self.leases = {vm_name(f"web-{n}"): T0 + HOUR + DRAIN for n in range(4)}
        self.leases |= {f"burstvm-db-{n}": T0 + HOUR for n in range(4)}
        machines = [a_machine(f"db-{n}", T0 + HOUR) for n in range(4)]
        tags = {} if exclusive else {"burster-cluster": CLUSTER}
        self.cloud = LeftCloud(*(a_pod_vm(burst.name, tags=tags) for burst in bursts), *machines)
        self.theirs = a_machine("db-9", T0 - HOUR, cluster="prod-2")
        self.cloud.vms[self.theirs.name] = self.theirs
        self.cluster = LeftCluster(*bursts, clock=self.clock)
        target = our_target(sweep_exclusive=exclusive, sweep_tags={} if exclusive else {"burster-cluster": CLUSTER})
        world = self

        class Skewed(Wound):
            def now_ms(self) -> int:
                return world.clock.at_ms + skew_ms

        self.reaper = Reaper(
            self.cloud,
            ClusterReader(self.cluster, Skewed().now_ms, home="h"),
            Skewed(),
            ReaperOptions(
                cluster=CLUSTER, mode="Delete", rules=ReapRules(grace_ms=GRACE), targets=(target,), per_round=100
            ),
        )

    def move(self, what: str, which: int) -> None:
        now, pod, machine = self.clock.at_ms, f"bank/web-{which}", f"burstvm-db-{which}"
        if what == "pass":
            self.clock.at_ms += (1, 7, 20, 60)[which] * MINUTE
        elif what == "renew":
            for name in (vm_name(f"web-{which}"), machine):
                if now < self.leases[name] and name in self.cloud.vms:
                    self.leases[name] = now + HOUR + (DRAIN if name != machine else 0)
            if pod in self.cluster.bursts and vm_name(f"web-{which}") in self.cloud.vms:
                self.cluster.renew(pod, self.leases[vm_name(f"web-{which}")] - DRAIN)
            if machine in self.cloud.vms:
                self.cloud.vms[machine] = a_machine(f"db-{which}", self.leases[machine])
        elif what == "api":
            self.cluster.gone = not self.cluster.gone
        elif what == "leads":
            self.cluster.leads = not self.cluster.leads
        elif what == "lag":
            self.cloud.stale = {machine: a_machine(f"db-{which}", T0 + HOUR)} if machine in self.cloud.vms else {}
        elif (peer_pods := self.cluster.peer_pods) is not None and now > self.leases[vm_name(f"web-{which}")]:
            peer_pods.pop(vm_name(f"web-{which}"), None)

    async def look(self) -> None:
        before = set(self.cloud.vms)
        await self.reaper.round()
        for name in before - set(self.cloud.vms):
            assert self.clock.at_ms > self.leases[name], f"{name} was ended while its lease was valid"
        assert self.theirs.name in self.cloud.vms


@settings(max_examples=150, deadline=None)
@given(
    skew_ms=st.integers(-2 * MINUTE, 2 * MINUTE),
    exclusive=st.booleans(),
    moves=st.lists(MOVES, min_size=5, max_size=40),
)
def test_what_is_ended_was_over(skew_ms: int, exclusive: bool, moves: list[Move]) -> None:
    world = _World(skew_ms, exclusive=exclusive)

    async def live() -> None:
        for what, which in moves:
            world.move(what, which)
            await world.look()

    asyncio.run(live())


@settings(max_examples=30, deadline=None)
@given(moves=st.lists(MOVES, max_size=20))
def test_and_in_the_end_all_that_is_ours_is_over(moves: list[Move]) -> None:
    world = _World(0, exclusive=True)

    async def live() -> None:
        for what, which in moves:
            world.move(what, which)
            await world.look()
        world.cluster.gone, world.cluster.leads, world.cloud.stale = False, False, {}
        for _ in range(30):
            world.clock.at_ms += 10 * MINUTE
            await world.look()

    asyncio.run(live())
    assert set(world.cloud.vms) == {world.theirs.name}
