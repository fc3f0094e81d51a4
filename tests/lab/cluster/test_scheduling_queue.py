"""Who is scheduled when: order, waiting, and what wakes the waiting up."""

import time


def _waiting(stage):
    return [pod["metadata"]["name"] for pod in stage.pods() if not pod["spec"].get("nodeName")]


def test_a_pod_that_fits_is_bound_at_the_same_instant(play):
    async def story(stage):
        stage.node("a")
        began = stage.clock.now_ms()
        stage.pod("p")
        await stage.passes(0.001)
        assert stage.node_of("p") == "a"
        assert stage.condition("p")["status"] == "True"
        assert stage.clock.now_ms() - began == 1

    play(story)


def test_a_pod_that_fits_nowhere_says_so_once(play):
    async def story(stage):
        stage.node("a", cpu="2")
        stage.node("b", cpu="2")
        stage.pod("big", cpu="3")
        await stage.passes(5)
        told = stage.condition("big")
        assert (told["status"], told["reason"]) == ("False", "Unschedulable")
        assert told["message"] == "0/2 nodes are available: 2 Insufficient cpu."
        assert told["lastTransitionTime"] == "2026-01-05T08:00:00Z"
        stage.node("c", cpu="1")
        stage.pod("big2", cpu="3")
        await stage.passes(5)
        again = stage.condition("big")
        assert again["message"] == "0/3 nodes are available: 3 Insufficient cpu."
        assert again["lastTransitionTime"] == "2026-01-05T08:00:00Z", "the message changed, the status did not"
        assert [event["count"] for event in stage.events("FailedScheduling")] == [1, 1, 1]

    play(story)


def test_room_wakes_the_waiting_up(play):
    async def story(stage):
        stage.node("a", cpu="1")
        stage.pod("first", seconds=10)
        stage.pod("second", seconds=10)
        stage.pod("third", seconds=1000)
        stage.pod("fourth", seconds=1000)
        await stage.passes(5)
        assert _waiting(stage) == ["fourth", "second", "third"]
        await stage.passes(10)
        assert _waiting(stage) == ["fourth", "third"], "the first finished"
        stage.store.delete("pods", "default", "second")
        await stage.passes(5)
        assert _waiting(stage) == ["fourth"], "the second was deleted"
        node = stage.store.get("nodes", "", "a")
        raised = {**node["status"], "allocatable": {**node["status"]["allocatable"], "cpu": "2"}}
        stage.store.update("nodes", "", "a", {**node, "status": raised}, subresource="status")
        await stage.passes(0.1)
        assert _waiting(stage) == [], "the node grew"
        stage.pod("fifth")
        await stage.passes(0.1)
        assert _waiting(stage) == ["fifth"]
        stage.node("b", cpu="1")
        await stage.passes(0.1)
        assert stage.node_of("fifth") == "b", "a node joined"

    play(story)


def test_priority_goes_first_then_age_and_small_ones_are_not_held_up_by_large_ones(play):
    async def story(stage):
        stage.node("a", cpu="1")
        stage.pod("now", seconds=10)
        await stage.passes(0.1)
        stage.pod("old")
        stage.pod("large", cpu="2", spec={"priority": 99})
        await stage.passes(2)
        stage.pod("young")
        stage.pod("urgent", spec={"priority": 10}, seconds=10)
        await stage.passes(12)
        assert stage.node_of("urgent") == "a"
        await stage.passes(12)
        assert stage.node_of("old") == "a"
        assert _waiting(stage) == ["large", "young"]

    play(story)


def test_gated_terminating_and_foreign_pods_are_left_alone(play):
    async def story(stage):
        stage.node("a")
        stage.pod("gated", spec={"schedulingGates": [{"name": "quota"}]})
        stage.pod("foreign", spec={"schedulerName": "other"})
        stage.pod("held", cpu="99", finalizers=["example.com/hold"])
        await stage.passes(1)
        assert stage.condition("gated")["reason"] == "SchedulingGated"
        assert stage.condition("foreign") == {}
        stage.store.delete("pods", "default", "held")
        assert stage.lab.scheduler.waiting == 0
        gated = stage.get("gated")
        stage.store.update("pods", "default", "gated", {**gated, "spec": {**gated["spec"], "schedulingGates": []}})
        await stage.passes(1)
        assert stage.node_of("gated") == "a"

    play(story)


def test_load_is_spread_and_equal_nodes_go_by_name(play):
    async def story(stage):
        for name in ("c", "a", "b"):
            stage.node(name)
        for number in range(6):
            stage.pod(f"p{number}")
            await stage.passes(0.01)
        assert [stage.node_of(f"p{number}") for number in range(6)] == ["a", "b", "c", "a", "b", "c"]

    play(story)


def test_ten_thousand_pending_pods_cost_one_look_per_freed_slot(play):
    async def story(stage):
        stage.node("a", cpu="2")
        for number in range(10_000):
            stage.pod(f"p{number:05}", cpu="1" if number % 2 else "900m", seconds=10)
        await stage.passes(1)
        assert stage.lab.scheduler.waiting == 9_998
        stage.log.append(stage.lab.scheduler.attempts)
        began = time.process_time()
        await stage.passes(115)
        stage.log.append(time.process_time() - began)
        stage.log.append(stage.lab.scheduler.attempts)

    stage = play(story)
    before, cpu_seconds, after = stage.log
    assert before <= 10, "two shapes: each is looked at until its first refusal"
    assert after - before <= 60, "ten rounds of two freed slots"
    assert cpu_seconds < 1.0
