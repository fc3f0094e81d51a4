"""What stands for a value that can't be read, with KEDA's quirks."""

import pytest

from burster.engine.autoscale.arithmetic import VALUE_MAX, Tolerance, propose_average, propose_value
from burster.engine.autoscale.fallback import fallback_replicas, fallback_value_milli, in_force, possible_with_formula
from burster.model.scaling import Fallback


def declared(behavior="static", replicas=6):
    return Fallback(failure_threshold=3, replicas=replicas, behavior=behavior)


def test_it_begins_with_one_failure_more_than_the_threshold():
    assert [in_force(declared(), failures=n) for n in (0, 3, 4, 5)] == [False, False, True, True]
    assert in_force(Fallback(failure_threshold=0, replicas=1), failures=1)
    assert not in_force(Fallback(failure_threshold=0, replicas=1), failures=0)
    assert not in_force(None, failures=99)


@pytest.mark.parametrize(
    ("behavior", "current", "want"),
    [
        ("static", 2, 6),
        ("static", 9, 6),
        ("scalingModifiers", 9, 6),
        ("currentReplicas", 2, 2),
        ("currentReplicas", 9, 9),
        ("currentReplicasIfHigher", 2, 6),
        ("currentReplicasIfHigher", 9, 9),
        ("currentReplicasIfLower", 2, 2),
        ("currentReplicasIfLower", 9, 6),
    ],
)
def test_the_five_behaviors(behavior, current, want):
    assert fallback_replicas(declared(behavior), current=current) == want


@pytest.mark.parametrize(
    ("metric_type", "target", "ready", "want"),
    [
        ("AverageValue", 1_500, 0, 9_000),
        ("AverageValue", 1_500, 4, 9_000),
        ("Value", 10_000, 3, 20_000),
        ("Value", 10_000, 7, 8_571),
        ("Value", 10_000, 1, 60_000),
        ("Value", 10_000, 0, None),
        ("Value", 10_000, -1, None),
        ("AverageValue", VALUE_MAX, 1, VALUE_MAX),
        ("Value", VALUE_MAX, 2, VALUE_MAX),
    ],
)
def test_the_value_that_stands_for_it(metric_type, target, ready, want):
    found = fallback_value_milli(
        declared(), target_milli=target, metric_type=metric_type, current=3, ready_replicas=ready
    )
    assert found == want


def test_the_value_makes_the_hpa_want_the_declared_number():
    value = fallback_value_milli(
        declared(), target_milli=1_500, metric_type="AverageValue", current=3, ready_replicas=3
    )
    assert propose_average(value, 1_500, status_replicas=3, tolerance=Tolerance()) == 6
    value = fallback_value_milli(declared(), target_milli=10_000, metric_type="Value", current=3, ready_replicas=3)
    assert (
        propose_value(value, 10_000, spec_replicas=3, ready_replicas=3, status_replicas=3, tolerance=Tolerance()) == 6
    )


def test_a_formula_with_a_broken_target_has_none():
    assert [possible_with_formula(n) for n in (1000, 1500, 2000, 999)] == [True, False, True, False]
