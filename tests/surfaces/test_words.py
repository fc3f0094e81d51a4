import pytest

from burster.model.decisions import Decision, Reason
from burster.surfaces import words


@pytest.mark.parametrize(
    ("name", "value", "want"),
    [
        ("pending_ms", 5_200, "pending 5.2s"),
        ("wanted_micro_usd", 1_250_000, "wanted $1.2500"),
        ("price_micro_usd_per_hour", 480_000, "price $0.4800/h"),
        ("memory_bytes", 4 * 2**30, "memory 4Gi"),
        ("cpu_millicores", 1_500, "cpu 1.5"),
        ("max_bursts", 4_000, "max bursts 4,000"),
        ("due_ms", 0, "due 1970-01-01 00:00:00.000Z"),
        ("released_at_ms", 1_234, "released 1970-01-01 00:00:01.234Z"),
        ("early_ms", -3, "early -3ms"),
    ],
)
def test_numbers_carry_their_units(name, value, want):
    assert words.number(name, value) == want


@pytest.mark.parametrize(
    ("verdict", "code", "want"),
    [
        pytest.param("Wait", "PolicyBudget", "larger budget in the policy", id="a code with advice of its own"),
        pytest.param("Deny", "SomethingNew", "A person who changes the rule", id="a refusal nobody wrote advice for"),
        pytest.param("Wait", "SomethingNew", "Time, or room", id="a wait nobody wrote advice for"),
        pytest.param("Burst", "PolicyBudget", "", id="nothing to change about a yes"),
    ],
)
def test_what_would_change_it(verdict, code, want):
    decision = Decision(at_ms=0, verdict=verdict, reasons=(Reason(code=code, sentence="s"),))
    answer = words.what_would_change(decision)
    assert want in answer
    assert bool(answer) == bool(want)


@pytest.mark.parametrize(("part", "whole", "want"), [(1, 2, 50), (0, 0, 0), (5, 0, 0), (3, 2, 150), (-1, 2, 0)])
def test_percent(part, whole, want):
    assert words.percent(part, whole) == want
