"""initdata that a policy or a target declares: read from its ConfigMap and checked, never changed.

What is measured into the VM is the TOML byte for byte; here it is only packed as kata's annotation wants it (base64 of gzip). A value that
kata could not read would stop its shim, so it is refused before anything is created: no pod goes without what was declared for it.
"""

import base64
import binascii
import gzip
import tomllib
import zlib
from typing import Any, Final

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import KubeApi
from burster.model.bursts import Burst
from burster.model.errors import RemoteError


ANNOTATION: Final = "io.katacontainers.config.hypervisor.cc_init_data"
_ALGORITHMS: Final = frozenset({"sha256", "sha384", "sha512"})
_VERSION: Final = "0.1.0"
#: cloud-api-adaptor's user data may have 64 KiB in base64, and carries more than this
_PACKED_MAX: Final = 60_000
_TOML_MAX: Final = 1 << 20
_GZIP_AS_BASE64: Final = "H4sI"


async def read_initdata(api: KubeApi, burst: Burst, home: str) -> str:
    """Return the annotation's value for a burst, or "" where none is declared; ``home`` is burster's own namespace.

    Raises RemoteError Invalid, with code InitdataMissing or InitdataInvalid, where what is declared can't be used.
    """
    source = burst.spec.initdata
    if source is None:
        return ""
    namespace = burst.namespace if source.by == "Policy" else home
    where = f"ConfigMap {namespace}/{source.config_map}"
    found = await paths.read(api, paths.config_maps(namespace, source.config_map))
    if found is None:
        raise RemoteError("Invalid", f"{where}, which is to hold the initdata, does not exist", code="InitdataMissing")
    data: dict[str, Any] = found.get("data") or {}
    text = data.get(source.key)
    if not isinstance(text, str) or not text.strip():
        raise RemoteError("Invalid", f"{where} has no initdata under {source.key}", code="InitdataMissing")
    try:
        return _packed(text)
    except ValueError as error:
        message = f"{where}, key {source.key}, holds no initdata that kata can read: {error}"
        raise RemoteError("Invalid", message, code="InitdataInvalid") from error


def _packed(text: str) -> str:
    """Return initdata, given as TOML or packed already, packed. Raises ValueError."""
    if text.startswith(_GZIP_AS_BASE64):
        packed = text.strip()
        toml = _unpacked(packed)
    else:
        toml = text.encode()
        packed = base64.b64encode(gzip.compress(toml, mtime=0)).decode()
    try:
        content = tomllib.loads(toml.decode())
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if content.get("version") != _VERSION or content.get("algorithm") not in _ALGORITHMS:
        raise ValueError(f"it must say version {_VERSION!r} and algorithm sha256, sha384 or sha512")
    if len(packed) > _PACKED_MAX:
        raise ValueError(
            f"it has {len(packed)} characters when packed, and a VM's user data has room for {_PACKED_MAX}"
        )
    return packed


def _unpacked(packed: str) -> bytes:
    try:
        raw = base64.b64decode(packed, validate=True)
        unpacker = zlib.decompressobj(wbits=31)
        toml = unpacker.decompress(raw, _TOML_MAX)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof:
        raise ValueError(f"unpacked it ends too early or has more than {_TOML_MAX} bytes")
    return toml
