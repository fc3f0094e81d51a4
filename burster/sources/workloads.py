"""Workloads that policies name: an object, or one read of it, to WorkloadSeen or WorkloadGone.

Called by ``workload_watch`` for what is followed, and by the runtime for what has to be read instead. What a pod of it asks for is counted
exactly as for pods themselves; who else sets its number is found out exactly as by the adaptor that would set it. It must never judge
whether that number is right.
"""

from typing import Final, Protocol

import msgspec

from burster.clients.workloads import autoscalers_path, number_owner, path_of, scaled_objects_path, version_of
from burster.model.errors import InputError, RemoteError
from burster.model.stimuli import WorkloadGone, WorkloadSeen
from burster.model.triggers import WorkloadRef
from burster.sources.references import PodContainer, Volume, images_of, secrets_of
from burster.sources.wire import Quantities, ResourceNeeds, pod_requests


_MACHINE_TYPE: Final = "io.katacontainers.config.hypervisor.machine_type"


class Reader(Protocol):
    """Who reads the API: burster.clients.kube.Kube."""

    async def get(self, path: str) -> bytes:
        """Return an object or a list. Raises RemoteError."""
        ...


class _TemplateMetadata(msgspec.Struct):
    annotations: dict[str, str] | None = None


class _TemplateSpec(msgspec.Struct, rename="camel"):
    containers: list[PodContainer] | None = None
    init_containers: list[PodContainer] | None = None
    volumes: list[Volume] | None = None
    overhead: Quantities | None = None
    resources: ResourceNeeds | None = None
    runtime_class_name: str | None = None


class _Template(msgspec.Struct):
    metadata: _TemplateMetadata = msgspec.field(default_factory=_TemplateMetadata)
    spec: _TemplateSpec = msgspec.field(default_factory=_TemplateSpec)


class _Spec(msgspec.Struct):
    replicas: int | None = None
    template: _Template = msgspec.field(default_factory=_Template)


class _Status(msgspec.Struct, rename="camel"):
    replicas: int | None = None
    ready_replicas: int | None = None


class _Owned(msgspec.Struct, rename="camel"):
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    owner_references: list[dict[str, object]] | None = None


class WorkloadObject(msgspec.Struct):
    """A workload of any kind, as far as scaling and cloning need it."""

    metadata: _Owned = msgspec.field(default_factory=_Owned)
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


class _Items(msgspec.Struct):
    items: list[dict[str, object]] | None = None


class Scalers(msgspec.Struct, frozen=True):
    """What may set numbers of replicas in a namespace."""

    autoscalers: list[dict[str, object]]
    scaled_objects: list[dict[str, object]]


#: Of a workload by itself: whoever knows a namespace's adds them (with_scalers).
NO_SCALERS: Final = Scalers([], [])

_object: Final = msgspec.json.Decoder(WorkloadObject)
_items: Final = msgspec.json.Decoder(_Items)


async def read_scalers(kube: Reader, namespace: str) -> Scalers:
    """Return what sets numbers in a namespace. Raises RemoteError."""
    return Scalers(
        autoscalers=await _list(kube, autoscalers_path(namespace)),
        scaled_objects=await _list(kube, scaled_objects_path(namespace)),
    )


async def observe_workload(
    kube: Reader, namespace: str, workload: WorkloadRef, scalers: Scalers
) -> WorkloadSeen | WorkloadGone:
    """Return a workload as it is now. Raises RemoteError."""
    path = path_of(namespace, workload.kind, workload.name)
    if path is None:
        raise RemoteError("Invalid", f"burster can't read a {workload.kind}: it knows no such kind of workload")
    try:
        body = await kube.get(path)
    except RemoteError as error:
        if error.kind == "NotFound":
            return WorkloadGone(namespace=namespace, kind=workload.kind, name=workload.name)
        raise
    try:
        obj = _object.decode(body)
        return seen_of(namespace, workload, obj, scalers)
    except (msgspec.DecodeError, UnicodeDecodeError, InputError) as error:
        raise RemoteError("Protocol", f"GET {path}: {error}") from None


def seen_of(namespace: str, workload: WorkloadRef, obj: WorkloadObject, scalers: Scalers) -> WorkloadSeen:
    """Return what a workload's object says. Raises InputError where its template makes no sense."""
    spec = obj.spec.template.spec
    containers = (*(spec.init_containers or ()), *(spec.containers or ()))
    metadata = {"metadata": {"name": workload.name, "ownerReferences": obj.metadata.owner_references or []}}
    return WorkloadSeen(
        namespace=namespace,
        kind=workload.kind,
        name=workload.name,
        # the API server writes the default; what lacks it was written by something else
        replicas=1 if obj.spec.replicas is None else obj.spec.replicas,
        status_replicas=obj.status.replicas or 0,
        ready_replicas=obj.status.ready_replicas or 0,
        requests=pod_requests(spec.containers, spec.init_containers, spec.overhead, spec.resources),
        runtime_class=spec.runtime_class_name or "",
        size=(obj.spec.template.metadata.annotations or {}).get(_MACHINE_TYPE, ""),
        images=images_of(containers),
        secrets=secrets_of(containers, spec.volumes),
        version=version_of({"resourceVersion": obj.metadata.resource_version}),
        owner=number_owner(workload.kind, metadata, scalers.autoscalers, scalers.scaled_objects),
    )


def with_scalers(seen: WorkloadSeen, scalers: Scalers) -> WorkloadSeen:
    """Return a workload that was told without scalers as it is with these."""
    alone = {"metadata": {"name": seen.name}}
    owner = number_owner(seen.kind, alone, scalers.autoscalers, scalers.scaled_objects)
    return msgspec.structs.replace(seen, owner=owner) if owner else seen


async def _list(kube: Reader, path: str) -> list[dict[str, object]]:
    """Return a list's items; none where the API does not know the kind (KEDA is not installed)."""
    try:
        return _items.decode(await kube.get(path)).items or []
    except RemoteError as error:
        if error.kind == "NotFound":
            return []
        raise
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RemoteError("Protocol", f"GET {path}: the answer is no list: {error}") from None
