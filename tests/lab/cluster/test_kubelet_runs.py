"""How a pod lives on its node, and that the run log tells the truth."""

import pytest

from burster.lab.cluster.kubelet import KubeletConfig


def _phase(stage, name):
    return stage.get(name)["status"]["phase"]


def test_a_task_is_created_runs_its_time_and_succeeds(play):
    async def story(stage):
        stage.node("a")
        stage.pod("task", seconds=60)
        await stage.passes(0.5)
        waiting = stage.get("task")["status"]
        assert waiting["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
        assert (waiting["phase"], waiting["startTime"]) == ("Pending", "2026-01-05T08:00:00Z")
        await stage.passes(1.5)
        running = stage.get("task")["status"]
        assert (running["phase"], running["containerStatuses"][0]["ready"]) == ("Running", True)
        assert stage.condition("task", "Ready")["status"] == "True"
        assert running["podIP"].startswith("10.")
        await stage.passes(59)
        assert _phase(stage, "task") == "Running"
        await stage.passes(1)
        ended = stage.get("task")["status"]
        assert ended["phase"] == "Succeeded"
        assert ended["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 0
        assert stage.condition("task", "Ready")["reason"] == "PodCompleted"
        (run,) = stage.lab.runs
        assert (run.task, run.where, run.node, run.outcome) == ("default/task", "on-prem", "a", "Succeeded")
        assert run.ended_at_ms - run.started_at_ms == 60_000

    play(story)


@pytest.mark.parametrize(
    ("restart_policy", "annotations", "want"),
    [
        pytest.param("Never", {}, "Succeeded", id="a task ends"),
        pytest.param("OnFailure", {}, "Succeeded", id="so does one that would be restarted on failure"),
        pytest.param("Always", {}, "Running", id="a service runs for ever, whatever the annotation says"),
        pytest.param("Never", {"lab.burster.dev/exit-code": "3"}, "Failed", id="a task that ends badly"),
    ],
)
def test_what_becomes_of_a_run_time(play, restart_policy, annotations, want):
    async def story(stage):
        stage.node("a")
        stage.pod("p", seconds=10, annotations=annotations, spec={"restartPolicy": restart_policy})
        await stage.passes(100)
        assert _phase(stage, "p") == want

    play(story)


def test_readiness_gates_hold_ready_back_until_their_condition_is_true(play):
    async def story(stage):
        stage.node("a")
        stage.pod("p", spec={"readinessGates": [{"conditionType": "burster.dev/verified"}]})
        await stage.passes(5)
        ready = stage.condition("p", "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "ReadinessGatesNotReady")
        assert (
            ready["message"] == 'corresponding condition of pod readiness gate "burster.dev/verified" does not exist.'
        )
        assert stage.condition("p", "ContainersReady")["status"] == "True"
        for status in ("False", "True"):
            pod = stage.get("p")
            others = [c for c in pod["status"]["conditions"] if c["type"] != "burster.dev/verified"]
            conditions = [*others, {"type": "burster.dev/verified", "status": status}]
            stage.store.patch("pods", "default", "p", {"status": {"conditions": conditions}}, subresource="status")
            await stage.passes(5)
            assert stage.condition("p", "Ready")["status"] == status
        assert stage.condition("p", "Ready")["lastTransitionTime"] == "2026-01-05T08:00:10Z"

    play(story)


def test_deletion_waits_for_the_containers_and_then_takes_the_pod_away(play):
    async def story(stage):
        stage.node("a")
        stage.pod("p", seconds=500)
        await stage.passes(10)
        stage.store.delete("pods", "default", "p")
        await stage.passes(3)
        assert stage.get("p")["metadata"]["deletionTimestamp"]
        await stage.passes(3)
        assert stage.pods() == []
        (run,) = stage.lab.runs
        assert (run.outcome, run.ended_at_ms - run.started_at_ms) == ("Deleted", 13_500)
        assert stage.lab.fill().cpu_millicores_used == 0

    play(story, kubelet=KubeletConfig(stop_ms=5_000))


@pytest.mark.parametrize("grace", [pytest.param(2, id="shorter grace"), pytest.param(0, id="by force")])
def test_the_grace_period_cuts_the_stop_short(play, grace):
    async def story(stage):
        stage.node("a")
        stage.pod("p")
        await stage.passes(10)
        stage.store.delete("pods", "default", "p", grace_seconds=grace)
        await stage.passes(grace + 0.1)
        assert stage.pods() == []
        assert [run.outcome for run in stage.lab.runs] == ["Deleted"]

    play(story, kubelet=KubeletConfig(stop_ms=60_000))


def test_a_pod_deleted_before_its_start_never_runs_and_its_name_may_come_again(play):
    async def story(stage):
        stage.node("a")
        stage.pod("p", seconds=10)
        await stage.passes(0.5)
        stage.store.delete("pods", "default", "p")
        await stage.passes(0.5)
        assert len(stage.lab.runs) == 0
        stage.pod("p", seconds=10)
        await stage.passes(30)
        assert _phase(stage, "p") == "Succeeded"
        assert stage.lab.runs.started_more_than_once() == {}

    play(story)


def test_a_task_that_runs_twice_shows_in_the_log(play):
    async def story(stage):
        stage.node("a")
        for _ in range(2):
            stage.pod("p", seconds=10)
            await stage.passes(30)
            stage.store.delete("pods", "default", "p")
            await stage.passes(5)
        assert list(stage.lab.runs.started_more_than_once()) == ["default/p"]
        assert stage.lab.runs.overlapping() == {}, "one after the other"

    play(story)


def test_a_finalizer_keeps_the_ended_pod_until_its_holder_lets_go(play):
    async def story(stage):
        stage.node("a")
        stage.pod("p", finalizers=["example.com/hold"])
        await stage.passes(10)
        stage.store.delete("pods", "default", "p")
        await stage.passes(60)
        assert _phase(stage, "p") == "Failed"
        stage.store.patch("pods", "default", "p", {"metadata": {"finalizers": None}})
        await stage.passes(1)
        assert stage.pods() == []
        assert len(stage.lab.runs) == 1

    play(story)


def test_heartbeats_are_written_only_when_asked_for(play):
    async def story(stage):
        stage.node("a")
        await stage.passes(35)
        stage.log = [lease["spec"]["renewTime"] for lease in stage.store.list("leases.coordination.k8s.io")]

    assert play(story).log == []
    assert play(story, kubelet=KubeletConfig(heartbeat_ms=10_000)).log == ["2026-01-05T08:00:30.000000Z"]
