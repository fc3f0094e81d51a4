import itertools

import aiohttp
import orjson

from burster.lab.apiserver.faults import Fault
from burster.lab.apiserver.server import TOKEN, ApiServer
from burster.lab.apiserver.store import Store
from burster.lab.lockstep import LabClock, run_lockstep

from .conftest import a_pod


PODS = "/api/v1/namespaces/default/pods"


def test_a_watch_of_an_hour_brings_its_bookmarks_at_their_minutes():
    async def main(clock: LabClock) -> tuple[list[int], int]:
        store = Store(clock.now_ms)
        async with (
            ApiServer(store) as server,
            aiohttp.ClientSession(server.url, headers={"Authorization": f"Bearer {TOKEN}"}) as http,
        ):
            began_ms = clock.now_ms()
            params = {
                "watch": "1",
                "allowWatchBookmarks": "true",
                "resourceVersion": str(store.revision),
                "timeoutSeconds": "600",
            }
            at_ms: list[int] = []
            patient = aiohttp.ClientTimeout(total=None)
            async with http.get(PODS, params=params, timeout=patient) as response:
                async for line in response.content:
                    assert orjson.loads(line)["type"] == "BOOKMARK"
                    at_ms.append(clock.now_ms() - began_ms)
            return at_ms, clock.now_ms() - began_ms

    at_ms, took_ms = run_lockstep(main)
    assert at_ms[:9] == [minute * 60_000 for minute in range(1, 10)]
    assert took_ms == 600_000


def test_requests_take_no_virtual_time_but_for_their_faults():
    async def main(clock: LabClock) -> list[int]:
        store = Store(clock.now_ms)
        delay = Fault(delay_ms=1_500)
        server = ApiServer(store, faults=lambda info: delay if info.verb == "list" else None)
        headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
        async with server, aiohttp.ClientSession(server.url, headers=headers) as http:
            marks = [clock.now_ms()]
            for method, body in (("POST", orjson.dumps(a_pod("p"))), ("GET", None)):
                async with http.request(method, PODS, data=body) as response:
                    await response.read()
                marks.append(clock.now_ms())
            return [after - before for before, after in itertools.pairwise(marks)]

    assert run_lockstep(main) == [0, 1_500]
