"""Tries a network path from where it runs: a TCP connection, a datagram, the largest packet that goes through whole.

Run on workers and inside canary pods by `burster probe`, which `burster doctor --probe-network` starts there. It sends nothing but a few
empty-handed packets to the addresses it is given. What can't be proven is not claimed: a datagram that nobody answers is "silent".
"""

import asyncio
import errno
import socket
from contextlib import suppress
from typing import Final, Literal

import msgspec


#: open: somebody answered. refused: the host answered that nobody listens, so that the path is open. silent: no answer, which proves
#: nothing for UDP. blocked: it is known not to get there.
Verdict = Literal["open", "refused", "silent", "blocked"]
_PROBE: Final = b"burster-probe"
_IP_MTU: Final = 14  #: Linux; Python's socket has no name for it
_IP_MTU_DISCOVER: Final = 10
_IP_PMTUDISC_DO: Final = 2
_IPV6_MTU: Final = 24
_IPV6_MTU_DISCOVER: Final = 23
_HEADERS: Final = {socket.AF_INET: 28, socket.AF_INET6: 48}
_BLOCKING: Final = frozenset({errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EACCES, errno.EPERM, errno.ENETDOWN})
_ROUNDS: Final = 4


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one try."""

    what: Literal["tcp", "udp", "mtu"]
    address: str
    verdict: Verdict
    detail: str = ""
    mtu: int = 0  #: of what = mtu: bytes of a whole packet


class ProbeReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one probe has tried, as it says in its termination message."""

    tried: tuple[Tried, ...]


async def try_tcp(host: str, port: int, *, timeout_s: float = 5.0) -> Tried:
    """Connect, and hang up at once."""
    address = _told(host, port)
    try:
        async with asyncio.timeout(timeout_s):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Tried(what="tcp", address=address, verdict="blocked", detail=f"no answer within {timeout_s:g} s")
    except ConnectionRefusedError:
        return Tried(
            what="tcp", address=address, verdict="refused", detail="the host answers, and nobody listens there"
        )
    except (OSError, UnicodeError) as error:
        return Tried(what="tcp", address=address, verdict="blocked", detail=_why(error))
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return Tried(what="tcp", address=address, verdict="open")


async def try_udp(host: str, port: int, *, timeout_s: float = 2.0) -> Tried:
    """Send a datagram and listen for an answer, or for the network's refusal of it."""
    address = _told(host, port)
    loop = asyncio.get_running_loop()
    try:
        sock = await _datagram_socket(host, port)
    except (OSError, UnicodeError) as error:
        return Tried(what="udp", address=address, verdict="blocked", detail=_why(error))
    with sock:
        try:
            async with asyncio.timeout(timeout_s):
                await loop.sock_sendall(sock, _PROBE)
                await loop.sock_recv(sock, 64)
        except TimeoutError:
            return Tried(
                what="udp", address=address, verdict="silent", detail="nobody answers and nobody refuses: not disproved"
            )
        except ConnectionRefusedError:
            return Tried(
                what="udp", address=address, verdict="refused", detail="the host answers that nobody listens there"
            )
        except OSError as error:
            verdict: Verdict = "blocked" if error.errno in _BLOCKING else "silent"
            return Tried(what="udp", address=address, verdict=verdict, detail=_why(error))
    return Tried(what="udp", address=address, verdict="open")


async def try_mtu(host: str, port: int, *, at_most: int = 1_500, wait_s: float = 0.5) -> Tried:
    """Send datagrams that must not be fragmented, and return what the kernel has learned of the path from the answers."""
    address = _told(host, port)
    loop = asyncio.get_running_loop()
    try:
        sock = await _datagram_socket(host, port)
    except (OSError, UnicodeError) as error:
        return Tried(what="mtu", address=address, verdict="blocked", detail=_why(error))
    with sock:
        v6 = sock.family == socket.AF_INET6
        level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
        sock.setsockopt(level, _IPV6_MTU_DISCOVER if v6 else _IP_MTU_DISCOVER, _IP_PMTUDISC_DO)
        size = at_most
        for _ in range(_ROUNDS):
            try:
                await loop.sock_sendall(sock, bytes(size - _HEADERS[sock.family]))
                async with asyncio.timeout(wait_s):
                    await loop.sock_recv(sock, 64)
            except (TimeoutError, ConnectionRefusedError):
                pass
            except OSError as error:
                if error.errno != errno.EMSGSIZE:
                    return Tried(what="mtu", address=address, verdict="blocked", detail=_why(error))
            known = sock.getsockopt(level, _IPV6_MTU if v6 else _IP_MTU)
            if known >= size:
                break
            size = known
    return Tried(what="mtu", address=address, verdict="open", mtu=size)


async def _datagram_socket(host: str, port: int) -> socket.socket:
    """Return a UDP socket that hears what the network says of this address alone."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    family, kind, protocol, _, address = found[0]
    sock = socket.socket(family, kind, protocol)
    sock.settimeout(0)
    try:
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def _told(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
