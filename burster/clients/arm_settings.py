"""Where ARM is and how one may talk to it: checked before the first byte is sent.

Given to burster.clients.arm.Arm, which re-exports it. Imports nothing of Azure, so that settings can be read without paying for that.
"""

from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from burster.model.errors import InputError


#: who we are at ARM; one way, never one after the other until something fits ("default", Azure's own chain, only where asked for by name)
Auth = Literal[
    "workload-identity", "managed-identity", "environment", "client-secret", "client-certificate", "azure-cli", "default", "none",
]  # fmt: skip
CloudName = Literal["public", "china", "usgov", "custom"]

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Endpoints(msgspec.Struct, frozen=True):
    """Where a cloud's ARM is, where one logs in, and what a token must be for."""

    base_url: str
    authority: str
    audience: str


_CLOUDS: Final[dict[str, Endpoints]] = {
    "public": Endpoints(
        "https://management.azure.com", "https://login.microsoftonline.com", "https://management.azure.com"
    ),
    "china": Endpoints(
        "https://management.chinacloudapi.cn",
        "https://login.chinacloudapi.cn",
        "https://management.chinacloudapi.cn",
    ),
    "usgov": Endpoints(
        "https://management.usgovcloudapi.net",
        "https://login.microsoftonline.us",
        "https://management.core.usgovcloudapi.net",
    ),
}


class ArmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where ARM is, who we are there, and how patient we are.

    ``base_url``, ``authority`` and ``audience`` are the cloud's where they are empty. ``client_id`` names one of several identities,
    ``tenant_id`` the directory where the environment doesn't. A secret is read from a file, never taken from a variable. ``ca_file``: what
    is trusted besides the usual authorities (a proxy that opens TLS). ``read_network`` also reads a finished VM's network interface, which
    alone knows its subnet and whether it has a public address. ``patience_ms``: how long one call may wait for its turn and between
    attempts, besides the ``request_timeout_ms`` of each attempt.
    """

    cloud: CloudName = "public"
    base_url: str = ""
    authority: str = ""
    audience: str = ""
    auth: Auth = "workload-identity"
    client_id: str = ""
    tenant_id: str = ""
    client_secret_file: str = ""
    client_certificate_file: str = ""
    ca_file: str = ""
    request_timeout_ms: int = 20_000
    patience_ms: int = 30_000
    poll_interval_ms: int = 5_000
    read_network: bool = True

    @property
    def endpoints(self) -> Endpoints:
        """Return where everything is, without a slash at the end."""
        usual = _CLOUDS.get(self.cloud)
        base = self.base_url or (usual.base_url if usual else "")
        return Endpoints(
            base_url=base.rstrip("/"),
            authority=(self.authority or (usual.authority if usual else "")).rstrip("/"),
            # a stand-in or a private link has the audience of its own address, unless told otherwise
            audience=(self.audience or (usual.audience if usual and not self.base_url else base)).rstrip("/"),
        )


def check_way(settings: ArmSettings) -> bool:
    """Return whether ARM is a stand-in on this machine; raise InputError for a way that is not safe, or not complete."""
    base_url = settings.endpoints.base_url
    if settings.cloud == "custom" and not (settings.base_url and settings.authority):
        raise InputError("a cloud of one's own needs base_url and authority: where its ARM is, and where one logs in")
    parts = _parts(base_url)
    local = parts.hostname in LOOPBACK
    if settings.auth == "none" and not local:
        raise InputError(
            f"auth none is for a stand-in on this machine's loopback only, and ARM at {base_url} needs a login: "
            "use workload-identity"
        )
    if parts.scheme == "http" and (settings.auth != "none" or not local):
        raise InputError(
            f"base_url {base_url} is plain http, which would show a token to everyone on the way: use https, "
            "or auth none for a stand-in on this machine's loopback"
        )
    if settings.auth != "none" and urlsplit(settings.endpoints.authority).scheme != "https":
        raise InputError(
            f"one logs in at {settings.endpoints.authority!r}, which is no https address: write for example "
            "https://login.microsoftonline.com"
        )
    _check_login(settings)
    return local


def _check_login(settings: ArmSettings) -> None:
    needed: dict[str, tuple[str, ...]] = {
        "client-secret": ("tenant_id", "client_id", "client_secret_file"),
        "client-certificate": ("tenant_id", "client_id", "client_certificate_file"),
    }
    missing = [name for name in needed.get(settings.auth, ()) if not getattr(settings, name)]
    if missing:
        raise InputError(f"auth {settings.auth} needs {', '.join(missing)}")


def _parts(base_url: str) -> SplitResult:
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise InputError(f"base_url {base_url!r} is no URL of ARM: write for example https://management.azure.com")
    return parts
