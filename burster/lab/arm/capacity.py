"""Whether there is room for a VM: scripted outages, and creations that fail by seed.

The cloud asks it when a creation is wanted. What Azure tells at once is raised; what it only finds out while it
builds the VM is returned, and told at the operation's end.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec

from burster.lab.arm.catalogue import Size
from burster.lab.arm.config import ArmConfig
from burster.lab.arm.declared import FailureMix
from burster.lab.arm.errors import ArmError
from burster.lab.arm.faults import known_failure
from burster.lab.arm.quotas import limit_of, quota_exceeded


_QUOTA: Final = "OperationNotAllowed"
_PERMILLE: Final = 1_000


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A VM that is to be made."""

    name: str
    region: str
    size: Size
    zones: tuple[str, ...]


class Capacity:
    """The room there is, as the lab declares it."""

    def __init__(self, *, now_ms: Callable[[], int], config: Callable[[], ArmConfig], seed: int) -> None:
        self._now_ms = now_ms
        self._began_ms = now_ms()
        self._config = config
        self._seed = seed
        self._tries: Counter[str] = Counter()

    def failure_of(self, wanted: Wanted) -> tuple[str, str]:
        """Return code and sentence of the failure at the creation's end, empty where it will succeed; ArmError where it is told at once."""
        code = self._code(wanted)
        if not code:
            return "", ""
        if code == _QUOTA:
            limit = limit_of(self._config(), wanted.region, wanted.size.family)
            title = f"{wanted.size.family} Cores"
            raise quota_exceeded(title, wanted.region, limit=limit, used=limit, vcpus=wanted.size.vcpus)
        at_once, status, message = known_failure(code, size=wanted.size.name, region=wanted.region)
        if at_once:
            raise ArmError(status, code, message)
        return code, message

    def _code(self, wanted: Wanted) -> str:
        config, at_ms = self._config(), self._now_ms() - self._began_ms
        for outage in config.outages:
            if outage.strikes(at_ms, region=wanted.region, size=wanted.size.name, zones=wanted.zones):
                return outage.code
        return self._drawn(config.failure_mix, wanted, at_ms) if config.failure_mix else ""

    def _drawn(self, mix: FailureMix, wanted: Wanted, at_ms: int) -> str:
        if mix.window_ms:
            key = f"{wanted.region}/{wanted.size.name}/{','.join(wanted.zones)}/{at_ms // mix.window_ms}"
        else:
            name = wanted.name.casefold()
            self._tries[name] += 1
            key = f"{name}/{self._tries[name]}"
        draw = random.Random(f"{self._seed}/mix/{key}")
        if draw.random() * _PERMILLE >= mix.rate_permille:
            return ""
        codes, weights = zip(*mix.shares, strict=True)
        return draw.choices(codes, weights=weights)[0]
