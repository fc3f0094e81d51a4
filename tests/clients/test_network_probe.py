"""What a network probe claims, and what it doesn't: on loopback, and through a network of its own where packets are too large."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from burster.cli import main
from burster.clients.network_probe import try_mtu, try_tcp, try_udp


HOST = "127.0.0.1"


def a_free_port(kind: socket.SocketKind) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind((HOST, 0))
        return sock.getsockname()[1]


async def test_tcp_that_somebody_answers_is_open() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), HOST, 0)
    async with server:
        tried = await try_tcp(HOST, server.sockets[0].getsockname()[1])
    assert (tried.what, tried.verdict) == ("tcp", "open")


async def test_tcp_that_nobody_answers_is_refused_which_proves_the_path() -> None:
    port = a_free_port(socket.SOCK_STREAM)
    tried = await try_tcp(HOST, port)
    assert (tried.verdict, tried.address) == ("refused", f"{HOST}:{port}")


async def test_a_name_that_is_none_is_blocked_and_no_traceback() -> None:
    assert (await try_tcp("no..name", 1)).verdict == "blocked"
    assert (await try_udp("no..name", 1)).verdict == "blocked"
    assert (await try_mtu("no..name", 1)).verdict == "blocked"


async def test_udp_that_is_answered_is_open() -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport):
            self.transport = transport

        def datagram_received(self, data, addr):
            self.transport.sendto(data, addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=(HOST, 0))
    try:
        tried = await try_udp(HOST, transport.get_extra_info("sockname")[1])
    finally:
        transport.close()
    assert tried.verdict == "open"


async def test_udp_that_the_host_refuses_is_refused() -> None:
    assert (await try_udp(HOST, a_free_port(socket.SOCK_DGRAM))).verdict == "refused"


async def test_udp_that_nobody_answers_is_silent_and_claims_nothing() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind((HOST, 0))
        tried = await try_udp(HOST, deaf.getsockname()[1], timeout_s=0.2)
    assert (tried.verdict, "not disproved" in tried.detail) == ("silent", True)


async def test_on_loopback_a_whole_packet_goes_through() -> None:
    assert (await try_mtu(HOST, a_free_port(socket.SOCK_DGRAM), at_most=1_500, wait_s=0.1)).mtu == 1_500


@pytest.fixture
def narrow_path() -> Iterator[str]:
    """A network of its own: here - router - far, with only 1,300 bytes between the last two. Yields the name of "here"."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("making networks takes root and iproute2")
    tag = f"bp{os.getpid() % 100_000}"
    here, router, far = f"{tag}h", f"{tag}r", f"{tag}f"
    commands = [
        *(f"ip netns add {name}" for name in (here, router, far)),
        f"ip link add {tag}a netns {here} type veth peer name {tag}b netns {router}",
        f"ip link add {tag}c netns {router} type veth peer name {tag}d netns {far}",
        f"ip -n {here} addr add 10.231.1.1/24 dev {tag}a",
        f"ip -n {router} addr add 10.231.1.254/24 dev {tag}b",
        f"ip -n {router} addr add 10.231.2.254/24 dev {tag}c",
        f"ip -n {far} addr add 10.231.2.1/24 dev {tag}d",
        f"ip -n {router} link set {tag}c mtu 1300",
        f"ip -n {far} link set {tag}d mtu 1300",
        *(
            f"ip -n {name} link set {link} up"
            for name, link in ((here, f"{tag}a"), (router, f"{tag}b"), (router, f"{tag}c"), (far, f"{tag}d"))
        ),
        f"ip -n {here} route add default via 10.231.1.254",
        f"ip -n {far} route add default via 10.231.2.254",
        f"ip netns exec {router} sysctl -qw net.ipv4.ip_forward=1",
    ]  # fmt: skip
    try:
        for command in commands:
            done = subprocess.run(command.split(), capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"{command}: {done.stderr.strip()}")
        yield here
    finally:
        for name in (here, router, far):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def probe(*words: str, within: str = "") -> tuple[int, dict]:
    before = ["ip", "netns", "exec", within] if within else []
    done = subprocess.run(
        [*before, sys.executable, "-m", "burster", "probe", *words], capture_output=True, text=True, check=False
    )
    return done.returncode, json.loads(done.stdout)


def test_a_narrow_path_is_found_by_packets_that_must_not_be_cut(narrow_path: str) -> None:
    code, report = probe(
        "--mtu", "10.231.2.1:4789", "--udp", "10.231.2.1:4789", "--tcp", "10.231.2.1:15150", within=narrow_path
    )
    assert code == 0
    by_kind = {one["what"]: one for one in report["tried"]}
    assert by_kind["mtu"]["mtu"] == 1_300
    assert by_kind["udp"]["verdict"] == "refused"
    assert by_kind["tcp"]["verdict"] == "refused"


def test_a_path_that_leads_nowhere_is_blocked_and_a_bit_of_the_exit_code(narrow_path: str) -> None:
    subprocess.run(["ip", "-n", narrow_path, "route", "del", "default"], check=True)
    code, report = probe("--tcp", "10.231.1.254:1", "--tcp", "10.231.2.1:15150", within=narrow_path)
    assert [one["verdict"] for one in report["tried"]] == ["refused", "blocked"]
    assert code == 0b10


@pytest.mark.parametrize("words", [(), ("--tcp", "nowhere"), ("--tcp", "host:0"), ("--udp", "host:99999")])
def test_what_is_no_address_is_an_input_error(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["probe", *words])
    out, err = capsys.readouterr()
    assert (stopped.value.code, out) == (2, "")
    assert len(err.splitlines()) == 1
