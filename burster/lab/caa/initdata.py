"""initdata of a confidential pod: where it comes from, what is measured, and what an honest VM's PCR 8 then holds.

Pure. The digest is over the raw TOML bytes, blanks and comments included; on Azure TDX it is extended into the vTPM's PCR 8.
"""

import base64
import binascii
import gzip
import hashlib
import tomllib
import zlib
from typing import Final


ALGORITHMS: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
VERSION: Final = "0.1.0"
_PCR_BYTES: Final = 32


class InitdataError(Exception):
    """The annotation can't be used; the text says why."""


def effective_initdata(annotation: str, global_initdata: str) -> str:
    """Return what a pod's VM gets: its own annotation, else CAA's global one, else nothing."""
    return annotation or global_initdata


def encode_initdata(toml: bytes) -> str:
    """Return the annotation for a TOML text; the same text gives the same annotation."""
    return base64.b64encode(gzip.compress(toml, mtime=0)).decode()


def decode_initdata(annotation: str) -> bytes:
    """Return the raw TOML. Raises InitdataError where it isn't base64 of gzip of a valid initdata."""
    try:
        packed = base64.b64decode(annotation, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InitdataError(f"error base64 decode initdata: {error}") from error
    try:
        toml = gzip.decompress(packed)
        content = tomllib.loads(toml.decode())
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise InitdataError(f"error unmarshalling initdata: {error}") from error
    if content.get("version") != VERSION or content.get("algorithm") not in ALGORITHMS:
        raise InitdataError(f"initdata must have version {VERSION!r} and algorithm sha256, sha384 or sha512")
    return toml


def digest(toml: bytes) -> bytes:
    """Return the hash of the raw TOML by the algorithm that it names itself."""
    return ALGORITHMS[tomllib.loads(toml.decode())["algorithm"]](toml).digest()


def pcr8(initdata_digest: bytes) -> str:
    """Return PCR 8 in hex after the digest was extended once into an empty register."""
    return hashlib.sha256(bytes(_PCR_BYTES) + initdata_digest[:_PCR_BYTES]).hexdigest()
