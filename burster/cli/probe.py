"""`burster probe`: tries network paths from where it runs. `burster doctor --probe-network` starts it on workers and in canary pods.

One line of JSON on standard output, and in the file that the kubelet makes a pod's termination message of. The exit code says which of the
addresses could not be reached, one bit for each in their order, because inside a confidential VM nothing else may come out.
"""

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import typer

from burster.model.errors import InputError


if TYPE_CHECKING:
    from burster.clients.network_probe import Tried

_MESSAGE: Final = Path("/dev/termination-log")
_ADDRESSES_MAX: Final = 6  #: so many bits fit in an exit code beside what shells mean by theirs


def probe(
    *,
    tcp: Annotated[list[str] | None, typer.Option(metavar="HOST:PORT", help="Connect there; repeatable.")] = None,
    udp: Annotated[
        list[str] | None, typer.Option(metavar="HOST:PORT", help="Send a datagram there; repeatable.")
    ] = None,
    mtu: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Find out the largest packet that gets there whole.")
    ] = "",
) -> None:
    """Try network paths from here, and say what came of it."""
    wanted = [*(("tcp", one) for one in tcp or ()), *(("udp", one) for one in udp or ())]
    if mtu:
        wanted.append(("mtu", mtu))
    if not wanted or len(wanted) > _ADDRESSES_MAX:
        raise InputError(f"name one to {_ADDRESSES_MAX} addresses with --tcp, --udp and --mtu")
    places = [(what, *_parts(address)) for what, address in wanted]
    from burster.clients.network_probe import ProbeReport

    tried = asyncio.run(_try_all(places))
    line = msgspec.json.encode(ProbeReport(tried=tuple(tried)))
    if _MESSAGE.exists():
        _MESSAGE.write_bytes(line)
    sys.stdout.write(f"{line.decode()}\n")
    sys.stdout.flush()
    code = sum(1 << number for number, one in enumerate(tried) if one.verdict == "blocked")
    if code:
        raise typer.Exit(code)


async def _try_all(places: "list[tuple[str, str, int]]") -> "list[Tried]":
    from burster.clients.network_probe import try_mtu, try_tcp, try_udp

    tries = {"tcp": try_tcp, "udp": try_udp, "mtu": try_mtu}
    return list(await asyncio.gather(*(tries[what](host, port) for what, host, port in places)))


def _parts(address: str) -> tuple[str, int]:
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65_536:  # noqa: PLR2004 - ports
        raise InputError(f"{address!r} is no HOST:PORT: write for example 10.1.0.4:15150")
    return host.strip("[]"), int(port)
