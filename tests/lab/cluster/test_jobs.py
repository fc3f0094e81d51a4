"""Jobs as Kubernetes 1.35 runs them, above all what happens to a pending pod that somebody deletes."""

from itertools import pairwise

import pytest

from burster.lab.cluster.jobstate import format_indexes


TRACKING = "batch.kubernetes.io/job-tracking"


def _job(stage, *, seconds=10, exit_code=0, cpu="1", **spec):
    annotations = {"lab.burster.dev/run-seconds": str(seconds), "lab.burster.dev/exit-code": str(exit_code)}
    container = {"name": "c", "image": "registry.local/job:1", "resources": {"requests": {"cpu": cpu}}}
    template = {
        "metadata": {"annotations": annotations},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    return stage.store.create(
        "jobs.batch", "default", {"metadata": {"name": "job"}, "spec": {**spec, "template": template}}
    )


def _status(stage):
    return stage.get("job", "jobs.batch")["status"]


def _condition(stage, kind):
    return stage.condition("job", kind, "jobs.batch")


def _delete(stage, *, release):
    (pod,) = stage.pods()
    meta = pod["metadata"]
    stage.store.delete("pods", "default", meta["name"], uid=meta["uid"], resource_version=meta["resourceVersion"])
    if release:
        stage.store.patch("pods", "default", meta["name"], {"metadata": {"finalizers": None}})
    return meta["name"]


def test_a_job_runs_its_completions_in_parallel_and_completes(play):
    async def story(stage):
        stage.node("a")
        _job(stage, completions=5, parallelism=2)
        await stage.passes(5)
        assert (_status(stage)["active"], _status(stage)["ready"]) == (2, 2)
        assert all(TRACKING in pod["metadata"]["finalizers"] for pod in stage.pods())
        await stage.passes(60)
        status = _status(stage)
        assert (status["active"], status["succeeded"], status["failed"]) == (0, 5, 0)
        assert _condition(stage, "SuccessCriteriaMet")["status"] == "True"
        assert _condition(stage, "Complete")["status"] == "True"
        assert status["completionTime"]
        assert len(stage.pods()) == 5, "its pods stay to be looked at"
        assert not any(pod["metadata"].get("finalizers") for pod in stage.pods())
        assert len(stage.lab.runs) == 5

    play(story)


def test_failures_are_tried_again_after_ten_twenty_and_forty_seconds(play):
    async def story(stage):
        stage.node("a")
        _job(stage, seconds=1, exit_code=1, backoffLimit=3)
        await stage.passes(300)
        starts = [run.started_at_ms for run in stage.lab.runs]
        gaps = [later - earlier for earlier, later in pairwise(starts)]
        # between two starts: a second of running, the back-off, and a second and a half to start
        assert gaps == [10_000 + 2_500, 20_000 + 2_500, 40_000 + 2_500]
        failed = _condition(stage, "Failed")
        assert (failed["status"], failed["reason"]) == ("True", "BackoffLimitExceeded")
        assert _status(stage)["failed"] == 4

    play(story)


def test_a_deleted_pending_pod_counts_as_failed_and_delays_its_replacement(play):
    async def story(stage):
        _job(stage)
        await stage.passes(5)
        first = _delete(stage, release=False)
        await stage.passes(2)
        assert stage.pods() == []
        assert _status(stage)["failed"] == 1
        await stage.passes(7)
        assert stage.pods() == []
        await stage.passes(4)
        (pod,) = stage.pods()
        assert pod["metadata"]["name"] != first

    play(story)


def test_with_its_finalizer_gone_at_once_nothing_is_counted_and_it_is_back_after_a_second(play):
    async def story(stage):
        _job(stage, backoffLimit=0)
        await stage.passes(5)
        for _ in range(20):
            _delete(stage, release=True)
            await stage.passes(0.9)
            assert stage.pods() == []
            await stage.passes(0.2)
            assert len(stage.pods()) == 1
            await stage.passes(2)
        assert _status(stage)["failed"] == 0
        assert _condition(stage, "Failed") == {}

    play(story)


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        pytest.param({"backoffLimit": 0}, "BackoffLimitExceeded", id="no failure allowed"),
        pytest.param(
            {"completionMode": "Indexed", "completions": 1, "backoffLimitPerIndex": 0, "backoffLimit": 2147483647},
            "FailedIndexes",
            id="no failure allowed for an index",
        ),
    ],
)
def test_where_no_failure_is_allowed_a_deleted_pending_pod_ends_the_job(play, spec, reason):
    async def story(stage):
        _job(stage, **spec)
        await stage.passes(5)
        _delete(stage, release=False)
        await stage.passes(60)
        assert _condition(stage, "Failed")["reason"] == reason
        assert stage.pods() == []

    play(story)


def test_with_replacement_policy_failed_it_takes_eighteen_seconds(play):
    async def story(stage):
        _job(stage, podReplacementPolicy="Failed")
        await stage.passes(5)
        _delete(stage, release=False)
        await stage.passes(17)
        assert [pod for pod in stage.pods() if not pod["metadata"].get("deletionTimestamp")] == []
        await stage.passes(2)
        assert len(stage.pods()) == 1

    play(story)


def test_an_index_is_kept_by_its_replacement(play):
    async def story(stage):
        stage.node("a", cpu="1")
        _job(stage, completionMode="Indexed", completions=3, parallelism=3, seconds=30)
        await stage.passes(10)
        waiting = [pod for pod in stage.pods() if not pod["spec"].get("nodeName")]
        indexes = {pod["metadata"]["annotations"]["batch.kubernetes.io/job-completion-index"] for pod in waiting}
        assert indexes == {"1", "2"}
        for pod in waiting:
            stage.store.delete("pods", "default", pod["metadata"]["name"])
            stage.store.patch("pods", "default", pod["metadata"]["name"], {"metadata": {"finalizers": None}})
        await stage.passes(2)
        again = [pod for pod in stage.pods() if not pod["spec"].get("nodeName")]
        assert {pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] for pod in again} == indexes
        await stage.passes(200)
        assert _status(stage)["completedIndexes"] == "0-2"
        assert _condition(stage, "Complete")["status"] == "True"

    play(story)


def test_a_suspended_job_makes_no_pods_until_it_is_resumed(play):
    async def story(stage):
        stage.node("a")
        _job(stage, suspend=True)
        await stage.passes(30)
        assert stage.pods() == []
        stage.store.patch("jobs.batch", "default", "job", {"spec": {"suspend": False}})
        await stage.passes(30)
        assert _condition(stage, "Complete")["status"] == "True"

    play(story)


def test_a_deleted_job_takes_its_tracked_pods_with_it(play):
    async def story(stage):
        stage.node("a", cpu="1")
        _job(stage, completions=3, parallelism=3, seconds=1000)
        await stage.passes(10)
        assert len(stage.pods()) == 3
        stage.store.delete("jobs.batch", "default", "job")
        await stage.passes(60)
        assert stage.pods() == []

    play(story)


@pytest.mark.parametrize(
    ("indexes", "want"),
    [
        pytest.param(set(), "", id="none"),
        pytest.param({3}, "3", id="one"),
        pytest.param({0, 1}, "0,1", id="neighbours"),
        pytest.param({0, 1, 2, 5, 7, 8, 9}, "0-2,5,7-9", id="runs"),
    ],
)
def test_indexes_are_written_as_ranges(indexes, want):
    assert format_indexes(indexes) == want
