"""Bursts, pods and marks that somebody else made and that claim to be burster's: told of, and never counted, adopted or acted on."""

from typing import Any

import msgspec

from burster.engine.bursts.provenance import SKEW_MS
from burster.model import stimuli as s
from burster.model.bursts import Burst
from tests.adversarial.test_adoption import a_record
from tests.support.builders import T0, Engine, a_policy, a_service_pod, a_target, an_offering


LONG_AGO = T0 - 30 * 86_400_000
RECORD = "bank/burst-1"


def an_engine(*facts: s.Stimulus, since_ms: int | None = LONG_AGO, decided: tuple[str, ...] = ()) -> Engine:
    engine = Engine()
    engine.sync(
        s.LedgerRestored(entries=(), decided=decided, since_ms=since_ms),
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        *facts,
    )
    return engine


def seen(record: Burst, created_at_ms: int = T0 - 60_000) -> s.BurstSeen:
    return s.BurstSeen(burst=record, created_at_ms=created_at_ms)


def counts_nothing(engine: Engine) -> None:
    assert engine.state.bursts == {}
    assert engine.spends == []
    assert not [one for one in engine.instructions if type(one).__name__ not in {"WritePolicyStatus", "EmitEvent"}]
    for account in (engine.state.policies["bank/tasks"].account, engine.state.targets["azure"].account):
        assert (account.outstanding_micro_usd, account.settled_total_micro_usd) == (0, 0)


def test_a_burst_made_by_hand_is_told_of_and_left_alone() -> None:
    for strategy in ("Clone", "Move"):
        for phase in ("Reserved", "Placing", "Provisioning", "Attesting", "Serving", "Draining", "Releasing", "Failed"):
            engine = an_engine(seen(a_record(strategy, phase)))
            counts_nothing(engine)
            assert engine.codes().count("RecordForeign") == 1, (strategy, phase)


def test_money_in_a_forged_record_is_nobodys() -> None:
    forged = a_record("Move", "Released", settled_micro_usd=10**15, released_at_ms=T0 - 1_000)
    engine = an_engine(seen(forged))
    counts_nothing(engine)
    assert engine.state.settled == {}


def test_it_is_told_of_once_however_often_it_changes_and_again_when_it_is_made_anew() -> None:
    engine = an_engine(seen(a_record("Clone", "Reserved")))
    for phase in ("Placing", "Serving", "Released"):
        engine.send(seen(a_record("Clone", phase)))
    assert engine.codes().count("RecordForeign") == 1
    engine.send(s.BurstGone(key=RECORD, uid="b-1"))
    assert engine.state.provenance.foreign == {}
    engine.send(seen(msgspec.structs.replace(a_record("Clone", "Serving"), uid="b-2")))
    assert engine.codes().count("RecordForeign") == 2
    counts_nothing(engine)


def test_a_record_that_the_ledger_decided_is_adopted() -> None:
    engine = an_engine(seen(a_record("Clone", "Placing")), decided=(RECORD,))
    assert list(engine.state.bursts) == [RECORD]


def test_a_record_older_than_the_ledger_is_adopted_as_the_ledger_may_have_been_lost() -> None:
    since_ms = T0 - 10_000
    assert an_engine(seen(a_record("Clone", "Placing"), since_ms + SKEW_MS), since_ms=since_ms).state.bursts
    assert not an_engine(seen(a_record("Clone", "Placing"), since_ms + SKEW_MS + 1), since_ms=since_ms).state.bursts


def test_a_record_under_the_name_of_one_that_was_settled_is_foreign() -> None:
    spend = s.Spend(burst=RECORD, uid="b-0", policy="bank/tasks", target="azure", at_ms=T0 - 9_000, micro_usd=77)
    engine = Engine()
    engine.sync(
        s.LedgerRestored(entries=(spend,), decided=(RECORD,), since_ms=LONG_AGO),
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        seen(a_record("Clone", "Serving")),
    )
    assert engine.state.bursts == {}
    assert "RecordForeign" in engine.codes()


def test_what_this_controller_decided_itself_is_its_own_also_as_a_late_echo() -> None:
    engine = an_engine(s.PodSeen(pod=a_service_pod("web-1")))
    (key,) = engine.state.bursts
    engine.to_serving(key)
    burst = engine.burst(key)
    engine.send(s.CloudPodGone(burst_uid=burst.uid, burst_key=key, pod_uid=burst.status.pod_uid))
    engine.send(s.PodLeft(namespace="bank", name="web-1", uid="uid-web-1", why="Gone"))
    engine.send(s.VmsObserved(key=key, vms=()))
    assert engine.phase(key) == "Released"
    engine.wait(3_600_000)
    engine.send(s.RecordDeleted(key=key))
    assert key not in engine.state.bursts
    engine.send(seen(burst, engine.now))
    assert "RecordForeign" not in engine.codes()
    assert engine.phase(key) == "Released", "it is closed again, and costs nothing a second time"


def a_forged_pod(pod_uid: str = "forged", name: str = "mine", **changes: Any) -> s.CloudPodSeen:
    values = {
        "burst_uid": "b-1",
        "burst_key": RECORD,
        "phase": "Running",
        "size": "Standard_DC2es_v6",
        "runtime_class": "kata-remote",
    }
    return s.CloudPodSeen(**(values | {"pod_uid": pod_uid, "name": name} | changes))


def test_a_pod_that_claims_a_bursts_record_does_not_hide_the_real_one_at_start() -> None:
    record = a_record("Clone", "Serving", serving_at_ms=T0)
    real = a_forged_pod("p-1", record.spec.pod_name)
    for order in ((real, a_forged_pod()), (a_forged_pod(), real)):
        engine = an_engine(*order, seen(record), decided=(RECORD,))
        assert engine.phase(RECORD) == "Serving", "the burst has its own pod still"
        assert engine.state.bursts[RECORD].pod == real


def test_a_pod_that_claims_a_burst_before_its_own_is_placed_is_not_taken_for_it() -> None:
    engine = an_engine(s.PodSeen(pod=a_service_pod("web-1")))
    (key,) = engine.state.bursts
    engine.send(s.BurstRecorded(key=key, uid="b-1"))
    forged = a_forged_pod(burst_key=key)
    engine.send(forged)
    assert engine.state.bursts[key].pod is None
    assert not engine.state.bursts[key].ran
    gone = s.CloudPodGone(burst_uid="b-1", burst_key=key, pod_uid="forged", name="mine")
    engine.send(gone)
    assert engine.state.bursts[key].gone_pod_uid == ""
    assert engine.phase(key) == "Placing"


def test_a_pod_that_claims_an_ended_burst_is_not_brought_home() -> None:
    engine = an_engine(seen(a_record("Clone", "Releasing")), decided=(RECORD,))
    engine.send(a_forged_pod())
    assert engine.phase(RECORD) in {"Releasing", "Released"}
    assert not engine.asked("DeletePod")


def test_pods_that_claim_bursts_of_no_name_leave_nothing_behind_when_they_go() -> None:
    engine = an_engine()
    for number in range(1_000):
        key = f"bank/none-{number % 10}"
        engine.send(a_forged_pod(f"p-{number}", burst_key=key))
        engine.send(s.CloudPodGone(burst_uid="b-1", burst_key=key, pod_uid=f"p-{number}", name="mine"))
    assert engine.state.early_pods == {}
    counts_nothing(engine)
