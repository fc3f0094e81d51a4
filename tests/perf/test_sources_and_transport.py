"""What decoding, the transport and the lock-step loop cost, in CPU time (measured on two busy cores: 15 us, 100 us, 10 us)."""

import asyncio
import random
import socket
import time
from pathlib import Path
from typing import Any

import orjson
import pytest

from burster.clients.kube import Kube, KubeSettings
from burster.lab.lockstep import LabClock, run_lockstep
from burster.model.stimuli import Stimulus
from burster.sources import pods
from burster.sources.reflector import Reflector


pytestmark = [pytest.mark.perf]

EVENTS = 10_000


def _line(number: int) -> bytes:
    container = {
        "name": "a",
        "image": "registry.example/web:1",
        "env": [{"name": f"E{index}", "value": "v" * 40} for index in range(30)],
        "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "1Gi"}},
    }
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: 3 Insufficient cpu.",
        "lastTransitionTime": "2026-01-05T08:00:00Z",
    }
    pod: dict[str, Any] = {
        "metadata": {
            "name": f"web-6c9d8f7b5d-{number}",
            "namespace": "shop",
            "uid": f"uid-{number}",
            "resourceVersion": str(number),
            "creationTimestamp": "2026-01-05T08:00:00Z",
            "labels": {"app": "web", "pod-template-hash": "6c9d8f7b5d"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": "ReplicaSet",
                    "name": "web-6c9d8f7b5d",
                    "uid": "rs",
                    "controller": True,
                }
            ],
            "managedFields": [{"manager": "m", "fieldsV1": {f"f:{index}": {} for index in range(60)}}],
        },
        "spec": {"containers": [container, {**container, "name": "b"}], "restartPolicy": "Always"},
        "status": {"phase": "Pending", "conditions": [condition]},
    }
    return orjson.dumps({"type": "ADDED", "object": pod})


def test_a_pod_event_becomes_a_stimulus_in_20_microseconds():
    lines = [_line(number) for number in range(EVENTS)]
    assert len(lines[0]) > 3_500
    best = float("inf")
    for _ in range(5):
        posted: list[Stimulus] = []
        sink = pods.PodSink(posted.append, lambda _: None)
        reflector = Reflector(None, pods.PATH, pods.POD_CODEC, sink, None, random.Random(1))  # type: ignore[arg-type]
        started = time.process_time()
        for line in lines:
            reflector._apply(line)
        best = min(best, (time.process_time() - started) / EVENTS * 1e6)
        assert len(posted) == EVENTS
    assert best <= 20, f"{best:.1f} us per event"


class _Server(asyncio.Protocol):
    """Answers whatever comes."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}")


async def test_a_create_costs_the_client_less_than_a_millisecond(tmp_path: Path):
    sock = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(_Server, sock=sock)
    config = tmp_path / "kubeconfig"
    config.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: a
clusters: [{{name: a, cluster: {{server: "http://127.0.0.1:{sock.getsockname()[1]}"}}}}]
users: [{{name: a, user: {{token: abc}}}}]
contexts: [{{name: a, context: {{cluster: a, user: a}}}}]
"""
    )
    body = {"metadata": {"name": "x", "labels": {str(index): "y" * 20 for index in range(10)}}}
    async with await Kube.connect(KubeSettings(kubeconfig=str(config))) as kube:
        for _ in range(100):
            await kube.create("/api/v1/namespaces/shop/pods", body)
        started = time.process_time()
        for _ in range(1_000):
            await kube.create("/api/v1/namespaces/shop/pods", body)
        cost = (time.process_time() - started) / 1_000 * 1e6
    server.close()
    await server.wait_closed()
    assert cost <= 1_000, f"{cost:.0f} us per create"


def test_a_jump_in_time_costs_less_than_50_microseconds_with_20_connections():
    async def main(clock: LabClock) -> float:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        connections = [await asyncio.open_connection(*server.sockets[0].getsockname()) for _ in range(20)]
        await clock.sleep(1)
        started = time.process_time()
        for _ in range(5_000):
            await clock.sleep(0.1)
        cost = (time.process_time() - started) / 5_000 * 1e6
        for _, writer in connections:
            writer.close()
        await clock.sleep(1)
        server.close()
        await server.wait_closed()
        return cost

    cost = run_lockstep(main)
    assert cost <= 50, f"{cost:.1f} us per jump"
