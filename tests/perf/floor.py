"""The bare floor, as a process of its own: each watch event is answered by one create. No engine, no ledger, no decision.

It uses the transport that burster uses, sees pods that burster does not look at (phase Unknown), and creates objects of a kind with a
Burst's schema and a Burst's size. So what it takes is what the API server, the wire and Python take; the rest is burster's.
`python -m tests.perf.floor KUBECONFIG BODY` says `ready` when it watches.
"""

import asyncio
import gc
import sys
from contextlib import aclosing
from pathlib import Path

import msgspec
import orjson

from burster.cli import GC_THRESHOLDS
from burster.clients.kube import Kube, KubeSettings


NAMESPACE = "floor"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
FLOORS = f"/apis/perf.burster.dev/v1alpha1/namespaces/{NAMESPACE}/floors"
SELECTED = "status.phase=Unknown,spec.nodeName="


class Condition(msgspec.Struct):
    type: str
    reason: str | None = None


class Metadata(msgspec.Struct):
    name: str


class Status(msgspec.Struct):
    conditions: list[Condition] | None = None


class Pod(msgspec.Struct):
    metadata: Metadata
    status: Status


class Event(msgspec.Struct):
    type: str
    object: Pod


async def answer(kubeconfig: str, body: bytes) -> None:
    """Answer until killed."""
    decoder = msgspec.json.Decoder(Event)
    async with await Kube.connect(KubeSettings(kubeconfig=kubeconfig)) as kube:
        head = orjson.loads(await kube.get(PODS, {"limit": 1}))
        query = {
            "fieldSelector": SELECTED,
            "resourceVersion": head["metadata"]["resourceVersion"],
            "timeoutSeconds": 3_000,
        }
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        async with aclosing(kube.watch(PODS, query, inactivity_ms=600_000)) as lines:
            async for line in lines:
                event = decoder.decode(line)
                if any(each.reason == "Unschedulable" for each in event.object.status.conditions or ()):
                    record = orjson.loads(body)
                    record["metadata"] = {**record["metadata"], "name": event.object.metadata.name}
                    await kube.create(FLOORS, record, {"fieldManager": "floor"})


if __name__ == "__main__":
    gc.set_threshold(*GC_THRESHOLDS)
    asyncio.run(answer(sys.argv[1], Path(sys.argv[2]).read_bytes()))
