"""The Job controller as Kubernetes 1.35 has it: pods are tracked by a finalizer until they are counted, once.

What a trace player and a mover of pods need: completions, parallelism, backoffLimit (also per index), Indexed mode, suspend,
podReplacementPolicy, and the treatment of a Pending pod that somebody deletes: it counts as failed and delays its replacement, unless
its tracking finalizer is gone within the second that the controller waits before it looks.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.objects import items, section
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.apiserver.store import Store
from burster.lab.cluster.events import EventRecorder
from burster.lab.cluster.jobstate import JobState, index_of, make_pod, next_status
from burster.lab.cluster.objects import (
    Json,
    controller_of,
    is_finished,
    is_terminating,
    key_of,
    split_key,
    without_finalizer,
    write_status,
)
from burster.lab.cluster.podindex import PodIndex
from burster.lab.cluster.work import DirtyKeys, Works


RESOURCE: Final = "jobs.batch"
TRACKING: Final = "batch.kubernetes.io/job-tracking"
#: How long changes of a Job's pods are collected before the Job is looked at.
POD_BATCH_MS: Final = 1_000
#: With podReplacementPolicy Failed a deleted pod that never ran counts only when the pod collector has marked it Failed.
COLLECTOR_MS: Final = 7_000
RETRY_MS: Final = 1_000
RETRY_MAX_MS: Final = 600_000
USER: Final = "system:serviceaccount:kube-system:job-controller"


class Jobs:
    """See the module."""

    def __init__(self, store: Store, now_ms: Callable[[], int], works: Works, pods: PodIndex) -> None:
        self._store = store
        self._now_ms = now_ms
        self._works = works
        self._pods = pods
        self._events = EventRecorder(store, now_ms, "job-controller")
        self._dirty = DirtyKeys(works, self._sync)
        self._orphaned = DirtyKeys(works, self._release_orphan)
        self._states: dict[str, JobState] = {}
        self._timers: dict[str, tuple[int, asyncio.TimerHandle]] = {}
        self._unsubscribe: Callable[[], None] | None = None
        pods.listen(self._on_pod)

    def start(self) -> None:
        """Read what exists and follow it."""
        self._unsubscribe = self._store.subscribe(RESOURCE, self._on_job)
        for job in self._store.list(RESOURCE):
            self._seen(job)

    def stop(self) -> None:
        """Hear nothing any more."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _on_job(self, event: StoreEvent) -> None:
        if event.type != "DELETED":
            self._seen(event.object)
            return
        uid = event.object["metadata"]["uid"]
        self._states.pop(uid, None)
        for pod in self._pods.owned_by(uid):
            self._orphaned.add(key_of(pod))

    def _seen(self, job: Json) -> None:
        uid: str = job["metadata"]["uid"]
        if uid not in self._states:
            self._states[uid] = JobState(key_of(job))
        self._dirty.add(key_of(job))

    def _on_pod(self, pod: Json, owner: str) -> None:
        state = self._states.get(owner)
        if state is not None:
            self._wake(state.key, POD_BATCH_MS)
        elif TRACKING in items(pod["metadata"], "finalizers"):
            self._orphaned.add(key_of(pod))

    def _wake(self, key: str, delay_ms: int) -> None:
        """Look at a Job after a delay, or earlier if that was planned already."""
        due = self._now_ms() + delay_ms
        planned = self._timers.get(key)
        if planned is not None:
            if planned[0] <= due:
                return
            self._works.cancel(planned[1])

        def fire() -> None:
            self._timers.pop(key, None)
            self._dirty.add(key)

        self._timers[key] = (due, self._works.later(delay_ms, fire))

    def _release_orphan(self, key: str) -> None:
        """Free a pod whose Job is gone: nobody else would."""
        pod = self._store.get("pods", *split_key(key))
        owner = controller_of(pod)
        if owner is None or (owner["kind"] == "Job" and owner["uid"] not in self._states):
            self._untrack(pod)

    def _sync(self, key: str) -> None:
        job = self._store.get(RESOURCE, *split_key(key))
        state = self._states[job["metadata"]["uid"]]
        pods = self._pods.owned_by(job["metadata"]["uid"])
        state.adopt(job)
        if state.finished(job):
            self._end_leftovers(pods)
            return
        for pod in pods:
            self._count(job, state, pod)
        live = [pod for pod in pods if not is_finished(pod) and not is_terminating(pod)]
        verdict = state.verdict(job, len(live))
        if verdict is not None:
            self._events.emit(job, "Job", *verdict.event, severity="Warning" if verdict.failed else "Normal")
            self._end_leftovers(pods)
            live = []
        elif not is_terminating(job):
            live = self._adjust(job, state, pods, live)
        write_status(self._store, RESOURCE, job, next_status(job, state, pods, live, verdict, self._now_ms()))

    def _count(self, job: Json, state: JobState, pod: Json) -> None:
        """Take an ended pod into the Job's numbers, and off its finalizer in the same breath: it is never counted twice."""
        if TRACKING not in items(pod["metadata"], "finalizers"):
            return
        now = self._now_ms()
        if section(pod, "status").get("phase") == "Succeeded":
            state.succeed(job, pod)
        elif is_finished(pod):
            state.fail(job, pod, now)
        elif is_terminating(pod):
            wait = state.collector_wait_ms(job, pod, now, COLLECTOR_MS)
            if wait:
                self._wake(key_of(job), wait)
                return
            state.fail(job, pod, now)
        else:
            return
        self._untrack(pod)

    def _untrack(self, pod: Json) -> None:
        without_finalizer(self._store, "pods", pod, TRACKING)

    def _end_leftovers(self, pods: list[Json]) -> None:
        for pod in pods:
            meta = pod["metadata"]
            self._untrack(pod)
            if not is_finished(pod) and not is_terminating(pod):
                self._store.delete("pods", meta["namespace"], meta["name"], uid=meta["uid"])

    def _adjust(self, job: Json, state: JobState, pods: list[Json], live: list[Json]) -> list[Json]:
        """Create or delete pods until as many are alive as the Job may have now; return those."""
        wanted = state.wanted(job)
        if len(live) > wanted:
            for pod in live[wanted:]:
                meta = pod["metadata"]
                self._untrack(pod)
                self._store.delete("pods", meta["namespace"], meta["name"], uid=meta["uid"])
            return live[:wanted]
        if len(live) == wanted:
            return live
        pause = state.retry_at_ms - self._now_ms()
        if pause > 0:
            self._wake(key_of(job), pause)
            return live
        terminating = [pod for pod in pods if is_terminating(pod) and not is_finished(pod)]
        room = wanted - len(live) - (len(terminating) if state.replaces_only_failed(job) else 0)
        taken = {index_of(pod) for pod in live}
        created = list(live)
        for index in state.free_indexes(job, taken, room):
            pod = self._create(job, state, index)
            if pod is None:
                break
            created.append(pod)
        return created

    def _create(self, job: Json, state: JobState, index: int | None) -> Json | None:
        try:
            return self._store.create(
                "pods", job["metadata"]["namespace"], make_pod(job, state, index, TRACKING), user=USER
            )
        except ApiError as error:
            self._events.emit(job, "Job", "FailedCreate", f"Error creating: {error.message}")
            state.refusals += 1
            self._wake(key_of(job), min(RETRY_MAX_MS, RETRY_MS * 2 ** min(state.refusals - 1, 16)))
            return None
