"""The cluster as one thing: it repeats itself exactly, and it hides no error."""

import time

import pytest

from burster.lab.apiserver.errors import ApiError
from burster.lab.cluster.work import Works


async def _busy_day(stage):
    for number in range(4):
        stage.node(f"n{number}", cpu="8", memory="32Gi")
    for number in range(120):
        stage.pod(f"t{number:03}", cpu=f"{500 + number % 7 * 300}m", seconds=20 + number * 7 % 90)
        if number % 10 == 0:
            await stage.passes(number % 3)
    await stage.passes(1_000)


def _story_of(stage):
    return [(run.task, run.uid, run.node, run.sandbox, run.started_at_ms, run.ended_at_ms) for run in stage.lab.runs]


def test_the_same_seed_gives_the_same_day(play):
    first, second = play(_busy_day, seed=5), play(_busy_day, seed=5)
    assert _story_of(first) == _story_of(second)
    assert first.store.list("pods") == second.store.list("pods")
    assert first.store.list("events") == second.store.list("events")
    assert _story_of(play(_busy_day, seed=6)) != _story_of(first), "other uids"


def test_every_task_runs_once_and_nothing_is_left_on_the_nodes(play):
    stage = play(_busy_day)
    assert len(stage.lab.runs) == 120
    assert stage.lab.runs.started_more_than_once() == {}
    assert {run.outcome for run in stage.lab.runs} == {"Succeeded"}
    fill = stage.lab.fill()
    assert (fill.nodes, fill.cpu_millicores, fill.cpu_millicores_used, fill.memory_bytes_used) == (4, 32_000, 0, 0)


def test_nodes_are_never_filled_beyond_what_they_have(play):
    async def story(stage):
        async def watch():
            while True:
                for allocatable, used in stage.lab.scheduler.usage().values():
                    assert all(used.get(name, 0) <= allocatable.get(name, 0) for name in used)
                await stage.passes(1)

        watcher = stage.lab.works.spawn(watch(), name="watch")
        await _busy_day(stage)
        assert not watcher.done()

    play(story)


def test_an_error_inside_is_raised_when_the_cluster_closes(play, caplog):
    async def story(stage):
        def broken(resource, operation, obj, user):
            raise ApiError(500, "InternalError", "etcd is gone")

        stage.node("a")
        stage.pod("p")
        stage.store.admission.append(broken)
        stage.store.patch = broken  # the store fails under the controllers
        stage.store.update = lambda *_, **__: broken("", "", {}, "")
        await stage.passes(5)

    with pytest.raises(ApiError, match="etcd is gone"):
        play(story)


async def test_closing_ends_tasks_and_timers():
    works = Works()
    rung = []
    works.later(0, lambda: rung.append("timer"))
    started = time.monotonic()

    async def for_ever():
        while True:
            await works_pause()

    async def works_pause():
        import asyncio

        await asyncio.sleep(3600)

    task = works.spawn(for_ever(), name="for ever")
    await works.close()
    assert task.cancelled()
    assert rung == []
    assert time.monotonic() - started < 5
