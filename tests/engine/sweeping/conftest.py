"""A cluster at one target, and what its resource group holds."""

from collections.abc import Callable
from typing import Any

import pytest

from burster.model import stimuli as s
from burster.model.offerings import CloudResource, Vm
from tests.support.builders import Engine, a_policy, a_target, an_offering


GRACE = 300_000
TWO_MINUTES = 120_000
TAGS = {"burster-cluster": "prod-1"}


def a_leak(name: str = "podvm-someone-0123abcd", **changes: Any) -> Vm:
    values = {
        "name": name,
        "resource_id": f"/vms/{name}",
        "region": "westeurope",
        "size": "Standard_DC2es_v6",
        "provisioning_state": "Succeeded",
    }
    return Vm(**(values | changes))


def a_part(kind: str, name: str, **changes: Any) -> CloudResource:
    return CloudResource(
        **({"kind": kind, "name": name, "resource_id": f"/{kind}/{name}", "region": "westeurope"} | changes)
    )


class Swept(Engine):
    """An engine that is shown a resource group."""

    def listed(
        self,
        *things: Vm | CloudResource,
        after_ms: int = 0,
        claimed: tuple[str, ...] | None = (),
        cluster: str = "prod-1",
        target: str = "azure",
    ) -> None:
        self.now += after_ms
        self.send(
            s.CloudListed(
                target=target,
                listed_at_ms=self.now,
                vms=tuple(one for one in things if isinstance(one, Vm)),
                strays=tuple(one for one in things if isinstance(one, CloudResource)),
                claimed=claimed,
                cluster=cluster,
            )
        )

    @property
    def going(self) -> list[str]:
        """What the last step asked to have deleted."""
        return [one.resource.name for one in self.asked("DeleteResource")]


Make = Callable[..., Swept]


@pytest.fixture
def at() -> Make:
    """An engine with one target, which is as the test says."""

    def make(**target: Any) -> Swept:
        engine = Swept()
        engine.sync(
            s.PolicySeen(policy=a_policy()),
            s.TargetSeen(target=a_target(**target)),
            s.OfferingsSeen(target="azure", offerings=(an_offering(2), an_offering(4))),
        )
        return engine

    return make
