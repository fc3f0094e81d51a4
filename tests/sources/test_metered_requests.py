"""Where there are too many pods to follow, Prometheus is asked for the sums; its answers are checked, and believed for two minutes."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from burster.clients.metric_addresses import Addresses
from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import MetricHttp
from burster.model.addresses import LOOPBACK
from burster.model.pods import Resources
from burster.model.stimuli import CapacitySeen, Stimulus
from burster.sources import node_requests, nodes
from burster.sources.feed import Feed
from burster.sources.metered_requests import QUERY, Amount, RequestMeter, RequestsPlace


def series(node: str, resource: str, value: object) -> dict[str, Any]:
    return {"metric": {"node": node, "resource": resource}, "value": [1.5, value]}


def answer(*found: dict[str, Any], **more: Any) -> bytes:
    return orjson.dumps({"status": "success", "data": {"resultType": "vector", "result": [*found]}, **more})


class Prometheus:
    """Answers with one body, and remembers what it was shown."""

    def __init__(self) -> None:
        self.body = answer(series("n1", "cpu", "1.75"), series("n1", "memory", "1.5e9"), series("n2", "cpu", "4"))
        self.tokens: list[str] = []
        self.queries: list[str] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization", ""))
        self.queries.append(request.query["query"])
        return web.Response(body=self.body, content_type="application/json")


@pytest.fixture
async def prometheus() -> AsyncIterator[Prometheus]:
    stand_in = Prometheus()
    app = web.Application()
    app.router.add_get("/api/v1/query", stand_in.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    stand_in.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield stand_in
    await runner.cleanup()


async def read(place: RequestsPlace) -> dict[str, Amount]:
    async with MetricHttp(Addresses(networks=LOOPBACK)) as http:
        return await RequestMeter(http, place).read()


async def test_sums_are_millicores_bytes_and_gpus_by_node(prometheus: Prometheus):
    assert await read(RequestsPlace(url=f"{prometheus.url}/")) == {"n1": (1_750, 1_500_000_000, 0), "n2": (4_000, 0, 0)}
    assert prometheus.queries == [QUERY]
    assert prometheus.tokens == [""]


async def test_the_token_is_read_anew_each_time(prometheus: Prometheus, tmp_path: Path):
    token = tmp_path / "token"
    place = RequestsPlace(url=prometheus.url, token_file=str(token))
    for text in ("first", "second\n"):
        token.write_text(text)
        await read(place)
    assert prometheus.tokens == ["Bearer first", "Bearer second"]
    token.unlink()
    with pytest.raises(MetricError, match="can't be read: FileNotFoundError"):
        await read(place)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (answer(), "no_value"),
        (answer(series("n1", "cpu", "many")), "protocol"),
        (answer(series("n1", "cpu", "NaN")), "protocol"),
        (answer(series("n1", "cpu", "-1")), "protocol"),
        (answer(series("n1", "memory", "1e300")), "protocol"),
        (answer(series("n1", "cpu", 7)), "protocol"),
        (b"not json", "protocol"),
        (b'{"status":"error","error":"x","data":{}}', "no_value"),
        (answer(series("n1", "cpu", "1"), warnings=["a store did not answer"]), "partial"),
    ],
)
async def test_what_makes_no_sense_is_no_sum(prometheus: Prometheus, body: bytes, fault: str):
    prometheus.body = body
    with pytest.raises(MetricError) as told:
        await read(RequestsPlace(url=prometheus.url))
    assert told.value.fault == fault


class FakeMeter(RequestMeter):
    """Answers what it is told to."""

    def __init__(self) -> None:
        self.found: dict[str, Amount] | None = {"n1": (1_500, 0, 0), "elsewhere": (9_000, 0, 0)}
        self.reads = 0

    async def read(self) -> dict[str, Amount]:
        self.reads += 1
        if self.found is None:
            raise MetricError("unreachable", "refused")
        return self.found


def test_a_large_cluster_s_sums_come_from_the_meter_and_grow_stale(play: Callable[[Any], Any]):
    async def scene(api, kube, clock) -> None:
        api.put(nodes.NODES_PATH, "n1", {"status": {"allocatable": {"cpu": "4"}}})
        for number in range(3):
            api.put(node_requests.PODS_PATH, f"p{number}", {"spec": {"nodeName": "n1"}})
        posted: list[Stimulus] = []
        meter = FakeMeter()
        feed = Feed(kube, posted.append, clock, random.Random(1))
        task = asyncio.create_task(nodes.run(feed, pods_max=2, meter=meter))

        def last() -> tuple[bool, int]:
            assert isinstance(posted[-1], CapacitySeen)
            return posted[-1].requested_known, posted[-1].requested.cpu_millicores

        try:
            await clock.sleep(5)
            assert last() == (True, 1_500)
            meter.found = {"n1": (2_500, 0, 0)}
            await clock.sleep(31)
            assert last() == (True, 2_500)
            told = len(posted)
            await clock.sleep(60)
            assert len(posted) == told  # the same again is no news
            meter.found = None
            await clock.sleep(90)
            assert last() == (True, 2_500)
            await clock.sleep(60)
            assert last() == (False, 0)
            meter.found = {"n1": (500, 0, 0)}
            await clock.sleep(31)
            assert last() == (True, 500)
            # once there are few pods they are followed themselves
            for number in range(2):
                api.remove(node_requests.PODS_PATH, f"p{number}")
            await clock.sleep(640)
            assert last() == (True, 0)
            asked = meter.reads
            await clock.sleep(120)
            assert meter.reads == asked
            assert isinstance(posted[-1], CapacitySeen)
            assert posted[-1].allocatable == Resources(cpu_millicores=4_000)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    play(scene)
