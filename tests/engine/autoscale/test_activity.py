"""Leaving zero and returning there, as KEDA's poll does."""

import pytest

from burster.engine.autoscale.activity import Poll, first_number, poll, rest_number
from burster.model.scaling import Fallback, Scaling


NOW = 1_000_000
CREATED = 100_000


def found(current, *, active=False, failed=False, last=None, created=CREATED, now=NOW):
    return Poll(
        current=current, active=active, failed=failed, last_active_at_ms=last, created_at_ms=created, now_ms=now
    )


IDLE = {"min_replicas": 2, "idle_replicas": 0}
THREE = Fallback(failure_threshold=3, replicas=3)
NONE = Fallback(failure_threshold=3, replicas=0)


@pytest.mark.parametrize(
    ("state", "scaling", "want", "code"),
    [
        pytest.param(found(0, active=True), {}, 1, "ScaleTargetActivated", id="0 to 1, never to N"),
        pytest.param(found(0, active=True), {"min_replicas": 3}, 3, "ScaleTargetActivated", id="0 to the minimum"),
        pytest.param(found(0, active=True), IDLE, 2, "ScaleTargetActivated", id="idle 0 to the minimum"),
        pytest.param(
            found(1, active=True), {"min_replicas": 4, "idle_replicas": 1}, 4, "ScaleTargetActivated", id="idle 1 too"
        ),
        pytest.param(found(2, active=True), IDLE, None, "ScalerActive", id="at the minimum the sync counts"),
        pytest.param(found(1, active=True), {}, None, "ScalerActive", id="1 is the sync's"),
        pytest.param(
            found(1, active=True), {"min_replicas": 3}, None, "ScalerActive", id="below the minimum: the sync's"
        ),
        pytest.param(
            found(0, active=True, failed=True), {}, 1, "ScaleTargetActivated", id="one errs, another is active"
        ),
        pytest.param(found(1, failed=True), {}, None, "TriggerError", id="never in on an error"),
        pytest.param(found(1, failed=True), {"fallback": THREE}, None, "TriggerError", id="nor before the fallback"),
        pytest.param(
            found(1, failed=True),
            {"fallback": NONE},
            0,
            "ScaleTargetDeactivated",
            id="a fallback of 0 may be scaled in",
        ),
        pytest.param(found(0, failed=True), {}, None, "TriggerError", id="an error buys nothing"),
        pytest.param(found(0), {}, None, "ScalerNotActive", id="nothing to do at 0"),
        pytest.param(found(0), {"min_replicas": 2}, 2, "BelowMinimum", id="up to the minimum without any trigger"),
        pytest.param(found(1), {"min_replicas": 2}, 2, "BelowMinimum", id="one below the minimum"),
        pytest.param(found(2), {"min_replicas": 2}, None, "ScalerNotActive", id="at the minimum"),
        pytest.param(found(0), IDLE, None, "ScalerNotActive", id="the idle number is below the minimum"),
        pytest.param(found(5, last=NOW - 300_001), {}, 0, "ScaleTargetDeactivated", id="after the cool-down"),
        pytest.param(found(5, last=NOW - 300_000), {}, None, "ScalerCooldown", id="not exactly at its end"),
        pytest.param(
            found(5, last=NOW), {"cooldown_ms": 0}, None, "ScalerCooldown", id="no cool-down: not in the same ms"
        ),
        pytest.param(found(5, last=NOW - 1), {"cooldown_ms": 0}, 0, "ScaleTargetDeactivated", id="but a ms later"),
        pytest.param(found(5, last=NOW - 300_001), IDLE, 0, "ScaleTargetDeactivated", id="to the idle number"),
        pytest.param(found(1, last=NOW - 300_001), IDLE, 0, "ScaleTargetDeactivated", id="from below the minimum too"),
        pytest.param(
            found(1, last=NOW - 300_001),
            {"min_replicas": 2, "idle_replicas": 1},
            None,
            "ScalerNotActive",
            id="idle already",
        ),
        pytest.param(
            found(5, last=NOW - 300_001), {"min_replicas": 2}, None, "ScalerNotActive", id="N to the minimum: no"
        ),
        pytest.param(found(5), {}, 0, "ScaleTargetDeactivated", id="never active, no initial cool-down"),
        pytest.param(found(5, created=NOW), {}, None, "ScalerCooldown", id="but not in its first millisecond"),
        pytest.param(
            found(5),
            {"initial_cooldown_ms": NOW - CREATED},
            None,
            "ScalerCooldown",
            id="not exactly at the initial end",
        ),
        pytest.param(
            found(5),
            {"initial_cooldown_ms": NOW - CREATED - 1},
            0,
            "ScaleTargetDeactivated",
            id="after the initial end",
        ),
        pytest.param(
            found(5, last=NOW - 300_001),
            {"initial_cooldown_ms": 10**9},
            0,
            "ScaleTargetDeactivated",
            id="the initial cool-down ends with the first activity",
        ),
    ],
)
def test_a_poll(state, scaling, want, code):
    answer = poll(state, Scaling(**scaling))
    assert (answer.replicas, answer.reason.code) == (want, code)


def test_activity_is_noted_unless_another_trigger_errs():
    assert poll(found(3, active=True, last=5), Scaling()).last_active_at_ms == NOW
    assert poll(found(3, active=True, failed=True, last=5), Scaling()).last_active_at_ms == 5
    assert poll(found(0, active=True, failed=True, last=5), Scaling()).last_active_at_ms == NOW
    assert poll(found(3, last=5), Scaling()).last_active_at_ms == 5
    assert poll(found(3, failed=True, last=5), Scaling()).last_active_at_ms == 5
    assert poll(found(0, last=5), Scaling(min_replicas=2)).last_active_at_ms == 5
    assert poll(found(0), Scaling()).last_active_at_ms is None


@pytest.mark.parametrize(
    ("state", "scaling", "sentence", "numbers"),
    [
        (
            found(0, active=True),
            {},
            "A trigger is above its activation value: from 0 to 1; the next sync counts on from there.",
            {"current": 0, "wanted": 1},
        ),
        (
            found(4, last=NOW - 1000),
            {},
            "No trigger is active; after 5m without one it goes from 4 to 0.",
            {"current": 4, "wanted": 0, "due_ms": NOW + 299_000},
        ),
        (
            found(4, last=NOW - 400_000),
            {},
            "No trigger has been active for more than 5m: from 4 to 0.",
            {"current": 4, "wanted": 0},
        ),
        (found(1), {"min_replicas": 3}, "1 are there; minReplicaCount is 3.", {"current": 1, "minimum": 3}),
        (
            found(1, failed=True),
            {},
            "A trigger has no value and no fallback is declared: nothing is bought and nothing is given up because of it.",
            {},
        ),
        (
            found(1, failed=True),
            {"fallback": THREE},
            "A trigger has no value and its fallback does not stand for it yet: nothing is bought and nothing is given up because of it.",
            {},
        ),
        (found(0), {}, "No trigger is above its activation value.", {}),
        (found(1, active=True), {}, "A trigger is above its activation value.", {}),
        (
            found(4, created=NOW),
            {"initial_cooldown_ms": 60_000},
            "No trigger is active; after 1m without one it goes from 4 to 0.",
            {"current": 4, "wanted": 0, "due_ms": NOW + 60_000},
        ),
    ],
)
def test_a_poll_says_why(state, scaling, sentence, numbers):
    reason = poll(state, Scaling(**scaling)).reason
    assert (reason.sentence, reason.numbers) == (sentence, numbers)


def test_the_numbers_of_activation_and_rest():
    assert [first_number(Scaling(min_replicas=n)) for n in (0, 1, 2)] == [1, 1, 2]
    assert rest_number(Scaling()) == 0
    assert rest_number(Scaling(min_replicas=2)) == 2
    assert rest_number(Scaling(**IDLE)) == 0
