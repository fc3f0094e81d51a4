"""An eyewitness in the lab: how fast burster reacted, and whether anything happened that must not.

Listens on the store, in process; burster does not know of it. Reaction is wall time, so it is told but never compared between runs.
"""

import asyncio
import time
from typing import Any, Final

from burster.adaptors.manifests import BURST_LABEL
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.apiserver.store import Store
from burster.model.policies import Policy
from burster.policy.records import parse_time


_REACTIONS_MAX: Final = 100_000
#: A burst later than this after its pod was due was held up by a limit, not by the reaction.
_HELD_UP_MS: Final = 1_000


class Witness:
    """Watches pods and Bursts. ``reactions_ms`` are wall milliseconds from due to written; ``unrecorded`` cloud pods had no record."""

    def __init__(self, store: Store, policies: tuple[Policy, ...], now_ms: Any) -> None:
        self._store = store
        self._now_ms = now_ms
        self._pending_for = {policy.key: policy.pending_for_ms for policy in policies}
        self._due: dict[
            tuple[str, int], tuple[int, float]
        ] = {}  #: (pod uid, pendingFor) -> (virtual due, wall at that moment)
        self._since: dict[str, int] = {}
        self.reactions_ms: list[float] = []
        self.unrecorded: list[str] = []
        self.bursts_created = 0
        self.pods: set[str] = set()  #: every pod that a user or a controller asked for; clones are none
        self.served: dict[str, str] = {}  #: burst key -> the pod it was decided for, once it has served
        self.failed: set[str] = set()
        self._stop = [store.subscribe("pods", self._on_pod), store.subscribe("bursts.burster.dev", self._on_burst)]

    def latest_reaction(self) -> float | None:
        """Return the latest reaction in wall milliseconds, None before the first."""
        return self.reactions_ms[-1] if self.reactions_ms else None

    def close(self) -> None:
        """Stop listening."""
        for stop in self._stop:
            stop()

    def _on_pod(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            return
        pod = event.object
        metadata = pod["metadata"]
        labels: dict[str, str] = metadata.get("labels") or {}
        burst = labels.get(BURST_LABEL)
        if burst is not None:
            if event.type == "ADDED" and not self._recorded(metadata["namespace"], burst):
                self.unrecorded.append(f"{metadata['namespace']}/{metadata['name']}")
            return
        if event.type == "ADDED":
            self.pods.add(f"{metadata['namespace']}/{metadata['name']}")
        since = _unschedulable_since_ms(pod)
        if since is None or self._since.get(metadata["uid"]) == since:
            return
        self._since[metadata["uid"]] = since
        loop = asyncio.get_running_loop()
        for pending_for_ms in set(self._pending_for.values()):
            due_ms = since + pending_for_ms
            key = (metadata["uid"], pending_for_ms)
            if due_ms <= self._now_ms():
                self._due[key] = (self._now_ms(), time.perf_counter())
            else:
                loop.call_later((due_ms - self._now_ms()) / 1000, self._note_due, key, due_ms)

    def _note_due(self, key: tuple[str, int], due_ms: int) -> None:
        self._due[key] = (due_ms, time.perf_counter())

    def _recorded(self, namespace: str, burst: str) -> bool:
        return any(
            obj["metadata"]["name"] == burst
            for obj in self._store.list("bursts.burster.dev", namespace, fields=f"metadata.name={burst}")
        )

    def _on_burst(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            return
        obj = event.object
        key = f"{obj['metadata']['namespace']}/{obj['metadata']['name']}"
        status: dict[str, Any] = obj.get("status") or {}
        phase = status.get("phase")
        #: empty where a number asked for it, and no pod in particular
        pod: dict[str, str] = obj["spec"].get("forPod") or {}
        if phase == "Failed":
            self.failed.add(key)
        elif phase == "Serving":
            self.served[key] = f"{obj['metadata']['namespace']}/{pod.get('name') or obj['metadata']['name']}"
        if event.type != "ADDED":
            return
        self.bursts_created += 1
        policy = f"{obj['metadata']['namespace']}/{obj['spec']['policy']}"
        due = self._due.get((pod.get("uid", ""), self._pending_for.get(policy, -1)))
        if due is None or self._now_ms() - due[0] > _HELD_UP_MS or len(self.reactions_ms) >= _REACTIONS_MAX:
            return
        self.reactions_ms.append((time.perf_counter() - due[1]) * 1000)


def _unschedulable_since_ms(pod: dict[str, Any]) -> int | None:
    status: dict[str, Any] = pod.get("status") or {}
    conditions: list[dict[str, Any]] = status.get("conditions") or []
    for condition in conditions:
        if condition.get("type") == "PodScheduled" and condition.get("reason") == "Unschedulable":
            return parse_time(condition["lastTransitionTime"])
    return None
