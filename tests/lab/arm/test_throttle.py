"""Token buckets: what they hold, what they regain, and for whom."""

import pytest

from burster.lab.arm.errors import ArmError
from burster.lab.arm.throttle import Throttle


def _spend(throttle, now_ms, operation="PutVm", resource="a"):
    throttle.spend(operation, scope="s/eastus", resource=resource, now_ms=now_ms)


def test_a_bucket_holds_its_most_and_regains_its_rate():
    throttle = Throttle()
    for _ in range(12):
        _spend(throttle, 0)
    with pytest.raises(ArmError) as raised:
        _spend(throttle, 0)
    assert (raised.value.status, raised.value.retry_after_s) == (429, 15)
    with pytest.raises(ArmError):
        _spend(throttle, 14_999)
    _spend(throttle, 15_000)
    with pytest.raises(ArmError):
        _spend(throttle, 15_000)


def test_a_full_bucket_gets_no_fuller():
    throttle = Throttle()
    _spend(throttle, 0)
    for _ in range(12):
        _spend(throttle, 86_400_000)
    with pytest.raises(ArmError):
        _spend(throttle, 86_400_000)


def test_a_refused_request_costs_nothing_and_time_running_back_gives_nothing():
    throttle = Throttle()
    for _ in range(12):
        _spend(throttle, 60_000)
    for _ in range(100):
        with pytest.raises(ArmError):
            _spend(throttle, 0)
    _spend(throttle, 75_000)


def test_the_subscription_is_limited_over_all_its_vms():
    throttle = Throttle()
    for number in range(1_500):
        _spend(throttle, 0, resource=f"vm-{number}")
    with pytest.raises(ArmError, match="too many requests"):
        _spend(throttle, 0, resource="one-more")
    _spend(throttle, 0, operation="DeleteVm", resource="one-more")


def test_what_has_no_limit_has_no_headers():
    assert Throttle().spend("ListSkus", scope="s", resource="", now_ms=0) == {}
