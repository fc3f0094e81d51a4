"""docs/known-limits.md, held true: each of these is a limit. Where one of these tests fails, something got better: take it off the page."""

import msgspec
import orjson
import pytest

from burster.adaptors.guest_units import Guest, guest_config
from burster.adaptors.peer_pods import PLACED_ANNOTATION, TAKEN_ANNOTATION, place_pod
from burster.adaptors.port import TargetBook
from burster.clients.metric_errors import MetricError
from burster.engine.bursts.vms import vm_stem
from burster.model import stimuli as s
from burster.model.errors import RemoteError
from burster.model.instructions import PlacePod
from burster.model.limits import Budget
from burster.model.offerings import CloudResource
from burster.model.pods import Resources
from burster.model.triggers import AuthRef, ExternalTrigger, HttpAccess, MetricsApiTrigger, PrometheusTrigger
from burster.policy.convert import convert_text
from burster.runtime.metric_queries import read_triggers
from burster.sources.policies import RuleSink, _compiled_target, _target_gone, _target_refused
from burster.sources.policy_places import PolicyPlaces
from tests.adaptors.test_reading_a_bursts_vms import a_burst
from tests.docs.rights import ROOT
from tests.engine.test_scale_a_workload import Cluster, a_scaling_policy, cloud
from tests.support.builders import Engine, a_pod, a_policy, a_service_pod, a_target, a_vm, an_offering
from tests.support.machine_life import MachineEngine, a_machine_policy, a_waiting_vm
from tests.support.metrics import FakeKube, a_reader


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
    (refused,) = posted
    engine = an_engine()
    engine.send(refused)
    assert (type(refused).__name__, engine.state.targets) == ("TargetRefused", {})


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


def test_a_signal_has_no_external_scaler():
    assert "`burster_wanted_replicas`" in PAGE
    assert "no gRPC external scaler" in PAGE


@pytest.mark.parametrize(
    "trigger",
    [
        PrometheusTrigger(name="a", server_address="http://127.0.0.1:9", query="up", aws_region="eu-west-1"),
        MetricsApiTrigger(
            name="a", url="http://127.0.0.1:9", value_location="a", aggregate_from_kube_service_endpoints=True
        ),
        PrometheusTrigger(
            name="a", server_address="http://127.0.0.1:9", query="up", access=HttpAccess(auth=AuthRef(name="thanos"))
        ),
    ],
)
async def test_what_of_metrics_is_not_read(trigger):
    assert "**Metrics.** Not read are: Amazon Managed Prometheus (`awsRegion`)" in PAGE
    identity = {"spec": {"podIdentity": {"provider": "azure-workload"}}}
    kube = FakeKube({"/apis/keda.sh/v1alpha1/namespaces/bank/triggerauthentications/thanos": identity})
    async with a_reader(kube) as reader:
        with pytest.raises(MetricError) as caught:
            await reader.read("bank", trigger, 0.0)
    assert caught.value.fault == "unsupported"


def test_a_number_that_others_push_is_not_read():
    assert "**External scalers.**" in PAGE
    scaler = ExternalTrigger(name="a", scaler_address="scaler:9000", metadata={"metricName": "x"})
    assert list(read_triggers(a_policy(triggers=(scaler, ExternalTrigger(name="b"))))) == []


def test_two_policies_for_one_pod_are_told_apart_by_name():
    assert "### Two policies for one pod, in the cluster" in PAGE
    engine = an_engine(policy=a_policy("second"))
    engine.send(s.PolicySeen(policy=a_policy("first")))
    engine.send(s.PodSeen(pod=a_pod()))
    assert [decision.policy for decision in engine.decisions if decision.verdict == "Burst"] == ["bank/first"]
    assert [each.policy for each in engine.decisions if each.reasons[0].code == "AmbiguousPolicies"] == ["bank/first"]


def test_the_zone_of_a_pods_burst_is_not_recorded():
    assert "A pod's Burst does not\n  record its zone" in PAGE
    assert a_burst().spec.zone == ""


def test_a_machine_that_ends_itself_is_not_deleted_by_what_it_boots_from():
    assert "### A machine that has ended by itself goes on costing" in PAGE
    programs = str(guest_config(Guest(machine="m", lease_end_ms=1, drain_ms=0, trustee_url="https://kbs", spot=True)))
    assert '"systemctl", "poweroff"' in programs
    assert "management.azure.com" not in programs


def test_user_data_is_not_measured_by_what_burster_puts_in():
    assert "### A machine's user data is not measured by burster" in PAGE
    assert "pcrextend" not in str(
        guest_config(Guest(machine="m", lease_end_ms=1, drain_ms=0, trustee_url="https://kbs"))
    )


def test_the_ledger_has_one_time_for_what_a_burst_has_cost():
    assert "### After a restart a burst's cost is in the window in which it ended" in PAGE
    assert [name for name in s.Spend.__struct_fields__ if name.endswith("_ms")] == ["at_ms"]


def test_a_number_can_not_be_set_by_a_pause():
    assert "### Pausing at a number" in PAGE
    text = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: web, annotations: {autoscaling.keda.sh/paused-replicas: "3"}}
spec:
  scaleTargetRef: {name: web}
  triggers: [{type: cron, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: "2"}}]
"""
    (converted,) = convert_text(text, "web.yaml", target="azure").objects
    notes = converted.notes
    assert any("paused-replicas" in str(note) and "nothing sets 3 replicas" in str(note) for note in notes)


def test_without_its_ledger_a_controller_takes_its_predecessors_number_for_the_original():
    assert "### The original number is in the ledger" in PAGE
    policy = a_scaling_policy(scaling={"restore_to_original": True})
    first = Cluster(policy, workload=cloud(2))
    first.reads(4)
    first.run(40)
    assert first.replicas == 4
    successor = Cluster(policy, workload=cloud(4))
    successor.send(s.PolicyGone(key=policy.key))
    successor.settle()
    assert successor.replicas == 4


def test_elsewhere_than_on_azure_no_target_lends_anything_to_machines():
    assert "**Strategy Machine elsewhere than on Azure.**" in PAGE
    engine = MachineEngine()
    engine.sync(
        s.PolicySeen(policy=a_machine_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        a_waiting_vm(),
    )
    assert engine.codes("bank/settlement") == ["MachinesNotTaken"]


def test_a_machine_that_drains_is_given_all_of_its_time():
    assert "### A machine that drains is given all of its time" in PAGE
    engine = MachineEngine()
    engine.begin()
    key = engine.to_served().key
    engine.send(s.DrainRequested())
    engine.publish(ready=False, key=key)
    engine.see(key)
    engine.wait(500_000)
    assert not engine.asked("DeleteMachine")


def test_a_vms_name_tells_neither_namespace_nor_cluster():
    assert "### One resource group for each cluster" in PAGE
    assert vm_stem("scorer") == "podvm-scorer"
    assert a_vm(a_burst(), created_at=1).name.startswith(vm_stem("task-1"))


@pytest.mark.parametrize("command", ["drain", "evacuate", "compare"])
def test_commands_that_are_said_to_be_missing_are_missing(command):
    from burster.cli.app import ENTRIES

    assert f"`{command}`" in PAGE
    assert command not in {entry.name for entry in ENTRIES}


def test_what_is_left_of_a_vm_is_told_and_not_deleted_where_only_tags_tell():
    assert "### What is left of a VM bears no tags" in PAGE
    engine = an_engine(target=a_target(sweep_tags={"burster-cluster": "c"}))
    nic = CloudResource(kind="Nic", name="podvm-x-0123abcd-net", resource_id="/n", region="r")
    for _ in range(4):
        engine.now += 600_000
        engine.send(s.CloudListed(target="azure", listed_at_ms=engine.now, vms=(), strays=(nic,), claimed=()))
        assert not engine.asked("DeleteResource")
    assert engine.codes(nic.name) == ["PartUnclaimed"]


def test_which_of_too_many_policies_count():
    assert "### Which policies of too many count" in PAGE
    places = PolicyPlaces(1)
    assert [places.find("bank", key) for key in ("bank/b", "bank/a", "bank/c")] == [True, False, None]
    assert PolicyPlaces(1).find("bank", "bank/a") is True, "after a restart the first by name"
