"""The last good price list of each region on disk, so that a restart needs no new one and a feed that is away does no harm.

One small file a region, written whole and then renamed into place: a reader sees the former list or the new one, never half of one. What
can't be read, is another feed's, too large or from the future counts as not there; what can't be written is not kept, and nothing else
happens. Called by burster.clients.prices.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import msgspec


_VERSION: Final = 1
_BYTES_MAX: Final = 8 * 1024 * 1024
#: No list has more sizes.
_SIZES_MAX: Final = 20_000
_REGION = re.compile(r"[a-z0-9]{1,60}")
#: How far this machine's clock may have been set back since.
_FUTURE_MAX_MS: Final = 3_600_000

_Price = Annotated[int, msgspec.Meta(ge=1, le=10_000_000_000)]


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A list as it was read: from where, when (epoch ms), and what it says. Sizes are in lower case."""

    version: int = _VERSION
    origin: str
    region: str
    currency: str
    read_at_ms: int
    micro_usd_per_hour: dict[str, _Price]
    spot_micro_usd_per_hour: dict[str, _Price] = {}


class PriceCache:
    """A folder of lists of one feed."""

    def __init__(self, folder: str, origin: str) -> None:
        self._folder = Path(folder)
        self._origin = origin

    def load(self, region: str, now_ms: int) -> Kept | None:
        """Return the list of a region, None where there is none that can be believed."""
        if not _REGION.fullmatch(region):
            return None
        try:
            with self._path(region).open("rb") as file:
                body = file.read(_BYTES_MAX + 1)
            kept = msgspec.json.decode(body, type=Kept) if len(body) <= _BYTES_MAX else None
        except (OSError, ValueError, RecursionError, msgspec.DecodeError):
            return None
        if kept is None or (kept.version, kept.origin, kept.region) != (_VERSION, self._origin, region):
            return None
        if kept.read_at_ms > now_ms + _FUTURE_MAX_MS or len(kept.micro_usd_per_hour) > _SIZES_MAX:
            return None
        return kept

    def store(self, kept: Kept) -> bool:
        """Keep a list; False where that is not possible."""
        if not _REGION.fullmatch(kept.region):
            return False
        path = self._path(kept.region)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.write_bytes(msgspec.json.encode(kept))
            part.chmod(0o600)
            part.replace(path)
        except OSError:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            return False
        return True

    def _path(self, region: str) -> Path:
        return self._folder / f"{region}.json"
