"""The reflector: whatever happens to the connection, its sink ends up knowing exactly what is there."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from burster.clients.kube import Kube
from burster.lab.lockstep import LabClock
from burster.model.errors import InputError
from burster.sources.reflector import Codec, Meta, Pace, Reflector


PATH = "/api/v1/things"
SMALL_PAGES = Pace(page=3)


class Thing(msgspec.Struct):
    metadata: Meta
    size: int = 0


class Log:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.present: dict[str, int] = {}

    def seen(self, obj: Thing) -> str | None:
        if obj.size < 0:
            raise InputError("less than nothing")
        if obj.size == 99:
            return None
        self.told.append(f"seen {obj.metadata.name}={obj.size}")
        self.present[obj.metadata.name] = obj.size
        return obj.metadata.name

    def gone(self, key: str, last: Thing | None) -> None:
        self.told.append(f"gone {key}")
        del self.present[key]

    def synced(self) -> None:
        self.told.append("synced")


class Followed:
    def __init__(self, reflector: Reflector[Thing, str], log: Log) -> None:
        self.reflector = reflector
        self.log = log
        self.stats = reflector.stats


@asynccontextmanager
async def following(kube: Kube, clock: LabClock, *, pace: Pace = SMALL_PAGES) -> AsyncIterator[Followed]:
    log = Log()
    codec = Codec(Thing, lambda thing: (thing.metadata.uid, thing.metadata.resource_version))
    reflector = Reflector(kube, PATH, codec, log, clock, random.Random(1), pace=pace)
    task = asyncio.create_task(reflector.run())
    try:
        await clock.settled()
        yield Followed(reflector, log)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


Play = Callable[[Any], Any]


def test_it_lists_in_pages_says_synced_then_follows(play: Play):
    async def scene(api, kube, clock) -> None:
        for number in range(7):
            api.put(PATH, f"t{number}", {"size": number})
        async with following(kube, clock) as it:
            assert it.log.told == [*(f"seen t{number}={number}" for number in range(7)), "synced"]
            assert api.count("LIST") == 3
            api.put(PATH, "t1", {"size": 11})
            api.put(PATH, "new", {"size": 5})
            api.remove(PATH, "t0")
            await clock.settled()
            assert it.log.told[8:] == ["seen t1=11", "seen new=5", "gone t0"]

    play(scene)


def test_a_broken_watch_resumes_where_it_was_and_loses_nothing(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        async with following(kube, clock) as it:
            api.put(PATH, "a", {"size": 2})
            await clock.settled()
            api.cut()
            api.put(PATH, "b", {"size": 3})
            await clock.sleep(5)
            assert it.log.told == ["seen a=1", "synced", "seen a=2", "seen b=3"]
            assert api.count("LIST") == 1
            assert it.stats.failures == 1

    play(scene)


@pytest.mark.parametrize("how", ["http", "stream"])
def test_after_410_it_lists_again_and_tells_only_the_difference(play: Play, how: str):
    async def scene(api, kube, clock) -> None:
        for name in ("kept", "changed", "deleted"):
            api.put(PATH, name, {"size": 1})
        async with following(kube, clock) as it:
            before = len(it.log.told)
            if how == "http":
                api.faults["WATCH"].append({"code": 503, "reason": "ServiceUnavailable", "message": "away"})
                api.cut()
                await asyncio.sleep(0)
            api.objects[PATH]["changed"]["size"] = 2
            api.objects[PATH]["changed"]["metadata"]["resourceVersion"] = "999"
            del api.objects[PATH]["deleted"]
            api.put(PATH, "added", {"size": 4})
            api.revision += 1
            if how == "http":
                api.forget_history()
            else:
                api.history.pop()
                gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
                api.say(PATH, {"type": "ERROR", "object": gone})
            await clock.sleep(10)
            assert it.log.told[before:] == ["seen changed=2", "seen added=4", "gone deleted"]
            assert it.log.present == {"kept": 1, "changed": 2, "added": 4}
            api.put(PATH, "later", {"size": 6})
            await clock.settled()
            assert it.log.told[-1] == "seen later=6"

    play(scene)


def test_a_continue_token_that_expired_makes_it_ask_for_all_at_once(play: Play):
    async def scene(api, kube, clock) -> None:
        for number in range(7):
            api.put(PATH, f"t{number}", {"size": number})
        api.faults["LIST"].extend([None, {"code": 410, "reason": "Expired", "message": "continue is too old"}])
        async with following(kube, clock) as it:
            assert it.log.present == {f"t{number}": number for number in range(7)}
            assert it.log.told.count("seen t0=0") == 1
            limits = [query["limit"] for _, kind, query in api.requests if kind == "LIST"]
            assert limits == ["3", "3", "0"]

    play(scene)


def test_failures_are_retried_with_growing_pauses_that_stop_growing(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        api.faults["LIST"].extend([{"code": 503, "reason": "ServiceUnavailable", "message": "away"}, "abort"] * 6)
        async with following(kube, clock, pace=Pace(backoff_max=8)) as it:
            await clock.sleep(120)
            assert it.log.told == ["seen a=1", "synced"]
            times = [at for at, kind, _ in api.requests if kind == "LIST"]
            # an aborted GET is repeated once by the HTTP client itself, without a pause
            pauses = [round(later - earlier, 3) for earlier, later in itertools.pairwise(times) if later > earlier]
            for number, pause in enumerate(pauses):
                most = min(8, 0.25 * 2**number)
                assert most / 2 <= pause <= most

    play(scene)


def test_the_servers_wish_for_a_pause_is_respected(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        api.faults["LIST"].append({"code": 429, "reason": "TooManyRequests", "details": {"retryAfterSeconds": 45}})
        async with following(kube, clock) as it:
            await clock.sleep(44)
            assert it.log.told == []
            await clock.sleep(2)
            assert it.log.told == ["seen a=1", "synced"]

    play(scene)


def test_a_silent_connection_is_taken_for_dead_and_an_idle_one_with_bookmarks_is_not(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        async with following(kube, clock) as it:
            await clock.sleep(200)
            assert api.count("WATCH") == 1
            api.bookmark_every = None
            await clock.sleep(100)
            api.put(PATH, "b", {"size": 2})
            await clock.sleep(95)
            assert it.log.present == {"a": 1, "b": 2}
            assert api.count("WATCH") >= 2
            assert api.count("LIST") == 1

    play(scene)


def test_a_list_in_which_nothing_happens_is_no_failure_and_a_server_that_is_away_is(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        api.bookmark_every = None
        async with following(kube, clock) as it:
            await clock.sleep(1_000)
            assert 10 <= api.count("WATCH") <= 12
            assert (api.count("LIST"), it.stats.failures) == (1, 0)
            api.faults["WATCH"].extend(["abort"] * 4)
            await clock.sleep(100)
            assert it.stats.failures >= 1
            api.put(PATH, "b", {"size": 2})
            await clock.sleep(30)
            assert it.log.present == {"a": 1, "b": 2}

    play(scene)


def test_the_server_ends_each_watch_after_a_time_of_its_own_and_it_goes_on_at_once(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        async with following(kube, clock) as it:
            await clock.sleep(3600)
            starts = [at for at, kind, _ in api.requests if kind == "WATCH"]
            lives = [later - earlier for earlier, later in itertools.pairwise(starts)]
            assert all(300 <= life <= 601 for life in lives)
            assert len(set(lives)) > 3
            assert it.stats.failures == 0
            assert it.log.told == ["seen a=1", "synced"]

    play(scene)


def test_bookmarks_move_the_starting_point_of_the_next_watch(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        async with following(kube, clock):
            api.revision = 5_000
            await clock.sleep(61)
            api.cut()
            await clock.sleep(5)
            assert [q["resourceVersion"] for _, kind, q in api.requests if kind == "WATCH"] == ["101", "5000"]

    play(scene)


def test_objects_that_make_no_sense_are_skipped_and_counted_and_stay_what_they_were(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "good", {"size": 1})
        api.put(PATH, "odd", {"size": "many"})
        api.put(PATH, "negative", {"size": -1})
        async with following(kube, clock) as it:
            assert it.log.told == ["seen good=1", "synced"]
            assert it.stats.skipped == 2
            api.put(PATH, "good", {"size": [7]})
            api.put(PATH, "odd", {"size": 3})
            await clock.settled()
            assert it.log.told[2:] == ["seen odd=3"]
            assert it.log.present == {"good": 1, "odd": 3}
            assert it.stats.skipped == 3
            api.forget_history()
            api.cut()
            await clock.sleep(5)
            assert it.log.present == {"good": 1, "odd": 3}
            api.remove(PATH, "good")
            await clock.settled()
            assert it.log.told[-1] == "gone good"

    play(scene)


def test_an_object_that_becomes_none_of_ours_is_gone(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        api.put(PATH, "foreign", {"size": 99})
        async with following(kube, clock) as it:
            api.put(PATH, "a", {"size": 99})
            api.put(PATH, "foreign", {"size": 3})
            api.remove(PATH, "a")
            await clock.settled()
            assert it.log.told == ["seen a=1", "synced", "gone a", "seen foreign=3"]

    play(scene)


@pytest.mark.parametrize(
    "line", [b"not json", b"[]", b'{"type":"NEW","object":{}}', b'{"type":"ADDED","object":7}', b"\xff"]
)
def test_a_stream_of_nonsense_is_left_and_taken_up_again(play: Play, line: bytes):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        async with following(kube, clock) as it:
            api.revision += 1
            api.say(PATH, line)
            await clock.settled()
            api.history.clear()
            await clock.sleep(5)
            api.put(PATH, "b", {"size": 2})
            await clock.sleep(40)
            assert it.log.present == {"a": 1, "b": 2}
            assert it.stats.failures >= 1

    play(scene)


def test_a_server_that_ends_every_watch_at_once_is_not_hammered(play: Play):
    async def scene(api, kube, clock) -> None:
        api.put(PATH, "a", {"size": 1})
        ended = {"code": 500, "reason": "InternalError", "message": "no"}
        api.faults["WATCH"].extend([ended] * 1_000)
        async with following(kube, clock):
            await clock.sleep(600)
            assert api.count("WATCH") < 50

    play(scene)


@pytest.mark.parametrize("seed", range(8))
def test_after_any_disturbance_it_knows_exactly_what_is_there(play: Play, seed: int):
    async def scene(api, kube, clock) -> None:
        dice = random.Random(f"disturbance/{seed}")
        async with following(kube, clock) as it:
            for turn in range(150):
                name = f"t{dice.randrange(12)}"
                if name in api.objects.get(PATH, {}) and dice.random() < 0.4:
                    api.remove(PATH, name)
                else:
                    api.put(PATH, name, {"size": turn})
                match dice.randrange(14):
                    case 0:
                        api.cut()
                    case 1:
                        api.forget_history()
                        api.cut()
                    case 2:
                        api.faults["WATCH"].append({"code": 500, "reason": "InternalError", "message": "no"})
                        api.cut()
                    case 3:
                        api.faults["LIST"].append("abort")
                    case 4:
                        api.faults["LIST"].extend([None, {"code": 410, "reason": "Expired", "message": "old"}])
                    case _:
                        pass
                if dice.random() < 0.5:
                    await clock.sleep(dice.random() * 3)
            api.faults["LIST"].clear()
            api.faults["WATCH"].clear()
            await clock.sleep(120)
            assert it.log.present == {name: obj["size"] for name, obj in api.objects[PATH].items()}
            assert it.log.told.count("synced") == 1

    play(scene)
