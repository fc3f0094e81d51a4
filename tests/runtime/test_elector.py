"""Who leads, on virtual time: one at a time, whatever the API server, the clocks and other people do to the Lease."""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from burster.adaptors.fence import EPOCH_ANNOTATION, FencedApi, FencedVms
from burster.adaptors.manifests import BURST_LABEL
from burster.lab.lockstep import LabClock, run_lockstep
from burster.model.errors import RemoteError
from burster.runtime.elector import Elector, Leadership, LeadershipLostError
from tests.support.leases import LeaseStore, OwnClock, Way


class Replica:
    """A candidate that notes when it led; ``stop`` ends its work as a SIGTERM does."""

    def __init__(self, world: "World", name: str, clock: OwnClock) -> None:
        self.name = name
        self.clock = clock
        self.way = Way(world.store, name)
        self.elector = Elector(
            self.way, clock, namespace="burster-system", identity=name, chance=random.Random(f"{world.seed}/{name}")
        )
        self.leads: Leadership | None = None
        self.epochs: list[int] = []
        self.stop = asyncio.Event()
        self.ended: BaseException | None = None
        self.task = asyncio.create_task(self._run(), name=name)

    async def _run(self) -> None:
        try:
            await self.elector.lead(self._work)
        except LeadershipLostError as error:
            self.ended = error

    async def _work(self, leadership: Leadership) -> None:
        self.leads = leadership
        self.epochs.append(leadership.epoch)
        try:
            await self.stop.wait()
        finally:
            # however it ended: that is what counts as having stopped
            self.leads = None

    @property
    def may_act(self) -> bool:
        return self.leads is not None and self.leads.remaining_ms() > 0


class World:
    def __init__(self, clock: LabClock, seed: int = 0) -> None:
        self.clock = clock
        self.seed = seed
        self.store = LeaseStore()
        self.replicas: list[Replica] = []
        self.together: list[str] = []

    def replica(self, name: str, **skew: float) -> Replica:
        made = Replica(self, name, OwnClock(self.clock, **skew))  # type: ignore[arg-type]
        self.replicas.append(made)
        return made

    async def until(self, what: Callable[[], object], limit_s: float = 60) -> float:
        """Let time pass until something is so, seeing to it that no two lead; return how long that took."""
        began = self.clock.monotonic()
        while not what():
            assert self.clock.monotonic() - began < limit_s, f"not within {limit_s:g}s"
            await self.clock.sleep(0.05)
            acting = [replica.name for replica in self.replicas if replica.may_act]
            if len(acting) > 1:
                self.together.append(f"{self.clock.monotonic()}: {acting}")
        return self.clock.monotonic() - began

    async def pass_by(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        await self.until(lambda: self.clock.monotonic() >= until, seconds + 1)

    async def end(self) -> None:
        for replica in self.replicas:
            replica.task.cancel()
        await asyncio.gather(*(replica.task for replica in self.replicas), return_exceptions=True)


def play(story: Callable[[World], Awaitable[None]], seed: int = 0) -> World:
    async def main(clock: LabClock) -> World:
        world = World(clock, seed)
        try:
            await story(world)
        finally:
            await world.end()
        return world

    world = run_lockstep(main)
    assert world.together == []
    return world


def cut_off(_: str) -> tuple[float | None, str]:
    return None, "never arrives"


def test_of_two_one_leads_and_the_other_follows_within_a_second_of_a_clean_end() -> None:
    async def story(world: World) -> None:
        first = world.replica("a")
        await world.until(lambda: first.may_act)
        second = world.replica("b")
        await world.pass_by(60)
        assert second.epochs == []
        assert second.elector.holder == "a"
        first.stop.set()
        assert await world.until(lambda: second.may_act) <= 1.05
        assert (first.epochs, second.epochs) == ([1], [2])

    world = play(story)
    assert world.store.lease["spec"]["holderIdentity"] == ""  # type: ignore[index]


def test_the_lease_is_written_as_other_electors_write_and_read_it() -> None:
    """client-go's LeaderElectionRecord: what `kubectl get lease` shows, and by what any other elector sees whose it is."""
    seen: list[dict[str, Any]] = []

    async def story(world: World) -> None:
        first = world.replica("a")
        for waited in (0, 30):
            await world.until(lambda: first.may_act)
            await world.pass_by(waited)
            assert world.store.lease is not None
            seen.append(world.store.lease)
        first.stop.set()
        await world.until(first.task.done)
        seen.append(world.store.lease)
        second = world.replica("b")
        await world.until(lambda: second.may_act)
        seen.append(world.store.lease)

    play(story)
    taken, renewed, released, taken_again = (each["spec"] for each in seen)
    assert seen[0]["apiVersion"] == "coordination.k8s.io/v1"
    for spec in (taken, renewed, released, taken_again):
        assert set(spec) == {"holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions"}
        # metav1.MicroTime: six digits, as the API server refuses others
        for name in ("acquireTime", "renewTime"):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", spec[name]), spec
        assert spec["leaseDurationSeconds"] == 15
    assert (taken["holderIdentity"], renewed["holderIdentity"]) == ("a", "a")
    assert renewed["acquireTime"] == taken["acquireTime"] < renewed["renewTime"]
    assert released == {**renewed, "holderIdentity": "", "renewTime": released["renewTime"]}, "free for whoever looks"
    assert (taken["leaseTransitions"], released["leaseTransitions"], taken_again["leaseTransitions"]) == (1, 1, 2)
    assert taken_again["acquireTime"] > released["renewTime"] >= renewed["renewTime"]


def test_a_leader_that_is_cut_off_stops_before_anybody_may_follow() -> None:
    async def story(world: World) -> None:
        first, second = world.replica("a"), world.replica("b")
        await world.until(lambda: first.may_act or second.may_act)
        leader, other = (first, second) if first.may_act else (second, first)
        await world.pass_by(30)
        leader.way.fate = cut_off
        stopped = await world.until(lambda: leader.leads is None)
        assert 7.9 <= stopped <= 10.1
        await world.until(lambda: leader.ended is not None)
        assert "was not renewed within 10s" in str(leader.ended)
        assert stopped + await world.until(lambda: other.may_act) <= 17
        assert other.epochs == [2]

    play(story)


def test_a_leader_goes_on_through_an_api_server_that_is_away_for_a_moment() -> None:
    async def story(world: World) -> None:
        leader = world.replica("a")
        await world.until(lambda: leader.may_act)
        other = world.replica("b")
        for how in ("refused", "never arrives", "answer lost"):
            leader.way.fate = lambda _, how=how: (0.01, how)
            await world.pass_by(3.5)
            leader.way.fate = lambda _: (0.01, "ok")
            await world.pass_by(20)
            assert leader.may_act, how
        leader.way.fate = lambda _: (3.0, "ok")
        await world.pass_by(60)
        assert leader.may_act, "slow is not gone"
        assert other.epochs == []

    play(story)


def test_a_take_over_whose_answer_was_lost_is_gone_on_with() -> None:
    async def story(world: World) -> None:
        world.store.set_spec(holderIdentity="", leaseTransitions=6)
        only = world.replica("a")
        only.way.fate = lambda verb: (0.01, "answer lost" if verb == "PUT" else "ok")
        await world.pass_by(8)
        assert not only.may_act
        only.way.fate = lambda _: (0.01, "ok")
        await world.until(lambda: only.may_act)
        assert only.epochs[0] > 7, "each attempt is an epoch of its own"

    play(story)


def test_what_clocks_say_does_not_matter() -> None:
    async def story(world: World) -> None:
        day = 86_400_000
        behind = world.replica("a", wall_ms=-day, steady_s=-500.0)
        await world.until(lambda: behind.may_act)
        ahead = world.replica("b", wall_ms=day, steady_s=90_000.0)
        await world.pass_by(60)
        behind.clock.wall_ms = 3 * day
        ahead.clock.wall_ms = -3 * day
        await world.pass_by(60)
        assert behind.may_act
        assert ahead.epochs == []

    play(story)


def test_a_process_that_slept_past_its_lease_writes_nothing_when_it_wakes() -> None:
    async def story(world: World) -> None:
        sleeper = world.replica("a")
        await world.until(lambda: sleeper.may_act)
        await world.pass_by(5)
        leadership = sleeper.leads
        assert leadership is not None
        api, cloud = Recorder(), Recorder()
        fenced, vms = FencedApi(api, leadership), FencedVms(cloud, leadership)  # type: ignore[arg-type]
        await fenced.patch("/p", {})
        written = len(world.store.writes)
        # SIGSTOP: the steady clock goes on, no task of the process does
        sleeper.clock.steady_s += 10.0
        for attempt in (
            lambda: fenced.create("/api/v1/namespaces/a/pods", {"metadata": {}}),
            lambda: fenced.patch("/p", {}),
            lambda: fenced.delete("/p"),
            lambda: vms.delete_vm(None, "podvm-1"),  # type: ignore[arg-type]
        ):
            with pytest.raises(RemoteError) as refused:
                await attempt()
            assert (refused.value.kind, refused.value.code) == ("Unreachable", "NotLeading")
        await fenced.get("/p")
        assert api.done == ["patch /p", "get /p"]
        assert cloud.done == []
        await world.until(lambda: sleeper.ended is not None, 3)
        assert world.store.writes[written:] == [], "neither a renewal nor a release"

    play(story)


def test_who_deletes_the_lease_ends_the_lead_and_epochs_go_on_rising() -> None:
    async def story(world: World) -> None:
        first = world.replica("a")
        await world.until(lambda: first.may_act)
        world.store.lease = None
        assert await world.until(lambda: first.leads is None) <= 2.1
        assert "has deleted the Lease" in str(first.ended)
        again = world.replica("b")
        again.elector.floor = 41  # what the ledger remembers
        await world.until(lambda: again.may_act)
        assert again.epochs == [42]

    play(story)


def test_an_annotation_on_the_lease_disturbs_nobody() -> None:
    async def story(world: World) -> None:
        leader, other = world.replica("a"), world.replica("b")
        await world.until(lambda: leader.may_act or other.may_act)
        for number in range(30):
            world.store.change(annotations={"burster.dev/note": str(number)})
            await world.pass_by(1)
        assert len(leader.epochs + other.epochs) == 1

    play(story)


def test_a_lease_that_somebody_took_by_hand_ends_the_lead_at_once() -> None:
    async def story(world: World) -> None:
        leader = world.replica("a")
        await world.until(lambda: leader.may_act)
        world.store.set_spec(holderIdentity="eve", leaseDurationSeconds=86_400, leaseTransitions=9)
        assert await world.until(lambda: leader.leads is None) <= 2.2
        assert "the Lease is eve's now" in str(leader.ended)
        other = world.replica("b")
        waited = await world.until(lambda: other.may_act, 400)
        assert 299 <= waited <= 302, "a promise is believed for five minutes at most"
        assert other.epochs == [10]

    play(story)


def test_work_that_fails_lets_the_lease_go_and_is_told() -> None:
    async def main(clock: LabClock) -> LeaseStore:
        store = LeaseStore()
        elector = Elector(Way(store, "a"), clock, namespace="n", identity="a", chance=random.Random(1))

        async def work(_: Leadership) -> None:
            await clock.sleep(5)
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            await elector.lead(work)
        return store

    assert run_lockstep(main).lease["spec"]["holderIdentity"] == ""  # type: ignore[index]


@pytest.mark.parametrize("seed", range(8))
def test_never_two_and_always_one_again(seed: int) -> None:
    """Three candidates, ways that break at random for half an hour; then peace: one leads."""

    async def story(world: World) -> None:
        rng = random.Random(f"{seed}/fates")
        replicas = {name: world.replica(name, wall_ms=rng.randint(-(10**8), 10**8)) for name in "abc"}
        highest = 0

        def fate(_: str) -> tuple[float | None, str]:
            how = rng.choices(("ok", "refused", "never arrives", "answer lost"), (6, 1, 1, 1))[0]
            return rng.choice((0.001, 0.01, 0.5, 4.0, 9.0)), how

        for _ in range(120):
            for name, replica in list(replicas.items()):
                replica.way.fate = fate if rng.random() < 0.5 else lambda _: (0.002, "ok")
                if replica.may_act and rng.random() < 0.1:
                    # it was frozen for so long; whoever stands by would in truth have seen that time pass too
                    replica.clock.steady_s += rng.choice((1.0, 9.0, 12.0, 60.0))
                if rng.random() < 0.05:
                    replica.stop.set()
                if replica.task.done():
                    replicas[name] = world.replica(name)
            await world.pass_by(30 * rng.random())
            epochs = [epoch for replica in world.replicas for epoch in replica.epochs]
            assert len(epochs) == len(set(epochs)), "no epoch is used twice"
            highest = max(highest, *epochs, 0)
        for name, replica in list(replicas.items()):
            replica.way.fate = lambda _: (0.002, "ok")
            if replica.task.done():
                replicas[name] = world.replica(name)
        await world.until(lambda: any(replica.may_act for replica in replicas.values()), 40)
        assert highest > 5

    play(story, seed)


# -- what is written


class Recorder:
    """A KubeApi and a cloud that only note what they were asked."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.bodies: list[dict[str, object]] = []
        self.deadlines: list[int | None] = []

    async def get(self, path: str, params: object = None) -> bytes:
        self.done.append(f"get {path}")
        return b"{}"

    async def create(self, path: str, body: dict, params: object = None, *, deadline_ms: int | None = None) -> bytes:
        self.done.append(f"create {path}")
        self.bodies.append(body)
        self.deadlines.append(deadline_ms)
        return b"{}"

    async def patch(self, path: str, body: object, *, deadline_ms: int | None = None, **_: object) -> bytes:
        self.done.append(f"patch {path}")
        self.deadlines.append(deadline_ms)
        return b"{}"

    async def delete(self, path: str, body: object = None, params: object = None, **_: object) -> bytes:
        self.done.append(f"delete {path}")
        return b"{}"

    async def delete_vm(self, _target: object, name: str) -> None:
        self.done.append(f"delete_vm {name}")


class Held:
    epoch = 7

    def __init__(self, remaining_ms: int) -> None:
        self._remaining_ms = remaining_ms

    def remaining_ms(self) -> int:
        return self._remaining_ms


async def test_what_is_created_says_in_which_lead_and_nobody_elses_objects_do() -> None:
    api = Recorder()
    fenced = FencedApi(api, Held(9_000))
    burst = {"kind": "Burst", "metadata": {"name": "b", "annotations": {"a": "b"}}}
    cloud_pod = {"kind": "Pod", "metadata": {"name": "p", "labels": {BURST_LABEL: "b"}}}
    returned = {"kind": "Pod", "metadata": {"name": "task-1"}}
    for body in (burst, cloud_pod, returned):
        await fenced.create("/x", body)
    stamped = [dict(body["metadata"]).get("annotations") for body in api.bodies]  # type: ignore[call-overload]
    assert stamped == [{"a": "b", EPOCH_ANNOTATION: "7"}, {EPOCH_ANNOTATION: "7"}, None]
    assert burst["metadata"]["annotations"] == {"a": "b"}, "what was given is left alone"  # type: ignore[index]


async def test_a_request_has_no_longer_than_the_lead_does() -> None:
    api = Recorder()
    await FencedApi(api, Held(60_000)).patch("/x", {})
    await FencedApi(api, Held(1_500)).patch("/x", {})
    assert api.deadlines == [10_000, 1_500]
