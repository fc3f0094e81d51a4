"""What a pod's spec refers to besides what it asks for: its images, and the Secrets that its containers and volumes read.

Called by the decoder of pending pods; only these fields are decoded, everything else of env and volumes is skipped by the parser. Secrets
that the kubelet alone reads to pull images (imagePullSecrets) are not among them. It must never decode a Secret's content.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from burster.sources.wire import Container


class _Named(msgspec.Struct):
    name: str | None = None


class _ValueFrom(msgspec.Struct, rename="camel"):
    secret_key_ref: _Named | None = None


class _Env(msgspec.Struct, rename="camel"):
    value_from: _ValueFrom | None = None


class _EnvFrom(msgspec.Struct, rename="camel"):
    secret_ref: _Named | None = None


class PodContainer(Container, rename="camel"):
    """A container of a pending pod, with what it refers to."""

    image: str | None = None
    env: list[_Env] | None = None
    env_from: list[_EnvFrom] | None = None


class _SecretVolume(msgspec.Struct, rename="camel"):
    secret_name: str | None = None


class _ProjectedSource(msgspec.Struct):
    secret: _Named | None = None


class _Projected(msgspec.Struct):
    sources: list[_ProjectedSource] | None = None


class _Csi(msgspec.Struct, rename="camel"):
    node_publish_secret_ref: _Named | None = None


class _Storage(msgspec.Struct, rename="camel"):
    secret_ref: _Named | None = None


class Volume(msgspec.Struct, rename="camel"):
    """One of spec.volumes[], as far as it may name a Secret."""

    secret: _SecretVolume | None = None
    projected: _Projected | None = None
    csi: _Csi | None = None
    azure_file: _SecretVolume | None = None
    cephfs: _Storage | None = None
    cinder: _Storage | None = None
    flex_volume: _Storage | None = None
    iscsi: _Storage | None = None
    rbd: _Storage | None = None
    scale_io: _Storage | None = msgspec.field(default=None, name="scaleIO")
    storageos: _Storage | None = None


_STORAGE: Final = ("cephfs", "cinder", "flex_volume", "iscsi", "rbd", "scale_io", "storageos")


def images_of(containers: Iterable[PodContainer]) -> tuple[str, ...]:
    """Return every image once, in the order of the containers."""
    return tuple(dict.fromkeys(one.image for one in containers if one.image))


def secrets_of(containers: Iterable[PodContainer], volumes: list[Volume] | None) -> tuple[str, ...]:
    """Return the names of the Secrets referred to, each once, in order of names."""
    found = {name for one in containers if one.env or one.env_from for name in _of_container(one) if name}
    for volume in volumes or ():
        found.update(name for name in _of_volume(volume) if name)
    return tuple(sorted(found)) if found else ()


def _of_container(container: PodContainer) -> Iterator[str | None]:
    for variable in container.env or ():
        source = variable.value_from
        if source is not None and source.secret_key_ref is not None:
            yield source.secret_key_ref.name
    for bundle in container.env_from or ():
        if bundle.secret_ref is not None:
            yield bundle.secret_ref.name


def _of_volume(volume: Volume) -> Iterator[str | None]:
    for direct in (volume.secret, volume.azure_file):
        if direct is not None:
            yield direct.secret_name
    if volume.projected is not None:
        yield from (part.secret.name for part in volume.projected.sources or () if part.secret is not None)
    if volume.csi is not None and volume.csi.node_publish_secret_ref is not None:
        yield volume.csi.node_publish_secret_ref.name
    for kind in _STORAGE:
        storage: _Storage | None = getattr(volume, kind)
        if storage is not None and storage.secret_ref is not None:
            yield storage.secret_ref.name
