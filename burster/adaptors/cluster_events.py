"""Kubernetes events: what happened, where people look first.

What repeats is one event with a count, as Kubernetes' own controllers have it: the same object, reason and message but for its numbers,
within ten minutes of the last time, is added to the event that is there. Each object has an allowance; what is beyond it is only counted,
and the next one that may be written says how many there were. All of it is in bounded memory and gone with the process: an event is a
courtesy, the ledger is the record.
"""

import hashlib
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from burster.adaptors import cluster_api as paths
from burster.adaptors.cluster_api import FIELD_MANAGER, GROUP_VERSION, KubeApi
from burster.model.errors import RemoteError
from burster.model.instructions import EmitEvent


_MESSAGE_MAX: Final = 1024  #: the API server refuses longer notes
# client-go, tools/record/events_cache.go: defaultAggregateIntervalInSeconds, maxLruCacheEntries, defaultSpamBurst, defaultSpamQPS
WINDOW_MS: Final = 600_000
REMEMBERED: Final = 4_096
ALLOWANCE: Final = 25
REFILL_MS: Final = 300_000
#: What tells one message from another of its pattern: numbers, and what has some in it (names, hashes, amounts, times).
_VARIES: Final = re.compile(r"\S*\d\S*")

_Object = tuple[str, str, str, str]  #: kind, namespace, name, uid
_Pattern = tuple[_Object, str, str, str]  #: of an object: severity, reason, message without what varies


@dataclass(slots=True)
class _Series:
    """An event that was written, and how often it has happened."""

    name: str
    count: int
    last_ms: int
    busy: bool = False  #: a request for it is under way


class EventRecorder:
    """Writes events, joins what repeats, and holds each object to its allowance."""

    def __init__(self, api: KubeApi, now_ms: Callable[[], int], *, controller: str = "burster.dev/controller") -> None:
        """``controller``: who says it."""
        self._controller = controller
        self._api = api
        self._now_ms = now_ms
        self._series: OrderedDict[_Pattern, _Series] = OrderedDict()
        #: object -> (how many more may be written, as of when)
        self._allowances: OrderedDict[_Object, tuple[int, int]] = OrderedDict()
        self.held_back = 0  #: how many were counted and not written

    async def emit(self, instruction: EmitEvent) -> None:
        """Write one event, or add it to the one that is there. Raises RemoteError where it could not be written."""
        now_ms = self._now_ms()
        about = (instruction.kind, instruction.namespace, instruction.name, instruction.uid)
        pattern = (about, instruction.severity, instruction.reason, _VARIES.sub("#", instruction.message))
        series = self._series.get(pattern)
        if series is None or now_ms - series.last_ms > WINDOW_MS:
            digest = hashlib.sha256(instruction.key.encode()).hexdigest()[:16]
            series = self._series[pattern] = _Series(f"{instruction.name[:200]}.{digest}", 0, now_ms)
        series.count, series.last_ms = series.count + 1, now_ms
        self._series.move_to_end(pattern)
        _trim(self._series)
        if series.busy or not self._may_write(about, now_ms):
            self.held_back += 1
            return
        series.busy = True
        try:
            await self._write(instruction, series, now_ms)
        except BaseException:
            if self._series.get(pattern) is series:
                del self._series[pattern]  # whether it is there is not known: the next one is one of its own
            raise
        finally:
            series.busy = False

    def _may_write(self, about: _Object, now_ms: int) -> bool:
        left, since_ms = self._allowances.get(about, (ALLOWANCE, now_ms))
        more = max(0, now_ms - since_ms) // REFILL_MS
        left = min(ALLOWANCE, left + more)
        since_ms = now_ms if left == ALLOWANCE else since_ms + more * REFILL_MS
        self._allowances[about] = (max(0, left - 1), since_ms)
        self._allowances.move_to_end(about)
        _trim(self._allowances)
        return left > 0

    async def _write(self, instruction: EmitEvent, series: _Series, now_ms: int) -> None:
        path = paths.events(_home_of(instruction))
        if series.count > 1:
            again = {
                "count": series.count,
                "lastTimestamp": _moment(now_ms),
                "message": instruction.message[:_MESSAGE_MAX],
            }
            try:
                await self._api.patch(f"{path}/{series.name}", again)
            except RemoteError as error:
                if error.kind != "NotFound":
                    raise
            else:
                return
        try:
            await self._api.create(path, _body(instruction, series, now_ms, self._controller))
        except RemoteError as error:
            if error.kind != "AlreadyExists":  # its own earlier write, whose answer was lost
                raise


def _home_of(instruction: EmitEvent) -> str:
    """Return the namespace in which an event is: the API server takes events on what is in none in this one only."""
    return instruction.namespace or "default"


def _trim(cache: OrderedDict[_Pattern, _Series] | OrderedDict[_Object, tuple[int, int]]) -> None:
    while len(cache) > REMEMBERED:
        cache.popitem(last=False)


def _moment(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _body(instruction: EmitEvent, series: _Series, now_ms: int, controller: str) -> dict[str, object]:
    moment = _moment(now_ms)
    about: dict[str, str] = {
        "apiVersion": "v1" if instruction.kind == "Pod" else GROUP_VERSION,
        "kind": instruction.kind,
        "name": instruction.name,
        "uid": instruction.uid,
    }
    if instruction.namespace:
        about["namespace"] = instruction.namespace
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": series.name, "namespace": _home_of(instruction)},
        "involvedObject": about,
        "reason": instruction.reason,
        "message": instruction.message[:_MESSAGE_MAX],
        "type": instruction.severity,
        "source": {"component": FIELD_MANAGER},
        "reportingComponent": controller,
        "reportingInstance": FIELD_MANAGER,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": series.count,
    }
