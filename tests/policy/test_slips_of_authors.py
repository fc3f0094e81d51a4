"""Slips that people make with units, zones and keyboards: told so that they know what to write."""

import pytest

from burster.policy.errors import PolicyErrors
from burster.policy.load import load_text
from tests.policy.compiled import USD, a_policy, a_target, known


POLICY = """\
apiVersion: burster.dev/v1alpha1
kind: BurstPolicy
metadata: {name: web, namespace: bank}
spec:
  workload: {ownerRef: {kind: Deployment, name: web}}
  triggers:
  - type: pending-pods
    metadata: {pendingFor: 30s}
  limits:
    maxBursts: 6
  placement: {targets: [east]}
"""


def problems_of(old, new):
    assert old in POLICY
    try:
        load_text(POLICY.replace(old, new), "web.yaml")
    except PolicyErrors as errors:
        return [(one.line, one.column, one.path, one.message) for one in errors.problems]
    return []


@pytest.mark.parametrize("name", ["CEST", "CEDT", "IST", "PDT"])
def test_an_abbreviation_is_not_answered_by_another_ones_zone(name):
    ((_, _, path, message),) = problems_of("  limits:", f"  windows: [{{timezone: {name}, days: [Mon]}}]\n  limits:")
    assert path == "spec.windows[0].timezone"
    assert message == f"{name} is no time zone: write an IANA name like Europe/Berlin."


def test_memory_in_thousandths_of_a_byte_is_a_slip():
    assert problems_of("pendingFor: 30s", "minMemory: 500m") == [
        (
            8,
            27,
            "spec.triggers[0].metadata.minMemory",
            '\'500m\' is thousandths of a byte: write it as Kubernetes does, for example "500Mi" or "4Gi"',
        )
    ]
    assert problems_of("pendingFor: 30s", "minMemory: 500M") == problems_of("pendingFor: 30s", "minCpu: 500m") == []


@pytest.mark.parametrize(("mark", "code"), [("\u00a0", "U+00A0"), ("\u200b", "U+200B"), ("\u3000", "U+3000")])
def test_a_blank_that_is_none_is_named(mark, code):
    ((line, _, _, message),) = problems_of("maxBursts: 6", f"maxBursts:{mark}6\n    maxVcpus: 8")
    assert line in {10, 11}
    assert message.startswith(f"this is not YAML (line 10 holds {code}, which looks like a blank and is none")


def test_a_number_in_quotes_is_told_to_lose_them():
    ((_, _, _, message),) = problems_of("maxBursts: 6", 'maxBursts: "6"')
    assert message.startswith("expected a whole number, found the text '6': write 6 without quotes")
    ((_, _, _, message),) = problems_of("maxBursts: 6", "maxBursts: six")
    assert "quotes" not in message


def codes(budget):
    from burster.policy.lint import lint_policy

    around = known(prices={})
    return [(code, hit.path[-1], hit.message) for code, hit in lint_policy(a_policy(budget=budget), around)]


def test_a_budget_in_cents_or_for_the_wrong_window_is_above_a_longer_ones():
    hour_in_cents = {"per_hour_micro_usd": 200 * USD, "per_day_micro_usd": 20 * USD, "per_month_micro_usd": 400 * USD}
    assert codes(hour_in_cents) == [
        ("budget-never-reached", "perHour", "$200.0000 per hour is never reached: only $20.0000 may be spent per day")
    ]
    day_for_month = {"per_day_micro_usd": 500 * USD, "per_month_micro_usd": 400 * USD}
    assert codes(day_for_month) == [
        ("budget-never-reached", "perDay", "$500.0000 per day is never reached: only $400.0000 may be spent per month")
    ]
    assert codes({"per_hour_micro_usd": 20 * USD, "per_day_micro_usd": 20 * USD}) == []


def test_a_targets_budget_is_judged_alike():
    from burster.model.limits import Budget, Limits
    from burster.policy.lint import lint_target

    target = a_target(limits=Limits(budget=Budget(per_day_micro_usd=2 * USD, per_month_micro_usd=USD)))
    assert [(code, hit.path[-1]) for code, hit in lint_target(target, known())] == [("budget-never-reached", "perDay")]
