"""Unscheduled on-prem pods: API server to PodSeen and PodLeft.

The server sends only pods that are Pending, on no node, and not burster's own. One that leaves this set arrives as deleted with its old
state, whether it was bound, failed or really deleted; so the pod is read once more to learn why. Called by the runtime. It must never
decide whether a pod may burst.
"""

import asyncio
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal

import msgspec
import structlog

from burster.clients.kube import Kube
from burster.model.errors import InputError, RemoteError
from burster.model.pods import Owner, Pod, Resources
from burster.model.stimuli import PodLeft, PodSeen, SourceSynced, Stimulus
from burster.sources.feed import Feed
from burster.sources.references import PodContainer, Volume, images_of, secrets_of
from burster.sources.reflector import Codec, Waiter
from burster.sources.wire import (
    BURST_LABEL,
    Condition,
    OwnerReference,
    Quantities,
    ResourceNeeds,
    Time,
    controller_of,
    epoch_ms,
    pod_requests,
    shared_resources,
)


PATH: Final = "/api/v1/pods"
PARAMS: Final = {"fieldSelector": "status.phase=Pending,spec.nodeName=", "labelSelector": f"!{BURST_LABEL}"}
_HASH_LABEL: Final = "pod-template-hash"
_READERS: Final = 8
_TRIES: Final = 3
_WAITING_MAX: Final = 100_000
_READ_DEADLINE_MS: Final = 5_000
_MESSAGE_MAX: Final = 512
_DIGITS_MAX: Final = 12
#: What a pod may have at most to be looked at; Kubernetes bounds only the size of the whole object, and all of this is kept in memory.
_LABELS_MAX: Final = 256
_CONTAINERS_MAX: Final = 256
_VOLUMES_MAX: Final = 1_024
#: a DNS subdomain, as every kind that controls pods has for a name
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")

_log: Final = structlog.get_logger("burster.sources")


class _Annotations(msgspec.Struct):
    """What CAA's webhook kept of a peer pod's requests, which it wiped."""

    vcpus: str | None = msgspec.field(default=None, name="io.katacontainers.config.hypervisor.default_vcpus")
    memory_mib: str | None = msgspec.field(default=None, name="io.katacontainers.config.hypervisor.default_memory")
    gpus: str | None = msgspec.field(default=None, name="io.katacontainers.config.hypervisor.default_gpus")


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    uid: str
    namespace: str = ""
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] | None = None
    annotations: _Annotations | None = None
    owner_references: list[OwnerReference] | None = None


class _Spec(msgspec.Struct, rename="camel"):
    containers: list[PodContainer] | None = None
    init_containers: list[PodContainer] | None = None
    volumes: list[Volume] | None = None
    overhead: Quantities | None = None
    resources: ResourceNeeds | None = None
    node_name: str | None = None
    priority: int | None = None
    runtime_class_name: str | None = None
    restart_policy: str | None = None
    scheduling_gates: list[msgspec.Raw] | None = None


class _Status(msgspec.Struct):
    phase: str | None = None
    conditions: list[Condition] | None = None


class PodObject(msgspec.Struct):
    """A v1 Pod, as far as a decision needs it."""

    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


Key = tuple[str, str, str]  #: namespace, name, uid

POD_CODEC: Final = Codec(PodObject, lambda pod: (pod.metadata.uid, pod.metadata.resource_version))


def pod_from(obj: PodObject) -> Pod:
    """Return the model's pod. Raises InputError for a quantity that is none, an owner of no possible name, and endless lists."""
    meta, spec = obj.metadata, obj.spec
    labels = meta.labels or {}
    owner = _shared_owner(controller_of(meta.owner_references))
    if len(labels) > _LABELS_MAX:
        raise InputError(f"pod {meta.namespace}/{meta.name} has {len(labels)} labels: no pod that means it has so many")
    since, message = _unschedulable(obj)
    containers = (*(spec.init_containers or ()), *(spec.containers or ()))
    if len(containers) > _CONTAINERS_MAX or len(spec.volumes or ()) > _VOLUMES_MAX:
        raise InputError(f"pod {meta.namespace}/{meta.name} has more containers or volumes than any pod that means it")
    return Pod(
        namespace=_shared(meta.namespace),
        name=meta.name,
        uid=meta.uid,
        resource_version=meta.resource_version,
        created_at_ms=epoch_ms(meta.creation_timestamp),
        unschedulable_since_ms=since,
        message=_shared(message),
        requests=_requests(obj),
        labels=labels,
        owner=owner,
        workload=_workload(owner, labels),
        priority=spec.priority or 0,
        runtime_class=_shared(spec.runtime_class_name or ""),
        restart_policy=_shared(spec.restart_policy or "Always"),
        images=_shared_names(images_of(containers)),
        secrets=_shared_names(secrets_of(containers, spec.volumes)),
        gated=bool(spec.scheduling_gates),
        terminating=meta.deletion_timestamp is not None,
        node_name=spec.node_name or "",
    )


def _requests(obj: PodObject) -> Resources:
    """Return what the scheduler counts, or what a peer pod asked for before CAA's webhook wiped it: whichever is more."""
    spec, kept = obj.spec, obj.metadata.annotations
    asked = pod_requests(spec.containers, spec.init_containers, spec.overhead, spec.resources)
    if kept is None or not (kept.vcpus or kept.memory_mib or kept.gpus):
        return asked
    return shared_resources(
        max(asked.cpu_millicores, 1000 * _number(kept.vcpus)),
        max(asked.memory_bytes, 2**20 * _number(kept.memory_mib)),
        max(asked.gpus, _number(kept.gpus)),
        asked.devices,
    )


def _number(text: str | None) -> int:
    """Return an annotation's number; what is none was not written by the webhook and means nothing."""
    return int(text) if text and len(text) <= _DIGITS_MAX and text.isascii() and text.isdigit() else 0


@lru_cache(maxsize=16_384)
def _shared(text: str) -> str:
    """Return one object for all pods that carry the same text."""
    return text


@lru_cache(maxsize=16_384)
def _shared_owner(owner: Owner | None) -> Owner | None:
    """Return one object for all pods of an owner. Raises InputError for a name that no object has: owner references are not checked."""
    if owner is not None and not _NAME.fullmatch(owner.name):
        raise InputError(f"an owner named {owner.name[:64]!r}: no object has such a name")
    return owner


@lru_cache(maxsize=16_384)
def _shared_names(names: tuple[str, ...]) -> tuple[str, ...]:
    return names


def _unschedulable(obj: PodObject) -> tuple[int | None, str]:
    for condition in obj.status.conditions or ():
        if condition.type == "PodScheduled":
            if condition.status != "False" or condition.reason != "Unschedulable":
                return None, ""
            since = condition.last_transition_time or obj.metadata.creation_timestamp
            return epoch_ms(since), (condition.message or "")[:_MESSAGE_MAX]
    return None, ""


def _workload(owner: Owner | None, labels: dict[str, str]) -> Owner | None:
    """Return the owner people think in: the Deployment behind a ReplicaSet that carries its template's hash in its name."""
    return _shared_workload(owner, labels.get(_HASH_LABEL))


@lru_cache(maxsize=16_384)
def _shared_workload(owner: Owner | None, template: str | None) -> Owner | None:
    if owner is None or owner.kind != "ReplicaSet" or not template or not owner.name.endswith(f"-{template}"):
        return owner
    return Owner(api_version=owner.api_version, kind="Deployment", name=owner.name[: -len(template) - 1], uid="")


class _Departures:
    """Reads pods that left the list once more, a few at a time, to learn whether they were bound."""

    def __init__(self, kube: Kube, post: Callable[[Stimulus], None], clock: Waiter) -> None:
        self._kube = kube
        self._post = post
        self._clock = clock
        self._queue: Final[asyncio.Queue[Key]] = asyncio.Queue(_WAITING_MAX)

    def add(self, key: Key) -> None:
        """Look into it; where far too many wait, take it for gone, which is what matters to demand."""
        try:
            self._queue.put_nowait(key)
        except asyncio.QueueFull:
            self._post(PodLeft(namespace=key[0], name=key[1], uid=key[2], why="Gone"))

    async def work(self) -> None:
        """Answer one after the other, for ever; several of these run side by side."""
        while True:
            key = await self._queue.get()
            self._post(PodLeft(namespace=key[0], name=key[1], uid=key[2], why=await self._why(key)))

    async def _why(self, key: Key) -> Literal["Bound", "Gone"]:
        namespace, name, uid = key
        for attempt in range(_TRIES):
            try:
                body = await self._kube.get(
                    f"/api/v1/namespaces/{namespace}/pods/{name}", deadline_ms=_READ_DEADLINE_MS
                )
                pod = POD_CODEC.item.decode(body)
            except RemoteError as error:
                if error.kind == "NotFound":
                    return "Gone"
                _log.warning("pod not readable", pod=f"{namespace}/{name}", kind=error.kind, error=error.message)
                await self._clock.sleep(0.2 * 2**attempt)
            except (msgspec.DecodeError, UnicodeDecodeError):
                return "Gone"
            else:
                return "Bound" if pod.metadata.uid == uid and pod.spec.node_name else "Gone"
        return "Gone"  # unknown: its demand has ended either way


class PodSink:
    """From decoded pods to stimuli."""

    def __init__(self, post: Callable[[Stimulus], None], departed: Callable[[Key], None]) -> None:
        self._post = post
        self._departed = departed

    def seen(self, obj: PodObject) -> Key | None:
        """Post PodSeen."""
        meta = obj.metadata
        if meta.labels is not None and BURST_LABEL in meta.labels:
            return None
        self._post(PodSeen(pod=pod_from(obj)))
        return meta.namespace, meta.name, meta.uid

    def gone(self, key: Key, last: PodObject | None) -> None:
        """Post PodLeft, at once where it was being deleted, else after another look."""
        if last is not None and last.metadata.deletion_timestamp is not None:
            self._post(PodLeft(namespace=key[0], name=key[1], uid=key[2], why="Gone"))
        else:
            self._departed(key)

    def synced(self) -> None:
        """Post SourceSynced."""
        self._post(SourceSynced(source="pods"))


async def run(feed: Feed) -> None:
    """Post stimuli about unscheduled pods until cancelled."""
    departures = _Departures(feed.kube, feed.post, feed.clock)
    reflector = feed.reflector(PATH, POD_CODEC, PodSink(feed.post, departures.add), PARAMS)
    async with asyncio.TaskGroup() as group:
        for number in range(_READERS):
            group.create_task(departures.work(), name=f"pods-departed-{number}")
        group.create_task(reflector.run(), name="pods-reflector")
