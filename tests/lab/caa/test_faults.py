"""CAA's known failures, each switched on alone."""

import pytest

from burster.lab.caa.config import CaaFaults


def test_a_restart_restarts_every_peer_pod_and_the_older_vms_go_by_their_records(play):
    async def story(stage):
        stage.pod("web", restartPolicy="Always")
        await stage.passes(99)
        (first,) = stage.arm.vms
        assert stage.phase("web") == "Running"
        await stage.passes(2)
        assert stage.slots() is None, "down"
        await stage.passes(20)
        assert stage.slots() == "10"
        await stage.passes(120)
        pod = stage.get("web")
        assert pod["status"]["phase"] == "Running"
        assert pod["status"]["containerStatuses"][0]["restartCount"] == 1
        assert [run.outcome for run in stage.lab.runs] == ["Lost", ""]
        await stage.passes(60)
        (second,) = stage.arm.vms
        assert second != first
        (record,) = stage.records()
        assert record["spec"]["instanceID"].endswith(second)
        assert stage.lab.counters().vms_deleted_by_peerpod_ctrl == 1

    play(story, faults=CaaFaults(restart_after_ms=100_000))


def test_a_restart_fails_a_task_that_must_not_be_started_again(play):
    async def story(stage):
        stage.pod("task", seconds=1_000)
        await stage.passes(200)
        assert stage.phase("task") == "Failed"
        assert len(stage.lab.runs) == 1
        stage.delete("task")
        await stage.passes(100)
        assert stage.arm.leaks() == (), "its record goes with the pod, and the VM with its record"

    play(story, faults=CaaFaults(restart_after_ms=100_000))


def test_a_restart_that_keeps_its_sandboxes_disturbs_nobody(play):
    async def story(stage):
        stage.pod("task", seconds=300)
        await stage.passes(500)
        assert stage.phase("task") == "Succeeded"
        assert len(stage.lab.runs) == 1
        assert stage.arm.leaks() == ()

    play(story, faults=CaaFaults(restart_after_ms=100_000, restart_loses_sandboxes=False))


def test_a_crash_before_the_record_leaks_a_vm_nobody_knows(play):
    async def story(stage):
        stage.pod("task", seconds=10)
        stage.pod("other", seconds=10)
        await stage.passes(400)
        assert stage.phase("task") == "Succeeded"
        for name in ("task", "other"):
            stage.delete(name)
        await stage.passes(200)
        assert stage.records() == []
        left = [name for name in stage.arm.vms if name.startswith("podvm-task-")]
        assert len(left) == 1

    play(story, faults=CaaFaults(crash_before_record="default/task"))


def test_a_swallowed_delete_is_made_good_by_peerpod_ctrl_once_the_pod_is_deleted(play):
    async def story(stage):
        stage.pod("task", seconds=10)
        await stage.passes(300)
        assert stage.phase("task") == "Succeeded"
        assert len(stage.arm.vms) == 1, "ended, and still paid for"
        assert any("Error deleting an instance" in line for line in stage.lab.adaptor.log)
        stage.delete("task")
        await stage.passes(5)
        assert [record["metadata"]["finalizers"] for record in stage.records()] == [["peer.pod/finalizer"]]
        await stage.passes(60)
        assert stage.records() == []
        assert stage.arm.leaks() == ()
        assert stage.lab.counters().vms_deleted_by_peerpod_ctrl == 1

    play(story, faults=CaaFaults(swallow_delete=".*"))


@pytest.mark.parametrize(
    ("leak", "left"), [pytest.param(False, 0, id="deleted by StopVM"), pytest.param(True, 1, id="left behind")]
)
def test_a_slow_agent_costs_a_second_vm(play, leak, left):
    async def story(stage):
        stage.pod("task", seconds=10)
        await stage.passes(300)
        assert len(stage.failures()) == 1
        stage.log.append(len(stage.arm.vms))
        await stage.passes(60)
        assert [run.outcome for run in stage.lab.runs] in (["Succeeded"], [""])
        await stage.passes(120)
        assert stage.phase("task") == "Succeeded"

    stage = play(story, faults=CaaFaults(slow_vm="default/task", leak_abandoned=leak))
    assert stage.log == [1 + left]


def test_disablecvm_makes_plain_vms_without_a_word(play):
    async def story(stage):
        stage.pod(
            "task", seconds=10, annotations={"io.katacontainers.config.hypervisor.machine_type": "Standard_DC2es_v6"}
        )
        await stage.passes(100)
        stage.log = [event["message"] for event in stage.failures()]

    told = play(story, faults=CaaFaults(disable_cvm=True)).log
    assert "is not supported for creation of VMs and Virtual Machine Scale Set with '<NULL>' security type" in told[0]
    assert play(story).log == []


def test_global_initdata_that_cannot_be_read_stops_caa(play):
    async def story(stage):
        stage.pod("task", seconds=10)
        await stage.passes(60)
        assert stage.slots() is None
        assert "Insufficient kata.peerpods.io/vm" in stage.condition("task")["message"]
        assert any("base64 decode" in line for line in stage.lab.adaptor.log)

    play(story, faults=CaaFaults(global_initdata="?"))
