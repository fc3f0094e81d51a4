"""A policy's author chooses a metric's address: what that must not lead to, however it is written and whatever a name says."""

import asyncio
import socket
from ipaddress import ip_network

import pytest
from aiohttp import web

from burster.clients.credentials import Credentials
from burster.clients.metric_addresses import Addresses
from burster.clients.metric_errors import MetricError
from burster.clients.metric_http import Get, MetricHttp
from burster.model.addresses import LOOPBACK
from tests.clients.test_metric_http import a_source


TOKEN = Credentials({"bearerToken": "sesame-open-up"})


async def refused(url: str, addresses: Addresses) -> str:
    async with MetricHttp(addresses) as http:
        with pytest.raises(MetricError) as caught:
            await http.get(Get(url=url, modes=("bearer",), timeout_ms=2_000), TOKEN)
    assert caught.value.fault == "not_allowed", caught.value
    return caught.value.message


@pytest.fixture
def sockets(monkeypatch):
    """What anybody tries to connect to; nothing of it is let through."""
    tried: list[object] = []

    async def connect(_loop: object, _sock: object, address: object) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_event_loop_policy()._loop_factory, "sock_connect", connect)
    return tried


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/metadata/identity/oauth2/token",
        "http://[fe80::1]:9090",
        "http://[::ffff:169.254.169.254]:80",
        "http://168.63.129.16:32526",
        "http://127.0.0.1:10248",
        "http://[::1]:8080",
        "http://0x7f000001",
        "http://localhost:8080",
    ],
)
async def test_nobody_connects_there(url, sockets):
    message = await refused(url, Addresses())
    assert "is never read" in message
    assert sockets == []


@pytest.mark.parametrize("host", ["2130706433", "127.1", "2852039166", "0"])
async def test_what_inet_aton_takes_for_an_address_is_none(host, sockets):
    async with MetricHttp(Addresses()) as http:
        with pytest.raises(MetricError) as caught:
            await http.get(Get(url=f"http://{host}/metadata", modes=("bearer",)), TOKEN)
    assert caught.value.fault == "unsupported"
    assert sockets == []


@pytest.mark.parametrize("found", [["169.254.169.254"], ["127.0.0.1", "127.0.0.2"], ["169.254.169.254", "fe80::1"]])
async def test_what_a_name_leads_to_is_what_counts(found, sockets, monkeypatch):
    def looked_up(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        assert host == "thanos.monitoring.svc"
        return [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (each, port, 0, 0))
            if ":" in each
            else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    assert "is never read" in await refused("http://thanos.monitoring.svc:9092", Addresses())
    assert sockets == []


async def test_the_api_server_is_not_asked_in_bursters_place():
    async with a_source() as source:
        for addresses in (
            Addresses(api_server=source.url, networks=LOOPBACK),
            Addresses(api_server=f"{source.url}/a/path", networks=LOOPBACK),
        ):
            assert "the API server is never read" in await refused(f"{source.url}/metrics", addresses)
            # nor by a name that leads there
            port = source.url.rpartition(":")[2]
            assert "the API server is never read" in await refused(f"http://localhost:{port}/metrics", addresses)
        assert source.asked == []


async def test_where_networks_are_set_nothing_else_is_read(sockets):
    addresses = Addresses(networks=(ip_network("10.20.0.0/16"),))
    assert "BURSTER_METRICS__NETWORKS leaves it out" in await refused("http://10.21.0.1:9090", addresses)
    assert sockets == []
    async with MetricHttp(addresses) as http:
        with pytest.raises(MetricError) as caught:
            await http.get(Get(url="http://10.20.0.1:9090"))
    assert caught.value.fault == "unreachable"
    assert [address[0] for address in sockets] == ["10.20.0.1"]


@pytest.mark.parametrize("header", ["Host", "host", "Transfer-Encoding", "X-Forwarded-Host"])
async def test_whom_a_request_is_for_is_not_a_policys_to_say(header):
    async with a_source() as source, MetricHttp(Addresses(networks=LOOPBACK)) as http:
        by_secret = Credentials({"customAuthHeader": header, "customAuthValue": "other.bank.example"})
        for request, credentials in (
            (Get(url=source.url, headers=((header, "other.bank.example"),)), TOKEN),
            (Get(url=source.url, modes=("custom",)), by_secret),
            (Get(url=source.url, modes=("apiKey",), key_name=header), Credentials({"apiKey": "other.bank.example"})),
        ):
            with pytest.raises(MetricError) as caught:
                await http.get(request, credentials)
            assert caught.value.fault == "unsupported"
        assert source.asked == []


async def test_a_redirect_to_another_place_takes_the_token_nowhere():
    async with a_source() as elsewhere, a_source() as source, MetricHttp(Addresses(networks=LOOPBACK)) as http:

        def away() -> web.StreamResponse:
            raise web.HTTPTemporaryRedirect(elsewhere.url)

        source.answer = away
        with pytest.raises(MetricError, match="sends elsewhere"):
            await http.get(Get(url=source.url, modes=("bearer",)), TOKEN)
        assert len(source.asked) == 1
        assert elsewhere.asked == []
