"""The life of a peer pod against the ARM stand-in: VM, record, running, and everything gone again."""

import base64
import json

import pytest

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.faults import known_fault
from burster.lab.caa.config import LAB_CONFIG
from burster.lab.caa.initdata import encode_initdata


PREFIX = "io.katacontainers.config.hypervisor."
FINALIZER = "peer.pod/finalizer"


def test_a_peer_pod_from_binding_to_a_confirmed_end(play):
    async def story(stage):
        stage.pod("task", seconds=600)
        await stage.passes(5)
        assert stage.get("task")["spec"]["nodeName"] == "worker"
        assert stage.phase("task") == "Pending"
        (vm,) = stage.arm.vms.values()
        assert vm.name.startswith("podvm-task-")
        assert (vm.size, vm.state) == ("Standard_DC2es_v6", "Creating")
        assert stage.records() == [], "no record before the VM is there"
        await stage.passes(60)
        (record,) = stage.records()
        pod = stage.get("task")
        assert record["metadata"]["name"].startswith("task-resource-")
        assert record["metadata"]["finalizers"] == [FINALIZER]
        (owner,) = record["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (pod["metadata"]["uid"], True)
        assert record["spec"] == {"cloudProvider": "azure", "instanceID": vm.resource_id}
        await stage.passes(10)
        assert stage.phase("task") == "Running"
        (run,) = stage.lab.in_cloud
        assert (run.where, run.node) == ("cloud", "worker")
        assert vm.name.endswith(run.sandbox[:8])
        await stage.passes(620)
        assert stage.phase("task") == "Succeeded"
        await stage.passes(60)
        assert stage.arm.leaks() == ()
        assert stage.records()[0]["metadata"].get("finalizers", []) == [], "released, and there as long as its pod"
        stage.delete("task")
        await stage.passes(5)
        assert stage.records() == []
        assert stage.lab.runs.started_more_than_once() == {}

    play(story)


def test_a_running_pod_that_is_deleted_goes_when_its_vm_has_gone(play):
    async def story(stage):
        stage.pod("web", restartPolicy="Always")
        await stage.passes(100)
        assert stage.phase("web") == "Running"
        stage.delete("web")
        await stage.passes(20)
        assert [vm.state for vm in stage.arm.vms.values()] == ["Deleting"]
        assert stage.get("web")["metadata"]["deletionTimestamp"]
        assert stage.lab.in_cloud == [], "its containers ended first"
        await stage.passes(30)
        assert stage.store.list("pods") == []
        assert stage.records() == []
        assert stage.arm.leaks() == ()

    play(story)


def test_a_pod_deleted_while_its_vm_is_being_made_leaves_nothing_behind(play):
    async def story(stage):
        stage.pod("task", seconds=10)
        await stage.passes(20)
        stage.delete("task")
        await stage.passes(1)
        assert stage.store.list("pods") == []
        assert len(stage.arm.vms) == 1, "the shim's call goes on"
        await stage.passes(120)
        assert stage.arm.leaks() == ()
        assert stage.records() == []
        assert len(stage.lab.runs) == 0

    play(story)


@pytest.mark.parametrize(
    ("code", "needle", "left"),
    [
        pytest.param("SkuNotAvailable", "beginning VM creation or update", 0, id="refused at once"),
        pytest.param("AllocationFailed", "waiting for the VM creation", 1, id="failed late: the VM stays in Failed"),
    ],
)
def test_a_capacity_error_is_an_event_and_the_next_attempt_a_new_vm(play, code, needle, left):
    async def story(stage):
        stage.arm.faults.add(known_fault(code))
        stage.pod("task", seconds=10)
        await stage.passes(80)
        (event,) = stage.failures()
        text = event["message"]
        assert text.startswith("Failed to create pod sandbox: rpc error: code = Unknown desc = failed to start sandbox")
        assert "remote hypervisor call failed: " in text
        assert "creating an instance : Creating instance (<nil>): " in text
        assert needle in text
        assert code in text
        await stage.passes(150)
        assert stage.phase("task") == "Succeeded"
        (record,) = stage.records()
        await stage.passes(60)
        assert [vm.state for vm in stage.arm.vms.values()] == ["Failed"] * left
        if left:
            (leaked,) = stage.arm.vms.values()
            assert record["spec"]["instanceID"] != leaked.resource_id, "no record knows of it"

    play(story)


def test_quota_errors_repeat_with_the_kubelets_pauses_until_there_is_room(play):
    async def story(stage):
        stage.pod("task", seconds=10)
        await stage.passes(100)
        events = stage.failures()
        attempts = sum(event["count"] for event in events)
        assert 6 <= attempts <= 11, "one every 10 to 15 seconds"
        assert "exceeding approved" in events[0]["message"]
        assert stage.phase("task") == "Pending"
        stage.delete("task")
        await stage.passes(5)
        assert stage.store.list("pods") == []

    play(story, arm=ArmConfig(quotas={"westeurope/standarddcev6family": 0}))


def test_a_slow_vm_outlasts_the_kubelet_and_is_deleted_late(play):
    slow = ArmConfig(create_median_ms=300_000, create_p95_ms=300_000, delete_min_ms=30_000, delete_max_ms=30_000)

    async def story(stage):
        stage.pod("task", seconds=10)
        await stage.passes(241)
        (event,) = stage.failures()
        assert event["message"].endswith("rpc error: code = DeadlineExceeded desc = context deadline exceeded")
        assert len(stage.arm.vms) == 1
        await stage.passes(20)
        names = list(stage.arm.vms)
        assert len(names) == 2, "a second VM while the first is still being made"
        assert any("VM name not found" in line for line in stage.lab.adaptor.log)
        await stage.passes(100)
        assert names[0] not in stage.arm.vms, "made after all, and then deleted"
        stage.delete("task")
        await stage.passes(700)
        assert stage.arm.leaks() == ()

    play(story, arm=slow)


@pytest.mark.parametrize(
    ("annotations", "needle"),
    [
        pytest.param(
            {f"{PREFIX}machine_type": "Standard_M8ms"},
            'requested instance type ("Standard_M8ms") is not part of supported instance types list',
            id="size not allowed",
        ),
        pytest.param({f"{PREFIX}cc_init_data": "?"}, "error base64 decode initdata", id="broken initdata"),
        pytest.param(
            {f"{PREFIX}kernel_params": "x"}, f"annotation {PREFIX}kernel_params is not enabled", id="not enabled"
        ),
    ],
)
def test_what_the_shim_and_caa_refuse_never_reaches_arm(play, annotations, needle):
    async def story(stage):
        stage.pod("task", annotations=annotations)
        await stage.passes(5)
        assert needle in stage.failures()[0]["message"]
        assert list(stage.arm.vms) == []

    play(story)


def test_initdata_goes_into_the_vm_and_the_pods_own_goes_before_the_global_one(play):
    def packed(text):
        return encode_initdata(b'version = "0.1.0"\nalgorithm = "sha256"\n[data]\n"policy.rego" = "%s"\n' % text)

    async def story(stage):
        image = "/CommunityGalleries/x/Images/y/Versions/1"
        stage.pod("own", annotations={f"{PREFIX}cc_init_data": packed(b"own"), f"{PREFIX}image": image})
        stage.pod("bare")
        await stage.passes(100)
        for name, want_initdata, want_image in (
            ("own", b"own", image),
            ("bare", b"global", LAB_CONFIG["AZURE_IMAGE_ID"]),
        ):
            (vm,) = [vm for vm in stage.arm._cloud.vms.values() if vm.name.startswith(f"podvm-{name}-")]
            text = base64.b64decode(vm.user_data).decode()
            files = {file["path"]: file["content"] for file in json.loads(text.partition("\n")[2])["write_files"]}
            assert files["/run/peerpod/initdata"] == packed(want_initdata)
            assert json.loads(files["/run/peerpod/apf.json"])["pod-name"] == name
            assert vm.properties["storageProfile"]["imageReference"]["communityGalleryImageId"] == want_image

    play(story, config={"INITDATA": packed(b"global")})


def test_the_same_seed_makes_the_same_vms(play):
    async def story(stage):
        for number in range(8):
            stage.pod(f"t{number}", seconds=20 + number)
            await stage.passes(number)
        await stage.passes(300)
        stage.log = [(run.task, run.sandbox, run.started_at_ms, run.ended_at_ms) for run in stage.lab.runs]
        assert len(stage.log) == 8

    assert play(story, arm=ArmConfig(), seed=3).log == play(story, arm=ArmConfig(), seed=3).log
