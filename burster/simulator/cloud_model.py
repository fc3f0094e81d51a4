"""How a simulated cloud behaves: how long things take, what goes wrong and how often, what is allowed.

Made from a scenario; used by the cloud. Every draw is made from the seed and the name of what it is for, so it depends neither on what
else happens nor on the order of it.
"""

import math
import random
from statistics import NormalDist
from typing import Final

import msgspec

from burster.model.errors import RemoteKind
from burster.model.quantities import MILLIS_PER_HOUR


_P95_DEVIATIONS: Final = 1.6448536269514722
#: No draw is longer than this many medians: a distribution's tail is not a fact about Azure.
_STRETCH_MAX: Final = 10
_NORMAL: Final = NormalDist()


def chance(seed: int, what: str) -> float:
    """Return the same number from 0 to 1 for the same seed and name, whenever it is asked for."""
    return random.Random(f"{seed}/{what}").random()


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """A duration: lognormal by its median and 95th percentile; exactly the median where both are the same."""

    median_ms: int
    p95_ms: int

    def draw_ms(self, seed: int, what: str) -> int:
        """Draw one duration for ``what``."""
        if self.p95_ms <= self.median_ms or not self.median_ms:
            return self.median_ms
        deviations = _NORMAL.inv_cdf(min(max(chance(seed, what), 1e-12), 1 - 1e-12))
        stretch = math.exp(deviations * math.log(self.p95_ms / self.median_ms) / _P95_DEVIATIONS)
        return round(self.median_ms * min(stretch, _STRETCH_MAX))


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A way in which Azure refuses a VM: at once, so that none ever exists, or late, leaving one in state Failed."""

    code: str
    kind: RemoteKind
    late: bool
    message: str


FAULTS: Final[dict[str, Fault]] = {
    fault.code: fault
    for fault in (
        Fault(
            code="SkuNotAvailable", kind="Capacity", late=False, message="this subscription can't have the VM size here"
        ),
        Fault(code="AllocationFailed", kind="Capacity", late=True, message="the region has no room for the VM size"),
        Fault(code="ZonalAllocationFailed", kind="Capacity", late=True, message="the zone has no room for the VM size"),
        Fault(
            code="OverconstrainedAllocationRequest",
            kind="Capacity",
            late=False,
            message="no room meets all conditions of the request",
        ),
        Fault(
            code="OperationNotAllowed", kind="Quota", late=False, message="the request exceeds the approved cores quota"
        ),
        Fault(code="OSProvisioningTimedOut", kind="Unavailable", late=True, message="the guest never reported ready"),
    )
}

#: How often each failure occurs against the others, where a scenario does not say: mostly no room, sometimes no such size.
FAILURE_MIX: Final = {"SkuNotAvailable": 20, "AllocationFailed": 60, "ZonalAllocationFailed": 20}


class CloudModel(msgspec.Struct, frozen=True, kw_only=True):
    """How the cloud behaves. The defaults are assumptions, not measurements; a report says so."""

    boot: Spread = Spread(median_ms=55_000, p95_ms=120_000)  #: from the request to the VM being there
    guest: Spread = Spread(median_ms=10_000, p95_ms=20_000)  #: from there to the pod running
    delete: Spread = Spread(median_ms=45_000, p95_ms=90_000)
    refuse_ms: int = 3_000  #: how long an immediate refusal takes
    retry_ms: int = 15_000  #: how long the kubelet waits before it tries the next VM for the same pod
    failure_probability: float = 0.0
    failure_mix: dict[str, int] = msgspec.field(default_factory=lambda: dict(FAILURE_MIX))
    quota_vcpus: dict[str, int] = {}  #: by family, or ``cores`` for all of them; lower case
    evictions_per_hour: float = 0.0  #: how often the cloud takes a running spot machine back
    egress_bytes_per_hour: int = 0  #: that each working VM sends out
    egress_micro_usd_per_gib: int = 0

    def evicted_after_ms(self, seed: int, what: str) -> int | None:
        """Draw how long the spot machine ``what`` runs until the cloud takes it back; None: it never does."""
        if self.evictions_per_hour <= 0:
            return None
        left = max(chance(seed, f"evicted/{what}"), 1e-12)
        return round(-math.log(left) / self.evictions_per_hour * MILLIS_PER_HOUR)

    def draw_fault(self, seed: int, what: str) -> Fault | None:
        """Draw whether, and how, the launch ``what`` fails."""
        if not self.failure_probability or chance(seed, f"fails/{what}") >= self.failure_probability:
            return None
        wanted = chance(seed, f"how/{what}") * sum(self.failure_mix.values())
        for code, weight in sorted(self.failure_mix.items()):
            wanted -= weight
            if wanted < 0:
                return FAULTS[code]
        return None
