"""The on-prem scheduler: who goes where, and who goes first."""

import random

import pytest

from burster.model.pods import Resources
from burster.simulator.onprem import OnPrem
from burster.simulator.pods import SimPod


def node(cpu: int, memory: int = 100, gpus: int = 0) -> Resources:
    return Resources(cpu_millicores=cpu, memory_bytes=memory, gpus=gpus)


def a_pod(number: int, cpu: int, memory: int = 0, gpus: int = 0, priority: int = 0) -> SimPod:
    return SimPod(
        number=number,
        namespace="default",
        name=f"pod-{number}",
        uid=f"{number}",
        requests=node(cpu, memory, gpus),
        priority=priority,
        labels={},
        arrived_ms=0,
        duration_ms=1,
    )


def test_least_allocated_spreads_and_first_fit_packs():
    spread, packed = OnPrem([node(10), node(10)]), OnPrem([node(10), node(10)], "FirstFit")
    for onprem in (spread, packed):
        for number in range(4):
            assert onprem.submit(a_pod(number, 2))
    assert spread.cpu == [6, 6]
    assert packed.cpu == [2, 10]


@pytest.mark.parametrize("asked", [{"cpu": 11}, {"cpu": 1, "memory": 101}, {"cpu": 1, "gpus": 1}])
def test_every_resource_counts(asked):
    onprem = OnPrem([node(10)])
    assert not onprem.submit(a_pod(0, **asked))
    assert onprem.pending == 1


def test_a_small_pod_passes_a_large_one_that_waits():
    onprem = OnPrem([node(10)])
    running = a_pod(0, 6)
    onprem.submit(running)
    assert not onprem.submit(a_pod(1, 8))
    assert onprem.submit(a_pod(2, 4))
    onprem.end(running)
    assert list(onprem.retry()) == []
    assert onprem.pending == 1


def test_who_waits_goes_by_priority_and_then_by_arrival():
    onprem = OnPrem([node(10)])
    running = a_pod(0, 10)
    onprem.submit(running)
    for number, priority in ((1, 0), (2, 5), (3, 0), (4, 5)):
        onprem.submit(a_pod(number, 3, priority=priority))
    onprem.end(running)
    assert [pod.number for pod in onprem.retry()] == [2, 4, 1]
    assert [pod.number for pod in onprem.waiting()] == [3]


def test_a_withdrawn_pod_is_never_placed():
    onprem = OnPrem([node(10)])
    running, waiting = a_pod(0, 10), a_pod(1, 5)
    onprem.submit(running)
    onprem.submit(waiting)
    onprem.withdraw(waiting)
    onprem.end(running)
    assert list(onprem.retry()) == []
    assert (onprem.pending, onprem.running, onprem.cpu_used) == (0, 0, 0)


@pytest.mark.parametrize("scoring", ["LeastAllocated", "FirstFit"])
@pytest.mark.parametrize("seed", range(5))
def test_books_balance_and_nobody_waits_beside_room(scoring, seed):
    rng = random.Random(seed)
    onprem = OnPrem([node(rng.randint(4, 16), rng.randint(8, 64), rng.randint(0, 2)) for _ in range(4)], scoring)
    running: list[SimPod] = []
    for number in range(400):
        if running and rng.random() < 0.5:
            onprem.end(running.pop(rng.randrange(len(running))))
            running += onprem.retry()
        else:
            pod = a_pod(number, rng.randint(1, 8), rng.randint(0, 32), rng.randint(0, 1), rng.randint(0, 2))
            if onprem.submit(pod):
                running.append(pod)
        assert onprem.cpu_used == sum(pod.requests.cpu_millicores for pod in running)
        assert onprem.running == len(running)
        assert all(free >= 0 for column in (onprem.cpu, onprem.memory, onprem.gpus) for free in column)
        for pod in onprem.waiting():
            assert onprem._choose(pod.requests, range(4)) < 0
