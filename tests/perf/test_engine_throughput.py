"""What the engine costs per event, alone and with decoding, against a baseline measured in the same run; and what it keeps in memory.

Prints figures; asserts ratios and sizes only, so that a slow or busy machine proves nothing wrong.
"""

import gc
import statistics
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from burster.engine import unfinished
from burster.model import stimuli as s
from burster.model.pods import Pod
from burster.sources.pods import POD_CODEC, pod_from
from tests.support.builders import T0, Engine, a_policy, a_service_pod, a_target, an_offering


pytestmark = [pytest.mark.perf]

PODS = 10_000
ROUNDS = 7


def pod(number: int) -> Pod:
    return a_service_pod(
        f"web-6c9d8f7b5d-{number:05d}", since=T0 - 1_000_000 + number, labels={"app": "web", "tier": "front"}
    )


def wire(one: Pod) -> bytes:
    """A pod as the API server sends it."""
    requests = {"cpu": f"{one.requests.cpu_millicores}m", "memory": str(one.requests.memory_bytes)}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6c9d8f7b5d", "uid": "rs", "controller": True}
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient cpu.",
        "lastTransitionTime": "2026-01-05T08:00:00Z",
    }
    container = {
        "name": "a",
        "image": "registry.example/web:1",
        "env": [{"name": f"E{index}", "value": "v" * 40} for index in range(10)],
        "resources": {"requests": requests},
    }
    return msgspec.json.encode(
        {
            "metadata": {
                "name": one.name,
                "namespace": one.namespace,
                "uid": one.uid,
                "resourceVersion": "7",
                "creationTimestamp": "2026-01-05T08:00:00Z",
                "labels": {**one.labels, "pod-template-hash": "6c9d8f7b5d"},
                "ownerReferences": [owner],
                "managedFields": [{"manager": "m", "fieldsV1": {f"f:{index}": {} for index in range(30)}}],
            },
            "spec": {"containers": [container], "restartPolicy": "Always"},
            "status": {"phase": "Pending", "conditions": [condition]},
        }
    )


def an_engine() -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy(max_bursts=4)),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
    )
    return engine


def a_full_engine() -> Engine:
    engine = an_engine()
    engine.send(*(s.PodSeen(pod=pod(number)) for number in range(PODS)))
    while unfinished(engine.state):
        engine.send()
    return engine


def say(line: str = "") -> None:
    print(line)  # noqa: T201 - the figures are what this is run for


def measure(run: Callable[[], Any], prepare: Callable[[], Any] | None = None) -> list[float]:
    """CPU seconds of some runs."""
    times: list[float] = []
    for _ in range(ROUNDS):
        if prepare is not None:
            prepare()
        gc.collect()
        begin = time.process_time()
        run()
        times.append(time.process_time() - begin)
    return times


def show(what: str, times: list[float], events: int, baseline: list[float] | None = None) -> float:
    """Print a figure and return its ratio to the baseline, per event."""
    middle = statistics.median(times)
    spread = f"{events / max(times):,.0f} to {events / min(times):,.0f}"
    line = f"{what}: {middle / events * 1e6:.1f} us an event, {events / middle:,.0f}/s (of {ROUNDS}: {spread})"
    ratio = 1.0 if baseline is None else middle / statistics.median(baseline)
    say(line + ("" if baseline is None else f", {ratio:.2f} x the baseline"))
    return ratio


def test_pod_events_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [wire(pod(number)) for number in range(PODS)]
    decoder = msgspec.json.Decoder()
    generic = measure(lambda: [decoder.decode(line) for line in lines])
    decoded = measure(lambda: [pod_from(POD_CODEC.item.decode(line)) for line in lines])

    def both(batch: int) -> Callable[[], None]:
        def run() -> None:
            engine = an_engine()
            for begin in range(0, PODS, batch):
                seen = (s.PodSeen(pod=pod_from(POD_CODEC.item.decode(line))) for line in lines[begin : begin + batch])
                engine.send(*seen)

        return run

    with capsys.disabled():
        say()
        show("generic JSON of the same bytes (baseline)", generic, PODS)
        show("typed decoding", decoded, PODS, generic)
        alone = show("decoding and engine, each event a step of its own", measure(both(1)), PODS, generic)
        batched = show("decoding and engine, 100 events a step", measure(both(100)), PODS, generic)
    assert batched < 2, "an event costs the engine a few times what reading its bytes costs at all"
    assert alone < 3


def test_one_more_pod_is_cheap_however_many_wait(capsys: pytest.CaptureFixture[str]) -> None:
    few, many = an_engine(), a_full_engine()
    few.send(*(s.PodSeen(pod=pod(number)) for number in range(20)))
    late = [s.PodSeen(pod=pod(number)) for number in range(PODS, PODS + 2_000)]

    def play(engine: Engine) -> None:
        for fact in late:
            engine.send(fact)
        for fact in late:
            one = fact.pod
            engine.send(s.PodLeft(namespace=one.namespace, name=one.name, uid=one.uid, why="Bound"))

    with capsys.disabled():
        say()
        base = measure(lambda: play(few))
        show("a pod that comes, or leaves, with 20 waiting (baseline)", base, 2 * len(late))
        ratio = show(f"the same with {PODS:,} waiting and no room", measure(lambda: play(many)), 2 * len(late), base)
    assert ratio < 4


def test_ten_thousand_pods_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    facts = [s.PodSeen(pod=pod(number)) for number in range(PODS)]
    engine: Engine = an_engine()

    def prepare() -> None:
        nonlocal engine
        engine = an_engine()

    def run() -> None:
        engine.send(*facts)
        while unfinished(engine.state):
            engine.send()

    bare = measure(lambda: [msgspec.json.encode(fact) for fact in facts])
    with capsys.disabled():
        say()
        show("encoding them as JSON (baseline)", bare, PODS)
        ratio = show(f"{PODS:,} pods in one step, until every one has its answer", measure(run, prepare), PODS, bare)
    assert len(engine.state.policies["bank/tasks"].queued) == PODS - 4
    assert ratio < 30


def test_room_that_comes_free_is_found_without_asking_everybody(capsys: pytest.CaptureFixture[str]) -> None:
    few, many = an_engine(), a_full_engine()
    few.send(*(s.PodSeen(pod=pod(number)) for number in range(20)))

    def play(engine: Engine) -> None:
        for _ in range(200):
            engine.send(s.LedgerHealth(writable=False))
            engine.send(s.LedgerHealth(writable=True))

    with capsys.disabled():
        say()
        base = measure(lambda: play(few))
        show("a policy that reopens with 20 waiting (baseline)", base, 400)
        ratio = show(f"the same with {PODS:,} waiting", measure(lambda: play(many)), 400, base)
    assert ratio < 4


def test_ten_thousand_waiting_pods_are_small(capsys: pytest.CaptureFixture[str]) -> None:
    tracemalloc.start()
    try:
        engine = a_full_engine()
        engine.decisions.clear()
        engine.instructions = ()
        gc.collect()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    with capsys.disabled():
        say(f"\nstate with {PODS:,} waiting pods: {kept / 2**20:.1f} MiB kept, {peak / 2**20:.1f} MiB at the most")
    assert kept < 60 * 2**20
