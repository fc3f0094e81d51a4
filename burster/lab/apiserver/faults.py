"""Faults that the API server shows its clients on purpose, drawn by seed so that a run can be repeated.

The server asks for each request; tests and scenarios say what may go wrong. It never looks at the store.
"""

import random
from collections import Counter
from collections.abc import Callable
from typing import Final

import msgspec


class RequestInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a fault may depend on."""

    verb: str  # get list watch create update patch delete deletecollection
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    user: str = ""
    user_agent: str = ""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What goes wrong with one request, in this order: delay, silence, reset, status. What comes later is for watches."""

    delay_ms: int = 0
    status: int = 0  # 429, 500, 503, 410 ... instead of an answer
    retry_after_s: int = 0
    reset: bool = False  # the connection breaks without an answer
    silent: bool = False  # nothing comes, and the connection stays open: no end is seen where a network swallows it
    lose_answer: bool = False  # it is done, but the connection breaks, or falls silent, before the answer
    cut_after_events: int | None = None
    cut_after_ms: int | None = None
    silent_after_ms: int | None = None


FaultHook = Callable[[RequestInfo], Fault | None]


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of mishap: which requests it may hit, and how often."""

    fault: Fault
    share: float = 1.0
    verbs: tuple[str, ...] = ()  # none: all
    resources: tuple[str, ...] = ()
    at_most: int | None = None

    def fits(self, info: RequestInfo) -> bool:
        """Whether the rule is about that request."""
        return (not self.verbs or info.verb in self.verbs) and (not self.resources or info.resource in self.resources)


_NAMES_MAX: Final = 100_000


class SeededFaults:
    """Draws faults from rules; the same request gets the same fate whatever happens around it."""

    def __init__(self, seed: int, rules: tuple[Rule, ...]) -> None:
        self._seed = seed
        self._rules = rules
        self._seen: Counter[str] = Counter()
        self.done: Counter[int] = Counter()  # how often each rule has struck

    def __call__(self, info: RequestInfo) -> Fault | None:
        """The fault for the next request of that name, if any."""
        who = f"{info.verb}/{info.resource}/{info.namespace}/{info.name}/{info.subresource}"
        if len(self._seen) >= _NAMES_MAX:
            self._seen.clear()
        self._seen[who] += 1
        for number, rule in enumerate(self._rules):
            if not rule.fits(info) or (rule.at_most is not None and self.done[number] >= rule.at_most):
                continue
            if random.Random(f"{self._seed}/{number}/{who}/{self._seen[who]}").random() < rule.share:
                self.done[number] += 1
                return rule.fault
        return None
