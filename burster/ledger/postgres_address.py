"""Which PostgreSQL database, checked before anything is connected: no password in it, and no plain connection by mistake."""

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

import msgspec


_LOCAL: Final = frozenset({"127.0.0.1", "localhost", "[::1]", ""})
_NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,39}")


class PostgresAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A database's address as libpq knows it, ``postgresql://user@host:port/name?sslmode=verify-full``, and a name within it.

    The password comes from where libpq finds it by itself: PGPASSFILE, or PGPASSWORD. ``schema`` names the ledger: several clusters may
    share a database. Raises ValueError.
    """

    url: str
    schema: str = "burster"

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
            raise ValueError(
                "this is no address of a database: write postgresql://USER@HOST:PORT/DATABASE?sslmode=verify-full"
            )
        user, _, hosts = parts.netloc.rpartition("@")
        asked = parse_qs(parts.query)
        if ":" in user or "password" in asked:
            raise ValueError("an address must not carry a password: give it as PGPASSFILE, or PGPASSWORD")
        named = [*re.split(r",", hosts), *(host for value in asked.get("host", ()) for host in value.split(","))]
        far = [host for host in named if _host(host) not in _LOCAL and not host.startswith("/")]
        if far and "sslmode" not in asked:
            raise ValueError(
                f"{far[0]} is another machine, and nothing says how the connection is protected: "
                "add ?sslmode=verify-full (and sslrootcert=FILE), or say sslmode=disable if something else protects it"
            )
        if not _NAME.fullmatch(self.schema):
            raise ValueError(f"{self.schema!r} is no name for a schema: letters, digits and _, at most 40")

    @property
    def where(self) -> str:
        """The address for people, without its options."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}{parts.path}#{self.schema}"


def _host(text: str) -> str:
    return text if text.endswith("]") else re.sub(r":\d+$", "", text)
