"""How fast ARM may be asked: Azure's documented token buckets, kept here too, so that nobody is ever refused for haste.

Shared by all callers of one Arm. Who comes first goes first: a call takes its token at once, and where there is none yet it waits for the
moment at which that token will be there. What the answers say is left, and refusals for haste, correct the counts. Time is an argument.
It must never know what a request is for, beyond its class.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, Literal

import msgspec


CallClass = Literal["PutVm", "DeleteVm", "GetVm", "ListVms", "GetOperation", "Read", "Write", "Delete"]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request as far as its pace matters. ``resource`` is the VM or operation that it is about, if it is about one."""

    kind: CallClass
    subscription: str
    region: str
    what: str  #: "read VM podvm-a", for sentences
    resource: str = ""


class Limit(msgspec.Struct, frozen=True):
    """Tokens a bucket regains per second, and how many it holds at most."""

    per_second: float
    most: int


#: class -> limit for each VM or operation, and for a subscription in a region (Azure's "compute throttling limits")
_COMPUTE: Final[dict[CallClass, tuple[Limit | None, Limit]]] = {
    "PutVm": (Limit(4 / 60, 12), Limit(500 / 60, 1_500)),
    "DeleteVm": (Limit(4 / 60, 12), Limit(500 / 60, 1_500)),
    "GetVm": (Limit(12 / 60, 36), Limit(8_000 / 60, 24_000)),
    "ListVms": (None, Limit(300 / 60, 900)),
    "GetOperation": (Limit(15 / 60, 45), Limit(5_000 / 60, 15_000)),
}
#: what ARM itself allows one identity in one subscription, whatever it asks for
_ARM: Final[dict[str, Limit]] = {"reads": Limit(25, 250), "writes": Limit(10, 200), "deletes": Limit(10, 200)}
_WRITES: Final[dict[CallClass, str]] = {
    "PutVm": "writes", "Write": "writes", "DeleteVm": "deletes", "Delete": "deletes",
}  # fmt: skip
#: More are never kept; the one unused for longest goes, which at worst makes ARM say so itself.
_BUCKETS_MAX: Final = 20_000
#: for how long nobody asks where nothing is left of a bucket whose size is not known
_EMPTY_S: Final = 1.0
_REMAINING: Final = "x-ms-ratelimit-remaining-resource"
_REMAINING_ARM: Final = "x-ms-ratelimit-remaining-subscription-"

_Key = tuple[str, str, str]


class Bucket:
    """Tokens. Below 0 are those already promised to callers who wait."""

    __slots__ = ("_at", "_flying", "_limit", "_tokens")

    def __init__(self, limit: Limit, now: float) -> None:
        self._limit = limit
        self._tokens = float(limit.most)
        self._at = now  # when so many tokens were there; ahead of now while ARM wants nobody
        self._flying = 0

    def wait(self, now: float) -> float:
        """Return in how many seconds the next token is there."""
        if now > self._at:
            self._tokens = min(float(self._limit.most), self._tokens + (now - self._at) * self._limit.per_second)
            self._at = now
        return max(0.0, self._at - now) + max(0.0, (1 - self._tokens) / self._limit.per_second)

    def take(self) -> None:
        """Take a token, also one that is still to come."""
        self._tokens -= 1
        self._flying += 1

    def give_back(self) -> None:
        """Return a token that was not used."""
        self._tokens += 1
        self._flying = max(0, self._flying - 1)

    def landed(self, left: int | None) -> None:
        """A request was answered; ``left``: so many tokens there are by ARM's own count, of which those under way are still to be taken."""
        self._flying = max(0, self._flying - 1)
        if left is not None and self._tokens >= 0:
            self._tokens = max(0.0, min(float(self._limit.most), left - float(self._flying)))

    def close(self, now: float, seconds: float) -> None:
        """Let nobody pass for so long, then one after the other: ARM said so."""
        self.wait(now)
        self._tokens = min(self._tokens, 1.0)
        self._at = max(self._at, now + seconds)


class Pacer:
    """All buckets of one Arm, for all its subscriptions."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[_Key, Bucket] = OrderedDict()
        self._closed_until = 0.0
        self.waited_s = 0.0
        self.refused = 0

    def throttled_for(self, now: float) -> float:
        """Return for how many seconds at least one bucket is still closed by ARM's refusal."""
        return max(0.0, self._closed_until - now)

    def enter(self, call: Call, now: float, patience_s: float) -> tuple[float, bool]:
        """Return for how long to wait before asking, and whether a token was taken for that; none is where it takes more than patience.

        Who gets one says ``landed`` when the answer is there, or ``left`` if it never asks.
        """
        buckets = [bucket for _, bucket in self._of(call, now)]
        wait_s = max(bucket.wait(now) for bucket in buckets)
        if wait_s > patience_s:
            return wait_s, False
        for bucket in buckets:
            bucket.take()
        self.waited_s += wait_s
        return wait_s, True

    def left(self, call: Call, now: float) -> None:
        """The caller went away before it asked."""
        for _, bucket in self._of(call, now):
            bucket.give_back()

    def landed(self, call: Call, now: float, headers: Iterable[tuple[str, str]]) -> None:
        """Count what an answer says is left; ``headers`` may name the same one several times. Nothing where there was no answer."""
        remaining = _remaining(headers)
        buckets = self._of(call, now)
        for (level, _, _), bucket in buckets:
            bucket.landed(remaining.get(level))
        if remaining.get("unknown") == 0:
            buckets[0][1].close(now, _EMPTY_S)

    def refuse(self, call: Call, now: float, seconds: float, level: Literal["resource", "subscription", "arm"]) -> None:
        """ARM refused for haste: the bucket that was empty stays closed for as long as it said."""
        self.refused += 1
        self._closed_until = max(self._closed_until, now + seconds)
        found = [bucket for (each, _, _), bucket in self._of(call, now) if each == level]
        for bucket in found or [bucket for _, bucket in self._of(call, now)][:1]:
            bucket.close(now, seconds)

    def _of(self, call: Call, now: float) -> list[tuple[_Key, Bucket]]:
        """Return the buckets that a call takes from, the widest first."""
        arm = _WRITES.get(call.kind, "reads")
        keys: list[tuple[_Key, Limit]] = [(("arm", call.subscription, arm), _ARM[arm])]
        compute = _COMPUTE.get(call.kind)
        if compute is not None:
            per_resource, per_region = compute
            keys.insert(0, (("subscription", f"{call.subscription}/{call.region}", call.kind), per_region))
            if per_resource is not None and call.resource:
                keys.append((("resource", call.resource, call.kind), per_resource))
        return [(key, self._bucket(key, limit, now)) for key, limit in keys]

    def _bucket(self, key: _Key, limit: Limit, now: float) -> Bucket:
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(limit, now)
            if len(self._buckets) > _BUCKETS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket


def _remaining(headers: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return what is left at each level: Azure writes ``Microsoft.Compute/GetVMResource;35`` once or several times, with commas or not."""
    found: dict[str, int] = {}
    for name, text in headers:
        lowered = name.casefold()
        if lowered == _REMAINING:
            for entry in text.split(","):
                policy, _, number = entry.strip().rpartition(";")
                if number.isdecimal():
                    level = _level_of(policy)
                    found[level] = min(int(number), found.get(level, int(number)))
        elif lowered.startswith(_REMAINING_ARM) and text.strip().isdecimal():
            found["arm"] = int(text)
    return found


def _level_of(policy: str) -> str:
    """Return whose bucket a policy's name speaks of; "unknown" for the older names, whose buckets are others."""
    lowered = policy.casefold()
    if lowered.endswith("resource"):
        return "resource"
    return "subscription" if "subscription" in lowered else "unknown"
