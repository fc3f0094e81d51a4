"""Which container images a policy allows: references taken apart as container runtimes do, compared by whole parts of the path.

Called by the policy language at load and by ``burster.engine.eligibility`` for each kind of pod. A reference that is not written as a
runtime would take it matches nothing.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final


_HOST: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*(:[0-9]{1,5})?", re.ASCII)
_PART: Final = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*", re.ASCII)
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)
_HUB: Final = "docker.io"


@dataclass(frozen=True, slots=True)
class Image:
    """An image reference, or the beginning of one."""

    registry: str
    path: tuple[str, ...]  #: of the repository; empty: the whole registry
    tag: str = ""
    digest: str = ""


@lru_cache(maxsize=4096)
def read_image(reference: str) -> Image | None:
    """Return the parts of an image reference, ``docker.io`` filled in where it is short, or None where it is none."""
    name, at, digest = reference.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        return None
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        registry, name = first, rest
    else:
        registry = _HUB
    # A colon behind the last slash begins the tag.
    path_text, colon, tag = name.rpartition(":") if ":" in name.rpartition("/")[2] else (name, "", "")
    if colon and not _TAG.fullmatch(tag):
        return None
    path = tuple(path_text.split("/"))
    if not _HOST.fullmatch(registry) or not all(_PART.fullmatch(part) for part in path):
        return None
    if registry == f"index.{_HUB}":
        registry = _HUB
    if registry == _HUB and len(path) == 1:
        path = ("library", *path)
    return Image(registry, path, tag, digest)


@lru_cache(maxsize=1024)
def read_prefix(text: str) -> Image | None:
    """Return what an entry of the allow-list stands for, or None where it stands for nothing.

    ``registry.example.com`` (with or without a port) is all of a registry, ``registry.example.com/team`` everything below a path, and a
    tag or digest narrows it to that one. What has no registry is docker.io's.
    """
    plain = text.removesuffix("/")
    if "/" not in plain and "@" not in plain and _HOST.fullmatch(plain):
        host, _, port = plain.partition(":")
        if "." in host or host == "localhost":
            return Image(f"{host}:{port}" if port else host, ())
    return read_image(plain)


def image_allowed(reference: str, allowed: tuple[str, ...]) -> bool:
    """Say whether an image is one of those that the list allows."""
    image = read_image(reference)
    return image is not None and any(_covers(prefix, image) for prefix in map(read_prefix, allowed))


def _covers(prefix: Image | None, image: Image) -> bool:
    return (
        prefix is not None
        and prefix.registry == image.registry
        and prefix.path == image.path[: len(prefix.path)]
        and (not (prefix.tag or prefix.digest) or len(prefix.path) == len(image.path))
        and prefix.tag in {"", image.tag}
        and prefix.digest in {"", image.digest}
    )


def has_digest(reference: str) -> bool:
    """Say whether an image is named by its digest, so that it is the same one whenever it is pulled."""
    image = read_image(reference)
    return image is not None and bool(image.digest)
