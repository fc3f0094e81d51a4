"""Token buckets as Azure Compute keeps them, per VM and per subscription and region, and those of ARM itself.

The server asks before every request; time is an argument.
"""

from collections import OrderedDict
from typing import Final

import msgspec

from burster.lab.arm.errors import ArmError


class Limit(msgspec.Struct, frozen=True):
    """Tokens a bucket regains per minute, and how many it holds at most."""

    per_minute: int
    most: int


#: request -> limit per VM (or operation), limit per subscription; None: not limited there
LIMITS: Final[dict[str, tuple[Limit | None, Limit]]] = {
    "PutVm": (Limit(4, 12), Limit(500, 1_500)),
    "DeleteVm": (Limit(4, 12), Limit(500, 1_500)),
    "GetVm": (Limit(12, 36), Limit(8_000, 24_000)),
    "ListVms": (None, Limit(300, 900)),
    "GetOperation": (Limit(15, 45), Limit(5_000, 15_000)),
}

#: what ARM itself lets one subscription do, whatever it is: by the last word of its header
ARM_LIMITS: Final = {"reads": Limit(1_500, 250), "writes": Limit(600, 200), "deletes": Limit(600, 200)}
_ARM_WORDS: Final = {"GET": "reads", "DELETE": "deletes"}

#: how Azure calls them in its headers
_POLICY_NAMES: Final = {
    "PutVm": "PutVM",
    "DeleteVm": "DeleteVM",
    "GetVm": "GetVM",
    "ListVms": "HighCostGetVM",
    "GetOperation": "GetOperation",
}

_MINUTE_MS: Final = 60_000
#: More buckets than this are never kept; the one unused for longest goes, which at worst forgives somebody.
_BUCKETS_MAX: Final = 20_000


class _Bucket:
    """Counts in 1/60000 tokens, so that a token per minute is an integer per millisecond."""

    __slots__ = ("_at_ms", "_grains", "_limit")

    def __init__(self, limit: Limit, now_ms: int) -> None:
        self._limit = limit
        self._at_ms = now_ms
        self._grains = limit.most * _MINUTE_MS

    def refill(self, now_ms: int) -> None:
        gained = max(0, now_ms - self._at_ms) * self._limit.per_minute
        self._grains = min(self._limit.most * _MINUTE_MS, self._grains + gained)
        self._at_ms = now_ms

    @property
    def tokens(self) -> int:
        return self._grains // _MINUTE_MS

    def spend(self) -> None:
        self._grains -= _MINUTE_MS

    def wait_ms(self) -> int:
        """Return how long until there is one token."""
        return max(0, -(-(_MINUTE_MS - self._grains) // self._limit.per_minute))


class Throttle:
    """All buckets of one stand-in."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[tuple[str, ...], _Bucket] = OrderedDict()

    def spend_at_arm(self, method: str, subscription: str, now_ms: int, *, enforced: bool) -> dict[str, str]:
        """Take a token from ARM's own bucket and return the header that says what is left; ArmError 429 where it is empty.

        Where it isn't enforced nothing is taken, and the header says that nothing was.
        """
        word = _ARM_WORDS.get(method, "writes")
        bucket = self._bucket(("arm", word, subscription.casefold()), ARM_LIMITS[word], now_ms)
        if enforced:
            if bucket.tokens < 1:
                wait_s = max(1, -(-bucket.wait_ms() // 1000))
                raise ArmError(
                    429,
                    "SubscriptionRequestsThrottled",
                    f"Number of '{word.removesuffix('s')}' requests for subscription '{subscription}' exceeded. Please try again after "
                    f"'{wait_s}' seconds after additional tokens are available. Refer to https://aka.ms/arm-throttling for additional "
                    "information.",
                    retry_after_s=wait_s,
                )
            bucket.spend()
        return {f"x-ms-ratelimit-remaining-subscription-{word}": str(bucket.tokens)}

    def spend(self, operation: str, *, scope: str, resource: str, now_ms: int) -> dict[str, str]:
        """Take one token from each bucket and return the headers that say what is left; ArmError 429 where one is empty.

        ``scope`` is subscription and region, ``resource`` the VM or operation, wherever it is.
        """
        if operation not in LIMITS:
            return {}
        per_resource, per_scope = LIMITS[operation]
        name = _POLICY_NAMES[operation]
        buckets = [(f"{name}Subscription", self._bucket((operation, scope), per_scope, now_ms))]
        if per_resource is not None:
            key = (operation, "", resource)
            buckets.append((f"{name}Resource", self._bucket(key, per_resource, now_ms)))
        for policy, bucket in buckets:
            if bucket.tokens < 1:
                raise _too_many(policy, -(-bucket.wait_ms() // 1000))
        for _policy, bucket in buckets:
            bucket.spend()
        remaining = ",".join(f"Microsoft.Compute/{policy};{bucket.tokens}" for policy, bucket in buckets)
        return {"x-ms-ratelimit-remaining-resource": remaining, "x-ms-request-charge": "1"}

    def _bucket(self, key: tuple[str, ...], limit: Limit, now_ms: int) -> _Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(limit, now_ms)
            if len(self._buckets) > _BUCKETS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        bucket.refill(now_ms)
        return bucket


def _too_many(policy: str, retry_after_s: int) -> ArmError:
    return ArmError(
        429,
        "OperationNotAllowed",
        "The server rejected the request because too many requests have been received for this subscription.",
        retry_after_s=max(1, retry_after_s),
        details=({"code": "TooManyRequests", "target": policy, "message": f'{{"operationGroup":"{policy}"}}'},),
    )
