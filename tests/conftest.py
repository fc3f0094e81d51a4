"""What every test shares: quiet logs."""

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def quiet_logs() -> None:
    """Logs are for tests that ask for them; the others would drown in decisions."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
