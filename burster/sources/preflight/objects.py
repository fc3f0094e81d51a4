"""Kubernetes objects as far as checks look into them, and how they are read: one request each, straight from bytes.

Raises RemoteError only; what is not there is None. Nothing is judged here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, TypeVar
from urllib.parse import quote

import msgspec

from burster.model.errors import RemoteError
from burster.sources.preflight.world import Api, Places


SLOT: Final = "kata.peerpods.io/vm"
#: more nodes, records or pods than this are not read: what is said of them is said of the first
MOST: Final = 5_000
_DEADLINE_MS: Final = 10_000
_PAGE: Final = 500

T = TypeVar("T")
_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_Params = dict[str, str | int]


class _Managed(msgspec.Struct):
    time: _Time | None = None


class ObjectMeta(msgspec.Struct, rename="camel"):
    """metadata, as far as it is looked into."""

    name: str = ""
    namespace: str = ""
    labels: dict[str, str] | None = None
    creation_timestamp: _Time | None = None
    managed_fields: list[_Managed] | None = None

    @property
    def changed_at(self) -> datetime | None:
        """When it was last written, as far as the API server tells."""
        times = [one.time for one in self.managed_fields or () if one.time is not None]
        return max(times, default=self.creation_timestamp)


class ConfigMap(msgspec.Struct):
    """A v1 ConfigMap."""

    metadata: ObjectMeta
    data: dict[str, str] | None = None


class _Selector(msgspec.Struct, rename="camel"):
    match_labels: dict[str, str] | None = None


class _DaemonSetSpec(msgspec.Struct):
    selector: _Selector = msgspec.field(default_factory=_Selector)


class _DaemonSetStatus(msgspec.Struct, rename="camel"):
    desired_number_scheduled: int = 0
    number_ready: int = 0
    number_misscheduled: int = 0
    updated_number_scheduled: int | None = None


class DaemonSet(msgspec.Struct):
    """An apps/v1 DaemonSet."""

    metadata: ObjectMeta
    spec: _DaemonSetSpec = msgspec.field(default_factory=_DaemonSetSpec)
    status: _DaemonSetStatus = msgspec.field(default_factory=_DaemonSetStatus)


class _PodStatus(msgspec.Struct, rename="camel"):
    phase: str = ""
    start_time: _Time | None = None


class _PodSpec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class PodObject(msgspec.Struct):
    """A v1 Pod."""

    metadata: ObjectMeta
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)
    status: _PodStatus = msgspec.field(default_factory=_PodStatus)


class _Overhead(msgspec.Struct, rename="camel"):
    pod_fixed: dict[str, str | int] | None = None


class _Scheduling(msgspec.Struct, rename="camel"):
    node_selector: dict[str, str] | None = None


class RuntimeClass(msgspec.Struct):
    """A node.k8s.io/v1 RuntimeClass."""

    metadata: ObjectMeta
    handler: str = ""
    overhead: _Overhead | None = None
    scheduling: _Scheduling | None = None

    @property
    def node_selector(self) -> dict[str, str]:
        """Labels of the nodes that may take it; none: every node."""
        return (self.scheduling and self.scheduling.node_selector) or {}


class _NodeCondition(msgspec.Struct):
    type: str
    status: str


class _NodeSpec(msgspec.Struct):
    unschedulable: bool | None = None


class _Address(msgspec.Struct):
    type: str
    address: str


class _NodeStatus(msgspec.Struct):
    allocatable: dict[str, str | int] | None = None
    conditions: list[_NodeCondition] | None = None
    addresses: list[_Address] | None = None


class Node(msgspec.Struct):
    """A v1 Node."""

    metadata: ObjectMeta
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)

    @property
    def usable(self) -> bool:
        """Whether it is ready, and not cordoned."""
        ready = any(one.type == "Ready" and one.status == "True" for one in self.status.conditions or ())
        return ready and not self.spec.unschedulable

    @property
    def slots(self) -> int:
        """Peer pods it may hold in all; 0 where it says nothing that makes sense."""
        text = str((self.status.allocatable or {}).get(SLOT, "0"))
        return int(text) if text.isdecimal() and len(text) < 10 else 0  # noqa: PLR2004 - no node has a billion slots


class PeerPod(msgspec.Struct):
    """A PeerPod record."""

    class Spec(msgspec.Struct, rename={"cloud_provider": "cloudProvider", "instance_id": "instanceID"}):
        """What it says of its VM."""

        cloud_provider: str = ""
        instance_id: str = ""

    metadata: ObjectMeta
    spec: Spec = msgspec.field(default_factory=Spec)


class _Webhook(msgspec.Struct):
    name: str = ""


class WebhookConfiguration(msgspec.Struct):
    """A MutatingWebhookConfiguration."""

    metadata: ObjectMeta
    webhooks: list[_Webhook] | None = None


async def read(api: Api, path: str, kind: type[T]) -> T | None:
    """Return an object, None where there is none."""
    try:
        body = await api.get(path, deadline_ms=_DEADLINE_MS)
    except RemoteError as error:
        if error.kind == "NotFound":
            return None
        raise
    return decoded(body, kind, path)


async def read_all(api: Api, path: str, kind: type[T], params: _Params | None = None, *, most: int = MOST) -> list[T]:
    """Return a list, page by page, at most so many of it."""
    found: list[T] = []
    query: _Params = {**(params or {}), "limit": min(_PAGE, most)}
    while True:
        page = decoded(await api.get(path, query, deadline_ms=_DEADLINE_MS), _List, path)
        found += [decoded(bytes(item), kind, path) for item in page.items]
        following = page.metadata.next or ""
        if not following or len(found) >= most:
            return found[:most]
        query["continue"] = following


class _ListMeta(msgspec.Struct, rename={"next": "continue"}):
    next: str | None = None


class _List(msgspec.Struct):
    """A list, its items not decoded yet: one that makes no sense must not hide the others' names."""

    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] = []


def decoded(body: bytes, kind: type[T], path: str) -> T:
    """Return bytes as what they should be. Raises RemoteError Protocol."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.DecodeError as error:
        raise RemoteError("Protocol", f"GET {path}: the answer is no {kind.__name__}: {error}") from None


async def find_config_maps(api: Api, places: Places) -> list[ConfigMap]:
    """Return cloud-api-adaptor's ConfigMaps, of every place that has one: a cluster may have an installation for each cloud."""
    found: list[ConfigMap] = []
    for namespace in places.namespaces:
        one = await read(api, f"/api/v1/namespaces/{_q(namespace)}/configmaps/{_q(places.config_map)}", ConfigMap)
        if one is not None:
            found.append(one)
    return found


async def find_daemon_set(api: Api, namespaces: Sequence[str], names: Sequence[str]) -> DaemonSet | None:
    """Return cloud-api-adaptor's DaemonSet from the first place that has it."""
    for namespace in namespaces:
        for name in names:
            found = await read(api, f"/apis/apps/v1/namespaces/{_q(namespace)}/daemonsets/{_q(name)}", DaemonSet)
            if found is not None:
                return found
    return None


async def pods_of(api: Api, daemon_set: DaemonSet) -> list[PodObject]:
    """Return a DaemonSet's pods."""
    labels = daemon_set.spec.selector.match_labels or {}
    path = f"/api/v1/namespaces/{_q(daemon_set.metadata.namespace)}/pods"
    return await read_all(api, path, PodObject, {"labelSelector": selector(labels)}) if labels else []


def selector(labels: dict[str, str]) -> str:
    """Return labels as a selector."""
    return ",".join(f"{name}={value}" for name, value in sorted(labels.items()))


def _q(name: str) -> str:
    return quote(name, safe="")
