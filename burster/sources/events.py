"""The kubelet's complaints that a cloud pod's sandbox could not be made: API server to SandboxFailed.

Each such event may mean a VM that was started and left behind, so all are counted. An event that comes before its pod is known waits
for it, as long as it is among the newest few. Called by the runtime. It must never decide what follows from a failure.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from burster.clients.arm_errors import classify_event
from burster.clients.other_clouds import classify_elsewhere
from burster.model.stimuli import SandboxFailed, Stimulus
from burster.sources.cloud_pods import CloudPods
from burster.sources.feed import Feed
from burster.sources.reflector import Codec, Meta


PATH: Final = "/api/v1/events"
PARAMS: Final = {"fieldSelector": "involvedObject.kind=Pod,reason=FailedCreatePodSandBox"}
_WAITING_MAX: Final = 1_000
_MESSAGE_MAX: Final = 1_024
#: Different complaints about one pod that are counted; the kubelet has a handful of texts, and repeats are counted in the event.
_EVENTS_PER_POD_MAX: Final = 64
#: More failures than this say no more; a pod gives up long before.
_COUNT_MAX: Final = 10_000


class _Involved(msgspec.Struct):
    uid: str = ""


class _Series(msgspec.Struct):
    count: int | None = None


class EventObject(msgspec.Struct, rename="camel"):
    """A v1 Event, as far as it is used."""

    metadata: Meta
    involved_object: _Involved = msgspec.field(default_factory=_Involved)
    message: str | None = None
    count: int | None = None
    series: _Series | None = None


EVENT_CODEC: Final = Codec(EventObject, lambda event: (event.metadata.uid, event.metadata.resource_version))


class EventSink:
    """From events to stimuli; ``count`` of a stimulus is the pod's in all, over events with different messages."""

    def __init__(self, post: Callable[[Stimulus], None], index: CloudPods) -> None:
        self._post = post
        self._index = index
        #: (namespace, pod uid) -> event uid -> times: an event speaks for pods of its own namespace only, whatever uid it names
        self._counts: Final[OrderedDict[tuple[str, str], dict[str, int]]] = OrderedDict()
        self._messages: Final[dict[tuple[str, str], str]] = {}
        index.listen(self._pod_appeared)

    def seen(self, obj: EventObject) -> str | None:
        """Post SandboxFailed where the pod is one of burster's."""
        pod = (obj.metadata.namespace, obj.involved_object.uid)
        if not pod[1]:
            return None
        times = (obj.series.count if obj.series is not None else None) or obj.count or 1
        counts = self._counts.setdefault(pod, {})
        counts[obj.metadata.uid] = max(1, min(times, _COUNT_MAX))
        if len(counts) > _EVENTS_PER_POD_MAX:
            del counts[next(iter(counts))]
        self._counts.move_to_end(pod)
        self._messages[pod] = (obj.message or "")[:_MESSAGE_MAX]
        self._tell(pod)
        while len(self._counts) > _WAITING_MAX:
            oldest, _ = self._counts.popitem(last=False)
            self._messages.pop(oldest, None)
        return obj.metadata.uid

    def gone(self, key: str, last: EventObject | None) -> None:
        """Nothing: events end by age, what they told stays true."""

    def synced(self) -> None:
        """Nothing waits for this source."""

    def _pod_appeared(self, pod_uid: str) -> None:
        pod = ((self._index.burst_of(pod_uid) or "").partition("/")[0], pod_uid)
        if pod in self._counts:
            self._tell(pod)

    def _tell(self, pod: tuple[str, str]) -> None:
        burst_key = self._index.burst_of(pod[1])
        if burst_key is None or burst_key.partition("/")[0] != pod[0]:
            return
        message = self._messages[pod]
        found = classify_event(message)
        if found.matter == "unknown":
            found = classify_elsewhere(message) or found
        count = sum(self._counts[pod].values())
        self._post(
            SandboxFailed(
                burst_key=burst_key,
                pod_uid=pod[1],
                count=count,
                kind=found.kind,
                code=found.code,
                message=message,
                limit_vcpus=found.limit_vcpus,
                matter=found.matter,
            )
        )


async def run(feed: Feed, *, index: CloudPods) -> None:
    """Post stimuli about failed sandboxes until cancelled."""
    await feed.reflector(PATH, EVENT_CODEC, EventSink(feed.post, index), PARAMS).run()
