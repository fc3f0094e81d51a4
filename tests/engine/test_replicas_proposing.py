"""From what triggers are worth to what they propose: fallbacks, formulas, several metrics, and the words for it."""

import pytest

from burster.engine.autoscale.arithmetic import Combined
from burster.engine.numbers.metrics import Fact
from burster.engine.numbers.proposing import Replicas, describe, propose, weigh
from burster.model.scaling import Fallback, Scaling, ScalingModifiers
from burster.model.triggers import ExternalTrigger, ResourceTrigger, WorkloadRef
from tests.support.builders import a_policy


MEMORY = ResourceTrigger(name="memory", resource="memory", source=WorkloadRef(name="on-prem"))
THREE = Replicas(spec=3, status=3, ready=3)


def a_fact(name="a", value=4000, *, target=1000, kind="AverageValue", failures=0, wants=None, active=None):
    missing = "" if value is not None else f"{name} is gone."
    is_active = bool(value) if active is None else active
    return Fact(name, target, kind, value, active=is_active, wants=wants, missing=missing, failures=failures)


def rules(**scaling):
    return a_policy(triggers=(ExternalTrigger(name="a"), ExternalTrigger(name="b"), MEMORY), scaling=Scaling(**scaling))


def ask(*facts, replicas=THREE, **scaling):
    policy = rules(**scaling)
    weighed = weigh(policy, {one.name: one for one in facts}, replicas)
    combined, reasons = propose(policy, weighed, replicas)
    return weighed, combined, reasons


def test_the_largest_proposal_counts():
    weighed, combined, reasons = ask(a_fact("a", 4000), a_fact("b", 9000))
    assert (weighed.active, weighed.failed, weighed.fallback) == (True, False, False)
    assert combined == Combined(9, "b", 0)
    assert [one.sentence for one in reasons] == [
        "a is 4 for a target of 1, which proposes 4.",
        "b is 9 for a target of 1, which proposes 9.",
    ]


@pytest.mark.parametrize(
    ("b", "want"), [(4000, Combined(4, "b", 1)), (2000, Combined(None, "b", 1)), (3000, Combined(3, "b", 1))]
)
def test_while_one_is_missing_the_others_may_only_add(b, want):
    weighed, combined, reasons = ask(a_fact("a", None), a_fact("b", b))
    assert (weighed.active, weighed.failed) == (True, True)
    assert combined == want
    assert (reasons[0].code, reasons[0].sentence) == ("TriggerMissing", "a is gone.")


def test_nothing_active_is_not_active():
    weighed, combined, _ = ask(a_fact("a", 0), a_fact("b", 0))
    assert (weighed.active, weighed.failed) == (False, False)
    assert combined == Combined(0, "a", 0)


def test_a_value_multiplies_what_is_ready():
    _, combined, _ = ask(a_fact("a", 20_000, target=10_000, kind="Value"), replicas=Replicas(3, 3, 2))
    assert combined.replicas == 4


def test_a_measured_workload_proposes_what_it_lacks():
    _, combined, reasons = ask(a_fact("memory", 105_500, target=70_000, kind="Utilization", wants=2))
    assert combined == Combined(2, "memory", 0)
    assert reasons[0].sentence == "memory is 105.5 for a target of 70: 2 are lacking on-prem, which proposes 2."
    assert reasons[0].numbers == {"value_milli": 105_500, "target_milli": 70_000, "proposed": 2}


@pytest.mark.parametrize(
    ("behavior", "want"),
    [
        ("static", 5),
        ("currentReplicas", 3),
        ("currentReplicasIfHigher", 5),
        ("currentReplicasIfLower", 3),
        ("scalingModifiers", 5),
    ],
)
def test_a_fallback_stands_for_a_missing_value(behavior, want):
    fallback = Fallback(failure_threshold=2, replicas=5, behavior=behavior)
    weighed, combined, reasons = ask(a_fact("a", None, failures=3), fallback=fallback)
    assert (weighed.active, weighed.failed, weighed.fallback) == (True, False, True)
    assert combined.replicas == want
    assert reasons[0].code == "TriggerFallback"
    assert (
        reasons[0].sentence
        == f"The fallback of a stands for {want} for a target of 1, which proposes {want}. a is gone."
    )


def test_not_before_its_threshold_is_passed():
    fallback = Fallback(failure_threshold=2, replicas=5)
    weighed, combined, _ = ask(a_fact("a", None, failures=2), fallback=fallback)
    assert (weighed.active, weighed.failed, weighed.fallback) == (False, True, False)
    assert combined.replicas is None


def test_not_for_a_measured_workload_nor_for_a_value_without_ready_pods():
    fallback = Fallback(failure_threshold=0, replicas=5)
    weighed, _, _ = ask(a_fact("memory", None, failures=9, kind="Utilization"), fallback=fallback)
    assert weighed.failed
    weighed, _, _ = ask(a_fact("a", None, failures=9, kind="Value"), fallback=fallback, replicas=Replicas(3, 3, 0))
    assert weighed.failed
    weighed, combined, _ = ask(a_fact("a", None, failures=9, kind="Value"), fallback=fallback)
    assert (weighed.failed, combined.replicas) == (False, 5)


def joined(formula="a + b", **changes):
    return ScalingModifiers(formula=formula, **({"target_milli": 2000} | changes))


@pytest.mark.parametrize(("a", "active"), [(1000, False), (1500, True)])
def test_a_formula_takes_the_place_of_its_triggers(a, active):
    weighed, combined, reasons = ask(
        a_fact("a", a), a_fact("b", 5000), a_fact("memory", 0, wants=1), modifiers=joined(activation_milli=6000)
    )
    assert [one.name for one in weighed.metrics] == ["composite-metric", "memory"]
    assert (weighed.active, weighed.failed) == (active, False)
    assert combined.metric == "composite-metric"
    assert reasons[0].numbers["value_milli"] == a + 5000


def test_a_formula_over_a_missing_trigger_is_missing():
    weighed, combined, reasons = ask(a_fact("a", None), a_fact("b", 5000), modifiers=joined())
    assert (weighed.active, weighed.failed, combined.replicas) == (False, True, None)
    assert reasons[0].sentence == "a is gone."


def test_a_formula_that_gives_no_number_is_missing():
    weighed, _, reasons = ask(a_fact("a", 1000), a_fact("b", 0), modifiers=joined("a / b"))
    assert weighed.failed
    assert reasons[0].sentence == "The formula gives no number."


@pytest.mark.parametrize("formula", ["a +", "a + unknown", "system(a)", ""])
def test_a_formula_that_can_t_be_read_has_no_value_and_stops_nobody(formula):
    weighed, combined, reasons = ask(a_fact("a", 1000), a_fact("b", 5000), modifiers=joined(formula))
    assert (weighed.active, weighed.failed, combined.replicas) == (False, True, None)
    assert weighed.metrics[0].value_milli is None
    assert reasons[0].sentence == "The formula gives no number."


def test_a_formulas_value_is_never_negative():
    weighed, combined, _ = ask(a_fact("a", 1000), a_fact("b", 5000), modifiers=joined("a - b"))
    assert weighed.metrics[0].value_milli == 0
    assert combined.replicas == 0


@pytest.mark.parametrize(("target", "failed"), [(2000, False), (1500, True)])
def test_a_static_fallback_stands_for_the_formula_unless_its_target_is_broken(target, failed):
    fallback = Fallback(failure_threshold=0, replicas=5)
    weighed, combined, _ = ask(
        a_fact("a", None, failures=1), a_fact("b", 5000), modifiers=joined(target_milli=target), fallback=fallback
    )
    assert weighed.failed is failed
    assert weighed.active is not failed
    assert combined.replicas == (None if failed else 5)


def test_a_fallback_within_the_formula_takes_the_missing_trigger_for_nil():
    fallback = Fallback(failure_threshold=0, replicas=5, behavior="scalingModifiers")
    modifiers = joined("(a ?? 3) + b")
    weighed, combined, _ = ask(a_fact("a", None, failures=1), a_fact("b", 5000), modifiers=modifiers, fallback=fallback)
    assert weighed.metrics[0].value_milli == 8000
    assert (weighed.active, weighed.failed, combined.replicas) == (True, False, 4)


def test_the_formulas_activation_holds_for_what_stands_in_it():
    fallback = Fallback(failure_threshold=0, replicas=5, behavior="scalingModifiers")
    modifiers = joined("(a ?? 3) + b", activation_milli=8000)
    weighed, _, _ = ask(a_fact("a", None, failures=1), a_fact("b", 5000), modifiers=modifiers, fallback=fallback)
    assert (weighed.active, weighed.failed) == (False, False)


def test_one_failure_that_is_not_over_its_threshold_keeps_the_formula_missing():
    fallback = Fallback(failure_threshold=1, replicas=5)
    weighed, _, _ = ask(
        a_fact("a", None, failures=2), a_fact("b", None, failures=1), modifiers=joined(), fallback=fallback
    )
    assert weighed.failed
    assert weighed.metrics[0].missing == "a is gone; b is gone."


def test_words_without_a_proposal():
    weighed = weigh(rules(), {"a": a_fact("a", 1005)}, THREE)
    assert [one.sentence for one in describe(weighed)] == ["a is 1.005 for a target of 1."]
    assert describe(weighed)[0].numbers == {"value_milli": 1005, "target_milli": 1000}
