"""How long a VM takes to come and to go, and stays: drawn from the seed and the VM's name, so that load changes nothing."""

import math
import random
from typing import Final

from burster.lab.arm.config import ArmConfig
from burster.lab.arm.resources import VmRecord


#: The 95th percentile of a normal distribution, in standard deviations.
_P95: Final = 1.6449
_FASTEST_PART: Final = 3  #: no creation is faster than the median divided by this


def create_ms(vm: VmRecord, config: ArmConfig, seed: int) -> int:
    """Return how long the creation takes."""
    median = config.create_median_ms
    sigma = math.log(max(1.0, config.create_p95_ms / max(1, median))) / _P95
    drawn = int(median * _draw(vm, seed).lognormvariate(0.0, sigma))
    return max(median // _FASTEST_PART, min(config.create_max_ms, drawn))


def delete_ms(vm: VmRecord, config: ArmConfig, seed: int, *, force: bool) -> int:
    """Return how long the deletion takes; a forced one takes half of it."""
    return _draw(vm, seed, "/delete").randint(config.delete_min_ms, config.delete_max_ms) // (2 if force else 1)


def spot_life_ms(vm: VmRecord, config: ArmConfig, seed: int) -> int:
    """Return for how long a spot machine runs until it is taken back."""
    return int(_draw(vm, seed, "/spot").expovariate(1 / config.spot_life_mean_ms))


def _draw(vm: VmRecord, seed: int, what: str = "") -> random.Random:
    again = f"/{vm.incarnation}" if vm.incarnation else ""
    return random.Random(f"{seed}/vm/{vm.name}{again}{what}")
