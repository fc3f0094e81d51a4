"""What a target's status says: why it can't be used, whether its cloud answers, and what is out there."""

from typing import Any

from burster.engine.statuses import APART_MS
from burster.model import stimuli as s
from burster.model.instructions import WriteTargetStatus
from burster.model.targets import Target
from tests.support.builders import T0, Engine, a_pod, a_policy, a_target, a_vm, an_offering


FIVE_MINUTES = 300_000


def known(**changes: Any) -> Target:
    return a_target(**({"uid": "t-1", "generation": 3} | changes))


def offered(*offerings: Any) -> s.OfferingsSeen:
    return s.OfferingsSeen(target="azure", offerings=offerings or (an_offering(2), an_offering(4)))


def refused(**changes: Any) -> s.TargetRefused:
    values = {"name": "azure", "uid": "t-1", "generation": 4, "message": "spec.sizes: is required."}
    return s.TargetRefused(**(values | changes))


def an_engine(*facts: s.Stimulus) -> Engine:
    engine = Engine()
    engine.sync(s.PolicySeen(policy=a_policy()), *(facts or (s.TargetSeen(target=known()), offered())))
    return engine


def written(engine: Engine) -> WriteTargetStatus:
    (status,) = engine.asked("WriteTargetStatus")
    return status


def told(status: WriteTargetStatus) -> dict[str, tuple[str, str, int]]:
    return {one.type: (one.status, one.reason, one.since_ms - T0) for one in status.conditions}


def words(status: WriteTargetStatus, kind: str) -> str:
    return next(one.message for one in status.conditions if one.type == kind)


def answer(engine: Engine, *more: s.Stimulus, after_ms: int = APART_MS) -> None:
    engine.send(s.TargetStatusWritten(target="azure"), *more, after_ms=after_ms)


def events(engine: Engine) -> list[tuple[str, str, str]]:
    return [(one.severity, one.reason, one.namespace) for one in engine.asked("EmitEvent") if one.kind == "BurstTarget"]


def test_a_target_that_can_be_used_is_ready_and_says_what_it_offers() -> None:
    engine = an_engine(
        s.TargetSeen(target=known()),
        offered(an_offering(2), an_offering(4, price_micro_usd_per_hour=None), an_offering(8, restricted="NoQuota")),
    )
    status = written(engine)
    assert (status.target, status.key, status.generation) == ("azure", "target-status/azure", 3)
    assert told(status) == {
        "Accepted": ("True", "Valid", 0),
        "Ready": ("True", "Ready", 0),
        "Reachable": ("True", "CloudAnswers", 0),
    }
    assert status.offerings == 1, "one has no price, and one may not be used"
    assert events(engine) == [], "good news of a target that is new here is no event"


def test_a_target_that_no_api_server_has_is_told_nothing() -> None:
    assert an_engine(s.TargetSeen(target=a_target())).asked("WriteTargetStatus") == []


def test_a_refused_target_tells_why() -> None:
    engine = an_engine()
    answer(engine, refused())
    status = written(engine)
    assert status.generation == 4
    assert told(status) == {"Accepted": ("False", "Invalid", APART_MS), "Ready": ("False", "Invalid", APART_MS)}
    assert words(status, "Accepted") == (
        "spec.sizes: is required. Nothing new starts there, and no lease there is renewed."
    )
    assert events(engine) == [("Warning", "TargetRefused", "")]
    assert engine.state.targets == {}, "for all else it is gone"
    answer(engine, s.TargetSeen(target=known(generation=5)))
    assert told(written(engine))["Accepted"] == ("True", "Valid", 2 * APART_MS)
    assert ("Normal", "TargetAccepted", "") in events(engine)


def test_a_target_that_was_never_valid_has_a_status_too_and_none_when_it_is_gone() -> None:
    engine = an_engine(refused(code="ProviderNotSupported"))
    assert told(written(engine))["Ready"] == ("False", "ProviderNotSupported", 0)
    assert events(engine) == [("Warning", "TargetRefused", "")]
    answer(engine, s.TargetGone(name="azure"))
    assert (engine.state.refused_targets, engine.state.target_statuses) == ({}, {})


def test_a_cloud_of_which_nothing_is_known_yet_is_neither_reachable_nor_not() -> None:
    engine = an_engine(s.TargetSeen(target=known()))
    assert told(written(engine)) == {
        "Accepted": ("True", "Valid", 0),
        "Ready": ("False", "NotReadYet", 0),
        "Reachable": ("Unknown", "NotReadYet", 0),
    }
    assert events(engine) == []


def test_what_can_not_be_read_is_told_and_what_was_read_counts_on() -> None:
    engine = an_engine()
    engine.send(s.QuotaSeen(target="azure", rows=()))
    for fact, reason in (("quota", "QuotaUnread"), ("prices", "PricesUnread"), ("offerings", "OfferingsUnread")):
        answer(engine, s.TargetUnread(target="azure", fact=fact, message="503: try later."))
        status = written(engine)
        assert told(status)["Reachable"][:2] == ("False", reason)
        assert told(status)["Ready"][:2] == ("True", "Ready")
        assert f"Its {fact} can't be read: 503: try later." in words(status, "Reachable")
    assert status.offerings == 2
    answer(engine, s.QuotaSeen(target="azure", rows=()), offered())
    assert told(written(engine))["Reachable"][:2] == ("True", "CloudAnswers")
    assert events(engine) == [("Normal", "TargetReachable", "")]


def test_an_unread_fact_of_a_target_that_is_gone_is_nobodys() -> None:
    engine = an_engine()
    engine.send(s.TargetGone(name="azure"), s.TargetUnread(target="azure", fact="quota", message="m"))
    assert engine.state.targets == {}


def test_an_open_breaker_is_told_until_the_target_is_edited() -> None:
    engine = an_engine()
    answer(engine, s.PodSeen(pod=a_pod()))
    burst = engine.burst()
    engine.send(s.BurstRecorded(key=burst.key, uid="b"), s.PodPlaced(key=burst.key, pod_uid="p"), after_ms=5)
    engine.send(engine.pod_event("Running", burst.key), after_ms=60_000)
    plain = a_vm(burst, created_at=engine.now, security_type="")
    answer(engine, s.VmsObserved(key=burst.key, vms=(plain,)))
    status = written(engine)
    assert told(status)["Ready"][:2] == ("False", "BreakerOpen")
    assert words(status, "Ready").endswith("Nothing new starts there until the target is edited.")
    assert events(engine) == [("Warning", "BreakerOpened", "")]
    answer(engine, s.TargetSeen(target=known(generation=9)))
    assert told(written(engine))["Ready"][:2] == ("True", "Ready")


def test_a_target_that_is_evacuated_or_has_no_trustee_is_not_ready() -> None:
    engine = an_engine()
    answer(engine, s.TrusteeHealth(target="azure", healthy=False, message="503."))
    assert told(written(engine))["Ready"][:2] == ("False", "TrusteeDown")
    answer(engine, s.DrainRequested(target="azure"))
    assert told(written(engine))["Ready"][:2] == ("False", "TargetEvacuated")


def test_sizes_of_which_none_may_be_had_make_it_not_ready() -> None:
    engine = an_engine(s.TargetSeen(target=known()), offered(an_offering(2, restricted="not offered in westeurope")))
    assert told(written(engine))["Ready"][:2] == ("False", "NoOfferings")


def test_its_bursts_and_their_money_are_counted_and_settled_money_leaves_with_its_month() -> None:
    engine = an_engine()
    answer(engine, s.PodSeen(pod=a_pod()))
    status = written(engine)
    assert (status.bursts, status.vcpus) == (1, 2)
    assert status.reserved_micro_usd == engine.burst().status.reserved_micro_usd > 0
    spent = s.Spend(burst="bank/old", uid="u", policy="bank/tasks", target="azure", at_ms=engine.now, micro_usd=7_000)
    answer(engine, s.LedgerRestored(entries=(spent,)))
    assert written(engine).spent_micro_usd == 7_000
    answer(engine)
    month_end = 1_769_904_000_000  # 2026-02-01
    answer(engine, after_ms=month_end - engine.now)
    assert written(engine).spent_micro_usd == 0


def test_many_changes_are_one_write_in_five_seconds() -> None:
    engine = an_engine()
    answer(engine, s.PodSeen(pod=a_pod("a")), after_ms=1)
    engine.send(s.PodSeen(pod=a_pod("b")), after_ms=1)
    assert engine.asked("WriteTargetStatus") == []
    engine.wait(APART_MS)
    assert written(engine).bursts == 2
    answer(engine)
    assert engine.asked("WriteTargetStatus") == [], "nothing new is nothing written"


def test_one_that_could_not_be_written_is_tried_again_with_growing_pauses() -> None:
    engine = an_engine()
    failure = s.InstructionFailed(
        instruction="WriteTargetStatus", key="target-status/azure", subject="azure", kind="Unauthorized", message="no"
    )
    for pause_ms in (APART_MS, 2 * APART_MS, 4 * APART_MS):
        engine.send(failure)
        assert engine.asked("WriteTargetStatus") == []
        engine.wait(pause_ms - 1)
        assert engine.asked("WriteTargetStatus") == []
        engine.wait(1)
        assert written(engine).generation == 3


def test_a_restart_keeps_since_when_each_condition_holds() -> None:
    before = {"Ready": ("True", T0 - FIVE_MINUTES), "Reachable": ("False", T0 - FIVE_MINUTES)}
    engine = an_engine(s.TargetSeen(target=known(), told=before), offered())
    assert told(written(engine)) == {
        "Accepted": ("True", "Valid", 0),
        "Ready": ("True", "Ready", -FIVE_MINUTES),
        "Reachable": ("True", "CloudAnswers", 0),
    }
    assert events(engine) == [("Normal", "TargetReachable", "")], "it turned while nobody looked"


def test_a_restart_does_not_tell_of_a_refusal_again() -> None:
    before = {"Accepted": ("False", T0 - 1), "Ready": ("False", T0 + FIVE_MINUTES)}
    engine = an_engine(refused(told=before))
    assert told(written(engine)) == {"Accepted": ("False", "Invalid", -1), "Ready": ("False", "Invalid", 0)}
    assert events(engine) == []
