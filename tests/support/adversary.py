"""A world that does its worst around the engine and the real adaptors: late, in any order, failing, dying, restarting.

The adaptors run unchanged; each of their requests is one atomic step that the caller lets happen, fail, or happen without an answer.
Everything a caller chooses is an argument, so that hypothesis can choose it. What must never happen is asserted where it would.
"""

import contextlib
from collections.abc import Callable, Coroutine, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from burster.adaptors.azure_peer_pods import AzurePeerPods
from burster.adaptors.azure_vms import AzureVms
from burster.adaptors.live import LiveAdaptor
from burster.adaptors.port import Places, TargetBook
from burster.adaptors.signals import SignalBoard
from burster.engine import ACTIVE, State, StepResult, initial_state, next_due_ms, step
from burster.engine.bursts.vms import stem_of, vm_stem
from burster.model import instructions as i
from burster.model import stimuli as s
from burster.model.errors import RemoteError, RemoteKind
from burster.model.offerings import Offering, Vm
from burster.model.pods import Owner, Pod, Resources
from burster.model.policies import Policy
from burster.model.targets import Target
from burster.policy.records import burst_from_object
from tests.support.builders import GIB, T0
from tests.support.fake_cluster import FakeCluster, Json


T = TypeVar("T")
NAMESPACE = "bank"
BURST_LABEL = "burster.dev/burst"
Channel = Literal["pods", "bursts", "cloud-pods", "other"]
CHANNELS: tuple[Channel, ...] = ("pods", "bursts", "cloud-pods", "other")


class _Request:
    """One atomic request of an adaptor to the world."""

    def __init__(self, carry_out: Callable[[], Any]) -> None:
        self.carry_out = carry_out

    def __await__(self) -> Generator["_Request", Any, Any]:
        return (yield self)


class _SteppedKube:
    def __init__(self, cluster: FakeCluster) -> None:
        self._cluster = cluster

    async def get(self, path: str, params: Any = None) -> bytes:
        return await _Request(lambda: self._cluster.request("get", path, None, params))

    async def create(self, path: str, body: Any, params: Any = None) -> bytes:
        return await _Request(lambda: self._cluster.request("create", path, body, params))

    async def patch(self, path: str, body: Any, *, kind: str = "merge", params: Any = None) -> bytes:
        return await _Request(lambda: self._cluster.request("patch", path, body, params))

    async def delete(self, path: str, body: Any = None, params: Any = None) -> bytes:
        return await _Request(lambda: self._cluster.request("delete", path, body, params))


class _SteppedCloud:
    def __init__(self, vms: dict[str, "CloudVm"]) -> None:
        self._vms = vms

    async def get_vm(self, target: Target, name: str) -> Vm | None:
        return await _Request(lambda: self._vms[name].facts() if name in self._vms else None)

    async def list_vms(self, target: Target) -> list[Vm]:
        return await _Request(lambda: [vm.facts() for _, vm in sorted(self._vms.items())])

    async def delete_vm(self, target: Target, name: str) -> None:
        await _Request(lambda: remove_vm(self._vms, name))


@dataclass
class CloudVm:
    name: str
    size: str
    region: str
    pod_uid: str
    created_at_ms: int
    state: str = "Creating"
    run: "Run | None" = None

    def facts(self) -> Vm:
        return Vm(
            name=self.name,
            resource_id=f"/vms/{self.name}",
            region=self.region,
            size=self.size,
            provisioning_state=self.state,
            created_at_ms=self.created_at_ms,
            security_type="ConfidentialVM",
            secure_boot=True,
            vtpm=True,
            encryption_type="VMGuestStateOnly",
            public_ip=False,
        )


@dataclass
class Run:
    """One start of a task's containers."""

    place: str
    outcome: str = ""  #: empty while it works; Stopped where it was interrupted


@dataclass
class Task:
    """Finite work: it may end once, and run in one place at a time."""

    name: str
    runs: list[Run] = field(default_factory=list)
    cancelled: bool = False  #: its owner deleted the pod

    def start(self, place: str) -> Run:
        assert all(run.outcome for run in self.runs), f"{self.name} runs in two places"
        assert not self.finished, f"{self.name} is started again although it has ended its work"
        self.runs.append(Run(place))
        return self.runs[-1]

    @property
    def finished(self) -> bool:
        return any(run.outcome == "Succeeded" for run in self.runs)


@dataclass
class Job:
    """An instruction under way in an adaptor."""

    instruction: i.Instruction
    coroutine: Coroutine[_Request, Any, Any]
    request: _Request


class Adversary:
    """The world and the controller in it."""

    def __init__(self, policies: dict[str, Policy], target: Target, offerings: tuple[Offering, ...]) -> None:
        self.now = T0
        self.policies = policies
        self.target: Target | None = target
        self.offerings = offerings
        self.cluster = FakeCluster()
        self.cluster.watchers.append(self._watch)
        self.vms: dict[str, CloudVm] = {}
        self.tasks: dict[str, Task] = {}
        self.cloud_pods_of: dict[str, list[str]] = {}
        self.user_deleted: set[str] = set()
        self.spends: list[s.Spend] = []
        self.writable = True
        self._made = 0
        self.cluster.add(
            "deployments",
            {
                "metadata": {"namespace": NAMESPACE, "name": "web"},
                "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}},
            },
        )
        for key in sorted(policies):
            namespace, _, name = key.partition("/")
            self.cluster.add("burstpolicies", {"metadata": {"namespace": namespace, "name": name}})
        self.listeners: list[Callable[[list[s.Stimulus], StepResult, int], None]] = []
        self.restart()

    # -- the controller

    def restart(self) -> None:
        """The controller dies where it stands, and another one begins by reading the world."""
        for job in getattr(self, "jobs", {}).values():
            job.coroutine.close()
        self.state: State = initial_state()
        self.jobs: dict[str, Job] = {}
        self.waiting: dict[str, i.Instruction] = {}
        #: key of a ListCloud or DeleteVm without an answer -> when it is overdue, and may be asked for again
        self.asked: dict[str, int] = {}
        self.outcomes: list[s.Stimulus] = []
        self.channels: dict[Channel, list[s.Stimulus]] = {name: [] for name in CHANNELS}
        self.last: dict[Channel, s.Stimulus] = {}
        self.visible: set[str] = set()
        self.book = TargetBook()
        self.started: set[str] = set()
        for listener in self.listeners:
            listener([], StepResult(state=self.state, instructions=(), decisions=(), spends=()), -1)
        other = self.channels["other"]
        other.extend(s.PolicySeen(policy=policy) for _, policy in sorted(self.policies.items()))
        other.append(s.SourceSynced(source="policies"))
        if self.target is not None:
            other.append(s.TargetSeen(target=self.target))
        other.append(s.SourceSynced(source="targets"))
        other.append(s.OfferingsSeen(target="azure", offerings=self.offerings))
        for plural in ("bursts", "pods"):
            for obj in self.cluster.all(plural):
                self._watch("ADDED", plural, obj)
        self.channels["bursts"].append(s.SourceSynced(source="bursts"))
        self.channels["pods"].append(s.SourceSynced(source="pods"))
        self.channels["cloud-pods"].append(s.SourceSynced(source="cloud-pods"))
        # the runtime tells what was spent before it starts a source
        self.step(
            [
                s.LedgerRestored(entries=tuple(self.spends)),
                s.LedgerHealth(writable=self.writable, message="disk full"),
            ]
        )

    def step(self, batch: list[s.Stimulus], now: int | None = None) -> StepResult:
        """Let the engine take facts in, and start what it asks for."""
        now = self.now if now is None else now
        for stimulus in batch:
            if isinstance(stimulus, s.TargetSeen):
                self.book.put(stimulus.target)
            self.asked.pop(_answered(stimulus) or "", None)
        result = step(self.state, batch, now)
        self.state = result.state
        self.spends.extend(result.spends)
        self._check_released(result)
        for listener in self.listeners:
            listener(batch, result, now)
        for instruction in result.instructions:
            self._submit(instruction)
        return result

    def _check_released(self, result: StepResult) -> None:
        """Released means: no VM is left."""
        for spend in result.spends:
            left = [vm.name for vm in self.vms.values() if vm.pod_uid in self.cloud_pods_of.get(spend.uid, ())]
            assert not left, f"{spend.burst} is released, and {left} runs on"

    def _submit(self, instruction: i.Instruction) -> None:
        if isinstance(instruction, i.EmitEvent):
            return
        key = instruction.key
        busy = key in self.jobs or key in self.waiting
        if isinstance(instruction, i.ListCloud | i.DeleteVm | i.DeleteResource):
            # what nothing else waits for is asked for again when it is overdue; the executor does one after the other
            busy = self.now < self.asked.get(key, 0)
            self.asked[key] = self.now + instruction.deadline_ms
        assert not busy or isinstance(instruction, i.WriteStatus), f"{key} is asked for while it is under way"
        if isinstance(instruction, i.RecordBurst) and not self.writable:
            self.outcomes.append(self._failure(instruction, RemoteError("Unauthorized", "", code="LedgerNotWritable")))
            return
        if key in self.jobs:
            self.waiting[key] = instruction
        else:
            self._begin(instruction)

    def _begin(self, instruction: i.Instruction) -> None:
        kube = _SteppedKube(self.cluster)
        vms = AzureVms(_SteppedCloud(self.vms), kube, self.book, lambda: self.now)
        places = Places(self.book, {"Arm": AzurePeerPods(kube, vms, _NoOfferings())})
        coroutine: Any = LiveAdaptor(kube, places, SignalBoard(), lambda: self.now).carry_out(instruction)
        self._drive(instruction, coroutine, lambda: coroutine.send(None))

    def _drive(self, instruction: i.Instruction, coroutine: Any, go: Callable[[], _Request]) -> None:
        self.jobs.pop(instruction.key, None)
        try:
            request = go()
        except StopIteration as stop:
            if stop.value is not None:
                self.outcomes.append(stop.value)
        except RemoteError as error:
            self.outcomes.append(self._failure(instruction, error))
        else:
            self.jobs[instruction.key] = Job(instruction, coroutine, request)
            return
        again = self.waiting.pop(instruction.key, None)
        if again is not None:
            self._begin(again)

    @staticmethod
    def _failure(instruction: i.Instruction, error: RemoteError) -> s.InstructionFailed:
        subject = (
            instruction.target
            if isinstance(instruction, i.ListCloud | i.DeleteVm | i.DeleteResource)
            else instruction.burst.key
        )  # type: ignore[union-attr]
        return s.InstructionFailed(
            instruction=type(instruction).__name__,
            key=instruction.key,
            subject=subject,
            kind=error.kind,
            code=error.code,
            message=str(error),
            retry_after_ms=error.retry_after_ms,
        )

    # -- what may happen to a request

    def work(self, choice: int) -> None:
        """One request of one instruction under way is carried out and answered."""
        job = pick(self.jobs, choice)
        if job is None:
            return
        try:
            answer = job.request.carry_out()
        except RemoteError as error:
            failure = error
            self._drive(job.instruction, job.coroutine, lambda: job.coroutine.throw(failure))
        else:
            self._drive(job.instruction, job.coroutine, lambda: job.coroutine.send(answer))

    def fail(self, choice: int, kind: RemoteKind, *, done: bool, whole: bool) -> None:
        """One request fails; ``done``: it was carried out, only nobody hears of it; ``whole``: the instruction runs out of time."""
        job = pick(self.jobs, choice)
        if job is None:
            return
        if done and kind in {"Timeout", "Unavailable", "Protocol"}:
            with contextlib.suppress(RemoteError):
                job.request.carry_out()
        error = RemoteError(kind, "the adversary wants it")
        if whole:
            job.coroutine.close()
            timeout = RemoteError("Timeout", "no answer in time")
            self._drive(job.instruction, job.coroutine, lambda: _raise(timeout))
        else:
            self._drive(job.instruction, job.coroutine, lambda: job.coroutine.throw(error))

    # -- what the controller is told, and when

    def deliver(self, channel: Channel, count: int) -> None:
        """The next few facts of one watch arrive, in their order."""
        queue = self.channels[channel]
        batch, self.channels[channel] = queue[:count], queue[count:]
        if batch:
            self.last[channel] = batch[-1]
            self.step(batch)

    def repeat(self, channel: Channel) -> None:
        """A fact arrives once more."""
        if channel in self.last:
            self.step([self.last[channel]])

    def answer(self, choice: int, *, twice: bool = False) -> None:
        """The outcome of some instruction arrives, in whatever order."""
        if self.outcomes:
            outcome = self.outcomes.pop(choice % len(self.outcomes))
            self.step([outcome, outcome] if twice else [outcome])

    def deliver_everything(self) -> None:
        """Everything that is to be told is told at once."""
        batch = [fact for channel in CHANNELS for fact in self.channels[channel]] + self.outcomes
        self.last.update({channel: facts[-1] for channel, facts in self.channels.items() if facts})
        self.channels = {name: [] for name in CHANNELS}
        self.outcomes = []
        self.step(batch)

    def tell(self, stimulus: s.Stimulus) -> None:
        self.channels["other"].append(stimulus)

    def _watch(self, event: str, plural: str, obj: Json) -> None:
        metadata = obj["metadata"]
        if plural == "bursts":
            burst = burst_from_object(obj)
            gone = s.BurstGone(key=burst.key, uid=burst.uid)
            self.channels["bursts"].append(gone if event == "DELETED" else s.BurstSeen(burst=burst))
        elif plural == "pods" and BURST_LABEL in (metadata.get("labels") or {}):
            self._watch_cloud_pod(event, obj)
        elif plural == "pods":
            self._watch_pending(event, obj)

    def _watch_cloud_pod(self, event: str, obj: Json) -> None:
        metadata = obj["metadata"]
        key = f"{NAMESPACE}/{metadata['labels'][BURST_LABEL]}"
        burst_uid = metadata["annotations"]["burster.dev/burst-uid"]
        if event == "DELETED":
            gone = s.CloudPodGone(burst_uid=burst_uid, burst_key=key, pod_uid=metadata["uid"])
            self.channels["cloud-pods"].append(gone)
            return
        made = self.cloud_pods_of.setdefault(burst_uid, [])
        if metadata["uid"] not in made:
            made.append(metadata["uid"])
            assert len(made) == 1 or made[-2] in self.user_deleted, f"{key} has got a second cloud pod"
            task = self.task_of(obj)
            assert task is None or not task.finished, f"{metadata['name']} is placed although its work is done"
            assert task is None or all(run.outcome for run in task.runs), f"{metadata['name']} is placed while it runs"
        self.channels["cloud-pods"].append(
            s.CloudPodSeen(
                burst_uid=burst_uid,
                burst_key=key,
                pod_uid=metadata["uid"],
                phase=phase_of(obj),
                terminating=bool(metadata.get("deletionTimestamp")),
                size=metadata["annotations"]["io.katacontainers.config.hypervisor.machine_type"],
                runtime_class=obj["spec"]["runtimeClassName"],
            )
        )

    def _watch_pending(self, event: str, obj: Json) -> None:
        metadata = obj["metadata"]
        name, uid = metadata["name"], metadata["uid"]
        bound = bool(obj["spec"].get("nodeName"))
        if event != "DELETED" and not bound:
            self.visible.add(uid)
            self.channels["pods"].append(s.PodSeen(pod=pod_of(obj)))
        elif uid in self.visible:
            self.visible.discard(uid)
            why: Literal["Bound", "Gone"] = "Bound" if bound else "Gone"
            self.channels["pods"].append(s.PodLeft(namespace=NAMESPACE, name=name, uid=uid, why=why))

    # -- the cluster's own life

    def new_pod(self, *, service: bool, cpu: int) -> None:
        self._made += 1
        metadata: Json = {"namespace": NAMESPACE, "name": f"task-{self._made}"}
        if service:
            metadata["name"] = f"web-abc-{self._made}"
            metadata["labels"] = {"app": "web"}
        else:
            metadata["annotations"] = {"task": metadata["name"]}
            self.tasks[metadata["name"]] = Task(metadata["name"])
        spec = {"containers": [], "cpu": cpu, "since": self.now}
        self.cluster.add("pods", {"metadata": metadata, "spec": spec, "status": {"phase": "Pending"}})

    def onprem(self, *, bound: bool, finished: bool = False) -> dict[str, Json]:
        return {
            obj["metadata"]["name"]: obj
            for obj in self.cluster.all("pods")
            if BURST_LABEL not in (obj["metadata"].get("labels") or {})
            and bool(obj["spec"].get("nodeName")) == bound
            and (phase_of(obj) == "Succeeded") == finished
            and not obj["metadata"].get("deletionTimestamp")
        }

    def cloud(self, *phases: str, terminating: bool | None = None) -> dict[str, Json]:
        return {
            obj["metadata"]["name"]: obj
            for obj in self.cluster.all("pods")
            if BURST_LABEL in (obj["metadata"].get("labels") or {})
            and (not phases or phase_of(obj) in phases)
            and (terminating is None or bool(obj["metadata"].get("deletionTimestamp")) == terminating)
        }

    def task_of(self, obj: Json) -> Task | None:
        return self.tasks.get((obj["metadata"].get("annotations") or {}).get("task", ""))

    def bind(self, choice: int) -> None:
        """An on-prem node takes a waiting pod."""
        obj = pick(self.onprem(bound=False), choice)
        if obj is not None:
            task = self.task_of(obj)
            if task is not None:
                task.start("on-prem")
            self._set(obj, "Running", node="node-1")

    def finish(self, choice: int) -> None:
        """A pod that runs on-prem ends."""
        obj = pick(self.onprem(bound=True), choice)
        if obj is None:
            return
        task = self.task_of(obj)
        if task is None:
            self.cluster.remove("pods", NAMESPACE, obj["metadata"]["name"])
        else:
            task.runs[-1].outcome = "Succeeded"
            self._set(obj, "Succeeded")

    def collect(self, choice: int) -> None:
        """Somebody deletes a pod whose work is done, once nothing of burster's is at work on it."""
        done = self.onprem(bound=True, finished=True) | self.cloud("Succeeded")
        busy = {
            burst.spec.pod_name
            for burst in map(burst_from_object, self.cluster.all("bursts"))
            if burst.status.phase in ACTIVE
        }
        obj = pick({name: obj for name, obj in done.items() if name not in busy}, choice)
        if obj is not None:
            self.cluster.remove("pods", NAMESPACE, obj["metadata"]["name"])

    def user_deletes_pending(self, choice: int) -> None:
        obj = pick(self.onprem(bound=False), choice)
        if obj is not None:
            self._cancel(obj)
            self.cluster.remove("pods", NAMESPACE, obj["metadata"]["name"])

    def user_deletes_cloud_pod(self, choice: int, *, force: bool) -> None:
        obj = pick(self.cloud(), choice)
        if obj is None:
            return
        self._cancel(obj)
        if force:
            self._object_goes(obj)
        else:
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{obj['metadata']['name']}"
            self.cluster.request("delete", path, {"gracePeriodSeconds": 30})

    def _cancel(self, obj: Json) -> None:
        self.user_deleted.add(obj["metadata"]["uid"])
        task = self.task_of(obj)
        if task is not None:
            task.cancelled = True

    def user_deletes_burst(self, choice: int) -> None:
        bursts = {obj["metadata"]["name"]: obj for obj in self.cluster.all("bursts")}
        obj = pick(bursts, choice)
        if obj is not None:
            self.cluster.request("delete", f"/apis/x/v1/namespaces/{NAMESPACE}/bursts/{obj['metadata']['name']}")

    def _set(self, obj: Json, phase: str, *, node: str = "") -> None:
        def change(new: Json) -> None:
            new.setdefault("status", {})["phase"] = phase
            if node:
                new["spec"]["nodeName"] = node

        self.cluster.change("pods", NAMESPACE, obj["metadata"]["name"], change)

    # -- cloud-api-adaptor, kubelet and cloud

    def vms_of(self, obj: Json, *states: str) -> Iterator[CloudVm]:
        for _, vm in sorted(self.vms.items()):
            if vm.pod_uid == obj["metadata"]["uid"] and vm.state in states:
                yield vm

    def launch(self, choice: int) -> None:
        """The kubelet starts a cloud pod's sandbox: a VM comes to life."""
        pods = self.cloud("Pending", terminating=False)
        obj = pick(
            {name: pod for name, pod in pods.items() if not any(self.vms_of(pod, "Creating", "Succeeded"))}, choice
        )
        if obj is None:
            return
        self._set(obj, "Pending", node="peer-pods")
        self._made += 1
        name = f"{vm_stem(obj['metadata']['name'])}-{self._made:08x}"
        size = obj["metadata"]["annotations"]["io.katacontainers.config.hypervisor.machine_type"]
        self.vms[name] = CloudVm(name, size, "westeurope", obj["metadata"]["uid"], self.now)

    def boot(self, choice: int) -> None:
        vm = pick({name: vm for name, vm in self.vms.items() if vm.state == "Creating"}, choice)
        if vm is not None:
            vm.state = "Succeeded"

    def run(self, choice: int) -> None:
        """A cloud pod's containers start."""
        pods = self.cloud("Pending", terminating=False)
        obj = pick({name: pod for name, pod in pods.items() if any(self.vms_of(pod, "Succeeded"))}, choice)
        if obj is None:
            return
        task = self.task_of(obj)
        if task is not None:
            next(self.vms_of(obj, "Succeeded")).run = task.start("cloud")
        self._set(obj, "Running")

    def cloud_finish(self, choice: int) -> None:
        """A task ends its work in the cloud, perhaps while it is asked to stop; its VM goes."""
        pods = self.cloud("Running")
        obj = pick({name: pod for name, pod in pods.items() if self.task_of(pod) is not None}, choice)
        if obj is None:
            return
        for vm in self.vms_of(obj, "Succeeded"):
            if vm.run is not None and not vm.run.outcome:
                vm.run.outcome = "Succeeded"
                self._set(obj, "Succeeded")
            vm.state = "Deleting"

    def cloud_stop(self, choice: int, *, says_failed: bool) -> None:
        """The kubelet has stopped a terminating pod; one that a finalizer holds always shows its last phase."""
        obj = pick(self.cloud(terminating=True), choice)
        if obj is None:
            return
        says_failed = says_failed or bool(obj["metadata"].get("finalizers"))
        for vm in self.vms_of(obj, "Creating", "Succeeded"):
            if vm.run is not None and not vm.run.outcome:
                vm.run.outcome = "Stopped"
            vm.state = "Deleting"
        if says_failed and phase_of(obj) != "Succeeded":
            self._set(obj, "Failed")
        self._object_goes(obj)

    def removed_by_force(self, choice: int) -> None:
        """The pod collector removes a terminating pod's object, and says Failed, while its VM is still at work."""
        obj = pick(self.cloud(terminating=True), choice)
        if obj is not None:
            if phase_of(obj) != "Succeeded":
                self._set(obj, "Failed")
            self._object_goes(obj)

    def _object_goes(self, obj: Json) -> None:
        """Nothing but finalizers holds a pod's object any more."""
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{obj['metadata']['name']}"
        self.cluster.request("delete", path, {"gracePeriodSeconds": 0})

    def sandbox_fails(self, choice: int, kind: RemoteKind, count: int) -> None:
        obj = pick(self.cloud("Pending", terminating=False), choice)
        if obj is None:
            return
        for vm in self.vms_of(obj, "Creating", "Succeeded"):
            vm.state = "Deleting"
        self.channels["other"].append(
            s.SandboxFailed(
                burst_key=f"{NAMESPACE}/{obj['metadata']['labels'][BURST_LABEL]}",
                pod_uid=obj["metadata"]["uid"],
                count=count,
                kind=kind,
                code="",
                message="no",
            )
        )

    def vm_goes(self, choice: int) -> None:
        """A VM's deletion comes to its end; one without a pod stops working first."""
        pods = {obj["metadata"]["uid"] for obj in self.cloud().values()}
        going = {name: vm for name, vm in self.vms.items() if vm.state == "Deleting" or vm.pod_uid not in pods}
        vm = pick(going, choice)
        if vm is not None:
            remove_vm(self.vms, vm.name)

    def flow(self, rounds: int, operations: int = 1_000_000, choice: int = 0) -> bool:
        """Everything goes as it should for a while; say whether it was stopped before its end, after so many operations."""
        for _ in range(rounds):
            for done in self._go_on(choice):
                operations -= done
                if operations <= 0:
                    return True
            for number in range(4):
                for action in (self.launch, self.boot, self.run):
                    action(number)
            self.now += 5_000
            self.step([])
        return False

    def _go_on(self, choice: int) -> Iterator[int]:
        """Do and tell everything, one operation after the other; ``choice`` says which goes first of several."""
        for _ in range(300):
            if self.jobs:
                self.work(choice)
                yield 1
            elif self.outcomes or any(self.channels.values()):
                self.deliver_everything()
                yield 1
            else:
                return

    # -- the end of all misbehaviour

    def settle(self, rounds: int = 400) -> None:
        """Everything goes well from now on, until nothing is left to do."""
        self.writable = True
        self.tell(s.LedgerHealth(writable=True))
        for _ in range(rounds):
            self._go_well()
            if not self.left_over():
                return
            due = next_due_ms(self.state)
            self.now = max(self.now + 5_000, min(due or self.now, self.now + 120_000))
            self.state_tick()
        raise AssertionError(f"it does not come to rest: {self.left_over()}")

    def state_tick(self) -> None:
        self.step([s.Tick(kind="gc")])

    def _go_well(self) -> None:
        for _ in range(200):
            if not self.jobs and not self.outcomes and not any(self.channels.values()):
                break
            while self.jobs:
                self.work(0)
            self.deliver_everything()
        while self.onprem(bound=False):
            self.bind(0)
        while self.onprem(bound=True):
            self.finish(0)
        for action in (self.launch, self.boot, self.run, self.cloud_finish, self.vm_goes):
            for choice in range(8):
                action(choice)
        for choice in range(8):
            self.cloud_stop(choice, says_failed=True)

    def left_over(self) -> list[str]:
        """Return what is not at rest yet."""
        records = [burst_from_object(obj) for obj in self.cluster.all("bursts")]
        left = [f"{burst.key} is {burst.status.phase}" for burst in records if burst.status.phase != "Released"]
        left += [
            f"{key} is {entry.burst.status.phase} for the engine"
            for key, entry in self.state.bursts.items()
            if entry.burst.status.phase in ACTIVE
        ]
        left += [f"VM {name}" for name in self.vms]
        left += [f"{task.name} is lost" for task in self.tasks.values() if not (task.finished or task.cancelled)]
        left += list(self.jobs)
        return left


class _NoOfferings:
    """A world whose offerings are given."""

    async def offerings(self, target: Target) -> s.OfferingsSeen:
        return s.OfferingsSeen(target=target.name, offerings=())


def remove_vm(vms: dict[str, "CloudVm"], name: str) -> None:
    """A VM is no more, and what ran in it neither."""
    vm = vms.pop(name, None)
    if vm is not None and vm.run is not None and not vm.run.outcome:
        vm.run.outcome = "Stopped"


def _answered(stimulus: s.Stimulus) -> str | None:
    """The key of the ListCloud or DeleteVm that a fact answers."""
    match stimulus:
        case s.CloudListed():
            return f"list/{stimulus.target}"
        case s.ResourceDeleted():
            return None
        case s.VmDeleted():
            return f"sweep/{stimulus.target}/{stimulus.vm}"
        case s.InstructionFailed():
            return stimulus.key
        case _:
            return None


def _raise(error: Exception) -> Any:
    raise error


def pick(things: dict[str, T], choice: int) -> T | None:
    """Return one of some things, by number; None where there is none."""
    return things[sorted(things)[choice % len(things)]] if things else None


def phase_of(obj: Json) -> Any:
    return (obj.get("status") or {}).get("phase") or "Pending"


def pod_of(obj: Json) -> Pod:
    metadata, spec = obj["metadata"], obj["spec"]
    owner = workload = None
    if (metadata.get("labels") or {}).get("app") == "web":
        owner = Owner(api_version="apps/v1", kind="ReplicaSet", name="web-abc", uid="rs")
        workload = Owner(api_version="apps/v1", kind="Deployment", name="web", uid="")
    return Pod(
        namespace=NAMESPACE,
        name=metadata["name"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        created_at_ms=spec["since"],
        unschedulable_since_ms=spec["since"],
        requests=Resources(cpu_millicores=spec["cpu"], memory_bytes=GIB),
        owner=owner,
        workload=workload,
        terminating=bool(metadata.get("deletionTimestamp")),
    )


__all__ = ["CHANNELS", "Adversary", "Channel", "stem_of"]
