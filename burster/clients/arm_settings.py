"""Where ARM is and how one may talk to it: checked before the first byte is sent.

Given to burster.clients.arm.Arm, which re-exports it. Imports nothing of Azure, so that settings can be read without paying for that.
"""

from typing import Final, Literal
from urllib.parse import urlsplit

import msgspec

from burster.model.errors import InputError


Auth = Literal["workload-identity", "managed-identity", "default", "none"]

_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class ArmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where ARM is, who we are there, and how patient we are.

    ``read_network`` also reads a finished VM's network interface, which alone knows its subnet and whether it has a public address.
    """

    base_url: str = "https://management.azure.com"
    auth: Auth = "workload-identity"
    request_timeout_ms: int = 20_000
    poll_interval_ms: int = 5_000
    read_network: bool = True


def check_way(settings: ArmSettings) -> bool:
    """Return whether ARM is a stand-in on this machine; raise InputError for a way that is not safe."""
    parts = urlsplit(settings.base_url)
    local = parts.hostname in _LOOPBACK
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(
            f"ARM's address {settings.base_url!r} is no URL: write for example https://management.azure.com"
        )
    if settings.auth == "none" and not local:
        raise InputError(
            f"ARM at {settings.base_url} needs a login: auth none is for a stand-in on this machine's loopback only; "
            "use workload-identity"
        )
    if parts.scheme == "http" and (settings.auth != "none" or not local):
        raise InputError(
            f"ARM at {settings.base_url} is plain http, which would show a token to everyone on the way: use https, "
            "or auth none for a stand-in on this machine's loopback"
        )
    return local
