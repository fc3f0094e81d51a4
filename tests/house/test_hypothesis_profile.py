"""No test fails because the machine was busy: examples have no deadline of their own."""

import time

from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st


def test_examples_have_no_deadline_unless_a_test_gives_them_one() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None
    assert HealthCheck.too_slow in settings.default.suppress_health_check


def test_an_example_that_is_slow_once_is_no_failure() -> None:
    slept: list[int] = []

    @settings(max_examples=2, database=None)
    @given(st.integers(0, 1))
    def examine(number: int) -> None:
        if not slept:
            slept.append(number)
            time.sleep(0.25)  # more than Hypothesis' own 200 ms

    examine()
    assert slept
    assert find(st.just(3), lambda number: number == 3) == 3
