"""How far and how fast a number may move, sync by sync, worked out by hand from the HPA's rules."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burster.engine.autoscale.arithmetic import Tolerance, propose_average
from burster.engine.autoscale.limits import (
    STABILIZATION_MS,
    Bounds,
    History,
    Sample,
    begin,
    grown_at_most,
    limit,
    note_change,
    shrunk_at_least,
)
from burster.model.scaling import Behavior, Direction, Step


NOW = 1_000_000
SYNC = 15_000
UP = (Step(type="Pods", value=4, period_ms=SYNC), Step(type="Percent", value=100, period_ms=SYNC))
DOWN = (Step(type="Percent", value=100, period_ms=SYNC),)
DEFAULTS = Behavior(
    scale_up=Direction(stabilization_ms=0, steps=UP), scale_down=Direction(stabilization_ms=300_000, steps=DOWN)
)


def behavior(up=None, down=None, *, up_ms=0, down_ms=0, up_select="Max", down_select="Max"):
    return Behavior(
        scale_up=Direction(stabilization_ms=up_ms, select=up_select, steps=UP if up is None else up),
        scale_down=Direction(stabilization_ms=down_ms, select=down_select, steps=DOWN if down is None else down),
    )


def pods(value, period_ms=SYNC):
    return Step(type="Pods", value=value, period_ms=period_ms)


def percent(value, period_ms=SYNC):
    return Step(type="Percent", value=value, period_ms=period_ms)


TO_10, TO_100, NEW = Bounds(1, 10), Bounds(1, 100), History()


def run(proposals, *, current=1, bounds=TO_100, rules=None, every_ms=SYNC):
    """Return the number after each sync of a controller that is given these proposals."""
    history, numbers, now = begin(History(), current, NOW), [], NOW
    for proposed in proposals:
        found = limit(proposed, current=current, bounds=bounds, behavior=rules, history=history, now_ms=now)
        history = note_change(found.history, rules, old=current, new=found.replicas, now_ms=now)
        current, now = found.replicas, now + every_ms
        numbers.append(current)
    return numbers


@pytest.mark.parametrize(
    ("proposals", "options", "want"),
    [
        pytest.param([100] * 7, {}, [4, 8, 16, 32, 64, 100, 100], id="1 to 100 in six syncs"),
        pytest.param([100] * 2, {"current": 2}, [4, 8], id="2 may double to 4"),
        pytest.param([100] * 2, {"current": 3}, [6, 12], id="3 may double to 6"),
        pytest.param([3], {}, [3], id="up to 4 is free"),
        pytest.param([5], {}, [4], id="5 is not"),
        pytest.param([100] * 3, {"bounds": Bounds(1, 10)}, [4, 8, 10], id="never above the maximum"),
        pytest.param([0] * 2, {"current": 1}, [1, 1], id="never below the minimum"),
        pytest.param([0], {"current": 5, "bounds": Bounds(5, 9)}, [5], id="never below a larger minimum"),
        pytest.param(
            [2] * 22, {"current": 9}, [9] * 21 + [2], id="down after 300 s, the first recommendation is what was"
        ),
        pytest.param([5, 2], {"current": 5, "every_ms": 300_000}, [5, 5], id="exactly 300 s old still holds it up"),
        pytest.param([5, 2], {"current": 5, "every_ms": 300_001}, [5, 2], id="a millisecond older does not"),
        pytest.param([100] * 6, {"rules": DEFAULTS}, [5, 10, 20, 40, 80, 100], id="given defaults: 4 pods or double"),
        pytest.param(
            [3] * 20 + [3], {"current": 9, "rules": DEFAULTS}, [9] * 20 + [3], id="given defaults: 300 s down"
        ),
        pytest.param([100] * 3, {"rules": behavior((percent(10_000),))}, [100, 100, 100], id="Percent 10000: at once"),
        pytest.param([100] * 3, {"rules": behavior((pods(2),))}, [3, 5, 7], id="two pods a sync"),
        pytest.param([100] * 5, {"rules": behavior((pods(2, 30_000),))}, [3, 3, 5, 5, 7], id="two pods in two syncs"),
        pytest.param([100] * 4, {"rules": behavior((percent(10),))}, [2, 3, 4, 5], id="10 percent rounds up"),
        pytest.param([100] * 3, {"rules": behavior(up_select="Min")}, [2, 4, 8], id="Min takes the smaller step"),
        pytest.param([100] * 2, {"rules": behavior(up_select="Disabled")}, [1, 1], id="growing disabled"),
        pytest.param(
            [1] * 2, {"current": 9, "rules": behavior(down_select="Disabled")}, [9, 9], id="shrinking disabled"
        ),
        pytest.param(
            [1] * 4, {"current": 9, "rules": behavior(down=(pods(3),))}, [6, 3, 1, 1], id="three pods less a sync"
        ),
        pytest.param(
            [1] * 5, {"current": 9, "rules": behavior(down=(percent(50),))}, [4, 2, 1, 1, 1], id="half, cut off"
        ),
        pytest.param(
            [1] * 3,
            {"current": 9, "rules": behavior(down=(percent(10), pods(3)))},
            [6, 3, 1],
            id="Max shrinks the most",
        ),
        pytest.param(
            [1] * 3,
            {"current": 9, "rules": behavior(down=(percent(10), pods(3)), down_select="Min")},
            [8, 7, 6],
            id="Min shrinks the least",
        ),
        pytest.param(
            [0] * 2,
            {"current": 3, "rules": behavior(down=(pods(9),))},
            [1, 1],
            id="not below the minimum when shrinking",
        ),
        pytest.param(
            [50] * 2, {"current": 3, "bounds": Bounds(1, 5), "rules": DEFAULTS}, [5, 5], id="not above the maximum"
        ),
        pytest.param(
            [9, 9, 9, 9], {"rules": behavior((percent(10_000),), up_ms=45_000)}, [1, 1, 1, 9], id="up window of 45 s"
        ),
        pytest.param(
            [2, 9, 9, 9],
            {"rules": behavior((percent(10_000),), up_ms=30_000)},
            [1, 1, 9, 9],
            id="within the up window the lowest counts",
        ),
        pytest.param(
            [1, 1, 1], {"current": 9, "rules": behavior(down_ms=15_000)}, [9, 1, 1], id="a down window of one sync"
        ),
    ],
)
def test_sync_by_sync(proposals, options, want):
    assert run(proposals, **options) == want


def codes(found):
    return [reason.code for reason in found.reasons]


def ask(proposed, current, *, bounds=TO_10, rules=None, history=NEW):
    return limit(proposed, current=current, bounds=bounds, behavior=rules, history=history, now_ms=NOW)


@pytest.mark.parametrize(
    ("proposed", "current", "rules", "want", "reasons"),
    [
        (3, 3, None, 3, ["DesiredWithinRange"]),
        (10, 5, None, 10, ["DesiredWithinRange"]),
        (11, 5, None, 10, ["TooManyReplicas"]),
        (9, 4, None, 8, ["ScaleUpLimit"]),
        (5, 1, None, 4, ["ScaleUpLimit"]),
        (0, 1, None, 1, ["TooFewReplicas"]),
        (1, 1, None, 1, ["DesiredWithinRange"]),
        (3, 3, DEFAULTS, 3, ["DesiredWithinRange"]),
        (20, 3, DEFAULTS, 7, ["ScaleUpLimit"]),
        (7, 3, DEFAULTS, 7, ["DesiredWithinRange"]),
        (8, 3, DEFAULTS, 7, ["ScaleUpLimit"]),
        (11, 6, DEFAULTS, 10, ["TooManyReplicas"]),
        (10, 6, DEFAULTS, 10, ["DesiredWithinRange"]),
        (0, 6, behavior(), 1, ["TooFewReplicas"]),
        (1, 6, behavior(), 1, ["DesiredWithinRange"]),
        (1, 6, behavior(down=(pods(2),)), 4, ["ScaleDownLimit"]),
        (4, 6, behavior(down=(pods(2),)), 4, ["DesiredWithinRange"]),
        (1, 6, behavior(down_select="Disabled"), 6, ["ScaleDownLimit"]),
        (9, 6, behavior(up_select="Disabled"), 6, ["ScaleUpLimit"]),
    ],
)
def test_the_reason_names_what_limited_it(proposed, current, rules, want, reasons):
    found = ask(proposed, current, rules=rules)
    assert (found.replicas, codes(found)) == (want, reasons)


def test_what_was_recommended_lately_is_told_with_its_numbers():
    history = History(recommendations=(Sample(NOW - 1000, 6),))
    found = ask(2, 6, history=history)
    assert (found.replicas, codes(found)) == (6, ["ScaleDownStabilized"])
    assert found.reasons[0].numbers == {"proposed": 2, "stabilized": 6, "window_ms": 300_000}
    assert found.reasons[0].sentence == "2 are proposed now; within the last 5m it was more, so 6 are kept to."
    assert found.history.recommendations == (Sample(NOW - 1000, 6), Sample(NOW, 2))


def test_growth_is_told_with_its_window():
    history = History(recommendations=(Sample(NOW - 1000, 2),))
    found = ask(6, 2, rules=behavior(up_ms=60_000), history=history)
    assert (found.replicas, codes(found)) == (2, ["ScaleUpStabilized"])
    assert found.reasons[0].sentence == "6 are proposed now; within the last 1m it was fewer, so 2 are kept to."
    assert found.reasons[0].numbers == {"proposed": 6, "stabilized": 2, "window_ms": 60_000}


def test_stabilization_and_rate_are_both_told():
    history = History(recommendations=(Sample(NOW - 1000, 40),))
    found = ask(30, 2, bounds=Bounds(1, 100), history=history)
    assert (found.replicas, codes(found)) == (4, ["ScaleDownStabilized", "ScaleUpLimit"])
    held = ask(3, 9, rules=behavior(down=(pods(1),), down_ms=60_000), history=History((Sample(NOW - 1, 5),)))
    assert (held.replicas, codes(held)) == (8, ["ScaleDownStabilized", "ScaleDownLimit"])
    assert held.reasons[0].numbers == {"proposed": 3, "stabilized": 5, "window_ms": 60_000}


@pytest.mark.parametrize(
    ("found", "sentence", "numbers"),
    [
        (ask(9, 4), "9 are wanted; the rules for growing allow 8 now.", {"wanted": 9, "allowed": 8}),
        (ask(11, 5), "11 are wanted; maxReplicaCount is 10.", {"wanted": 11, "maximum": 10}),
        (ask(0, 1), "0 are wanted; it may not be fewer than 1.", {"wanted": 0, "minimum": 1}),
        (ask(3, 3), "3 are wanted, and nothing limits that.", {"wanted": 3}),
        (
            ask(1, 6, rules=behavior(down=(pods(2),))),
            "1 are wanted; the rules for shrinking allow no fewer than 4 now.",
            {"wanted": 1, "allowed": 4},
        ),
    ],
)
def test_every_limit_says_its_numbers(found, sentence, numbers):
    assert (found.reasons[-1].sentence, found.reasons[-1].numbers) == (sentence, numbers)


def test_with_behavior_a_window_ends_where_it_began_to_the_millisecond():
    def found(age, rules):
        return ask(2, 6, rules=rules, history=History((Sample(NOW - age, 6),))).replicas

    rules = behavior(down_ms=60_000)
    assert found(59_999, rules) == 6
    assert found(60_000, rules) == 2


def test_changes_within_a_period_count_against_it_in_both_directions():
    history = History(added=(Sample(NOW - 14_999, 3), Sample(NOW - 15_000, 50)), removed=(Sample(NOW - 1, 1),))
    grow = Direction(stabilization_ms=0, steps=(pods(4),))
    shrink = Direction(stabilization_ms=0, steps=(pods(4),))
    assert grown_at_most(grow, 10, history, NOW) == 10 - 3 + 1 + 4
    assert shrunk_at_least(shrink, 10, history, NOW) == 10 - 3 + 1 - 4
    doubled = Direction(stabilization_ms=0, steps=(percent(100),))
    assert grown_at_most(doubled, 10, history, NOW) == 16
    halved = Direction(stabilization_ms=0, steps=(percent(50),))
    assert shrunk_at_least(halved, 11, history, NOW) == 4


def test_history_never_turns_a_limit_against_the_number_that_is_there():
    grown = History(added=(Sample(NOW - 1, 9),))
    found = limit(20, current=10, bounds=Bounds(1, 100), behavior=behavior((pods(2),)), history=grown, now_ms=NOW)
    assert (found.replicas, codes(found)) == (10, ["ScaleUpLimit"])
    shrunk = History(removed=(Sample(NOW - 1, 9),))
    rules = behavior(down=(pods(2),))
    found = limit(1, current=10, bounds=Bounds(1, 100), behavior=rules, history=shrunk, now_ms=NOW)
    assert (found.replicas, codes(found)) == (10, ["ScaleDownLimit"])


def test_rules_without_steps_do_not_move():
    none = Direction(stabilization_ms=0, steps=())
    least = Direction(stabilization_ms=0, select="Min", steps=())
    assert grown_at_most(none, 5, History(), NOW) == 5
    assert shrunk_at_least(none, 5, History(), NOW) == 5
    assert grown_at_most(least, 5, History(), NOW) == 2_147_483_647
    assert shrunk_at_least(least, 5, History(), NOW) == 0


def test_a_percentage_above_100_shrinks_towards_zero():
    wild = Direction(stabilization_ms=0, steps=(percent(150),))
    assert shrunk_at_least(wild, 3, History(), NOW) == -1
    assert shrunk_at_least(wild, 1, History(), NOW) == 0


def test_a_history_begins_once():
    begun = begin(History(), 7, NOW)
    assert begun.recommendations == (Sample(NOW, 7),)
    assert begin(begun, 9, NOW + 1) is begun


def test_changes_are_noted_only_where_somebody_looks_and_only_as_long():
    assert note_change(History(), None, old=1, new=5, now_ms=NOW) == History()
    assert note_change(History(), DEFAULTS, old=5, new=5, now_ms=NOW) == History()
    rules = behavior((pods(4, 60_000),), (pods(1, 30_000),))
    old = History(added=(Sample(NOW - 60_000, 1), Sample(NOW - 59_999, 2)), removed=(Sample(NOW - 60_000, 3),))
    assert note_change(old, rules, old=1, new=5, now_ms=NOW) == History(added=(Sample(NOW - 59_999, 2), Sample(NOW, 4)))
    assert note_change(old, rules, old=5, new=1, now_ms=NOW) == History(
        added=(Sample(NOW - 59_999, 2),), removed=(Sample(NOW, 4),)
    )


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=40),
    st.integers(0, 20),
    st.integers(0, 100),
    st.sampled_from(
        [None, DEFAULTS, behavior((pods(2, 60_000),), (percent(10, 60_000),), up_ms=30_000, down_ms=60_000)]
    ),
)
def test_the_number_stays_within_its_bounds_and_the_memory_within_its_windows(proposals, low, width, rules):
    bounds = Bounds(low, low + width)
    current, history, now = low, History(), NOW
    for proposed in proposals:
        found = limit(
            proposed, current=current, bounds=bounds, behavior=rules, history=begin(history, current, now), now_ms=now
        )
        assert bounds.minimum <= found.replicas <= bounds.maximum
        history = note_change(found.history, rules, old=current, new=found.replicas, now_ms=now)
        current, now = found.replicas, now + SYNC
        assert all(one.at_ms >= now - SYNC - STABILIZATION_MS for one in history.recommendations)
        assert len(history.recommendations) <= 22
        assert len(history.added) + len(history.removed) <= 5


@given(
    st.integers(0, 400_000),
    st.integers(1, 50_000),
    st.integers(1, 100),
    st.sampled_from([None, DEFAULTS, behavior((pods(1),), (pods(1),), up_ms=30_000, down_ms=45_000)]),
)
def test_a_constant_input_moves_the_number_in_one_direction(value, target, start, rules):
    """KEDA's AverageValue with status = spec: whatever the start, it goes to its place and stays there."""
    current, history, now, numbers = start, begin(History(), start, NOW), NOW, [start]
    for _ in range(150):
        proposed = propose_average(value, target, status_replicas=current, tolerance=Tolerance())
        assert proposed is not None
        found = limit(proposed, current=current, bounds=Bounds(1, 100), behavior=rules, history=history, now_ms=now)
        history = note_change(found.history, rules, old=current, new=found.replicas, now_ms=now)
        current, now = found.replicas, now + SYNC
        numbers.append(current)
    moves = [b - a for a, b in pairwise(numbers) if a != b]
    assert all(move > 0 for move in moves) or all(move < 0 for move in moves)
    assert numbers[-1] == numbers[-40]


@pytest.mark.parametrize("bounds", [Bounds(1, 11), Bounds(1, 12), Bounds(12, 20), Bounds(13, 20)])
def test_behavior_has_nothing_to_say_of_a_number_that_stays_where_it_is(bounds: Bounds) -> None:
    found = limit(12, current=12, bounds=bounds, behavior=DEFAULTS, history=NEW, now_ms=NOW)
    assert (found.replicas, [reason.code for reason in found.reasons]) == (12, ["DesiredWithinRange"])
