"""The workloads that policies name, each followed by a watch of its own, and polled for as long as no watch vouches for it."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import structlog
import structlog.testing

from burster.model.scaling import Scaling
from burster.model.stimuli import Stimulus, WorkloadGone, WorkloadSeen
from burster.model.triggers import WorkloadRef
from burster.runtime.workload_facts import WorkloadPoller
from burster.runtime.workload_watches import WATCHES_MAX
from burster.sources.feed import Feed
from tests.sources.test_sources import Play
from tests.sources.test_workloads_and_namespaces import APPS, CLOUD, HPAS, SCALE, SCALED, a_deployment
from tests.support.builders import a_policy


DEPLOYMENTS = f"{APPS}/deployments"
GONE = WorkloadGone(namespace="bank", kind="Deployment", name="cloud")
FORBIDDEN = {"code": 403, "reason": "Forbidden", "message": "no"}
Scene = Callable[[Any, WorkloadPoller, Any, list[Any]], Awaitable[None]]


def scaling(name: str, workload: WorkloadRef) -> Any:
    return a_policy(name, strategy="Scale", scaling=Scaling(target=workload))


@asynccontextmanager
async def following(api: Any, kube: Any, clock: Any, **options: Any) -> AsyncIterator[tuple[WorkloadPoller, list[Any]]]:
    """A poller over the scripted server, where nobody else sets numbers; and what it posts."""
    posted: list[Stimulus] = []
    api.single[HPAS] = api.single[SCALED] = {"items": []}
    poller = WorkloadPoller(
        kube, posted.append, lambda name: Feed(kube, posted.append, clock, random.Random(name)), **options
    )
    task = asyncio.create_task(poller.run())
    try:
        yield poller, posted
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def scene_of(play: Play, scene: Scene, **options: Any) -> None:
    async def whole(api: Any, kube: Any, clock: Any) -> None:
        api.put(DEPLOYMENTS, "cloud", plain(4))
        async with following(api, kube, clock, **options) as (poller, posted):
            poller.policy(SCALE)
            await clock.settled()
            await scene(api, poller, clock, posted)

    play(whole)


def plain(replicas: int, **metadata: Any) -> dict[str, Any]:
    made = a_deployment(replicas=replicas)
    return made | {"metadata": {"name": "cloud", **metadata}}


def singly(api: Any) -> None:
    """Let a GET of the Deployment answer with what is in the collection."""
    api.single[f"{DEPLOYMENTS}/cloud"] = api.objects[DEPLOYMENTS]["cloud"]


def followed() -> list[str]:
    return sorted(task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith("workload-"))


def numbers(posted: list[Any]) -> list[int | None]:
    return [one.replicas if isinstance(one, WorkloadSeen) else None for one in posted]


def selectors(api: Any, kind: str) -> list[str]:
    return [query["fieldSelector"] for _, what, query in api.requests if what == kind and "fieldSelector" in query]


def test_a_change_is_told_when_it_happens_and_no_tick_is_waited_for(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        await clock.sleep(1)
        api.put(DEPLOYMENTS, "cloud", plain(5))
        await clock.settled()
        assert numbers(posted)[-1] == 5
        assert posted[-1].version == api.revision
        assert posted[-1].secrets == ("certs", "keys"), "its template is told as by a read of it"
        assert selectors(api, "WATCH") == selectors(api, "LIST") == ["metadata.name=cloud"]
        api.remove(DEPLOYMENTS, "cloud")
        await clock.settled()
        assert posted[-1] == GONE
        api.put(DEPLOYMENTS, "cloud", plain(2, uid="anew"))
        await clock.settled()
        assert numbers(posted)[-2:] == [None, 2]

    scene_of(play, scene)


def test_who_is_followed_is_polled_no_more(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        await clock.sleep(1)
        told, asked = len(posted), len(api.requests)
        for _ in range(3):
            poller.wish()
            await clock.sleep(15)
        assert len(posted) == told, "nothing has changed"
        assert [kind for _, kind, _ in api.requests[asked:]] == ["GET"] * 6, "who sets numbers there, two lists a tick"

    scene_of(play, scene)


def test_a_change_of_nothing_but_its_version_waits_for_the_tick(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        await clock.sleep(1)
        told = len(posted)
        for number in range(3):
            api.put(DEPLOYMENTS, "cloud", plain(4, labels={"n": str(number)}))
        await clock.settled()
        assert len(posted) == told
        poller.wish()
        await clock.settled()
        assert (len(posted), posted[-1].version) == (told + 1, api.revision)

    scene_of(play, scene)


def test_whose_number_it_is_is_told_by_the_tick_after_which_it_is_another_s(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        await clock.sleep(1)
        aim = {"metadata": {"name": "x"}, "spec": {"scaleTargetRef": {"kind": "Deployment", "name": "cloud"}}}
        api.single[HPAS] = {"items": [aim]}
        poller.wish()
        await clock.settled()
        assert posted[-1].owner == "HorizontalPodAutoscaler x"
        api.put(DEPLOYMENTS, "cloud", plain(9))
        await clock.settled()
        assert (posted[-1].replicas, posted[-1].owner) == (9, "HorizontalPodAutoscaler x")

    scene_of(play, scene)


def test_while_nobody_can_say_whose_number_it_is_nothing_is_told(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        await clock.sleep(1)
        told = len(posted)
        api.faults["GET"].append(FORBIDDEN)
        poller.wish()
        await clock.settled()
        api.put(DEPLOYMENTS, "cloud", plain(5))
        await clock.settled()
        assert len(posted) == told
        poller.wish()
        await clock.settled()
        assert numbers(posted)[told:] == [5]

    scene_of(play, scene)


def test_a_replica_set_of_a_deployment_is_its_deployment_s(play: Play) -> None:
    async def whole(api: Any, kube: Any, clock: Any) -> None:
        owners = [{"kind": "Deployment", "name": "web", "controller": True}]
        api.put(f"{APPS}/replicasets", "cloud", plain(1, ownerReferences=owners))
        async with following(api, kube, clock) as (poller, posted):
            poller.policy(scaling("scale", WorkloadRef(kind="ReplicaSet", name="cloud")))
            await clock.sleep(1)
            assert posted[-1].owner == "Deployment web"

    play(whole)


@pytest.mark.parametrize("where", ["LIST", "WATCH"])
def test_who_can_not_be_watched_is_polled_until_he_can(play: Play, where: str) -> None:
    async def whole(api: Any, kube: Any, clock: Any) -> None:
        api.put(DEPLOYMENTS, "cloud", plain(4))
        singly(api)
        api.faults[where].extend([FORBIDDEN] * 40)
        async with following(api, kube, clock) as (poller, posted):
            poller.policy(SCALE)
            await clock.sleep(60)
            assert numbers(posted) == [4]
            api.put(DEPLOYMENTS, "cloud", plain(5))
            singly(api)
            await clock.settled()
            assert numbers(posted) == [4], "no watch has told it"
            poller.wish()
            await clock.settled()
            assert numbers(posted) == [4, 5]
            api.faults[where].clear()
            await clock.sleep(31)
            del api.single[f"{DEPLOYMENTS}/cloud"]
            api.put(DEPLOYMENTS, "cloud", plain(6))
            await clock.settled()
            assert numbers(posted) == [4, 5, 6], "by its watch"

    play(whole)


def test_a_watch_that_breaks_is_covered_by_the_poll_until_it_is_heard_again(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        await clock.sleep(1)
        api.faults["WATCH"].extend([FORBIDDEN] * 10)
        api.faults["LIST"].extend([FORBIDDEN] * 10)
        api.forget_history()
        api.cut()
        await clock.sleep(5)
        api.put(DEPLOYMENTS, "cloud", plain(7))
        singly(api)
        poller.wish()
        await clock.settled()
        assert numbers(posted)[-1] == 7
        del api.single[f"{DEPLOYMENTS}/cloud"]
        poller.wish()
        await clock.settled()
        assert posted[-1] == GONE, "what is polled is what the server says"
        await clock.sleep(600)
        poller.wish()
        await clock.settled()
        assert numbers(posted)[-1] == 7, "it was there all the time, says the watch"

    scene_of(play, scene)


def test_what_happened_while_the_connection_was_down_is_told_after_it(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        await clock.sleep(1)
        api.forget_history()
        api.remove(DEPLOYMENTS, "cloud")
        api.put(DEPLOYMENTS, "cloud", plain(3, uid="anew"))
        api.forget_history()
        api.cut()
        await clock.sleep(90)
        assert numbers(posted)[-1] == 4
        poller.wish()
        await clock.settled()
        assert numbers(posted)[-1] == 3
        assert GONE not in posted, "another of its name is there"

    scene_of(play, scene)


def test_a_version_that_makes_no_sense_leaves_the_old_facts_and_is_polled(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        await clock.sleep(1)
        told = list(posted)
        for replicas in ("four", 5):
            odd = plain(replicas)
            if replicas == 5:
                odd["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "x"
            api.put(DEPLOYMENTS, "cloud", odd)
            singly(api)
            poller.wish()
            await clock.settled()
            assert posted == told
        api.put(DEPLOYMENTS, "cloud", plain(6))
        await clock.settled()
        assert numbers(posted[len(told) :]) == [6]

    scene_of(play, scene)


def test_one_that_never_made_sense_is_not_gone(play: Play) -> None:
    async def whole(api: Any, kube: Any, clock: Any) -> None:
        api.put(DEPLOYMENTS, "cloud", plain("four"))  # type: ignore[arg-type]
        singly(api)
        async with following(api, kube, clock) as (poller, posted):
            poller.policy(SCALE)
            await clock.sleep(1)
            poller.wish()
            await clock.sleep(1)
            assert posted == []
            api.remove(DEPLOYMENTS, "cloud")
            del api.single[f"{DEPLOYMENTS}/cloud"]
            poller.wish()
            await clock.settled()
            assert posted == [GONE]

    play(whole)


def test_it_is_followed_for_as_long_as_any_policy_names_it(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        poller.policy(a_policy("other", strategy="Signal", scaling=Scaling(target=CLOUD)))
        await clock.sleep(1)
        assert api.count("WATCH") == 1
        poller.forget("bank/scale")
        api.put(DEPLOYMENTS, "cloud", plain(5))
        await clock.settled()
        assert numbers(posted)[-1] == 5, "the other one names it still"
        poller.policy(a_policy("other"))
        told = len(posted)
        await clock.settled()
        assert followed() == [], "its watch has hung up"
        api.put(DEPLOYMENTS, "cloud", plain(6))
        await clock.sleep(700)
        assert (len(posted), api.count("WATCH")) == (told, 1)
        poller.policy(SCALE)
        await clock.sleep(1)
        assert (numbers(posted)[-1], api.count("WATCH")) == (6, 2)

    scene_of(play, scene)


def test_a_policy_that_names_another_workload_lets_the_former_one_go(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        api.put(DEPLOYMENTS, "next", plain(1) | {"metadata": {"name": "next"}})
        poller.policy(scaling("scale", WorkloadRef(name="next")))
        await clock.sleep(1)
        told = len(posted)
        api.put(DEPLOYMENTS, "cloud", plain(8))
        api.put(DEPLOYMENTS, "next", plain(2) | {"metadata": {"name": "next"}})
        await clock.settled()
        assert [(one.name, one.replicas) for one in posted[told:]] == [("next", 2)]
        assert followed() == ["workload-bank/Deployment/next"]

    scene_of(play, scene)


def test_beyond_the_bound_they_are_polled_which_is_said_once_and_a_free_place_is_taken(play: Play) -> None:
    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        api.put(DEPLOYMENTS, "beyond", plain(1) | {"metadata": {"name": "beyond"}})
        api.single[f"{DEPLOYMENTS}/beyond"] = api.objects[DEPLOYMENTS]["beyond"]
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
        with structlog.testing.capture_logs() as logs:
            poller.policy(scaling("second", WorkloadRef(name="beyond")))
            for _ in range(3):
                await clock.sleep(15)
                poller.wish()
            await clock.sleep(1)
        said = [one for one in logs if one["event"] == "workloads.not_all_watched"]
        assert [(one["watched"], one["polled"]) for one in said] == [(1, 1)]
        assert {one.name for one in posted} == {"cloud", "beyond"}, "it is told all the same"
        assert selectors(api, "WATCH") == ["metadata.name=cloud"]
        poller.forget("bank/scale")
        poller.wish()
        await clock.sleep(1)
        assert selectors(api, "WATCH")[1:] == ["metadata.name=beyond"]

    scene_of(play, scene, watches_max=1)


@pytest.mark.parametrize(
    "workload", [WorkloadRef(name="a,metadata.namespace=x"), WorkloadRef(kind="Job", name="cloud")]
)
def test_what_is_no_name_or_no_such_kind_is_not_watched(play: Play, workload: WorkloadRef) -> None:
    async def whole(api: Any, kube: Any, clock: Any) -> None:
        async with following(api, kube, clock) as (poller, posted):
            poller.policy(scaling("scale", workload))
            await clock.sleep(1)
            assert [type(one) for one in posted] == [WorkloadGone]
            assert (api.count("LIST"), api.count("WATCH")) == (0, 0)

    play(whole)


def test_what_is_beyond_what_is_read_at_all_is_not_followed_either(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("burster.runtime.workload_facts.WORKLOADS_MAX", 1)

    async def scene(api: Any, poller: WorkloadPoller, clock: Any, posted: list[Any]) -> None:
        assert followed() == ["workload-bank/Deployment/cloud"]
        poller.policy(scaling("second", WorkloadRef(name="a")))
        await clock.sleep(1)
        assert followed() == ["workload-bank/Deployment/a"]

    scene_of(play, scene)


def test_all_watches_end_with_the_poller(play: Play) -> None:
    async def whole(api: Any, kube: Any, clock: Any) -> None:
        api.put(DEPLOYMENTS, "cloud", plain(4))
        async with following(api, kube, clock) as (poller, _):
            poller.policy(SCALE)
            await clock.sleep(1)
            assert followed() == ["workload-bank/Deployment/cloud"]
        assert followed() == []

    play(whole)


def test_however_many_are_followed_requests_find_a_connection(play: Play) -> None:
    async def whole(api: Any, kube: Any, clock: Any) -> None:
        api.objects[DEPLOYMENTS] = {}
        async with following(api, kube, clock) as (poller, posted):
            for number in range(WATCHES_MAX + 1):
                poller.policy(scaling(f"scale-{number}", WorkloadRef(name=f"w{number}")))
            await clock.sleep(10)
            assert len(followed()) == WATCHES_MAX
            assert len({one.name for one in posted}) == WATCHES_MAX + 1
            asked = api.count("GET")
            async with asyncio.timeout(5):
                await asyncio.gather(*(kube.get(HPAS) for _ in range(16)))
            assert api.count("GET") == asked + 16

    play(whole)
