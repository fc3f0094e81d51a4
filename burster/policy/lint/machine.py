"""Lint of machines without a pod: such as nobody can reach, and a service on machines that may be taken away together."""

from collections.abc import Iterator
from typing import Final

from burster.model.policies import Policy
from burster.policy.lint.base import PLACEMENT, SPEC, Hit, Known, PolicyRule


_MACHINE: Final = (*SPEC, "machine")


def _without_service(policy: Policy, _known: Known) -> Iterator[Hit]:
    machine = policy.machine
    if machine is not None and not machine.service:
        yield Hit(
            _MACHINE,
            "no Service is named: nobody in the cluster reaches the machine, and it counts as serving as soon as it is verified",
            "set machine.service, unless the workload fetches its work itself",
        )


def _spot_service(policy: Policy, _known: Known) -> Iterator[Hit]:
    machine = policy.machine
    if machine is not None and machine.service and policy.placement.spot == "Only":
        yield Hit(
            (*PLACEMENT, "spot"),
            f"Service {machine.service} would have spot machines alone, which can all be taken away in one moment",
            "set spot to Prefer, or serve it on-prem too",
        )


RULES: Final = (
    PolicyRule("machine-without-service", "machines that nobody reaches", _without_service),
    PolicyRule("spot-service", "a service on spot machines alone", _spot_service),
)
