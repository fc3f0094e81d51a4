"""What every source is given to run: the API that it watches, where its stimuli go, and whose time and chance it uses.

Made by the runtime, one for each source. It must never know what a source is about.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from burster.clients.kube import Kube
from burster.model.stimuli import Stimulus
from burster.sources.reflector import Codec, Reflector, Sink, Stats, Waiter


T = TypeVar("T")
K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Feed:
    """``rng`` is for pauses only; ``stats`` are what the source has been through."""

    kube: Kube
    post: Callable[[Stimulus], None]
    clock: Waiter
    rng: random.Random
    stats: Stats = field(default_factory=Stats)

    def reflector(
        self, path: str, codec: Codec[T], sink: Sink[T, K], params: Mapping[str, str] | None = None
    ) -> Reflector[T, K]:
        """Return who follows a list and tells the sink."""
        return Reflector(self.kube, path, codec, sink, self.clock, self.rng, params=params, stats=self.stats)

    def apart(self) -> "Feed":
        """Return the same with a generator of its own, for a source of several lists: who draws first must not matter."""
        return replace(self, rng=random.Random(self.rng.getrandbits(64)))  # noqa: S311 - jitter, no secret
