"""VM slots of the nodes: advertised, taken, and withdrawn."""

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.faults import Fault
from burster.lab.caa.capacity import advertise, withdraw


OWNER = "kata.peerpods.io/caa-owner"


def test_slots_limit_peer_pods_and_a_pod_without_one_waits_with_a_reason_of_its_own(play):
    async def story(stage):
        assert (stage.slots("worker"), stage.slots("plain")) == ("2", None)
        for number in range(3):
            stage.pod(f"p{number}", seconds=10)
        await stage.passes(5)
        told = stage.condition("p2")
        assert told["reason"] == "Unschedulable"
        assert told["message"] == (
            "0/2 nodes are available: 1 Insufficient kata.peerpods.io/vm, 1 node(s) didn't match Pod's node affinity/selector."
        )
        await stage.passes(300)
        assert {run.outcome for run in stage.lab.runs} == {"Succeeded"}
        assert len(stage.lab.runs) == 3

    play(story, config={"PEERPODS_LIMIT_PER_NODE": "2"})


def test_the_default_is_ten_zero_advertises_zero_and_a_negative_limit_nothing(play):
    async def story(stage):
        stage.log.append(stage.slots())

    assert play(story, config={"PEERPODS_LIMIT_PER_NODE": ""}).log == ["10"]
    assert play(story, config={"PEERPODS_LIMIT_PER_NODE": "0"}).log == ["0"]
    assert play(story, config={"PEERPODS_LIMIT_PER_NODE": "-1"}).log == [None]


def test_the_slots_go_when_caa_stops(play):
    async def story(stage):
        assert stage.store.get("nodes", "", "worker")["metadata"]["annotations"][OWNER]

    stage = play(story)
    assert stage.slots() is None
    assert OWNER not in stage.store.get("nodes", "", "worker")["metadata"].get("annotations", {})


def test_an_old_caa_does_not_take_its_successors_slots_away(play):
    async def story(stage):
        advertise(stage.store, "worker", owner="new", limit=7)
        withdraw(stage.store, "worker", owner="old")
        assert stage.slots() == "7"
        withdraw(stage.store, "worker", owner="new")
        assert stage.slots() is None

    play(story)


def test_without_arm_caa_does_not_come_up_and_tries_again(play):
    refusal = Fault(operation="ListSizes", status=403, code="AuthorizationFailed", message="no", times=2)

    async def story(stage):
        assert stage.slots() is None
        stage.pod("p", seconds=10)
        await stage.passes(29)
        assert stage.slots() is None, "refused again"
        await stage.passes(2)
        assert stage.slots() == "10"
        await stage.passes(300)
        assert stage.phase("p") == "Succeeded"
        stage.arm.faults.add(refusal)
        await stage.lab.adaptor.restart("worker")
        assert stage.slots() == "10"

    play(story, arm=ArmConfig(faults=(refusal,)))
