"""Fixtures for tests that talk to the engine; the builders are in tests.support.builders."""

import pytest

from burster.model import stimuli as s
from tests.support.builders import Engine, a_policy, a_target, an_offering


@pytest.fixture
def engine() -> Engine:
    return Engine()


@pytest.fixture
def ready(engine: Engine) -> Engine:
    """An engine that has synced: one policy for everything, one target with two sizes."""
    engine.sync(
        s.PolicySeen(policy=a_policy()),
        s.TargetSeen(target=a_target()),
        s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
    )
    return engine
