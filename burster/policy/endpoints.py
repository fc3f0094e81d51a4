"""From where a policy's metrics may be read: scheme, host and port, compared whole.

Called by the policy language at load, by ``burster.engine.eligibility`` and by whoever is about to open a connection. A metric source may
get a token of burster's own, so what can't be read here in one way only is allowed nowhere.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final


#: Only what every client reads alike: no user, no escapes, no backslash, no other alphabets, no empty port, no dot at a host's end.
_ADDRESS: Final = re.compile(
    r"(?P<scheme>https?|grpc)://(?P<host>[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*|\[[0-9a-f:.]+\])"
    r"(:(?P<port>[0-9]{1,5}))?(?P<rest>[/?#][!-\[\]-~]*)?",
    re.IGNORECASE | re.ASCII,
)
_PORTS: Final = {"http": 80, "https": 443}
_PORT_MAX: Final = 65_535
#: Headers that say whom a request is for, or where it ends. Behind one address there may be many servers, of which one was allowed.
ROUTING_HEADERS: Final = frozenset({
    "connection", "content-length", "expect", "forwarded", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding",
    "upgrade", "via", "x-forwarded-host",
})  # fmt: skip


@lru_cache(maxsize=1024)
def endpoint_of(url: str) -> str:
    """Return ``scheme://host:port`` of an address, in lower case and with its port, or "" where it can't be told for sure."""
    match = _ADDRESS.fullmatch(url)
    if match is None:
        return ""
    scheme = match["scheme"].lower()
    port = int(match["port"]) if match["port"] else _PORTS.get(scheme, 0)
    return f"{scheme}://{match['host'].lower()}:{port}" if 0 < port <= _PORT_MAX else ""


def server_of(url: str) -> tuple[str, int]:
    """Return the host of an address as it is written, without brackets, and its port; ("", 0) where they can't be told for sure."""
    host, _, port = endpoint_of(url).partition("://")[2].rpartition(":")
    return host.strip("[]"), int(port or 0)


def endpoint_allowed(url: str, allowed: Iterable[str]) -> bool:
    """Say whether an address is at one of the allowed endpoints."""
    endpoint = endpoint_of(url)
    return bool(endpoint) and any(endpoint == endpoint_of(one) for one in allowed)
