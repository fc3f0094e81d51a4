"""What the pods on nodes ask for, node by node: from the pods themselves where they are few, from Prometheus where they are not.

No selector finds "what is asked of a node" without the pods, whole: 150,000 of them are half a gigabyte to list, and every change of their
status comes again for ever. So they are counted first, by a list of one that says how many more there are. Above a bound they are not
followed: Prometheus is asked for the sums where one is given, and otherwise they are not known, so that conditions which read them do not
hold. Called by ``burster.sources.nodes``.
"""

import asyncio
from typing import Final

import msgspec
import structlog

from burster.clients.kube import Kube
from burster.clients.metric_errors import MetricError
from burster.model.errors import RemoteError
from burster.sources.feed import Feed
from burster.sources.metered_requests import Amount, RequestMeter
from burster.sources.reflector import Codec, Meta
from burster.sources.wire import Container, Quantities, ResourceNeeds, pod_requests


PODS_PATH: Final = "/api/v1/pods"
PODS_PARAMS: Final = {"fieldSelector": "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed"}
#: About 40 MB to list, a megabyte to keep, and a few changes a second at most: what "costs nothing" can still mean.
PODS_MAX: Final = 5_000
_AGAIN_S: Final = 600.0
_METER_S: Final = 30.0
#: sums that could not be read anew for so long are none any more
_STALE_S: Final = 120.0
_SOON_S: Final = 15.0

NOTHING: Final[Amount] = (0, 0, 0)

_log: Final = structlog.get_logger("burster.sources")


def plus(one: Amount, other: Amount, sign: int = 1) -> Amount:
    """Return the sum, or with ``sign`` -1 the difference."""
    return (one[0] + sign * other[0], one[1] + sign * other[1], one[2] + sign * other[2])


class Parts:
    """Objects that come, change and go, each with a place and an amount; ``sums`` are kept per place."""

    def __init__(self, changed: asyncio.Event) -> None:
        self._parts: Final[dict[str, tuple[str, Amount]]] = {}
        self._changed = changed
        self.complete = False
        self.sums: Final[dict[str, Amount]] = {}

    def __len__(self) -> int:
        return len(self._parts)

    def put(self, uid: str, place: str, amount: Amount) -> str:
        """Set one object's part and return its key."""
        self.gone(uid, None)
        self._parts[uid] = (place, amount)
        self.sums[place] = plus(self.sums.get(place, NOTHING), amount)
        return uid

    def gone(self, key: str, last: object) -> None:  # noqa: ARG002 - its key says all
        """Take an object's part away."""
        self._changed.set()
        place, amount = self._parts.pop(key, ("", NOTHING))
        if place not in self.sums:
            return
        left = plus(self.sums[place], amount, -1)
        if left == NOTHING:
            del self.sums[place]
        else:
            self.sums[place] = left

    def synced(self) -> None:
        """All parts that existed are in the sums."""
        self.complete = True
        self._changed.set()


class _PodSpec(msgspec.Struct, rename="camel"):
    node_name: str | None = None
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    overhead: Quantities | None = None
    resources: ResourceNeeds | None = None


class ScheduledPod(msgspec.Struct):
    """A v1 Pod on a node, as far as capacity needs it."""

    metadata: Meta
    spec: _PodSpec = msgspec.field(default_factory=_PodSpec)


SCHEDULED_CODEC: Final = Codec(ScheduledPod, lambda pod: (pod.metadata.uid, pod.metadata.resource_version))


class PodsOnNodes(Parts):
    """Requests of pods, by node; ``full`` is set once there are more than may be followed."""

    def __init__(self, changed: asyncio.Event, pods_max: int) -> None:
        super().__init__(changed)
        self._max = pods_max
        self.full = asyncio.Event()

    def seen(self, obj: ScheduledPod) -> str | None:
        """Add a pod."""
        spec = obj.spec
        asked = pod_requests(spec.containers, spec.init_containers, spec.overhead, spec.resources)
        amount = (asked.cpu_millicores, asked.memory_bytes, asked.gpus)
        if len(self) >= self._max:
            self.full.set()
        return self.put(obj.metadata.uid, spec.node_name or "", amount)


class Requests:
    """What is asked of each node; ``by_node`` None: that is not known. ``told``: one or the other is settled."""

    def __init__(self, changed: asyncio.Event) -> None:
        self._changed = changed
        self._pods: PodsOnNodes | None = None
        self._metered: dict[str, Amount] | None = None
        self._settled = False

    @property
    def told(self) -> bool:
        """Whether it is settled what can be said."""
        return self._settled or (self._pods is not None and self._pods.complete)

    @property
    def by_node(self) -> dict[str, Amount] | None:
        """Return the sums, or None."""
        return self._metered if self._pods is None or not self._pods.complete else self._pods.sums

    def begin(self, pods_max: int) -> PodsOnNodes:
        """Return where pods are to be told."""
        self._pods = PodsOnNodes(self._changed, pods_max)
        return self._pods

    def settle(self, metered: dict[str, Amount] | None) -> None:
        """Say what somebody else has added up, or None: that it is not known (any more)."""
        if self._settled and self._pods is None and metered == self._metered:
            return
        self._pods, self._metered, self._settled = None, metered, True
        self._changed.set()


class _ListMeta(msgspec.Struct, rename={"next": "continue", "remaining": "remainingItemCount"}):
    next: str | None = None
    remaining: int | None = None


class _Head(msgspec.Struct):
    metadata: _ListMeta
    items: list[msgspec.Raw] | None = None


_head: Final = msgspec.json.Decoder(_Head)


async def count_pods(kube: Kube) -> int | None:
    """Return how many pods a cluster has, from a list of one; None where the server does not say. Raises RemoteError."""
    body = await kube.get(PODS_PATH, {"limit": 1})
    try:
        head = _head.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RemoteError("Protocol", f"GET {PODS_PATH}: the answer is no list: {error}") from None
    if head.metadata.next and head.metadata.remaining is None:
        return None
    return len(head.items or ()) + (head.metadata.remaining or 0)


async def follow_requests(feed: Feed, requests: Requests, *, pods_max: int, meter: RequestMeter | None = None) -> None:
    """Keep ``requests`` up to date until cancelled, from the pods as long as there are not too many; count again now and then."""
    while True:
        try:
            count = await count_pods(feed.kube)
        except RemoteError as error:
            _log.warning("pods not counted", kind=error.kind, error=error.message, retry_in_s=_SOON_S)
            requests.settle(None)
            await feed.clock.sleep(_SOON_S)
            continue
        if count is not None and count <= pods_max:
            await _follow_until_full(feed, requests, pods_max)
            count = pods_max + 1
        if meter is not None:
            await _ask(feed, requests, meter)
            continue
        _log.warning(
            "onprem.requests.unknown",
            pods=count,
            followed_up_to=pods_max,
            why="they cost too much to follow, and BURSTER_ONPREM__PROMETHEUS is empty: conditions on what they ask for do not hold",
        )
        requests.settle(None)
        await feed.clock.sleep(_AGAIN_S)


async def _ask(feed: Feed, requests: Requests, meter: RequestMeter) -> None:
    """Ask Prometheus for a while; sums that can't be read anew are believed for two minutes."""
    begun = read = feed.clock.monotonic()
    first = True
    while feed.clock.monotonic() - begun < _AGAIN_S:
        try:
            requests.settle(await meter.read())
            read = feed.clock.monotonic()
        except MetricError as error:
            _log.warning("onprem.requests.unread", fault=error.fault, error=str(error))
            if first or feed.clock.monotonic() - read >= _STALE_S:
                requests.settle(None)
        first = False
        await feed.clock.sleep(_METER_S)


async def _follow_until_full(feed: Feed, requests: Requests, pods_max: int) -> None:
    pods = requests.begin(pods_max)
    reflector = feed.apart().reflector(PODS_PATH, SCHEDULED_CODEC, pods, PODS_PARAMS)
    following = asyncio.create_task(reflector.run(), name="capacity-pods-followed")
    full = asyncio.create_task(pods.full.wait(), name="capacity-pods-full")
    try:
        await asyncio.wait({following, full}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            following.result()
    finally:
        for task in (following, full):
            task.cancel()
        await asyncio.gather(following, full, return_exceptions=True)
