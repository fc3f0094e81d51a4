"""What the HPA would propose for one metric, with numbers worked out by hand from its rules."""

import math

import pytest

from burster.engine.autoscale.arithmetic import (
    REPLICAS_MAX,
    VALUE_MAX,
    Combined,
    Tolerance,
    ceil_div,
    combine,
    milli_of,
    propose_average,
    propose_value,
    saturated,
)


TEN = Tolerance()


@pytest.mark.parametrize(
    ("value", "target", "status", "want"),
    [
        pytest.param(40_000, 10_000, 3, 4, id="the documentation's 40 at 10 with 3 gives 4"),
        pytest.param(32_000, 10_000, 3, 3, id="32 at 10 with 3 is 1.067: within the tolerance"),
        pytest.param(33_000, 10_000, 3, 3, id="exactly 1.1 is still within"),
        pytest.param(33_001, 10_000, 3, 4, id="a thousandth above 1.1 is not"),
        pytest.param(27_000, 10_000, 3, 3, id="exactly 0.9 is still within"),
        pytest.param(26_999, 10_000, 3, 3, id="below 0.9 rounds up to the same"),
        pytest.param(20_000, 10_000, 3, 2, id="two thirds gives 2"),
        pytest.param(20_001, 10_000, 3, 3, id="the least above 2 rounds up"),
        pytest.param(0, 10_000, 3, 0, id="nothing gives 0, lifted to the minimum later"),
        pytest.param(0, 10_000, 0, 0, id="0/0 is no number, and not within"),
        pytest.param(5_000, 10_000, 0, 1, id="no pods yet: infinite, so the quotient"),
        pytest.param(4_000, 1_000, 0, 4, id="four pending pods, none started"),
        pytest.param(4_000, 1_000, 1, 4, id="four pending pods, one started"),
        pytest.param(4_000, 1_000, 4, 4, id="four pending pods, four started"),
        pytest.param(1_500, 1_000, 1, 2, id="one and a half rounds up"),
        pytest.param(1, 1_000, 1, 1, id="the least there is wants one"),
        pytest.param(1_100, 1_000, 1, 1, id="1.1 of one is within"),
        pytest.param(1_101, 1_000, 1, 2, id="just above is not"),
        pytest.param(100_000, 1_000, 100, 100, id="a hundred for a hundred"),
        pytest.param(VALUE_MAX, 1, 1, REPLICAS_MAX, id="saturates at int32"),
        pytest.param(REPLICAS_MAX * 1000, 1000, 1, REPLICAS_MAX, id="exactly int32"),
        pytest.param(5, 0, 1, None, id="a target of 0 is no target"),
        pytest.param(5, -1, 1, None, id="nor is a negative one"),
    ],
)
def test_an_average_value_is_shared_by_all_replicas(value, target, status, want):
    assert propose_average(value, target, status_replicas=status, tolerance=TEN) == want


@pytest.mark.parametrize(
    ("value", "target", "spec", "ready", "status", "want"),
    [
        pytest.param(20_000, 10_000, 3, 3, 3, 6, id="twice the target doubles the ready ones"),
        pytest.param(20_000, 10_000, 3, 2, 3, 4, id="only ready ones are multiplied"),
        pytest.param(15_000, 10_000, 3, 3, 3, 5, id="4.5 rounds up"),
        pytest.param(11_000, 10_000, 3, 3, 3, 3, id="exactly 1.1 keeps what is specified"),
        pytest.param(11_001, 10_000, 3, 3, 3, 4, id="a little above does not"),
        pytest.param(9_000, 10_000, 7, 3, 3, 7, id="exactly 0.9 keeps what is specified, not what is ready"),
        pytest.param(8_999, 10_000, 7, 3, 3, 3, id="a little below follows the ready ones"),
        pytest.param(20_000, 10_000, 3, 0, 3, 0, id="none ready gives 0, lifted later"),
        pytest.param(20_000, 10_000, 3, 0, 0, None, id="no pods at all is an error"),
        pytest.param(10_000, 10_000, 3, 0, 0, 3, id="but within the tolerance nobody counts pods"),
        pytest.param(25_000, 10_000, 0, 0, 0, 3, id="from zero the ratio itself, rounded up"),
        pytest.param(0, 10_000, 0, 0, 0, 0, id="zero from zero"),
        pytest.param(VALUE_MAX, 1, 9, 9, 9, REPLICAS_MAX, id="saturates at int32"),
        pytest.param(1, 0, 3, 3, 3, None, id="a target of 0 is no target"),
    ],
)
def test_a_value_multiplies_the_ready_replicas(value, target, spec, ready, status, want):
    found = propose_value(
        value, target, spec_replicas=spec, ready_replicas=ready, status_replicas=status, tolerance=TEN
    )
    assert found == want


@pytest.mark.parametrize(
    ("used", "wanted", "tolerance", "want"),
    [
        (110, 100, Tolerance(), True),
        (111, 100, Tolerance(), False),
        (90, 100, Tolerance(), True),
        (89, 100, Tolerance(), False),
        (105, 100, Tolerance(up_milli=50), True),
        (106, 100, Tolerance(up_milli=50), False),
        (95, 100, Tolerance(down_milli=50), True),
        (94, 100, Tolerance(down_milli=50), False),
        (100, 100, Tolerance(0, 0), True),
        (101, 100, Tolerance(0, 0), False),
        (99, 100, Tolerance(0, 0), False),
        (0, 0, Tolerance(), False),
        (1, 0, Tolerance(), False),
        (0, 100, Tolerance(down_milli=1000), True),
        (-1, -1, Tolerance(), False),
    ],
)
def test_the_borders_of_the_tolerance_belong_to_it(used, wanted, tolerance, want):
    assert tolerance.holds(used, wanted) is want


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (None, None),
        (math.nan, None),
        (math.inf, None),
        (-math.inf, None),
        (1e306, None),
        (0.0, 0),
        (-0.5, 0),
        (-1e300, 0),
        (1.0, 1000),
        (1.5, 1500),
        (0.0009, 0),
        (0.001, 1),
        (1.9999, 1999),
        (1e15, 10**18),
        (1e300, VALUE_MAX),
    ],
)
def test_a_float_becomes_milli_units_at_the_border(value, want):
    assert milli_of(value) == want


@pytest.mark.parametrize(
    ("proposals", "spec", "want"),
    [
        ({"a": 3}, 2, Combined(3, "a", 0)),
        ({"a": 3, "b": 5}, 2, Combined(5, "b", 0)),
        ({"a": 5, "b": 3}, 2, Combined(5, "a", 0)),
        ({"a": 4, "b": 4}, 2, Combined(4, "a", 0)),
        ({"a": 0}, 2, Combined(0, "a", 0)),
        ({"a": None}, 2, Combined(None, "", 1)),
        ({"a": None, "b": None}, 2, Combined(None, "", 2)),
        ({"a": None, "b": 5}, 2, Combined(5, "b", 1)),
        ({"a": None, "b": 2}, 2, Combined(2, "b", 1)),
        ({"a": None, "b": 1}, 2, Combined(None, "b", 1)),
        ({"b": 1, "a": None}, 2, Combined(None, "b", 1)),
        ({"a": None, "b": 0}, 0, Combined(0, "b", 1)),
        ({}, 2, Combined(None, "", 0)),
    ],
)
def test_the_largest_proposal_counts_and_a_failing_one_scales_nothing_down(proposals, spec, want):
    assert combine(proposals, spec_replicas=spec) == want


@pytest.mark.parametrize(("a", "b", "want"), [(0, 3, 0), (1, 3, 1), (3, 3, 1), (4, 3, 2), (-1, 3, 0), (-4, 3, -1)])
def test_division_rounds_up(a, b, want):
    assert ceil_div(a, b) == want


@pytest.mark.parametrize(
    ("replicas", "want"),
    [(-1, 0), (0, 0), (1, 1), (REPLICAS_MAX, REPLICAS_MAX), (REPLICAS_MAX + 1, REPLICAS_MAX)],
)
def test_a_replica_count_fits_into_an_int32(replicas, want):
    assert saturated(replicas) == want
    assert REPLICAS_MAX == 2_147_483_647
