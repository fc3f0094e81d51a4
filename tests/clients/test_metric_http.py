"""One GET to a metric source: what it shows of itself, and how every way to fail is told apart."""

import asyncio
import base64
import gzip
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from aiohttp import web

from burster.clients.credentials import Credentials
from burster.clients.metric_addresses import Addresses
from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import BODY_MAX_BYTES, Get, MetricHttp, checked, printable
from burster.model.addresses import LOOPBACK
from tests.support.certificates import Authority


SECRET = "sesame-open-up"
HERE = Addresses(networks=LOOPBACK)


class Source:
    """A server on loopback that answers as it is told and keeps what it was sent."""

    def __init__(self) -> None:
        self.answer = lambda: web.Response(text="ok")
        self.asked: list[web.Request] = []
        self.url = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return self.answer()

    @property
    def headers(self) -> dict[str, str]:
        return dict(self.asked[-1].headers)


@asynccontextmanager
async def a_source(tls: ssl.SSLContext | None = None) -> AsyncIterator[Source]:
    source = Source()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", source.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    source.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield source
    finally:
        await runner.cleanup()


@asynccontextmanager
async def a_port(serve) -> AsyncIterator[str]:
    """A bare TCP server; what it still does at the end is ended."""
    serving: list[tuple[asyncio.Task[None], asyncio.StreamWriter]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.append((task, writer))
        with suppress(ConnectionError, asyncio.CancelledError):
            await serve(reader, writer)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task, writer in serving:
            task.cancel()
            writer.transport.abort()
        await asyncio.gather(*(task for task, _ in serving), return_exceptions=True)
        await asyncio.sleep(0)


async def fails(request: Get, **parameters: str) -> MetricError:
    async with MetricHttp(HERE) as http:
        with pytest.raises(MetricError) as caught:
            await http.get(request, Credentials(parameters))
    assert SECRET not in str(caught.value)
    assert SECRET not in repr(Credentials(parameters))
    return caught.value


# --- what is shown -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("modes", "parameters", "header", "value"),
    [
        (("bearer",), {"bearerToken": SECRET}, "Authorization", f"Bearer {SECRET}"),
        (("bearer",), {"token": f"{SECRET}\n"}, "Authorization", f"Bearer {SECRET}"),
        (("basic",), {"username": "me", "password": "pö:"}, "Authorization", "Basic bWU6cMO2Og=="),
        (("basic",), {"username": "me"}, "Authorization", "Basic bWU6"),
        (("custom",), {"customAuthHeader": "X-Scope", "customAuthValue": SECRET}, "X-Scope", SECRET),
        (("apiKey",), {"apiKey": SECRET}, "X-API-KEY", SECRET),
        (("tls", "bearer"), {"bearerToken": SECRET}, "Authorization", f"Bearer {SECRET}"),
    ],
)
async def test_each_mode_shows_its_credential(modes, parameters, header, value):
    async with a_source() as source, MetricHttp(HERE) as http:
        answer = await http.get(Get(url=source.url, modes=modes), Credentials(parameters))
        assert (answer.status, answer.body) == (200, b"ok")
        assert source.headers[header] == value


async def test_an_api_key_goes_where_it_is_wanted():
    async with a_source() as source, MetricHttp(HERE) as http:
        for key_name, name in (("", "api_key"), ("code", "code")):
            request = Get(url=f"{source.url}/a?b=c", modes=("apiKey",), key_in="query", key_name=key_name)
            await http.get(request, Credentials({"apiKey": "a&b"}))
            assert source.asked[-1].path_qs == f"/a?b=c&{name}=a%26b"


async def test_without_a_mode_nothing_is_shown_whatever_is_known(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password sesame\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with a_source() as source, MetricHttp(HERE) as http:
        source.answer = lambda: web.Response(headers={"Set-Cookie": "session=1"})
        for _ in range(2):
            await http.get(Get(url=source.url, headers=(("X-Tenant", "bank"),)), Credentials({"bearerToken": SECRET}))
        assert source.headers["X-Tenant"] == "bank"
        assert not {"Authorization", "Cookie"} & source.headers.keys()
        assert SECRET not in str(source.headers)


@pytest.mark.parametrize(
    ("modes", "parameters", "words"),
    [
        (("bearer",), {}, "bearerToken"),
        (("basic",), {"password": SECRET}, "username"),
        (("custom",), {"customAuthHeader": "X"}, "customAuthValue"),
        (("apiKey",), {}, "apiKey"),
        (("custom",), {"customAuthHeader": "X", "customAuthValue": f"{SECRET}\nHost: evil"}, "line break"),
        (("oauth",), {}, "oauth"),
    ],
)
async def test_a_mode_without_what_it_needs_asks_nobody(modes, parameters, words):
    async with a_source() as source:
        error = await fails(Get(url=source.url, modes=modes), **parameters)
        assert words in str(error)
        assert error.fault in {"auth", "unsupported"}
        assert source.asked == []


async def test_a_header_that_is_none_is_told_without_its_value():
    async with a_source() as source:
        parameters = {"customAuthHeader": "X\nY", "customAuthValue": SECRET}
        assert (await fails(Get(url=source.url, modes=("custom",)), **parameters)).fault == "auth"
        assert source.asked == []


# --- TLS ---------------------------------------------------------------------------------------------------------------


def a_server_context(authority: Authority, tmp_path, *, clients: Authority | None = None, host="127.0.0.1"):
    certificate, key = authority.issue("server", hosts=(host,))
    (tmp_path / "pair").write_bytes(certificate + key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pair")
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem.decode())
    return context


async def test_a_ca_of_ones_own_is_the_only_one_that_is_trusted(tmp_path):
    ours, theirs = Authority(), Authority()
    async with a_source(a_server_context(ours, tmp_path)) as source, MetricHttp(HERE) as http:
        request = Get(url=source.url)
        assert (await http.get(request, Credentials({"ca": ours.pem.decode()}))).status == 200
        error = await fails(request, ca=theirs.pem.decode())
        assert (error.fault, "not trusted" in str(error)) == ("tls", True)
        assert (await fails(request)).fault == "tls"
        # as in KEDA a CA takes back what unsafeSsl gives
        unsafe = Get(url=source.url, unsafe_ssl=True)
        assert (await fails(unsafe, ca=theirs.pem.decode())).fault == "tls"
        assert (await http.get(unsafe)).status == 200


async def test_a_certificate_for_another_host(tmp_path):
    ours = Authority()
    async with a_source(a_server_context(ours, tmp_path, host="elsewhere.example")) as source:
        assert (await fails(Get(url=source.url), ca=ours.pem.decode())).fault == "tls"


async def test_mutual_tls(tmp_path):
    ours = Authority()
    certificate, key = (part.decode() for part in ours.issue("burster"))
    stranger, its_key = (part.decode() for part in Authority().issue("burster"))
    ca = ours.pem.decode()
    async with a_source(a_server_context(ours, tmp_path, clients=ours)) as source, MetricHttp(HERE) as http:
        request = Get(url=source.url, modes=("tls",))
        answer = await http.get(request, Credentials({"ca": ca, "cert": certificate, "key": key}))
        assert answer.status == 200
        # in TLS 1.3 a server tells what it lacks by an alert, or simply hangs up
        assert (await fails(request, ca=ca)).fault in {"tls", "unreachable"}
        assert (await fails(request, ca=ca, cert=stranger, key=its_key)).fault in {"tls", "unreachable"}
        assert (await fails(request, ca=ca, cert=certificate, key=its_key)).fault == "tls"
        assert (await fails(request, ca=ca, cert="no", key=SECRET)).fault == "tls"
        assert (await fails(request, ca=ca, cert=certificate)).fault == "auth"


async def test_a_ca_that_is_none():
    assert (await fails(Get(url="https://127.0.0.1:9"), ca=SECRET)).fault == "tls"


async def test_tls_where_there_is_none():
    async with a_source() as source:
        assert (await fails(Get(url=source.url.replace("http:", "https:"), unsafe_ssl=True))).fault == "tls"


# --- ways to fail ------------------------------------------------------------------------------------------------------


async def test_nobody_listens():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await fails(Get(url=f"http://127.0.0.1:{port}", timeout_ms=1_000))
    assert error.fault == "unreachable"
    assert "0x" not in str(error), "an address of memory differs from run to run"


async def test_no_such_host():
    error = await fails(Get(url="http://no-such-host.invalid", timeout_ms=5_000))
    assert error.fault in {"unreachable", "timeout"}


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"HTTP/1.1 200"])
async def test_a_connection_that_stays_half_open(sent):
    async def serve(reader, writer):
        writer.write(sent)
        await asyncio.Event().wait()

    async with a_port(serve) as url:
        assert (await fails(Get(url=url, timeout_ms=200))).fault == "timeout"


async def test_a_body_that_comes_drop_by_drop():
    async def serve(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    async with a_port(serve) as url:
        assert (await fails(Get(url=url, timeout_ms=300))).fault == "timeout"


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99_999,
    ],
)
async def test_an_answer_that_is_no_http(sent):
    async def serve(reader, writer):
        await reader.read(1)
        writer.write(sent)
        await writer.drain()
        writer.close()

    async with a_port(serve) as url:
        assert (await fails(Get(url=url))).fault in {"protocol", "unreachable"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status):
    async with a_source() as elsewhere, a_source() as source:
        source.answer = lambda: web.Response(status=status, headers={"Location": elsewhere.url})
        error = await fails(Get(url=source.url, modes=("bearer",)), bearerToken=SECRET)
        assert error.fault == "redirect"
        assert elsewhere.asked == []


@pytest.mark.parametrize("declared", [True, False])
async def test_a_huge_body_is_left_where_it_is(declared):
    async with a_source() as source:
        body = b"x" * (BODY_MAX_BYTES + 1)

        def answer() -> web.Response:
            made = web.Response(body=body)
            if not declared:
                made.enable_chunked_encoding()
            return made

        source.answer = answer
        assert (await fails(Get(url=source.url, timeout_ms=10_000))).fault == "too_large"


async def test_a_body_is_not_unpacked():
    async with a_source() as source, MetricHttp(HERE) as http:
        packed = gzip.compress(b"0" * 10_000_000)
        source.answer = lambda: web.Response(body=packed, headers={"Content-Encoding": "gzip"})
        assert (await http.get(Get(url=source.url))).body == packed


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (400, "client_error"),
        (404, "client_error"),
        (422, "client_error"),
        (429, "throttled"),
        (500, "server_error"),
        (503, "server_error"),
    ],
)
async def test_statuses(status, fault):
    async with a_source() as source, MetricHttp(HERE) as http:
        source.answer = lambda: web.Response(status=status, headers={"Retry-After": "7"})
        answer = await http.get(Get(url=source.url))
        with pytest.raises(MetricError) as caught:
            checked(answer, "http://x:1", "a\x1b[31m\nb")
        assert (caught.value.fault, caught.value.retry_after_ms) == (fault, 7_000)
        assert str(caught.value) == f"http://x:1 answers {status}: a [31m b"


@pytest.mark.parametrize("status", [401, 403, 407])
async def test_refused_credentials(status):
    async with a_source() as source:
        source.answer = lambda: web.Response(status=status)
        assert (await fails(Get(url=source.url, modes=("bearer",)), bearerToken=SECRET)).fault == "auth"


@pytest.mark.parametrize("after", ["", "soon", "-1", "1e9", "99999999999", "Wed, 21 Oct 2026 07:28:00 GMT"])
async def test_a_retry_after_that_says_nothing(after):
    async with a_source() as source, MetricHttp(HERE) as http:
        source.answer = lambda: web.Response(status=429, headers={"Retry-After": after})
        assert (await http.get(Get(url=source.url))).retry_after_ms is None


@pytest.mark.parametrize("url", ["http://user@host/", "ftp://host", "http://host.", "http://ho%73t", "grpc:host"])
async def test_an_address_that_can_be_read_in_two_ways_is_not_asked(url):
    assert (await fails(Get(url=url))).fault == "unsupported"


def test_secrets_are_taken_out_of_any_text():
    shown = Credentials({"bearerToken": f"{SECRET}\n", "username": "me", "ca": "PEM of a CA"})
    assert shown.scrub(f"got {SECRET}! from me, PEM of a CA") == "got ***! from me, PEM of a CA"
    assert repr(shown) == "Credentials(bearerToken, ca, username)"
    assert shown == Credentials({"username": "me", "ca": "PEM of a CA", "bearerToken": f"{SECRET}\n"})
    encoded = base64.b64encode(SECRET.encode()).decode()
    assert encoded not in repr(shown)


def test_foreign_text_becomes_one_short_line():
    assert printable("a\n\tb\x00c" + "x" * 1000) == "a b c" + "x" * 195 + "…"
