"""The real clients of Kubernetes and Azure on the lock-step loop: unchanged, and without losing time."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

import pytest
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.compute.aio import ComputeManagementClient
from kubernetes_asyncio import client as kube

from burster.lab.lockstep import LabClock, run_lockstep


@asynccontextmanager
async def serving(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, sock).start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        await runner.cleanup()


def test_kubernetes_asyncio_creates_and_watches():
    async def main(clock: LabClock) -> tuple[list[str], int]:
        written = asyncio.Event()

        async def create(request: web.Request) -> web.Response:
            written.set()
            return web.json_response(await request.json(), status=201)

        async def watch(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            await written.wait()
            await clock.sleep(2)
            await response.write(b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n')
            return response

        app = web.Application()
        app.router.add_post("/api/v1/namespaces/default/configmaps", create)
        app.router.add_get("/api/v1/configmaps", watch)
        async with serving(app) as url, kube.ApiClient(kube.Configuration(host=url)) as api:
            core = kube.CoreV1Api(api)
            before = clock.now_ms()

            async def read() -> bytes:
                response = await core.list_config_map_for_all_namespaces(watch=True, _preload_content=False)
                return await response.content.readline()

            reading = asyncio.create_task(read())
            body = kube.V1ConfigMap(metadata=kube.V1ObjectMeta(name="a"))
            made = await core.create_namespaced_config_map("default", body)
            assert clock.now_ms() == before
            line = await reading
            return [made.metadata.name, line.decode().strip()], clock.now_ms() - before

    names, elapsed = run_lockstep(main)
    assert names[0] == "a"
    assert '"ADDED"' in names[1]
    assert elapsed == 2_000


class _Token:
    async def get_token(self, *scopes: str, **options: object) -> AccessToken:
        return AccessToken("lab", 2**40)

    async def close(self) -> None: ...

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None: ...


@pytest.mark.parametrize("seconds", [3, 600])
def test_azure_polls_a_long_deletion_to_its_end(seconds: int):
    async def main(clock: LabClock) -> int:
        async def delete(request: web.Request) -> web.Response:
            where = f"{request.url.origin()}/operations/1"
            return web.Response(status=202, headers={"Azure-AsyncOperation": where, "Retry-After": "1"})

        async def poll(_: web.Request) -> web.Response:
            done = clock.now_ms() >= before + seconds * 1000
            return web.json_response({"status": "Succeeded" if done else "InProgress"}, headers={"Retry-After": "1"})

        app = web.Application()
        app.router.add_delete("/{path:.*}", delete)
        app.router.add_get("/operations/1", poll)
        before = clock.now_ms()
        async with (
            serving(app) as url,
            ComputeManagementClient(
                _Token(), "sub", base_url=url, authentication_policy=SansIOHTTPPolicy(), retry_total=0
            ) as arm,
        ):
            poller = await arm.virtual_machines.begin_delete("group", "vm")
            await poller.result()
        return clock.now_ms() - before

    assert seconds * 1000 <= run_lockstep(main) <= (seconds + 1) * 1000
