"""Why a policy does what it does, and why a pod waits: the whole chain."""

import pytest

from burster.engine.answers import Refusal
from burster.engine.gates import judge
from burster.engine.why import why_pod, why_policy
from burster.model import stimuli as s
from burster.model.limits import Budget
from burster.model.pods import Resources
from tests.support.builders import GIB, T0, Engine, a_pod, a_policy, a_target, an_offering


KEY = "bank/tasks"


def an_engine(*pods, policy=None, target=None, offerings=None) -> Engine:
    engine = Engine()
    engine.sync(
        s.PolicySeen(policy=a_policy("tasks", **(policy or {}))),
        s.TargetSeen(target=a_target(**(target or {}))),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),) if offerings is None else offerings),
        *(s.PodSeen(pod=pod) for pod in pods),
    )
    return engine


def chain(engine: Engine) -> list[tuple[str, str, bool]]:
    return [(link.check, link.about, link.holds) for link in why_policy(engine.state, KEY)]


def test_the_chain_of_a_policy_that_could_act():
    engine = an_engine(a_pod(cpu=64_000))
    assert chain(engine) == [
        ("Ledger", KEY, True),
        ("Drain", KEY, True),
        ("InForce", KEY, True),
        ("Breaker", KEY, True),
        ("Demand", KEY, False),
        ("Count", KEY, True),
        ("Target", "azure", True),
        ("Proof", "azure", True),
        ("Count", "azure", True),
        ("Count", "azure", True),
        ("Count", "azure", True),
        ("Offering", "bank/task-1 at azure", False),
    ]


BLOCKED = {
    "a ledger that can't be written": (
        {},
        {},
        s.LedgerHealth(writable=False, message="disk full"),
        "Ledger",
        "LedgerNotWritable",
    ),
    "a drain": ({}, {}, s.DrainRequested(), "Drain", "ComingHome"),
    "a pause": ({"paused": True}, {}, None, "InForce", "Paused"),
    "a refused version": ({}, {}, s.PolicyRefused(key=KEY, generation=4, message="no"), "InForce", "PolicyRefused"),
    "a full policy": ({"max_bursts": 0}, {}, None, "Count", "PolicyMaxBursts"),
    "a namespace that is not allowed": ({}, {"allowed_namespaces": ("shop",)}, None, "Target", "NamespaceNotAllowed"),
    "a target without a Trustee": ({}, {"trustee_url": ""}, None, "Proof", "TrusteeMissing"),
    "a missing target": ({}, {}, s.TargetGone(name="azure"), "Target", "TargetMissing"),
    "no size": ({}, {}, s.OfferingsSeen(target="azure", offerings=()), "Offering", "NoOfferings"),
}


@pytest.mark.parametrize(("policy", "target", "event", "check", "code"), BLOCKED.values(), ids=BLOCKED)
def test_the_first_link_that_does_not_hold_is_what_the_pod_is_told(policy, target, event, check, code):
    engine = an_engine(policy=policy, target=target)
    engine.send(*([] if event is None else [event]))
    engine.send(s.PodSeen(pod=a_pod()))
    broken = [link for link in why_policy(engine.state, KEY) if not link.holds and link.check != "Demand"]
    assert (broken[0].check, broken[0].reason.code) == (check, code)
    answer = judge(engine.state, engine.state.pods["bank/task-1"], engine.state.policies[KEY])
    assert isinstance(answer, Refusal)
    assert answer.reason.code == code
    assert broken[0].waits is (answer.verdict == "Wait")


def test_budgets_are_told_with_what_is_spent_and_reserved():
    engine = an_engine(a_pod(), policy={"budget": Budget(per_hour_micro_usd=150_000, per_day_micro_usd=9_000_000)})
    budgets = [link for link in why_policy(engine.state, KEY) if link.check == "Budget"]
    assert [link.reason.numbers["limit_micro_usd"] for link in budgets] == [150_000, 9_000_000]
    assert budgets[0].reason.sentence.startswith("Of $0.1500 per hour for policy tasks, $0.0000 are spent and $0.")
    assert all(link.holds for link in budgets)
    (held,) = {link.reason.numbers["used_micro_usd"] for link in budgets}
    assert held == engine.burst().spec.reserved_micro_usd


def test_one_pod_of_each_shape_stands_for_all_alike():
    engine = an_engine(*(a_pod(f"big-{n}", cpu=3_000) for n in range(3)), a_pod("huge", memory=900 * GIB))
    engine.send()
    assert ("Demand", KEY, False) in chain(engine)
    pods = {link.about for link in why_policy(engine.state, KEY) if link.check == "Offering"}
    assert pods <= {"bank/big-0 at azure", "bank/huge at azure"}


def test_an_unknown_policy_has_no_chain():
    assert why_policy(an_engine().state, "bank/none") == ()


def test_why_a_pod_waits_names_the_blocker_and_its_numbers():
    engine = an_engine(a_pod("one"), a_pod("two"), policy={"max_bursts": 1})
    why = why_pod(engine.state, "bank/two")
    assert why is not None
    assert (why.policy, why.verdict, why.burst) == (KEY, "Wait", "")
    assert why.reasons[0].code == "PolicyMaxBursts"
    assert why.reasons[0].numbers == {"active": 1, "max_bursts": 1}


def test_why_a_pod_is_answered_names_its_burst():
    engine = an_engine(a_pod("one"))
    why = why_pod(engine.state, "bank/one")
    assert why is not None
    assert (why.verdict, why.burst) == ("Burst", engine.burst().key)
    assert why.reasons[0].sentence == f"{engine.burst().key} answers it and is Reserved."


def test_why_a_young_pod_waits():
    engine = an_engine(a_pod("one", since=T0 - 10_000), policy={"pending_for_ms": 30_000})
    why = why_pod(engine.state, "bank/one")
    assert why is not None
    assert (why.verdict, why.reasons[0].code) == ("Wait", "TooYoung")
    assert "pending for 10s" in why.reasons[0].sentence
    assert "waits 30s" in why.reasons[0].sentence


def test_why_a_pod_of_nobody_waits():
    engine = an_engine(a_pod("one", namespace="elsewhere"))
    why = why_pod(engine.state, "elsewhere/one")
    assert why is not None
    assert (why.verdict, why.reasons[0].code) == ("Deny", "NoPolicy")


def test_a_pod_that_is_not_pending_has_no_why():
    assert why_pod(an_engine().state, "bank/none") is None


def test_a_chain_looks_and_changes_nothing():
    engine = an_engine(a_pod("one"), a_pod("two", requests=Resources(cpu_millicores=9_000, memory_bytes=1)))
    before = len(engine.decisions)
    assert why_policy(engine.state, KEY) == why_policy(engine.state, KEY)
    engine.send()
    assert len(engine.decisions) == before
