"""Facts that come late, early, twice, out of order or not at all."""

import msgspec
import pytest

from burster.model import stimuli as s
from burster.model.bursts import Burst
from tests.support.builders import T0, Engine, a_pod, a_policy, a_service_pod, a_target, a_vm, an_offering


def failed(engine: Engine, instruction: str, kind: str, **changes: object) -> s.InstructionFailed:
    key = engine.burst().key
    values = {"instruction": instruction, "key": f"x/{key}", "subject": key, "kind": kind, "message": "no"}
    return s.InstructionFailed(**(values | changes))


def left(name: str = "task-1", why: str = "Gone") -> s.PodLeft:
    return s.PodLeft(namespace="bank", name=name, uid=f"uid-{name}", why=why)


def echo(burst: Burst, phase: str, **changes: object) -> s.BurstSeen:
    status = msgspec.structs.replace(burst.status, phase=phase)
    return s.BurstSeen(burst=msgspec.structs.replace(burst, status=status, **changes))


def test_late_echoes_of_our_own_writes_change_nothing(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    for phase in ("Reserved", "Placing", "Provisioning", "Attesting", "Serving", "Releasing", "Released"):
        assert ready.send(echo(burst, phase)) == ()
    assert ready.burst() == burst


def test_an_echo_that_comes_after_the_record_was_forgotten_is_not_settled_again(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    ready.send(ready.pod_event("Succeeded"))
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    ready.wait(3_600_000)
    ready.send(s.RecordDeleted(key=burst.key))
    assert not ready.state.bursts
    ready.send(echo(burst, "Serving"))
    assert ready.phase() == "Released"
    ready.send(s.BurstGone(key=burst.key, uid=burst.uid))
    assert not ready.state.bursts
    assert len(ready.spends) == 1
    assert ready.state.policies["bank/tasks"].account.outstanding_micro_usd == 0


def test_a_record_of_the_same_name_but_another_uid_is_not_ours(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    ready.send(echo(burst, "Serving", uid="another", deleting=True), s.BurstGone(key=burst.key, uid="another"))
    assert ready.phase() == "Serving"


def test_the_watch_shows_the_record_before_a_lost_answer_is_given_up(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(echo(burst, "Reserved", uid="b-9"))
    ready.send(failed(ready, "RecordBurst", "Conflict"))
    assert ready.phase() == "Placing", "the record exists: it is not forgotten as if it had never been written"
    assert ready.burst().uid == "b-9"


@pytest.mark.parametrize("kind", ["Timeout", "Unreachable", "Unavailable", "Throttled", "Protocol", "Expired"])
def test_an_unknown_placing_is_asked_for_again_before_anything_is_concluded(ready: Engine, kind: str) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    ready.send(s.BurstRecorded(key=ready.burst().key, uid="b-1"))
    ready.send(failed(ready, "PlacePod", kind))
    ready.send(s.DrainRequested())
    assert ready.phase() == "Placing", "there may be a pod: the burst is not closed over it"
    ready.wait(1_000)
    assert ready.asked("PlacePod")
    ready.send(s.PodPlaced(key=ready.burst().key, pod_uid="p-1"))
    assert ready.phase() == "Draining"


@pytest.mark.parametrize("kind", ["Invalid", "Unauthorized"])
def test_a_placing_refused_for_good_after_its_pod_was_seen_is_brought_home_not_closed(ready: Engine, kind: str) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    ready.send(s.CloudPodSeen(burst_uid="b-1", burst_key=burst.key, pod_uid="p-1", phase="Pending"))
    ready.send(failed(ready, "PlacePod", kind))
    assert (ready.phase(), ready.burst().status.pod_uid) == ("Failed", "p-1")
    assert not ready.asked("ReturnPod"), "its own cloud pod has the name"
    assert not ready.spends, "a VM may run: it is not settled"
    ready.send(s.VmsObserved(key=burst.key, vms=(a_vm(burst, created_at=T0),)))
    ready.send(s.StatusWritten(key=burst.key, phase="Failed"))
    assert ready.asked("DeletePod")


def test_a_placing_refused_for_good_whose_task_is_done_has_done_its_work(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    ready.send(s.CloudPodSeen(burst_uid="b-1", burst_key=burst.key, pod_uid="p-1", phase="Succeeded"))
    ready.send(failed(ready, "PlacePod", "Unauthorized"))
    assert (ready.phase(), ready.burst().status.outcome) == ("Releasing", "Succeeded")
    assert not ready.spends


def test_a_withdrawn_placing_of_unknown_outcome_is_closed_only_when_no_vm_is_left(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    ready.send(failed(ready, "PlacePod", "Timeout"))
    ready.wait(1_000)
    ready.send(failed(ready, "PlacePod", "Conflict"))
    assert ready.phase() == "Releasing"
    ready.send(s.VmsObserved(key=burst.key, vms=(a_vm(burst, created_at=T0),)))
    assert ready.phase() == "Releasing"
    ready.wait(5_000)
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    assert ready.phase() == "Releasing", (
        "the placing that nobody heard of may have made another, which no listing shows yet"
    )
    ready.wait(55_000)
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    assert ready.phase() == "Released"
    assert ready.burst().status.settled_micro_usd


def test_a_pod_that_is_not_as_it_was_decided_on_is_not_tried_again_in_a_hot_loop(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    for _ in range(5):
        ready.send(failed(ready, "RecordBurst", "Conflict"))
        assert not ready.state.bursts
        assert not ready.asked("RecordBurst")
        ready.wait(4_999)
        assert not ready.asked("RecordBurst")
        ready.wait(1)
        assert ready.asked("RecordBurst")


def test_pods_of_a_workload_that_is_gone_do_not_make_a_record_every_few_seconds(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_service_pod("web-1")))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    ready.send(failed(ready, "PlacePod", "Conflict"))
    assert ready.phase() == "Released"
    ready.wait(299_999)
    assert len(ready.state.bursts) == 1
    ready.wait(1)
    assert len(ready.state.bursts) == 2


def test_a_name_that_is_taken_by_another_record_is_not_tried_again(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    first = ready.burst().name
    ready.send(failed(ready, "RecordBurst", "AlreadyExists"))
    ready.wait(5_000)
    assert ready.burst().name != first


def test_a_late_word_about_a_pod_that_was_taken_is_no_new_demand(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    ready.send(s.PodPlaced(key=burst.key, pod_uid="p-1"))
    ready.send(s.PodSeen(pod=a_pod(terminating=True)), s.PodSeen(pod=a_pod()))
    assert list(ready.state.bursts) == [burst.key]
    assert not ready.state.pods


def test_a_pod_that_flickers_while_it_is_being_taken_keeps_its_one_burst(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    ready.send(s.BurstRecorded(key=ready.burst().key, uid="b-1"))
    ready.send(s.PodSeen(pod=a_pod(gated=True)))
    ready.send(s.PodSeen(pod=a_pod()))
    assert len(ready.state.bursts) == 1


def test_a_cloud_pod_that_is_seen_before_its_placing_is_answered_is_held_to_the_admission_check(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    ready.send(ready.pod_event("Running", pod_uid="p-1", runtime_class=""))
    ready.send(s.PodPlaced(key=burst.key, pod_uid="p-1"))
    assert (ready.phase(), ready.burst().status.reason) == ("Failed", "AdmissionMismatch")


def test_a_cloud_pod_that_went_before_its_placing_was_answered_is_not_waited_for(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    ready.send(ready.pod_event("Pending", pod_uid="p-1"))
    ready.send(s.CloudPodGone(burst_uid="b-1", burst_key=burst.key, pod_uid="p-1"))
    ready.send(s.PodPlaced(key=burst.key, pod_uid="p-1"))
    assert (ready.phase(), ready.burst().status.reason) == ("Releasing", "PodDeleted")
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    assert not ready.asked("ReturnPod"), "its owner deleted it: it is not brought back"


def test_another_pods_sandbox_failure_is_nothing_to_us(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    ready.send(s.PodPlaced(key=burst.key, pod_uid="p-1"))
    ready.send(s.SandboxFailed(burst_key=burst.key, pod_uid="p-0", count=9, kind="Quota", code="", message=""))
    assert ready.phase() == "Provisioning"


@pytest.mark.parametrize("why", ["Gone", "Bound"])
def test_a_move_is_withdrawn_if_its_pod_leaves_before_the_record_is_written(ready: Engine, why: str) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(left(why=why))
    assert not ready.instructions, "the record's write is under way"
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    assert ready.phase() == "Released"
    assert not ready.asked("PlacePod")


@pytest.mark.parametrize("after", ["Placing", "Provisioning", "Serving"])
def test_a_moved_pods_going_is_our_own_doing_from_its_placing_on(ready: Engine, after: str) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    if after == "Serving":
        ready.to_serving()
    else:
        ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    if after == "Provisioning":
        ready.send(s.PodPlaced(key=burst.key, pod_uid="p-1"))
    ready.send(left())
    assert ready.phase() == after


def test_an_end_is_on_record_before_a_moved_pod_is_deleted(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    ready.to_serving()
    ready.send(s.DrainRequested())
    assert ready.asked("WriteStatus")[0].burst.status.phase == "Draining"
    assert not ready.asked("DeletePod"), "a successor would take the missing pod for deleted by somebody else"
    ready.send(s.StatusWritten(key=ready.burst().key, phase="Serving"))
    assert not ready.asked("DeletePod"), "that was an earlier write"
    ready.send(s.StatusWritten(key=ready.burst().key, phase="Draining"))
    assert ready.asked("DeletePod")


def test_a_clones_deletion_waits_for_nothing(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_service_pod("web-1")))
    ready.to_serving()
    ready.send(s.DrainRequested())
    assert ready.asked("DeletePod")


def test_an_observation_that_began_before_the_pod_went_is_not_the_last_word(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.burst()
    ready.send(s.BurstRecorded(key=burst.key, uid="b-1"))
    ready.send(s.PodPlaced(key=burst.key, pod_uid="p-1"))
    ready.send(ready.pod_event("Running", pod_uid="p-1"))
    assert ready.asked("ObserveVms")
    ready.send(s.CloudPodGone(burst_uid="b-1", burst_key=burst.key, pod_uid="p-1"))
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    assert ready.phase() == "Releasing", "its VM may have come to life after the look"
    assert ready.asked("ObserveVms")
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    assert ready.phase() == "Released"


def test_the_clock_running_backwards_counts_as_standing_still(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    at = ready.state.now_ms
    ready.now = 0
    ready.send(ready.pod_event("Succeeded"))
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    assert ready.burst().status.released_at_ms == at
    assert ready.spends[0].micro_usd >= 0


def test_facts_about_the_unknown_are_borne(ready: Engine) -> None:
    unknown = "bank/nobody"
    ready.send(
        left("nobody"),
        s.BurstGone(key=unknown, uid="u"),
        s.CloudPodGone(burst_uid="u", burst_key=unknown, pod_uid="p"),
        s.SandboxFailed(burst_key=unknown, pod_uid="p", count=1, kind="Quota", code="", message=""),
        s.BurstRecorded(key=unknown, uid="u"),
        s.PodPlaced(key=unknown, pod_uid="p"),
        s.PodDeleted(key=unknown, gone=True),
        s.PodReturned(key=unknown),
        s.VmsObserved(key=unknown, vms=()),
        s.StatusWritten(key=unknown, phase="Serving"),
        s.RecordDeleted(key=unknown),
        s.VmDeleted(target="nowhere", vm="vm"),
        s.CloudListed(target="nowhere", listed_at_ms=0, vms=()),
        s.InstructionFailed(instruction="PlacePod", key="x", subject=unknown, kind="Timeout"),
        s.PolicyGone(key=unknown),
        s.TargetGone(name="nowhere"),
        s.QuotaSeen(target="nowhere", rows=()),
        s.DrainRequested(target="nowhere"),
        s.Tick(kind="evaluate"),
    )
    assert not ready.decisions
    assert not ready.state.bursts


def test_a_record_removed_by_force_lets_a_task_end_its_work_and_brings_a_clone_home(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    ready.send(s.BurstGone(key=burst.key, uid=burst.uid))
    assert ready.phase() == "Serving", "stopped, it could not be brought home: its manifest went with the record"
    ready.send(s.DrainRequested())
    ready.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=burst.key, pod_uid=burst.status.pod_uid))
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    assert ready.asked("ReturnPod")
    ready.send(failed(ready, "ReturnPod", "Invalid"))
    assert ready.codes()[-1] == "NotReturned"
    assert ready.phase() == "Released"


def test_a_return_that_is_refused_is_asked_for_until_it_is_done(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    ready.send(s.DrainRequested(), s.StatusWritten(key=burst.key, phase="Draining"))
    ready.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=burst.key, pod_uid=burst.status.pod_uid))
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    for kind in ("Unauthorized", "Invalid", "Unavailable", "Conflict"):
        ready.send(failed(ready, "ReturnPod", kind))
        ready.wait(60_000)
        assert ready.asked("ReturnPod"), "a quota or a webhook may relent; the manifest is safe in the record"


def test_a_target_that_is_deleted_and_made_again_keeps_what_was_spent_there(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    ready.send(s.TargetGone(name="azure"))
    ready.send(ready.pod_event("Succeeded"), after_ms=600_000)
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    ready.send(s.TargetSeen(target=a_target()))
    account = ready.state.targets["azure"].account
    assert account.settled_total_micro_usd == ready.spends[0].micro_usd > 0
    assert account.outstanding_micro_usd == 0


def test_no_lease_is_renewed_at_a_target_that_is_gone(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    ready.send(s.TargetGone(name="azure"))
    assert ready.phase() == "Serving"
    ready.wait(burst.status.lease_until_ms - ready.now)
    assert (ready.phase(), ready.burst().status.reason) == ("Draining", "LeaseNotRenewed")


def test_a_held_back_record_goes_at_once_when_the_ledger_can_be_written_again(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    ready.send(
        s.LedgerHealth(writable=False, message="disk full"),
        failed(ready, "RecordBurst", "Unauthorized", code="LedgerNotWritable"),
    )
    assert not ready.state.bursts
    ready.wait(5_000)
    ready.send(s.LedgerHealth(writable=True))
    assert ready.asked("RecordBurst")


def test_a_serving_pod_without_a_vm_is_lost_and_its_task_comes_home(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    burst = ready.to_serving()
    ready.send(s.CloudListed(target="azure", listed_at_ms=ready.now, vms=()))
    assert not ready.asked("ObserveVms"), "a listing may lag behind"
    ready.send(s.CloudListed(target="azure", listed_at_ms=ready.now + 300_000, vms=()), after_ms=300_000)
    assert ready.asked("ObserveVms")
    ready.send(s.VmsObserved(key=burst.key, vms=()))
    assert (ready.phase(), ready.burst().status.reason) == ("Lost", "VmLost")


def test_two_engines_told_the_same_in_one_batch_or_one_by_one_end_alike() -> None:
    facts = [s.PolicySeen(policy=a_policy()), s.TargetSeen(target=a_target())]
    facts += [s.OfferingsSeen(target="azure", offerings=(an_offering(2),)), s.PodSeen(pod=a_pod())]
    facts += [s.SourceSynced(source=name) for name in ("pods", "policies", "targets", "bursts", "cloud-pods")]
    at_once, one_by_one = Engine(), Engine()
    at_once.send(*facts)
    for fact in facts:
        one_by_one.send(fact)
    assert at_once.decisions == one_by_one.decisions
    assert at_once.instructions == one_by_one.instructions


def test_a_pod_that_is_to_be_read_anew_is_told_so(ready: Engine) -> None:
    ready.send(s.PodSeen(pod=a_pod()))
    ready.send(failed(ready, "RecordBurst", "Conflict"))
    told = ready.decisions[-1]
    assert (told.verdict, told.subject, told.reasons[0].code) == ("Wait", "bank/task-1", "ReadAnew")
    assert told.reasons[0].numbers == {"due_ms": ready.now + 5_000}
