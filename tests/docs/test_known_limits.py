"""docs/known-limits.md, held true: each of these is a limit. Where one of these tests fails, something got better: take it off the page."""

import msgspec
import orjson
import pytest

from burster.adaptors.azure_vms import TargetBook
from burster.adaptors.peer_pods import PLACED_ANNOTATION, TAKEN_ANNOTATION, place_pod
from burster.engine.bursts.vms import vm_stem
from burster.model import stimuli as s
from burster.model.errors import RemoteError
from burster.model.instructions import PlacePod
from burster.model.limits import Budget
from burster.model.pods import Resources
from burster.runtime.wiring import PROVIDERS
from burster.sources.policies import RuleSink, _compiled_target, _target_gone, _target_refused
from tests.adaptors.test_reading_a_bursts_vms import a_burst
from tests.docs.rights import ROOT, Rights
from tests.support.builders import Engine, a_pod, a_policy, a_service_pod, a_target, a_vm, an_offering


PAGE = (ROOT / "docs" / "known-limits.md").read_text("utf-8")
HOUR = 3_600_000


def an_engine(*, policy=None, target=None) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=policy or a_policy()),
        s.TargetSeen(target=target or a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(),)),
    )
    return engine


def test_finite_work_whose_lease_is_not_renewed_comes_home_and_starts_again():
    assert "### Finite work whose lease is not renewed starts again" in PAGE
    policy = a_policy(lease_ms=HOUR, drain_ms=1_000, budget=Budget(per_day_micro_usd=150_000))
    engine = an_engine(policy=policy)
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.to_serving()
    engine.wait(HOUR + 300_000)
    assert engine.codes()[-1] == "LeaseNotRenewed"
    vm = a_vm(burst, created_at=engine.now)
    engine.send(s.VmsObserved(key=burst.key, vms=(vm,)), s.StatusWritten(key=burst.key, phase="Draining"))
    engine.send(s.PodDeleted(key=burst.key, gone=True), after_ms=1_000)
    for _ in range(3):
        if engine.asked("ReturnPod"):
            break
        engine.send(s.VmsObserved(key=burst.key, vms=()), after_ms=10_000)
    assert len(engine.asked("ReturnPod")) == 1


def test_the_breaker_is_opened_by_one_vm_and_closed_by_an_edit_of_the_target_only():
    assert "### The breaker is closed by an edit of the target only" in PAGE
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod("task-1")))
    burst = engine.burst()
    engine.send(s.BurstRecorded(key=burst.key, uid="b"), after_ms=5)
    engine.send(s.PodPlaced(key=burst.key, pod_uid="p"), after_ms=5)
    engine.send(engine.pod_event("Running", burst.key), after_ms=60_000)
    plain = a_vm(burst, created_at=engine.now, security_type="")
    engine.send(s.VmsObserved(key=burst.key, vms=(plain,)))
    engine.send(s.PodSeen(pod=a_pod("task-2")))
    assert engine.codes("bank/task-2") == ["BreakerOpen"]
    for stimulus in (s.TargetSeen(target=a_target()), s.DrainRequested(), s.DrainCancelled(), s.Tick(kind="evaluate")):
        engine.send(stimulus, after_ms=HOUR)
    engine.send(s.PodSeen(pod=a_pod("task-3")), after_ms=24 * HOUR)
    assert engine.codes("bank/task-3") == ["BreakerOpen"]
    failed = engine.burst(burst.key)
    engine.send(s.TargetSeen(target=a_target(generation=9)))
    assert engine.asked("RecordBurst")
    successor = Engine()
    successor.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.BurstSeen(burst=failed),
        s.PodSeen(pod=a_pod("task-4")),
    )
    assert successor.codes("bank/task-4") == ["BreakerOpen"]


def test_a_vm_that_is_only_reported_keeps_its_burst_open():
    assert "### A VM that is left behind keeps its burst open" in PAGE
    engine = an_engine(target=a_target(sweep="Report"))
    engine.send(s.PodSeen(pod=a_pod()))
    burst = engine.to_serving()
    vm = a_vm(burst, created_at=engine.now)
    engine.send(engine.pod_event("Succeeded", burst.key), after_ms=60_000)
    told = len(engine.decisions)
    for _ in range(5):
        listed = s.CloudListed(target="azure", listed_at_ms=engine.now, vms=(vm,))
        engine.send(s.VmsObserved(key=burst.key, vms=(vm,)), listed, after_ms=HOUR)
    assert engine.phase(burst.key) == "Releasing"
    assert [decision.reasons[0].code for decision in engine.decisions[told:]] == ["VmLeftBehind"]


def test_a_target_that_no_longer_compiles_counts_as_deleted():
    assert "### An invalid edit of a target counts as its deletion" in PAGE
    posted = []
    sink = RuleSink(posted.append, "targets", _compiled_target, _target_refused, _target_gone)
    sink.seen({"kind": "BurstTarget", "metadata": {"name": "azure", "uid": "u"}, "spec": {"provider": "azure"}})
    assert posted == [s.TargetGone(name="azure")]


def test_a_deleted_target_is_forgotten_by_a_restart():
    assert "### A deleted target and a restarted controller" in PAGE
    running, restarted = TargetBook(), TargetBook()
    running.put(a_target())
    assert running.get("azure").name == "azure"
    with pytest.raises(RemoteError, match="no BurstTarget azure"):
        restarted.get("azure")


class OneRecord:
    """An API in which one record is, and no pod; what is created is kept."""

    def __init__(self, *marks: str) -> None:
        self.created = []
        manifest = {"metadata": {"name": "task-1"}, "spec": {"containers": [{"name": "a"}]}}
        annotations = dict.fromkeys(marks, "true")
        self._record = {"metadata": {"name": "b", "annotations": annotations}, "spec": {"podManifest": manifest}}

    async def get(self, path, params=None):
        if "/bursts/" in path:
            return orjson.dumps(self._record)
        raise RemoteError("NotFound", path)

    async def create(self, path, body, params=None):
        self.created.append(body)
        return orjson.dumps({**body, "metadata": {**body["metadata"], "uid": "new"}})

    async def patch(self, path, body, *, kind="merge", params=None):
        return b"{}"


async def test_after_a_crash_the_taken_mark_alone_and_no_pod_always_mean_write_it():
    assert "### A Move and a user who deletes meanwhile" in PAGE
    api = OneRecord(TAKEN_ANNOTATION)
    await place_pod(api, PlacePod(key="place/b", burst=a_burst()))
    assert [pod["metadata"]["name"] for pod in api.created] == ["task-1"]
    for marks in [(), (TAKEN_ANNOTATION, PLACED_ANNOTATION)]:
        api = OneRecord(*marks)
        with pytest.raises(RemoteError, match="somebody else deleted"):
            await place_pod(api, PlacePod(key="place/b", burst=a_burst()))
        assert api.created == []


def test_a_pod_that_asks_for_a_gpu_is_refused():
    assert "a pod that asks for one is refused with `NoSizeFits`" in PAGE
    engine = an_engine()
    engine.send(s.PodSeen(pod=a_pod(requests=Resources(cpu_millicores=1_000, memory_bytes=1, gpus=1))))
    assert engine.codes() == ["NoSizeFits"]


@pytest.mark.parametrize("kind", ["Job", "StatefulSet", "Revision"])
def test_pods_with_another_controller_wait(kind):
    assert "**The admission webhook.**" in PAGE
    engine = an_engine()
    pod = a_service_pod("p-0")
    owner = msgspec.structs.replace(pod.owner, kind=kind)
    engine.send(s.PodSeen(pod=msgspec.structs.replace(pod, owner=owner, workload=owner)))
    assert engine.codes() == ["MoveNeedsWebhook"]


def test_no_status_of_targets_is_written():
    assert "**Target status.** burster writes none." in PAGE
    written = {resource for _, resource, verb in Rights("default").granted if verb in {"patch", "update", "create"}}
    assert "burstpolicies/status.burster.dev" in written
    assert not {resource for resource in written if "target" in resource}


def test_a_target_of_another_provider_is_refused():
    assert "**Other clouds.** A BurstTarget whose `provider` is not azure" in PAGE
    assert frozenset({"azure"}) == PROVIDERS


def test_a_signal_has_no_external_scaler():
    assert "`burster_wanted_replicas`" in PAGE
    assert "no gRPC external scaler" in PAGE


def test_a_vms_name_tells_neither_namespace_nor_cluster():
    assert "### One resource group for each cluster" in PAGE
    assert vm_stem("scorer") == "podvm-scorer"
    assert a_vm(a_burst(), created_at=1).name.startswith(vm_stem("task-1"))


@pytest.mark.parametrize("command", ["drain", "evacuate", "doctor", "compare", "sweep"])
def test_commands_that_are_said_to_be_missing_are_missing(command):
    from burster.cli.app import _ENTRIES

    assert f"`{command}`" in PAGE
    assert command not in {entry.name for entry in _ENTRIES}
