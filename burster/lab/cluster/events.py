"""Kubernetes Events as a component writes them: the same thing said again is counted, not repeated.

Used by the lab's scheduler, kubelets and workload controllers. The number of Events kept is bounded: the oldest are deleted, as the
real API server's one-hour lifetime would have it.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal

import msgspec

from burster.lab.apiserver.errors import ApiError
from burster.lab.cluster.objectapi import ObjectApi
from burster.lab.cluster.objects import Json, rfc3339, stable_digest


EVENTS_KEPT: Final = 5_000


class _Written(msgspec.Struct):
    namespace: str
    name: str
    count: int


class EventRecorder:
    """Writes Events for one component."""

    def __init__(
        self, store: ObjectApi, now_ms: Callable[[], int], component: str, *, limit: int = EVENTS_KEPT
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._component = component
        self._limit = limit
        self._written: OrderedDict[tuple[str, str, str], _Written] = OrderedDict()

    def emit(
        self, obj: Json, kind: str, reason: str, message: str, *, severity: Literal["Normal", "Warning"] = "Warning"
    ) -> None:
        """Say something about an object. A refused write is dropped: an Event is a courtesy."""
        meta = obj["metadata"]
        key = (meta["uid"], reason, message)
        former = self._written.get(key)
        try:
            if former is not None:
                self._again(former)
                return
            self._written[key] = self._first(obj, kind, reason, message, severity)
        except ApiError:
            self._written.pop(key, None)
            return
        self._trim()

    def _again(self, former: _Written) -> None:
        former.count += 1
        change = {"count": former.count, "lastTimestamp": rfc3339(self._now_ms())}
        self._store.patch("events", former.namespace, former.name, change)

    def _first(self, obj: Json, kind: str, reason: str, message: str, severity: str) -> _Written:
        meta = obj["metadata"]
        namespace = meta.get("namespace") or "default"
        name = f"{meta['name']}.{stable_digest(meta['uid'], self._component, reason, message)[:16]}"
        now = rfc3339(self._now_ms())
        involved = {
            "kind": kind,
            "namespace": meta.get("namespace", ""),
            "name": meta["name"],
            "uid": meta["uid"],
            "apiVersion": obj.get("apiVersion", "v1"),
            "resourceVersion": meta.get("resourceVersion", ""),
        }
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "type": severity,
            "count": 1,
            "firstTimestamp": now,
            "lastTimestamp": now,
            "source": {"component": self._component},
            "reportingComponent": self._component,
        }
        self._store.create("events", namespace, event)
        return _Written(namespace, name, 1)

    def _trim(self) -> None:
        while len(self._written) > self._limit:
            _, oldest = self._written.popitem(last=False)
            try:
                self._store.delete("events", oldest.namespace, oldest.name)
            except ApiError:
                continue
