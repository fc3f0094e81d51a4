"""The lab's kubelets, one object for all nodes: runs what is bound, for as long as it is meant to run, and ends what is deleted.

It hears of pods from the store and works in callbacks and timers. Pods whose RuntimeClass a ``RemoteRuntime`` handles (peer pods) get
their sandbox from it, everything else starts after a fixed delay. A pod's run time is the annotation ``lab.burster.dev/run-seconds``.
Every start is in the run log. It never binds, creates or re-creates a pod.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from burster.lab.apiserver.errors import ApiError
from burster.lab.apiserver.objects import section
from burster.lab.apiserver.shelves import StoreEvent
from burster.lab.cluster import node_vms, podstatus
from burster.lab.cluster.events import EventRecorder
from burster.lab.cluster.objectapi import ObjectApi
from burster.lab.cluster.objects import Json, is_finished, is_terminating, key_of, rfc3339, stable_digest, write_status
from burster.lab.cluster.remote import Patience, RemoteRuntime, SandboxLoop
from burster.lab.cluster.runs import Outcome, Run, RunLog
from burster.lab.cluster.work import DirtyKeys, Works


RUN_SECONDS: Final = "lab.burster.dev/run-seconds"
#: A task that ends badly, for scenarios: its containers' exit code.
EXIT_CODE: Final = "lab.burster.dev/exit-code"
#: A pod that some other stand-in speaks for: the kubelets leave it as it is.
STAND_IN: Final = "lab.burster.dev/stand-in"
_NOT_FOUND: Final = 404


class KubeletConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How long things take. ``heartbeat_ms`` 0: no node Leases, for they only cost wake-ups."""

    start_ms: int = 1_500
    stop_ms: int = 1_000
    sandbox_deadline_ms: int = 240_000
    sandbox_backoff_ms: int = 10_000
    heartbeat_ms: int = 0


class _Worker:
    """One incarnation of a pod on its node."""

    __slots__ = ("loop", "node", "pod", "restarts", "run", "state", "timer", "uid", "work_timer")

    def __init__(self, pod: Json) -> None:
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.node: str = pod["spec"]["nodeName"]
        self.state = "new"  # new -> starting -> running -> ended -> stopping
        self.run: Run | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.work_timer: asyncio.TimerHandle | None = None  #: fires when the pod's own work is done
        self.loop: SandboxLoop | None = None
        self.restarts = 0


class Kubelets:
    """See the module."""

    def __init__(
        self,
        store: ObjectApi,
        now_ms: Callable[[], int],
        works: Works,
        *,
        seed: int = 0,
        config: KubeletConfig | None = None,
        remote: RemoteRuntime | None = None,
    ) -> None:
        self._store = store
        self._now_ms = now_ms
        self._works = works
        self._seed = seed
        self._config = config or KubeletConfig()
        self._remote = remote
        self._events = EventRecorder(store, now_ms, "kubelet")
        self._workers: dict[str, _Worker] = {}
        self._dirty = DirtyKeys(works, self._sync)
        self._unsubscribe: Callable[[], None] | None = None
        self.runs = RunLog()
        #: what runs in pods that name a command, where somebody plays it: exit code and termination message; None: nobody does
        self.played: Callable[[Json], Awaitable[tuple[int, str] | None]] | None = None

    def start(self) -> None:
        """Read what exists and follow it from now on. Pods found Running are taken over as they are, not started again."""
        self._unsubscribe = self._store.subscribe("pods", self._on_pod)
        for pod in self._store.list("pods"):
            self._seen(pod)
        if self._config.heartbeat_ms:
            self._beat()

    def stop(self) -> None:
        """Hear nothing any more; what is under way ends with the ``Works``."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def sandbox_lost(self, uid: str) -> None:
        """Hear from a runtime that a running pod's sandbox is gone: the containers died with it."""
        worker = self._workers.get(uid)
        if worker is None or worker.state != "running":
            return
        self._works.cancel(worker.timer)
        self._end_run(worker, "Lost")
        if worker.loop is not None:
            self._works.spawn(worker.loop.stop(), name=f"stop lost sandbox of {key_of(worker.pod)}")
        if worker.pod["spec"].get("restartPolicy", "Always") == "Never":
            worker.state = "ended"
            self._write(worker, podstatus.ended_status(worker.pod, self._now_ms(), exit_code=255, reason="Error"))
            return
        worker.restarts += 1
        self._write(worker, podstatus.bound_status(worker.pod, self._now_ms(), _host_ip(worker.node)))
        self._begin(worker)

    # --- hearing ---

    def _on_pod(self, event: StoreEvent) -> None:
        if event.type == "DELETED":
            uid: str = event.object["metadata"]["uid"]
            if uid in self._workers:
                self._workers[uid].state = "gone"
                self._dirty.add(uid)
        else:
            self._seen(event.object)

    def _seen(self, pod: Json) -> None:
        if not pod["spec"].get("nodeName") or STAND_IN in section(pod["metadata"], "annotations"):
            return
        uid: str = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if worker is None:
            if is_finished(pod) and not is_terminating(pod):
                return
            worker = self._workers[uid] = _Worker(pod)
            if section(pod, "status").get("phase") == "Running":
                worker.state = "running"
            elif is_finished(pod):
                worker.state = "ended"
        worker.pod = pod
        if worker.state == "new" or is_terminating(pod) or pod["spec"].get("readinessGates"):
            self._dirty.add(uid)

    # --- acting ---

    def _sync(self, uid: str) -> None:
        worker = self._workers.get(uid)
        if worker is None:
            return
        if worker.state == "gone":
            self._forget(worker)
        elif worker.state == "stopping":
            return
        elif is_terminating(worker.pod):
            self._terminate(worker)
        elif worker.state == "new":
            self._write(worker, podstatus.bound_status(worker.pod, self._now_ms(), _host_ip(worker.node)))
            self._begin(worker)
        elif worker.state == "running":
            self._write(worker, podstatus.regated_status(worker.pod, self._now_ms()))

    def _begin(self, worker: _Worker) -> None:
        worker.state = "starting"
        class_name = worker.pod["spec"].get("runtimeClassName")
        if class_name and self._remote is not None and self._remote.handles(class_name):
            attempts = worker.loop.attempt if worker.loop else 0
            worker.loop = SandboxLoop(
                self._remote,
                self._works,
                worker.pod,
                Patience(
                    seed=self._seed,
                    deadline_ms=self._config.sandbox_deadline_ms,
                    backoff_ms=self._config.sandbox_backoff_ms,
                ),
                on_ready=lambda: self._works.soon(lambda: self._running(worker)),
                on_failure=lambda message: self._events.emit(worker.pod, "Pod", "FailedCreatePodSandBox", message),
            )
            worker.loop.attempt = attempts
            worker.loop.start()
        else:
            worker.timer = self._works.later(self._config.start_ms, lambda: self._running(worker))

    def _running(self, worker: _Worker) -> None:
        if worker.state != "starting" or is_terminating(worker.pod):
            return
        now, meta = self._now_ms(), worker.pod["metadata"]
        worker.state = "running"
        worker.run = Run(
            namespace=meta["namespace"],
            name=meta["name"],
            uid=worker.uid,
            node=worker.node,
            where="on-prem" if worker.loop is None or self._is_here(worker) else "cloud",
            sandbox=worker.loop.sandbox_id if worker.loop else stable_digest(self._seed, worker.uid, worker.restarts),
            started_at_ms=now,
        )
        self.runs.add(worker.run)
        self._write(worker, podstatus.running_status(worker.pod, now, _pod_ip(worker.uid), worker.restarts))
        annotations: dict[str, str] = section(meta, "annotations")
        if RUN_SECONDS in annotations and worker.pod["spec"].get("restartPolicy", "Always") != "Always":
            duration_ms = round(float(annotations[RUN_SECONDS]) * 1000)
            worker.timer = worker.work_timer = self._works.later(duration_ms, lambda: self._complete(worker))
        elif self.played is not None:
            self._works.spawn(self._play(worker), name=f"play {key_of(worker.pod)}")

    async def _play(self, worker: _Worker) -> None:
        """Have somebody play what runs in a pod, and end it as that ended."""
        ended = None if self.played is None else await self.played(worker.pod)
        if ended is not None:
            self._complete(worker, *ended)

    @staticmethod
    def _is_here(worker: _Worker) -> bool:
        """Say whether a pod's VM is one of its own node."""
        return worker.pod["spec"].get("runtimeClassName") == node_vms.RUNTIME_CLASS

    def _complete(self, worker: _Worker, code: int | None = None, message: str = "") -> None:
        if worker.state != "running":
            return
        if code is None:
            code = int(section(worker.pod["metadata"], "annotations").get(EXIT_CODE, "0"))
        worker.state = "ended"
        self._end_run(worker, "Failed" if code else "Succeeded")
        self._write(worker, podstatus.ended_status(worker.pod, self._now_ms(), exit_code=code, message=message))
        if worker.loop is not None:
            self._works.spawn(worker.loop.stop(), name=f"stop sandbox of {key_of(worker.pod)}")
        if is_terminating(worker.pod):
            self._dirty.add(worker.uid)

    def _terminate(self, worker: _Worker) -> None:
        was = worker.state
        worker.state = "stopping"
        if was != "running":
            # nothing to ask to stop: timers of the start are void, the sandbox goes in its own time
            self._works.cancel(worker.timer)
            self._stopped(worker)
            return
        delay = min(self._config.stop_ms, podstatus.grace_seconds(worker.pod) * 1000)
        stops_at_s = asyncio.get_running_loop().time() + delay / 1000
        work = worker.work_timer
        if work is not None and not work.cancelled() and work.when() <= stops_at_s:
            worker.state = "running"  # its work is done before it has stopped: it ends as work does, and goes then
            return
        self._works.cancel(worker.timer)
        worker.timer = self._works.later(delay, lambda: self._stopped(worker))

    def _stopped(self, worker: _Worker) -> None:
        self._end_run(worker, "Deleted")
        if worker.loop is None:
            self._remove(worker)
        else:
            self._works.spawn(self._stop_remote(worker), name=f"end {key_of(worker.pod)}")

    async def _stop_remote(self, worker: _Worker) -> None:
        if worker.loop is not None:
            await worker.loop.stop()
        self._remove(worker)

    def _remove(self, worker: _Worker) -> None:
        """Take the pod out of the API, as the last thing a kubelet does for it; with finalizers it stays until they are gone."""
        pod = worker.pod
        meta = pod["metadata"]
        if not is_finished(pod):
            # a kubelet tells how a pod ended before the pod goes, and whoever holds a finalizer reads it
            self._write(worker, podstatus.ended_status(pod, self._now_ms(), exit_code=143))
        try:
            self._store.delete("pods", meta["namespace"], meta["name"], uid=worker.uid, grace_seconds=0)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                self._works.report(error)

    def _forget(self, worker: _Worker) -> None:
        """End what is left of a pod whose object is gone: deleted by us as the last step, or by force."""
        self._workers.pop(worker.uid, None)
        self._works.cancel(worker.timer)
        self._end_run(worker, "Deleted")
        if worker.loop is not None:
            self._works.spawn(worker.loop.stop(), name=f"stop sandbox of {key_of(worker.pod)}")

    def _end_run(self, worker: _Worker, outcome: Outcome) -> None:
        if worker.run is not None:
            worker.run.ended_at_ms = self._now_ms()
            worker.run.outcome = outcome
            worker.run = None

    def _write(self, worker: _Worker, status: Json) -> None:
        try:
            worker.pod = write_status(self._store, "pods", worker.pod, status)
        except ApiError as error:
            if error.status != _NOT_FOUND:
                self._works.report(error)

    def _beat(self) -> None:
        now = self._now_ms()
        for node in self._store.list("nodes"):
            _renew(self._store, node["metadata"]["name"], now)
        self._works.later(self._config.heartbeat_ms, self._beat)


def _host_ip(node: str) -> str:
    number = int(stable_digest("host", node)[:4], 16)
    return f"192.168.{number >> 8}.{number & 255}"


def _pod_ip(uid: str) -> str:
    number = int(stable_digest("pod", uid)[:6], 16)
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def _renew(store: ObjectApi, node: str, now_ms: int) -> None:
    spec = {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": rfc3339(now_ms)[:-1] + ".000000Z"}
    leases, namespace = "leases.coordination.k8s.io", "kube-node-lease"
    try:
        store.patch(leases, namespace, node, {"spec": spec})
    except ApiError as error:
        if error.status != _NOT_FOUND:
            raise
        meta = {"name": node, "namespace": namespace}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": meta, "spec": spec}
        store.create(leases, namespace, lease)
