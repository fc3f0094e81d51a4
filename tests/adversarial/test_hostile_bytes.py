"""Whatever bytes come as objects: each source goes on, and what it tells can be decided about and recorded."""

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from burster.clients.kube import Page
from burster.engine import initial_state, step
from burster.ledger.rows import encode
from burster.model import stimuli as s
from burster.policy.records import burst_to_object
from burster.sources import bursts, cloud_pods, events, namespaces, nodes, pods, policies
from burster.sources.feed import Feed
from tests.adversarial.test_adoption import a_record
from tests.support.builders import T0


class _Over(Exception):  # noqa: N818 - no error: the script is at its end
    """There is nothing more to be read."""


class Told:
    """An API server that lists nothing, tells some lines, and is silent then."""

    def __init__(self, lines: list[bytes], listed: list[bytes] | None = None) -> None:
        self._lines = [*lines]
        self._listed = listed or []

    async def pages(self, path: str, params: Any = None, *, limit: int = 500) -> AsyncGenerator[Page]:
        yield Page(body=b'{"metadata":{"resourceVersion":"1"},"items":[' + b",".join(self._listed) + b"]}")

    async def watch(self, path: str, params: Any, *, inactivity_ms: int) -> AsyncGenerator[bytes]:
        while self._lines:
            yield self._lines.pop(0)
        raise _Over

    async def get(self, path: str, params: Any = None, *, deadline_ms: int = 0) -> bytes:
        raise _Over


class Still:
    """A clock that stands, and whose sleeper has slept at once."""

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        if seconds > 20:
            raise _Over  # it only waits any more
        await asyncio.sleep(0)


def play(source: str, lines: list[bytes], listed: list[bytes] | None = None) -> list[s.Stimulus]:
    """Let a source read, and return what it posted. Raises whatever it raises of its own."""
    posted: list[s.Stimulus] = []
    more: dict[str, Any] = {}
    if source in {"cloud-pods", "events"}:
        index = cloud_pods.CloudPods()
        index.add("u1", "shop/b")
        more["index"] = index
    run = SOURCES[source].run

    async def main() -> None:
        try:
            async with asyncio.timeout(20):
                await run(Feed(Told(lines, listed), posted.append, Still(), random.Random(1)), **more)
        except* _Over:
            pass

    asyncio.run(main())
    return posted


def checked(posted: list[s.Stimulus]) -> list[s.Stimulus]:
    """Check that what was posted can be recorded, and decided about together with everything that is needed for it."""
    state = initial_state()
    synced = [s.SourceSynced(source=name) for name in ("pods", "policies", "targets", "bursts", "cloud-pods")]
    for stimulus in posted:
        assert encode(stimulus)
        assert len(msgspec.json.encode(stimulus)) < 2 * 2**20
    result = step(state, [*posted, *synced], T0)
    for decision in result.decisions:
        assert encode(decision)
    return posted


SOURCES: Mapping[str, Any] = {
    "pods": pods,
    "cloud-pods": cloud_pods,
    "events": events,
    "bursts": bursts,
    "policies": policies,
    "nodes": nodes,
    "namespaces": namespaces,
}

META = {
    "name": "web-1",
    "namespace": "shop",
    "uid": "u1",
    "resourceVersion": "7",
    "creationTimestamp": "2026-01-05T08:00:00Z",
    "labels": {"app": "web", "burster.dev/burst": "b"},
    "annotations": {"burster.dev/burst-uid": "x"},
    "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "r", "controller": True}],
}
POD: dict[str, Any] = {
    "metadata": META,
    "spec": {
        "containers": [{"name": "a", "image": "i", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}}],
        "initContainers": [{"name": "b", "image": "i", "resources": {"requests": {"a.example/b": "1"}}}],
        "overhead": {"cpu": "1m"},
        "priority": 1,
        "nodeName": "",
        "volumes": [{"secret": {"secretName": "x"}}],
    },
    "status": {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "no",
                "lastTransitionTime": "2026-01-05T08:00:01Z",
            }
        ],
    },
}
POLICY: dict[str, Any] = {
    "apiVersion": "burster.dev/v1alpha1",
    "kind": "BurstPolicy",
    "metadata": META,
    "spec": {
        "workload": {"podNamePattern": "web-.*"},
        "triggers": [{"type": "pending-pods", "metadata": {"pendingFor": "5s"}}],
        "when": "pod.priority > 3",
        "placement": {"targets": ["azure"]},
        "limits": {"maxBursts": 3, "budget": {"perHour": "2.00"}},
    },
}
EVENT = {
    "metadata": META,
    "involvedObject": {"uid": "u1"},
    "message": "no quota",
    "count": 3,
    "series": {"count": 4},
}
NODE = {
    "metadata": META,
    "spec": {"taints": [{"effect": "NoSchedule"}]},
    "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}},
}
OBJECTS: Mapping[str, dict[str, Any]] = {
    "pods": {**POD, "metadata": {**META, "labels": {"app": "web"}}},
    "cloud-pods": POD,
    "events": EVENT,
    "bursts": {**burst_to_object(a_record("Move", "Serving", vms=("v",))), "x": 1},
    "policies": POLICY,
    "nodes": NODE,
    "namespaces": {"metadata": META},
}

HOSTILE = st.sampled_from(
    [
        *(
            "1e999",
            "-1",
            "0x",
            "0x10",
            "9" * 400,
            "9" * 64,
            "1" + "0" * 18,
            "1E18",
            "9223372036854775807",
            "NaN",
            "inf",
            "",
        ),
        *(
            "%2f",
            "..",
            "../../../api/v1/secrets",
            "a/b?c#d",
            "x" * 5_000,
            "\u202e\u0000",
            "\u20ac" * 300,
            "\n",
            "-",
            "None",
        ),
        *(
            "9999-12-31T23:59:59-12:00",
            "0001-01-01T00:00:00+14:00",
            "2026-01-05",
            "(" * 2_000,
            "(a+)+$",
            "a{1,9999}{1,9999}",
        ),
        *(
            None,
            True,
            False,
            0,
            -1,
            2**31,
            2**63 - 1,
            2**64,
            10**400,
            -(10**400),
            1e308,
            [],
            {},
            [[]],
            [None],
            {"": ""},
        ),
        *(
            ["x"] * 2_000,
            {f"k{n}": "v" for n in range(2_000)},
            {"cpu": "1e999"},
            {f"a.example/d{n}": "1" for n in range(300)},
        ),
        *([{}] * 2_000, "true", "burster.dev/burst", {"burster.dev/burst": "..", "app": "x" * 900}),
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        found += places(item, (*path, key))
    return found


def changed(obj: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    try:
        if isinstance(obj, dict):
            return {**obj, key: changed(obj.get(key), tuple(rest), value)}
        if isinstance(obj, list) and isinstance(key, int) and key < len(obj):
            return [changed(one, tuple(rest), value) if at == key else one for at, one in enumerate(obj)]
    except TypeError:
        pass
    return value


def dumps(value: Any) -> bytes:
    import json  # the standard library's writes numbers of any size

    return json.dumps(value).encode()


def an_event(kind: str, obj: bytes) -> bytes:
    return b'{"type":"' + kind.encode() + b'","object":' + obj + b"}"


@pytest.mark.parametrize("source", SOURCES)
@settings(max_examples=25, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
@given(data=st.data())
def test_objects_with_hostile_values_are_told_or_left_out(source: str, data: st.DataObject) -> None:
    base = OBJECTS[source]
    every = places(base)
    lines: list[bytes] = []
    listed: list[bytes] = []
    for number in range(data.draw(st.integers(1, 4))):
        obj: Any = changed(base, ("metadata", "uid"), f"u{number}")
        for path, value in data.draw(st.lists(st.tuples(st.sampled_from(every), HOSTILE), min_size=1, max_size=3)):
            obj = changed(obj, path, value)
        listed.append(dumps(obj))
        lines += [
            an_event(kind, dumps(obj))
            for kind in data.draw(st.lists(st.sampled_from(["ADDED", "MODIFIED", "DELETED"]), max_size=3))
        ]
    checked(play(source, lines, listed if data.draw(st.booleans()) else None))


@pytest.mark.parametrize("source", SOURCES)
@settings(max_examples=10, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate))
@given(
    lines=st.lists(
        st.binary(max_size=200) | st.sampled_from([b"[" * 200_000, b'{"a":' * 100_000, b"null", b"\xff\xfe"]),
        max_size=4,
    )
)
def test_lines_that_are_no_events_stop_no_source(source: str, lines: list[bytes]) -> None:
    checked(play(source, [*lines, *(an_event("ADDED", line) for line in lines)]))


@pytest.mark.parametrize("source", SOURCES)
def test_an_object_without_bottom_stops_no_source(source: str) -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    obj = orjson.dumps(OBJECTS[source])[:-1] + b',"deep":' + deep + b"}"
    checked(play(source, [an_event("ADDED", obj), an_event("MODIFIED", obj), an_event("DELETED", obj)]))
    checked(play(source, [], [obj]))


def a_greedy_pod(name: str, **spec: Any) -> bytes:
    asked = {"resources": {"requests": {"memory": str(2**63 - 1), "a.example/b": str(2**63 - 1)}}, "name": "a"}
    return dumps(
        {
            "metadata": {"name": name, "namespace": "shop", "uid": name, "resourceVersion": "3"},
            "spec": {"containers": [asked] * 3, **spec},
        }
    )


def test_a_pod_whose_containers_ask_for_more_than_a_record_can_hold_is_left_out() -> None:
    """Each quantity is one that the API server takes; only their sum is not."""
    posted = checked(play("pods", [an_event("ADDED", a_greedy_pod("a"))]))
    assert not [one for one in posted if isinstance(one, s.PodSeen)]


def test_pods_that_say_they_are_on_a_node_and_ask_for_all_there_is_leave_capacity_a_number() -> None:
    whole = {"containers": [{"name": "a", "resources": {"requests": {"memory": str(2**63 - 1)}}}], "nodeName": "web-1"}
    pods_there = [a_greedy_pod(f"p{n}", **whole) for n in range(4)]
    node = dumps({**NODE, "spec": {}})
    posted = checked(play("nodes", [], [node, *pods_there]))
    assert all(one.requested.memory_bytes <= 2**63 - 1 for one in posted if isinstance(one, s.CapacitySeen))


@pytest.mark.parametrize(
    "name", ["../../../../../api/v1/namespaces/other/secrets/x", "%2e%2e%2fother", "a/scale", "a?b=c", "a#b", "é", ""]
)
def test_an_owner_of_an_impossible_name_is_no_owner_of_anything(name: str) -> None:
    """The API server checks of an owner reference only that it has a name, and a clone is made from what that name leads to."""
    owner = {**META["ownerReferences"][0], "kind": "Deployment", "name": name}
    obj = {**POD, "metadata": {**META, "labels": {}, "ownerReferences": [owner]}}
    posted = play("pods", [an_event("ADDED", dumps(obj))])
    assert not [one for one in posted if isinstance(one, s.PodSeen)]


def labelled(count: int) -> bytes:
    labels = {f"k{number}": "v" for number in range(count)}
    return dumps({**POD, "metadata": {**META, "labels": labels}})


def test_a_pod_of_endless_labels_is_not_kept_in_memory() -> None:
    few = play("pods", [an_event("ADDED", labelled(200))])
    assert [type(one) for one in few] == [s.SourceSynced, s.PodSeen]
    assert [type(one) for one in play("pods", [an_event("ADDED", labelled(40_000))])] == [s.SourceSynced]


def a_complaint(namespace: str, number: int = 1, **changes: Any) -> bytes:
    event = {
        "metadata": {"name": f"e{number}", "namespace": namespace, "uid": f"e{number}", "resourceVersion": "3"},
        "involvedObject": {"uid": "u1"},
        "message": "sandbox",
        **changes,
    }
    return an_event("ADDED", dumps(event))


def test_an_event_speaks_for_pods_of_its_own_namespace_only() -> None:
    forged = play("events", [a_complaint("elsewhere", message="QuotaExceeded", count=99)])
    assert forged == []
    (own,) = play("events", [a_complaint("elsewhere", 1, count=99), a_complaint("shop", 2)])
    assert isinstance(own, s.SandboxFailed)
    assert (own.count, own.message) == (1, "sandbox")


def test_forged_events_about_one_pod_are_counted_within_bounds() -> None:
    lines = [a_complaint("shop", number, count=2**31 - 1) for number in range(2_000)]
    posted = play("events", lines)
    assert all(isinstance(one, s.SandboxFailed) and one.count <= 640_000 for one in posted)
