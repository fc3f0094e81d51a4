"""Pods that burster made: API server to CloudPodSeen and CloudPodGone.

They carry the label burster.dev/burst. Which uids they have is kept in a CloudPods, for the source of the kubelet's complaints about them
(burster.sources.events). Called by the runtime. It must never decide what a pod's state means for its Burst.
"""

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from burster.model.errors import InputError
from burster.model.stimuli import CloudPodGone, CloudPodSeen, SourceSynced, Stimulus
from burster.sources.feed import Feed
from burster.sources.reflector import Codec
from burster.sources.wire import BURST_LABEL, Condition, OwnerReference, Time, epoch_ms


PATH: Final = "/api/v1/pods"
PARAMS: Final = {"labelSelector": BURST_LABEL}
BURST_UID_ANNOTATION: Final = "burster.dev/burst-uid"
SIZE_ANNOTATION: Final = "io.katacontainers.config.hypervisor.machine_type"

_MESSAGE_MAX: Final = 300
_PHASES: Final[dict[str, Literal["Pending", "Running", "Succeeded", "Failed", "Unknown"]]] = {
    "Pending": "Pending",
    "Running": "Running",
    "Succeeded": "Succeeded",
    "Failed": "Failed",
}


class _Annotations(msgspec.Struct, rename={"burst_uid": BURST_UID_ANNOTATION, "size": SIZE_ANNOTATION}):
    """The two that matter; initdata beside them can be large and is never decoded."""

    burst_uid: str = ""
    size: str = ""


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
    node_name: str | None = None
    runtime_class_name: str | None = None


class _Status(msgspec.Struct):
    phase: str | None = None
    conditions: list[Condition] | None = None


class CloudPodObject(msgspec.Struct):
    """A v1 Pod of burster's, as far as its Burst needs it."""

    metadata: _Meta
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


Key = tuple[str, str, str, str]  #: burst uid, burst key, pod uid, pod name

CLOUD_POD_CODEC: Final = Codec(CloudPodObject, lambda pod: (pod.metadata.uid, pod.metadata.resource_version))


class CloudPods:
    """Which burst a cloud pod's uid belongs to, and who wants to hear of new ones."""

    def __init__(self) -> None:
        self._burst_by_pod: Final[dict[str, str]] = {}
        self._listeners: Final[list[Callable[[str], None]]] = []

    def burst_of(self, pod_uid: str) -> str | None:
        """Return the key of the burst that the pod was made for."""
        return self._burst_by_pod.get(pod_uid)

    def listen(self, listener: Callable[[str], None]) -> None:
        """Call ``listener`` with the uid of each pod that appears."""
        self._listeners.append(listener)

    def add(self, pod_uid: str, burst_key: str) -> None:
        """Remember a pod."""
        if self._burst_by_pod.get(pod_uid) != burst_key:
            self._burst_by_pod[pod_uid] = burst_key
            for listener in self._listeners:
                listener(pod_uid)

    def discard(self, pod_uid: str) -> None:
        """Forget a pod."""
        self._burst_by_pod.pop(pod_uid, None)


def cloud_pod_from(obj: CloudPodObject) -> CloudPodSeen:
    """Return the stimulus for a cloud pod. Raises InputError where nothing says which Burst it belongs to."""
    meta = obj.metadata
    annotations = meta.annotations or _Annotations()
    burst_uid = annotations.burst_uid or next(
        (reference.uid for reference in meta.owner_references or () if reference.kind == "Burst"), ""
    )
    burst = (meta.labels or {}).get(BURST_LABEL, "")
    conditions = {one.type: one for one in obj.status.conditions or ()}
    waiting = _unschedulable(conditions.get("PodScheduled"))
    if not burst or not burst_uid:
        raise InputError(f"pod {meta.namespace}/{meta.name} is labelled {BURST_LABEL} but names no Burst's uid")
    return CloudPodSeen(
        burst_uid=burst_uid,
        burst_key=f"{meta.namespace}/{burst}",
        pod_uid=meta.uid,
        phase=_PHASES.get(obj.status.phase or "Pending", "Unknown"),
        ready=_holds(conditions.get("Ready")),
        terminating=meta.deletion_timestamp is not None,
        size=annotations.size,
        runtime_class=obj.spec.runtime_class_name or "",
        node_name=obj.spec.node_name or "",
        created_at_ms=epoch_ms(meta.creation_timestamp),
        name=meta.name,
        containers_ready=_holds(conditions.get("ContainersReady")),
        unschedulable_since_ms=None if waiting is None else epoch_ms(waiting.last_transition_time),
        unschedulable="" if waiting is None else (waiting.message or "")[:_MESSAGE_MAX],
    )


def _holds(condition: Condition | None) -> bool:
    return condition is not None and condition.status == "True"


def _unschedulable(scheduled: Condition | None) -> Condition | None:
    """Return the condition that says that no node takes a pod; gates and an unbound pod that nobody has looked at say no such thing."""
    refused = scheduled is not None and scheduled.status == "False" and scheduled.reason == "Unschedulable"
    return scheduled if refused else None


class CloudPodSink:
    """From decoded pods to stimuli."""

    def __init__(self, post: Callable[[Stimulus], None], index: CloudPods) -> None:
        self._post = post
        self._index = index
        self._keys: Final[dict[str, Key]] = {}

    def seen(self, obj: CloudPodObject) -> Key | None:
        """Post CloudPodSeen; where somebody has made it another burst's, the former one has lost it."""
        pod = cloud_pod_from(obj)
        key = (pod.burst_uid, pod.burst_key, pod.pod_uid, pod.name)
        before = self._keys.get(pod.pod_uid)
        if before is not None and before != key:
            self.gone(before, None)
        self._keys[pod.pod_uid] = key
        self._post(pod)
        self._index.add(pod.pod_uid, pod.burst_key)
        return key

    def gone(self, key: Key, last: CloudPodObject | None) -> None:
        """Post CloudPodGone, with how its work had ended if the server's last word says so."""
        self._index.discard(key[2])
        self._keys.pop(key[2], None)
        phase = (last.status.phase or "") if last is not None else ""
        self._post(CloudPodGone(burst_uid=key[0], burst_key=key[1], pod_uid=key[2], phase=phase, name=key[3]))

    def synced(self) -> None:
        """Post SourceSynced."""
        self._post(SourceSynced(source="cloud-pods"))


async def run(feed: Feed, *, index: CloudPods) -> None:
    """Post stimuli about cloud pods until cancelled."""
    await feed.reflector(PATH, CLOUD_POD_CODEC, CloudPodSink(feed.post, index), PARAMS).run()
