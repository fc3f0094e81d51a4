"""Where metrics are read from, looked at in the moment of connecting: what is no metric source's is not connected to.

Called by ``burster.clients.metric_http`` for each socket. An allow-list names hosts; what a name leads to is up to whoever runs its DNS,
and may change between two looks. So the address that is connected to is the one that is judged, also where it is written out.
"""

import errno
import socket
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from burster.model.addresses import Network, address_of, refusal


#: how a refusal is known among the messages of several addresses that were tried
_MARK: Final = "is never read"
_PORTS: Final = {"http": 80, "https": 443}


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """What may be connected to.

    ``networks``: these only (loopback must be among them by itself); none: everything but this machine. ``api_server``: its address, where
    nobody but burster has any business in burster's place.
    """

    networks: tuple[Network, ...] = ()
    api_server: str = ""

    def socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Return a socket for what ``getaddrinfo`` has found. Raises OSError where it may not be connected to."""
        family, kind, protocol, _, where = info
        why = self.refusal(str(where[0]), int(where[1]))
        if why:
            raise OSError(errno.EACCES, why)
        return socket.socket(family=family, type=kind, proto=protocol)

    def refusal(self, host: str, port: int) -> str:
        """Say in a sentence why a host or an address may not be read; empty where it may be, or where its name tells nothing."""
        if (host.lower(), port) == self._api_server:
            return f"the API server {_MARK} for a policy"
        address = address_of(host)
        why = refusal(address, self.networks) if address is not None else ""
        return f"where it leads {_MARK} ({why})" if why else ""

    @property
    def _api_server(self) -> tuple[str, int]:
        parts = urlsplit(self.api_server)
        return (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0))


def refused_in(error: BaseException) -> str:
    """Return the refusal that an error of the transport is about; empty where it is about something else."""
    text = (getattr(error, "strerror", None) or str(error)) if isinstance(error, OSError) else ""
    return text if _MARK in text else ""
