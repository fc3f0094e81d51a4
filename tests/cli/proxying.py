"""Ways to a controller: an address that an API server forwards to, a forwarder, and the proxy that the lab's API server lacks."""

import asyncio
import contextlib
import fcntl
import ipaddress
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web


_ITS_ADDRESS = 0x8915  # SIOCGIFADDR


def own_address() -> str:
    """An address of this machine that is not loopback: an API server forwards to no other."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for _, interface in socket.if_nameindex():
            wanted = struct.pack("256s", interface.encode()[:15])
            with contextlib.suppress(OSError):  # one without an address
                address = socket.inet_ntoa(fcntl.ioctl(one.fileno(), _ITS_ADDRESS, wanted)[20:24])
                if not ipaddress.ip_address(address).is_loopback:
                    return address
    pytest.skip("not run: this machine has no address but loopback, to which an API server forwards nothing")


@asynccontextmanager
async def front(api: str, proxied: dict[str, str]) -> AsyncIterator[str]:
    """What the lab's API server lacks: the proxy to services and pods; everything else goes through as it is."""

    async def handle(request: web.Request) -> web.StreamResponse:
        path = request.path_qs
        token, _, rest = path.removeprefix("/as/").partition("/")
        target = api + path
        for prefix, url in proxied.items():
            if token and f"/{rest}".startswith(prefix):
                target = url + f"/{rest}".removeprefix(prefix)
        headers = {name: value for name, value in request.headers.items() if name not in {"Host", "Content-Length"}}
        async with session.request(
            request.method, target, data=await request.read(), headers=headers, allow_redirects=False
        ) as answer:
            kept = {name: answer.headers[name] for name in ("Content-Type",) if name in answer.headers}
            response = web.StreamResponse(status=answer.status, headers=kept)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    app = web.Application(client_max_size=4 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        await runner.setup()
        sock = socket.create_server(("127.0.0.1", 0))
        await web.SockSite(runner, sock).start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            await runner.cleanup()


@asynccontextmanager
async def forwarded(host: str, port: int) -> AsyncIterator[str]:
    """An address at which another answers: a port of this machine's loopback."""

    taken = set[asyncio.Task[None]]()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                while chunk := await reader.read(65_536):
                    writer.write(chunk)
                    await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def both_ways(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, back), carry(there, writer))

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.add(asyncio.create_task(both_ways(reader, writer)))

    server = await asyncio.start_server(take, host, 0)
    try:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for each in taken:
            each.cancel()
        await asyncio.gather(*taken, return_exceptions=True)
