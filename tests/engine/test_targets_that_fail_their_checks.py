"""No launch on doubt: a target whose checks find something that blocks takes nothing new, says why, and heals by itself."""

from typing import Any

import pytest

from burster.engine.gates import target_gates
from burster.engine.statuses import APART_MS
from burster.engine.why import why_policy
from burster.model import stimuli as s
from burster.model.instructions import WriteTargetStatus
from tests.support.builders import Engine, a_pod, a_policy, a_target, an_offering


NOT_CONFIDENTIAL = s.TargetProblem(
    code="ConfidentialVmsDisabled",
    sentence='peer-pods-cm says DISABLECVM "true": its VMs would not be confidential.',
    cure="Set DISABLECVM to false and restart cloud-api-adaptor.",
    blocks=True,
    peer_pods=True,
)
WARNED = s.TargetProblem(code="RolesTooBroad", sentence="burster may do anything there.", cure="Give it Reader.")
NOT_YET = s.TargetProblem(code=s.NOT_CHECKED_YET, sentence="It was not checked yet.", blocks=True)


def checked(*problems: s.TargetProblem, target: str = "azure") -> s.TargetChecked:
    return s.TargetChecked(target=target, problems=problems)


def an_engine(*problems: s.TargetProblem, **policy: Any) -> Engine:
    engine = Engine()
    engine.sync(
        checked(*problems),
        s.PolicySeen(policy=a_policy(**policy)),
        s.TargetSeen(target=a_target(uid="t-1", generation=3)),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2),)),
        s.PodSeen(pod=a_pod()),
    )
    return engine


def ready(engine: Engine) -> tuple[str, str, str]:
    statuses: list[WriteTargetStatus] = engine.asked("WriteTargetStatus")
    (found,) = [one for one in statuses[-1].conditions if one.type == "Ready"]
    return found.status, found.reason, found.message


def events(engine: Engine) -> list[str]:
    return [one.reason for one in engine.asked("EmitEvent") if one.kind == "BurstTarget"]


def test_a_blocking_problem_refuses_everything_with_its_own_code_and_cure() -> None:
    engine = an_engine(NOT_CONFIDENTIAL)
    assert engine.state.bursts == {}
    (decision,) = engine.decisions
    assert (decision.verdict, decision.reasons[0].code) == ("Deny", "ConfidentialVmsDisabled")
    assert decision.reasons[0].sentence == (
        'Nothing new starts at azure: peer-pods-cm says DISABLECVM "true": its VMs would not be confidential. '
        "Set DISABLECVM to false and restart cloud-api-adaptor."
    )


def test_the_condition_tells_problem_and_cure_and_one_event_says_so() -> None:
    engine = an_engine(NOT_CONFIDENTIAL, WARNED)
    assert ready(engine) == (
        "False",
        "ConfidentialVmsDisabled",
        'peer-pods-cm says DISABLECVM "true": its VMs would not be confidential. Set DISABLECVM to false and restart cloud-api-adaptor.',
    )
    assert events(engine) == ["TargetNotReady"]
    for _ in range(3):  # the same again, as a standing check says it
        engine.send(s.TargetStatusWritten(target="azure"), checked(NOT_CONFIDENTIAL, WARNED), after_ms=APART_MS)
        assert events(engine) == []


def test_it_heals_by_itself_at_the_next_check() -> None:
    engine = an_engine(NOT_CONFIDENTIAL)
    engine.send(s.TargetStatusWritten(target="azure"), checked(), after_ms=APART_MS)
    assert len(engine.state.bursts) == 1
    assert ready(engine)[:2] == ("True", "Ready")
    assert events(engine) == ["TargetReady"]


def test_a_warning_refuses_nothing_and_is_told_beside_the_good_news() -> None:
    engine = an_engine(WARNED)
    assert len(engine.state.bursts) == 1
    assert ready(engine) == (
        "True",
        "Ready",
        "Bursts may go there, as far as its limits have room. Worth a look: burster may do anything there. Give it Reader.",
    )


def test_what_was_not_checked_yet_waits_and_is_no_event() -> None:
    engine = an_engine(NOT_YET)
    assert [(d.verdict, d.reasons[0].code) for d in engine.decisions] == [("Wait", "NotCheckedYet")]
    assert ready(engine)[:2] == ("False", "NotCheckedYet")
    assert events(engine) == []


def test_a_problem_that_comes_later_stops_the_next_launch_and_leaves_what_runs() -> None:
    engine = an_engine()
    running = engine.to_serving()
    engine.send(checked(NOT_CONFIDENTIAL), s.PodSeen(pod=a_pod("task-2")), after_ms=1_000)
    assert list(engine.state.bursts) == [running.key]
    assert engine.phase(running.key) == "Serving"
    assert engine.codes("bank/task-2") == ["ConfidentialVmsDisabled"]


def test_another_target_of_the_policy_takes_it() -> None:
    engine = an_engine(NOT_CONFIDENTIAL, placement=_in_order("azure", "other"))
    engine.send(
        s.TargetSeen(target=a_target(name="other")),
        s.OfferingsSeen(target="other", offerings=(an_offering(2, target="other"),)),
        after_ms=1_000,
    )
    assert engine.burst().spec.target == "other"


@pytest.mark.parametrize("machine", [False, True])
def test_what_concerns_peer_pods_only_holds_no_machine_back(machine: bool) -> None:
    engine = an_engine(NOT_CONFIDENTIAL)
    refusal = target_gates(engine.state.targets["azure"], "bank", machine=machine)
    assert (refusal is None) is machine


def test_the_result_outlives_a_version_that_does_not_compile_and_not_the_target() -> None:
    engine = an_engine(NOT_CONFIDENTIAL)
    engine.send(s.TargetRefused(name="azure", uid="t-1", generation=4, message="spec.sizes: is required."), after_ms=1)
    engine.send(s.TargetSeen(target=a_target(uid="t-1", generation=5)), after_ms=1)
    assert engine.state.targets["azure"].problems == (NOT_CONFIDENTIAL,)
    engine.send(s.TargetGone(name="azure"), after_ms=1)
    engine.send(s.TargetSeen(target=a_target(uid="t-2", generation=1)), after_ms=1)
    assert engine.state.targets["azure"].problems == ()


def test_why_tells_it_in_the_chain_of_a_policy() -> None:
    engine = an_engine(NOT_CONFIDENTIAL)
    links = why_policy(engine.state, "bank/tasks")
    assert [one.reason.code for one in links if one.check == "Target"] == ["ConfidentialVmsDisabled"]


def _in_order(*targets: str) -> Any:
    import msgspec

    return msgspec.structs.replace(a_policy().placement, targets=targets)
