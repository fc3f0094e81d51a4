"""A Trustee is asked whether it is well: over TLS whose certificate holds, without redirects, and with each failure told for what it is."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from burster.clients import trustee
from burster.clients.trustee import TrusteeClient
from burster.model.errors import InputError, RemoteError
from tests.support.certificates import Authority


@asynccontextmanager
async def a_trustee(answer=None, *, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    async def healthz(_request: web.Request) -> web.StreamResponse:
        return web.Response(text="ok\n") if answer is None else await answer()

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/kbs/healthz", healthz)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
def pki(tmp_path):
    """An authority's file, and TLS for a server on loopback that it has signed."""
    authority = Authority()
    certificate, key = authority.issue("127.0.0.1", hosts=("127.0.0.1",))
    for name, content in (("ca.pem", authority.pem), ("cert.pem", certificate), ("key.pem", key)):
        (tmp_path / name).write_bytes(content)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    return tmp_path / "ca.pem", context


async def test_one_that_is_well_says_so() -> None:
    async with a_trustee() as url, TrusteeClient() as client:
        assert await client.health(url) == "ok"
        assert await client.health(f"{url}/kbs/") == "ok"


async def test_a_certificate_of_a_declared_authority_holds_and_any_other_does_not(pki) -> None:
    ca_file, context = pki
    async with a_trustee(context=context) as url:
        async with TrusteeClient(str(ca_file)) as client:
            assert await client.health(url) == "ok"
        async with TrusteeClient() as client:
            with pytest.raises(RemoteError, match="its certificate does not hold") as caught:
                await client.health(url)
    assert caught.value.code == "Certificate"


async def test_an_error_and_a_redirect_are_no_health() -> None:
    async def unwell() -> web.Response:
        return web.Response(status=503, text="no database")

    async def elsewhere() -> web.Response:
        raise web.HTTPFound("http://127.0.0.1:1/healthz")

    for answer, status in ((unwell, 503), (elsewhere, 302)):
        async with a_trustee(answer) as url, TrusteeClient() as client:
            with pytest.raises(RemoteError) as caught:
                await client.health(url)
        assert (caught.value.kind, caught.value.status) == ("Unavailable", status)


async def test_one_that_is_not_there_or_says_nothing_is_told_as_such(monkeypatch) -> None:
    monkeypatch.setattr(trustee, "_DEADLINE_S", 0.2)

    async def silence() -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    async with TrusteeClient() as client:
        with pytest.raises(RemoteError, match="can't be reached"):
            await client.health("http://127.0.0.1:9")
        async with a_trustee(silence) as url:
            with pytest.raises(RemoteError, match=r"no answer within 0\.2 s"):
                await client.health(url)
        with pytest.raises(RemoteError, match="no address"):
            await client.health("kbs:///default")


def test_a_file_without_a_certificate_is_an_input_error(tmp_path) -> None:
    for content in (None, "no certificate"):
        file = tmp_path / "ca.pem"
        if content is not None:
            file.write_text(content)
        with pytest.raises(InputError, match=r"ca\.pem holds no certificate"):
            TrusteeClient(str(file))
